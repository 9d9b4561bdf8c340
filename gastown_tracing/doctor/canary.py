"""One span, log record and metric that say they come from here, and the requests that carry them."""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from gastown_tracing._version import VERSION
from gastown_tracing.sessions import processes

if TYPE_CHECKING:
    from google.protobuf.message import Message

SERVICE, SPAN, METRIC = "gastown-doctor", "gt-trace doctor", "gastown.doctor.canary"
JSON, PROTOBUF = "application/json", "application/x-protobuf"

#: What an endpoint of each signal answers with.
RESPONSES: dict[str, type[Any]] = {
    "traces": ExportTraceServiceResponse,
    "logs": ExportLogsServiceResponse,
    "metrics": ExportMetricsServiceResponse,
}
_EMPTY = {
    "traces": b'{"resourceSpans":[]}',
    "logs": b'{"resourceLogs":[]}',
    "metrics": b'{"resourceMetrics":[]}',
}
_IDS = ("traceId", "spanId")


def empty(signal: str, media_type: str) -> bytes:
    """Return a request that carries nothing."""
    return _EMPTY[signal] if media_type == JSON else b""


class Canary:
    """What is sent and looked for: a trace of its own, and `value`, the metric's, which no other one has."""

    def __init__(self) -> None:
        self.trace = bytes([0x10 | secrets.randbelow(0xF0)]) + secrets.token_bytes(15)
        self.span = bytes([0x10 | secrets.randbelow(0xF0)]) + secrets.token_bytes(7)
        self.time_ns = time.time_ns()
        self.value = self.time_ns // 1_000_000

    @property
    def trace_id(self) -> str:
        """Return the trace id in hex."""
        return self.trace.hex()

    def request(self, signal: str, media_type: str) -> bytes:
        """Return the request that carries the canary of a signal."""
        message: Message = getattr(self, f"_{signal}")()
        if media_type == PROTOBUF:
            return message.SerializeToString()
        plain = MessageToDict(message, use_integers_for_enums=True)
        return json.dumps(_with_hexadecimal_ids(plain)).encode()

    def _traces(self) -> ExportTraceServiceRequest:
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add(resource=_resource())
        span = group.scope_spans.add().spans.add(
            trace_id=self.trace, span_id=self.span, name=SPAN, kind="SPAN_KIND_INTERNAL"
        )
        span.start_time_unix_nano, span.end_time_unix_nano = self.time_ns, self.time_ns + 1_000_000
        return request

    def _logs(self) -> ExportLogsServiceRequest:
        request = ExportLogsServiceRequest()
        group = request.resource_logs.add(resource=_resource())
        record = group.scope_logs.add().log_records.add(severity_number="SEVERITY_NUMBER_INFO")
        record.time_unix_nano = record.observed_time_unix_nano = self.time_ns
        record.trace_id, record.span_id = self.trace, self.span
        record.severity_text = "INFO"
        record.body.string_value = f"{SPAN} {self.trace_id}"
        return request

    def _metrics(self) -> ExportMetricsServiceRequest:
        request = ExportMetricsServiceRequest()
        group = request.resource_metrics.add(resource=_resource())
        point = group.scope_metrics.add().metrics.add(name=METRIC).gauge.data_points.add()
        point.time_unix_nano, point.as_double = self.time_ns, float(self.value)
        return request


def rejected(signal: str, media_type: str, body: bytes) -> str:
    """Return why an endpoint that answered with 2xx did not take what was sent, "" where it did."""
    if media_type == JSON:
        try:
            said = json.loads(body).get("partialSuccess") or {}
            return str(said.get("errorMessage") or ("it says so" if any(said.values()) else ""))
        except (ValueError, AttributeError):
            return ""
    response = RESPONSES[signal]()
    try:
        response.ParseFromString(body)
    except Exception:  # protobuf's own error has another base in each of its implementations
        return ""
    partial = response.partial_success
    return str(partial.error_message or ("it says so" if partial.ByteSize() else ""))


def _resource() -> Resource:
    attributes = {"service.name": SERVICE, "service.version": VERSION, "host.name": processes.host()}
    return Resource(
        attributes=[
            KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes.items()
        ]
    )


def _with_hexadecimal_ids(value: Any) -> Any:
    """Return a message as OTLP JSON has it: ids in hex (OTLP specification, "JSON Protobuf Encoding")."""
    if isinstance(value, list):
        return [_with_hexadecimal_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64decode(item).hex() if key in _IDS else _with_hexadecimal_ids(item)
        for key, item in value.items()
    }
