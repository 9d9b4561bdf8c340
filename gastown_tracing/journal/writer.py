"""Writing to a journal: one line in one write(), markers of calls in progress, the root span of a closed run.

What cannot be written raises OSError; callers that observe a command keep it to themselves.
"""

import posix
from errno import EMSGSIZE, ENOSPC

from gastown_tracing.journal.layout import mkdirs, open_regular, write_all
from gastown_tracing.journal.otlp import LINE_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

_APPEND = posix.O_WRONLY | posix.O_APPEND | posix.O_NOFOLLOW
#: Bytes that a marker has to spare, for what a span and its log record get at their end.
_ROOM = 1024
_NEW = posix.O_RDWR | posix.O_CREAT | posix.O_TRUNC | posix.O_NOFOLLOW


def append(directory: str, kind: str, line: bytes) -> None:
    """Append a line, newline included, to the `kind` ("traces" or "logs") of a run or loose directory.

    The directory and the one above it are made when they are missing, the journal itself is not: one that
    was deleted stays deleted. Raises OSError; after a short write (a full disk) the torn line has been ended,
    if that much could be written.
    """
    append_all(directory, [(kind, line)])


def append_all(directory: str, lines: "Sequence[tuple[str, bytes]]") -> None:
    """Append (kind, line) each as `append` does, none of them where one of the files cannot be opened."""
    if any(len(line) > LINE_LIMIT for _, line in lines):
        raise OSError(EMSGSIZE, "a journal line is at most 1 MiB")
    opened: list[tuple[str, int]] = []
    try:
        for kind, _ in lines:
            path = f"{directory}/{kind}.jsonl"
            opened.append((path, _open(directory, path)))
        for (path, descriptor), (_, line) in zip(opened, lines, strict=True):
            if posix.write(descriptor, line) < len(line):
                posix.write(descriptor, b"\n")
                raise OSError(ENOSPC, "only a part of the line could be written", path)
    finally:
        for _, descriptor in opened:
            posix.close(descriptor)


def _open(directory: str, path: str) -> int:
    try:
        return open_regular(path, _APPEND)
    except FileNotFoundError:
        return _create(directory, path, _APPEND | posix.O_CREAT, levels=2)


def _create(directory: str, path: str, flags: int, levels: int) -> int:
    try:
        descriptor = open_regular(path, flags)
    except FileNotFoundError:
        mkdirs(directory, levels)
        descriptor = open_regular(path, flags)
    posix.fchmod(descriptor, 0o600)  # whatever the umask took away
    return descriptor


class Marker:
    """A call in progress: `open/<span_id>` holds what is known of it, locked while its writer lives."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def open(cls, directory: str, span_id: str, lines: bytes) -> "Self":
        """Make the marker of a span that has started. Raises OSError.

        `lines` are its TracesData line and, where it has a log record, the LogsData line of that, both
        without what only the end tells. Nobody sees the marker before it is locked and whole: it is made
        under a name that begins with a dot.
        """
        import fcntl  # not built into every interpreter, and a short command has ended before this

        place = directory + "/open"
        hidden = f"{place}/.{span_id}"
        descriptor = _create(place, hidden, _NEW, levels=3)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            write_all(descriptor, _filled(lines, len(lines) + _ROOM))
            path = f"{place}/{span_id}"
            posix.rename(hidden, path)
        except OSError:
            posix.close(descriptor)
            posix.unlink(hidden)
            raise
        return cls(path, descriptor)

    def close(self) -> None:
        """Remove the marker; its span has been written. A marker that somebody removed already is fine.

        Raises OSError. A second call does nothing.
        """
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        try:
            posix.unlink(self.path)
        except FileNotFoundError:
            pass
        finally:
            posix.close(descriptor)

    def leave(self, lines: bytes) -> None:
        """Put the finished records into the marker, for a sweep to write when there is room; end as `close`.

        For a full disk: what is written takes the place of what the marker holds already. Raises OSError
        where that fails too; then the marker goes, because a call that has ended was not interrupted.
        """
        if self._descriptor < 0:
            return
        try:
            _overwrite(self._descriptor, _filled(lines, posix.fstat(self._descriptor).st_size))
        except OSError:
            self.close()
            raise
        posix.close(self._descriptor)
        self._descriptor = -1


def _filled(lines: bytes, size: int) -> bytes:
    return lines[:-1].ljust(size - 1) + b"\n"


def _overwrite(descriptor: int, data: bytes) -> None:
    if posix.pwrite(descriptor, data, 0) < len(data):
        raise OSError(ENOSPC, "no room for the end of a call")


def link_close(directory: str, line: bytes) -> bool:
    """Write the finished root span as the directory's close.json; False where somebody was first.

    link(2) makes the file whole and at once, and only once. Raises OSError.
    """
    temporary = f"{directory}/.close.{posix.getpid()}-{posix.urandom(4).hex()}"
    descriptor = _create(directory, temporary, _NEW | posix.O_EXCL, levels=2)
    try:
        try:
            write_all(descriptor, line)
            posix.fsync(descriptor)
        finally:
            posix.close(descriptor)
        posix.link(temporary, directory + "/close.json")
    except FileExistsError:
        return False
    finally:
        posix.unlink(temporary)
    return True
