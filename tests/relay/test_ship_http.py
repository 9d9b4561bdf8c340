"""One endpoint's HTTP: TLS and headers as set, one deadline for a request, and what each answer means."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gastown_tracing.relay.http import JSON, PROTOBUF, Client, Kind, classify, clean
from gastown_tracing.relay.settings import Endpoint
from tests.relay.otlp_server import OtlpServer
from tests.relay.relay_kit import run_id, span_line

LINE = span_line(run_id(0), 0)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtlpServer]:
    with OtlpServer(tmp_path_factory.mktemp("server"), keep=True) as server:
        yield server


@pytest.fixture
def server(running: OtlpServer) -> OtlpServer:
    running.answer("ok")
    return running


@pytest.fixture
def client() -> Iterator[Callable[..., Client]]:
    made: list[Client] = []

    def make(url: str, **how: object) -> Client:
        made.append(Client(Endpoint(url, **{"timeout": 1.0, **how})))  # type: ignore[arg-type]  # as given
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_the_connection_is_kept(server: OtlpServer, client: Callable[..., Client]) -> None:
    before = server.stats()["connections"]
    sender = client(server.url("traces"))
    assert all(sender.post(LINE, JSON).taken for _ in range(5))
    assert server.stats()["connections"] == before + 1


def test_a_connection_that_was_closed_meanwhile_is_no_failure(
    server: OtlpServer, client: Callable[..., Client]
) -> None:
    sender = client(server.url("traces"))
    assert sender.post(LINE, JSON).taken
    server.answer("close", times=1)  # as if the server had closed it at that instant
    assert sender.post(LINE, JSON).taken


@pytest.mark.parametrize("mode", ["hang", "drip"])
def test_a_request_has_one_deadline(server: OtlpServer, client: Callable[..., Client], mode: str) -> None:
    server.answer(mode)
    sender = client(server.url("traces"), timeout=0.4)
    for _ in range(2):
        began = time.monotonic()
        answer = sender.post(LINE, JSON)
        assert 0.3 < time.monotonic() - began < 5.0
        assert (answer.kind, answer.message) == (Kind.RETRY, "no answer within 0.4 s")
    server.answer("ok")
    assert sender.post(LINE, JSON).taken


def test_an_answer_that_is_cut_off_at_the_deadline_is_none(client: Callable[..., Client]) -> None:
    """Its headers alone would read as success."""
    with answering(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-And-So-On: ") as url:
        assert client(url, timeout=0.3).post(LINE, JSON).kind is Kind.RETRY


def test_a_request_can_be_ended_from_elsewhere_for_good(
    server: OtlpServer, client: Callable[..., Client]
) -> None:
    server.answer("hang")
    sender = client(server.url("traces"), timeout=3600.0)
    timer = threading.Timer(0.2, sender.abort)
    timer.start()
    assert sender.post(LINE, JSON).kind is Kind.RETRY
    timer.join()
    server.answer("ok")
    assert sender.post(LINE, JSON).kind is Kind.RETRY


def test_headers_compression_and_credentials_are_sent(
    server: OtlpServer, client: Callable[..., Client]
) -> None:
    url = server.url("traces").replace("http://", "http://me:p%40ss@") + "?key=1"
    headers = {"X-Scope-OrgID": "town", "content-type": "text/plain"}
    assert client(url, headers=headers, compression="gzip").post(LINE, JSON).taken
    request = server.requests("traces")[-1]
    assert request.body == LINE
    assert request.path == "/v1/traces?key=1"
    assert request.headers["x-scope-orgid"] == "town"
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == "Basic bWU6cEBzcw=="
    assert request.headers["user-agent"].startswith("gastown-tracing-relay/")


def test_no_proxy_of_the_environment_is_used(
    server: OtlpServer, client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert client(server.url("traces")).post(LINE, JSON).taken


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/v1/traces", "http://[::1", "http://host.invalid/", "http://127.0.0.1:99999/"]
)
def test_an_endpoint_that_cannot_be_reached_is_tried_again(client: Callable[..., Client], url: str) -> None:
    answer = client(url).post(LINE, JSON)
    assert answer.kind is Kind.RETRY
    assert answer.message
    assert answer.status == 0


def test_a_header_that_cannot_be_sent_is_not_shown(client: Callable[..., Client]) -> None:
    answer = client("http://127.0.0.1:9/", headers={"x-key": "sec\nret"}).post(LINE, JSON)
    assert answer.kind is Kind.RETRY
    assert "ret" not in answer.message.split("headers")[1]


def test_a_redirect_is_not_followed(server: OtlpServer, client: Callable[..., Client]) -> None:
    before = server.stats()["traces.requests"]
    head = f"HTTP/1.1 308 Permanent Redirect\r\nLocation: {server.url('traces')}\r\nContent-Length: 0\r\n\r\n"
    with answering(head.encode()) as url:
        answer = client(url, headers={"x-key": "secret"}).post(LINE, JSON)
    assert (answer.kind, answer.status) == (Kind.RETRY, 308)
    assert server.url("traces") in answer.message
    assert server.stats()["traces.requests"] == before


def test_an_answer_without_end_is_not_read_to_its_end(client: Callable[..., Client]) -> None:
    body = b"x" * 300_000
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body)
    with answering(head + body) as url:
        answer = client(url).post(LINE, JSON)
    assert answer.refused
    assert len(answer.message) <= 200


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_will_never_succeed_is_refused(status: int) -> None:
    answer = classify(status, {"Content-Type": "application/json"}, b'{"code":3,"message":"bad\\nspan"}')
    assert answer.refused
    assert answer.message.endswith(": bad span")


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405, 407, 408, 409, 429, 500, 501, 502, 503, 504])
def test_what_an_operator_can_put_right_is_tried_again(status: int) -> None:
    answer = classify(status, {"Retry-After": "7"}, b"")
    assert (answer.kind, answer.retry_after) == (Kind.RETRY, 7.0)


def test_a_web_page_is_no_success() -> None:
    assert classify(200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>").kind is Kind.RETRY


@pytest.mark.parametrize(
    ("media_type", "text", "rejected", "message"),
    [
        ("application/json", b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"old"}}', 2, "old"),
        ("application/json", b'{"partialSuccess":{"rejectedLogRecords":2}}', 2, ""),
        ("application/json", b'{"partialSuccess":{"errorMessage":"a warning"}}', 0, "a warning"),
        ("application/json", b'{"partialSuccess":{"rejectedSpans":"many"}}', 0, ""),
        ("application/json", b"[]", 0, ""),
        ("application/json", b"", 0, ""),
        ("application/x-protobuf", b"\x0a\x07\x08\x02\x12\x03old", 2, "old"),
        ("application/x-protobuf", b"\xff", 0, ""),
        ("", b"", 0, ""),
    ],
)
def test_partial_success_is_read_in_both_encodings(
    media_type: str, text: bytes, rejected: int, message: str
) -> None:
    answer = classify(200, {"Content-Type": media_type}, text)
    assert (answer.taken, answer.rejected, answer.message) == (True, rejected, message)


def test_what_a_server_says_is_safe_to_show() -> None:
    assert clean("a\x1b[31mb\n\tc" + "d" * 500) == "a [31mb c" + "d" * 190 + "…"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority, a server's certificate for localhost and a client's."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    directory = tmp_path_factory.mktemp("certificates")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)

    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    openssl(*new, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("server", "client"):
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=DNS:localhost")
        more = ("-addext", "basicConstraints=critical,CA:FALSE")
        openssl(*new, *signed, *more, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    return directory


def test_tls_with_a_clients_certificate(
    certificates: Path, tmp_path: Path, client: Callable[..., Client]
) -> None:
    names = ("server.pem", "server.key", "ca.pem")
    with OtlpServer(tmp_path, tls=tuple(certificates / name for name in names)) as server:
        url, authority = server.url("traces"), {"certificate": str(certificates / "ca.pem")}
        own = {
            "client_key": str(certificates / "client.key"),
            "client_certificate": str(certificates / "client.pem"),
        }
        assert client(url, **authority, **own).post(LINE, JSON).taken
        server.answer("drip")
        assert client(url, **authority, **own, timeout=0.5).post(LINE, PROTOBUF).kind is Kind.RETRY
        server.answer("ok")
        assert client(url, **authority).post(LINE, JSON).kind is Kind.RETRY
        unknown = client(url, **own).post(LINE, JSON)
        assert unknown.kind is Kind.RETRY
        assert "certificate" in unknown.message.lower()
        missing = {"certificate": str(certificates / "missing.pem")}
        assert client(url, **missing).post(LINE, JSON).kind is Kind.RETRY
        assert server.stats()["traces.taken"] == 1


@contextmanager
def answering(data: bytes) -> Iterator[str]:
    """Answer one request with these bytes, and then say nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, suppress(ConnectionError):
                connection.recv(65536)
                connection.sendall(data)
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1/traces"
