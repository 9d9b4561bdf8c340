"""What `init()` puts together: the SDK's provider, the runtime of our helpers, and where ended spans go."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  # the SDK uses it after a fork; loaded only there it would deadlock
import logging
import time
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from gastown_tracing import config
from gastown_tracing.identity import resource
from gastown_tracing.journal import layout
from gastown_tracing.journal.exporter import JournalSpanExporter, JournalSpanProcessor
from gastown_tracing.setup import SHUTDOWN_TIMEOUT
from gastown_tracing.tracing.exporting import BoundedBatch, NotedExporter, NoteHandler, OwnSpans
from gastown_tracing.tracing.otel import Notes, Runtime, process_run
from gastown_tracing.tracing.signals import SCOPE, Signals
from gastown_tracing.tracing.tracer import Describing, RunIds, TownTracerProvider

if TYPE_CHECKING:
    from gastown_tracing.config import Telemetry


class Wiring:
    """Everything that is on: the SDK's `provider`, the `runtime`, and their end."""

    def __init__(
        self, telemetry: Telemetry, service_name: str, service_version: str | None, errors: list[str]
    ) -> None:
        self._notes = Notes(errors, telemetry.config.flag("GT_OTEL_DEBUG"))
        present = program_provider()
        self._handler = NoteHandler(self._notes.add)
        if present is None:  # a program with an SDK of its own sees its warnings where it expects them
            _logger().addHandler(self._handler)
        self._ends_at: float | None = None
        self._batch: BoundedBatch | None = None
        run, ignored = process_run(telemetry)
        for line in ignored:
            self._notes.add(line)
        self.runtime = Runtime(telemetry, run, self._notes)
        shared = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call] # the SDK's own omission
        self.provider = present or _own_provider(telemetry, run.run_id, service_name, service_version, shared)
        if present:
            present.add_span_processor(Describing(self.runtime, SCOPE[0]))
        self._sink = self._destination(telemetry)
        if self._sink is not None:
            self.provider.add_span_processor(self._sink)
        self.signals = Signals(derives=telemetry.journalled)
        self.runtime.use(self.provider, (self._sink or SpanProcessor()) if present else shared, self.signals)

    def finish(self, timeout: float) -> bool:
        """Undo what was done to the process, and send what is left; False where time ran out."""
        self.runtime.process_env.undo()
        self._ends_at = time.monotonic() + timeout
        if self._sink is not None:
            self._sink.shutdown()
        if self._batch is not None and self._batch.unsent:
            self._notes.add(f"not every span was sent within {timeout:g} s")
            return False  # the handler stays: what the exporter's thread still says is not the host's
        _logger().removeHandler(self._handler)
        return True

    def _destination(self, telemetry: Telemetry) -> OwnSpans | None:
        """Return what takes ended spans: the journal, else an OTLP endpoint, else nothing."""
        if telemetry.journalled:
            return self._journal(telemetry)
        url = telemetry.config.endpoint(config.TRACES_URL)
        if not url:
            return None
        # Loaded here, because those who have a journal do without: it takes as long as the SDK itself.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = NotedExporter(OTLPSpanExporter(url), config.TRACES_URL, self._notes.add)
        self._batch = BoundedBatch(exporter, self._seconds_left)
        return OwnSpans(self._batch)

    def _journal(self, telemetry: Telemetry) -> OwnSpans | None:
        """Return what writes each span as it ends; None, with a note, where this process cannot write."""
        journal = telemetry.journal
        try:
            layout.create(journal.root, config.for_journal(telemetry.config.env))
        except OSError as error:
            self._notes.add(f"nothing is recorded: the journal cannot be made: {error}")
            return None
        if not journal.owned():
            self._notes.add(f"nothing is recorded: {journal.root} belongs to another user")
            return None
        exporter = JournalSpanExporter(journal, self.provider.resource, self._notes.add)
        return OwnSpans(JournalSpanProcessor(exporter))

    def _seconds_left(self) -> float:
        return SHUTDOWN_TIMEOUT if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())


def program_provider() -> TracerProvider | None:
    """Return the SDK's provider that the program has set up itself, None if it has not."""
    present = trace.get_tracer_provider()
    theirs = isinstance(present, TracerProvider) and not isinstance(present, TownTracerProvider)
    return present if theirs else None  # type: ignore[return-value] # what the line above says


def _own_provider(
    telemetry: Telemetry,
    run_id: str,
    service_name: str,
    service_version: str | None,
    processor: SynchronousMultiSpanProcessor,
) -> TracerProvider:
    """Return a provider of ours, made the global one unless there is one of any kind."""
    described = resource(
        telemetry.config.env, run_id or None, service_name=service_name, service_version=service_version
    )
    ours = TownTracerProvider(
        ALWAYS_ON if run_id else None,  # inside a run everything; outside, what OTEL_TRACES_SAMPLER says
        Resource.create({**described}),
        shutdown_on_exit=False,
        active_span_processor=processor,
        id_generator=RunIds(),
    )
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(ours)
    return ours


def _logger() -> logging.Logger:
    """Return the logger under which OpenTelemetry says what went wrong."""
    return logging.getLogger("opentelemetry")
