"""What `gt-trace ls` shows of a session, and of a command outside any."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gastown_tracing.hooks import agents
from gastown_tracing.journal import markers
from gastown_tracing.journal.parse import ReadSpan
from gastown_tracing.journal.reader import Run, RunData
from gastown_tracing.journal.runs import counted
from gastown_tracing.view import text, titles
from gastown_tracing.view.began import began
from gastown_tracing.view.choice import beads
from gastown_tracing.view.table import Cell, Column, table
from gastown_tracing.view.theme import Style

if TYPE_CHECKING:
    from gastown_tracing.view.load import Look

#: A span outside any session: its end, now where it is in progress; whether it is; the span.
_Seen = tuple[int, bool, ReadSpan]

#: What `agent` says of what is no session.
NO_AGENT = {"native_session_id": "", "transcript": ""}

_STYLES = {"live": "live", "dead": "error", "unknown": "bead"}


@dataclass(frozen=True, slots=True)
class Row:
    """One session, or one command outside any (then `session` is the command). Times are nanoseconds.

    `state` is `live`, `ended`, `dead` (not closed yet) or `unknown`; `reason` why it ended. Where nobody
    knows when it began, `start_ns` and `duration_ns` are None. Where it has not ended, or nobody saw it end,
    `end_known` is False and the duration the least that it can be.
    """

    run_id: str
    state: str
    reason: str
    session: str
    role: str
    rig: str
    agent: str
    bead: str
    start_ns: int | None
    duration_ns: int | None
    end_known: bool
    spans: int
    errors: int

    def data(self) -> dict[str, object]:
        """Return the row for JSON, with its start as an ISO time too."""
        start = None if self.start_ns is None else text.moment(self.start_ns)
        return {**asdict(self), "start": start and start.isoformat(timespec="milliseconds")}

    def took(self) -> str:
        """Return the duration in words."""
        if self.duration_ns is None:
            return "?"
        return text.took(self.duration_ns, minimum=not self.end_known and self.state != "live")


def row(run: Run, look: Look) -> Row:
    """Return what is known of a session without parsing what it did."""

    def info(name: str) -> str:
        return titles.text(run.info.get(name))

    state = "ended" if run.closed else look(run)
    start = began(run)
    until = run.end_ns or (time.time_ns() if state == "live" else run.last_activity_ns)
    spans, errors = _counted(run)
    return Row(
        run.trace_id,
        state,
        titles.text(run.root.attributes.get("reason")) if run.root else "",
        info("session") or info("agent_name"),
        info("role"),
        info("rig"),
        info("agent_name"),
        " ".join(beads(run)[-1:]),
        start or None,
        max(until - start, 0) if start else None,
        run.root is not None and titles.end_known(run.root),
        spans,
        errors,
    )


def _counted(run: Run) -> tuple[int, int]:
    """Return how many spans a run has and how many failed, as `view` does: with those that are not written.

    These are the root of an open run, and calls in progress or interrupted.
    """
    spans, errors = counted(run)
    if run.root is not None:
        return spans, errors
    marks = [mark for directory in run.directories for mark in markers.read_all(directory, [])]
    interrupted = sum(not mark.live and not mark.span.end_ns for mark in marks)
    failed = sum(bool(mark.span.end_ns) and titles.failed(mark.span) for mark in marks)
    return spans + len(marks) + 1, errors + interrupted + failed


def agent(run: Run) -> dict[str, object]:
    """Return for JSON which session of its agent program a run had last, and the file of its transcript."""
    session, transcript = agents.last_session(run.directories)
    return {"native_session_id": session, "transcript": transcript}


def loose(data: RunData) -> list[Row]:
    """Return the traces outside any session, newest first: each by its first command."""
    traces: dict[str, list[_Seen]] = {}
    now = time.time_ns()
    for span in data.spans:
        traces.setdefault(span.trace_id, []).append((span.end_ns, False, span))
    for span in data.in_progress:
        traces.setdefault(span.trace_id, []).append((now, True, span))
    rows = [_loose_row(trace_id, seen) for trace_id, seen in traces.items()]
    return sorted(rows, key=lambda found: (-(found.start_ns or 0), found.run_id))


def _loose_row(trace_id: str, seen: list[_Seen]) -> Row:
    """Return a trace by its first command."""
    spans = [span for _, _, span in seen]
    first = min(spans, key=lambda span: (bool(span.parent_id), span.start_ns))
    title = " ".join(filter(None, titles.title(first.name, first.attributes)))
    end, live, last = max(seen, key=lambda one: one[:2])
    start = min(span.start_ns for span in spans)
    return Row(
        trace_id,
        "live" if live else "ended",
        "",
        title,
        *("", "", "", ""),
        start,
        max(end - start, 0),
        not live and titles.end_known(last),
        len(spans),
        sum(titles.failed(span) for span in spans),
    )


_SESSIONS = (
    Column("STATE", 0, 10),
    Column("SESSION", 0, 34),
    Column("ROLE", 6, 12),
    Column("RIG", 5, 20),
    Column("AGENT", 7, 20),
    Column("BEAD", 3, 20),
    Column("STARTED", 0, 19),
    Column("TOOK", 0, 10, right=True),
    Column("SPANS", 4, 8, right=True),
    Column("ERRORS", 2, 8, right=True),
    Column("RUN", 0, 8),
    Column("REASON", 8, 40),
)


def sessions(rows: Sequence[Row], style: Style) -> str:
    """Return sessions as a table of at most `style.width` cells a line."""
    return table(_SESSIONS, [_cells(found) for found in rows], style)


def _cells(found: Row) -> list[Cell]:
    return [
        (found.state, _STYLES.get(found.state, "dim")),
        (found.session, "bold"),
        (found.role, ""),
        (found.rig, ""),
        (found.agent, ""),
        (found.bead, "bead"),
        (_started(found.start_ns), ""),
        (found.took(), ""),
        (str(found.spans), "dim"),
        (str(found.errors), "error" if found.errors else "dim"),
        (found.run_id[:8], "dim"),
        (found.reason, "dim"),
    ]


_COMMANDS = (
    Column("OUTSIDE ANY SESSION", 0, 60),
    Column("STARTED", 0, 19),
    Column("TOOK", 0, 10, right=True),
    Column("SPANS", 3, 8, right=True),
    Column("ERRORS", 2, 8, right=True),
    Column("TRACE", 0, 8),
)


def commands(rows: Sequence[Row], style: Style) -> str:
    """Return commands outside any session as a table of at most `style.width` cells a line."""
    cells = [
        [
            (found.session, "live" if found.state == "live" else ""),
            (_started(found.start_ns), ""),
            (found.took(), ""),
            (str(found.spans), "dim"),
            (str(found.errors), "error" if found.errors else "dim"),
            (found.run_id[:8], "dim"),
        ]
        for found in rows
    ]
    return table(_COMMANDS, cells, style)


def _started(start_ns: int | None) -> str:
    """Return a local time, its date only where it is not today."""
    if start_ns is None:
        return "?"
    started = text.moment(start_ns)
    today = started.date() == datetime.now().date()
    return f"{started:%H:%M:%S}" if today else f"{started:%Y-%m-%d %H:%M}"
