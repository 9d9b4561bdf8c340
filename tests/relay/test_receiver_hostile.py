"""Whatever comes over the socket: never a crash, never a 5xx, never half a record."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .receiver_kit import JSON, PROTOBUF, Receiving, ask, corpus, receiving

SIGNALS = ("traces", "logs", "metrics")
#: A running receiver is no state of an example: what one example sends is nothing to the next.
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

#: Every name that OTLP has in JSON, and some that it has not.
NAMES = (
    *("resourceSpans", "resourceLogs", "resourceMetrics", "scopeSpans", "scopeLogs"),
    *("scopeMetrics", "resource", "scope", "schemaUrl", "attributes", "key", "value", "stringValue"),
    *("intValue", "doubleValue", "boolValue", "arrayValue", "kvlistValue", "bytesValue", "values"),
    *("spans", "logRecords", "metrics", "traceId", "spanId", "parentSpanId", "traceState", "flags"),
    *("name", "kind", "startTimeUnixNano", "endTimeUnixNano", "events", "links", "status", "code"),
    *("message", "body", "severityNumber", "severityText", "eventName", "timeUnixNano"),
    *("observedTimeUnixNano", "droppedAttributesCount", "sum", "gauge", "histogram"),
    *("dataPoints", "asInt", "asDouble", "aggregationTemporality", "isMonotonic", "exemplars"),
    *("bucketCounts", "unknown", "__proto__"),
)

ids = st.sampled_from(["", "0" * 32, "a" * 32, "b" * 16, "A" * 16, "zz", "é"])
leaves = st.one_of(
    *(st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.floats(allow_nan=False), st.text(), ids),
    st.sampled_from(["NaN", "-1", "1e9", "18446744073709551616", "AAAA", "not base64!"]),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=20,
)


def around(signal: str, record: Any, resource: Any, scope: Any) -> Any:
    """Return a request of a signal with one record."""
    outer, middle, inner = {
        "traces": ("resourceSpans", "scopeSpans", "spans"),
        "logs": ("resourceLogs", "scopeLogs", "logRecords"),
        "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
    }[signal]
    return {outer: [{"resource": resource, middle: [{"scope": scope, inner: [record]}]}]}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    """Return a receiver that all examples share, as all clients do."""
    with receiving(tmp_path_factory.mktemp("hostile") / "journal") as running:
        yield running


def check(found: Receiving, signal: str, body: bytes, headers: dict[str, str]) -> None:
    """Send a body: it is taken or refused, and what is written can be read."""
    with contextlib.closing(found.connect()) as connection:
        answer = ask(connection, found.path(signal), body, headers)
    assert answer.status in (200, 400, 413, 415)
    assert len(answer.body) < 1000
    for path in Path(found.journal.root).glob("*/*/*.jsonl"):
        data = path.read_bytes()
        assert data.endswith(b"]}]}]}\n")
        for line in data.splitlines():
            json.loads(line)
        path.unlink()


@quick
@given(st.sampled_from(SIGNALS), st.binary(max_size=300))
def test_any_bytes_as_protobuf(found: Receiving, signal: str, body: bytes) -> None:
    """Protobuf takes much for a message: what is none is refused."""
    check(found, signal, body, {"Content-Type": PROTOBUF})


@quick
@given(st.sampled_from(corpus()), st.data())
def test_damaged_requests(found: Receiving, one: Any, data: st.DataObject) -> None:
    """A real request with bytes changed, missing or doubled."""
    place = data.draw(st.integers(0, max(0, len(one.body) - 1)))
    length = data.draw(st.integers(0, 20))
    body = one.body[:place] + data.draw(st.binary(max_size=20)) + one.body[place + length :]
    check(found, one.signal, body, {"Content-Type": PROTOBUF})
    check(found, one.signal, one.body[:place], {"Content-Type": PROTOBUF})


@quick
@given(st.sampled_from(SIGNALS), values)
def test_any_json(found: Receiving, signal: str, body: Any) -> None:
    """Any JSON with OTLP's names in any places."""
    check(found, signal, json.dumps(body).encode(), {"Content-Type": JSON})


@quick
@given(st.sampled_from(SIGNALS), st.dictionaries(st.sampled_from(NAMES), values, max_size=8), values, values)
def test_any_record(found: Receiving, signal: str, record: Any, resource: Any, scope: Any) -> None:
    """Any record, resource and scope where they belong."""
    ids = {"traceId": "a" * 32, "spanId": "b" * 16}
    body = json.dumps(around(signal, {**ids, **record}, resource, scope)).encode()
    check(found, signal, body, {"Content-Type": JSON})


@quick
@given(st.sampled_from(SIGNALS), st.binary(max_size=200), st.integers(0, 100))
def test_any_gzip(found: Receiving, signal: str, body: bytes, cut: int) -> None:
    """What is no gzip, or is cut short."""
    headers = {"Content-Type": PROTOBUF, "Content-Encoding": "gzip"}
    check(found, signal, body, headers)
    check(found, signal, gzip.compress(body)[:cut], headers)


