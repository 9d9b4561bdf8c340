"""The receiver's HTTP: what it takes, what it refuses and how it says so, and who cannot hold it up."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from gastown_tracing.relay.receiver.limits import Bucket, Limits
from tests.processes import wait_until

from .receiver_kit import JSON, PROTOBUF, Receiving, ask, receiving, span, spans

TRACE, SPAN = "aaaabbbbccccdddd1111222233334444", "1111111111111111"
REQUEST = json.dumps(spans(span(TRACE, SPAN))).encode()
TYPE = {"Content-Type": JSON}


@pytest.fixture
def found(journal_root: Path) -> Iterator[Receiving]:
    """Return a running receiver."""
    with receiving(journal_root) as running:
        yield running


@contextlib.contextmanager
def raw(found: Receiving) -> Iterator[socket.socket]:
    """Open a connection that nobody speaks HTTP on but the test."""
    with socket.create_connection(("127.0.0.1", found.port), timeout=30) as connection:
        yield connection


def head(found: Receiving, *lines: str, path: str = "") -> bytes:
    """Return a request's line and headers."""
    first = f"POST {path or found.path('traces')} HTTP/1.1"
    return "\r\n".join([first, "Host: x", f"Content-Type: {JSON}", *lines, "", ""]).encode()


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            data += part
    return data


def works(found: Receiving) -> bool:
    """Return whether a request is taken."""
    return found.post("traces", spans(span(TRACE, SPAN))).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 404),
        ("POST", "/v1/traces", 404),
        ("POST", "/{wrong}/v1/traces", 404),
        ("POST", "/{token}/v1/profiles", 404),
        ("POST", "/{token}/v1/traces/", 404),
        ("POST", "/{token}/v1", 404),
        ("POST", "//{token}/v1/traces", 404),
        ("GET", "/{wrong}/v1/traces", 404),
        ("GET", "/{token}/v1/traces", 405),
        ("PUT", "/{token}/v1/logs", 405),
        ("HEAD", "/{token}/v1/metrics", 405),
        ("POST", "/{token}/v1/traces?x=1", 200),
    ],
)
def test_paths_and_methods(found: Receiving, method: str, path: str, status: int) -> None:
    """Nothing but POST to the three paths behind the token; whoever has no token learns nothing."""
    token = found.path("traces").split("/")[1]
    wrong = ("b" if token[0] == "a" else "a") + token[1:]
    with contextlib.closing(found.connect()) as connection:
        connection.request(method, path.format(token=token, wrong=wrong), REQUEST, TYPE)
        answer = connection.getresponse()
        assert answer.status == status
        assert (answer.getheader("Allow") == "POST") == (status == 405)
        said = answer.read().decode()
    assert token not in said


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain"}, REQUEST, 415),
        ({"Content-Type": ""}, REQUEST, 415),
        ({"Content-Type": "application/grpc"}, REQUEST, 415),
        ({"Content-Type": "Application/JSON; charset=utf-8"}, REQUEST, 200),
        ({"Content-Encoding": "br"}, REQUEST, 415),
        ({"Content-Encoding": "identity"}, REQUEST, 200),
        ({"Content-Encoding": "gzip"}, REQUEST, 400),
        ({"Content-Encoding": "gzip"}, gzip.compress(REQUEST), 200),
        ({"Content-Encoding": "GZIP"}, gzip.compress(REQUEST[:9]) + gzip.compress(REQUEST[9:]), 200),
        ({"Content-Encoding": "gzip"}, gzip.compress(REQUEST)[:-3], 400),
        ({"Content-Encoding": "gzip"}, gzip.compress(REQUEST) + b"more", 400),
        ({}, b"", 400),
        ({}, b"{", 400),
        ({}, b"[]", 400),
        ({}, b"null", 400),
        ({}, b"{}", 200),
        ({}, b'{"resourceSpans":null}', 200),
        ({}, b'{"resourceSpans":{}}', 400),
        ({}, b'{"resourceSpans":[{"scopeSpans":[{"spans":7}]}]}', 400),
        ({}, b'{"resourceSpans":[{"resource":{"attributes":"x"}, "scopeSpans":[{}]}]}', 400),
        ({}, b'"\\ud800"', 400),
        ({"Content-Type": PROTOBUF}, b"", 200),
        ({"Content-Type": PROTOBUF}, b"\xff\xff\xff", 400),
        ({"Content-Type": PROTOBUF}, REQUEST, 400),
    ],
)
def test_bodies(found: Receiving, headers: dict[str, str], body: bytes, status: int) -> None:
    """What is no request of OTLP is refused with one line that says why."""
    with contextlib.closing(found.connect()) as connection:
        answer = ask(connection, found.path("traces"), body, {**TYPE, **headers})
        assert answer.status == status
        assert answer.body.count(b"\n") <= 1
        again = ask(connection, found.path("traces"), REQUEST, TYPE)
        assert again.status == 200


