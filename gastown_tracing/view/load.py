"""From the journal to what `model.build` takes. Reads only."""

from __future__ import annotations

import os
from collections.abc import Callable

from gastown_tracing.journal import index
from gastown_tracing.journal.layout import Journal, list_directory
from gastown_tracing.journal.parse import ReadSpan, Skip
from gastown_tracing.journal.reader import SHORTEST, LookupFailed, Run, read_loose, read_run, resolve
from gastown_tracing.view import named
from gastown_tracing.view.began import began
from gastown_tracing.view.model import Source
from gastown_tracing.view.neighbours import Neighbours
from gastown_tracing.view.waiting import waiting
from propagation.run import root_span_id

#: Says whether an open run lives: `live`, `dead` or `unknown`.
Look = Callable[[Run], str]

_HEX = frozenset("0123456789abcdef")


def presumed_live(run: Run) -> str:
    """Return the state of an open run as far as the journal alone tells."""
    return "live" if run.info else "unknown"


def find(journal: Journal, text: str) -> str:
    """Return the trace id that `text` means: a run, session, bead, `latest`, or a trace outside any run.

    A bead that no run had, a message or a merge request, means the trace that made it.

    Raises LookupFailed, with one line for the user.
    """
    try:
        return resolve(journal, text)
    except LookupFailed:
        made = index.bead_span(journal, text)
        if made is not None:
            return made[0]
        prefix = text.lower().replace("-", "")
        if len(prefix) < SHORTEST or not _HEX.issuperset(prefix):
            raise
        loose = read_loose(journal)
        spans = loose.spans + loose.in_progress
        found = {span.trace_id for span in spans if span.trace_id.startswith(prefix)}
        if len(found) > 1:
            raise LookupFailed(f"{text!r} begins {len(found)} traces: give more digits") from None
        if not found:
            raise
        return found.pop()


def load(
    journal: Journal, trace_id: str, look: Look = presumed_live, around: Neighbours | None = None
) -> Source:
    """Return everything the journal has of one trace, and what others of it have to do with that one.

    Whoever loads a trace again and again hands over the same `around` each time: it remembers.
    """
    source = read(journal, trace_id, look)
    source.causes = named.causes(journal, source)
    around = around or Neighbours(journal, trace_id)
    around.add(source)
    named.add_effects(journal, source)
    if around.complete:
        source.waits = waiting(journal, source)
    return source


def read(journal: Journal, trace_id: str, look: Look = presumed_live) -> Source:
    """Return everything the journal has of one trace, a run's or one outside any session."""
    if journal.find_run(trace_id):
        data = read_run(journal, trace_id)
        source = Source(trace_id, data.spans, data.logs, data.in_progress, data.run.info)
        source.root_id = root_span_id(trace_id)
        source.start_ns = began(data.run)
        source.end_ns = data.run.end_ns or data.run.last_activity_ns
        source.state = "ended" if data.run.closed else look(data.run)
    else:
        data = read_loose(journal, trace_id=trace_id)
        source = Source(trace_id, in_trace(data.spans, trace_id), [], in_trace(data.in_progress, trace_id))
        source.logs = [log for log in data.logs if log.trace_id == trace_id]
        source.state = "live" if source.in_progress else "ended"
    source.skipped = [skipped(journal, skip) for skip in data.skipped]
    return source


def in_trace(spans: list[ReadSpan], trace_id: str) -> list[ReadSpan]:
    """Return the spans of one trace."""
    return [span for span in spans if span.trace_id == trace_id]


def skipped(journal: Journal, skip: Skip) -> str:
    """Return one skipped line in words, its file within the journal."""
    file = os.path.relpath(skip.file, journal.root) if skip.file.startswith(journal.root) else skip.file
    return f"{file}:{skip.line}: {skip.reason}" if skip.line else f"{file}: {skip.reason}"


def stamp(journal: Journal, trace_id: str) -> tuple[object, ...]:
    """Return something that changes whenever the files of a trace do; costs a stat a file."""
    directories = journal.find_run(trace_id) or [f"{journal.root}/loose/{hour}" for hour in _hours(journal)]
    return tuple(entry for directory in directories for entry in _entries(directory))


def stamp_of_others(journal: Journal) -> tuple[object, ...]:
    """Return something that changes whenever an open run, or a command outside any, writes a span.

    Costs a stat a run.
    """
    hours = [f"{journal.root}/loose/{hour}" for hour in _hours(journal)]
    runs = [f"{journal.root}/runs/{name}" for name in list_directory(f"{journal.root}/runs")]
    return tuple(_size(f"{directory}/traces.jsonl") for directory in (*hours, *runs))


def _size(path: str) -> tuple[str, int]:
    try:
        return path, os.stat(path).st_size
    except OSError:
        return path, -1


def _hours(journal: Journal) -> list[str]:
    try:
        return sorted(os.listdir(f"{journal.root}/loose"))[-2:]
    except OSError:
        return []


def _entries(directory: str) -> list[tuple[str, int, int]]:
    """Return (path, size, time of change) of a run's files, its markers included."""
    entries = []
    for parent in (directory, f"{directory}/open"):
        try:
            with os.scandir(parent) as found:
                for entry in found:
                    status = entry.stat(follow_symlinks=False)
                    entries.append((entry.path, status.st_size, status.st_mtime_ns))
        except OSError:
            continue
    return sorted(entries)
