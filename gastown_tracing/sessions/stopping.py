"""End a session on purpose: the one that is meant, and no other of its name."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import time
from typing import TYPE_CHECKING

from gastown_tracing.journal import layout, reader
from gastown_tracing.sessions import processes, terminal
from gastown_tracing.sessions.ending import alone, close, is_closed
from gastown_tracing.sessions.liveness import Inspector
from gastown_tracing.sessions.reaping import adopt, close_dead, why_not_recorded
from gastown_tracing.sessions.run import now_ns
from gastown_tracing.sessions.start import origin
from propagation import tmux

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.journal.reader import Run


#: Seconds that an agent has to end, once it was told to.
ENDING_SECONDS = 3


class NotStoppable(Exception):  # noqa: N818  # it says what is the case
    """Nobody can say whether the session lives, so nobody ends it; the text is one line for the user."""


class StillRuns(Exception):  # noqa: N818  # the same
    """The session's process lives on, and so does its run; the text is one line for the user."""


class NotRecorded(Exception):  # noqa: N818  # the same
    """The session has ended, but its journal does not take that; the text is one line for the user."""


def find(journal: Journal, text: str) -> Run:
    """Return the run that a session's name, run id or bead means, an open one first. Raises LookupFailed."""
    named = [run for run in reader.open_runs(journal) if _is(run, text)]
    if named:
        return max(named, key=lambda run: (run.start_ns, run.trace_id))
    return reader.find(journal, reader.resolve(journal, text))


def namesake(journal: Journal, name: str, env: Mapping[str, str]) -> str:
    """Return the command that ends a tmux session of this name, which no open run claims; "" for none.

    Asked are the server that `env` means and those that the journal knows.
    """
    if any(_is(run, name) for run in reader.open_runs(journal)):
        return ""
    for socket in ["", *filter(os.path.exists, _sockets(journal))]:
        if name in (terminal.ask(socket, env).sessions or {}):
            return shlex.join(tmux.kill_session(socket, name))
    return ""


def _is(run: Run, name: str) -> bool:
    return run.info.get("session") == name and not run.closed


def _sockets(journal: Journal) -> list[str]:
    """Return the tmux servers that sessions of this journal were started on."""
    files = [f"{journal.panes_dir}/{name}" for name in layout.list_directory(journal.panes_dir)]
    entries = [layout.load_json(layout.read_text(file) or "") for file in files]
    return sorted({str(entry.get("socket") or "") for entry in entries if isinstance(entry, dict)} - {""})


def stop(journal: Journal, run: Run, reason: str, env: Mapping[str, str]) -> bool:
    """End a session and close its run, if it is recorded; False when it had ended already.

    Raises NotStoppable, StillRuns, NotRecorded, TmuxError, OSError.
    """
    if run.closed:
        return False
    if not journal.owned():
        raise NotStoppable(f"the journal {journal.root} belongs to another user")
    recorded = not why_not_recorded(journal, env)
    liveness = Inspector(env).look(run.info, run.pane)
    pane = run.pane or liveness.pane
    if liveness.state == "dead":
        with _recording(journal, run.trace_id):
            if recorded:
                close_dead(journal, run.trace_id, liveness)
        if liveness.end and pane:
            terminal.kill(pane, env)  # tmux keeps the session to be looked at: enough of that
        return False
    if liveness.state == "unknown" or not pane:
        raise NotStoppable(liveness.evidence)
    if liveness.pane and recorded:
        with _recording(journal, run.trace_id):
            adopt(journal, run.info, liveness.pane)
    begin, killer = now_ns(run.info), origin(env, journal)
    # Whoever stops the session that it runs in is a part of what has to end: nothing to wait for.
    inside = killer is not None and killer.trace_id == run.trace_id
    with alone(journal.run_dir(run.trace_id)):
        _end(pane, env, stray=liveness.stray, wait=not inside)
        with _recording(journal, run.trace_id):
            return not recorded or close(journal, run.trace_id, reason=reason, stop_ns=begin, killer=killer)


def _end(pane: Mapping[str, str], env: Mapping[str, str], *, stray: bool, wait: bool) -> None:
    """Tell the session's process to end, and wait for that. Raises StillRuns, TmuxError, OSError."""
    if not pane.get("server_pid"):
        os.kill(int(pane["pid"]), signal.SIGTERM)
        if wait:
            _wait(pane["pid"], pane["pid_start"], "SIGTERM")
        return
    if not stray:
        # Whoever ends the session that it runs in is hung up on before the run is closed.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        terminal.kill(pane, env)
    if wait:
        _wait(pane["pane_pid"], pane["pane_start"], "the hang-up")


def _wait(pid: str, started: str, told: str) -> None:
    deadline = time.monotonic() + ENDING_SECONDS
    while processes.state(int(pid), started) == "live":
        if time.monotonic() > deadline:
            what = f"its process {pid} ignores {told} and runs on, so its run stays open"
            raise StillRuns(
                f"{what}; `kill -KILL {pid}` ends it, then `gt-trace session list` closes the run"
            )
        time.sleep(0.01)


@contextlib.contextmanager
def _recording(journal: Journal, trace_id: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"in the journal {journal.root}: {error.strerror}"
        if is_closed(journal, trace_id):
            raise NotRecorded(f"has ended, but not all of that could be recorded {where}") from error
        hint = "`gt-trace session list` records it as soon as that is possible"
        raise NotRecorded(f"has ended, but that could not be recorded {where}; {hint}") from error
