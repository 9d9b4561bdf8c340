"""Sessions from Python: `session()` for one that runs here, `start_session()` for one that is spawned.

A session is a run of its own: its trace ID is the run.id, its root span `gt.session` is written when it
ends. The span that was current when it began is its cause: `session.start` links to it, and it is current
again afterwards.
"""

from __future__ import annotations

import os

from gastown_tracing import context
from gastown_tracing.tracing.operation import is_failure, summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token
    from types import TracebackType
    from typing import Self

    from opentelemetry.context import Context

    from gastown_tracing.tracing.otel import Runtime
    from gastown_tracing.tracing.session_life import Life


class Session:
    """A session: a context manager around the part of this program that is the session.

    `run_id` is its run.id and `name` its session's name; both are "" until it has begun, and while
    telemetry is off.
    """

    def __init__(self, **wanted: str) -> None:
        self.run_id = ""
        self.name = ""
        self._wanted = wanted
        self._life: Life | None = None
        self._runtime: Runtime | None = None
        self._token: Token[Context] | None = None
        self._pid = 0
        self._here = False

    def __enter__(self) -> Self:
        self.begin()
        if self._life is not None and self._runtime is not None:
            self.runs_in(os.getpid())
            self._here = True
            self._token = self._runtime.enter(self._life.run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None and self._runtime is not None:
            self._runtime.detach(self._token)
            self._token = None
        failure = summary(error, whole=False) if error is not None and is_failure(error) else ""
        if (
            self._pid == os.getpid()
        ):  # a forked child that unwinds this block does not end its parent's session
            self.end("exited", error=failure)

    def child_env(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment for the session's own process, whose parent is the root span.

        `env` is what it would have had, by default this process's environment; the result is a changed copy.
        """
        found = dict(os.environ if env is None else env)
        active, life = self._runtime, self._life
        if active is None or life is None:
            return found
        token = active.enter(life.run)
        try:
            return context.child_env(found)
        finally:
            active.detach(token)

    def runs_in(self, pid: int) -> None:
        """Say which process is the session: when it has gone, whoever looks closes the session.

        Without that a session that nobody ends stays open. Only a journal keeps it.
        """
        if self._life is not None and self._runtime is not None:
            try:
                self._life.runs_in(pid)
            except Exception as error:  # the host must not notice
                self._runtime.note(f"session {self.name}: {error!r}")

    def begin(self) -> None:
        """Make the run and record its start. Does nothing while telemetry is off."""
        active = self._runtime = context.runtime
        if active is None:
            return
        try:
            from gastown_tracing.tracing import (
                session_life,  # loads git and JSON: only for those who start sessions
            )

            self._life = session_life.begin(active, self._wanted)
            self.run_id, self.name = self._life.run.run_id, self._life.name
            self._pid = os.getpid()
        except Exception as error:  # the host must not notice
            active.note(f"session not begun: {error!r}")

    def end(self, reason: str, *, exit_code: int | None = None, error: str = "") -> bool:
        """Write the root span; False where somebody did so before, or nothing was begun."""
        life, self._life = self._life, None
        if life is None or self._runtime is None:
            return False
        try:
            return life.end(reason, exit_code, error, here=self._here)
        except Exception as broken:  # the host must not notice
            self._runtime.note(f"session {self.name} not ended: {broken!r}")
            return False


def session(
    *,
    role: str,
    name: str = "",
    rig: str = "",
    issue: str = "",
    session: str = "",
    agent: str = "",
    work_dir: str = "",
    run_id: str = "",
) -> Session:
    """Return a session for `with`: what begins inside belongs to it, and children get its variables.

    `role` is polecat, crew, witness, refinery, mayor, deacon, boot or dog, or has GT_ROLE's form; `name`
    and `rig` say which one; `issue` is the bead that it was started for; `session` its name, by default as
    gt names it; `agent` what GT_AGENT is to be. `run_id` is a UUID for a run whose id is settled, by
    default a new one. A session inside a session is a trace of its own.
    """
    return Session(
        role=role,
        name=name,
        rig=rig,
        issue=issue,
        session=session,
        agent=agent,
        work_dir=work_dir,
        run_id=run_id,
    )


def start_session(
    *,
    role: str,
    name: str = "",
    rig: str = "",
    issue: str = "",
    session: str = "",
    agent: str = "",
    work_dir: str = "",
    run_id: str = "",
) -> Session:
    """Begin a session whose process is about to be spawned, and which outlives this one.

    Spawn it with `env=started.child_env()` and say where it runs with `started.runs_in(pid)`. The
    parameters are those of `session()`. Nothing here becomes part of it.
    """
    started = Session(
        role=role,
        name=name,
        rig=rig,
        issue=issue,
        session=session,
        agent=agent,
        work_dir=work_dir,
        run_id=run_id,
    )
    started.begin()
    return started


def end_session(
    ended: Session | str, *, reason: str = "stopped", exit_code: int | None = None, error: str = ""
) -> bool:
    """End a session that was started: write its root span. Return False where somebody did so before.

    `ended` is what `start_session` returned or, in any process that uses the same journal, the run id in
    any text form of a UUID. A non-zero `exit_code` and an `error` make it an error.
    """
    if isinstance(ended, Session):
        return ended.end(reason, exit_code=exit_code, error=error)
    active = context.runtime
    if active is None:
        return False
    try:
        from gastown_tracing.tracing import session_life  # see Session.begin

        return session_life.end_run(active, ended, reason, exit_code, error)
    except Exception as broken:  # the host must not notice
        active.note(f"run {ended} not ended: {broken!r}")
        return False
