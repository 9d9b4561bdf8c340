"""Where log records and measurements go while telemetry is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gastown_tracing._version import VERSION
from gastown_tracing.events.schema import COUNTER, HISTOGRAM
from gastown_tracing.tracing.logger import sdk_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry._logs import Logger
    from opentelemetry.metrics import Counter, Histogram, Meter, Observation, _Gauge
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider

    from gastown_tracing.events.schema import Metric

    Instrument = Counter | Histogram | _Gauge

#: The instrumentation scope of our own spans, log records and instruments.
SCOPE = ("gastown_tracing", VERSION)


class Signals:
    """Where log records and measurements go: the SDK's providers, None for one that nothing goes to.

    `derives` says that whoever ships the log records (the relay, from a journal) derives the metrics of
    events from them, so that none are measured here. Metrics that no event feeds are measured all the same.
    """

    def __init__(
        self,
        logger_provider: LoggerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        derives: bool = False,
    ) -> None:
        self.logger_provider = logger_provider
        self.meter_provider = meter_provider
        self.derives = derives
        #: What takes log records of ours; None where none are wanted.
        self.logger: Logger | None = sdk_logger(logger_provider, *SCOPE) if logger_provider else None
        self._meter: Meter | None = meter_provider.get_meter(*SCOPE) if meter_provider else None
        self._instruments: dict[str, Instrument] = {}
        self._standing: dict[str, Sequence[Observation]] = {}

    def instrument(self, metric: Metric) -> Instrument | None:
        """Return the instrument of `metric`, the same each time; None where nothing is exported.

        It has no unit, and a histogram the metric's buckets.
        """
        found = self._instruments.get(metric.name)
        if found is None and self._meter is not None:
            # Two threads may come by here at once: the meter gives both the same instrument.
            found = self._instruments[metric.name] = _create(self._meter, metric)
        return found

    def stand(self, metric: Metric, observations: Sequence[Observation]) -> None:
        """Say what the gauge `metric` is from now on; with no observation it is absent.

        A gauge that is set once is exported for ever with its last value, a false one when its source cannot
        be read any more. An observable one is asked before each export. An observation's context, if it has
        one, is what its exemplar points at. (OpenTelemetry metrics API, "Asynchronous Gauge".)
        """
        known = metric.name in self._standing
        self._standing[metric.name] = observations
        if not known and self._meter is not None:
            self._meter.create_observable_gauge(
                metric.name, [lambda _: self._standing[metric.name]], description=metric.doc
            )


def _create(meter: Meter, metric: Metric) -> Instrument:
    if metric.kind == COUNTER:
        return meter.create_counter(metric.name, description=metric.doc)
    if metric.kind == HISTOGRAM:
        return meter.create_histogram(
            metric.name,
            description=metric.doc,
            explicit_bucket_boundaries_advisory=metric.buckets or None,
        )
    return meter.create_gauge(metric.name, description=metric.doc)
