"""What a worker that ships says of itself: how much went, how fast, and what went wrong last."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping

from gastown_tracing.relay.logfile import iso

#: Seconds that the rate is taken over.
_WINDOW = 10.0
#: Seconds between two log lines of the same trouble.
_PAUSE = 60.0


class Tally:
    """Counts of a worker's life over all restarts: `sent`, `batches`, `retries`, … For any thread.

    `last_dead_letter` is when there was one last, as ISO 8601 has it, None for never.
    """

    def __init__(self, totals: Mapping[str, int], last_dead_letter: str | None = None) -> None:
        self._lock = threading.Lock()
        self._totals = Counter(totals)
        self._recent: deque[tuple[float, int]] = deque()
        self._last_success: str | None = None
        self._last_error: dict[str, str] | None = None
        self.last_dead_letter = last_dead_letter

    def sent(self, records: int, now: float) -> None:
        """Count a request that was taken; `now` is in monotonic seconds."""
        with self._lock:
            self._totals["sent"] += records
            self._totals["batches"] += 1
            self._recent.append((now, records))
            while self._recent[0][0] < now - _WINDOW:
                self._recent.popleft()
            self._last_success = iso(time.time())

    def count(self, name: str, number: int = 1) -> None:
        """Count something else."""
        with self._lock:
            self._totals[name] += number

    def dead_letter(self, message: str) -> None:
        """Count a record that was set aside."""
        self.count("dead_letters")
        self.failed(message)
        self.last_dead_letter = iso(time.time())

    def failed(self, message: str) -> None:
        """Take note of what went wrong."""
        with self._lock:
            self._last_error = {"time": iso(time.time()), "message": message}

    def totals(self) -> dict[str, int]:
        """Return the counts."""
        with self._lock:
            return dict(self._totals)

    def status(self, now: float) -> dict[str, object]:
        """Return all of it, as JSON has it."""
        with self._lock:
            recent = sum(records for when, records in self._recent if when >= now - _WINDOW)
            return {
                **{name: self._totals[name] for name in ("sent", "batches", "retries")},
                **{name: self._totals[name] for name in ("dead_letters", "rejected", "skipped_lines")},
                "last_dead_letter": self.last_dead_letter,
                "last_error": self._last_error,
                "last_success": self._last_success,
                "rate_per_s": round(recent / _WINDOW, 1),
            }


class Trouble:
    """Something that goes wrong again and again: logged at once, then every minute, and when it is over."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._times = 0
        self._since = self._said = 0.0
        self._message = ""

    def again(self, message: str) -> None:
        """Say so, unless it has been said within the last minute. Another message is another trouble."""
        now = time.monotonic()
        if not self._times:
            self._since = now
        self._times += 1
        if message == self._message and now - self._said < _PAUSE:
            return
        more = f" ({self._times} times in {now - self._since:.0f} s)" if self._times > 1 else ""
        self._message, self._said = message, now
        self._log(f"{message}{more}")

    def over(self, message: str) -> None:
        """Say so, where there was trouble."""
        if self._times:
            self._log(f"{message} (after {self._times} times in {time.monotonic() - self._since:.0f} s)")
        self._times, self._message = 0, ""
