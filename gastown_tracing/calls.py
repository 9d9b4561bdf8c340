"""The events of Gas Town as spans: one class, and what is particular to `bd.call` and `prime`.

Names and types of the attributes are the data model's ("Events"). This is the one place where an event's log
record and measurements belong as well, once they are recorded.
"""

from __future__ import annotations

from gastown_tracing.operation import Operation, clean
from gastown_tracing.wrapping import Binder, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Self, TypeVar

    from opentelemetry.util.types import AttributeValue

    from gastown_tracing.operation import Kind
    from gastown_tracing.otel import Runtime

    F = TypeVar("F", bound=Callable[..., Any])

#: Bytes of a mail's body that are recorded, with GT_LOG_MAIL_BODY.
BODY_LIMIT = 256
#: Bytes of bd's output that are recorded, with GT_LOG_BD_OUTPUT; GT_LOG_BD_CONTENT_LIMIT replaces both.
OUTPUT_LIMITS = {"stdout": 2048, "stderr": 1024}


class Event:
    """One row of the data model's table: its name and the span's kind.

    `messaging` says that OpenTelemetry's messaging attributes stand beside ours.
    """

    __slots__ = ("kind", "messaging", "name")

    def __init__(self, name: str, kind: Kind = "internal", *, messaging: bool = False) -> None:
        self.name = name
        self.kind: Kind = kind
        self.messaging = messaging


BD = Event("bd.call", "client")
MAIL = Event("mail", messaging=True)
SLING = Event("sling")
NUDGE = Event("nudge")
DONE = Event("done")
PRIME = Event("prime")

#: Attributes whose keyword is not their name.
NAMES = {
    f"msg_{field}": f"msg.{field}"
    for field in ("id", "from", "to", "subject", "thread_id", "priority", "type", "body")
}
#: OpenTelemetry's names for the facts of a mail.
MESSAGING = {
    "operation": "messaging.operation.name",
    "msg.to": "messaging.destination.name",
    "msg.id": "messaging.message.id",
    "msg.thread_id": "messaging.message.conversation_id",
}
MAIL_KINDS: dict[object, Kind] = {"send": "producer", "read": "consumer"}


class Call(Operation):
    """One event as a span: a context manager, and a decorator.

    As a decorator it takes what it was not told from the function's parameters of the same name: `@sling()`
    on `def dispatch(bead, target)` knows both.
    """

    __slots__ = ("_event", "_fields", "_results")

    def __init__(self, event: Event, fields: dict[str, Any]) -> None:
        self._event = event
        self._fields = fields
        self._runtime = None
        self._results: dict[str, Any] = {}

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
            return type(self)(self._event, {**self._fields, **binder.values(args, kwargs)})

        wrapped: F = wrap(func, open_call)
        return wrapped

    def first_attributes(self, active: Runtime) -> Mapping[str, AttributeValue]:
        """Return the event's attributes as they are known now."""
        event, fields = self._event, self._fields
        self._name = event.name
        self._kind = MAIL_KINDS.get(fields["operation"], event.kind) if event.messaging else event.kind
        self._links = ()
        self._record_exception = True
        return self.recorded(active, fields)

    def last_attributes(self, active: Runtime, error: str) -> tuple[dict[str, AttributeValue], str]:
        """Return what was learned since, and the outcome: `status` and `error`."""
        error = error or clean(str(self._results.pop("error", None) or ""))
        found = self.recorded(active, self._results)
        found["status"] = "error" if error else "ok"
        found["error"] = error
        return found, error

    def recorded(self, active: Runtime, fields: Mapping[str, Any]) -> dict[str, AttributeValue]:
        """Return fields as attributes: under their names, without what is unknown or not to be recorded."""
        found: dict[str, AttributeValue] = {}
        for field, value in fields.items():
            if value is None:
                continue
            if field == "msg_body":
                if active.settings.flag("GT_LOG_MAIL_BODY"):
                    found["msg.body"] = cut(value, BODY_LIMIT)
                continue
            found[NAMES.get(field, field)] = _typed(field, value)
        if self._event.messaging and found:
            found["messaging.system"] = "gastown"
            found.update({theirs: found[ours] for ours, theirs in MESSAGING.items() if ours in found})
        return found


