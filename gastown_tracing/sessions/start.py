"""Start a session in a tmux pane of its own; what its start in the foreground shares with that."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gastown_tracing import config
from gastown_tracing.journal.layout import PaneRegistry, create, find_town_root
from gastown_tracing.sessions import processes, receiver, roles, terminal
from gastown_tracing.sessions.ending import not_started
from gastown_tracing.sessions.run import (
    RunHandle,
    create_run,
    own_context_only,
    record_start,
    session_env,
    session_variables,
    write_pane,
)
from gastown_tracing.shims.real import shimmed
from gastown_tracing.shims.waking import wake
from propagation import rules
from propagation.traceparent import SpanContext

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.config import Telemetry
    from gastown_tracing.journal.layout import Journal

#: Who speaks in debug notes.
PROGRAM = "gt-trace session start"

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
    config.RECEIVER,
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
    """A session that runs in tmux; `run` is None where nothing is recorded, and `note` says why."""

    session: str
    socket: str
    run: RunHandle | None
    note: str


def origin(env: Mapping[str, str], journal: Journal) -> SpanContext | None:
    """Return the span that this process works for, which is the cause of what it does to other sessions."""
    found = rules.resolve(env, PaneRegistry(journal))
    return SpanContext(found.trace_id, found.parent_id, found.flags) if found.parent_id else None


def in_tmux(request: Request, telemetry: Telemetry, socket: str, env: Mapping[str, str]) -> Started:
    """Start the session in tmux. Raises TmuxError, SessionExists; then nothing runs.

    What cannot be recorded does not keep a session from starting: `note` says it.
    """
    present = terminal.global_environment(socket, env)
    if request.session_name in (terminal.ask(socket, terminal.without_identity(env)).sessions or {}):
        raise terminal.SessionExists(f"duplicate session: {request.session_name}")
    path = terminal.socket_path(socket, env)
    spawner = {**processes.describe(os.getpid()), "tmux": True, "socket": path}
    handle, note = make_run(request, telemetry, env, spawner)
    variables = session_variables_for(request, telemetry, handle, env, {**env, **present})
    blank = {name: "" for name in OF_ONE_SESSION if present.get(name) and name not in variables}
    try:
        pane = _spawn(request, socket, {**variables, **blank}, env)
    except terminal.TmuxError as error:
        if handle:
            not_started(handle, str(error))
        raise
    try:
        if handle:
            write_pane(handle, pane)
            record_start(handle)
            wake(telemetry, PROGRAM, at_once=True)
    except OSError as error:
        note = f"the trace is not whole: {error.filename or telemetry.journal.root}: {error.strerror}"
    return Started(request.session_name, pane["socket"], handle, note)


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


def make_run(
    request: Request, telemetry: Telemetry, env: Mapping[str, str], spawner: Mapping[str, object]
) -> tuple[RunHandle | None, str]:
    """Make the run, and its journal where there is none yet; or return None and say why there is no trace."""
    journal = telemetry.journal
    if not telemetry.on:
        return None, f"no trace: telemetry is off: {telemetry.why}"
    if journal.exists() and not journal.owned():
        return None, f"no trace: the journal {journal.root} belongs to another user"
    try:
        return _create_run(request, create(journal.root, config.for_journal(env)), env, spawner), ""
    except OSError as error:
        return None, f"no trace: {error.filename or journal.root}: {error.strerror}"


def _create_run(
    request: Request, journal: Journal, env: Mapping[str, str], spawner: Mapping[str, object]
) -> RunHandle:
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
        shims=shimmed(os.fsencode(env["PATH"]) if "PATH" in env else None),
    )


def _given(request: Request, env: Mapping[str, str]) -> dict[str, str]:
    """Return what the operator gives the session: by option, or in the environment that he starts it from."""
    names = SHARED if env.get("GT_ROLE") else (*SHARED, *PERSONAL)
    return {**{name: env[name] for name in names if env.get(name)}, **request.given}


def session_variables_for(
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
    return {**session_env(handle, env), **receiver.variables(receiver.address(telemetry), present)}
