"""The events of Gas Town around a block: a span under way that ends as span, log record and metrics.

What an event consists of is the registry's; what becomes of it is the recorder's. A call records once, when
it ends, whatever is said about it until then.
"""

from __future__ import annotations

import functools
import os

from gastown_tracing import context
from gastown_tracing.events.recorder import (
    PID,
    carried,
    complete,
    emit,
    exit_meaning,
    of_span,
    outcome,
    prepared,
    take_work,
)
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.schema import NO_SPAN
from gastown_tracing.events.semconv import OTHER, PARTICULAR, PROGRAMS, span_kind, span_name
from gastown_tracing.events.values import filled
from gastown_tracing.masking import masked
from gastown_tracing.tracing.operation import Operation, clean, text_of, type_name
from gastown_tracing.tracing.wrapping import Binder, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Self, TypeVar

    from opentelemetry.context import Context

    from gastown_tracing.events.schema import Event, Value
    from gastown_tracing.tracing.otel import Run, Runtime

    F = TypeVar("F", bound=Callable[..., Any])

    #: What a record has of its own, and what its span shows of that and beside it.
    Own = tuple[dict[str, Value], dict[str, Value]]

#: Characters of a bd command whose masked form is remembered for the next time.
REMEMBERED_LENGTH = 256
_TEXT = {str}
_PRIME, _DONE = EVENTS["prime"], EVENTS["done"]
#: The events about which their end says something, even where nobody else does.
_TOLD_BY_END = frozenset(
    [event.name for event in EVENTS.values() if event.elapsed or "exit_code" in event.by_key] + ["done"]
)


class Call(Operation):
    """One event of the data model that is a span: a context manager, and a decorator.

    As a decorator it takes what it was not told from the function's parameters of the same name: `@sling()`
    on `def dispatch(bead, target)` knows both.
    """

    __slots__ = ("_common", "_fields", "_own", "_place", "_results", "_run", "event")

    # What is the same for every call stands on the class: it costs a call that is off nothing.
    _links = ()
    _record_exception = True

    def __init__(self, event: Event, fields: dict[str, Any]) -> None:
        self.event = event
        self._fields = fields
        self._runtime = None

    def open(self) -> None:
        """Begin the span (see `Operation`); one that was begun before has left nothing behind."""
        self._results: dict[str, Any] = {}
        self._name, self._kind = self.event.name, self.event.kind  # type: ignore[assignment] # the same words
        if self._kind != NO_SPAN:
            super().open()
        elif context.runtime is not None:
            context.runtime.note(f"no event that is a span is called {self._name}")
        if self._runtime is not None:
            self._place: Context = self._context
            self._runtime.calls[self._span] = self

    def set(self, **attributes: Any) -> Self:
        """Add what was not known at the start: `call.set(msg_id="hq-1")`, `call.set(exit_code=0)`.

        A keyword is the attribute's name with `_` for `.`. `error="…"` says that it failed, and why.
        """
        if self._runtime is not None:
            self._results.update(attributes)
        return self

    def __call__(self, func: F) -> F:
        """Return `func` with this event around each call."""
        missing = [name for name, value in self._fields.items() if value is None]
        binder = Binder(func, missing, strict=False)

        def open_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Operation:
            return type(self)(self.event, {**self._fields, **binder.values(args, kwargs)})

        wrapped: F = wrap(func, open_call)
        return wrapped

    def first_attributes(self, active: Runtime, run: Run) -> Mapping[str, Value]:
        """Return what the span begins with, as far as it is known now, and keep it for the record.

        The work is that of now, however late the call ends. Most events succeed, and to change an attribute
        of a span costs more than to begin with it.
        """
        self._run, self._common = run, run.common()
        self._own, shown = self.begun(active)
        if self.event is _PRIME:
            self._common = carried(self.event, self._own, self._common)
        return {**self._common, **shown}

    def begun(self, active: Runtime) -> Own:
        """Return what is known at the beginning."""
        event = self.event
        own = prepared(active, event, self._fields)
        if event.defaults:
            filled(event, own, self._common)
        only: dict[str, Value] = {}
        if event.name in PARTICULAR or PID in own:
            only = of_span(event, own)
            self._name = span_name(event, own)
            self._kind = span_kind(event, own)  # type: ignore[assignment] # the schema's words are the same
        if event.outcome:
            own["status"], own["error"] = "ok", ""
        return own, {**own, **only} if only else own

    def conclude(self, active: Runtime, end: int, error: BaseException | None) -> None:
        """Say on the span how it ended, and record the event."""
        # In a forked child it is its parent's call, to end and to record.
        ours = active.calls.pop(self._span, None) is self and not self._run.silent
        late: dict[str, Value] = {}
        failure = ""
        if self._results or error is not None or self.event.name in _TOLD_BY_END:
            late, shown, failure = self.ended(active, end, error)
            if shown:
                self._span.set_attributes(shown)
            if failure:
                active.fail(self._span, failure)
        if ours and (active.outlet.takes or self.event is _PRIME):
            self._record(active, late, end, failure)

    def _record(self, active: Runtime, late: dict[str, Value], end: int, failure: str) -> None:
        event, common, known = self.event, self._common, {**self._own, **late}
        if event is _PRIME:
            common = carried(event, known, common)
            if not failure:
                take_work(active, event, known, self._run, end)
        whole = {**common, **known}
        emit(active, event, whole, context=self._place, time_ns=end, failed=bool(failure))

    def ended(
        self, active: Runtime, end: int, error: BaseException | None
    ) -> tuple[dict[str, Value], dict[str, Value], str]:
        """Return what was learned since the beginning, what of it the span shows, and why it failed."""
        event, own, results = self.event, self._own, self._results
        said = text_of(results.pop("error") or "", str) if "error" in results else ""
        late = prepared(active, event, results) if results else {}
        if event.elapsed and event.elapsed not in late:
            late[event.elapsed] = self._elapsed_ns / 1e6
        meaning, error_type = exit_meaning(late if "exit_code" in late else own, late)
        if event is _DONE:
            complete(event, {**own, **late}, late, self._run, end)
        only = of_span(event, late)
        only.pop("process.executable.name", None)  # the span has it from its beginning
        raised = ""
        if error is not None:
            raised = self.describe_failure(active, end, error)
            error_type = error_type or type_name(error)
        failure = said or meaning or raised
        if failure:
            late.update(outcome(event, failure))
            if not error_type and event.name in PROGRAMS:
                error_type = OTHER
        if error_type:
            only["error.type"] = error_type
        return late, {**late, **only}, failure


