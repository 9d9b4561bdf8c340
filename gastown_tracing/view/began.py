"""When a run began, as far as anything tells: a file's time of change is no start."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gastown_tracing.journal.layout import list_directory, open_regular
from gastown_tracing.journal.reader import Run

#: Times as lines of OTLP JSON have them; inside content the quotes would be escaped.
_TIME = re.compile(rb'"(?:startTimeUnixNano|timeUnixNano)":"(\d{1,20})"')

#: Bytes of a file that are searched: records are written as they end, so the earliest are in front.
_SEARCHED = 1 << 20


def began(run: Run) -> int:
    """Return a run's start in nanoseconds of the Unix epoch, 0 where nothing tells it.

    Its root or run.json says it; without them the earliest record does.
    """
    said = str(run.info.get("start_time_unix_nano", ""))
    if run.root or (said.isascii() and said.isdecimal()):
        return run.start_ns
    found = (time for directory in run.directories for path in _files(directory) for time in _times(path))
    return min(filter(None, found), default=0)


def _files(directory: str) -> Iterator[str]:
    yield from (f"{directory}/traces.jsonl", f"{directory}/logs.jsonl")
    yield from (f"{directory}/open/{name}" for name in list_directory(f"{directory}/open"))


def _times(path: str) -> Iterator[int]:
    try:
        with open(path, "rb", opener=open_regular) as file:
            data = file.read(_SEARCHED)
    except OSError:
        return
    yield from map(int, _TIME.findall(data))
