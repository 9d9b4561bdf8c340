"""Reading a journal: its runs, and everything a run holds. Nothing here writes.

What cannot be read is skipped and said; the one error is `LookupFailed`, for a name that names no run.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gastown_tracing.journal import markers
from gastown_tracing.journal.layout import Journal, open_regular
from gastown_tracing.journal.otlp import Span
from gastown_tracing.journal.parse import (
    ReadLog,
    ReadSpan,
    Skip,
    parse_logs,
    parse_spans,
    read_file,
    read_time,
    without_surrogates,
)
from propagation.run import parse_run_id
from propagation.work import WorkContext, parse_line

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_HOUR = re.compile(r"\d{4}-\d\d-\d\dT\d\d")
_PREFIX = re.compile(r"[0-9a-f-]{1,35}")

#: So many digits of a run id, at least, stand for it.
SHORTEST = 4

#: How many of several runs are named that one prefix begins.
_NAMED = 3


class LookupFailed(LookupError):  # noqa: N818 - what the CLI prints is a failed look-up, not a fault
    """No run, or more than one, is meant by what was given; the message is one line for the user."""


@dataclass(slots=True)
class Run:
    """One run, as its small files tell. Times are nanoseconds of the Unix epoch.

    `info` is run.json ({} where there is none: a run that nobody opened through us), `pane` pane.json, `root`
    the root span of a closed run. `end_ns` is None while the run is open. All of `directories` hold records.
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


@dataclass(slots=True)
class RunData:
    """Everything that is known of a run.

    `spans` are those that have ended, the root of a closed run and interrupted ones included; `in_progress`
    are spans whose process still runs. `work` is work.jsonl, one (time_ns, work, source) a prime. `skipped`
    says which parts of which files could not be read.
    """

    run: Run
    spans: list[ReadSpan] = field(default_factory=list)
    logs: list[ReadLog] = field(default_factory=list)
    in_progress: list[ReadSpan] = field(default_factory=list)
    work: list[tuple[int, WorkContext, str]] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)


def list_runs(journal: Journal, since_ns: int | None = None, skipped: list[Skip] | None = None) -> list[Run]:
    """Return all runs, open and closed, by start time; only those active after `since_ns` where it is given.

    Reads nothing but each run's small files. A directory that cannot be listed is added to `skipped`.
    """
    skipped = [] if skipped is None else skipped
    places: dict[str, list[str]] = {}
    closed = journal.root + "/closed"
    dates = sorted(_list(closed, skipped), reverse=True)
    for parent in [journal.root + "/runs", *[f"{closed}/{date}" for date in dates]]:
        for name in _list(parent, skipped):
            if _TRACE_ID.fullmatch(name):
                places.setdefault(name, []).append(f"{parent}/{name}")
    runs = [_load_run(trace_id, directories) for trace_id, directories in places.items()]
    runs = [run for run in runs if since_ns is None or run.last_activity_ns >= since_ns]
    return sorted(runs, key=lambda run: (run.start_ns, run.trace_id))


def read_run(journal: Journal, trace_id: str) -> RunData:
    """Return everything about a run, from all directories that hold a part of it.

    A run that is not there is empty, and `skipped` says so.
    """
    run = _load_run(trace_id, journal.find_run(trace_id))
    data = _read(run)
    if not run.directories:
        data.skipped.append(Skip(journal.run_dir(trace_id), 0, "no such run"))
    for directory in run.directories:
        _read_work(directory + "/work.jsonl", data)
    data.work.sort(key=lambda entry: entry[0])
    return data


