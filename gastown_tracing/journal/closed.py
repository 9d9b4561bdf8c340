r"""The closed runs of a journal and their index, so that a month-old town lists as fast as a new one.

`closed/<date>/<trace_id>/` is a run that ended on that UTC date, `<trace_id>~2` what was recorded of it later
and moved to the same date. `closed/<date>/index.jsonl` has a line for each: what a list or a look-up needs.
A later line of a run speaks for all its parts that were there before. The relay alone adds lines; who removes
a run blanks its line. The directory decides what is there: a line without one counts for nothing, and a run
without a line is read from its own files.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from errno import ENOSPC
from functools import partial
from typing import Any, NamedTuple

from gastown_tracing.journal.layout import Journal, open_regular
from gastown_tracing.journal.parse import ReadSpan, Skip
from gastown_tracing.journal.runs import Run, Summary, counted, load_run, primed

INDEX = "index.jsonl"

#: What the index keeps of run.json, and of the root span's attributes.
_INFO = (
    *("session", "role", "gt_role", "rig", "agent_name", "agent_type", "issue_id", "town_root"),
    "start_time_unix_nano",
)
_ROOT = (
    *("reason", "error", "exit_code", "gastown.evidence", "gastown.end_time.known", "gastown.interrupted"),
)

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_PART = re.compile(r"([0-9a-f]{32})(?:~([1-9]\d{0,5}))?")
_OLDER = re.compile(r"[^/]+/[0-9a-f]{32}(?:~[1-9]\d{0,5})?")
_LINE = re.compile(
    rb'^\{"name":"([0-9a-f]{32}(?:~[1-9]\d{0,5})?)",(?:"start":"(\d{1,20})",)?.*$', re.MULTILINE
)

#: A writer that had a file open may add to it for a while after its run was moved.
LATE_NS = 120 * 10**9

#: What a line has, beside `end`: numbers, and what else.
_NUMBERS = ("start", "last", "spans", "errors", "bytes")
_KINDS: dict[str, type | tuple[type, ...]] = {
    "info": dict,
    "pane": str,
    "root": (dict, type(None)),
    "primed": list,
    "older": list,
}

#: What a damaged line can make of the code below.
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class Listed(NamedTuple):
    """A run as a list needs it first: when it began (ns of the Unix epoch); `load` reads the rest."""

    start_ns: int
    trace_id: str
    load: Callable[[], Run]


def dates(journal: Journal, skipped: list[Skip] | None = None) -> list[str]:
    """Return the directories in closed/, newest first; what cannot be listed is added to `skipped`."""
    return sorted(_list(f"{journal.root}/closed", skipped), reverse=True)


def date_of(time_ns: int) -> str:
    """Return the UTC date of a time in ns of the Unix epoch."""
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d")


def end_of(date: str) -> int | None:
    """Return when a UTC date is over, in ns of the Unix epoch; None for the name of no date."""
    try:
        day = datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC) if _DATE.fullmatch(date) else None
        return int((day + timedelta(days=1)).timestamp()) * 1_000_000_000 if day else None
    except (ValueError, OverflowError):
        return None


def changed_since(journal: Journal, date: str, time_ns: int) -> bool:
    """Say whether anything on a date can have changed at `time_ns` or later; costs two stats."""
    directory = f"{journal.root}/closed/{date}"
    latest = max(_mtime(directory), _mtime(f"{directory}/{INDEX}"))
    return latest + LATE_NS >= time_ns


def parts(journal: Journal, date: str, skipped: list[Skip] | None = None) -> dict[str, list[str]]:
    """Return the names of a date's directories by trace id, the oldest part of each first."""
    found: dict[str, list[str]] = {}
    later: list[tuple[int, str]] = []
    for name in _list(f"{journal.root}/closed/{date}", skipped):
        part = _PART.fullmatch(name)
        if part and part[2]:
            later.append((int(part[2]), name))
        elif part:
            found[name] = [name]
    for _, name in sorted(later):
        found.setdefault(name[:32], []).append(name)
    return found


def trace_ids(journal: Journal, date: str) -> set[str]:
    """Return the trace ids of a date's runs, by nothing but the lengths of names: there can be many."""
    names = _list(f"{journal.root}/closed/{date}", None)
    return {name[:32] for name in names if len(name) >= 32 and name[32:33] in ("", "~")}


def read_date(
    journal: Journal, date: str, wanted: Sequence[bytes] = (), skipped: list[Skip] | None = None
) -> Iterator[Listed]:
    """Yield the runs of one date, in no order.

    Of those that the index knows only such as have all of `wanted` (`needle`) on their line.
    """
    lines = {name: (line, start) for name, line, start in _lines(journal, date)}
    for trace_id, names in parts(journal, date, skipped).items():
        line, start = lines.get(names[-1], (None, ""))
        if line is None or not start:
            run = load_run(trace_id, journal.find_run(trace_id))
            yield Listed(run.start_ns, trace_id, run.itself)
        elif all(text in line for text in wanted):
            yield Listed(int(start), trace_id, partial(_load_listed, journal, date, trace_id, names, line))


def _load_listed(journal: Journal, date: str, trace_id: str, names: list[str], line: bytes) -> Run:
    found = _run(journal, date, trace_id, names, line)
    return found or load_run(trace_id, journal.find_run(trace_id))


def needle(text: str) -> bytes:
    """Return what a line has that holds this text as a value."""
    return json.dumps(text).encode()


def unindexed(journal: Journal, date: str) -> list[str]:
    """Return the names of a date's directories that have no line in the index, or a damaged one."""
    known = sizes(journal, date)
    return [name for names in parts(journal, date).values() for name in names if name not in known]


