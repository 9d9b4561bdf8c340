"""One relay a journal: whoever holds the lock on relay/lock, in which its process stands."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gastown_tracing.journal.layout import load_json, mkdirs, open_regular, read_text
from gastown_tracing.sessions import processes

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds for which one that is taken is tried again: whoever only looks at it holds it for a moment.
PATIENCE = 1.0
_PAUSE = 0.02

#: What flock(2) says on a file system that has none.
_WITHOUT = (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock; `pid` is 0 where that is not known.

    `here` says whether its id means that process in our own namespace of process ids, too.
    """

    pid: int
    here: bool

    def __str__(self) -> str:
        if not self.pid:
            return "process unknown"
        return f"pid {self.pid}" + ("" if self.here else " of another container")


class Lock:
    """The lock at `path`, which is this process's between `take` and `release`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def take(self, patience: float = PATIENCE) -> Holder | None:
        """Take it; return None, or who has it. Raises OSError."""
        mkdirs(os.path.dirname(self._path), levels=1)
        descriptor = open_regular(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        try:
            if not _locked(descriptor, self._path, patience):
                return _noted_soon(self._path)
            _note(descriptor)
            self._descriptor, descriptor = descriptor, -1
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return None

    def held(self) -> bool:
        """Say whether what is at the path is still what we have locked."""
        try:
            there, ours = os.stat(self._path), os.fstat(self._descriptor)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def release(self) -> None:
        """Let go of it."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = -1


def holder(path: str) -> Holder | None:
    """Return who holds the lock at `path`, None for nobody. Raises OSError where it may not be looked at."""
    try:
        descriptor = open_regular(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _noted_soon(path)
    except OSError as error:
        if error.errno not in _WITHOUT:
            raise
        return _living(path)
    finally:
        os.close(descriptor)
    return None


def _locked(descriptor: int, path: str, patience: float) -> bool:
    """Lock an open file; False where another process has it. Raises OSError."""
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE)
        except OSError as error:
            if error.errno not in _WITHOUT:
                raise
            return _living(path) is None  # without locks what stands in it has to do
        else:
            return True


def _note(descriptor: int) -> None:
    """Write who we are into a file that we have locked. Raises OSError.

    A relay that could not begin on a full disk could not make room there either: the lock alone will do.
    """
    note = json.dumps(processes.describe(os.getpid())).encode() + b"\n"
    try:
        os.ftruncate(descriptor, os.pwrite(descriptor, note, 0))
    except OSError:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # without locks this raises, too
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)  # nobody who was here before


def _said(path: str) -> Mapping[str, object]:
    found = load_json(read_text(path) or "")
    return found if isinstance(found, dict) else {}


def _noted(path: str) -> Holder | None:
    """Return the process that stands in the file."""
    said = _said(path)
    pid = str(said.get("pid", ""))
    if not (pid.isascii() and pid.isdigit()):
        return None
    here = said.get("pid_namespace", "") == processes.pid_namespace()
    if here and processes.state(int(pid), str(said.get("pid_start", ""))) == "gone":
        return None  # it stands for somebody who was killed
    return Holder(int(pid), here=here)


def _noted_soon(path: str) -> Holder:
    """Return who has a lock that somebody has; he may have it since a moment only."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = _noted(path)
        if found is not None:
            return found
        time.sleep(_PAUSE)
    return Holder(0, here=False)


def _living(path: str) -> Holder | None:
    """Return the process that stands in the file if it is alive, as far as anybody can tell."""
    found = _noted(path)
    if found is None or (found.here and _said(path).get("boot_id") != processes.boot_id()):
        return None
    return None if found.pid == os.getpid() else found
