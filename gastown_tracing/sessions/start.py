"""Start a session: in a tmux pane of its own, or here in the foreground."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from gastown_tracing.journal.layout import PaneRegistry, create, find_town_root
from gastown_tracing.sessions import processes, receiver, roles, settings, terminal
from gastown_tracing.sessions.ending import close
from gastown_tracing.sessions.run import (
    RunHandle,
    create_run,
    record_start,
    session_env,
    session_variables,
    write_pane,
)
from gastown_tracing.shims import child
from propagation import rules
from propagation.traceparent import SpanContext

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.config import Telemetry
    from gastown_tracing.journal.layout import Journal

#: What belongs to one session only and must not come from another one through the environment.
OF_ONE_SESSION = (
    *roles.IDENTITY_VARIABLES,
    "GT_RUN",
    "TRACEPARENT",
    "TRACESTATE",
    "BAGGAGE",
    "GT_WORK_RIG",
    "GT_WORK_BEAD",
    "GT_WORK_MOL",
    "GT_WORK_BUILD",
)

#: Who may give a session these: the operator, but not the session that starts it, whose own they are.
PERSONAL = ("BD_ACTOR", "GIT_AUTHOR_NAME")
#: The same, also by way of a session that starts another.
SHARED = ("CLAUDE_CONFIG_DIR", "GIT_CEILING_DIRECTORIES")


@dataclass(frozen=True)
class Request:
    """What to start: who (`agent`, `agent_type` as GT_AGENT), on what, where, and the command itself."""

    agent: roles.Agent
    command: tuple[str, ...]
    work_dir: str
    session: str = ""
    agent_type: str = ""
    issue: str = ""
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def session_name(self) -> str:
        """Return the session's name."""
        return self.session or self.agent.session


@dataclass(frozen=True)
class Started:
    """A session that runs in tmux; `run` is None where telemetry is off."""

    session: str
    socket: str
    run: RunHandle | None


def origin(env: Mapping[str, str], journal: Journal) -> SpanContext | None:
    """Return the span that this process works for, which is the cause of what it does to other sessions."""
    found = rules.resolve(env, PaneRegistry(journal))
    return SpanContext(found.trace_id, found.parent_id, found.flags) if found.parent_id else None


def in_tmux(request: Request, telemetry: Telemetry, socket: str, env: Mapping[str, str]) -> Started:
    """Start the session in tmux. Raises TmuxError, SessionExists; OSError when the run cannot be recorded."""
    present = terminal.global_environment(socket, env)
    if request.session_name in (terminal.ask(socket, terminal.without_identity(env)).sessions or {}):
        raise terminal.SessionExists(f"duplicate session: {request.session_name}")
    handle = _make_run(request, telemetry, env, {**processes.describe(os.getpid()), "socket": socket})
    variables = _variables(request, telemetry, handle, env, {**env, **present})
    blank = {name: "" for name in OF_ONE_SESSION if present.get(name) and name not in variables}
    try:
        pane = _spawn(request, socket, {**variables, **blank}, env)
    except terminal.TmuxError as error:
        if handle:
            record_start(handle, error=str(error))
            close(handle.journal, handle.trace_id, reason="not started", error=str(error))
        raise
    if handle:
        write_pane(handle, pane)
        record_start(handle)
    return Started(request.session_name, pane["socket"], handle)


def _spawn(
    request: Request, socket: str, variables: dict[str, str], env: Mapping[str, str]
) -> dict[str, str]:
    """Spawn, if need be without what others put into our baggage and resource: tmux takes 15,000 bytes."""

    def spawn(chosen: Mapping[str, str]) -> dict[str, str]:
        return terminal.spawn(
            socket,
            request.session_name,
            work_dir=request.work_dir,
            variables=chosen,
            command=request.command,
            env=env,
        )

    try:
        return spawn(variables)
    except terminal.TooLong:
        return spawn(own_context_only(variables))


