"""Close the sessions that ended without anybody saying so (design: "The root span").

However many do this at once, each session is closed once: link(2) decides.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gastown_tracing.journal import markers, reader
from gastown_tracing.sessions.ending import close, is_usable
from gastown_tracing.sessions.liveness import Inspector, Liveness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.journal.reader import Run


@dataclass(frozen=True)
class Found:
    """An open run and what is known of its session; `reaped`: it was dead, and this process closed it."""

    run: Run
    liveness: Liveness
    reaped: bool = False


def reap(journal: Journal, env: Mapping[str, str], inspector: Inspector | None = None) -> list[Found]:
    """Look at every open run and close the dead ones; return what was found. Raises OSError.

    Only the journal's owner writes; to anybody else it just tells.
    """
    inspector = inspector or Inspector(env)
    return [_look(journal, run, inspector) for run in reader.list_runs(journal) if _wanted(journal, run)]


def _wanted(journal: Journal, run: Run) -> bool:
    """Sweep a run's markers of calls whose process died; say whether the run is open."""
    if journal.owned():
        directory = journal.run_dir(run.trace_id)
        if os.path.isdir(directory + "/open"):
            markers.sweep(directory)
    return not run.closed and is_usable(run.info)


def _look(journal: Journal, run: Run, inspector: Inspector) -> Found:
    liveness = inspector.look(run.info, run.pane)
    if liveness.state != "dead" or not journal.owned():
        return Found(run, liveness)
    reaped = close(
        journal,
        run.trace_id,
        reason="lost",
        end_ns=last_evidence(journal, run.trace_id),
        evidence=liveness.evidence,
    )
    return Found(run, liveness, reaped)


def last_evidence(journal: Journal, trace_id: str) -> int:
    """Return the newest time in the run's records, its last sign of life: nanoseconds of the Unix epoch."""
    data = reader.read_run(journal, trace_id)
    times = [span.end_ns or span.start_ns for span in data.spans]
    times += [log.time_ns for log in data.logs]
    return min(max(times, default=0), time.time_ns())
