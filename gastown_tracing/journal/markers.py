"""Markers of calls in progress, seen from outside: which are live, and what becomes of those that are not."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress

from gastown_tracing.journal import otlp, writer
from gastown_tracing.journal.layout import list_directory, open_regular
from gastown_tracing.journal.parse import ReadSpan, Skip, parse_spans, read_file

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


def read_all(directory: str, skipped: list[Skip]) -> list[tuple[ReadSpan, bool]]:
    """Return a directory's marked spans, each with whether its writer lives; a dead one's is interrupted."""
    found = []
    for name in sorted(list_directory(directory + "/open")):
        path = f"{directory}/open/{name}"
        live = is_live(path)  # before the file is read: one that ends in between is then read as gone
        span = None if name.startswith(".") else _read(path, skipped)
        if span is not None:
            found.append((span if live else _interrupt(span, _modified_ns(path)), live))
    return found


def _read(path: str, skipped: list[Skip]) -> ReadSpan | None:
    spans = parse_spans(read_file(path, skipped), path, skipped)
    return spans[0] if spans else None


def _modified_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _interrupt(span: ReadSpan, end_ns: int) -> ReadSpan:
    span.end_ns = max(span.start_ns, end_ns)
    span.status_code, span.status_message = otlp.ERROR, INTERRUPTED
    span.attributes["gastown.interrupted"] = True
    return span


def sweep(directory: str) -> int:
    """Write the interrupted spans of dead writers in a run or loose directory; return how many.

    Whoever has a marker's lock is alone with it: the span is written unless its id is in traces.jsonl
    already, then the marker goes. So however many sweep, and wherever one of them dies, each span is there
    once. What cannot be written now (a full disk) is left for the next sweep. Only the directory's owner
    sweeps.
    """
    try:
        if os.stat(directory).st_uid != os.geteuid():
            return 0
    except OSError:
        return 0
    place = directory + "/open"
    return sum(_sweep_one(directory, f"{place}/{name}") for name in list_directory(place))


def _sweep_one(directory: str, path: str) -> int:
    try:
        if os.path.basename(path).startswith("."):
            _remove_abandoned(path)
            return 0
        descriptor = _lock(path, fcntl.LOCK_EX)
    except OSError:  # its writer lives, somebody else has it in hand, or it is gone
        return 0
    try:
        status = os.fstat(descriptor)
        return _settle(directory, path, status.st_mtime_ns) if status.st_nlink else 0
    except OSError:
        return 0
    finally:
        os.close(descriptor)


def _settle(directory: str, path: str, end_ns: int) -> int:
    span = _read(path, [])
    count = 0
    if span is not None and not _is_written(directory, span.span_id):
        resource = otlp.encode_resource(span.resource)
        writer.append(directory, "traces", otlp.spans_line(resource, [_interrupt(span, end_ns)]))
        count = 1
    os.unlink(path)
    return count


def _is_written(directory: str, span_id: str) -> bool:
    # In a string's text the quotes would be escaped: only a line where this is a key and its value is parsed.
    needle = f'"spanId":"{span_id}"'.encode()
    for name in ("traces.jsonl", "close.json"):
        with suppress(FileNotFoundError), open(f"{directory}/{name}", "rb", opener=open_regular) as file:
            data = file.read()
            found = data.find(needle)
            while found >= 0:
                line = data[data.rfind(b"\n", 0, found) + 1 : data.find(b"\n", found) + 1]
                if any(
                    span.span_id == span_id for span in parse_spans(line.decode(errors="replace"), name, [])
                ):
                    return True
                found = data.find(needle, found + 1)
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