def own_context_only(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with only our own members in BAGGAGE and OTEL_RESOURCE_ATTRIBUTES."""
    kept = dict(variables)
    for name in ("BAGGAGE", "OTEL_RESOURCE_ATTRIBUTES"):
        members = kept.get(name, "").split(",")
        kept[name] = ",".join(member for member in members if member.startswith("gt."))
    return kept


def _make_run(
    request: Request, telemetry: Telemetry, env: Mapping[str, str], spawner: Mapping[str, str]
) -> RunHandle | None:
    """Make the run, and its journal where there is none yet; None where telemetry is off."""
    if not telemetry.on:
        return None
    journal = create(telemetry.journal.root, settings.copied(env))
    return create_run(
        journal,
        role=request.agent.role,
        name=request.agent.name,
        rig=request.agent.rig,
        issue=request.issue,
        session=request.session_name,
        agent=request.agent_type,
        work_dir=request.work_dir,
        env=env,
        cause=origin(env, journal),
        given=_given(request, env),
        spawner=spawner,
    )


def _given(request: Request, env: Mapping[str, str]) -> dict[str, str]:
    """Return what the operator gives the session: by option, or in the environment that he starts it from."""
    names = SHARED if env.get("GT_ROLE") else (*SHARED, *PERSONAL)
    return {**{name: env[name] for name in names if env.get(name)}, **request.given}


def _variables(
    request: Request,
    telemetry: Telemetry,
    handle: RunHandle | None,
    env: Mapping[str, str],
    present: Mapping[str, str],
) -> dict[str, str]:
    """Return every variable that the session gets; `present` is the environment that it has anyway."""
    if handle is None:
        who = session_variables(
            role=request.agent.role,
            name=request.agent.name,
            rig=request.agent.rig,
            session=request.session_name,
            agent=request.agent_type,
            town_root=find_town_root(env, request.work_dir),
        )
        return {**who, **_given(request, env)}
    address = telemetry.config.file.get(receiver.RECEIVER, "")
    return {**session_env(handle, env), **receiver.variables(address, present)}


def here(request: Request, telemetry: Telemetry, environ: Mapping[bytes, bytes]) -> NoReturn:
    """Run the session's command in the foreground, and end as it ends. Raises OSError when it cannot be run.

    Signals, the terminal and the exit code are passed on as `gt-trace exec` does it.
    """
    caller = child.Caller(child.block_signals())
    try:
        argv = [os.fsencode(word) for word in request.command]
        os.chdir(request.work_dir)
        file = child.find(argv[0], environ.get(b"PATH"))
        env = {os.fsdecode(name): os.fsdecode(value) for name, value in environ.items()}
        handle = _make_run(request, telemetry, env, processes.describe(os.getpid()))
        variables = _variables(request, telemetry, handle, env, env)
        kept = {name: value for name, value in env.items() if name not in OF_ONE_SESSION}
        full = {os.fsencode(name): os.fsencode(value) for name, value in {**kept, **variables}.items()}
        if handle is None:
            child.replace(argv, full, caller)
        pid = _start_here(handle, file, argv, full, caller)
    except OSError:
        caller.restore()
        raise
    status = child.wait(pid)
    with contextlib.suppress(OSError):  # whatever the journal says, the command's exit code is what counts
        _close_here(handle, status)
    child.exit_as(status)


def _start_here(
    handle: RunHandle, file: bytes, argv: list[bytes], environ: Mapping[bytes, bytes], caller: child.Caller
) -> int:
    try:
        pid = child.start(file, argv, environ, caller)
    except OSError as error:
        record_start(handle, error=str(error))
        close(handle.journal, handle.trace_id, reason="not started", error=str(error))
        raise
    with contextlib.suppress(OSError):
        write_pane(handle, processes.describe(pid))
        record_start(handle)
    return pid


def _close_here(handle: RunHandle, status: int) -> None:
    code = os.waitstatus_to_exitcode(status)
    error = f"killed by {child.signal_name(-code)}" if code < 0 else ""
    code = 128 - code if code < 0 else code
    close(handle.journal, handle.trace_id, reason="exited", exit_code=code, error=error)
