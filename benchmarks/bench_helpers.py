"""What the Python helpers cost: each row a ratio of two things measured alternately in this one run.

Run it with `python -m benchmarks.bench_helpers`.
"""

from __future__ import annotations

import gc
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util.types import AttributeValue

import gastown_tracing
from benchmarks.measure import Row
from gastown_tracing import context
from gastown_tracing.config import URLS

RUN = {
    "GT_RUN": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "GT_ROLE": "demo/polecats/rust",
    "GT_RIG": "demo",
    "GT_POLECAT": "rust",
    "GT_SESSION": "gt-demo-rust",
    "GT_ROOT": "/town",
    "GT_AGENT": "claude",
    "GT_WORK_BEAD": "de-1",
}

#: Settings that send nothing: spans stay in memory, and there are no log records and metrics.
NOWHERE = dict.fromkeys(URLS, "none")

#: What of `bd.call` is known only at its end.
LATE = ("exit_code", "process.exit.code", "duration_ms")

#: More commands than there are masks remembered, so that each one is masked anew.
NEW = itertools.cycle([["list", f"--limit={number}"] for number in range(1000)])

ROUNDS = 40
CALLS = 500

Side = Callable[[], object]


def alternate(sides: list[Side], reset: Side) -> list[float]:
    """Return the microseconds a call of each side, best round; the sides take turns, and noise only adds."""
    times: list[list[float]] = [[] for _ in sides]
    gc.disable()
    for _ in range(ROUNDS):
        for side, found in zip(sides, times, strict=True):
            reset()
            start = time.perf_counter()
            for _ in range(CALLS):
                side()
            found.append((time.perf_counter() - start) / CALLS * 1e6)
    gc.enable()
    return [min(found) for found in times]


def row(what: str, ours: float, base: float, target: float | None = None) -> Row:
    """Return the row of two sides, in microseconds a call."""
    return Row(what, ours / base, target, f"{ours:.2f} µs / {base:.2f} µs")


def memory() -> tuple[SimpleSpanProcessor, InMemorySpanExporter]:
    """Return a processor that keeps spans in memory, and what empties it."""
    exporter = InMemorySpanExporter()
    return SimpleSpanProcessor(exporter), exporter


@gastown_tracing.traced
def traced() -> None:
    """Do nothing, traced."""


def bd_call() -> None:
    with gastown_tracing.bd_call(["list", "--json"]) as call:
        call.set(exit_code=0)


def bd_call_anew() -> None:
    with gastown_tracing.bd_call(next(NEW)) as call:
        call.set(exit_code=0)


def sling() -> None:
    with gastown_tracing.sling(bead="de-1", target="demo"):
        pass


def raw_span(raw: trace.Tracer, attributes: Mapping[str, AttributeValue]) -> Side:
    """Return what a program would write with the SDK alone for a span with these attributes."""

    def raw_side() -> None:
        with raw.start_as_current_span("raw", attributes=attributes):
            pass

    return raw_side


def raw_bd_call(raw: trace.Tracer, attributes: Mapping[str, AttributeValue]) -> Side:
    """Return the same for `bd.call`, some of whose attributes are known only at its end."""
    known = {name: value for name, value in attributes.items() if name not in LATE}
    late = {name: attributes[name] for name in LATE}

    def raw_side() -> None:
        with raw.start_as_current_span("raw", kind=trace.SpanKind.CLIENT, attributes=known) as span:
            span.set_attributes(late)

    return raw_side


def switched_on() -> list[Row]:
    """Compare each helper with a raw SDK span of the same attributes."""
    processor, exporter = memory()
    provider = gastown_tracing.init(env={**RUN, **NOWHERE, "HOME": "/nonexistent"})
    assert provider is not None
    assert provider.tracer_provider is not None
    provider.tracer_provider.add_span_processor(processor)

    other, kept = memory()
    plain = TracerProvider()
    plain.add_span_processor(other)
    raw = plain.get_tracer("raw")

    def reset() -> None:
        exporter.clear()
        kept.clear()

    found = []
    rows = (
        ("@traced", traced, raw_span, 1.15),
        ("sling", sling, raw_span, 1.15),
        ("bd_call", bd_call, raw_bd_call, 1.15),
        ("bd_call, a new command", bd_call_anew, raw_bd_call, None),  # not judged: the base does not mask
    )
    for name, side, base_of, target in rows:
        reset()
        side()
        attributes = dict(exporter.get_finished_spans()[0].attributes or {})
        ours, base = alternate([side, base_of(raw, attributes)], reset)
        title = f"{name}, on / raw SDK span, {len(attributes)} attributes on both"
        found.append(row(title, ours, base, target))
    provider.shutdown()
    return found


def journal_write() -> Row:
    """Compare a span that is written to the journal with one that stays in memory."""
    with tempfile.TemporaryDirectory() as directory:
        env = {**RUN, "GT_OTEL_JOURNAL": f"{directory}/journal", "HOME": directory}
        provider = gastown_tracing.init(env=env)
        processor, exporter = memory()
        plain = TracerProvider()
        plain.add_span_processor(processor)
        traced()
        common = dict(context.runtime.run.common()) if context.runtime else {}
        ours, base = alternate([traced, raw_span(plain.get_tracer("raw"), common)], exporter.clear)
        if provider:
            provider.shutdown()
    return row("@traced, written to the journal / raw SDK span in memory", ours, base)


def switched_off() -> list[Row]:
    """Compare each helper, off, with the OpenTelemetry API's own no-op span."""
    no_op = trace.NoOpTracer()

    def api() -> None:
        with no_op.start_as_current_span("off"):
            pass

    @no_op.start_as_current_span("off")
    def decorated() -> None:
        pass

    found = []
    rows = (("@traced", traced, decorated), ("sling", sling, api), ("bd_call", bd_call, api))
    for name, side, base_side in rows:
        ours, base = alternate([side, base_side], lambda: None)
        found.append(row(f"{name}, off / the API's no-op span", ours, base, 0.25))
    return found


def imported() -> Row:
    """Measure `import gastown_tracing` over a bare interpreter: whole processes, in milliseconds."""
    times: dict[str, list[float]] = {"pass": [], "import gastown_tracing": []}
    for _ in range(21):
        for program, found in times.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True, env={"PATH": os.defpath})
            found.append((time.perf_counter() - start) * 1e3)
    bare, ours = (statistics.median(found) for found in times.values())
    note = f"{ours - bare:.1f} ms more, at most 15: {'ok' if ours - bare <= 15 else 'MISSED'}"
    return Row("import gastown_tracing / a bare interpreter", ours / bare, note=note)


def measure(_rounds: int = 0) -> list[Row]:
    """Return the rows of this benchmark. Telemetry is off at first: nobody has called `init()`."""
    return [*switched_off(), *switched_on(), imported(), journal_write()]


if __name__ == "__main__":
    for found in measure():
        print(found)
