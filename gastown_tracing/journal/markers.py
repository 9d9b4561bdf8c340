"""Markers of calls in progress, seen from outside: which are live, and what becomes of those that are not."""

from __future__ import annotations

import fcntl
import functools
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from gastown_tracing.journal import otlp, writer
from gastown_tracing.journal.layout import list_directory, open_regular
from gastown_tracing.journal.otlp import Log, Span
from gastown_tracing.journal.parse import ReadLog, ReadSpan, Skip, parse_logs, parse_spans, read_file

_UID = "log.record.uid"
_Latest = Callable[[], dict[tuple[str, str], int]]

INTERRUPTED = "interrupted: its process died before it ended"
#: A hidden marker this old will never be shown: making one takes well under a millisecond.
_ABANDONED_SECONDS = 60


def is_live(path: str) -> bool:
    """Say whether the writer of a marker lives, without changing anything; False where the marker is gone."""
    try:
        os.close(_lock(path, fcntl.LOCK_SH))
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@dataclass(slots=True)
class Mark:
    """What a marker holds: a call's span, the log records that go with it, and the lines of both.

    `live` says whether the call is in progress. One that is not has ended where its span has, else its writer
    died; `changed_ns` is then a time at which it lived.
    """

    span: ReadSpan
    logs: list[ReadLog]
    lines: tuple[bytes, bytes]
    live: bool
    changed_ns: int

    def interrupt(self, latest: Mapping[tuple[str, str], int]) -> None:
        """Let the call of a dead writer end as interrupted, at the last time of which `latest_times` knows.

        When it died nobody knows: `gastown.end_time.known` is false, and the end the earliest possible.
        """
        span = self.span
        span.end_ns = max(span.start_ns, self.changed_ns, latest.get((span.trace_id, span.span_id), 0))
        span.status_code, span.status_message = otlp.ERROR, INTERRUPTED
        facts = {"gastown.interrupted": True, "gastown.end_time.known": False}
        span.attributes.update(facts)
        scope = otlp.encode_scope(span.scope, span.scope_version)
        lines = [otlp.spans_line(otlp.encode_resource(span.resource), [span], scope), b""]
        for log in self.logs:
            log.time_ns = span.end_ns
            log.severity_number, log.severity_text = otlp.SEVERITY_ERROR, "ERROR"
            log.attributes.update({"status": "error", "error": INTERRUPTED, **facts})
        if self.logs:  # of one process, so of one resource and scope
            scope = otlp.encode_scope(self.logs[0].scope, self.logs[0].scope_version)
            lines[1] = otlp.logs_line(otlp.encode_resource(self.logs[0].resource), self.logs, scope)
        self.lines = lines[0], lines[1]


def latest_times(spans: Iterable[Span], logs: Iterable[Log]) -> dict[tuple[str, str], int]:
    """Return the latest time, in ns, at which each span or anything that descends from it did something.

    By trace and span id. That tells how long a call lived at least whose own end nobody saw.
    """
    parents = {(span.trace_id, span.span_id): (span.trace_id, span.parent_id) for span in spans}
    times = [(max(span.start_ns, span.end_ns), (span.trace_id, span.span_id)) for span in spans]
    times += [(log.time_ns, (log.trace_id, log.span_id)) for log in logs]
    latest: dict[tuple[str, str], int] = {}
    for time_ns, place in sorted(times, reverse=True):
        above: tuple[str, str] | None = place
        while above and above not in latest:  # the first to come here is the latest
            latest[above] = time_ns
            above = parents.get(above)
    return latest


def read_all(directory: str, skipped: list[Skip]) -> list[Mark]:
    """Return what a directory's markers hold."""
    found = []
    for name in sorted(list_directory(directory + "/open")):
        if name.startswith("."):  # not there yet: looking at its lock would keep its writer from taking it
            continue
        path = f"{directory}/open/{name}"
        live = is_live(path)  # before the file is read: one that ends in between is then read as gone
        mark = _read(path, live, skipped)
        if mark is not None:
            found.append(mark)
    return found


