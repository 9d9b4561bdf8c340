"""What is in a journal, by a look that is bounded: a month-old town takes no longer than a new one."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import orjson

from gastown_tracing.doctor.check import ok, problem, warning
from gastown_tracing.journal import closed, markers
from gastown_tracing.journal.layout import list_directory, load_json, open_regular, read_text
from gastown_tracing.view.text import counted, duration, size

if TYPE_CHECKING:
    from gastown_tracing.doctor.check import Check, Checks
    from gastown_tracing.journal.layout import Journal

#: How many files are measured, how many directories are looked into, and how much of a file's end is read.
_FILES, _DIRECTORIES, _END = 20_000, 100, 256 * 1024

#: A record may be this many seconds ahead: the clocks of two machines differ by a bit.
_AHEAD = 5.0

_TRACE_ID = re.compile(r"[0-9a-f]{32}")


def contents(journal: Journal) -> Checks:
    """Yield how much there is, and what is wrong with it."""
    runs = [name for name in list_directory(f"{journal.root}/runs") if _TRACE_ID.fullmatch(name)]
    ended = {name for name in runs if os.path.exists(f"{journal.root}/runs/{name}/close.json")}
    moved = {name for date in closed.dates(journal) for name in closed.trace_ids(journal, date)}
    yield ok("runs", f"{len(set(runs) - ended - moved)} open, {len(ended | moved)} closed")
    yield _size(journal.root)
    recent = _recent(journal, runs)
    yield from _damage(recent)
    yield from _markers(recent)
    yield from _future(recent)


def _size(root: str) -> Check:
    found = list(islice(_sizes(root), _FILES))
    least = "at least " if len(found) == _FILES else ""
    return ok("size", f"{least}{size(sum(found))} in {least}{counted(len(found), 'file')}")


def _sizes(root: str) -> Iterator[int]:
    for directory, _, names in os.walk(root):
        for name in names:
            try:
                yield os.lstat(f"{directory}/{name}").st_size
            except OSError:
                continue


def _recent(journal: Journal, runs: list[str]) -> list[str]:
    """Return the directories that changed last."""
    places = [f"{journal.root}/runs/{name}" for name in runs]
    places += [f"{journal.root}/loose/{hour}" for hour in list_directory(f"{journal.root}/loose")]
    return sorted(places, key=_changed, reverse=True)[:_DIRECTORIES]


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _damage(places: list[str]) -> Checks:
    """Yield how many lines cannot be read, of the last ones of each file."""
    lines, bad, where = 0, 0, ""
    for path in [f"{place}/{name}" for place in places for name in ("traces.jsonl", "logs.jsonl")]:
        for line in _last_lines(path):
            lines += 1
            if not _is_json(line):
                bad += 1
                where = where or path
    looked = f"of the last {counted(lines, 'line')}, in {len(places)} runs and hours"
    if bad:
        advice = "nothing to do: readers and the relay go on behind them; a full disk leaves some"
        yield warning("lines", f"{bad} damaged {looked}, the first in {where}", advice)
    else:
        yield ok("lines", f"none damaged {looked}")


def _last_lines(path: str) -> list[bytes]:
    """Return the whole lines at the end of a file."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            start = max(0, os.fstat(file.fileno()).st_size - _END)
            file.seek(start)
            data = file.read(_END)
    except OSError:
        return []
    lines = data.split(b"\n")[:-1]
    return lines[1:] if start else lines


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _markers(places: list[str]) -> Checks:
    """Yield how many calls are on, and of how many the process died."""
    found = [f"{place}/open/{name}" for place in places for name in list_directory(f"{place}/open")]
    shown = [path for path in found if not os.path.basename(path).startswith(".")][:_FILES]
    dead = sum(not markers.is_live(path) for path in shown)
    if dead:
        said = f"{counted(dead, 'call')} whose process died, {len(shown) - dead} in progress"
        yield warning(
            "calls", said, "the relay, or `gt-trace session list`, writes down that they were cut off"
        )
    else:
        yield ok("calls", f"{len(shown)} in progress, none whose process died")


def _future(places: list[str]) -> Checks:
    """Yield whether a run starts in the future: then the clock was set back."""
    ahead = max((_start(place) / 1e9 - time.time() for place in places), default=0.0)
    if ahead > _AHEAD:
        said = (
            f"a run starts {duration(int(ahead * 1e9))} from now: the clock was set back, or was wrong then"
        )
        yield problem("future", said, "compare the clock with another machine's")
    else:
        yield ok("future", "no run starts in the future")


def _start(place: str) -> int:
    info = load_json(read_text(f"{place}/run.json") or "")
    try:
        return int(str(info.get("start_time_unix_nano") or 0)) if isinstance(info, dict) else 0
    except ValueError:
        return 0
