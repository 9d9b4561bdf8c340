"""Series as requests of OTLP/protobuf: ExportMetricsServiceRequest, cumulative, of 2 MiB at most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar as ExemplarMessage

from gastown_tracing.events.schema import GAUGE, HISTOGRAM
from gastown_tracing.relay.series import Gauge, Histogram

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

    from gastown_tracing.relay.series import Entry, Exemplar, Items, Named, Number, Series, Sum

#: Bytes of a request at most.
LIMIT = 2 << 20
#: Bytes by which a message grows beyond its parts, for each of the levels above a point.
_FRAME = 16

_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


@dataclass(slots=True)
class Request:
    """One request, and which metrics it has."""

    message: ExportMetricsServiceRequest = field(default_factory=ExportMetricsServiceRequest)
    names: dict[Named, None] = field(default_factory=dict)
    size: int = 0

    def body(self) -> bytes:
        """Return it as it is sent."""
        return self.message.SerializeToString()


def encode(entries: Iterable[Entry], time_ns: int, base: Items = (), limit: int = LIMIT) -> Iterator[Request]:
    """Return requests of up to `limit` bytes with these series at `time_ns`; a gauge has a time of its own.

    Of a series that no backend knows it is the point at which it began, which is 0: else a rate over it would
    miss what it was first exported with.
    `base` is the resource of the series that stands for those beyond the limit. A point that is larger than
    `limit` comes alone.
    """
    builder = _Builder(time_ns, base, limit)
    for entry in sorted(entries, key=_order):
        yield from builder.add(entry)
    if builder.request.names:
        yield builder.request


def _order(entry: Entry) -> tuple[str, str, str, str]:
    named = entry.family.named
    return repr(entry.resource), named.scope, named.name, named.kind


class _Builder:
    """Puts one point after the other into requests, those of one resource, scope and metric together."""

    def __init__(self, time_ns: int, base: Items, limit: int) -> None:
        self._time_ns = time_ns
        self._base = base
        self._limit = limit
        self.request = Request()
        self._resource: tuple[Items, ResourceMetrics] | None = None
        self._scope: tuple[str, ScopeMetrics] | None = None
        self._metric: tuple[Named, Metric] | None = None

    def add(self, entry: Entry) -> Iterator[Request]:
        """Add a point; return the request that had no room for it, if there is one."""
        point = _point(entry, self._time_ns)
        size = point.ByteSize() + _FRAME
        opening = self._opening(entry)
        if self.request.names and self.request.size + size + opening > self._limit:
            yield self.request
            self.request = Request()
            self._resource = self._scope = self._metric = None
            opening = self._opening(entry)
        self.request.size += size + opening
        metric = self._open(entry)
        data = getattr(metric, str(metric.WhichOneof("data")))
        data.data_points.append(point)
        self.request.names[entry.family.named] = None

    def _opening(self, entry: Entry) -> int:
        """Return how many bytes it takes to open what the point stands in, at most."""
        if self._metric is not None and self._metric[0] == entry.family.named and self._within(entry):
            return 0
        about = entry.family
        texts = about.named.name, about.named.unit, about.doc, about.named.scope, about.version
        size = 4 * _FRAME + sum(len(text.encode()) for text in texts)
        return size if self._within(entry) else size + sum(pair.ByteSize() + 4 for pair in self._pairs(entry))

    def _within(self, entry: Entry) -> bool:
        return self._resource is not None and self._resource[0] == entry.resource

    def _pairs(self, entry: Entry) -> list[KeyValue]:
        message = ResourceMetrics()
        _attributes(message.resource.attributes, entry.resource or self._base)
        return list(message.resource.attributes)

    def _open(self, entry: Entry) -> Metric:
        """Return the message of the point's metric, in that of its scope, in that of its resource."""
        named = entry.family.named
        if self._resource is None or self._resource[0] != entry.resource:
            self._resource = entry.resource, self.request.message.resource_metrics.add()
            _attributes(self._resource[1].resource.attributes, entry.resource or self._base)
            self._scope = self._metric = None
        if self._scope is None or self._scope[0] != named.scope:
            self._scope = named.scope, self._resource[1].scope_metrics.add()
            self._scope[1].scope.name, self._scope[1].scope.version = named.scope, entry.family.version
            self._metric = None
        if self._metric is None or self._metric[0] != named:
            self._metric = named, self._scope[1].metrics.add()
            _describe(self._metric[1], entry)
        return self._metric[1]


