"""rotel, a collector nobody here wrote, between a test and a sink: what it takes comes out as protobuf."""

from __future__ import annotations

import gzip
import importlib.util
import os
import socket
import subprocess
import sysconfig
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

DEADLINE = 30.0


def find_rotel() -> str | None:
    """Return the path of the collector in the PyPI package, None where there is none that runs.

    Its program needs this interpreter's shared library, which not every interpreter comes with.
    """
    spec = importlib.util.find_spec("rotel")
    if spec is None or spec.origin is None:
        return None
    path = str(Path(spec.origin).parent / "rotel-agent")
    try:
        subprocess.run([path, "--version"], env=_environment(), capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return path


class Sink:
    """A loopback OTLP/HTTP server that keeps the spans and log records it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.logs: list[Any] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                sink.take(self.path, body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            traces = ExportTraceServiceRequest.FromString(body)
            groups = [scope for group in traces.resource_spans for scope in group.scope_spans]
            self.spans += [span for scope in groups for span in scope.spans]
        elif path == "/v1/logs":
            logs = ExportLogsServiceRequest.FromString(body)
            scopes = [scope for group in logs.resource_logs for scope in group.scope_logs]
            self.logs += [record for scope in scopes for record in scope.log_records]


class Rotel:
    """A running collector. `url` takes OTLP/HTTP, `sink` holds what came out at the other end."""

    def __init__(self, url: str, sink: Sink) -> None:
        self.url = url
        self.sink = sink

    def post(self, signal: str, line: bytes) -> int:
        """Send one line of OTLP JSON as it is to /v1/`signal` and return the answer's status."""
        request = urllib.request.Request(  # noqa: S310 - a loopback address
            f"{self.url}/v1/{signal}", line, {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code


@contextmanager
def running_rotel(directory: Path) -> Iterator[Rotel]:
    """Run rotel with a sink behind it; both end with the block."""
    program = find_rotel()
    assert program is not None, "rotel is not installed"
    sink = Sink()
    threading.Thread(target=sink.server.serve_forever, daemon=True).start()
    grpc, http = free_port(), free_port()
    exporter = [
        "--exporter",
        "otlp",
        "--otlp-exporter-protocol",
        "http",
        "--otlp-exporter-endpoint",
        sink.url,
    ]
    receiver = ["--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--otlp-http-endpoint", f"127.0.0.1:{http}"]
    files = ["--pid-file", str(directory / "rotel.pid"), "--log-file", str(directory / "rotel.log")]
    with open(directory / "rotel.out", "wb") as output:
        process = subprocess.Popen(
            [program, "start", *receiver, *exporter, *files], stdout=output, stderr=output, env=_environment()
        )
    try:
        wait_until(lambda: _listens(http) or process.poll() is not None)
        yield Rotel(f"http://127.0.0.1:{http}", sink)
    finally:
        process.terminate()
        process.wait(DEADLINE)
        sink.server.shutdown()
        sink.server.server_close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, asking often; after 30 s the test fails."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return {**environment, "LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))}


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
