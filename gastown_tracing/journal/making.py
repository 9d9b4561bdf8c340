"""Making a journal, which is done once in its life, and the lock that it takes."""

import posix
import time
from errno import EACCES, EAGAIN, ENOTEMPTY

from gastown_tracing.journal.layout import DIRECTORIES, FORMAT_VERSION, mkdirs, write_atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.journal.layout import Journal

#: What stands beside the journal's directories, made after them.
_FILES = ("config.json", "on", "VERSION")

#: How often, and how many seconds apart, who makes a journal asks whether another one is done with it.
_ATTEMPTS, _PAUSE = 10, 0.005


def make(journal: "Journal", config: "Mapping[str, str]") -> None:
    """Make a journal, switched on, where there is none.

    However many call this at once, one makes it and the others wait for that: the file `on` is made once in a
    journal's life, so an operator who removes it is never overruled. Nobody waits longer than a command can
    be kept waiting, 50 ms. A directory that is there keeps its mode; what we make in it is ours alone.

    Raises OSError, also where `root` is a directory of another user or holds something else.
    """
    root = journal.root
    mkdirs(root)
    if not journal.owned():
        raise OSError(EACCES, "the journal's directory belongs to another user", root)
    directory = posix.open(root, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
    try:
        if not lock(directory, _ATTEMPTS, _PAUSE):
            raise OSError(EAGAIN, "another process is still making the journal", root)
        if not journal.exists():
            _refuse_others(root)
            for name in DIRECTORIES:
                mkdirs(f"{root}/{name}")
            journal.write_config(config)
            write_atomic(journal.on_path, "")
            write_atomic(journal.version_path, FORMAT_VERSION)
    finally:
        posix.close(directory)


def lock(descriptor: int, attempts: int, pause: float) -> bool:
    """Lock an open file for this process; False where others still hold it after so many attempts.

    `pause` is the seconds between two. Raises OSError.
    """
    import fcntl  # not built into every interpreter, and most shims find their journal made

    for _ in range(attempts):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return True
    return False


def _refuse_others(root: str) -> None:
    """Raise OSError where a directory holds more than a journal that somebody began to make."""
    names = set(posix.listdir(root))
    others = names.difference(DIRECTORIES)
    if names.issuperset(DIRECTORIES):  # only then have we made files, under a temporary name at first
        others = {name for name in others if not f"{name}.".startswith(tuple(f"{own}." for own in _FILES))}
    if others:
        raise OSError(ENOTEMPTY, "the directory holds other files and is no journal", root)
