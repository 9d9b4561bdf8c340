"""The pieces around the SDK's exporters that keep a host program unharmed."""

from __future__ import annotations

import contextlib
import logging
import traceback
import weakref
from typing import TYPE_CHECKING

# The one way to tell instrumentations (of requests, of logging) that this is telemetry's own work; the SDK's
# processors use it, and the public helper for it is in another package.
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY as SUPPRESSED
from opentelemetry.context import attach, create_key, detach, get_value, set_value
from opentelemetry.sdk.trace import SpanProcessor

from gastown_tracing.tracing import forking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    Note = Callable[[str], None]

#: The loggers under which the HTTP client says what it does.
HTTP_LOGGERS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")
#: Those under which the SDK's exporters do.
EXPORTER_LOGGERS = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
)
_OURS = create_key("gastown_tracing.exporting")
_PROGRAMS = create_key("gastown_tracing.program")


@contextlib.contextmanager
def exporting() -> Iterator[None]:
    """Say that what this thread does is telemetry's own work, which nobody traces or logs."""
    token = attach(set_value(SUPPRESSED, True, set_value(_OURS, True)))
    try:
        yield
    finally:
        detach(token)


@contextlib.contextmanager
def programs_turn() -> Iterator[None]:
    """Say that what OpenTelemetry logs in this thread is about the program's code, which we have it call."""
    token = attach(set_value(_PROGRAMS, True))
    try:
        yield
    finally:
        detach(token)


def is_exporting() -> bool:
    """Return whether this thread does the work of anybody's telemetry."""
    return bool(get_value(SUPPRESSED))


class OwnSpans(SpanProcessor):
    """Passes on what this process began. A span that a fork finds begun is its parent's to end and to record.

    Without it a child that unwinds its parent's `with` blocks would record the parent's spans a second time.
    """

    def __init__(self, inner: SpanProcessor) -> None:
        self._inner = inner
        # By span id what this process began, since it was forked; None in a process that never was. Weak,
        # because a program may drop a span without ending it.
        self._own: weakref.WeakValueDictionary[int, Span] | None = None
        forking.tell(self)

    def after_fork(self) -> None:
        """Own nothing that began until now."""
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


class Quiet:
    """Keeps what exporting logs from the host, between its making and `end()`.

    What OpenTelemetry warns of because we called it becomes lines of `Provider.errors`; Python's last resort
    would print it on stderr, where it would be taken for the host's. A host that has configured logging still
    gets it, and all that OpenTelemetry says to the host goes where it would go without us. What the HTTP
    client logs about our requests is dropped.

    `opentelemetry` is False for a program with an SDK of its own: it sees warnings where it expects them, but
    for those of our exporters.
    """

    def __init__(self, note: Note, *, opentelemetry: bool) -> None:
        self._note = NoteHandler(note)
        self._handler = OursHandler(self._note)
        self._filtered = dict.fromkeys(HTTP_LOGGERS, _is_not_ours)
        if opentelemetry:
            logging.getLogger("opentelemetry").addHandler(self._handler)
        else:
            self._filtered |= dict.fromkeys(EXPORTER_LOGGERS, self._take)
        for name, passes in self._filtered.items():
            logging.getLogger(name).addFilter(passes)

    def end(self) -> None:
        """Leave the loggers as they were."""
        logging.getLogger("opentelemetry").removeHandler(self._handler)
        for name, passes in self._filtered.items():
            logging.getLogger(name).removeFilter(passes)

    def _take(self, record: logging.LogRecord) -> bool:
        others = _is_not_ours(record)
        if not others and record.levelno >= logging.WARNING:
            self._note.emit(record)
        return others


def _is_not_ours(record: logging.LogRecord) -> bool:  # noqa: ARG001 # the signature of a logger's filter
    return not get_value(_OURS)


class NoteHandler(logging.Handler):
    """Hands the first line of each warning to `note`."""

    def __init__(self, note: Note) -> None:
        super().__init__(logging.WARNING)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message's first line."""
        self._note(record.getMessage().partition("\n")[0])


class OursHandler(logging.Handler):
    """Hands warnings that we caused to `ours`; any other record goes where it would without this handler."""

    def __init__(self, ours: NoteHandler) -> None:
        super().__init__()
        self._ours = ours

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning, or stand in for Python's last resort, which knows of this handler and is silent."""
        if _is_caused_by_us():
            if record.levelno >= self._ours.level:
                self._ours.emit(record)
            return
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and not _has_other_handler(record.name):
            last.handle(record)


def _has_other_handler(name: str) -> bool:
    """Return whether the records of a logger are handled by any handler that is not ours."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        if any(not isinstance(handler, OursHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _is_caused_by_us() -> bool:
    """Return whether we are exporting, or called ourselves what now logs in OpenTelemetry."""
    if get_value(_OURS) or get_value(_PROGRAMS):
        return bool(get_value(_OURS))
    between = ("logging", "opentelemetry", "contextlib")
    packages = [
        str(frame.f_globals.get("__name__")).partition(".")[0] for frame, _ in traceback.walk_stack(None)
    ]
    callers = packages[packages.index("logging") :]
    return next((name for name in callers if name not in between), "") == __name__.partition(".")[0]
