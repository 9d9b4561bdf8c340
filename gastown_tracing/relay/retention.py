"""How long a journal keeps what it holds, and how much: what was sent and is over goes first, oldest first.

What was not sent goes only beyond the hard cap, and what it cost is counted. Sizes come from the index of
closed runs, a date at a time, and from what the sources have seen anyhow: nothing is walked.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gastown_tracing.journal import closed
from gastown_tracing.journal.layout import list_directory, open_regular
from gastown_tracing.journal.removing import remove
from gastown_tracing.relay import checkpoint
from gastown_tracing.relay.logfile import iso
from gastown_tracing.relay.sources import LOOSE, MOVED, RUN, Place

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.feed import Feed
    from gastown_tracing.relay.files import Files
    from gastown_tracing.relay.settings import Settings
    from gastown_tracing.relay.sources import Sources

#: The settings, and what they are where they say nothing usable: 30 days, 4 GiB, 16 GiB.
DAYS = ("GT_OTEL_RETENTION_DAYS", 30)
BYTES = ("GT_OTEL_RETENTION_BYTES", 4 << 30)
HARD_CAP = ("GT_OTEL_HARD_CAP_BYTES", 16 << 30)

#: Seconds in which the clock must not have stepped before anything goes for its age.
STEADY = 600.0
#: Seconds by which wall clock and monotonic clock may drift apart between two looks.
_STEP = 60.0
#: Seconds that one round takes at most.
_BUDGET = 0.1
#: An hour of loose/ is over when nothing was written to it for so many seconds.
_OVER = 3_600.0
_DAY_NS = 86_400 * 10**9
_BLOCK = 1 << 20


@dataclass(slots=True)
class Lost:
    """What was given up before it was sent, in the journal's life: records, their bytes, and when last."""

    records: int = 0
    bytes: int = 0
    last: str = ""


