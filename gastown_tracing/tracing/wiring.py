"""What `init()` puts together: the SDK's providers, the runtime of our helpers, and where records go."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  # the SDK uses it after a fork; loaded only there it would deadlock
import time
from typing import TYPE_CHECKING, TypeVar

from opentelemetry import _logs, trace
from opentelemetry._logs._internal import ProxyLoggerProvider  # nothing public tells that none is set
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from gastown_tracing import config
from gastown_tracing.identity import resource
from gastown_tracing.journal import layout
from gastown_tracing.journal.exporter import JournalLogProcessor, JournalSpanExporter, JournalSpanProcessor
from gastown_tracing.shims.waking import wake
from gastown_tracing.tracing import metering  # noqa: F401 # a child asks it for what happened since the fork
from gastown_tracing.tracing.exporting import OwnSpans, Quiet
from gastown_tracing.tracing.logger import OwnLogs, TownLoggerProvider
from gastown_tracing.tracing.otel import Notes, Runtime, process_run
from gastown_tracing.tracing.signals import SCOPE, Signals
from gastown_tracing.tracing.tracer import Describing, RunIds, TownTracerProvider

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk._logs import LogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider

    from gastown_tracing.config import Telemetry
    from gastown_tracing.tracing.ending import Termination
    from gastown_tracing.tracing.metrics import Metrics
    from gastown_tracing.tracing.sending import Sender

T = TypeVar("T")


class Wiring:
    """Everything that is on: the SDK's `provider` of tracers, the `runtime`, `signals`, and their end.

    `runtime_metrics` says whether the process measures itself, where its metrics go anywhere.
    """

    _termination: Termination | None = None
    _logs: OwnLogs | None = None
    _metrics: Metrics | None = None

    def __init__(
        self,
        telemetry: Telemetry,
        service_name: str,
        service_version: str | None,
        errors: list[str],
        *,
        runtime_metrics: bool = True,
    ) -> None:
        self._telemetry = telemetry
        self._notes = Notes(errors, telemetry.config.flag("GT_OTEL_DEBUG"))
        present = program_provider()
        self._quiet = Quiet(self._notes.add, opentelemetry=present is None)
        self._senders: list[Sender] = []
        run, ignored = process_run(telemetry)
        for line in ignored:
            self._notes.add(line)
        self.runtime = Runtime(telemetry, run, self._notes)
        shared = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call] # the SDK's own omission
        self.provider = present or _own_provider(telemetry, run.run_id, service_name, service_version, shared)
        if present:
            present.add_span_processor(Describing(self.runtime, SCOPE[0]))
        self._writable = self._has_journal()
        self._spans = self._span_sink()
        if self._spans is not None:
            self.provider.add_span_processor(self._spans)
        logs = self._attempt("log records", self._logger_provider)
        metrics = self._attempt("metrics", lambda: self._meter_provider(runtime_metrics))
        self.signals = Signals(logs, metrics, derives=telemetry.journalled)
        self.runtime.use(self.provider, (self._spans or SpanProcessor()) if present else shared, self.signals)

    @property
    def sends(self) -> bool:
        """Return whether this process sends anything: one that ends without a word loses what waits."""
        return bool(self._senders)

    def end_well(self, shutdown: Callable[[], object], on_sigterm: bool) -> None:
        """Send what waits also where this process is terminated, or is a worker of multiprocessing."""
        from gastown_tracing.tracing.ending import Termination, WorkersEnd  # only for those who send

        self._workers_end = WorkersEnd(shutdown)
        self._termination = Termination(self._send_rest)
        if on_sigterm:
            self._termination.install()

    def finish(self, timeout: float) -> bool:
        """Undo what was done to the process, and send what is left; False where that did not succeed."""
        self.runtime.process_env.undo()
        sent = self._termination.finish(timeout) if self._termination else self._send_rest(timeout)
        for sink in (self._spans, self._logs, self._metrics):
            if sink is not None:
                sink.shutdown()
        if not any(sender.late for sender in self._senders):
            self._quiet.end()  # else it stays: what the exporters' threads still say is not the host's
        return sent

    def _send_rest(self, timeout: float) -> bool:
        """Send what is left. It may interrupt this thread anywhere: nothing here waits for a lock."""
        deadline = time.monotonic() + timeout
        for sender in self._senders:  # all of them first, so that none waits for another
            sender.begin_end()
        sent = [sender.end(deadline) for sender in self._senders]
        for sender in self._senders:
            if sender.late:
                self._notes.add(f"not all {sender.what} were sent within {timeout:g} s")
        return all(sent)

    def _attempt(self, what: str, make: Callable[[], T | None]) -> T | None:
        """Return what `make` makes; None, with a note, where it cannot: the other signals do without."""
        try:
            return make()
        except Exception as error:
            self._notes.add(f"no {what} are sent: {error!r}")
            return None

    def _has_journal(self) -> bool:
        """Return whether records go to a journal; False, with a note, where this process cannot write."""
        if not self._telemetry.journalled:
            return False
        journal = self._telemetry.journal
        try:
            layout.create(journal.root, config.for_journal(self._telemetry.config.env))
        except OSError as error:
            self._notes.add(f"nothing is recorded: the journal cannot be made: {error}")
            return False
        if not journal.owned():
            self._notes.add(f"nothing is recorded: {journal.root} belongs to another user")
            return False
        wake(self._telemetry, "gastown-tracing")
        return True

    def _span_sink(self) -> OwnSpans | None:
        """Return what takes ended spans: the journal, else an OTLP endpoint, else nothing."""
        note = self._notes.add
        if self._writable:
            exporter = JournalSpanExporter(self._telemetry.journal, self.provider.resource, note)
            return OwnSpans(JournalSpanProcessor(exporter))
        url = self._url(config.TRACES_URL)
        if not url:
            return None
        from gastown_tracing.tracing import direct  # those who have a journal do without

        batches = direct.span_batches(url, self._telemetry.config.env, note)
        self._senders.append(batches)
        return OwnSpans(direct.SpanBatch(batches))

    def _log_sink(self) -> LogRecordProcessor | None:
        """Return what takes log records: the journal, else an OTLP endpoint, else nothing."""
        note = self._notes.add
        if self._writable:
            return JournalLogProcessor(self._telemetry.journal, self.provider.resource, note)
        url = self._url(config.LOGS_URL)
        if not url:
            return None
        from gastown_tracing.tracing import direct  # as above

        batches = direct.log_batches(url, self._telemetry.config.env, note)
        self._senders.append(batches)
        return direct.LogBatch(batches)

    def _logger_provider(self) -> LoggerProvider | None:
        """Return the provider of loggers: the program's if it has one, else ours; None for no log records."""
        sink = self._log_sink()
        if sink is None:
            return None
        present = _logs.get_logger_provider()
        if isinstance(present, LoggerProvider) and not isinstance(present, TownLoggerProvider):
            provider, described = present, self.runtime
        else:
            provider, described = TownLoggerProvider(self.provider.resource), None
        self._logs = OwnLogs(sink, described)
        provider.add_log_record_processor(self._logs)
        if isinstance(present, ProxyLoggerProvider):
            _logs.set_logger_provider(provider)
        return provider

    def _meter_provider(self, runtime_metrics: bool) -> MeterProvider | None:
        """Return the provider of our instruments; None where metrics go nowhere."""
        url = self._telemetry.config.endpoint(config.METRICS_URL)
        if not url:
            return None
        from gastown_tracing.tracing.metrics import Metrics  # those who send none do without

        env = self._telemetry.config.env
        self._metrics = Metrics(url, env, self._notes.add, self.provider, runtime_metrics=runtime_metrics)
        self._senders.append(self._metrics.sender)
        return self._metrics.provider

    def _url(self, name: str) -> str:
        """Return the endpoint of a signal that a journal would keep; "" for none."""
        return "" if self._telemetry.journalled else self._telemetry.config.endpoint(name)


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
