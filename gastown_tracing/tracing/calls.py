"""The events of Gas Town as spans: one class, and what is particular to `bd.call` and `prime`.

Names and types of the attributes are the data model's ("Events"). This is the one place where an event's log
record and measurements belong as well, once they are recorded.
"""

from __future__ import annotations

import functools
import os

from gastown_tracing.masking import masked
from gastown_tracing.tracing.operation import Operation, clean, text_of
from gastown_tracing.tracing.wrapping import Binder, wrap
from propagation.work import WorkContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Self, TypeVar

    from opentelemetry.util.types import AttributeValue

    from gastown_tracing.tracing.operation import Kind
    from gastown_tracing.tracing.otel import Runtime

    F = TypeVar("F", bound=Callable[..., Any])

#: Bytes of a mail's body that are recorded, with GT_LOG_MAIL_BODY.
BODY_LIMIT = 256
#: Bytes of bd's output that are recorded, with GT_LOG_BD_OUTPUT; GT_LOG_BD_CONTENT_LIMIT replaces both.
OUTPUT_LIMITS = {"stdout": 2048, "stderr": 1024}
#: Characters of a bd command whose masked form is remembered for the next time.
REMEMBERED_LENGTH = 256
_TEXT = {str}

#: Attributes whose keyword is not their name.
NAMES = {
    f"msg_{field}": f"msg.{field}"
    for field in ("id", "from", "to", "subject", "thread_id", "priority", "type", "body")
} | {"process_pid": "process.pid"}
#: OpenTelemetry's names for the facts of a mail.
MESSAGING = {
    "operation": "messaging.operation.name",
    "msg.to": "messaging.destination.name",
    "msg.id": "messaging.message.id",
    "msg.thread_id": "messaging.message.conversation_id",
}
MAIL_KINDS: dict[object, Kind] = {"send": "producer", "read": "consumer"}


class Call(Operation):
    """One event of the data model as a span: a context manager, and a decorator.

    As a decorator it takes what it was not told from the function's parameters of the same name: `@sling()`
    on `def dispatch(bead, target)` knows both.
    """

    __slots__ = ("_fields", "_results")

    # What is the same for every call of an event stands on its class: it costs a call that is off nothing.
    _kind: Kind = "internal"
    _links = ()
    _record_exception = True

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields
        self._runtime = None

    def open(self) -> None:
        """Begin the span (see `Operation`); one that was begun before has left nothing behind."""
        self._results: dict[str, Any] = {}
        super().open()

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
            return type(self)({**self._fields, **binder.values(args, kwargs)})

        wrapped: F = wrap(func, open_call)
        return wrapped

    def first_attributes(self, active: Runtime) -> Mapping[str, AttributeValue]:
        """Return the event's attributes as they are known now.

        Most events succeed, and to change an attribute of a span costs more than to begin with it.
        """
        return {**self.recorded(active, self._fields), "status": "ok", "error": ""}

    def last_attributes(self, active: Runtime, error: str) -> tuple[dict[str, AttributeValue], str]:
        """Return what was learned since, and the outcome if it is a failure: `status` and `error`."""
        results = self._results
        error = error or clean(str(results.pop("error", None) or ""))
        found = self.recorded(active, results) if results else {}
        if error:
            found.update(status="error", error=error)
        return found, error

    def recorded(self, active: Runtime, fields: Mapping[str, Any]) -> dict[str, AttributeValue]:  # noqa: ARG002 # for subclasses
        """Return fields as attributes: under their names, without what is unknown or not to be recorded."""
        return {
            NAMES.get(name, name): typed(name, value) for name, value in fields.items() if value is not None
        }


class SlingCall(Call):
    """The event `sling`."""

    __slots__ = ()
    _name = "sling"


class NudgeCall(Call):
    """The event `nudge`."""

    __slots__ = ()
    _name = "nudge"


class DoneCall(Call):
    """The event `done`."""

    __slots__ = ()
    _name = "done"


class MailCall(Call):
    """The event `mail`, with OpenTelemetry's messaging attributes beside ours."""

    __slots__ = ()
    _name = "mail"

    @property
    def _kind(self) -> Kind:  # type: ignore[override] # of all events this one has several
        return MAIL_KINDS.get(self._fields["operation"], "internal")

    def recorded(self, active: Runtime, fields: Mapping[str, Any]) -> dict[str, AttributeValue]:
        """Return fields as attributes; a body only with GT_LOG_MAIL_BODY."""
        found: dict[str, AttributeValue] = {}
        for field, value in fields.items():
            if field == "msg_body":
                if active.shows_mail_bodies and value is not None:
                    found["msg.body"] = cut(value, BODY_LIMIT)
            elif value is not None:
                found[NAMES.get(field, field)] = typed(field, value)
        found.update({theirs: found[ours] for ours, theirs in MESSAGING.items() if ours in found})
        found["messaging.system"] = "gastown"
        return found


