"""Reading a journal: its runs, and everything a run holds. Nothing here writes.

What cannot be read is skipped and said; the one error is `LookupFailed`, for a name that names no run.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from gastown_tracing.journal import closed, markers
from gastown_tracing.journal.layout import Journal, path_exists
from gastown_tracing.journal.otlp import Span
from gastown_tracing.journal.parse import ReadLog, ReadSpan, Skip, parse_logs, parse_spans, read_file
from gastown_tracing.journal.runs import Run, load_run, primed, read_work
from propagation.run import parse_run_id
from propagation.work import WorkContext

__all__ = [
    "LookupFailed",
    "Run",
    "RunData",
    "any_run",
    "find",
    "list_runs",
    "newest_first",
    "open_runs",
    "read_loose",
    "read_run",
    "resolve",
    "trace_ids",
]

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_HOUR = re.compile(r"\d{4}-\d\d-\d\dT\d\d")
_PREFIX = re.compile(r"[0-9a-f-]{1,35}")

#: So many digits of a run id, at least, stand for it.
SHORTEST = 4

#: How many of several runs are named that one prefix begins.
_NAMED = 3

_Found = TypeVar("_Found")


class LookupFailed(LookupError):  # noqa: N818 - what the CLI prints is a failed look-up, not a fault
    """No run, or more than one, is meant by what was given; the message is one line for the user."""


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

    Reads nothing but small files: the index of those that were moved to closed/, and of each other run its
    own. A directory that cannot be listed is added to `skipped`.
    """
    found = newest_first(journal, since_ns, skipped=skipped)
    return sorted(found, key=lambda run: (run.start_ns, run.trace_id))


def newest_first(
    journal: Journal,
    since_ns: int | None = None,
    wanted: Sequence[str] = (),
    skipped: list[Skip] | None = None,
) -> Iterator[Run]:
    """Yield the runs that `list_runs` returns, the one that began last first, reading no more than needed.

    A run was over on the date that it lies under in closed/, so it began before that was over: dates are read
    one after the other, as far as somebody asks. Closed runs that nowhere have all of `wanted` as a value may
    be left out.
    """
    skipped = [] if skipped is None else skipped
    dates = None
    pending: list[closed.Listed] = []
    for found in open_runs(journal, skipped):
        dates = closed.dates(journal, skipped) if dates is None else dates
        run = found if found.closed else _with_earlier(journal, found, dates)
        pending.append(closed.Listed(run.start_ns, run.trace_id, run.itself))
    # Anew: a run that was open a moment ago, and is not there any more, has been moved since.
    dates = closed.dates(journal, skipped)
    seen = {run.trace_id for run in pending}
    marks = [closed.needle(text) for text in wanted]
    for date in dates:
        if since_ns is not None and not closed.changed_since(journal, date, since_ns):
            continue
        yield from _begun_after(pending, closed.end_of(date), since_ns)
        for listed in closed.read_date(journal, date, marks, skipped):
            if listed.trace_id not in seen:
                seen.add(listed.trace_id)
                pending.append(listed)
    yield from _begun_after(pending, 0, since_ns)


def _with_earlier(journal: Journal, run: Run, dates: Iterable[str]) -> Run:
    """Return an open run with the parts of it that were moved to closed/, if there are any."""
    if any(path_exists(f"{journal.root}/closed/{date}/{run.trace_id}") for date in dates):
        return load_run(run.trace_id, journal.find_run(run.trace_id))
    return run


def _begun_after(pending: list[closed.Listed], time_ns: int | None, since_ns: int | None) -> Iterator[Run]:
    """Take those runs out of `pending` that began at `time_ns` or later, and yield what is meant of them."""
    if time_ns is None:
        return
    pending.sort(key=lambda listed: listed[:2])
    while pending and pending[-1].start_ns >= time_ns:
        run = pending.pop().load()
        if since_ns is None or run.last_activity_ns >= since_ns:
            yield run


def open_runs(
    journal: Journal, skipped: list[Skip] | None = None, meant: Callable[[str], bool] = path_exists
) -> Iterator[Run]:
    """Yield the runs in runs/, as they are there: the open ones, and those that wait to be moved to closed/.

    Nothing of closed/ is looked at. `meant` says of a directory whether to look at it at all.
    """
    parent = f"{journal.root}/runs"
    for name in _list(parent, [] if skipped is None else skipped):
        if _TRACE_ID.fullmatch(name) and meant(f"{parent}/{name}"):
            run = load_run(name, [f"{parent}/{name}"])
            if path_exists(run.directories[0]):  # else it was moved while it was read
                yield run


def any_run(journal: Journal) -> bool:
    """Say whether the journal has a run at all."""
    if any(map(_TRACE_ID.fullmatch, _list(f"{journal.root}/runs", []))):
        return True
    return any(closed.parts(journal, date) for date in closed.dates(journal))


def trace_ids(journal: Journal, enough: float = math.inf) -> set[str]:
    """Return the trace ids of all runs, by the names of their directories alone.

    Once there are more than `enough`, older ones are left out.
    """
    found = {name for name in _list(f"{journal.root}/runs", []) if _TRACE_ID.fullmatch(name)}
    for date in closed.dates(journal):
        if len(found) > enough:
            break
        found |= closed.trace_ids(journal, date)
    return found