class BdCall(Call):
    """The event `bd.call`: what was asked of bd, how long it took, how it ended."""

    __slots__ = ()

    def begun(self, active: Runtime) -> Own:
        """Return the command line, its arguments masked unless GT_LOG_BD_OUTPUT is on."""
        command = (self._fields["executable"], *self._fields["args"])
        if {*map(type, command)} != _TEXT:
            command = tuple([str.__str__(os.fsdecode(word)) for word in command])
        if active.shows_bd_output:
            line = {"args": clean(" ".join(command[1:]))}
            own, shown = _asked(command)
            return {**own, **line}, {**shown, **line}
        try:
            return _remembered(command)
        except _TooLongError:
            return _asked(command)

    def ended(
        self, active: Runtime, end: int, error: BaseException | None
    ) -> tuple[dict[str, Value], dict[str, Value], str]:
        """Return how long bd took and how it ended; most calls succeed and print nothing, which is quick."""
        code = self._results.get("exit_code")
        if error is None and len(self._results) == 1 and type(code) is int and code == 0:
            late: dict[str, Value] = {"duration_ms": self._elapsed_ns / 1e6, "exit_code": 0}
            return late, {**late, "process.exit.code": 0}, ""
        return super().ended(active, end, error)


def _asked(command: tuple[str, ...]) -> Own:
    """Return what `bd.call` begins with: the program, and its arguments masked."""
    name, shown = masked("bd", command[1:])
    own: dict[str, Value] = {"subcommand": name, "args": shown, "status": "ok", "error": ""}
    return own, {**own, "process.executable.name": clean(command[0]).rpartition("/")[2]}


class _TooLongError(Exception):
    """A command is too long to be remembered; no cache keeps an exception."""


@functools.lru_cache(256)
def _remembered(command: tuple[str, ...]) -> Own:
    # Agents ask bd the same things again and again, and masking takes longer than all else that is ours.
    if sum(map(len, command)) > REMEMBERED_LENGTH:
        raise _TooLongError
    return _asked(command)
