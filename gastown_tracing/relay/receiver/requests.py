"""One OTLP request, decoded: its groups of one resource and scope, and their records as plain JSON.

What is wrong with the request as a whole is found before anything of it is used (`BadBody`). What is wrong
with one record costs that record alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gastown_tracing.relay.receiver.bodies import Refused
from gastown_tracing.relay.receiver.transcode import Json, Unusable, from_json, from_protobuf
from gastown_tracing.relay.receiver.weighing import json_holds_more, protobuf_holds_more

#: Records that are decoded at a time.
CHUNK = 256
#: Groups of one request at most: each may be a line with a resource of its own.
GROUPS = 10_000


@dataclass(frozen=True)
class Signal:
    """How a request of a signal is built: its message, and what the three levels are called.

    `noun` is what OTLP calls its records in a partial success.
    """

    name: str
    message: Callable[[], Message]
    outer: str
    middle: str
    inner: str
    noun: str


TRACES = Signal(
    "traces", ExportTraceServiceRequest, "resource_spans", "scope_spans", "spans", "rejectedSpans"
)
LOGS = Signal(
    "logs", ExportLogsServiceRequest, "resource_logs", "scope_logs", "log_records", "rejectedLogRecords"
)
METRICS = Signal(
    "metrics",
    ExportMetricsServiceRequest,
    "resource_metrics",
    "scope_metrics",
    "metrics",
    "rejectedDataPoints",
)
SIGNALS = {signal.name: signal for signal in (TRACES, LOGS, METRICS)}


class BadBody(ValueError):  # noqa: N818 - an answer, and no fault of ours
    """A body that is no request of OTLP; the text is one line and repeats nothing of it."""


@dataclass(slots=True)
class Rejected:
    """How many records of a request were unusable, and why the last one was."""

    count: int = 0
    reason: str = ""

    def add(self, reason: str, count: int = 1) -> None:
        """Count some more."""
        self.count += count
        self.reason = reason


@dataclass(slots=True)
class Group:
    """The records of one resource and scope, decoded when they are asked for."""

    resource: Json
    resource_schema: str
    scope: Json
    scope_schema: str
    raw: Sequence[Any]
    decode: Callable[[Any], Json]
    #: Returns the trace id of a record that is not decoded yet.
    trace_id: Callable[[Any], str]

    def chunks(self, rejected: Rejected) -> Iterator[list[Json]]:
        """Yield the records, CHUNK at a time; what is unusable is counted."""
        for start in range(0, len(self.raw), CHUNK):
            yield [
                record for item in self.raw[start : start + CHUNK] if (record := self._record(item, rejected))
            ]

    def _record(self, item: Any, rejected: Rejected) -> Json | None:
        try:
            return self.decode(item)
        except Unusable as error:
            rejected.add(str(error))
            return None


def from_body(signal: Signal, body: bytes, is_json: bool, values: int) -> list[Group]:
    """Return a request's groups, those of one resource with the same object for it.

    Raises BadBody; Refused for one of more than so many `values`, of which nothing has been read then.
    """
    found = _of_json(signal, body, values) if is_json else _of_protobuf(signal, body, values)
    groups = list(islice(found, GROUPS + 1))
    if len(groups) > GROUPS:
        raise Refused(413, f"the body has more than {GROUPS} resources and scopes")
    return groups


def _too_many(values: int) -> Refused:
    return Refused(413, f"the body has more than {values} values")


def _of_protobuf(signal: Signal, body: bytes, values: int) -> Iterator[Group]:
    request = signal.message()
    if protobuf_holds_more(body, request.DESCRIPTOR, values):
        raise _too_many(values)
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise BadBody(f"not an OTLP request of {signal.name} in protobuf") from None
    for outer in getattr(request, signal.outer):
        resource = from_protobuf(outer.resource)
        for middle in getattr(outer, signal.middle):
            yield Group(
                resource,
                outer.schema_url,
                from_protobuf(middle.scope),
                middle.schema_url,
                getattr(middle, signal.inner),
                from_protobuf,
                _hex_trace_id,
            )


def _hex_trace_id(record: Any) -> str:
    return bytes(record.trace_id).hex()


def _of_json(signal: Signal, body: bytes, values: int) -> Iterator[Group]:
    if json_holds_more(body, values):
        raise _too_many(values)
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadBody("not JSON in UTF-8") from None
    whole: Any = signal.message().DESCRIPTOR
    outer_type = whole.fields_by_name[signal.outer].message_type
    middle_type = outer_type.fields_by_name[signal.middle].message_type
    try:
        for outer in _listed(request, _camel(signal.outer)):
            middles = _listed(outer, _camel(signal.middle))
            # Only what is around the records is read now.
            around = from_json({name: outer.get(name) for name in ("resource", "schemaUrl")}, outer_type)
            for middle in middles:
                yield _json_group(around, middle, middle_type, signal)
    except Unusable as error:
        raise BadBody(f"not an OTLP request of {signal.name}: {error}") from None


def _json_group(around: Json, middle: Json, middle_type: Any, signal: Signal) -> Group:
    inner = middle_type.fields_by_name[signal.inner].message_type
    records = _listed(middle, _camel(signal.inner))
    within = from_json({"scope": middle.get("scope"), "schemaUrl": middle.get("schemaUrl")}, middle_type)
    return Group(
        around.setdefault("resource", {}),
        around.get("schemaUrl", ""),
        within.get("scope", {}),
        within.get("schemaUrl", ""),
        records,
        lambda record: from_json(record, inner),
        _json_trace_id,
    )


def _json_trace_id(record: Any) -> str:
    found = record.get("traceId") if isinstance(record, dict) else None
    return found.lower() if isinstance(found, str) else ""


def _listed(found: object, name: str) -> list[Any]:
    """Return the list of this name in an object. Raises Unusable."""
    if not isinstance(found, dict):
        raise Unusable(f"what holds {name} is no object")
    listed = found.get(name)
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise Unusable(f"{name} is no list")
    return listed


def _camel(name: str) -> str:
    first, _, second = name.partition("_")
    return first + second.capitalize()
