"""Calls under way: a span that ends as span, log record and metrics.

What an event consists of is the registry's; what becomes of it is the recorder's. A call records once, when
it ends, whatever is said about it until then. Only programs with telemetry on load this module.
"""

from __future__ import annotations

import functools
import os

from gastown_tracing import context
from gastown_tracing.events.outcomes import completion, exit_meaning
from gastown_tracing.events.recorder import (
    PID,
    carried,
    emit,
    of_span,
    outcome,
    prepared,
    take_work,
)
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.semconv import OTHER, PARTICULAR, PROGRAMS, span_kind, span_name
from gastown_tracing.events.values import contradicts, filled
from gastown_tracing.masking import masked, opened
from gastown_tracing.tracing.operation import Operation, clean, text_of, type_name
from gastown_tracing.tracing.wrapping import Binder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from opentelemetry.context import Context

    from gastown_tracing.events.schema import Value
    from gastown_tracing.tracing.otel import Run, Runtime

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


class Underway(Operation):
    """One use of a call, from its beginning to its end."""

    __slots__ = ("_common", "_fields", "_forks", "_own", "_place", "_results", "_run", "_worker", "event")

    # What is the same for every call stands on the class: it costs nothing to begin with.
    _links = ()
    _record_exception = True

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        self.event = event = EVENTS[name]
        self._name, self._kind = name, event.kind  # type: ignore[assignment] # the same words
        self._fields = fields
        self._results: dict[str, Any] = {}
        self._runtime = None

    @staticmethod
    def of_any(name: str, fields: dict[str, Any]) -> Underway:
        """Return a use of an event that need not be one, nor a span."""
        event = EVENTS.get(name)
        return Underway(name, fields) if event is not None and event.is_span else _Nothing(name, fields)

    @staticmethod
    def binder(name: str, fields: Mapping[str, object], func: Callable[..., object]) -> Binder:
        """Return what finds in the arguments of `func` the attributes that nobody gave. Never raises."""
        event = EVENTS.get(name)
        parameters = [found.parameter for found in event.attributes] if event else []
        try:
            return Binder(func, [wanted for wanted in parameters if fields.get(wanted) is None], strict=False)
        except (TypeError, ValueError):  # a callable without a signature
            return Binder(func, [], strict=False)

    def resume(self) -> None:
        """Make the span the current one, in the task or thread that resumes it."""
        active = self._runtime
        if active is not None:
            self._worker: object = active.worker()
            self._token = active.attach(self._context)

    def leave(self, error: BaseException | None) -> None:
        """Make current what was so before, and end."""
        active = self._runtime
        if active is not None:
            active.detach(self._token)
            self.close(error)

    def inside(self, active: Runtime, where: Context) -> Context:
        """Return the context inside the span: what is recorded there may be about this very call."""
        self._forks = active.forks
        self._place = active.within_call(self._span, where, self)
        return self._place

    def learn(self, attributes: Mapping[str, Any]) -> None:
        """Add what was not known at the start."""
        if self._runtime is not None:
            self._results.update(attributes)

    def refuse(self) -> None:
        """Say that the call was entered once more while it was under way."""
        if self._runtime is not None:
            self._runtime.note(f"{self.event.name}: a call that is under way cannot be entered again")

    def is_about(self, active: Runtime, attributes: Mapping[str, object], error: str) -> bool:
        """Return whether what is said, now and here, may be about this call: nothing of it contradicts.

        What another run, task, thread or process says is about something else.
        """
        return (
            self._runtime is active
            and self._forks == active.forks
            and self._run is active.current_run()
            and self._worker == active.worker()
            and not (error and self._results.get("error", error) != error)
            and not any(
                contradicts(self.event.by_key.get(key), known, value)
                for key, value in attributes.items()
                for known in self._known(key)
            )
        )

    def _known(self, key: str) -> list[object]:
        """Return what was said last about an attribute, or what follows from that; nothing for unknown."""
        attribute = self.event.by_key.get(key)
        names = (attribute.name, attribute.parameter) if attribute else (key,)
        sources = [self._results, self._fields]
        if attribute is not None and not attribute.default:
            sources.append(self._own)
        return [source[name] for source in sources for name in names if source.get(name) is not None][:1]

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
        ours = self._forks == active.forks and not self._run.silent
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
        self._worker = None
        del self._context, self._place  # they hold this call

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
            late.update(completion(event, {**own, **late}, self._run.began, end))
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


class _Nothing(Underway):
    """No event, or none that is a span."""

    __slots__ = ()

    def __init__(self, name: str, fields: dict[str, Any]) -> None:  # noqa: ARG002 # as its base has it
        self._name = name
        self._runtime = None

    def open(self) -> None:
        """Begin nothing."""
        if context.runtime is not None:
            context.runtime.note(f"no event that is a span is called {self._name}")


class BdUnderway(Underway):
    """The event `bd.call`: what was asked of bd, how long it took, how it ended."""

    __slots__ = ()

    def begun(self, active: Runtime) -> Own:
        """Return the command line, its arguments masked unless GT_LOG_BD_OUTPUT is on."""
        command = (self._fields["executable"], *self._fields["args"])
        if {*map(type, command)} != _TEXT:
            command = tuple([str.__str__(os.fsdecode(word)) for word in command])
        if active.shows_bd_output:
            line = {"args": clean(opened(command[1:]))}
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
