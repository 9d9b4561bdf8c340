"""Spans for Python programs: `traced` for any function, and one helper for each event of Gas Town.

All of them do nothing, and load nothing, while telemetry is off.
"""

from __future__ import annotations

import functools

from gastown_tracing import context
from gastown_tracing.tracing.calls import AnyCall, BdCall, Call
from gastown_tracing.tracing.operation import Operation, clean, text_of
from gastown_tracing.tracing.wrapping import Binder, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeVar, overload

    from opentelemetry.util.types import AttributeValue

    from gastown_tracing.tracing.operation import Kind

    F = TypeVar("F", bound="Callable[..., Any] | classmethod[Any, ..., Any]")

if TYPE_CHECKING:  # `typing` takes long to load

    @overload
    def traced(func: F, /) -> F: ...

    @overload
    def traced(
        *,
        name: str | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
        capture: Sequence[str] = (),
        kind: Kind = "internal",
        record_exception: bool = True,
    ) -> Callable[[F], F]: ...


def traced(
    func: Any = None,
    /,
    *,
    name: str | None = None,
    attributes: Mapping[str, AttributeValue] | None = None,
    capture: Sequence[str] = (),
    kind: Kind = "internal",
    record_exception: bool = True,
) -> Any:
    """Put a span around each call of a function: `@traced`, or `@traced(name=…, capture=("bead",))`.

    For functions and methods, sync and async, generators and async generators, above or below
    `@staticmethod` and `@classmethod`. `name` is the span's, by default the function's qualified name.
    `capture` names parameters whose values become the attributes `arg.NAME`: numbers and bools as they are,
    all else as text of at most 1,024 bytes; a name that is no parameter raises ValueError at once. `kind`
    is the span's, one of internal, server, client, producer, consumer. An exception makes the span an
    error, is recorded unless `record_exception` is False, and goes on untouched.
    """
    if func is None:
        return functools.partial(
            traced,
            name=name,
            attributes=attributes,
            capture=capture,
            kind=kind,
            record_exception=record_exception,
        )
    inner = getattr(func, "__func__", func)
    qualified = getattr(inner, "__qualname__", type(inner).__qualname__)
    title = name or qualified
    fixed = {
        "code.function.name": f"{getattr(inner, '__module__', None) or ''}.{qualified}".lstrip("."),
        **{
            key: clean(value) if isinstance(value, str) else value
            for key, value in (attributes or {}).items()
        },
    }
    binder = Binder(func, capture) if capture else None

    def open_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Operation:
        found = {**fixed, **captured(binder.values(args, kwargs))} if binder else fixed
        return Operation(title, kind, found, record_exception=record_exception)

    return wrap(func, open_call)


