"""End a session on purpose: the one that is meant, and no other of its name."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from gastown_tracing.journal import reader
from gastown_tracing.sessions import terminal
from gastown_tracing.sessions.ending import close
from gastown_tracing.sessions.liveness import Inspector
from gastown_tracing.sessions.reaping import last_evidence
from gastown_tracing.sessions.start import origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.journal.reader import Run


class NotStoppable(Exception):  # noqa: N818  # it says what is the case
    """Nobody can say whether the session lives, so nobody ends it; the text is one line for the user."""


def find(journal: Journal, text: str) -> Run:
    """Return the run that a session's name, run id or bead means, an open one first. Raises LookupFailed."""
    runs = reader.list_runs(journal)
    named = [run for run in runs if not run.closed and run.info.get("session") == text]
    if named:
        return named[-1]
    trace_id = reader.resolve(journal, text)
    return next(run for run in runs if run.trace_id == trace_id)


def stop(journal: Journal, run: Run, reason: str, env: Mapping[str, str]) -> bool:
    """End a session and close its run; False when it had ended already.

    Raises NotStoppable, TmuxError, OSError.
    """
    if run.closed:
        return False
    if not journal.owned():
        raise NotStoppable(f"the journal {journal.root} belongs to another user")
    liveness = Inspector(env).look(run.info, run.pane)
    if liveness.state == "dead":
        end = last_evidence(journal, run.trace_id)
        close(journal, run.trace_id, reason="lost", end_ns=end, evidence=liveness.evidence)
        return False
    if liveness.state == "unknown" or not run.pane:
        raise NotStoppable(liveness.evidence)
    begin, killer = time.time_ns(), origin(env, journal)
    if run.pane.get("server_pid"):
        # Whoever ends the session that it runs in is hung up on before the run is closed.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        terminal.kill(run.pane, env)
        return close(journal, run.trace_id, reason=reason, stop_ns=begin, killer=killer)
    # A session in the foreground closes its own run when it ends: whoever stops it has to be first.
    process = int(run.pane["pid"])
    os.kill(process, 0)
    closed = close(journal, run.trace_id, reason=reason, stop_ns=begin, killer=killer)
    os.kill(process, signal.SIGTERM)
    return closed
