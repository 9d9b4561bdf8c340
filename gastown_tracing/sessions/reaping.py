"""Close the sessions that ended without anybody saying so (design: "The root span").

However many do this at once, each session is closed once: link(2) decides.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gastown_tracing import config
from gastown_tracing.journal import layout, markers, reader
from gastown_tracing.sessions.documents import is_usable
from gastown_tracing.sessions.ending import alone, close, is_closed
from gastown_tracing.sessions.liveness import Inspector, Liveness
from gastown_tracing.sessions.run import handle_of, is_started, now_ns, record_start, write_pane
from gastown_tracing.shims.tmux import prompt as tmux_prompt

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


def reap(
    journal: Journal,
    env: Mapping[str, str],
    inspector: Inspector | None = None,
    problems: list[OSError] | None = None,
) -> list[Found]:
    """Look at every open run, note which live and close the dead; return what was found, oldest first.

    Runs that were moved to closed/ are not looked at, however many there are.
    Only the journal's owner writes, and only while it is switched on; else it just tells. What cannot be
    written is added to `problems`, and left for the next who does this.
    """
    inspector = inspector or Inspector(env)
    problems = [] if problems is None else problems
    writing = not why_not_recorded(journal, env)
    if writing:
        for hour in layout.list_directory(journal.root + "/loose"):
            _sweep(f"{journal.root}/loose/{hour}")
        tmux_prompt.sweep(journal, config.Config(env, journal.config_path), problems)
    meant = functools.partial(_meant, writing=writing)
    runs = [run for run in reader.open_runs(journal, meant=meant) if not run.closed and is_usable(run.info)]
    runs.sort(key=lambda run: (run.start_ns, run.trace_id))
    inspector.count(run.pane for run in runs)
    return [_look(journal, run, inspector, problems if writing else None) for run in runs]


def why_not_recorded(journal: Journal, env: Mapping[str, str]) -> str:
    """Return in words why this process writes nothing into a journal, "" where it does."""
    if not journal.owned():
        return f"the journal {journal.root} belongs to another user"
    telemetry = config.load({**env, config.JOURNAL: journal.root}, "/")
    return "" if telemetry.on else telemetry.why


def _sweep(directory: str) -> None:
    if os.path.isdir(directory + "/open"):
        markers.sweep(directory)


def _meant(directory: str, *, writing: bool) -> bool:
    """Sweep a run's markers of calls whose process died; say whether the run is open.

    Those that wait to be moved can be many while a backend is down: two looks each.
    """
    if writing:
        _sweep(directory)
    return not layout.path_exists(f"{directory}/close.json")


def _look(journal: Journal, run: Run, inspector: Inspector, problems: list[OSError] | None) -> Found:
    liveness = inspector.look(run.info, run.pane)
    if problems is None:
        return Found(run, liveness)
    reaped = False
    try:
        if liveness.pane:
            adopt(journal, run.info, liveness.pane)
        elif liveness.state == "live":
            _note_seen(journal, run)
        elif liveness.state == "dead":
            reaped = close_dead(journal, run.trace_id, liveness)
    except OSError as error:
        problems.append(error)
    return Found(run, liveness, reaped)


def adopt(
    journal: Journal,
    info: Mapping[str, object],
    pane: Mapping[str, str],
    evidence: Mapping[str, object] | None = None,
) -> None:
    """Finish an interrupted start: say in pane.json where the session lives, and record it. Raises OSError.

    However many do this at once, one does it. `evidence` are attributes that say how anyone knows of it.
    """
    handle = handle_of(journal, info)
    with alone(handle.directory):
        if not os.path.exists(_sighting(journal, handle.trace_id)):
            write_pane(handle, pane)
        if not is_started(handle.directory):  # when the spawn came to its end nobody knows
            is_agent = pane.get("agents") != "0"  # gt starts a shell first, and the agent in its place
            record_start(handle, end_ns=handle.start_ns, instantiated=is_agent, evidence=evidence)


def _note_seen(journal: Journal, run: Run) -> None:
    """Note that the session lived at this moment: pane.json, whose content stays, gets the time."""
    now = now_ns(run.info)
    with contextlib.suppress(FileNotFoundError):  # a start that was interrupted left none
        os.utime(_sighting(journal, run.trace_id), ns=(now, now))


def _sighting(journal: Journal, trace_id: str) -> str:
    return journal.run_dir(trace_id) + "/pane.json"


def close_dead(journal: Journal, trace_id: str, liveness: Liveness) -> bool:
    """Close the run of a session that ended unseen; False where somebody was first. Raises OSError.

    Where tmux saw the end, that is on record. Else its end is the last evidence, and is marked as no more
    than that.
    """
    seen = liveness.end
    with alone(journal.run_dir(trace_id)):
        if is_closed(journal, trace_id):  # one that was moved, and began again under the same id
            return False
        last = last_evidence(journal, trace_id)
        return close(
            journal,
            trace_id,
            reason=liveness.reason,
            end_ns=_within(seen.second, last) if seen and seen.second else last,
            end_known=bool(seen and seen.second),
            exit_code=seen.exit_code if seen else None,
            error=seen.error if seen else "",
            evidence=liveness.evidence,
        )


def _within(second: int, time_ns: int) -> int:
    """Return the time within a second that comes nearest to `time_ns`: tmux knows no more of an end."""
    begin = second * 1_000_000_000
    return min(max(begin, time_ns), begin + 999_999_999)


def last_evidence(journal: Journal, trace_id: str) -> int:
    """Return when the run gave its last sign of life: its newest record, or when it was last seen alive.

    Nanoseconds of the Unix epoch.
    """
    data = reader.read_run(journal, trace_id)
    times = [span.end_ns or span.start_ns for span in data.spans]
    times += [log.time_ns for log in data.logs]
    with contextlib.suppress(OSError):
        times.append(os.stat(_sighting(journal, trace_id)).st_mtime_ns)
    return min(max(times, default=0), time.time_ns())