def _describe(metric: Metric, entry: Entry) -> None:
    named = entry.family.named
    metric.name, metric.unit, metric.description = named.name, named.unit, entry.family.doc
    if named.kind == HISTOGRAM:
        metric.histogram.aggregation_temporality = _CUMULATIVE
    elif named.kind == GAUGE:
        metric.gauge.SetInParent()
    else:
        metric.sum.aggregation_temporality = _CUMULATIVE
        metric.sum.is_monotonic = named.monotonic


def _point(entry: Entry, time_ns: int) -> NumberDataPoint | HistogramDataPoint:
    series: Series = entry.series
    point: NumberDataPoint | HistogramDataPoint
    if not isinstance(series, Gauge) and not series.begun:
        point = _beginning(series, min(series.start_ns, time_ns))
        _attributes(point.attributes, entry.labels)
        return point
    if isinstance(series, Histogram):
        point = _histogram(series, time_ns)
    elif isinstance(series, Gauge):
        point = NumberDataPoint(time_unix_nano=series.time_ns)
        _set(point, series.value)
    else:
        point = _sum(series, time_ns)
    _attributes(point.attributes, entry.labels)
    for exemplar in series.exemplars.values():
        _exemplar(point.exemplars.add(), exemplar)
    return point


def _beginning(series: Sum | Histogram, start_ns: int) -> NumberDataPoint | HistogramDataPoint:
    if isinstance(series, Histogram):
        return HistogramDataPoint(
            start_time_unix_nano=start_ns,
            time_unix_nano=start_ns,
            bucket_counts=[0] * len(series.counts),
            explicit_bounds=series.bounds,
            count=0,
            sum=0.0,
        )
    point = NumberDataPoint(start_time_unix_nano=start_ns, time_unix_nano=start_ns)
    _set(point, type(series.value)(0))
    return point


def _sum(series: Sum, time_ns: int) -> NumberDataPoint:
    point = NumberDataPoint(start_time_unix_nano=min(series.start_ns, time_ns), time_unix_nano=time_ns)
    _set(point, series.value)
    return point


def _histogram(series: Histogram, time_ns: int) -> HistogramDataPoint:
    return HistogramDataPoint(
        start_time_unix_nano=min(series.start_ns, time_ns),
        time_unix_nano=time_ns,
        count=series.count,
        sum=series.sum,
        bucket_counts=series.counts,
        explicit_bounds=series.bounds,
        min=series.min,
        max=series.max,
    )


def _exemplar(message: ExemplarMessage, found: Exemplar) -> None:
    message.time_unix_nano = found.time_ns
    message.trace_id, message.span_id = bytes.fromhex(found.trace_id), bytes.fromhex(found.span_id)
    _set(message, found.value)


def _set(message: NumberDataPoint | ExemplarMessage, value: Number) -> None:
    if isinstance(value, int):
        message.as_int = value
    else:
        message.as_double = value


def _attributes(pairs: object, items: Items) -> None:
    for name, value in items:
        pair = pairs.add(key=name)  # type: ignore[attr-defined]  # protobuf's container has no public type
        if isinstance(value, bool):  # before int, which bool is
            pair.value.bool_value = value
        elif isinstance(value, int):
            pair.value.int_value = value
        elif isinstance(value, float):
            pair.value.double_value = value
        else:
            pair.value.string_value = value
