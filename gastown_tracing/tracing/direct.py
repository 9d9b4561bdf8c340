"""Spans and log records by OTLP, without a journal: in batches, from memory."""

from __future__ import annotations

from collections import deque
from copy import copy
from typing import TYPE_CHECKING, Generic, TypeVar

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor

from gastown_tracing.tracing.endpoints import LOGS, TRACES, Endpoint
from gastown_tracing.tracing.sending import Sender, positive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.trace import ReadableSpan

    from gastown_tracing.tracing.exporting import Note

T = TypeVar("T")


def span_batches(url: str, env: Mapping[str, str], note: Note) -> Batches[ReadableSpan]:
    """Return what sends spans to an endpoint, with the settings of `env`."""
    limits = Limits(env, "OTEL_BSP", 5000, note)
    return Batches("spans", limits, Endpoint(TRACES, url, env, note), note)


def log_batches(url: str, env: Mapping[str, str], note: Note) -> Batches[ReadableLogRecord]:
    """Return what sends log records to an endpoint, with the settings of `env`."""
    limits = Limits(env, "OTEL_BLRP", 1000, note)
    return Batches("log records", limits, Endpoint(LOGS, url, env, note), note)


class Limits:
    """How a batch fills: `delay` seconds at most, `size` items at a time, `capacity` waiting ones at most.

    OpenTelemetry's variables that begin with `prefix` say so; `delay_ms` is the default.
    """

    def __init__(self, env: Mapping[str, str], prefix: str, delay_ms: int, note: Note) -> None:
        self.delay = positive(env, f"{prefix}_SCHEDULE_DELAY", delay_ms, note) / 1000
        self.capacity = positive(env, f"{prefix}_MAX_QUEUE_SIZE", 2048, note)
        self.size = min(positive(env, f"{prefix}_MAX_EXPORT_BATCH_SIZE", 512, note), self.capacity)


class Batches(Sender, Generic[T]):
    """Sends what is `put` in, in batches (OpenTelemetry's tracing SDK, "Batching processor").

    Where more waits than the limits allow the oldest goes, and a line says how many. A forked child does not
    send what its parent had waiting.
    """

    _waiting: deque[T]
    _dropped: int
    _woken: bool

    def __init__(self, what: str, limits: Limits, endpoint: Endpoint, note: Note) -> None:
        self._limits = limits
        self._empty()
        super().__init__(what, limits.delay, endpoint, note)

    def put(self, item: T) -> None:
        """Take an item, to be sent later; nothing once the end has begun."""
        if self.ending:
            return
        if len(self._waiting) >= self._limits.capacity:
            self._dropped += 1
        self._waiting.append(item)
        if len(self._waiting) >= self._limits.size and not self._woken:
            self._woken = True
            self.wake()

    def send(self) -> bool:
        """Send all that waits, batch after batch, until the endpoint is closed."""
        self._woken = False
        sent = self._dropped_none()
        while self._waiting and not self._endpoint.closed:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._limits.size))]
            sent = self._endpoint.send(batch, f"{len(batch)} {self.what}") and sent
        return sent and not self._waiting

    def end(self, deadline: float) -> bool:
        """Wait until all that was put in is sent (see `Sender`)."""
        sent = super().end(deadline)
        return self._dropped_none() and sent

    def _dropped_none(self) -> bool:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            self._note(f"{dropped} {self.what} dropped: more than {self._limits.capacity} waited")
        return not dropped

    def _empty(self) -> None:
        # Bounded itself, so that nothing is lost between a look at its length and an append.
        self._waiting = deque(maxlen=self._limits.capacity)
        self._dropped = 0
        self._woken = False

    def _after_fork(self) -> None:
        self._empty()
        super()._after_fork()


class SpanBatch(SpanProcessor):
    """Hands each sampled span that ends to a batch."""

    def __init__(self, batches: Batches[ReadableSpan]) -> None:
        self._batches = batches

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended."""
        if span.context and span.context.trace_flags.sampled:
            self._batches.put(span)

    def shutdown(self) -> None:
        """Send what is left."""
        self._batches.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what waits now; return whether that was done in time."""
        return self._batches.flush(timeout_millis / 1000)


class LogBatch(LogRecordProcessor):
    """Hands each log record to a batch."""

    def __init__(self, batches: Batches[ReadableLogRecord]) -> None:
        self._batches = batches

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Take a log record."""
        record = copy(log_record.log_record)
        record.context = Context()  # it has given its ids, and may hold a program's large objects
        self._batches.put(
            ReadableLogRecord(
                record,
                log_record.resource or Resource.get_empty(),
                log_record.instrumentation_scope,
                log_record.limits,
            )
        )

    def shutdown(self) -> None:
        """Send what is left."""
        self._batches.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what waits now; return whether that was done in time."""
        return self._batches.flush(timeout_millis / 1000)
