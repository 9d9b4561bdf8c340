"""`gt-trace view --json`: what it prints is a request that a receiver nobody here wrote takes whole."""

from __future__ import annotations

import gzip
import importlib.util
import json
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from view_kit import ROOT, RUN, Book, a_day

from tests.conftest import clean_environ
from tests.processes import wait_until

Run = Callable[..., subprocess.CompletedProcess[str]]


def spans(text: str) -> list[dict[str, object]]:
    """Return the spans of a TracesData object."""
    groups = json.loads(text)["resourceSpans"]
    return [span for group in groups for scope in group["scopeSpans"] for span in scope["spans"]]


def test_it_prints_one_object_grouped_by_resource(journal_root: Path, gt_trace: Run) -> None:
    """All spans that have ended, the root among them, each once, under the one resource they share."""
    a_day(journal_root)
    text = gt_trace("view", RUN, "--json").stdout
    assert text.count("\n") == 1
    assert len(json.loads(text)["resourceSpans"]) == 1
    found = spans(text)
    assert len(found) == len({span["spanId"] for span in found}) == 96
    assert ROOT in {span["spanId"] for span in found}
    assert {span["traceId"] for span in found} == {RUN}


def test_what_has_not_ended_is_not_in_it(journal_root: Path, gt_trace: Run) -> None:
    """A span is never sent with two contents: neither the open root nor a call in progress is printed."""
    book = Book(journal_root)
    book.span("exec", 1, 2, attributes={"name": "make"})
    book.marker("exec", 3, live=True)
    assert [span["name"] for span in spans(gt_trace("view", "--json").stdout)] == ["exec"]


def test_logs_are_a_second_line(journal_root: Path, gt_trace: Run) -> None:
    """--logs adds one LogsData object with every record."""
    a_day(journal_root)
    traces, logs = gt_trace("view", RUN, "--json", "--logs").stdout.splitlines()
    assert len(spans(traces)) == 96
    records = [
        record
        for group in json.loads(logs)["resourceLogs"]
        for scope in group["scopeLogs"]
        for record in scope["logRecords"]
    ]
    assert [record["severityNumber"] for record in records] == [9, 17]


@pytest.fixture
def received() -> Iterator[tuple[int, list[Span]]]:
    """A place that rotel sends on to: its port, and the spans that came, as protobuf."""
    came: list[Span] = []

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest.FromString(body)
            came.extend(
                span
                for group in request.resource_spans
                for scope in group.scope_spans
                for span in scope.spans
            )
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name for it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, came
    server.shutdown()
    server.server_close()


@pytest.fixture
def rotel(received: tuple[int, list[Span]], tmp_path: Path) -> Iterator[str]:
    """The address of a running rotel, a collector written in Rust that is strict about the wire format."""
    found = importlib.util.find_spec("rotel")
    if found is None or found.origin is None:
        pytest.skip("rotel is not installed")
    with socket.create_server(("127.0.0.1", 0)) as grpc, socket.create_server(("127.0.0.1", 0)) as http:
        ports = grpc.getsockname()[1], http.getsockname()[1]
    options = {
        "--pid-file": str(tmp_path / "pid"),
        "--otlp-grpc-endpoint": f"127.0.0.1:{ports[0]}",
        "--otlp-http-endpoint": f"127.0.0.1:{ports[1]}",
        "--exporter": "otlp",
        "--otlp-exporter-endpoint": f"http://127.0.0.1:{received[0]}",
        "--otlp-exporter-protocol": "http",
    }
    command = [
        str(Path(found.origin).with_name("rotel-agent")),
        "start",
        *(word for pair in options.items() for word in pair),
    ]
    with (tmp_path / "rotel.log").open("wb") as log:
        process = subprocess.Popen(command, env=clean_environ(), stdout=log, stderr=log, cwd=tmp_path)
    yield f"http://127.0.0.1:{ports[1]}/v1/traces"
    process.terminate()
    process.wait(30)


def post(url: str, body: bytes) -> int:
    """Send an OTLP/HTTP JSON request and return the status, 0 where nobody answers yet."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.mark.peer
def test_a_receiver_nobody_here_wrote_takes_it_whole(
    journal_root: Path, gt_trace: Run, rotel: str, received: tuple[int, list[Span]]
) -> None:
    """Rotel accepts the printed line as it is and passes on every span, ids, parents and links intact."""
    a_day(journal_root)
    body = gt_trace("view", RUN, "--json").stdout.encode()
    status: list[int] = []
    wait_until(lambda: status.append(post(rotel, body)) or status[-1], "rotel answers")
    assert status[-1] == 200
    wait_until(lambda: len(received[1]) >= 96, "rotel passes the spans on")
    came = {span.span_id.hex(): span for span in received[1]}
    assert len(came) == 96
    assert {span.trace_id.hex() for span in came.values()} == {RUN}
    assert came[ROOT].parent_span_id == b""
    assert sum(len(span.links) for span in came.values()) == 1
    assert sum(span.status.code == 2 for span in came.values()) == 3