def sizes(journal: Journal, date: str) -> dict[str, tuple[int, int]]:
    """Return, by a directory's name, when its run ended (ns of the Unix epoch) and the bytes it holds.

    As far as the index tells.
    """
    there = {name for names in parts(journal, date).values() for name in names}
    found = {}
    for name, line, _ in _lines(journal, date):
        entry = _load(line) if name in there else None
        if entry is not None:
            found[name] = entry["end"] or entry["last"], entry["bytes"]
    return found


def whole(journal: Journal, trace_id: str, directory: str) -> Run:
    """Return a run as the small files of `directory` and of the parts tell that were moved before."""
    others = [place for place in journal.find_run(trace_id) if place != journal.run_dir(trace_id)]
    return load_run(trace_id, [directory, *(place for place in others if place != directory)])


def describe(journal: Journal, run: Run, name: str) -> bytes:
    """Return the index's line for a run (`whole`), whose first directory has this name on its date.

    It counts what is in all parts.
    """
    spans, errors = counted(run)
    directory, *older = run.directories
    entry: dict[str, Any] = {
        "name": name,
        "start": str(run.start_ns),
        "end": None if run.end_ns is None else str(run.end_ns),
        "last": str(run.last_activity_ns),
        "info": {key: run.info[key] for key in _INFO if key in run.info},
        "pane": str((run.pane or {}).get("session") or ""),
        "root": _root_facts(run.root) if run.root else None,
        "primed": primed(run),
        "older": [os.path.relpath(found, f"{journal.root}/closed") for found in older],
        "spans": spans,
        "errors": errors,
        "bytes": size_of(directory),
    }
    return json.dumps(entry, separators=(",", ":"), default=str).encode() + b"\n"


def size_of(directory: str) -> int:
    """Return the bytes of all files under a directory. No symbolic link is followed."""
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(f"{parent}/{name}").st_size
            except OSError:
                continue
    return total


def append(journal: Journal, date: str, line: bytes) -> None:
    """Add a line to a date's index. Raises OSError."""
    path = f"{journal.root}/closed/{date}/{INDEX}"
    descriptor = open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, 0o600)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":  # torn on a disk that was full
            line = b"\n" + line
        if os.write(descriptor, line) < len(line):
            raise OSError(ENOSPC, "only a part of the line could be written", path)
    finally:
        os.close(descriptor)


def forget(directories: Iterable[str]) -> None:
    """Blank the lines of directories that have been removed: what is gone leaves nothing behind.

    In place, so that a full disk does not matter and nobody who adds a line loses it. What cannot be written
    stays; it counts for nothing.
    """
    dates: dict[str, set[bytes]] = {}
    for directory in directories:
        parent, _, name = directory.rpartition("/")
        dates.setdefault(parent, set()).add(name.encode())
    for parent, names in dates.items():
        with contextlib.suppress(OSError):
            _blank(f"{parent}/{INDEX}", names)


def _blank(path: str, names: set[bytes]) -> None:
    descriptor = open_regular(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        for found in _LINE.finditer(data):
            if found[1] in names:
                os.pwrite(descriptor, b" " * len(found[0]), found.start())
    finally:
        os.close(descriptor)


def _lines(journal: Journal, date: str) -> Iterator[tuple[str, bytes, str]]:
    """Yield the lines of a date's index in their order: the name each is for, itself, its start or ""."""
    try:
        with open(f"{journal.root}/closed/{date}/{INDEX}", "rb", opener=open_regular) as file:
            data = file.read()
    except OSError:
        return
    for found in _LINE.finditer(data):
        yield found[1].decode(), found[0], (found[2] or b"").decode()


def _load(line: bytes) -> dict[str, Any] | None:
    """Return a line's object, its numbers as such; None where it is damaged."""
    try:
        entry = json.loads(line)
        entry |= {key: _number(entry[key]) for key in _NUMBERS}
        entry["end"] = None if entry["end"] is None else _number(entry["end"])
        right = all(isinstance(entry[key], kinds) for key, kinds in _KINDS.items())
    except _MALFORMED:
        return None
    return entry if right else None


def _number(value: object) -> int:
    """Return a number as a line has it: decimal digits, or a JSON integer. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    raise ValueError("not a number")


def _run(journal: Journal, date: str, trace_id: str, names: list[str], line: bytes) -> Run | None:
    """Return a run as its line tells, None where that is damaged."""
    entry = _load(line)
    if entry is None:
        return None
    closed = f"{journal.root}/closed"
    places = [f"{closed}/{date}/{name}" for name in reversed(names)]
    others = [str(older) for older in entry["older"] if _OLDER.fullmatch(str(older))]
    places += [place for older in others if (place := f"{closed}/{older}") not in places]
    start, end, root = entry["start"], entry["end"], None
    if entry["root"] is not None:
        root = ReadSpan(trace_id, "", start_ns=start, end_ns=end or 0, attributes=entry["root"])
        root.resource, root.scope, root.scope_version = {}, "", ""
    return Run(
        trace_id,
        places,
        info=entry["info"],
        pane={"session": entry["pane"]} if entry["pane"] else None,
        closed=root is not None,
        root=root,
        start_ns=start,
        end_ns=end,
        last_activity_ns=entry["last"],
        summary=Summary(tuple(map(str, entry["primed"])), entry["spans"], entry["errors"]),
    )


def _root_facts(root: ReadSpan) -> dict[str, Any]:
    return {key: root.attributes[key] for key in _ROOT if key in root.attributes}


def _mtime(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _list(path: str, skipped: list[Skip] | None) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        if skipped is not None:
            skipped.append(Skip(path, 0, error.strerror or str(error)))
        return []
