"""What never reached a backend: records given up at the hard cap, and dead letters."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from gastown_tracing.journal.layout import open_regular
from gastown_tracing.relay import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gastown_tracing.relay.files import Files

#: Seconds for which a loss is something to see to; after that it is a fact.
FRESH = 24 * 3600.0

#: The signals that have dead letters in files; a metric that is refused is tried again.
SIGNALS, METRICS = ("traces", "logs"), "metrics"
_REASONS_END, _BLOCK = 256 << 10, 1 << 20


@dataclass(frozen=True, slots=True)
class Loss:
    """So many records, and when the last of them was (ISO 8601; "" where that is not known)."""

    records: int
    last: str = ""
    bytes: int | None = None

    @property
    def fresh(self) -> bool:
        """Say whether the last one was within a day; True where that is not known."""
        try:
            last = datetime.fromisoformat(self.last).timestamp()
        except ValueError:
            return True
        return time.time() - last < FRESH


def given_up(files: Files, found: Mapping[str, Any]) -> Loss | None:
    """Return what was given up unsent in the journal's life, None for nothing.

    `found` is the relay's status: what it could not save it says there.
    """
    keeper = found.get("keeper")
    said = keeper if isinstance(keeper, dict) else {}
    records = said.get("lost_records")
    saved = _saved(files)
    if isinstance(records, int) and records > (saved.records if saved else 0):
        size = said.get("lost_bytes")
        return Loss(records, str(said.get("lost_last") or ""), size if isinstance(size, int) else None)
    return saved


def _saved(files: Files) -> Loss | None:
    try:
        found = checkpoint.load(files.lost)
        records, size = int(found.get("records", 0)), int(found.get("bytes", 0))
    except (checkpoint.Damaged, OSError, ValueError, TypeError):
        return None  # the relay's log says that it cannot be told
    return Loss(records, str(found.get("last") or ""), size) if records else None


def dead_letters(files: Files, found: Mapping[str, Any]) -> dict[str, Loss]:
    """Return the dead letters that are there, by signal.

    Those of `metrics` are points that were refused, as the relay's status, `found`, has them.
    """
    counts = {signal: _lines(f"{files.dead_letters}/{signal}.jsonl") for signal in SIGNALS}
    last = dict(_times(f"{files.dead_letters}/reasons.jsonl")) if any(counts.values()) else {}
    letters = {signal: Loss(count, last.get(signal, "")) for signal, count in counts.items() if count}
    return {**letters, **_refused_points(found)}


def _refused_points(found: Mapping[str, Any]) -> dict[str, Loss]:
    workers = found.get("workers")
    told = workers.get(METRICS) if isinstance(workers, dict) else None
    count = told.get("dead_letters") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(count, int) or count <= 0:
        return {}
    error = told.get("last_error")
    return {METRICS: Loss(count, str(error.get("time", "")) if isinstance(error, dict) else "")}


def _lines(path: str) -> int:
    lines = 0
    try:
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            while block := file.read(_BLOCK):
                lines += block.count(b"\n")
    except OSError:
        return lines
    return lines


def _times(path: str) -> Iterator[tuple[str, str]]:
    """Yield signal and time of the last reasons, in their order."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _REASONS_END))
            lines = file.read(_REASONS_END).splitlines()
    except OSError:
        return
    for line in lines:
        try:
            reason = orjson.loads(line)
            yield str(reason["signal"]), str(reason["time"])
        except (orjson.JSONDecodeError, TypeError, KeyError):
            continue  # the first is a part of a line
