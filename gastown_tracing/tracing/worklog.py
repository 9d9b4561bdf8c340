"""What one run works on, over time: what is in force now, what was, and since when."""

from __future__ import annotations

import os
import time

from gastown_tracing.journal.layout import read_text
from propagation import work

#: Bytes of what is remembered of the primes of this process, where no journal has them.
_KEPT = 1 << 16


class WorkLog:
    """The work of a run: what its work.jsonl says, else what this process was told.

    `directory` is the run's in the journal, "" for none; `given` is the work that the process was started
    with. The file is looked at each time and read when it has changed: one stat(2), and none outside a run.
    """

    __slots__ = ("_given", "_mark", "_now", "_path", "_text")

    def __init__(self, directory: str = "", given: work.WorkContext | None = None) -> None:
        self._path = f"{directory}/work.jsonl" if directory else ""
        self._given = self._now = given or work.WorkContext()
        self._mark: object = None
        self._text = ""

    def now(self) -> work.WorkContext:
        """Return the work in force; the same object as long as it is the same."""
        if self._path:
            self._look()
        return self._now

    def at(self, time_ns: int) -> work.WorkContext:
        """Return the work that was in force at a time."""
        now = self.now()
        return (work.in_force(self._text, time_ns) or self._given) if self._text else now

    def began(self, bead: str) -> int | None:
        """Return when work on a bead began, in nanoseconds of the Unix epoch; None where nobody said so."""
        self.now()
        return work.began(self._text, bead) if bead else None

    def take(self, found: work.WorkContext, time_ns: int) -> str:
        """Make `found` the work in force in this process from `time_ns` on; return its line of work.jsonl.

        Raises PropagationError.
        """
        self._now = found
        line = work.format_line(time_ns, found, "prime")
        self._text = self._text[-_KEPT:] + line
        return line

    def _look(self) -> None:
        try:
            seen = os.stat(self._path)
        except OSError:
            return
        mark = (seen.st_mtime_ns, seen.st_size)
        if mark != self._mark:
            self._mark = mark
            self._text = read_text(self._path) or ""
            found = work.in_force(self._text, time.time_ns())
            if found is not None and found != self._now:
                self._now = found