def read_loose(journal: Journal, since_ns: int | None = None) -> RunData:
    """Return the records outside any run, of the hours that `since_ns` falls into and later."""
    skipped: list[Skip] = []
    loose = journal.root + "/loose"
    hours = sorted(name for name in _list(loose, skipped) if _HOUR.fullmatch(name))
    if since_ns is not None:
        first = datetime.fromtimestamp(since_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H")
        hours = [hour for hour in hours if hour >= first]
    data = _read(Run("", [f"{loose}/{hour}" for hour in hours]))
    data.skipped += skipped
    return data


def resolve(journal: Journal, text: str) -> str:
    """Return the trace id of the run that `text` means.

    That is a run id in any form of a UUID; "latest"; a session's name or a bead, of which the latest run is
    taken; or the first digits of a run id, at least four. Raises LookupFailed.
    """
    run_id = parse_run_id(text)
    if run_id and journal.find_run(run_id):
        return run_id
    runs = list_runs(journal)
    if not runs:
        raise LookupFailed(
            f"no runs in the journal {journal.root}; `gt-trace ls --loose` lists commands outside any"
        )
    if text == "latest":
        return runs[-1].trace_id
    for matches in (_has_session, _has_bead):
        found = [run.trace_id for run in runs if text and matches(run, text)]
        if found:
            return found[-1]
    return _by_prefix(runs, text)


def _by_prefix(runs: list[Run], text: str) -> str:
    prefix = text.lower().replace("-", "")
    found = (
        [run for run in runs if run.trace_id.startswith(prefix)] if _PREFIX.fullmatch(text.lower()) else []
    )
    if found and len(prefix) < SHORTEST:
        raise LookupFailed(f"{text!r}: the beginning of a run id takes at least {SHORTEST} digits")
    if len(found) > 1:
        raise LookupFailed(f"{text!r} begins {len(found)} runs, {_several(found)}: give more digits")
    if not found:
        raise LookupFailed(f"no run, session or bead {text!r}: see `gt-trace ls`")
    return found[0].trace_id


def _several(runs: list[Run]) -> str:
    """Return runs in words, newest first, each with digits enough to tell it from the others."""
    digits = next(count for count in range(33) if len({run.trace_id[:count] for run in runs}) == len(runs))
    named = [
        f"{run.trace_id[:digits]} {str(run.info.get('session') or '')!r}" for run in runs[: -_NAMED - 1 : -1]
    ]
    return ", ".join(named) + (", …" if len(runs) > _NAMED else "")


def _has_session(run: Run, name: str) -> bool:
    return name in (run.info.get("session"), (run.pane or {}).get("session"))


def _has_bead(run: Run, bead: str) -> bool:
    if run.info.get("issue_id") == bead:
        return True
    data = RunData(run)
    for directory in run.directories:
        _read_work(directory + "/work.jsonl", data)
    return any(work.bead == bead for _, work, _ in data.work)


def _load_run(trace_id: str, directories: list[str]) -> Run:
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


def _read(run: Run) -> RunData:
    data = RunData(run, skipped=list(run.skipped))
    # Markers first: a span that ends meanwhile is then found twice rather than not at all.
    marked = [mark for directory in run.directories for mark in markers.read_all(directory, data.skipped)]
    spans: list[ReadSpan] = [run.root] if run.root else []
    logs: list[ReadLog] = []
    for directory in run.directories:
        traces, records = directory + "/traces.jsonl", directory + "/logs.jsonl"
        spans += parse_spans(read_file(traces, data.skipped), traces, data.skipped)
        logs += parse_logs(read_file(records, data.skipped), records, data.skipped)
    known = {(span.trace_id, span.span_id) for span in spans}
    marked = [mark for mark in marked if (mark.span.trace_id, mark.span.span_id) not in known]
    data.in_progress = [mark.span for mark in marked if mark.live]
    left = [mark for mark in marked if not mark.live]
    _interrupt([mark for mark in left if not mark.span.end_ns], spans + [mark.span for mark in marked], logs)
    data.spans = _unique_spans(spans + [mark.span for mark in left])
    data.logs = _unique_logs(logs + [mark.log for mark in left if mark.log])
    return data


def _interrupt(dead: list[markers.Mark], spans: list[ReadSpan], logs: list[ReadLog]) -> None:
    latest = markers.latest_times(spans, logs) if dead else {}
    for mark in dead:
        mark.interrupt(latest)


def _unique_spans(spans: list[ReadSpan]) -> list[ReadSpan]:
    # A repeated delivery is one span; two contents under one id are shown as what they are.
    found: dict[tuple[str, str], dict[str, ReadSpan]] = {}
    for span in spans:
        same = found.setdefault((span.trace_id, span.span_id), {})
        if len(same) == 1 and "" in same:  # nearly every span is the only one of its id: nothing to compare
            only = same.pop("")
            same[_content(only)] = only
        same.setdefault(_content(span) if same else "", span)
    return [span for same in found.values() for span in same.values()]


def _content(span: ReadSpan) -> str:
    fields = [getattr(span, name) for name in Span.__slots__]
    return json.dumps(fields, sort_keys=True, default=repr)  # repr is for bytes


def _unique_logs(logs: list[ReadLog]) -> list[ReadLog]:
    found: dict[object, ReadLog] = {}
    for log in logs:
        uid = log.attributes.get("log.record.uid")
        found.setdefault(uid if isinstance(uid, str) else id(log), log)
    return list(found.values())


def _read_work(path: str, data: RunData) -> None:
    lines = read_file(path, data.skipped).split("\n")
    if lines.pop():
        data.skipped.append(Skip(path, len(lines) + 1, "the last line has no end"))
    for number, line in enumerate(lines, 1):
        entry = parse_line(line)
        if entry:
            data.work.append(entry)
        else:
            data.skipped.append(Skip(path, number, "not a work context"))


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


def _list(path: str, skipped: list[Skip]) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        skipped.append(Skip(path, 0, error.strerror or str(error)))
        return []
