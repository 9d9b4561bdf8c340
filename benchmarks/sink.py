"""An OTLP/HTTP endpoint that only counts: `python -m benchmarks.sink PORTFILE`; GET says how many came."""

from __future__ import annotations

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    count: ClassVar[int] = 0
    lock: ClassVar[threading.Lock] = threading.Lock()

    def do_GET(self) -> None:
        self._answer("text/plain", str(Sink.count).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.headers["Content-Type"]
        found = body.count(b'"spanId":"') if kind == "application/json" else _spans(body)
        with Sink.lock:
            Sink.count += found
        self._answer(kind, b"{}" if kind == "application/json" else b"")

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:  # type: ignore[override]  # nobody reads it
        pass


def _spans(body: bytes) -> int:
    request = ExportTraceServiceRequest.FromString(body)
    return sum(len(part.spans) for group in request.resource_spans for part in group.scope_spans)


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    new = f"{sys.argv[1]}.new"
    with open(new, "w") as file:
        file.write(str(server.server_address[1]))
    os.rename(new, sys.argv[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