def find(journal: Journal, trace_id: str) -> Run:
    """Return a run as all its small files tell; one that is not there has no directories."""
    return _while_there(journal, trace_id, lambda places: load_run(trace_id, places))


def read_run(journal: Journal, trace_id: str) -> RunData:
    """Return everything about a run, from all directories that hold a part of it.

    A run that is not there is empty, and `skipped` says so.
    """
    data = _while_there(journal, trace_id, lambda places: _read(load_run(trace_id, places)))
    if not data.run.directories:
        data.skipped.append(Skip(journal.run_dir(trace_id), 0, "no such run"))
    return data


def _while_there(journal: Journal, trace_id: str, read: Callable[[list[str]], _Found]) -> _Found:
    """Return what `read` makes of a run's directories; again, if one of them was moved while it read."""
    places = journal.find_run(trace_id)
    found = read(places)
    if not all(map(path_exists, places)):
        found = read(journal.find_run(trace_id))
    return found


def read_loose(journal: Journal, since_ns: int | None = None, trace_id: str = "") -> RunData:
    """Return the records outside any run, of the hours that `since_ns` falls into and later.

    With a trace's id only lines that hold it are read; what else stands on them is returned too.
    """
    skipped: list[Skip] = []
    loose = journal.root + "/loose"
    hours = sorted(name for name in _list(loose, skipped) if _HOUR.fullmatch(name))
    if since_ns is not None:
        first = datetime.fromtimestamp(since_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H")
        hours = [hour for hour in hours if hour >= first]
    data = _read(Run("", [f"{loose}/{hour}" for hour in hours]), trace_id)
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
    if not any_run(journal):
        raise LookupFailed(
            f"no runs in the journal {journal.root}; `gt-trace ls --loose` lists commands outside any"
        )
    if text == "latest":
        return next(newest_first(journal)).trace_id
    for matches in (_has_session, _has_bead):
        for run in newest_first(journal, wanted=[text]) if text else ():
            if matches(run, text):
                return run.trace_id
    return _by_prefix(journal, text)


def _by_prefix(journal: Journal, text: str) -> str:
    prefix = text.lower().replace("-", "")
    found = (
        [name for name in trace_ids(journal) if name.startswith(prefix) and _TRACE_ID.fullmatch(name)]
        if _PREFIX.fullmatch(text.lower())
        else []
    )
    if found and len(prefix) < SHORTEST:
        raise LookupFailed(f"{text!r}: the beginning of a run id takes at least {SHORTEST} digits")
    if len(found) > 1:
        named = _several([find(journal, trace_id) for trace_id in found])
        raise LookupFailed(f"{text!r} begins {len(found)} runs, {named}: give more digits")
    if not found:
        raise LookupFailed(f"no run, session or bead {text!r}: see `gt-trace ls`")
    return found[0]


def _several(runs: list[Run]) -> str:
    """Return runs in words, newest first, each with digits enough to tell it from the others."""
    runs = sorted(runs, key=lambda run: (run.start_ns, run.trace_id))
    digits = next(count for count in range(33) if len({run.trace_id[:count] for run in runs}) == len(runs))
    named = [
        f"{run.trace_id[:digits]} {str(run.info.get('session') or '')!r}" for run in runs[: -_NAMED - 1 : -1]
    ]
    return ", ".join(named) + (", …" if len(runs) > _NAMED else "")


def _has_session(run: Run, name: str) -> bool:
    return name in (run.info.get("session"), (run.pane or {}).get("session"))


def _has_bead(run: Run, bead: str) -> bool:
    return run.info.get("issue_id") == bead or bead in primed(run)


def _read(run: Run, holding: str = "") -> RunData:
    data = RunData(run, skipped=list(run.skipped))
    data.work = read_work(run.directories, data.skipped)
    # Markers first: a span that ends meanwhile is then found twice rather than not at all.
    marked = [mark for directory in run.directories for mark in markers.read_all(directory, data.skipped)]
    spans: list[ReadSpan] = [run.root] if run.root else []
    logs: list[ReadLog] = []
    for directory in run.directories:
        traces, records = directory + "/traces.jsonl", directory + "/logs.jsonl"
        spans += parse_spans(_text(traces, holding, data.skipped), traces, data.skipped)
        logs += parse_logs(_text(records, holding, data.skipped), records, data.skipped)
    known = {(span.trace_id, span.span_id) for span in spans}
    marked = [mark for mark in marked if (mark.span.trace_id, mark.span.span_id) not in known]
    data.in_progress = [mark.span for mark in marked if mark.live]
    left = [mark for mark in marked if not mark.live]
    _interrupt([mark for mark in left if not mark.span.end_ns], spans + [mark.span for mark in marked], logs)
    data.spans = _unique_spans(spans + [mark.span for mark in left])
    data.logs = _unique_logs(logs + [log for mark in left for log in mark.logs])
    return data


def _text(path: str, holding: str, skipped: list[Skip]) -> str:
    """Return a file's text; lines that do not hold what is looked for are empty: the others keep theirs."""
    text = read_file(path, skipped)
    if not holding:
        return text
    return "\n".join([line if holding in line.lower() else "" for line in text.split("\n")])


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


def _list(path: str, skipped: list[Skip]) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        skipped.append(Skip(path, 0, error.strerror or str(error)))
        return []
