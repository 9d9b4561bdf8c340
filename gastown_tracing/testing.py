"""For tests of programs that use gastown_tracing: what they record, as plain dicts, the same at every run.

pytest loads this module as a plugin, so the fixture `captured_spans` is there wherever the package is
installed:

    def test_dispatch(captured_spans):
        dispatch("de-1", "demo/polecats/rust")
        assert captured_spans.names() == ["sling"]

Nothing is written or sent. Ids count up, and each look at the clock takes it one millisecond further.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from typing import TYPE_CHECKING

import pytest

from gastown_tracing import config, context, setup
from gastown_tracing.journal.layout import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from gastown_tracing.tracing.memory import Memory

#: When the clock of a test starts: 2026-01-01T00:00:00Z, in nanoseconds of the Unix epoch.
START_NS = 1_767_225_600_000_000_000

_STEP_NS = 1_000_000


class SequentialIds:
    """Ids that count up from 1, after a first digit that is not 0: `1000000000000001`, `1000000000000002`."""

    def __init__(self) -> None:
        self._spans = itertools.count((1 << 60) + 1)
        self._traces = itertools.count((1 << 124) + 1)

    def generate_span_id(self) -> int:
        """Return the next span id."""
        return next(self._spans)

    def generate_trace_id(self) -> int:
        """Return the next trace ID."""
        return next(self._traces)

    def is_trace_id_random(self) -> bool:
        """Return False: they are not."""
        return False


class SteppingClock:
    """A clock that is one step further each time somebody looks. `start` and `step` are nanoseconds."""

    def __init__(self, start: int = START_NS, step: int = _STEP_NS) -> None:
        self._times = itertools.count(start, step)

    def __call__(self) -> int:
        """Return the time, nanoseconds of the Unix epoch."""
        return next(self._times)


class SequentialUids:
    """The same for log records: 32 hex digits that count up."""

    def __init__(self) -> None:
        self._numbers = itertools.count((1 << 124) + 1)

    def __call__(self) -> str:
        """Return the next one."""
        return f"{next(self._numbers):032x}"


class CapturedSpans:
    """The spans that have ended since capturing began, in the order of their ends; log records and metrics.

    `tracer_provider` is for code that wants OpenTelemetry's own.
    """

    def __init__(self, exporter: InMemorySpanExporter, memory: Memory, errors: list[str]) -> None:
        self._finished = exporter.get_finished_spans
        self._exporter = exporter
        self._memory = memory
        self._errors = errors
        self.tracer_provider: TracerProvider | None = None

    def __len__(self) -> int:
        return len(self._finished())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.as_dicts())

    @property
    def errors(self) -> list[str]:
        """What went wrong in tracing itself, a line each."""
        return list(self._errors)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return each span as plain values: ids in hex, times in nanoseconds, kind and status in words."""
        return [span_as_dict(span) for span in self._finished()]

    def names(self) -> list[str]:
        """Return the spans' names."""
        return [span.name for span in self._finished()]

    def one(self, name: str) -> dict[str, Any]:
        """Return the only span of this name. Raises AssertionError when there is another number of them."""
        found = [span for span in self.as_dicts() if span["name"] == name]
        assert len(found) == 1, f"{len(found)} spans named {name!r}; there are {self.names()}"  # noqa: S101 # for tests
        return found[0]

    def logs(self) -> list[dict[str, Any]]:
        """Return each log record as plain values.

        They are name, body, severity, time_ns, trace_id, span_id and attributes. The name is the event's, ""
        for a record of the program's own `logging`.
        """
        return self._memory.logs()

    def metrics(self) -> list[dict[str, Any]]:
        """Return each series as plain values: name, kind, labels, and trace_ids, those of its exemplars.

        A counter and a gauge have a `value`, a histogram has `count` and `sum`.
        """
        return self._memory.metrics()

    def clear(self) -> None:
        """Forget what has been captured."""
        self._exporter.clear()
        self._memory.clear()


@contextlib.contextmanager
def capture(env: Mapping[str, str] | None = None) -> Iterator[CapturedSpans]:
    """Switch telemetry on, all of it into memory, for the length of a `with` block.

    `env` is the environment to take settings and context from, by default an empty one; the process's own
    plays no part. `init()` inside returns a provider that does nothing more.
    """
    from opentelemetry.sdk import trace as sdk  # loaded when a test captures, not when pytest starts
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from gastown_tracing.tracing.memory import Memory
    from gastown_tracing.tracing.otel import Notes, Runtime, process_run
    from gastown_tracing.tracing.tracer import TownTracerProvider

    errors: list[str] = []
    exporter = InMemorySpanExporter()
    resource = Resource({"service.name": "test"})
    memory = Memory(resource)
    spans = CapturedSpans(exporter, memory, errors)
    given = {name: value for name, value in (env or {}).items() if name != config.JOURNAL}
    telemetry = config.Telemetry(True, "a test captures", Journal(os.devnull), config.Config(given), "")
    clock = SteppingClock()
    runtime = Runtime(
        telemetry,
        process_run(telemetry)[0],
        Notes(errors, aloud=False),
        now=clock,
        monotonic=clock,
        new_uid=SequentialUids(),
    )
    processor = SimpleSpanProcessor(exporter)
    spans.tracer_provider = provider = TownTracerProvider(
        id_generator=SequentialIds(),  # type: ignore[arg-type] # the base class would load the SDK with pytest
        resource=resource,
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor)
    runtime.use(provider, processor, memory.signals)
    names = vars(sdk)  # the SDK takes the time from a global of this module
    before = context.runtime, setup.install(_Captured(spans)), names["time_ns"]
    context.runtime, names["time_ns"] = runtime, clock
    try:
        yield spans
    finally:
        runtime.process_env.undo()
        context.runtime, names["time_ns"] = before[0], before[2]
        setup.install(before[1])


class _Captured(setup.Provider):
    """What `init()` returns to code under test."""

    def __init__(self, spans: CapturedSpans) -> None:
        self._spans = spans

    @property
    def errors(self) -> list[str]:
        return self._spans.errors

    @property
    def tracer_provider(self) -> TracerProvider | None:
        return self._spans.tracer_provider

    def shutdown(self, timeout: float = setup.SHUTDOWN_TIMEOUT) -> bool:  # noqa: ARG002 # as the real one
        return True


@pytest.fixture
def captured_spans() -> Iterator[CapturedSpans]:
    """Switch tracing on for one test, into memory, and return what is captured."""
    with capture() as spans:
        yield spans


def span_as_dict(span: ReadableSpan) -> dict[str, Any]:
    """Return a span of the SDK as plain values."""
    found = span.get_span_context()
    return {
        "name": span.name,
        "trace_id": f"{found.trace_id:032x}" if found else "",
        "span_id": f"{found.span_id:016x}" if found else "",
        "parent_id": f"{span.parent.span_id:016x}" if span.parent else "",
        "kind": span.kind.name.lower(),
        "start_ns": span.start_time,
        "end_ns": span.end_time,
        "attributes": dict(span.attributes or {}),
        "status": span.status.status_code.name.lower(),
        "status_message": span.status.description or "",
        "events": [
            {"name": event.name, "time_ns": event.timestamp, "attributes": dict(event.attributes or {})}
            for event in span.events
        ],
        "links": [
            {"trace_id": f"{link.context.trace_id:032x}", "span_id": f"{link.context.span_id:016x}"}
            for link in span.links
        ],
    }
