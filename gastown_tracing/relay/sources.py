"""Which of the journal's files have grown: looked at once for all who read them.

Polling, because it is the same everywhere and cheap: a stat a file, and a run that is closed and quiet is
looked at rarely. closed/ is never listed.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal

RUN, LOOSE, MOVED, RECEIVED, RESEND = "run", "loose", "moved", "received", "resend"
TRACES, LOGS, CLOSE = "traces.jsonl", "logs.jsonl", "close.json"
#: What is looked at in a run's directory, and in one of loose/ or relay/resend/.
_OF_RUN, _OF_LOOSE = (TRACES, LOGS, CLOSE), (TRACES, LOGS)

#: Seconds without a change after which a closed run, or an hour of loose/, is looked at rarely.
QUIET = 60.0
#: Seconds between two looks at what is quiet.
RARELY = 30.0

#: A directory that changed so short a time ago may change again without its modification time showing it.
_COARSE_NS = 2_000_000_000

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_HOUR = re.compile(r"\d{4}-\d\d-\d\dT\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{9}")

#: (inode, size, modification time in ns of the Unix epoch)
Stat = tuple[int, int, int]


class Listener(Protocol):
    """Who wants to know of files that have grown. Files are named relative to the journal."""

    def saw(self, kind: str, file: str, stat: Stat) -> None:
        """Take note of a file that is new or has changed."""
        ...

    def gone(self, path: str) -> None:
        """Take note that a directory is there no more."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Take note that a directory has another name."""
        ...


class Place:
    """A directory that holds records: its path relative to the journal, its kind, and what is in it.

    `changed` is when a change was last seen, and `checked` when it was last looked at, in monotonic seconds.
    `was` is the path that it had before it was moved.
    """

    __slots__ = ("changed", "checked", "files", "kind", "path", "was")

    def __init__(self, path: str, kind: str, now: float) -> None:
        self.path = path
        self.kind = kind
        self.was = ""
        self.files: dict[str, Stat] = {}
        self.changed = now
        self.checked = -RARELY

    @property
    def closed(self) -> bool:
        """Say whether it holds the root span of a closed run."""
        return CLOSE in self.files

    def due(self, now: float) -> bool:
        """Say whether it is time to look at it."""
        if now - self.checked >= RARELY:
            return True
        lively = self.kind == RUN and not self.closed
        return lively or now - self.changed < QUIET


class Sources:
    """The places of a journal that hold records which somebody may not have read yet."""

    def __init__(self, journal: Journal) -> None:
        self._root = journal.root
        self._places: dict[str, Place] = {}
        self._listeners: list[Listener] = []
        self._mtimes: dict[str, int] = {}

    def add(self, listener: Listener) -> None:
        """Tell `listener` of all files that are known, and from now on of each that changes."""
        self._listeners.append(listener)
        for place in self._places.values():
            if place.was:  # its checkpoint may be older than the move
                listener.rename(place.was, place.path)
        for place in self._places.values():
            for name, stat in place.files.items():
                listener.saw(place.kind, f"{place.path}/{name}", stat)

    def remove(self, listener: Listener) -> None:
        """Tell `listener` nothing any more."""
        self._listeners = [known for known in self._listeners if known is not listener]

    def places(self) -> list[Place]:
        """Return the places as the last scan saw them."""
        return list(self._places.values())

    def place(self, path: str) -> Place | None:
        """Return one place."""
        return self._places.get(path)

    def scan(self, now: float) -> bool:
        """Look at what is due, tell the listeners, and say whether anything has changed.

        `now` is in monotonic seconds. What cannot be listed or looked at counts as it was.
        """
        self._list("runs", RUN, _TRACE_ID, now)
        self._list("loose", LOOSE, _HOUR, now)
        self._list("relay/resend", RESEND, _TIME, now)
        if "relay/received" not in self._places and os.path.isdir(f"{self._root}/relay/received"):
            self._places["relay/received"] = Place("relay/received", RECEIVED, now)
        changed = False
        for place in self._places.values():
            if place.due(now):
                changed = self.look(place, now) or changed
        return changed

    def look(self, place: Place, now: float) -> bool:
        """Look at one place, whether it is due or not; say whether it has changed."""
        place.checked = now
        first, found = not place.files, False
        for name in self._names(place):
            try:
                status = os.stat(f"{self._root}/{place.path}/{name}")
            except OSError:
                continue
            stat = status.st_ino, status.st_size, status.st_mtime_ns
            if place.files.get(name) == stat:
                continue
            place.files[name] = stat
            found = True
            file = f"{place.path}/{name}"  # one text for all: there can be many files
            for listener in self._listeners:
                listener.saw(place.kind, file, stat)
        if found:  # what has been quiet for long need not be looked at all the time, however much there is
            place.changed = now - _age(place) if first else now
        return found

    def moved(self, old: str, new: str, now: float) -> None:
        """Watch a run's directory under its new name in closed/, until it is forgotten."""
        place = self._places.pop(old, None) or Place(new, MOVED, now)
        place.path, place.kind, place.changed, place.was = new, MOVED, now, old
        self._places[new] = place
        for listener in self._listeners:
            listener.rename(old, new)

    def emptied(self, place: Place) -> None:
        """Take note that what a place held has been removed; what comes there from now on is new."""
        place.files.clear()
        for listener in self._listeners:
            listener.gone(place.path)

    def forget(self, path: str) -> None:
        """Look at a place no more."""
        self._places.pop(path, None)
        for listener in self._listeners:
            listener.gone(path)

    def _names(self, place: Place) -> Iterator[str]:
        if place.kind == RECEIVED:
            yield from (name for name in self._listed(place.path) if name.endswith(".jsonl"))
        elif place.kind in (LOOSE, RESEND):
            yield from _OF_LOOSE
        else:
            yield from (name for name in _OF_RUN if name != CLOSE or CLOSE not in place.files)

    def _list(self, parent: str, kind: str, wanted: re.Pattern[str], now: float) -> None:
        try:
            mtime = os.stat(f"{self._root}/{parent}").st_mtime_ns
            recent = abs(time.time_ns() - mtime) < _COARSE_NS
            if self._mtimes.get(parent) == mtime and not recent:
                return  # no entry can have come or gone since
            names = os.listdir(f"{self._root}/{parent}")
        except OSError:
            return
        self._mtimes[parent] = mtime
        found = {f"{parent}/{name}" for name in names if wanted.fullmatch(name)}
        for path in found.difference(self._places):
            self._places[path] = Place(path, kind, now)
        for path in [path for path in self._places if path.startswith(f"{parent}/") and path not in found]:
            self.forget(path)

    def _listed(self, path: str) -> list[str]:
        try:
            return os.listdir(f"{self._root}/{path}")
        except OSError:
            return []


def _age(place: Place) -> float:
    """Return the seconds since one of a place's files was written to."""
    latest = max(mtime_ns for _, _, mtime_ns in place.files.values())
    return max(0.0, (time.time_ns() - latest) / 1e9)
