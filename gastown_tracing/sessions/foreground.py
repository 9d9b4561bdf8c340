"""Run a session's command in the foreground, without tmux; its run ends when it ends."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NoReturn

from gastown_tracing.events.outcomes import signal_name
from gastown_tracing.sessions import processes, roles
from gastown_tracing.sessions.ending import alone, close, not_started
from gastown_tracing.sessions.run import record_start, write_pane
from gastown_tracing.sessions.start import (
    OF_ONE_SESSION,
    PROGRAM,
    make_run,
    session_variables_for,
)
from gastown_tracing.shims import child, waiting
from gastown_tracing.shims.waking import wake
from propagation import environ as carrier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gastown_tracing.config import Telemetry
    from gastown_tracing.sessions.run import RunHandle
    from gastown_tracing.sessions.start import Request


def run(
    request: Request, telemetry: Telemetry, environ: Mapping[bytes, bytes], warn: Callable[[str], None]
) -> NoReturn:
    """Run the session's command, and end as it ends. Raises OSError when it cannot be run.

    Signals, the terminal and the exit code are passed on as `gt-trace exec` does it. `warn` is told why there
    is no trace, where there is none.
    """
    caller = child.Caller(child.block_signals())
    try:
        argv = [os.fsencode(word) for word in request.command]
        os.chdir(request.work_dir)
        file = child.find(argv[0], environ.get(b"PATH"))
        env = {os.fsdecode(name): os.fsdecode(value) for name, value in environ.items()}
        handle, note = make_run(request, telemetry, env, processes.describe(os.getpid()))
        full = _environment(request, telemetry, handle, env)
        if handle is None:
            warn(note)
            child.replace(argv, full, caller)
        pid = _start(handle, file, argv, full, caller)
        wake(telemetry, PROGRAM, at_once=True)
    except OSError:
        caller.restore()
        raise
    status = waiting.wait(pid)
    with contextlib.suppress(OSError):  # whatever the journal says, the command's exit code is what counts
        _close(handle, status)
    waiting.exit_as(status)


def _environment(
    request: Request, telemetry: Telemetry, handle: RunHandle | None, env: Mapping[str, str]
) -> dict[bytes, bytes]:
    # A session without a trace of ours leaves other people's context alone.
    plain, dropped = (
        (carrier.without_context(env), OF_ONE_SESSION) if handle else (env, roles.IDENTITY_VARIABLES)
    )
    kept = {name: value for name, value in plain.items() if name not in dropped}
    variables = session_variables_for(request, telemetry, handle, env, env)
    return {os.fsencode(name): os.fsencode(value) for name, value in {**kept, **variables}.items()}


def _start(
    handle: RunHandle, file: bytes, argv: list[bytes], environ: Mapping[bytes, bytes], caller: child.Caller
) -> int:
    try:
        pid = child.start(file, argv, environ, caller)
    except OSError as error:
        not_started(handle, str(error))
        raise
    with contextlib.suppress(OSError):  # a full disk is no reason to end what runs
        write_pane(handle, processes.describe(pid))
        record_start(handle)
    return pid


def _close(handle: RunHandle, status: int) -> None:
    code = os.waitstatus_to_exitcode(status)
    error = f"killed by {signal_name(-code)}" if code < 0 else ""
    code = 128 - code if code < 0 else code
    with alone(handle.directory):
        close(handle.journal, handle.trace_id, reason="exited", exit_code=code, error=error)