def test_answers_are_in_the_encoding_of_the_request(found: Receiving) -> None:
    """Protobuf for protobuf, JSON for JSON, also what says that some records, or all, were unusable."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"short")
    answer = found.post("traces", request.SerializeToString())
    said = ExportTraceServiceResponse.FromString(answer.body)
    assert answer.headers["content-type"] == PROTOBUF
    assert said.partial_success.rejected_spans == 1
    assert "traceId" in said.partial_success.error_message
    bad = found.post("traces", b"\xff")
    assert (bad.status, bad.headers["content-type"]) == (400, PROTOBUF)
    assert bad.body[:1] == b"\x12"
    assert bad.body[2:].decode() == "not an OTLP request of traces in protobuf"
    assert found.post("traces", []).json == {
        "message": "not an OTLP request of traces: what holds resourceSpans is no object"
    }


def test_a_client_that_waits_for_100_continue_gets_it(found: Receiving) -> None:
    """And one that is refused gets the refusal instead, before it has sent anything."""
    with raw(found) as connection:
        connection.sendall(head(found, f"Content-Length: {len(REQUEST)}", "Expect: 100-continue"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
        connection.sendall(REQUEST)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    with raw(found) as connection:
        connection.sendall(head(found, "Content-Length: 99", "Expect: 100-continue", path="/no/v1/traces"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 404 ")


def test_requests_may_be_sent_before_the_answers_are_read(found: Receiving) -> None:
    """Pipelined requests are answered in their order, a refused one among them."""
    one = head(found, f"Content-Length: {len(REQUEST)}") + REQUEST
    bad = head(found, "Content-Length: 1") + b"{"
    last = head(found, f"Content-Length: {len(REQUEST)}", "Connection: close") + REQUEST
    with raw(found) as connection:
        connection.sendall(one + bad + one + last)
        said = read_all(connection)
    statuses = [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"400", b"200", b"200"]


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(found: Receiving, text: bytes) -> None:
    """A refusal or a closed connection, and the receiver goes on."""
    with raw(found) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
        said = read_all(connection)
    assert said == b"" or said.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501"))
    assert works(found)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(journal_root: Path) -> None:
    """By what its length says, by what has come in chunks, and by what it unpacks to."""
    limits = Limits(wire=100_000, unpacked=1_000_000)
    with receiving(journal_root, limits=limits) as found:
        assert found.post("traces", b"x" * 100_001).status == 413
        with contextlib.closing(found.connect()) as connection:
            pieces = (b"x" * 10_000 for _ in range(20))
            assert ask(connection, found.path("traces"), pieces, TYPE).status == 413
        bomb = gzip.compress(b" " * 50_000_000)
        assert len(bomb) < 100_000
        assert found.post("traces", bomb, {"Content-Encoding": "gzip"}).status == 413
        with raw(found) as connection:
            connection.sendall(head(found, f"Content-Length: {10**15}"))
            assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")
        assert works(found)
        assert found.status["refused"]["413"] == 4


def test_a_slow_client_is_shown_out(journal_root: Path) -> None:
    """Headers, bodies and waits have their time; others are served meanwhile."""
    limits = Limits(idle=0.3, head=0.3, body=0.3)
    with receiving(journal_root, limits=limits) as found:
        with raw(found) as waits, raw(found) as drips, raw(found) as stops:
            drips.sendall(b"POST / HT")
            stops.sendall(head(found, "Content-Length: 99"))
            assert works(found)
            assert read_all(waits) == b""
            assert read_all(drips).startswith(b"HTTP/1.1 408 ")
            assert read_all(stops).startswith(b"HTTP/1.1 408 ")
        wait_until(lambda: found.status["connections"] == 0, "they are closed")


def test_too_many_requests_are_told_when_to_come_again(journal_root: Path) -> None:
    """429 and Retry-After, by number and by bytes."""
    with receiving(journal_root / "a", limits=Limits(request_rate=0.01, request_burst=2)) as found:
        assert works(found)
        assert works(found)
        answer = found.post("traces", {})
        assert (answer.status, int(answer.headers["retry-after"]) > 1) == (429, True)
    with receiving(journal_root / "b", limits=Limits(byte_rate=1, byte_burst=1000)) as found:
        assert works(found)
        answer = found.post("traces", b"x" * 900)
        assert (answer.status, int(answer.headers["retry-after"]) > 1) == (429, True)


def test_a_client_that_sends_on_sees_why_it_was_refused(journal_root: Path) -> None:
    """All of a large request is sent before its answer is read, and no reset connection hides the answer."""
    body = b"x" * (8 << 20)
    with receiving(journal_root, limits=Limits(byte_rate=1, byte_burst=1000)) as found:
        assert works(found)
        with raw(found) as client:
            client.sendall(head(found, f"Content-Length: {len(body)}") + body)
            assert read_all(client).startswith(b"HTTP/1.1 429 ")


@pytest.mark.parametrize("chunked", [False, True])
def test_what_is_refused_for_its_rate_costs_nothing_of_it(journal_root: Path, chunked: bool) -> None:
    """However often somebody tries a request that is too large now, there is room for smaller ones."""
    part = b'{"pad":"' + b"x" * 392 + b'"}'
    limits = Limits(byte_rate=0.001, byte_burst=1000, request_burst=1000)
    with receiving(journal_root, limits=limits) as found:
        assert found.post("traces", {"pad": "x" * 400}).status == 200
        for _ in range(20):
            with contextlib.closing(found.connect()) as connection:
                body = [part, b" " * 100, b" " * 300] if chunked else part + b" " * 400
                answer = ask(
                    connection, found.path("traces"), iter(body) if chunked else body, {"Content-Type": JSON}
                )
            assert answer.status == 429
            assert int(answer.headers["retry-after"]) > 1
        assert found.post("traces", {"pad": "x" * 400}).status == 200


def test_a_bucket_fills_again() -> None:
    """What was taken comes back at its rate, up to the burst; a clock that stands still gives nothing."""
    now = [0.0]
    bucket = Bucket(10, 20, lambda: now[0])
    assert bucket.take(20) == 0
    assert bucket.take(5) == pytest.approx(0.5)
    now[0] = 0.5
    assert bucket.take(5) == 0
    now[0] = 1000
    assert bucket.take(1000) == 0
    assert bucket.take(1) == pytest.approx(0.1)


def test_sixty_four_connections_at_once(found: Receiving) -> None:
    """Each sends its own spans, ten times; all of them arrive."""

    def client(number: int) -> None:
        with contextlib.closing(found.connect()) as connection:
            for turn in range(10):
                one = span(TRACE, f"{number:08x}{turn + 1:08x}")
                body = json.dumps(spans(one)).encode()
                assert ask(connection, found.path("traces"), body, TYPE).status == 200

    threads = [threading.Thread(target=client, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({record["spanId"] for record in found.records("traces")}) == 640


def test_more_connections_than_there_may_be(journal_root: Path) -> None:
    """The one that has been idle longest makes room."""
    with receiving(journal_root, limits=Limits(connections=4)) as found, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(raw(found)) for _ in range(4)]
        wait_until(lambda: found.status["connections"] == 4, "all are there")
        assert works(found)
        assert read_all(idle[0]) == b""
        idle[1].sendall(head(found, f"Content-Length: {len(REQUEST)}") + REQUEST)
        assert idle[1].recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_goes_away_leaves_nothing(found: Receiving) -> None:
    """In its headers, in its body, in a chunk, or without reading the answer."""
    whole = head(found, f"Content-Length: {len(REQUEST)}") + REQUEST
    for sent in (whole[:20], whole[:-5], head(found, "Transfer-Encoding: chunked") + b"5\r\nab"):
        with raw(found) as connection:
            connection.sendall(sent)
    wait_until(lambda: found.status["connections"] == 0, "all are closed")
    assert found.text() == ""
    with raw(found) as connection:
        connection.sendall(whole * 50)
    wait_until(lambda: found.status["connections"] == 0, "this one, too")
    assert works(found)


def test_bodies_together_are_bounded(journal_root: Path) -> None:
    """Who begins many large requests and ends none does not fill the memory."""
    with receiving(journal_root, limits=Limits(in_flight=100_000, wire=90_000)) as found:
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                connection = stack.enter_context(raw(found))
                connection.sendall(head(found, "Content-Length: 60000") + b"x" * 45_000)
            wait_until(lambda: found.post("traces", b"x" * 20_000).status == 503, "there is no room")
        wait_until(lambda: works(found), "there is again")


def test_only_this_machine_reaches_it(found: Receiving) -> None:
    """It listens on 127.0.0.1 and nowhere else."""
    listening = [
        line.split()[1]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{found.port:04X}")
    ]
    assert listening == [f"0100007F:{found.port:04X}"]


def test_a_request_under_way_is_answered_at_the_end(found: Receiving) -> None:
    """Its sender would send it again, to a relay that has forgotten that it came."""
    many = [span(TRACE, f"{number:016x}") for number in range(1, 4001)]
    answers = []
    client = threading.Thread(target=lambda: answers.append(found.post("traces", spans(*many)).status))
    client.start()
    wait_until(lambda: found.status["requests"] == 1, "it is being written")
    found.receiver.stop(10)
    client.join()
    assert answers == [200]
    assert len(found.records("traces")) == 4000


def test_stop_ends_it_with_connections_open(journal_root: Path) -> None:
    """A connection that nobody closes does not keep it."""
    with receiving(journal_root) as found, raw(found) as connection:
        wait_until(lambda: found.status["connections"] == 1, "it is there")
        began = time.monotonic()
        found.receiver.stop(10)
        assert time.monotonic() - began < 5
        assert read_all(connection) == b""
        assert found.status["state"] == "off"
