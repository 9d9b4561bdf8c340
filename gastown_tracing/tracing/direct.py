"""Spans and log records by OTLP, without a journal: in batches, from memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from copy import copy
from typing import TYPE_CHECKING, Generic, TypeVar

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor

from gastown_tracing.tracing.bounds import RECORD_LIMIT, cut_log, cut_span, size_of_log, size_of_span
from gastown_tracing.tracing.endpoints import LOGS, TRACES, Endpoint
from gastown_tracing.tracing.sending import Sender, positive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.trace import ReadableSpan

    from gastown_tracing.tracing.exporting import Note

T = TypeVar("T")

#: Bytes that may wait, and that one request has at most, both estimated.
WAITING_LIMIT, REQUEST_LIMIT = 8 << 20, RECORD_LIMIT


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

    Where more waits than the limits allow, or more than WAITING_LIMIT bytes, the oldest goes, and a line in
    each interval says how many. A forked child does not send what its parent had waiting.
    """

    _waiting: deque[tuple[T, int]]
    _bytes: int
    _dropped: dict[str, int]
    _silent_until: float
    _woken: bool
    _lock: threading.RLock

    def __init__(self, what: str, limits: Limits, endpoint: Endpoint, note: Note) -> None:
        self._limits = limits
        self._empty()
        super().__init__(what, limits.delay, endpoint, note)

    def put(self, item: T, size: int) -> None:
        """Take an item of about `size` bytes, to be sent later; nothing once the end has begun."""
        if self.ending:
            return
        with self._lock:
            if size > WAITING_LIMIT:
                self._count(f"larger than {WAITING_LIMIT >> 20} MiB")
                return
            self._waiting.append((item, size))
            self._bytes += size
            while len(self._waiting) > self._limits.capacity:
                self._drop_oldest(f"more than {self._limits.capacity} waited")
            while self._bytes > WAITING_LIMIT:
                self._drop_oldest(f"more than {WAITING_LIMIT >> 20} MiB waited")
            full = len(self._waiting) >= self._limits.size or self._bytes >= REQUEST_LIMIT
        if full and not self._woken:
            self._woken = True
            self.wake()

    def send(self) -> bool:
        """Send all that waits, batch after batch, until the endpoint is closed."""
        self._woken = False
        sent = self._dropped_none()
        while self._waiting and not self._endpoint.closed:
            batch = self._take()
            sent = self._endpoint.send(batch, f"{len(batch)} {self.what}") and sent
        return sent and not self._waiting

    def end(self, deadline: float) -> bool:
        """Wait until all that was put in is sent (see `Sender`)."""
        sent = super().end(deadline)
        return self._dropped_none() and sent

    def after_fork(self) -> None:
        """Forget what waits, and begin anew (see `Sender`)."""
        self._empty()
        super().after_fork()

    def _take(self) -> list[T]:
        """Return the next batch: as much as one request may be, one item at least."""
        batch: list[T] = []
        with self._lock:
            room = REQUEST_LIMIT
            while self._waiting and len(batch) < self._limits.size:
                item, size = self._waiting[0]
                if batch and size > room:
                    break
                self._waiting.popleft()
                batch.append(item)
                room -= size
                self._bytes -= size
            if not self._waiting:
                self._bytes = 0  # whatever a signal's handler did in the midst of a sum
        return batch

    def _drop_oldest(self, why: str) -> None:
        self._bytes -= self._waiting.popleft()[1]
        self._count(why)

    def _count(self, why: str) -> None:
        self._dropped[why] = self._dropped.get(why, 0) + 1

    def _dropped_none(self) -> bool:
        """Return whether nothing was dropped that has not been said; say it once in an interval."""
        if not self._dropped:
            return True
        now = time.monotonic()
        if self.ending or now >= self._silent_until:
            self._silent_until = now + self._limits.delay
            with self._lock:
                dropped, self._dropped = self._dropped, {}
            for why, count in dropped.items():
                self._note(f"{count} {self.what} dropped: {why}")
        return False

    def _empty(self) -> None:
        self._waiting = deque()
        self._bytes = 0
        self._dropped = {}
        self._silent_until = 0.0
        self._woken = False
        # The handler of a signal, and a collection of garbage, come by again in the thread that holds it.
        self._lock = threading.RLock()


class SpanBatch(SpanProcessor):
    """Hands each sampled span that ends to a batch."""

    def __init__(self, batches: Batches[ReadableSpan]) -> None:
        self._batches = batches

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended."""
        if span.context and span.context.trace_flags.sampled:
            size = size_of_span(span)
            if size > RECORD_LIMIT:
                span = cut_span(span)
                size = size_of_span(span)
            self._batches.put(span, size)

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
        record, size = log_record.log_record, size_of_log(log_record.log_record)
        if size > RECORD_LIMIT:
            record = cut_log(record)
            size = size_of_log(record)
        record = copy(record)
        record.context = Context()  # it has given its ids, and may hold a program's large objects
        described = ReadableLogRecord(
            record,
            log_record.resource or Resource.get_empty(),
            log_record.instrumentation_scope,
            log_record.limits,
        )
        self._batches.put(described, size)

    def shutdown(self) -> None:
        """Send what is left."""
        self._batches.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what waits now; return whether that was done in time."""
        return self._batches.flush(timeout_millis / 1000)
