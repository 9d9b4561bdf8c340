"""What `gt-trace session list` shows of each session, in the words of `gt-trace ls`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gastown_tracing.journal import layout, reader
from gastown_tracing.journal.runs import primed
from gastown_tracing.view import text, titles
from gastown_tracing.view.table import Cell, Column, table
from propagation import work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.journal.reader import Run
    from gastown_tracing.sessions.reaping import Found
    from gastown_tracing.view.theme import Style

#: The columns by the row's key.
COLUMNS = {
    "state": Column("STATE", 0, 10),
    "session": Column("SESSION", 0, 34),
    "role": Column("ROLE", 6, 12),
    "rig": Column("RIG", 5, 20),
    "agent": Column("AGENT", 7, 20),
    "bead": Column("BEAD", 3, 20),
    "age_ms": Column("AGE", 0, 10, right=True),
    "run_id": Column("RUN", 0, 8),
    "reason": Column("REASON", 4, 40),
}

_STYLES = {"live": "live", "dead": "error", "unknown": "bead"}


def rows(journal: Journal, found: Sequence[Found], everything: bool) -> list[dict[str, Any]]:
    """Return one row a session, newest first, as plain data; ended ones only with `everything`.

    `state` is `live`, `unknown`, `ended`, or `dead`: it has ended, and its run could not be closed. `stray`
    is an agent that lives on without its tmux session.
    """
    shown = [
        _row(item) for item in found if item.liveness.state != "dead" or (everything and not item.reaped)
    ]
    if everything:
        open_ones = {row["run_id"] for row in shown}
        runs = reader.newest_first(journal)
        shown += [_ended(run) for run in runs if run.closed and run.trace_id not in open_ones]
    return sorted(shown, key=lambda row: (-int(row["start_time_unix_nano"]), row["run_id"]))


def _row(item: Found) -> dict[str, Any]:
    known = item.liveness
    facts = _facts(item.run, time.time_ns())
    return {**facts, "state": known.state, "stray": known.stray, "why": known.evidence}


def _ended(run: Run) -> dict[str, Any]:
    attributes = run.root.attributes if run.root else {}
    end = run.end_ns or run.start_ns
    return {
        **_facts(run, end),
        "state": "ended",
        "reason": str(attributes.get("reason") or ""),
        "why": str(attributes.get("gastown.evidence") or attributes.get("error") or ""),
        "end_time_unix_nano": str(end),
        "end_known": run.root is not None and titles.end_known(run.root),
    }


def _facts(run: Run, until_ns: int) -> dict[str, Any]:
    info = run.info
    return {
        "session": info.get("session", ""),
        "role": info.get("role", ""),
        "rig": info.get("rig", ""),
        "agent": info.get("agent_name", ""),
        "agent_type": info.get("agent_type", ""),
        "bead": _bead(run),
        "start_time_unix_nano": str(run.start_ns),
        "age_ms": max(0, until_ns - run.start_ns) / 1e6,
        "reason": "",
        "run_id": run.trace_id,
    }


def _bead(run: Run) -> str:
    """Return the bead that the session works on: of its last prime, else the one it was started for."""
    if run.summary is not None:
        return "".join(primed(run)[-1:]) or str(run.info.get("issue_id") or "")
    texts = [layout.read_text(directory + "/work.jsonl") or "" for directory in run.directories]
    context = work.in_force("".join(reversed(texts)), time.time_ns())
    return (context.bead if context else "") or str(run.info.get("issue_id") or "")


def text_of(rows: Sequence[dict[str, Any]], style: Style) -> str:
    """Return the rows as a table that fits, safe for a terminal; below it, what is odd about some."""
    cells = [[_cell(row, key) for key in COLUMNS] for row in rows]
    odd = [row for row in rows if row["state"] in ("unknown", "dead") or row.get("stray")]
    notes = [f"{row['session']}: {row['why']}" for row in odd]
    return table(list(COLUMNS.values()), cells, style) + "".join(_note(note, style) for note in notes)


def _cell(row: dict[str, Any], key: str) -> Cell:
    if key == "state":
        return str(row[key]), _STYLES.get(row[key], "dim")
    if key == "age_ms":
        return text.took(round(row[key] * 1e6), minimum=not row.get("end_known", True)), ""
    if key == "run_id":
        return row[key][:8], "dim"
    return str(row[key]), {"session": "bold", "bead": "bead", "reason": "dim"}.get(key, "")


def _note(said: str, style: Style) -> str:
    words = text.clean(said, ascii_only=style.ascii).split()
    lines = text.wrap(words, style.width - 2, " ")
    return "".join("  " + " ".join(words[index] for index in line) + "\n" for line in lines)