def captured(values: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Return captured arguments as attributes. Never raises, whatever their `__repr__` does."""
    return {f"arg.{name}": _plain(value) for name, value in values.items()}


def _plain(value: Any) -> AttributeValue:
    if type(value) in (bool, int, float):  # exactly: a subclass may do anything
        return value  # type: ignore[no-any-return] # what the line above says
    return text_of(value, str if type(value) is str else repr)


def bd_call(args: Sequence[str], *, executable: str = "bd") -> BdCall:
    """Return the span `bd.call` for a bd command, for use in `with` or as a decorator.

    `args` are the command's arguments without the program. Of them the subcommand, the names of flags and
    harmless values (ids, known words, short numbers) are recorded; every other value is `‹n bytes›` unless
    GT_LOG_BD_OUTPUT is on. Say how it ended with `call.set(exit_code=…, stdout=…, stderr=…)`; the output is
    recorded only with GT_LOG_BD_OUTPUT.
    """
    return BdCall("bd.call", {"args": args, "executable": executable})


def run_bd(
    args: Sequence[str], *, executable: str = "bd", **options: Any
) -> subprocess.CompletedProcess[Any]:
    """Run bd as `subprocess.run([executable, *args], **options)` does, in a span `bd.call`.

    Returns what that returns and raises what that raises. The child gets the span's context in its
    environment, a copy of `options["env"]` or of the process's own (`child_env`).
    """
    import subprocess  # 9 ms that only those pay who start a process

    command = [executable, *args]
    if context.runtime is None:
        return subprocess.run(command, **options)  # noqa: PLW1510 # whether to check is the caller's to say
    with bd_call(args, executable=executable) as call:
        try:
            completed = _run(subprocess, command, options)
        except subprocess.CalledProcessError as error:
            call.set(exit_code=error.returncode, stdout=error.stdout, stderr=error.stderr)
            raise
        call.set(exit_code=completed.returncode, stdout=completed.stdout, stderr=completed.stderr)
        return completed


def _run(subprocess: Any, command: list[str], options: dict[str, Any]) -> subprocess.CompletedProcess[Any]:
    import errno  # as above

    try:
        env = context.child_env(options.get("env"))
    except (TypeError, ValueError):  # no mapping: subprocess shall say so
        return subprocess.run(command, **options)  # type: ignore[no-any-return]
    try:
        return subprocess.run(command, **{**options, "env": env})  # type: ignore[no-any-return]
    except OSError as error:
        if error.errno != errno.E2BIG:
            raise
    # Our variables were the last straw: the child gets the environment that it would have had.
    return subprocess.run(command, **options)  # type: ignore[no-any-return]


def mail(
    operation: str,
    *,
    msg_id: str | None = None,
    msg_from: str | None = None,
    msg_to: str | Sequence[str] | None = None,
    msg_subject: str | None = None,
    msg_thread_id: str | None = None,
    msg_priority: str | None = None,
    msg_type: str | None = None,
    msg_body: str | None = None,
) -> Call:
    """Return the span `mail` for an operation on mail: send, read, archive, delete, list and so on.

    The body is recorded only with GT_LOG_MAIL_BODY, 256 bytes of it. Sending is a producer's span and
    reading a consumer's, with OpenTelemetry's `messaging.*` attributes.
    """
    return Call(
        "mail",
        {
            "operation": operation,
            "msg_id": msg_id,
            "msg_from": msg_from,
            "msg_to": msg_to,
            "msg_subject": msg_subject,
            "msg_thread_id": msg_thread_id,
            "msg_priority": msg_priority,
            "msg_type": msg_type,
            "msg_body": msg_body,
        },
    )


def sling(*, bead: str | None = None, target: str | None = None) -> Call:
    """Return the span `sling`: the bead (or formula) that is dispatched, and to whom."""
    return Call("sling", {"bead": bead, "target": target})


def nudge(*, target: str | None = None) -> Call:
    """Return the span `nudge`: a push to the agent `target`."""
    return Call("nudge", {"target": target})


def done(
    *,
    exit_type: str | None = None,
    rig: str | None = None,
    bead_id: str | None = None,
    time_to_complete_ms: float | None = None,
    work_type: str | None = None,
) -> Call:
    """Return the span `done`: how work ended.

    `exit_type` is COMPLETED, ESCALATED or DEFERRED. `rig` and `bead_id` are the work's, by default those of
    the work in force, and `time_to_complete_ms` is by default the time since the run began to work on that
    bead. `work_type` is the type of its bead, or its formula.
    """
    return Call(
        "done",
        {
            "exit_type": exit_type,
            "rig": rig,
            "bead_id": bead_id,
            "time_to_complete_ms": time_to_complete_ms,
            "work_type": work_type,
        },
    )


def event(name: str, /, **attributes: object) -> Call:
    """Return the span of any event of the data model that is one, by its name.

    Keywords are its attributes, with `_` for `.`: `with event("git.operation", operation="push")`. Where no
    such event is a span there is none, but a line in `Provider.errors`; `record` records what has no span.
    """
    return AnyCall(name, attributes)


def record(name: str, /, *, error: str = "", **attributes: object) -> None:
    """Record one event at once: its log record, its metrics and, where it has one, its span.

    `name` is the event's in the data model. Keywords are its attributes, with `_` for `.`; None is unknown.
    `error` says that it failed, and why. With `duration_ms` the span begins that much earlier.

    Inside an open call of the same event (`with bd_call(…)`), in the same task or thread, what is said goes
    to that call as long as nothing contradicts what it knows already: no event is recorded twice.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record as record_now  # telemetry is on

        record_now(name, error=error, **attributes)


def prime(
    *,
    role: str | None = None,
    hook_mode: bool | None = None,
    work_rig: str | None = None,
    work_bead: str | None = None,
    work_mol: str | None = None,
    work_build: str | None = None,
) -> Call:
    """Return the span `prime`: an agent is told what to work on.

    When it has succeeded, and says anything about the work, that is the work context of all that begins
    later in the run, until the next prime; with a journal also in the run's other processes.
    """
    return Call(
        "prime",
        {
            "role": role,
            "hook_mode": hook_mode,
            "work_rig": work_rig,
            "work_bead": work_bead,
            "work_mol": work_mol,
            "work_build": work_build,
        },
    )
