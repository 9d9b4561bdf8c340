"""One run as its small files tell: who it is, when it began and ended. Nothing here writes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gastown_tracing.journal.layout import open_regular
from gastown_tracing.journal.parse import (
    ReadSpan,
    Skip,
    parse_spans,
    read_file,
    read_time,
    without_surrogates,
)
from propagation.work import WorkContext, parse_line

#: How lines spell a span and a failed one, ours and, with the message first, those of the receiver; quotes
#: inside content are escaped, so neither is ever content.
_SPAN = b'"startTimeUnixNano"'
_FAILED = re.compile(rb'"status":\{(?:"message":"(?:[^"\\]|\\.)*+",)?"code":2')

#: Bytes that are searched at a time: a big run does not have to fit.
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Summary:
    """What the index of closed runs says of a run, so that its files need not be opened.

    `primed` are the beads that it was primed on, in order; "" is a prime on none. `spans` and `errors` count
    the spans that ended and those that failed, over all its parts.
    """

    primed: tuple[str, ...] = ()
    spans: int = 0
    errors: int = 0


@dataclass(slots=True)
class Run:
    """One run, as its small files tell. Times are nanoseconds of the Unix epoch.

    `info` is run.json ({} where there is none: a run that nobody opened through us), `pane` pane.json, `root`
    the root span of a closed run. `end_ns` is None while the run is open. All of `directories` hold records.
    With a `summary` all of it comes from the index, which keeps of the three what a list shows.
    """

    trace_id: str
    directories: list[str]
    info: dict[str, Any] = field(default_factory=dict)
    pane: dict[str, Any] | None = None
    closed: bool = False
    root: ReadSpan | None = None
    start_ns: int = 0
    end_ns: int | None = None
    last_activity_ns: int = 0
    skipped: list[Skip] = field(default_factory=list)
    summary: Summary | None = None

    def itself(self) -> Run:
        """Return the run: for who asks for it later."""
        return self


def load_run(trace_id: str, directories: list[str]) -> Run:
    """Return what the small files of these directories say."""
    run = Run(trace_id, directories)
    for directory in directories:
        run.info = run.info or _read_object(directory + "/run.json", run.skipped)
        run.pane = run.pane or _read_object(directory + "/pane.json", run.skipped) or None
        close = directory + "/close.json"
        roots = parse_spans(read_file(close, run.skipped), close, run.skipped)
        run.root = run.root or (roots[0] if roots else None)
        run.last_activity_ns = max(run.last_activity_ns, _last_change(directory))
    if run.root:
        run.closed, run.end_ns = True, run.root.end_ns
    run.start_ns = run.root.start_ns if run.root else _start_of_open(run)
    return run


def counted(run: Run) -> tuple[int, int]:
    """Return how many spans a run has written and how many of them failed, by counting bytes."""
    if run.summary is not None:
        return run.summary.spans, run.summary.errors
    spans = errors = 0
    for directory in run.directories:
        for name in ("traces.jsonl", "close.json"):
            for block in _blocks(f"{directory}/{name}"):
                spans += block.count(_SPAN)
                errors += sum(1 for _ in _FAILED.finditer(block))
    return spans, errors


def primed(run: Run) -> list[str]:
    """Return the beads that a run was primed on, in order; "" is a prime on none."""
    if run.summary is not None:
        return list(run.summary.primed)
    found: list[str] = []
    for _, work, _ in read_work(run.directories, []):
        if not found or found[-1] != work.bead:
            found.append(work.bead)
    return found


def read_work(directories: Iterable[str], skipped: list[Skip]) -> list[tuple[int, WorkContext, str]]:
    """Return the lines of work.jsonl as (time_ns, work, source), by time; `skipped` gets what is none."""
    found = []
    for directory in directories:
        path = directory + "/work.jsonl"
        lines = read_file(path, skipped).split("\n")
        if lines.pop():
            skipped.append(Skip(path, len(lines) + 1, "the last line has no end"))
        for number, line in enumerate(lines, 1):
            entry = parse_line(line)
            if entry:
                found.append(entry)
            else:
                skipped.append(Skip(path, number, "not a work context"))
    return sorted(found, key=lambda entry: entry[0])


def _blocks(path: str) -> Iterable[bytes]:
    """Yield a file in blocks of whole lines."""
    rest = b""
    try:
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            while block := file.read(_BLOCK):
                head, newline, rest = (rest + block).rpartition(b"\n")
                yield head + newline
    except OSError:
        return
    yield rest


def _start_of_open(run: Run) -> int:
    try:
        return read_time(run.info["start_time_unix_nano"])
    except (KeyError, ValueError, TypeError, OverflowError):
        starts = [_first_start(directory + "/traces.jsonl") for directory in run.directories]
        return min(filter(None, starts), default=run.last_activity_ns)


def _first_start(path: str) -> int:
    # A run that nobody opened through us has no run.json: its first line is the best that is cheap.
    try:
        with open(path, encoding="utf-8", errors="replace", newline="\n", opener=open_regular) as file:
            spans = parse_spans(file.readline(), path, [])
    except OSError:
        return 0
    return spans[0].start_ns if spans else 0


def _last_change(directory: str) -> int:
    latest = 0
    for name in ("traces.jsonl", "logs.jsonl", "run.json", "work.jsonl", "open", "close.json"):
        try:
            latest = max(latest, os.stat(f"{directory}/{name}").st_mtime_ns)
        except OSError:
            continue
    return latest


def _read_object(path: str, skipped: list[Skip]) -> dict[str, Any]:
    text = read_file(path, skipped)
    if not text:
        return {}
    try:
        found = without_surrogates(json.loads(text))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        skipped.append(Skip(path, 0, "not a JSON object"))
        return {}
    return found
