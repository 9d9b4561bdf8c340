"""The OTLP server that the relay's tests send to: it keeps what comes, and behaves as badly as it is told."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest
import urllib3

from gastown_tracing.journal.otlp import Log, Span, encode_resource, logs_line, spans_line
from tests.relay.otlp_server import OtlpServer

TRACE = "0af7651916cd43dd8448eb211c80319c"
RESOURCE = encode_resource({"service.name": "gastown"})
METRICS = (
    b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"n","sum":{"aggregationTemporality":2,"isMonotonic":true,'
    b'"dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"%d","asInt":"%d"}]}}]}]}]}'
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtlpServer]:
    with OtlpServer(tmp_path_factory.mktemp("server"), keep=True) as server:
        yield server


@pytest.fixture
def server(running: OtlpServer) -> OtlpServer:
    running.answer("ok")
    return running


def post(url: str, body: bytes, **headers: str) -> urllib3.BaseHTTPResponse:
    given = {
        "Content-Type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    with urllib3.PoolManager(retries=False, timeout=1.0) as pool:
        return pool.request("POST", url, body=body, headers=given)


def test_it_keeps_ids_and_contents_and_counts_what_comes_again(server: OtlpServer) -> None:
    line = spans_line(RESOURCE, [Span(TRACE, "00f067aa0ba902b7", name="one")])
    for body in (line, line, line.replace(b"one", b"two")):
        assert post(server.url("traces"), body).status == 200
    assert len(server.spans()["00f067aa0ba902b7"]) == 2
    assert server.stats()["traces.resent"] == 2


def test_it_takes_gzip_and_says_which_log_records_came(server: OtlpServer) -> None:
    line = logs_line(RESOURCE, [Log(1, attributes={"log.record.uid": "a"})])
    assert post(server.url("logs"), gzip.compress(line), Content_Encoding="gzip").status == 200
    assert list(server.logs()) == ["a"]
    assert server.requests("logs")[0].body == line


def test_it_tells_a_cumulative_point_that_goes_down(server: OtlpServer) -> None:
    for time, value in ((1, 5), (2, 7)):
        assert post(server.url("metrics"), METRICS % (time, value)).status == 200
    assert server.metrics()["violations"] == []
    assert server.metrics()["series"][0]["point"]["asInt"] == 7
    post(server.url("metrics"), METRICS % (3, 6))
    assert len(server.metrics()["violations"]) == 1


def test_it_answers_as_it_is_told(server: OtlpServer) -> None:
    server.answer("status", status=429, retry_after=7, times=1)
    refused = post(server.url("traces"), b"{}")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "7")
    assert post(server.url("traces"), b'{"resourceSpans":[]}').status == 200
    for mode in ("hang", "garbage", "close", "lost", "endless", "refuse"):
        server.answer(mode)
        with pytest.raises(urllib3.exceptions.HTTPError):
            post(server.url("traces"), b'{"resourceSpans":[]}').read()
    server.answer("ok")
    assert post(server.url("traces"), b'{"resourceSpans":[]}').status == 200
