"""What one worker has yet to read of the journal: whole lines, of many files in turn, from where it stopped.

The order is take, do something lasting with it, took, save the checkpoint: whatever dies in between, nothing
is left out, and what is done twice is one batch.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from errno import EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR
from typing import TYPE_CHECKING

from gastown_tracing.journal.layout import open_regular
from gastown_tracing.journal.otlp import LINE_LIMIT

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.sources import Stat

#: Bytes of one file that come in one go, so that none keeps the others waiting.
_SHARE = 256 * 1024
#: Bytes of a batch that are not worth looking for a line that fits into them.
_REST = 8 * 1024
#: Seconds after which what could not be read is tried again.
_AGAIN = 1.0
#: Why there is nothing to be read; all other errors pass, or somebody puts them right.
_NOTHING = (ENOENT, ENOTDIR, EISDIR, EINVAL, ELOOP)

#: Says of a kind of place and the name of a file in it whether a worker reads it.
Wanted = Callable[[str, str], bool]
#: By file, relative to the journal: its inode and how many bytes of it have been taken.
Offsets = dict[str, list[int]]


class _File:
    __slots__ = ("inode", "name", "offset", "since_ns", "size", "stalled")

    def __init__(self, name: str, inode: int, offset: int) -> None:
        self.name = name
        self.inode = inode
        self.offset = offset
        self.size = 0
        self.since_ns = 0
        #: The size at which what follows the offset was seen to be no whole line yet.
        self.stalled = -1


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines of one file, which is named relative to the journal: its bytes from `start` to `end`.

    `of` is that file, whatever its name has become since, and whatever has its name now.
    """

    file: str
    start: int
    end: int
    data: bytes
    of: _File | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Pending:
    """How much is waiting, in bytes, and since when (ns of the Unix epoch; None: nothing waits)."""

    bytes: int
    oldest_ns: int | None


