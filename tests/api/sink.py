"""An OTLP/HTTP receiver on loopback that keeps what it gets, and endpoints that are no good."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span


class Sink(ThreadingHTTPServer):
    """Keeps every request as protobuf has it, with its path and headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[ExportTraceServiceRequest] = []
        self.seen: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        """Return the address for traces."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1/traces"

    def resources(self) -> list[ResourceSpans]:
        """Return what has come, by resource."""
        return [found for request in self.requests for found in request.resource_spans]

    def spans(self) -> list[Span]:
        """Return every span that has come."""
        return [span for found in self.resources() for scope in found.scope_spans for span in scope.spans]


class Handler(BaseHTTPRequestHandler):
    """Takes one request."""

    server: Sink

    def do_POST(self) -> None:
        """Keep what is posted."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class's name
        """Say nothing."""


@contextlib.contextmanager
def sink() -> Iterator[Sink]:
    """Run a sink."""
    with Sink() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def hanging() -> Iterator[str]:
    """Give the address of an endpoint that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    """Give the address of an endpoint where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"
    yield url


def attributes(found: list[KeyValue]) -> dict[str, object]:
    """Return attributes as plain values."""
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in found}
