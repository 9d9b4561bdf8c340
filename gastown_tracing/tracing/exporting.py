"""Where ended spans go: the pieces around the SDK's processors that keep a host program unharmed."""

from __future__ import annotations

import logging
import os
import weakref
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    Note = Callable[[str], None]


class OwnSpans(SpanProcessor):
    """Passes on what this process began. A span that a fork finds begun is its parent's to end and to record.

    Without it a child that unwinds its parent's `with` blocks would record the parent's spans a second time.
    """

    def __init__(self, inner: SpanProcessor) -> None:
        self._inner = inner
        # By span id what this process began, since it was forked; None in a process that never was. Weak,
        # because a program may drop a span without ending it.
        self._own: weakref.WeakValueDictionary[int, Span] | None = None
        mark = weakref.WeakMethod(self._mark_fork)
        os.register_at_fork(after_in_child=lambda: call(mark()))

    def _mark_fork(self) -> None:
        self._own = weakref.WeakValueDictionary()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass the start on."""
        if self._own is not None:
            self._own[span.get_span_context().span_id] = span
        self._inner.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass the span on, unless it began before this process was forked."""
        own, context = self._own, span.context
        if own is None or (context and context.span_id in own):
            self._inner.on_end(span)

    def shutdown(self) -> None:
        """Shut the inner processor down, and pass nothing on any more: a provider may outlive us."""
        inner, self._inner = self._inner, SpanProcessor()
        inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the inner processor."""
        return self._inner.force_flush(timeout_millis)


def call(func: Callable[[], None] | None) -> None:
    """Call what a weak reference stands for, if it is still there."""
    if func is not None:
        func()


class BoundedBatch(BatchSpanProcessor):
    """The SDK's batch processor, with an end that has a deadline.

    The SDK's own waits up to 30 s: 6.4 s for an endpoint that refuses, 10 s for one that never answers.
    """

    def __init__(self, exporter: SpanExporter, deadline: Callable[[], float]) -> None:
        super().__init__(exporter)
        self._deadline = deadline

    def shutdown(self) -> None:
        """Send what is left, as far as the deadline (seconds from now) allows."""
        # The public method offers no timeout (opentelemetry-python issue 4555); the one that it calls does.
        self._batch_processor.shutdown(timeout_millis=int(self._deadline() * 1000))

    @property
    def unsent(self) -> bool:
        """Whether the deadline came before everything was sent."""
        return self._batch_processor._worker_thread.is_alive()  # noqa: SLF001 # nothing public tells


class NotedExporter(SpanExporter):
    """An exporter whose failures become a line each: how many spans did not get where."""

    def __init__(self, inner: SpanExporter, where: str, note: Note) -> None:
        self._inner = inner
        self._where = where
        self._note = note

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export, and say so when it fails."""
        result = self._inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._note(f"{len(spans)} spans not sent to {self._where}")
        return result

    def shutdown(self) -> None:
        """Shut the inner exporter down."""
        self._inner.shutdown()


class NoteHandler(logging.Handler):
    """Turns what OpenTelemetry logs into lines of `Provider.errors`.

    With a handler in place Python does not print these warnings on stderr, where they would be taken for the
    host's; a host that has configured logging still gets them.
    """

    def __init__(self, note: Note) -> None:
        super().__init__(logging.WARNING)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message's first line."""
        self._note(record.getMessage().partition("\n")[0])
