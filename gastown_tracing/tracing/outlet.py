"""The SDK's side of the recorder: one event as a log record and as measurements."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opentelemetry._logs import LogRecord, SeverityNumber

from gastown_tracing.events.labels import Reading
from gastown_tracing.events.schema import COUNTER, HISTOGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context

    from gastown_tracing.events.schema import Event, Metric, Value
    from gastown_tracing.tracing.signals import Instrument, Signals

    #: Takes (value, labels, context).
    Take = Callable[[float, Mapping[str, str], Context], None]

INFO, ERROR = (SeverityNumber.INFO, "INFO"), (SeverityNumber.ERROR, "ERROR")


def random_uid() -> str:
    """Return a new `log.record.uid`: 32 hex digits."""
    return os.urandom(16).hex()


class Outlet:
    """Hands events to the logger and the instruments of `signals`; `new_uid` names each log record."""

    def __init__(self, signals: Signals, new_uid: Callable[[], str] = random_uid) -> None:
        self._signals = signals
        self.new_uid = new_uid
        self._feeds: dict[str, tuple[Feed, ...]] = {}
        #: Whether any of what it is handed goes anywhere.
        self.takes = signals.logger_provider is not None or signals.meter_provider is not None

    def emit(
        self, event: Event, attributes: dict[str, Value], context: Context, time_ns: int, failed: bool
    ) -> None:
        """Emit the log record of an event and measure its metrics; `attributes` is the whole record."""
        feeds = self._feeds.get(event.name)
        if feeds is None:
            feeds = self._feeds[event.name] = self._feeds_of(event)
        for feed in feeds:
            feed.measure(attributes, context, failed)
        logger = self._signals.logger
        if logger is not None:
            attributes["log.record.uid"] = self.new_uid()
            severity, text = ERROR if failed else INFO
            record = LogRecord(
                timestamp=time_ns,
                context=context,
                severity_number=severity,
                severity_text=text,
                body=event.name,
                attributes=attributes,
                event_name=event.name,
            )
            logger.emit(record)

    def measure(self, metric: Metric, value: float, labels: Mapping[str, str], context: Context) -> None:
        """Measure a metric that no event feeds."""
        instrument = self._signals.instrument(metric)
        if instrument is not None:
            taker(metric, instrument)(value, labels, context)

    def _feeds_of(self, event: Event) -> tuple[Feed, ...]:
        if self._signals.derives:
            return ()
        found = [(metric, self._signals.instrument(metric)) for metric in event.metrics]
        return tuple([Feed(metric, instrument) for metric, instrument in found if instrument is not None])


class Feed:
    """What one metric takes from an event's record."""

    __slots__ = ("_reading", "_take")

    def __init__(self, metric: Metric, instrument: Instrument) -> None:
        self._take = taker(metric, instrument)
        self._reading = Reading(metric)

    def measure(self, attributes: Mapping[str, Value], context: Context, failed: bool) -> None:
        """Measure what the record says; nothing where the attribute that is measured is unknown."""
        found = self._reading.read(attributes, failed)
        if found is not None:
            self._take(*found, context)


def taker(metric: Metric, instrument: Instrument) -> Take:
    """Return the method by which an instrument of this metric takes a measurement."""
    name = "add" if metric.kind == COUNTER else "record" if metric.kind == HISTOGRAM else "set"
    take: Take = getattr(instrument, name)
    return take
