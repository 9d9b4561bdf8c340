"""A town that is a month old, made fast: closed runs that the index knows, and whose files nobody opens."""

from __future__ import annotations

import json
import os

from gastown_tracing.journal import closed
from gastown_tracing.journal.layout import Journal, create, mkdirs
from tests.relay.keep_kit import DAY, SECOND

#: 2026-11-20, 23:00 UTC: when the last of them ended.
LAST = 1_795_215_600 * SECOND


def trace_id(number: int) -> str:
    """Return the trace id of a run; no two of 50,000 begin with the same eight digits."""
    return f"{number * 85_899 % (1 << 32):08x}{number:024x}"


def build(root: str, runs: int, days: int = 30) -> Journal:
    """Make a journal with so many closed runs, those with the highest numbers the newest."""
    journal = create(root)
    each = -(-runs // days)
    for day in range(days):
        numbers = range(min(day * each, runs), min((day + 1) * each, runs))
        if numbers:
            end = LAST - (days - 1 - day) * DAY
            _shelve(
                journal,
                closed.date_of(end),
                {number: end - (numbers[-1] - number) * SECOND for number in numbers},
            )
    return journal


def _shelve(journal: Journal, date: str, ends: dict[int, int]) -> None:
    directory = f"{journal.root}/closed/{date}"
    mkdirs(directory)
    for number in ends:
        os.mkdir(f"{directory}/{trace_id(number)}")
    with open(f"{directory}/{closed.INDEX}", "w") as file:
        file.writelines(_line(number, end) for number, end in ends.items())
    for path in (f"{directory}/{closed.INDEX}", directory):
        os.utime(path, ns=(max(ends.values()), max(ends.values())))


def _line(number: int, end: int) -> str:
    entry = {
        "name": trace_id(number),
        "start": str(end - 60 * SECOND),
        "end": str(end),
        "last": str(end),
        "info": {
            "session": f"gt-rig-{number}",
            "role": "polecat",
            "rig": f"rig-{number % 7}",
            "agent_name": f"agent-{number}",
            "issue_id": f"gt-{number}",
        },
        "pane": "",
        "root": {"reason": "done"},
        "primed": [],
        "older": [],
        "spans": 40,
        "errors": 1,
        "bytes": 20_000,
    }
    return json.dumps(entry, separators=(",", ":")) + "\n"