class BdCall(Call):
    """The event `bd.call`: what was asked of bd, how long it took, how it ended."""

    __slots__ = ()

    def recorded(self, active: Runtime, fields: Mapping[str, Any]) -> dict[str, AttributeValue]:
        """Return fields as attributes; arguments masked and output left out unless GT_LOG_BD_OUTPUT is on."""
        whole = active.settings.flag("GT_LOG_BD_OUTPUT")
        found: dict[str, AttributeValue] = {}
        if "args" in fields:
            found.update(_command(fields["executable"], [str(word) for word in fields["args"]], whole))
        for field, value in fields.items():
            if field in OUTPUT_LIMITS:
                if whole and value is not None:
                    limit = active.settings.limit("GT_LOG_BD_CONTENT_LIMIT", OUTPUT_LIMITS[field])
                    found[field] = cut(value, limit)
            elif field not in ("args", "executable") and value is not None:
                found[field] = _typed(field, value)
        return found

    def last_attributes(self, active: Runtime, error: str) -> tuple[dict[str, AttributeValue], str]:
        """Return how long bd took and how it ended; its exit code says it better than an exception."""
        results = self._results
        results["duration_ms"] = self._elapsed_ns / 1e6
        if results.get("exit_code") is not None:
            code, name = _outcome(int(results["exit_code"]))
            results["exit_code"] = results["process.exit.code"] = code
            if code:
                results["error.type"] = name
                error = f"exit code {code}" if name == str(code) else f"killed by {name}"
        return super().last_attributes(active, error)


class PrimeCall(Call):
    """The event `prime`, which sets the work context of the run when it has succeeded."""

    __slots__ = ()

    def last_attributes(self, active: Runtime, error: str) -> tuple[dict[str, AttributeValue], str]:
        """Return the outcome, and make the work known."""
        told = {**self._fields, **self._results}
        names = ("work_rig", "work_bead", "work_mol")
        found, failure = super().last_attributes(active, error)
        if not failure and any(told.get(name) is not None for name in names):
            from propagation.work import WorkContext  # only what is on pays for it

            work = WorkContext(*[clean(str(told.get(name) or "")) for name in names])
            active.current_run().set_work(work, active.now())
        return found, failure


def cut(value: object, limit: int) -> str:
    """Return text or bytes cut to `limit` bytes of UTF-8 between characters, with a mark; 0 cuts nothing."""
    from gastown_tracing.journal.otlp import cut_text  # only what is on pays for it

    text = clean(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))
    return cut_text(text, limit) if limit else text


def _typed(field: str, value: Any) -> AttributeValue:
    """Return a value in the type that the data model gives its attribute."""
    if isinstance(value, str):
        return clean(value)
    if field.endswith("_ms"):
        return float(value)
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return ", ".join([clean(str(part)) for part in value])
    return clean(str(value))


def _command(executable: str, arguments: Sequence[str], whole: bool) -> dict[str, AttributeValue]:
    """Return the attributes of a bd command line."""
    from gastown_tracing.masking import mask_arguments, subcommand  # only what is on pays for it

    return {
        "subcommand": clean(subcommand("bd", arguments)[1]),
        "args": clean(" ".join(arguments)) if whole else mask_arguments("bd", arguments),
        "process.executable.name": clean(str(executable)).rpartition("/")[2],
    }


def _outcome(code: int) -> tuple[int, str]:
    """Return (exit code as a shell counts, error.type) for a return code as subprocess has it."""
    if code >= 0:
        return code, str(code)
    import signal  # a child killed by a signal is rare

    try:
        return 128 - code, signal.Signals(-code).name
    except ValueError:
        return 128 - code, f"signal {-code}"
