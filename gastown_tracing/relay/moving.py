"""Moving the runs that are done with to closed/, so that runs/ holds what is open.

Nobody who writes is asked: a record that comes for a run while it is moved, or later, makes a new
runs/<trace_id>, which is moved after the first. What a writer that had a file open adds under the new name is
still shipped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gastown_tracing.journal import closed
from gastown_tracing.journal.layout import mkdirs, path_exists
from gastown_tracing.journal.runs import Run
from gastown_tracing.relay import checkpoint
from gastown_tracing.relay.sources import RUN, Place

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.feed import Feed
    from gastown_tracing.relay.files import Files
    from gastown_tracing.relay.sources import Sources

#: Seconds without a change after which a closed run is moved, and for which it is then watched.
QUIET, WATCHED = 5.0, 60.0
#: Seconds without a record after which a run goes that nobody opened through us, and so nobody closes: a day.
ABANDONED = 86_400.0
#: Seconds between two looks at whether closed/ holds the root of a run that is not closed itself.
_AGAIN = 60.0
#: Seconds that one round takes at most, and how many moved runs are watched at a time.
_BUDGET, _AT_A_TIME = 0.2, 2_000


@dataclass(slots=True)
class _Move:
    """A run that was moved, from `old` to `new` (relative to the journal), and when, in monotonic seconds."""

    old: str
    new: str
    since: float


class Mover:
    """Moves runs. `feeds` returns what the workers read that have an endpoint: a run waits for them.

    None is a worker that is not there at the moment: everything waits.
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
        self._path = files.moves
        self._sources = sources
        self._feeds = feeds
        self._log = log
        self._moves: dict[str, _Move] = {}
        self._asked: dict[str, float] = {}
        #: What is still to be looked at of a round that took too long.
        self._left: list[Place] = []
        self._said = ""
        self.moved = 0

    def restore(self, now: float) -> None:
        """Go on where the last relay stopped: watch what it had moved, forget what it had only meant to.

        To be called when the feeds are known to the sources, and before these look at the journal.
        """
        try:
            meant = checkpoint.load(self._path)
        except (checkpoint.Damaged, OSError) as error:
            self._log(f"cannot tell which runs were being moved: {error}")
            return
        for new, old in meant.items():
            directory = f"{self._journal.root}/{new}"
            if not isinstance(old, str) or new.count("/") != 2 or not os.path.isdir(directory):
                continue
            self._moves[new] = _Move(old, new, now)
            self._sources.moved(old, new, now)
            _, date, name = new.split("/")
            if name in closed.unindexed(self._journal, date):
                self._index(closed.whole(self._journal, name[:32], directory), date, name)

    def tick(self, now: float) -> bool:
        """Move what is ready, forget what was watched long enough; say whether there is more to do.

        A round that takes too long is gone on with next time, so that each run gets its turn: while a backend
        is down there can be many that wait.
        """
        self._settle(now)
        deadline = time.monotonic() + _BUDGET
        self._left = self._left or [place for place in self._sources.places() if place.kind == RUN]
        ready: list[tuple[Place, Run, str]] = []
        while self._left and len(self._moves) + len(ready) < _AT_A_TIME and time.monotonic() < deadline:
            place = self._left.pop()
            if self._sources.place(place.path) is place and self._is_ready(place, now):
                run = closed.whole(self._journal, place.path[-32:], f"{self._journal.root}/{place.path}")
                ready.append((place, run, self._target(place, run)))
        if ready:
            self._move(ready, now)
        return bool(self._left) and len(self._moves) < _AT_A_TIME

    def _is_ready(self, place: Place, now: float) -> bool:
        """Say whether a run is closed, quiet, without open calls, and wholly taken by all who read it."""
        directory = f"{self._journal.root}/{place.path}"
        return (
            now - place.changed >= QUIET
            and (place.closed or self._is_over(place, directory, now))
            and self._is_taken(place.path)
            and not _has_calls(directory)
            and not self._sources.look(place, now)
            and self._is_taken(place.path)
        )

    def _is_taken(self, path: str) -> bool:
        feeds = self._feeds()
        return feeds is not None and all(feed.done_with(path) for feed in feeds)

    def _is_over(self, place: Place, directory: str, now: float) -> bool:
        """Say whether a run that has no root here is over: closed/ holds it, or nobody ever closes it."""
        if now - self._asked.get(place.path, -_AGAIN) < _AGAIN:
            return False
        self._asked[place.path] = now
        places = [found for found in self._journal.find_run(place.path[-32:]) if found != directory]
        if any(path_exists(f"{found}/close.json") for found in places):
            return True
        return not path_exists(f"{directory}/run.json") and self._is_abandoned(place)

    def _is_abandoned(self, place: Place) -> bool:
        return time.time_ns() - self._latest(place) > ABANDONED * 1e9

    def _latest(self, place: Place) -> int:
        """Return when a place was written to last, in ns of the Unix epoch; now where nothing tells.

        What a hook alone has noted, agents.jsonl, is nothing that the sources look at.
        """
        seen = [mtime_ns for _, _, mtime_ns in place.files.values()]
        return max(seen or _changes(f"{self._journal.root}/{place.path}"), default=time.time_ns())

    def _target(self, place: Place, run: Run) -> str:
        """Return where a run goes, relative to the journal: by the date of its end or last record."""
        end = run.end_ns or 0
        date = closed.date_of(end if place.closed and end else max(end, self._latest(place)))
        name, part = run.trace_id, 1
        while os.path.lexists(f"{self._journal.root}/closed/{date}/{name}"):
            part += 1
            name = f"{run.trace_id}~{part}"
        return f"closed/{date}/{name}"

    def _move(self, ready: list[tuple[Place, Run, str]], now: float) -> None:
        """Say what is meant, then do it: whatever dies in between, the next relay knows."""
        for place, _, new in ready:
            self._moves[new] = _Move(place.path, new, now)
        try:
            self._save()
        except OSError as error:
            self._stay(error)
        else:
            for place, run, new in ready:
                try:
                    self._move_one(place, run, new, now)
                except OSError as error:
                    self._stay(error)
        for _, _, new in ready:
            if self._sources.place(new) is None:
                del self._moves[new]

    def _stay(self, error: OSError) -> None:
        """Say, once, why runs are not moved: a full disk, most of all. It is tried again."""
        if str(error) != self._said:
            self._said = str(error)
            self._log(f"runs stay where they are for now: {error}")

    def _move_one(self, place: Place, run: Run, new: str, now: float) -> None:
        root, old = self._journal.root, place.path
        _, date, name = new.split("/")
        mkdirs(f"{root}/closed/{date}", levels=2)
        os.rename(f"{root}/{old}", f"{root}/{new}")
        if _has_calls(f"{root}/{new}") and _is_renamed(f"{root}/{new}", f"{root}/{old}"):
            return  # a call began in this very moment: it ends where it began
        self._sources.moved(old, new, now)
        self._asked.pop(old, None)
        self.moved += 1
        run.directories[0] = f"{root}/{new}"
        self._index(run, date, name)

    def _index(self, run: Run, date: str, name: str) -> None:
        """Add a run's line to the index; without one it is found all the same, and gets it some day."""
        try:
            closed.append(self._journal, date, closed.describe(self._journal, run, name))
        except OSError as error:
            self._log(f"closed/{date}/{name} is not in the index yet: {error}")

    def _settle(self, now: float) -> None:
        """Forget the moved runs to which nothing is added any more and of which everything was taken."""
        settled = [move for move in self._moves.values() if self._is_settled(move, now)]
        for move in settled:
            self._sources.forget(move.new)
            del self._moves[move.new]
        if settled:
            try:
                self._save()
            except OSError as error:
                self._log(f"moved runs are looked at again after a restart: {error}")

    def _is_settled(self, move: _Move, now: float) -> bool:
        place = self._sources.place(move.new)
        directory = f"{self._journal.root}/{move.new}"
        if place is None or not path_exists(directory):  # removed by hand
            return True
        if now - move.since < WATCHED:
            return False
        self._sources.look(place, now)
        if now - place.changed < QUIET or not self._is_taken(move.new):
            return False
        if place.changed > move.since:  # a late line: what the index says is no longer so
            _, date, name = move.new.split("/")
            self._index(closed.whole(self._journal, name[:32], directory), date, name)
        return True

    def _save(self) -> None:
        checkpoint.save(self._path, {move.new: move.old for move in self._moves.values()})

    def status(self) -> dict[str, object]:
        """Return how many runs were moved, and how many of them are still watched."""
        return {"moved": self.moved, "watched": len(self._moves)}


def _has_calls(directory: str) -> bool:
    """Say whether calls of a run may be in progress."""
    try:
        return bool(os.listdir(f"{directory}/open"))
    except FileNotFoundError:
        return False
    except OSError:  # too many open files: another time
        return True


def _is_renamed(old: str, new: str) -> bool:
    """Rename a directory; False where somebody has made another of the new name, and written to it."""
    try:
        os.rename(old, new)
    except OSError:
        return False
    return True


def _changes(directory: str) -> list[int]:
    """Return when each file of a directory was written to last, in ns of the Unix epoch."""
    try:
        with os.scandir(directory) as entries:
            return [entry.stat(follow_symlinks=False).st_mtime_ns for entry in entries if entry.is_file()]
    except OSError:
        return []
