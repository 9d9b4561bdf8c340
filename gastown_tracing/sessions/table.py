"""What `gt-trace session list` shows of each session."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gastown_tracing.journal import layout, reader
from gastown_tracing.view import text
from propagation import work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.journal.reader import Run
    from gastown_tracing.sessions.reaping import Found

#: Column titles by the row's key.
COLUMNS = {
    "session": "SESSION",
    "role": "ROLE",
    "rig": "RIG",
    "agent": "AGENT",
    "bead": "BEAD",
    "age": "AGE",
    "state": "STATE",
    "run_id": "RUN",
}


def rows(journal: Journal, found: Sequence[Found], everything: bool) -> list[dict[str, Any]]:
    """Return one row a session, oldest first, as plain data; ended ones only with `everything`."""
    dead = {item.run.trace_id for item in found if item.liveness.state == "dead"}
    shown = [
        _row(item.run, item.liveness.state, item.liveness.evidence)
        for item in found
        if item.run.trace_id not in dead
    ]
    if everything:
        shown += [_ended(run) for run in reader.list_runs(journal) if run.closed]
    return sorted(shown, key=lambda row: str(row["start_time_unix_nano"]).zfill(20))


def _row(run: Run, state: str, why: str) -> dict[str, Any]:
    info = run.info
    end = run.end_ns or time.time_ns()
    return {
        "session": info.get("session", ""),
        "role": info.get("role", ""),
        "rig": info.get("rig", ""),
        "agent": info.get("agent_name", ""),
        "agent_type": info.get("agent_type", ""),
        "bead": _bead(run),
        "start_time_unix_nano": str(run.start_ns),
        "age_ms": max(0, end - run.start_ns) / 1e6,
        "state": state,
        "why": why,
        "run_id": run.trace_id,
    }


def _ended(run: Run) -> dict[str, Any]:
    attributes = run.root.attributes if run.root else {}
    why = attributes.get("gastown.evidence") or attributes.get("error") or ""
    return {
        **_row(run, str(attributes.get("reason") or "ended"), str(why)),
        "end_time_unix_nano": str(run.end_ns),
    }


def _bead(run: Run) -> str:
    """Return the bead that the session works on: of its last prime, else the one it was started for."""
    texts = [layout.read_text(directory + "/work.jsonl") or "" for directory in run.directories]
    context = work.in_force("".join(reversed(texts)), time.time_ns())
    return (context.bead if context else "") or str(run.info.get("issue_id") or "")


def lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the rows as a table, safe for a terminal; why nobody knows stands after the last column."""
    cells = [[text.clean(_cell(row, key)) for key in COLUMNS] for row in rows]
    widths = [max(map(text.width, column)) for column in zip(COLUMNS.values(), *cells, strict=True)]
    table = [
        "  ".join(text.pad(cell, width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [list(COLUMNS.values()), *cells]
    ]
    notes = [
        "",
        *[f"  ({text.clean(row['why'])})" if row["state"] != "live" and row["why"] else "" for row in rows],
    ]
    return [line + note for line, note in zip(table, notes, strict=True)]


def _cell(row: dict[str, Any], key: str) -> str:
    return text.duration(round(row["age_ms"] * 1e6)) if key == "age" else str(row[key])
