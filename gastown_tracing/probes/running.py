"""Polling a probe, and recording what it found: the span `probe.NAME`, and inside it everything else.

Without telemetry the probe is polled all the same, and nothing is recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gastown_tracing import context
from gastown_tracing.events.metrics import METRICS
from gastown_tracing.events.recorder import measure, record, record_span
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.probes.probe import ProbeError, Reading, Unread
from gastown_tracing.tracing.operation import Operation
from propagation.traceparent import SAMPLED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.trace import Link

    from gastown_tracing.probes.probe import Happened, Measured, Probe, State
    from gastown_tracing.tracing.otel import Runtime

ERRORS = "gastown.probe.errors.total"


class Runner:
    """One probe, polled again and again. `state` is what it knew when it was polled last, by whomever."""

    def __init__(self, probe: Probe, state: State | None = None) -> None:
        self._probe = probe
        self._gauges: set[str] = set()
        self.state = state

    def poll(self) -> Reading:
        """Poll once, record what was found, and return it. Never raises: what failed is in `Reading.unread`.

        What could not be read is counted, makes the span an error, and its gauges are absent until they can
        be read again.
        """
        with Operation(f"probe.{self._probe.name}", record_exception=False):
            reading = self._read()
            active = context.runtime
            if active is not None:
                try:
                    self._record(active, reading)
                except Exception as error:  # whoever polls must not notice
                    active.note(f"probe {self._probe.name} not recorded: {error!r}")
        self.state = reading.state
        return reading

    def _read(self) -> Reading:
        try:
            return self._probe.poll(self.state)
        except ProbeError as error:
            failure = Unread("", error.reason, error.hint)
        except Exception as error:  # whoever polls has others to poll
            failure = Unread("", f"the probe failed: {type(error).__name__}")
            if context.runtime is not None:
                context.runtime.note(f"probe {self._probe.name}: {error!r}")
        return Reading(unread=(failure,), state={} if self.state is None else self.state)

    def _record(self, active: Runtime, reading: Reading) -> None:
        from opentelemetry.trace import get_current_span  # loaded by whoever is on

        self._show(active, reading.gauges)
        for value in reading.values:
            measure(value.metric, value.value, **value.labels)
        for event in reading.events:
            _tell(active, event)
        for _ in reading.unread:
            measure(ERRORS, 1, probe=self._probe.name)
        if reading.unread:
            active.fail(get_current_span(), "; ".join(map(_describe, reading.unread)))

    def _show(self, active: Runtime, gauges: Sequence[Measured]) -> None:
        """Let the gauges stand until the next poll, and those that were not measured be absent."""
        from opentelemetry.metrics import Observation

        self._gauges.update([gauge.metric for gauge in gauges])
        here = active.get_current()
        for name in self._gauges:
            found = [
                Observation(gauge.value, {key: text for key, text in gauge.labels.items() if text}, here)
                for gauge in gauges
                if gauge.metric == name
            ]
            active.signals.stand(METRICS[name], found)


def _tell(active: Runtime, happened: Happened) -> None:
    event = EVENTS[happened.event]
    if event.is_span:
        record_span(active, event, happened.attributes, links=list(_links(happened.causes)))
    else:
        attributes: dict[str, Any] = dict(happened.attributes)
        record(event.name, **attributes)


def _links(causes: Sequence[tuple[str, str]]) -> Iterator[Link]:
    """Yield the links to an event's causes: only across traces, because views take a link for a parent."""
    from opentelemetry.trace import Link, get_current_span

    from gastown_tracing.tracing.otel import remote_span

    here = f"{get_current_span().get_span_context().trace_id:032x}"
    for trace_id, span_id in causes:
        if trace_id != here:
            yield Link(remote_span(trace_id, span_id, SAMPLED).get_span_context())


def _describe(unread: Unread) -> str:
    return f"{unread.source}: {unread.reason}" if unread.source else unread.reason
