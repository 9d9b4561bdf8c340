"""What the receiver answers, in the encoding that was asked in (OTLP specification, "OTLP/HTTP Response")."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from gastown_tracing.relay.receiver.bodies import JSON, PROTOBUF, Refused
from gastown_tracing.relay.receiver.requests import LOGS, TRACES, Rejected, Signal


@dataclass(frozen=True)
class Answer:
    """A status, its headers beside the length, and a body."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def phrase(self) -> str:
        """Return the status in words."""
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return ""


def taken(signal: Signal, kind: str, rejected: Rejected) -> Answer:
    """Return the answer to a request that was taken, but for what of it was unusable."""
    if kind == JSON:
        partial = (
            {"partialSuccess": {signal.noun: str(rejected.count), "errorMessage": rejected.reason}}
            if rejected.count
            else {}
        )
        return Answer(200, [("Content-Type", JSON)], orjson.dumps(partial))
    return Answer(200, [("Content-Type", PROTOBUF)], _protobuf(signal, rejected))


def _protobuf(signal: Signal, rejected: Rejected) -> bytes:
    if not rejected.count:
        return b""  # a message without fields
    if signal is TRACES:
        traces = ExportTraceServiceResponse()
        traces.partial_success.rejected_spans = rejected.count
        traces.partial_success.error_message = rejected.reason
        return traces.SerializeToString()
    if signal is LOGS:
        logs = ExportLogsServiceResponse()
        logs.partial_success.rejected_log_records = rejected.count
        logs.partial_success.error_message = rejected.reason
        return logs.SerializeToString()
    metrics = ExportMetricsServiceResponse()
    metrics.partial_success.rejected_data_points = rejected.count
    metrics.partial_success.error_message = rejected.reason
    return metrics.SerializeToString()


def refused(error: Refused, kind: str) -> Answer:
    """Return the answer to a request that was not taken; `kind` is its media type, "" for an unknown one."""
    headers = []
    if error.retry_after:
        headers.append(("Retry-After", str(max(1, math.ceil(error.retry_after)))))
    if error.allow:
        headers.append(("Allow", error.allow))
    if kind == PROTOBUF:
        body = _status(error.reason)
    elif kind == JSON:
        body = orjson.dumps({"message": error.reason})
    else:
        kind, body = "text/plain; charset=utf-8", f"{error.reason}\n".encode()
    return Answer(error.status, [("Content-Type", kind), *headers], body)


def _status(message: str) -> bytes:
    """Return a google.rpc.Status in protobuf that has nothing but a message: field 2, a string."""
    text = message.encode()[:127]  # so that its length is one byte
    return b"\x12" + bytes([len(text)]) + text
