"""The work of a run on what others export for it: the one in force when a record began, as on our own."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from gastown_tracing.journal.layout import read_text
from gastown_tracing.relay.receiver.attributes import set_text, texts
from propagation.work import ATTRIBUTES, WorkContext, parse_line

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.receiver.transcode import Json

#: When a record began, by the name of its field: a span, a log record.
_BEGAN = ("startTimeUnixNano", "timeUnixNano")


class Works:
    """What the runs of a journal worked on, read once each: for the records of one request."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._read: dict[str, tuple[list[int], list[WorkContext]]] = {}

    def put(self, record: Json, run_id: str) -> None:
        """Put a run's work on a record of it that names none itself."""
        times, works = self._read.get(run_id) or self._of(run_id)
        if not times:
            return
        began = next((str(record[name]) for name in _BEGAN if name in record), "")
        index = bisect_left(times, int(began)) - 1 if began.isdecimal() else -1
        if index < 0 or not texts(record).keys().isdisjoint(ATTRIBUTES):
            return
        for name, value in works[index].attributes().items() if works[index] else ():
            set_text(record, name, value)

    def _of(self, run_id: str) -> tuple[list[int], list[WorkContext]]:
        """Return when each work of a run began, in their order, and the works."""
        lines = (read_text(self._journal.run_dir(run_id) + "/work.jsonl") or "").split("\n")[:-1]
        entries = sorted(
            ((line[0], line[1]) for line in map(parse_line, lines) if line), key=lambda line: line[0]
        )
        found = self._read[run_id] = [time for time, _ in entries], [work for _, work in entries]
        return found
