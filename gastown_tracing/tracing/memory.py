"""Log records and metrics kept in memory for the testing kit, and how they look as plain dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    InMemoryMetricReader,
    Sum,
)

from gastown_tracing.events.schema import COUNTER, GAUGE, HISTOGRAM
from gastown_tracing.tracing.logger import TownLoggerProvider
from gastown_tracing.tracing.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics.export import Metric
    from opentelemetry.sdk.resources import Resource

# So that a point has what was measured since the last look, and `clear` can forget.
_DELTA: dict[type, AggregationTemporality] = {
    Counter: AggregationTemporality.DELTA,
    Histogram: AggregationTemporality.DELTA,
}


class Memory:
    """Where log records and measurements go while a test captures: `signals` leads here."""

    def __init__(self, resource: Resource) -> None:
        self._exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call] # the SDK's own omission
        self._reader = InMemoryMetricReader(preferred_temporality=_DELTA)
        self._points: dict[tuple[object, ...], dict[str, Any]] = {}
        logger_provider = TownLoggerProvider(resource)
        logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._exporter))
        meter_provider = MeterProvider([self._reader], resource, shutdown_on_exit=False)
        self.signals = Signals(logger_provider, meter_provider)

    def logs(self) -> list[dict[str, Any]]:
        """Return the log records, in the order in which they came."""
        return [log_as_dict(found) for found in self._exporter.get_finished_logs()]

    def metrics(self) -> list[dict[str, Any]]:
        """Return the sum of what was measured, by name and labels."""
        for metric in self._look():
            for point in points_of(metric):
                key = (metric.name, *sorted(point["labels"].items()))
                self._points[key] = added(self._points.get(key), point)
        return [{**point, "trace_ids": [*point["trace_ids"]]} for _, point in sorted(self._points.items())]

    def clear(self) -> None:
        """Forget everything."""
        self._exporter.clear()
        list(self._look())
        self._points.clear()

    def _look(self) -> Iterator[Metric]:
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                yield from scope.metrics


def log_as_dict(found: ReadableLogRecord) -> dict[str, Any]:
    """Return a log record of the SDK as plain values."""
    record = found.log_record
    return {
        "name": record.event_name or "",
        "body": record.body,
        "severity": record.severity_text or "",
        "time_ns": record.timestamp,
        "trace_id": f"{record.trace_id:032x}" if record.trace_id else "",
        "span_id": f"{record.span_id:016x}" if record.span_id else "",
        "attributes": dict(record.attributes or {}),
    }


def points_of(metric: Metric) -> Iterator[dict[str, Any]]:
    """Return each point of a metric of the SDK as plain values."""
    for point in metric.data.data_points:
        found = {
            "name": metric.name,
            "labels": dict(point.attributes or {}),
            "trace_ids": [f"{seen.trace_id:032x}" for seen in point.exemplars if seen.trace_id],
        }
        if isinstance(point, HistogramDataPoint):
            yield {**found, "kind": HISTOGRAM, "count": point.count, "sum": point.sum}
        else:
            kind = COUNTER if isinstance(metric.data, Sum) else GAUGE
            yield {**found, "kind": kind, "value": getattr(point, "value", None)}


def added(before: dict[str, Any] | None, point: dict[str, Any]) -> dict[str, Any]:
    """Return a point with what was measured of it before."""
    if before is None:
        return point
    summed = () if point["kind"] == GAUGE else ("value", "count", "sum")
    sums = {name: before[name] + point[name] for name in summed if name in point}
    trace_ids = dict.fromkeys([*before["trace_ids"], *point["trace_ids"]])
    return {**point, **sums, "trace_ids": [*trace_ids]}