def _read(path: str, live: bool, skipped: list[Skip]) -> Mark | None:
    traces, _, logs = read_file(path, skipped).partition("\n")
    spans = parse_spans(traces + "\n", path, skipped)
    if not spans:
        return None
    records = parse_logs(logs, path, skipped)
    lines = [f"{line.rstrip()}\n".encode() for line in (traces, logs)]
    return Mark(
        spans[0],
        records,
        (lines[0], lines[1] if records else b""),
        live and not spans[0].end_ns,
        _changed_ns(path),
    )


def _changed_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def sweep(directory: str) -> int:
    """Write the calls that dead writers left in a run or loose directory; return how many.

    A call that has ended is written as it is, any other one as interrupted. Whoever has a marker's lock is
    alone with it: the span is written unless its id is in traces.jsonl already, then the marker goes. So
    however many sweep, and wherever one of them dies, each span is there once. What cannot be written now (a
    full disk) is left for the next sweep. Only the directory's owner sweeps.
    """
    try:
        if os.stat(directory).st_uid != os.geteuid():
            return 0
    except OSError:
        return 0
    place = directory + "/open"
    latest = functools.cache(lambda: _latest_in(directory))  # hardly any sweep finds something to interrupt
    return sum(_sweep_one(directory, f"{place}/{name}", latest) for name in list_directory(place))


def _latest_in(directory: str) -> dict[tuple[str, str], int]:
    spans = parse_spans(read_file(f"{directory}/traces.jsonl", []), "", [])
    spans += [mark.span for mark in read_all(directory, [])]
    return latest_times(spans, parse_logs(read_file(f"{directory}/logs.jsonl", []), "", []))


def _sweep_one(directory: str, path: str, latest: _Latest) -> int:
    try:
        if os.path.basename(path).startswith("."):
            _remove_abandoned(path)
            return 0
        descriptor = _lock(path, fcntl.LOCK_EX)
    except OSError:  # its writer lives, somebody else has it in hand, or it is gone
        return 0
    try:
        return _settle(directory, path, latest) if os.fstat(descriptor).st_nlink else 0
    except OSError:
        return 0
    finally:
        os.close(descriptor)


def _settle(directory: str, path: str, latest: _Latest) -> int:
    mark = _read(path, False, [])
    missing = False
    if mark is not None:
        ended, missing = bool(mark.span.end_ns), not _has_span(directory, mark.span.span_id)
        if missing and not ended:
            mark.interrupt(latest())
        if mark.logs and (missing or ended) and not _has_log(directory, mark.logs[0]):
            writer.append(directory, "logs", mark.lines[1])
        if missing:
            writer.append(directory, "traces", mark.lines[0])
    os.unlink(path)
    return int(missing)


def _has_span(directory: str, span_id: str) -> bool:
    def matches(line: str) -> bool:
        return any(span.span_id == span_id for span in parse_spans(line, "", []))

    paths = [f"{directory}/traces.jsonl", f"{directory}/close.json"]
    return any(_has_line(path, f'"spanId":"{span_id}"', matches) for path in paths)


def _has_log(directory: str, log: Log) -> bool:
    uid = log.attributes.get(_UID)

    def matches(line: str) -> bool:
        return any(found.attributes.get(_UID) == uid for found in parse_logs(line, "", []))

    return _has_line(f"{directory}/logs.jsonl", f'{{"stringValue":"{uid}"}}', matches)


def _has_line(path: str, text: str, matches: Callable[[str], bool]) -> bool:
    # In a string's text the quotes would be escaped: only a line where this is a key and its value is parsed.
    needle = text.encode(errors="replace")
    with suppress(FileNotFoundError), open(path, "rb", opener=open_regular) as file:
        data = file.read()
        found = data.find(needle)
        while found >= 0:
            end = data.find(b"\n", found) + 1
            if matches(data[data.rfind(b"\n", 0, found) + 1 : end].decode(errors="replace")):
                return True
            found = data.find(needle, end) if end else -1
    return False


def _remove_abandoned(path: str) -> None:
    if time.time() - os.stat(path).st_mtime > _ABANDONED_SECONDS:
        os.unlink(path)


def _lock(path: str, kind: int) -> int:
    """Return a descriptor that holds the marker's lock. Raises BlockingIOError where another has it."""
    descriptor = open_regular(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
