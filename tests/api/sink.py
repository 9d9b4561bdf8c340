"""An OTLP/HTTP receiver on loopback that keeps what it gets, and endpoints that are no good."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import threading
import zlib
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

SIGNALS = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
#: The address of a signal in the environment.
VARIABLES = {signal: f"GT_OTEL_{signal.upper()}_URL" for signal in SIGNALS}
_ENCODINGS = {"gzip": gzip.decompress, "deflate": zlib.decompress}


class Sink(ThreadingHTTPServer):
    """Keeps every request as protobuf has it, with its path and headers.

    A path ends in `/v1/SIGNAL`, whatever stands in front of it; anything else is answered with 404. `seen`
    are (path, headers in lower case), `seen_of(signal)` those of one signal. `status` is what is answered,
    as soon as `gate` is set.
    """

    daemon_threads = True

    def __init__(self, certificate: tuple[str, str] | None = None, clients: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.received: dict[str, list] = {signal: [] for signal in SIGNALS}
        self._scheme = "http"
        if certificate is not None:
            self._scheme = "https"
            settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            settings.load_cert_chain(*certificate)
            if clients:
                settings.verify_mode = ssl.CERT_REQUIRED
                settings.load_verify_locations(clients)
            self.socket = settings.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        """Return the address for traces."""
        return self.url_of("traces")

    def url_of(self, signal: str) -> str:
        """Return the address for `traces`, `logs` or `metrics`."""
        return f"{self._scheme}://127.0.0.1:{self.server_address[1]}/v1/{signal}"

    def env(self) -> dict[str, str]:
        """Return the variables that send all three signals here."""
        return {variable: self.url_of(signal) for signal, variable in VARIABLES.items()}

    def seen_of(self, signal: str) -> list[dict[str, str]]:
        """Return the headers of each request for a signal."""
        return [headers for path, headers in self.seen if path.endswith(f"/{signal}")]

    def resources(self) -> list[ResourceSpans]:
        """Return the spans that have come, by resource."""
        return [found for request in self.received["traces"] for found in request.resource_spans]

    def resource_logs(self) -> list[ResourceLogs]:
        """Return the log records that have come, by resource."""
        return [found for request in self.received["logs"] for found in request.resource_logs]

    def resource_metrics(self) -> list[ResourceMetrics]:
        """Return the metrics that have come, by resource: one or more each time they were exported."""
        return [found for request in self.received["metrics"] for found in request.resource_metrics]

    def spans(self) -> list[Span]:
        """Return every span that has come."""
        return [span for found in self.resources() for scope in found.scope_spans for span in scope.spans]

    def logs(self) -> list[LogRecord]:
        """Return every log record that has come."""
        return [
            record
            for found in self.resource_logs()
            for scope in found.scope_logs
            for record in scope.log_records
        ]

    def metrics(self) -> list[Metric]:
        """Return every metric that has come; cumulative ones come again each time."""
        return [
            metric
            for found in self.resource_metrics()
            for scope in found.scope_metrics
            for metric in scope.metrics
        ]

    def points(self, name: str) -> list[NumberDataPoint | HistogramDataPoint]:
        """Return the points of the metric `name` as they came last, none where it never came."""
        found = [metric for metric in self.metrics() if metric.name == name]
        return list(getattr(found[-1], found[-1].WhichOneof("data")).data_points) if found else []


class Handler(BaseHTTPRequestHandler):
    """Takes one request."""

    server: Sink

    def do_POST(self) -> None:
        """Keep what is posted."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        kind = SIGNALS.get(self.path.rpartition("/v1/")[2])
        decode = _ENCODINGS.get(headers.get("content-encoding", ""), bytes)
        status = self.server.status if kind else 404
        if kind and status == 200:
            self.server.received[self.path.rpartition("/")[2]].append(kind.FromString(decode(body)))
        self.server.seen.append((self.path, headers))
        self.server.gate.wait()
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class's name
        """Say nothing."""


@contextlib.contextmanager
def sink(certificate: tuple[str, str] | None = None, clients: str = "") -> Iterator[Sink]:
    """Run a sink; with `certificate`, the files of a certificate and its key, over TLS.

    `clients` is the file of a certificate that clients must show.
    """
    with Sink(certificate, clients) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def hanging(signal: str = "traces") -> Iterator[str]:
    """Give the address of an endpoint that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1/{signal}"


@contextlib.contextmanager
def refusing(signal: str = "traces") -> Iterator[str]:
    """Give the address of an endpoint where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1/{signal}"
    yield url


def attributes(found: Iterable[KeyValue]) -> dict[str, object]:
    """Return attributes, or the labels of a point, as plain values."""
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in found}
