"""What an event costs, with span, log record and metrics: `python -m benchmarks.bench_events`.

Each row is a ratio over the same calls made by hand on the SDK, all into the same kind of memory, measured
alternately in this one run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.metrics import Counter, Histogram
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util.types import AttributeValue

import gastown_tracing
from benchmarks.bench_helpers import LATE, NEW, NOWHERE, RUN, Side, alternate, bd_call, row, sling
from benchmarks.measure import Row
from gastown_tracing import context
from gastown_tracing.events.commands import DURATIONS
from gastown_tracing.tracing.signals import Signals

#: What an event may cost more than the same by hand.
TARGET = 1.3
#: Microseconds that an event may cost while telemetry is off.
OFF = 1.0


class Memory:
    """The SDK with everything in memory: spans, log records, and metrics with exemplars."""

    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        self.logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call] # the SDK's own omission
        self.processor = SimpleSpanProcessor(self.spans)
        self.logger_provider = LoggerProvider(shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self.logs))
        self.meter_provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)

    def clear(self) -> None:
        """Forget spans and log records."""
        self.spans.clear()
        self.logs.clear()


class ByHand:
    """What a program would write with the SDK alone for an event with these attributes."""

    def __init__(
        self, memory: Memory, span: Mapping[str, AttributeValue], log: Mapping[str, AttributeValue]
    ) -> None:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(memory.processor)
        self.tracer: trace.Tracer = provider.get_tracer("by hand")
        self.logger: Logger = memory.logger_provider.get_logger("by hand")
        meter = memory.meter_provider.get_meter("by hand")
        self.counter: Counter = meter.create_counter("calls")
        self.histogram: Histogram = meter.create_histogram(
            "duration", explicit_bucket_boundaries_advisory=DURATIONS
        )
        self.span, self.log = dict(span), dict(log)
        self.known = {name: value for name, value in span.items() if name not in LATE}
        self.late = {name: span[name] for name in LATE if name in span}

    def emit(self, name: str) -> None:
        """Emit the log record."""
        self.logger.emit(
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            body=name,
            event_name=name,
            attributes=self.log,
        )

    def sling(self) -> None:
        """Do what `sling` does."""
        with self.tracer.start_as_current_span("sling", attributes=self.span):
            self.emit("sling")
            self.counter.add(1, {"status": "ok"})

    def bd_call(self) -> None:
        """Do what `bd_call` does; some of its attributes are known only at its end."""
        with self.tracer.start_as_current_span(
            "bd.call", kind=trace.SpanKind.CLIENT, attributes=self.known
        ) as span:
            span.set_attributes(self.late)
            self.emit("bd.call")
            self.counter.add(1, {"status": "ok", "subcommand": "list"})
            self.histogram.record(1.0, {"subcommand": "list"})


def record_sling() -> None:
    gastown_tracing.record_sling(bead="de-1", target="demo")


def record_bd_call() -> None:
    gastown_tracing.record_bd_call(args=["list", "--json"], exit_code=0, duration_ms=1.0)


def record_bd_call_anew() -> None:
    gastown_tracing.record_bd_call(args=next(NEW), exit_code=0, duration_ms=1.0)


def mail() -> None:
    with gastown_tracing.mail("send", msg_to="mayor", msg_subject="s") as call:
        call.set(msg_id="hq-1")


def record() -> None:
    gastown_tracing.record("sling", bead="de-1", target="demo")


def switched_on() -> list[Row]:
    """Compare each event with the same by hand."""
    ours, theirs = Memory(), Memory()
    provider = gastown_tracing.init(env={**RUN, **NOWHERE, "HOME": "/nonexistent"})
    assert provider is not None
    assert provider.tracer_provider is not None
    assert context.runtime is not None
    provider.tracer_provider.add_span_processor(ours.processor)
    signals = Signals(ours.logger_provider, ours.meter_provider)
    context.runtime.use(provider.tracer_provider, ours.processor, signals)

    def reset() -> None:
        ours.clear()
        theirs.clear()

    found = []
    for name, side, target in (
        ("sling", sling, TARGET),
        ("bd_call", bd_call, TARGET),
        ("record_sling", record_sling, TARGET),
        ("record_bd_call", record_bd_call, TARGET),
        ("record_bd_call, new arguments", record_bd_call_anew, TARGET),
        ("mail, with set()", mail, TARGET),
    ):
        reset()
        side()
        span = dict(ours.spans.get_finished_spans()[0].attributes or {})
        log = dict(ours.logs.get_finished_logs()[0].log_record.attributes or {})
        by_hand = ByHand(theirs, span, log)  # type: ignore[arg-type] # what a log record holds, a span can
        base_side: Side = by_hand.bd_call if "bd_call" in name else by_hand.sling
        mine, base = alternate([side, base_side], reset)
        found.append(row(f"{name}: span, log record, metrics / by hand on the SDK", mine, base, target))
    provider.shutdown()
    return found


def switched_off() -> list[Row]:
    """Measure what an event costs while telemetry is off, over the microsecond that it may cost."""
    sides = {"record": record, "record_sling": record_sling, "record_bd_call": record_bd_call}
    return [
        Row(f"{name}, off, µs a call", alternate([side], lambda: None)[0], OFF)
        for name, side in sides.items()
    ]


def measure(_rounds: int = 0) -> list[Row]:
    """Return the rows of this benchmark. Telemetry is off at first: nobody has called `init()`."""
    return [*switched_off(), *switched_on()]


if __name__ == "__main__":
    for found in measure():
        print(found)