class Feed:
    """The files that one worker reads. `offsets` are where it stopped last time.

    One thread takes; any thread may do the rest.
    """

    def __init__(self, journal: Journal, wanted: Wanted, offsets: Mapping[str, Iterable[int]] | None) -> None:
        self._root = journal.root
        self._wanted = wanted
        self._lock = threading.Lock()
        self._grown = threading.Event()
        self._files: dict[str, _File] = {}
        self._ready: dict[str, None] = {}
        self._places: dict[str, tuple[str, ...]] = {}
        #: What could not be read, and when it is tried again, in monotonic seconds.
        self._failed: dict[str, None] = {}
        self._failed_until = 0.0
        self._kept: Offsets | None = None
        #: Lines that no reader can make sense of, because they are longer than any line may be.
        self.skipped = 0
        for file, (inode, offset) in (offsets or {}).items():
            self._add(_File(file, int(inode), int(offset)))

    def saw(self, kind: str, file: str, stat: Stat) -> None:
        """Take note of a file that is new or has changed."""
        if not self._wanted(kind, file.rpartition("/")[2]):
            return
        inode, size, mtime_ns = stat
        with self._lock:
            known = self._files.get(file)
            if known is None or known.inode != inode or size < known.offset:  # another file of this name
                known = self._add(_File(file, inode, 0))
            known.size = size
            if size > known.offset:
                known.since_ns = known.since_ns or mtime_ns
                self._ready[file] = None
        self._grown.set()

    def gone(self, path: str) -> None:
        """Forget the files of a directory that is there no more."""
        with self._lock:
            for file in self._places.pop(path, ()):
                self._drop(file)

    def forget(self, file: str) -> None:
        """Forget one file that is there no more."""
        with self._lock:
            if file in self._files:
                self._drop(file)
                place = file.rpartition("/")[0]
                self._places[place] = tuple(name for name in self._places[place] if name != file)

    def rename(self, old: str, new: str) -> None:
        """Take note that a directory has another name."""
        with self._lock:
            for file in self._places.pop(old, ()):
                renamed = f"{new}{file[len(old) :]}"
                known = self._files.pop(file)
                # Known since before a restart: this is another file of the old name.
                known.name = file if renamed in self._files else renamed
                self._add(known)
                for names in (self._ready, self._failed):
                    if file in names:
                        del names[file]
                        names[known.name] = None

    def take(self, limit: int) -> list[Piece]:
        """Return whole lines that have not been taken, of as many files as make `limit` bytes or a bit less.

        A longer line comes alone. What is returned does not come again before `give_back` or a restart.
        """
        while True:
            skipped = self.skipped
            pieces = self._take(limit)
            if pieces or self.skipped == skipped:
                break
        if not pieces:
            self._grown.clear()
            if self._waiting():  # it grew meanwhile
                self._grown.set()
        return pieces

    def _take(self, limit: int) -> list[Piece]:
        pieces: list[Piece] = []
        left = limit
        for file in self._waiting():
            piece = self._read(file, min(left, _SHARE), alone=not pieces)
            if piece is not None:
                pieces.append(piece)
                left -= len(piece.data)
            if left <= (_REST if pieces else 0):
                break
        return pieces

    def took(self, pieces: Iterable[Piece]) -> None:
        """Take note that these are done with: the offsets move past them."""
        with self._lock:
            for piece in pieces:
                known = self._still(piece)
                if known is None or known.offset != piece.start:
                    continue
                known.offset, known.stalled = piece.end, -1
                known.since_ns = time.time_ns() if known.size > known.offset else 0
                if known.since_ns:
                    self._ready[known.name] = None

    def give_back(self, pieces: Iterable[Piece]) -> None:
        """Let these come again."""
        with self._lock:
            back = dict.fromkeys(known.name for piece in pieces if (known := self._still(piece)))
            self._ready.update(back)
        if back:
            self._grown.set()

    def wait(self, timeout: float) -> bool:
        """Wait until there may be something to take; say whether there may."""
        return self._grown.wait(timeout)

    def wake(self) -> None:
        """End somebody's waiting."""
        self._grown.set()

    def pending(self) -> Pending:
        """Return how much waits. Lines that have no end yet are not counted."""
        with self._lock:
            behind = [
                known
                for known in self._files.values()
                if known.size > known.offset and known.stalled != known.size
            ]
        return Pending(
            sum(known.size - known.offset for known in behind),
            min((known.since_ns for known in behind), default=None),
        )

    def kept(self, offsets: Offsets) -> None:
        """Take note that a checkpoint has these: only what one has is done with from now on.

        For a worker that would miss what it has taken since, where that is not to be read any more.
        """
        self._kept = offsets

    def done_with(self, path: str) -> bool:
        """Say whether all lines in a directory's files, as they were last seen, have been taken."""
        with self._lock:
            return all(map(self._is_done, map(self._files.__getitem__, self._places.get(path, ()))))

    def _is_done(self, known: _File) -> bool:
        taken = known.size <= known.offset or known.stalled == known.size
        if not taken or self._kept is None or not known.offset:
            return taken
        return self._kept.get(known.name) == [known.inode, known.offset]

    def behind(self, path: str) -> dict[str, int]:
        """Return where the lines begin that have not been taken, by the file in a directory that has some."""
        with self._lock:
            names = self._places.get(path, ())
            files = {name: self._files[name] for name in names}
        return {
            name: known.offset
            for name, known in files.items()
            if known.size > known.offset and known.stalled != known.size
        }

    def offsets(self) -> Offsets:
        """Return where reading stopped, for the checkpoint."""
        with self._lock:
            return {file: [known.inode, known.offset] for file, known in self._files.items() if known.offset}

    def _add(self, known: _File) -> _File:
        file = known.name
        place = file.rpartition("/")[0]
        names = self._places.get(place, ())
        if file not in names:
            self._places[place] = (*names, file)
        self._files[file] = known
        return known

    def _drop(self, file: str) -> None:
        for names in (self._files, self._ready, self._failed):
            names.pop(file, None)

    def _still(self, piece: Piece) -> _File | None:
        """Return the file that a piece is of, None if it is there no more."""
        known = piece.of
        return known if known is not None and self._files.get(known.name) is known else None

    def _waiting(self) -> list[str]:
        with self._lock:
            if self._failed and time.monotonic() >= self._failed_until:
                self._ready |= self._failed
                self._failed.clear()
            return list(self._ready)

    def _read(self, file: str, share: int, *, alone: bool) -> Piece | None:
        """Read the next lines of a file; None where it has none, or one too long to come with others."""
        with self._lock:
            known = self._files.get(file)
            if known is None:
                self._ready.pop(file, None)
                return None
            start, inode, size = known.offset, known.inode, known.size
        try:
            data = _lines(f"{self._root}/{file}", inode, start, share, LINE_LIMIT if alone else share)
        except OSError as error:
            if error.errno not in _NOTHING:
                self._put_off(file)
                return None
            data = b""
        with self._lock:
            if data is None or self._files.get(file) is not known:
                return None  # it comes first in another batch, or under its new name
            return self._piece(known, data, size)

    def _piece(self, known: _File, data: bytes, size: int) -> Piece | None:
        """Return what was read of a file whose size was this; None where it is no whole line."""
        if data or known.size == size:  # else it grew meanwhile
            self._ready.pop(known.name, None)
        if data.endswith(b"\n"):
            return Piece(known.name, known.offset, known.offset + len(data), data, known)
        if data:  # longer than any line may be, and without an end
            known.offset += len(data)
            self.skipped += 1
            self._ready[known.name] = None
        else:
            known.stalled = size
        return None

    def _put_off(self, file: str) -> None:
        """Let a file wait that cannot be read at the moment: it is not done with."""
        with self._lock:
            if file in self._ready:
                del self._ready[file]
                self._failed[file] = None
                self._failed_until = time.monotonic() + _AGAIN


def _lines(path: str, inode: int, start: int, share: int, longest: int) -> bytes | None:
    r"""Return whole lines, up to `share` bytes or the first one; b"" where there is none yet.

    None: the first line is longer than `longest`. What is longer than any line may be comes without `\n`.
    Raises OSError.
    """
    descriptor = open_regular(path, os.O_RDONLY)
    try:
        if os.fstat(descriptor).st_ino != inode:
            return b""
        data = os.pread(descriptor, share, start)
        end = data.rfind(b"\n") + 1
        if end or len(data) < share:
            return data[:end]
        if longest <= share:
            return None
        data = os.pread(descriptor, longest, start)
    finally:
        os.close(descriptor)
    end = data.find(b"\n") + 1
    return data[:end] if end or len(data) < longest else data
