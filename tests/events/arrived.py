"""What arrived at a receiver, as plain data: from protobuf, or from OTLP JSON by way of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from tests.api.sink import Sink, attributes
from tests.journal.journal_kit import with_base64_ids

#: The kinds of spans and of metrics as the registry names them, by OTLP's numbers and fields.
SPAN_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
METRIC_KINDS = {"sum": "counter", "histogram": "histogram", "gauge": "gauge"}
CUMULATIVE = 2


@dataclass(frozen=True)
class Source:
    """Who says it: the resource's attributes, and the scope's name and version."""

    resource: dict[str, object]
    scope: tuple[str, str]


@dataclass(frozen=True)
class Log:
    source: Source
    event_name: str
    body: object
    severity: tuple[int, str]
    trace_id: str
    span_id: str
    flags: int
    time_ns: int
    attributes: dict[str, object]


@dataclass(frozen=True)
class Span:
    source: Source
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    flags: int
    start_ns: int
    end_ns: int
    status: tuple[int, str]
    attributes: dict[str, object]


@dataclass(frozen=True)
class Point:
    """One series of a metric. `value` is a number, of a histogram (count, sum, counts of the buckets)."""

    source: Source
    metric: str
    kind: str
    doc: str
    unit: str
    labels: dict[str, object]
    value: object
    bounds: tuple[float, ...]
    cumulative: bool
    monotonic: bool
    exemplars: list[tuple[str, str, float]]


class Arrived:
    """Everything that one process sent. Of a series the point that came last counts."""

    def __init__(self) -> None:
        self.logs: list[Log] = []
        self.spans: list[Span] = []
        self.series: dict[tuple[str, frozenset[tuple[str, object]]], Point] = {}

    @property
    def points(self) -> list[Point]:
        return list(self.series.values())

    def sources(self) -> list[Source]:
        return [found.source for found in (*self.logs, *self.spans, *self.points)]

    def points_of(self, metric: str) -> list[Point]:
        return [point for point in self.points if point.metric == metric]

    def take_spans(self, groups: Iterable[Any]) -> None:
        for group in groups:
            for scope in group.scope_spans:
                source = _source(group, scope)
                self.spans += [_span(source, span) for span in scope.spans]

    def take_logs(self, groups: Iterable[Any]) -> None:
        for group in groups:
            for scope in group.scope_logs:
                source = _source(group, scope)
                self.logs += [_log(source, record) for record in scope.log_records]

    def take_metrics(self, groups: Iterable[Any]) -> None:
        for group in groups:
            for scope in group.scope_metrics:
                source = _source(group, scope)
                for metric in scope.metrics:
                    for point in getattr(metric, metric.WhichOneof("data")).data_points:
                        found = _point(source, metric, point)
                        self.series[found.metric, frozenset(found.labels.items())] = found


def from_sink(sink: Sink) -> Arrived:
    """Return what a receiver of the tests has got."""
    found = Arrived()
    found.take_spans(sink.resources())
    found.take_logs(sink.resource_logs())
    found.take_metrics(sink.resource_metrics())
    return found


def from_json(*texts: Mapping[str, Any]) -> Arrived:
    """Return what objects of OTLP JSON hold; a key that OTLP does not know is passed over."""
    found = Arrived()
    for text in map(with_base64_ids, texts):
        found.take_spans(ParseDict(text, TracesData(), ignore_unknown_fields=True).resource_spans)
        found.take_logs(ParseDict(text, LogsData(), ignore_unknown_fields=True).resource_logs)
        found.take_metrics(ParseDict(text, MetricsData(), ignore_unknown_fields=True).resource_metrics)
    return found


def _source(group: Any, scope: Any) -> Source:
    return Source(attributes(group.resource.attributes), (scope.scope.name, scope.scope.version))


def _log(source: Source, record: Any) -> Log:
    assert not record.dropped_attributes_count
    return Log(
        source,
        record.event_name,
        record.body.string_value,
        (record.severity_number, record.severity_text),
        record.trace_id.hex(),
        record.span_id.hex(),
        record.flags,
        record.time_unix_nano,
        attributes(record.attributes),
    )


def _span(source: Source, span: Any) -> Span:
    assert not span.dropped_attributes_count
    return Span(
        source,
        span.name,
        SPAN_KINDS[span.kind],
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.flags,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        (span.status.code, span.status.message),
        attributes(span.attributes),
    )


def _point(source: Source, metric: Any, point: Any) -> Point:
    kind = str(metric.WhichOneof("data"))
    data = getattr(metric, kind)
    if kind == "histogram":
        value: object = point.count, point.sum, tuple(point.bucket_counts)
    else:
        value = getattr(point, point.WhichOneof("value"))
    return Point(
        source,
        metric.name,
        METRIC_KINDS[kind],
        metric.description,
        metric.unit,
        attributes(point.attributes),
        value,
        tuple(point.explicit_bounds) if kind == "histogram" else (),
        kind == "gauge" or data.aggregation_temporality == CUMULATIVE,
        kind != "sum" or data.is_monotonic,
        [_exemplar(found) for found in point.exemplars],
    )


def _exemplar(found: Any) -> tuple[str, str, float]:
    return found.trace_id.hex(), found.span_id.hex(), float(getattr(found, found.WhichOneof("value")))