@quick
@given(st.lists(st.binary(max_size=100), max_size=5), st.binary(max_size=100))
def test_any_bytes_on_the_socket(found: Receiving, parts: list[bytes], path: bytes) -> None:
    """What is no HTTP ends the connection; the next one is served."""
    connection = socket.create_connection(("127.0.0.1", found.port), timeout=30)
    with connection, contextlib.suppress(ConnectionError):
        connection.sendall(b"POST /" + path + b" HTTP/1.1\r\n")
        for part in parts:
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert found.post("traces", {}).status == 200


@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
def test_values_within_values_have_an_end(found: Receiving, kind: str) -> None:
    """A thousand arrays in each other are refused, a few are not."""
    if kind == JSON:
        text = '{"arrayValue":{"values":[' * 1000 + '{"stringValue":"x"}' + "]}}" * 1000
        body = json.dumps(around("logs", {"body": None}, {}, {})).replace("null", text)
        check(found, "logs", body.encode(), {"Content-Type": JSON})
    else:
        nested = b""
        for _ in range(1000):
            nested = (
                b"\x2a"
                + varint(len(nested) + 1 + len(varint(len(nested))))
                + b"\x0a"
                + varint(len(nested))
                + nested
            )
        for number in (b"\x2a", b"\x12", b"\x12", b"\x0a"):
            nested = number + varint(len(nested)) + nested
        check(found, "logs", nested, {"Content-Type": PROTOBUF})


def varint(number: int) -> bytes:
    """Return a number as protobuf writes it."""
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def field(number: int, content: bytes) -> bytes:
    """Return a field of protobuf that has a length."""
    size, length = len(content), b""
    while size > 0x7F:
        size, length = size >> 7, length + bytes([size & 0x7F | 0x80])
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


_SPAN = field(1, b"a" * 16) + field(2, b"b" * 8)
#: A million values in two megabytes or so: spans, attributes, points, buckets, resources, scopes.
MANY = {
    "spans": ("traces", field(1, field(2, b"\x12\x00" * 1_000_000))),
    "attributes": ("traces", field(1, field(2, field(2, _SPAN + b"\x4a\x00" * 1_000_000)))),
    "scopes": ("traces", field(1, b"\x12\x00" * 1_000_000)),
    "resources": ("logs", b"\x0a\x00" * 1_000_000),
    "points": ("metrics", field(1, field(2, field(2, field(5, b"\x0a\x00" * 1_000_000))))),
    "buckets": (
        "metrics",
        field(1, field(2, field(2, field(10, field(1, field(8, field(2, b"\x01" * 1_000_000))))))),
    ),
    "damaged": ("traces", field(1, field(2, b"\x12\x00" * 1_000_000)) + b"\xff"),
    "JSON": ("traces", b'{"resourceSpans":[' + b"{}," * 999_999 + b"{}]}"),
    "JSON with strings": ("traces", b'{"a":"\\"","resourceSpans":[' + b'"\\\\",' * 999_999 + b"{}]}"),
    "JSON that is cut": ("traces", b'{"a":' + b"[1," * 1_000_000 + b'"\\'),
}


@pytest.mark.parametrize("what", MANY)
def test_more_values_than_memory_has_room_for(found: Receiving, what: str) -> None:
    """Two bytes can stand for two hundred in memory: they are counted before anything is read."""
    signal, body = MANY[what]
    headers = {"Content-Type": JSON if what.startswith("JSON") else PROTOBUF, "Content-Encoding": "gzip"}
    with contextlib.closing(found.connect()) as connection:
        answer = ask(connection, found.path(signal), gzip.compress(body, 1), headers)
    assert answer.status == 413
    assert b"300000 values" in answer.body


def test_what_only_looks_like_values_is_taken(found: Receiving) -> None:
    """A long text with commas and braces in it is one value, in JSON and in protobuf."""
    text = ',{["' * 500_000
    with contextlib.closing(found.connect()) as connection:
        body = json.dumps(around("logs", {"body": {"stringValue": text}}, {}, {})).encode()
        assert ask(connection, found.path("logs"), body, {"Content-Type": JSON}).status == 200
        body = field(1, field(2, field(2, field(5, field(1, text.encode())))))
        assert ask(connection, found.path("logs"), body, {"Content-Type": PROTOBUF}).status == 200


def test_a_large_resource_costs_its_scopes_nothing(found: Receiving) -> None:
    """A resource is read once, however many scopes it has; more than ten thousand are refused."""
    resource = {"attributes": [{"key": "a", "value": {"stringValue": "b" * 1_000_000}}]}
    for count, status in ((9_000, 200), (10_001, 413)):
        group = {"resource": resource, "scopeSpans": [{"spans": []}] * count}
        body = json.dumps({"resourceSpans": [group]}).encode()
        with contextlib.closing(found.connect()) as connection:
            answer = ask(connection, found.path("traces"), body, {"Content-Type": JSON})
        assert answer.status == status