class BdCall(Call):
    """The event `bd.call`: what was asked of bd, how long it took, how it ended."""

    __slots__ = ()
    _name = "bd.call"
    _kind = "client"

    def first_attributes(self, active: Runtime) -> Mapping[str, AttributeValue]:
        """Return the command line, its arguments masked unless GT_LOG_BD_OUTPUT is on."""
        command = (self._fields["executable"], *self._fields["args"])
        if {*map(type, command)} != _TEXT:
            command = tuple([str.__str__(os.fsdecode(word)) for word in command])
        if active.shows_bd_output:
            return {**_asked(command), "args": clean(" ".join(command[1:]))}
        return _remembered(command) if sum(map(len, command)) <= REMEMBERED_LENGTH else _asked(command)

    def last_attributes(self, active: Runtime, error: str) -> tuple[dict[str, AttributeValue], str]:
        """Return how long bd took and how it ended; its exit code says it better than an exception."""
        results = self._results
        found: dict[str, AttributeValue] = {"duration_ms": self._elapsed_ns / 1e6}
        code = results.pop("exit_code", None)
        if code is not None:
            found["exit_code"] = found["process.exit.code"] = code
            if code:
                error = _describe_code(code, found)
        if results or error:
            more, error = super().last_attributes(active, error)
            found.update(more)
        return found, error

    def recorded(self, active: Runtime, fields: Mapping[str, Any]) -> dict[str, AttributeValue]:
        """Return fields as attributes; bd's output only with GT_LOG_BD_OUTPUT."""
        found = super().recorded(
            active, {name: value for name, value in fields.items() if name not in OUTPUT_LIMITS}
        )
        for name, default in OUTPUT_LIMITS.items() if active.shows_bd_output else ():
            if fields.get(name) is not None:
                limit = active.settings.limit("GT_LOG_BD_CONTENT_LIMIT", default)
                found[name] = cut(fields[name], limit)
        return found


class PrimeCall(Call):
    """The event `prime`, which sets the work context of the run when it has succeeded."""

    __slots__ = ()
    _name = "prime"

    def last_attributes(self, active: Runtime, error: str) -> tuple[dict[str, AttributeValue], str]:
        """Return the outcome, and make the work known."""
        told = {**self._fields, **self._results}
        names = ("work_rig", "work_bead", "work_mol")
        found, failure = super().last_attributes(active, error)
        if not failure and any(told.get(name) is not None for name in names):
            work = WorkContext(*[clean(str(told.get(name) or "")) for name in names])
            active.set_work(work)
        return found, failure


def _asked(command: tuple[str, ...]) -> dict[str, AttributeValue]:
    """Return what `bd.call` begins with: the program, and its arguments masked."""
    name, shown = masked("bd", command[1:])
    return {
        "subcommand": name,
        "args": shown,
        "process.executable.name": clean(command[0]).rpartition("/")[2],
        "status": "ok",
        "error": "",
    }


# Agents ask bd the same things again and again, and masking takes longer than all else that is ours.
_remembered = functools.lru_cache(256)(_asked)


def cut(value: object, limit: int) -> str:
    """Return text or bytes cut to `limit` bytes of UTF-8 between characters, with a mark; 0 cuts nothing."""
    from gastown_tracing.journal.otlp import cut_text  # only what is on pays for it

    text = clean(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))
    return cut_text(text, limit) if limit else text


def typed(field: str, value: Any) -> AttributeValue:
    """Return a value in the type that the data model gives its attribute."""
    if isinstance(value, str):
        return clean(value)
    if field.endswith("_ms"):
        return float(value)
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return ", ".join([text_of(part, str) for part in value])
    return text_of(value, str)


def _describe_code(code: int, found: dict[str, AttributeValue]) -> str:
    """Note a failing return code, as subprocess has it, and its error.type; return what it means."""
    if code > 0:
        found["error.type"] = str(code)
        return f"exit code {code}"
    import signal  # a child killed by a signal is rare

    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    found["exit_code"] = found["process.exit.code"] = 128 - code  # as a shell counts
    found["error.type"] = name
    return f"killed by {name}"