class Retention:
    """Keeps a journal within its limits. `feeds` returns what the workers read that have an endpoint.

    None is a worker that is not there at the moment: nothing counts as sent, and nothing is given up.
    """

    def __init__(
        self,
        journal: Journal,
        files: Files,
        sources: Sources,
        feeds: Callable[[], Iterable[Feed] | None],
        log: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._path = files.lost
        self._sources = sources
        self._feeds = feeds
        self._log = log
        #: By date: (modification time of its directory, bytes in it).
        self._dates: dict[str, tuple[int, int]] = {}
        self._offset, self._steady_since = 0.0, 0.0
        self._lost = self._load()
        self._saved = Lost(**asdict(self._lost))
        #: What `status` says, from any thread: the bytes of all records when they were last measured.
        self._bytes: int | None = None
        self._measured: str | None = None
        self._said = ""
        self.removed_runs = self.removed_bytes = 0

    def tick(self, now: float, settings: Settings) -> bool:
        """Measure, and remove what has to go; say whether there is more to do at once.

        `now` is in monotonic seconds.
        """
        deadline = time.monotonic() + _BUDGET
        self._watch_clock(now)
        if not self._measure(deadline):
            return True
        more = self._too_old(now, settings, deadline) or self._too_much(settings, deadline)
        more = self._give_up(settings, deadline) or more
        self._bytes, self._measured = self._total(), iso(time.time())
        self._save()
        return more

    def status(self) -> dict[str, object]:
        """Return how much there is, what went, and what was lost."""
        return {
            "journal_bytes": self._bytes,
            "journal_measured": self._measured,
            "removed_runs": self.removed_runs,
            "removed_bytes": self.removed_bytes,
            "lost_records": self._lost.records,
            "lost_bytes": self._lost.bytes,
            "lost_last": self._lost.last or None,
        }

    # -- how much there is

    def _measure(self, deadline: float) -> bool:
        """Bring the sizes of the dates up to date, as far as there is time; say whether they are."""
        dates = closed.dates(self._journal)
        for date in set(self._dates).difference(dates):
            del self._dates[date]
        for date in dates:
            mtime = _mtime_ns(f"{self._journal.root}/closed/{date}")
            known = self._dates.get(date)
            if known is not None and known[0] == mtime:
                continue
            if time.monotonic() > deadline:
                return False
            sizes = closed.sizes(self._journal, date)
            there = [name for names in closed.parts(self._journal, date).values() for name in names]
            if missing := [name for name in there if name not in sizes]:
                if not self._repair(date, missing, deadline):
                    return False
                sizes = closed.sizes(self._journal, date)
            self._dates[date] = mtime, sum(size for _, size in sizes.values())
        return True

    def _repair(self, date: str, missing: list[str], deadline: float) -> bool:
        """Give a line in the index to what has none; say whether there was time for all."""
        for name in missing:
            if time.monotonic() > deadline:
                return False
            directory = f"{self._journal.root}/closed/{date}/{name}"
            run = closed.whole(self._journal, name[:32], directory)
            try:
                closed.append(self._journal, date, closed.describe(self._journal, run, name))
            except OSError as error:
                self._say(f"closed/{date}/{name} is not in the index: {error}")
        return True

    def _total(self) -> int:
        open_ones = (_size(place) for place in self._sources.places() if place.kind != MOVED)
        return sum(size for _, size in self._dates.values()) + sum(open_ones)

    # -- what was sent

    def _too_old(self, now: float, settings: Settings, deadline: float) -> bool:
        """Remove what was sent and is older than it may be, to the day; say whether there is more."""
        days = settings.limit(*DAYS)
        if not days or now - self._steady_since < STEADY:  # a wrong clock makes everything old
            return False
        oldest = time.time_ns() - days * _DAY_NS
        for unit in self._oldest_first():
            end = closed.end_of(unit[:10])
            if end is None or end > oldest:
                break
            self._remove_unit(unit, None, deadline)
            if time.monotonic() > deadline:
                return True
        return False

    def _too_much(self, settings: Settings, deadline: float) -> bool:
        """Remove what was sent until the journal is small enough; say whether there is more."""
        limit = min(filter(None, (settings.limit(*BYTES), settings.limit(*HARD_CAP))), default=0)
        excess = self._total() - limit if limit else 0
        for unit in self._oldest_first() if excess > 0 else ():
            excess -= self._remove_unit(unit, excess, deadline)
            if excess <= 0 or time.monotonic() > deadline:
                break
        return excess > 0 and time.monotonic() > deadline

    def _oldest_first(self) -> Iterator[str]:
        """Yield the dates of closed/ and the hours of loose/ that were sent; a date before its hours."""
        hours = [place.path[6:] for place in self._sources.places() if self._is_spent(place)]
        dates = [date for date in self._dates if closed.end_of(date) is not None]
        yield from sorted([*dates, *hours])

    def _is_spent(self, place: Place) -> bool:
        """Say whether an hour of loose/ is over and was sent."""
        feeds = self._feeds()
        return (
            feeds is not None and self._is_over(place) and all(feed.done_with(place.path) for feed in feeds)
        )

    def _is_over(self, place: Place) -> bool:
        if (
            place.kind != LOOSE
            or not place.files
            or list_directory(f"{self._journal.root}/{place.path}/open")
        ):
            return False
        return abs(time.time_ns() - _latest(place)) > _OVER * 1e9

    def _remove_unit(self, unit: str, excess: int | None, deadline: float) -> int:
        """Remove a date or an hour, of a date no more than `excess` asks for; return how many bytes went."""
        if unit in self._dates:
            return self._remove_runs(unit, excess, deadline)
        return self._remove_place(f"loose/{unit}")

    def _remove_runs(self, date: str, excess: int | None, deadline: float) -> int:
        """Remove the runs of a date, those first that ended first; return how many bytes went."""
        root = f"{self._journal.root}/closed/{date}"
        sizes = closed.sizes(self._journal, date)
        gone: dict[str, int] = {}
        # Of one run the later parts first: it is looked for by its first.
        for name in sorted(sizes, key=lambda name: (sizes[name][0], name[:32], -int(name[33:] or 1))):
            if time.monotonic() > deadline or (excess is not None and sum(gone.values()) >= excess):
                break
            if self._sources.place(f"closed/{date}/{name}") is None:  # else it is still watched
                with self._saying(name):
                    gone[f"{root}/{name}"] = remove(self._journal, f"{root}/{name}")
        if gone:
            closed.forget(gone)
            left = self._dates[date][1] - sum(sizes[path.rpartition("/")[2]][1] for path in gone)
            self._dates[date] = _mtime_ns(root), left
            self._log(f"removed {len(gone)} runs of {date}, which were sent")
        if not closed.parts(self._journal, date):
            with self._saying(date):
                os.unlink(f"{root}/{closed.INDEX}")
                os.rmdir(root)
                del self._dates[date]
        self.removed_runs += len(gone)
        self.removed_bytes += sum(gone.values())
        return sum(gone.values())

    def _remove_place(self, path: str) -> int:
        """Remove a directory that the sources know; return how many bytes went."""
        size = 0
        with self._saying(path):
            size = remove(self._journal, f"{self._journal.root}/{path}")
            self._sources.forget(path)
            self.removed_bytes += size
            self._log(f"removed {path}: {size} bytes")
        return size

    @contextlib.contextmanager
    def _saying(self, what: str) -> Iterator[None]:
        """Say what could not be removed, and go on."""
        try:
            yield
        except OSError as error:
            self._say(f"cannot remove {what}: {error}")

    # -- what was not

    def _give_up(self, settings: Settings, deadline: float) -> bool:
        """Beyond the hard cap remove what nobody has taken, and count it; say whether there is more."""
        cap = settings.limit(*HARD_CAP)
        excess = self._total() - cap if cap and self._feeds() is not None else 0
        places = [place for place in self._sources.places() if place.kind in (RUN, LOOSE)]
        places.sort(key=lambda place: (not self._is_ended(place), _latest(place)))
        for place in places:
            if excess <= 0 or time.monotonic() > deadline:
                break
            records, size = self._untaken(place)
            excess -= self._remove_place(place.path) if self._is_ended(place) else self._empty(place)
            self._lost.records += records
            self._lost.bytes += size
            if records:
                self._lost.last = iso(time.time())
                beyond = f"the journal is beyond {HARD_CAP[0]}"
                self._log(f"lost {records} records, {size} bytes, of {place.path}: not sent, and {beyond}")
        return excess > 0 and time.monotonic() > deadline

    def _is_ended(self, place: Place) -> bool:
        return place.closed or self._is_over(place)

    def _untaken(self, place: Place) -> tuple[int, int]:
        """Return how many records of a place, and bytes, somebody has yet to take."""
        starts: dict[str, int] = {}
        for feed in self._feeds() or ():
            for file, start in feed.behind(place.path).items():
                starts[file] = min(start, starts.get(file, start))
        counts = [_count(f"{self._journal.root}/{file}", start) for file, start in starts.items()]
        return sum(lines for lines, _ in counts), sum(size for _, size in counts)

    def _empty(self, place: Place) -> int:
        """Remove the records of a run that is open; who writes there makes new files."""
        freed = 0
        for name, (_, size, _) in place.files.items():
            if not size:
                continue
            with self._saying(place.path):
                _renew(f"{self._journal.root}/{place.path}/{name}")
                freed += size
        self._sources.emptied(place)
        self.removed_bytes += freed
        return freed

    # -- the rest

    def _watch_clock(self, now: float) -> None:
        offset = time.time() - now
        if abs(offset - self._offset) > _STEP:
            self._steady_since = now
        self._offset = offset

    def _load(self) -> Lost:
        try:
            found = checkpoint.load(self._path)
            last = str(found.get("last") or "")
            return Lost(int(found.get("records", 0)), int(found.get("bytes", 0)), last)
        except (checkpoint.Damaged, OSError, ValueError, TypeError) as error:
            self._log(f"cannot tell what was lost before: {error}")
            return Lost()

    def _save(self) -> None:
        if self._lost == self._saved:
            return
        try:
            checkpoint.save(self._path, asdict(self._lost))
            self._saved = Lost(**asdict(self._lost))
        except OSError as error:
            self._say(f"cannot keep count of what is lost: {error}")

    def _say(self, message: str) -> None:
        if message != self._said:
            self._said = message
            self._log(message)


def _count(path: str, start: int) -> tuple[int, int]:
    """Return the lines and bytes of a file from an offset on."""
    lines = size = 0
    try:
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            file.seek(start)
            while block := file.read(_BLOCK):
                lines += block.count(b"\n")
                size += len(block)
    except OSError:
        return lines, size
    return lines, size


def _renew(path: str) -> None:
    """Put an empty file in a file's place. Raises OSError.

    It is made before the other goes, because a checkpoint tells the two by their inodes, and one that is free
    is soon used again. Where there is no room for both, the place stays empty.
    """
    made = f"{path}.new"
    try:
        os.close(open_regular(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW))
        os.rename(made, path)
    except OSError:
        os.unlink(path)


def _size(place: Place) -> int:
    return sum(size for _, size, _ in place.files.values())


def _latest(place: Place) -> int:
    return max((mtime_ns for _, _, mtime_ns in place.files.values()), default=0)


def _mtime_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
