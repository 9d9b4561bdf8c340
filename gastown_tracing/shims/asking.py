"""Running another program for its answer, without `subprocess`, whose import costs more than the program."""

import posix
import time

from gastown_tracing.shims import child
from gastown_tracing.shims.plan import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Sequence
else:
    import _signal  # the C half of signal

#: Bytes of an answer that are read.
ANSWER_LIMIT = 1 << 22

_PAUSE = 0.002


def ask(argv: list[str], seconds: float, without: "Sequence[str]" = ()) -> tuple[int, bytes]:
    """Return the exit code of a command and what it printed. Raises OSError where it cannot be run.

    One that takes longer than `seconds` is killed, and its exit code is 124. It has our environment but for
    the variables `without`, reads nothing, and what it says on stderr is lost.
    """
    hidden = [name.encode() for name in without]
    environ = {name: value for name, value in child.environment().items() if name not in hidden}
    words = [encode(word) for word in argv]
    file = child.find(words[0], environ.get(b"PATH"))
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)  # ignored, its exit code would be lost
    _hold_descriptors()
    reader, writer = posix.pipe()
    streams = [
        (posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, 0),
        (posix.POSIX_SPAWN_DUP2, writer, 1),
        (posix.POSIX_SPAWN_OPEN, 2, "/dev/null", posix.O_WRONLY, 0),
    ]
    try:
        pid = posix.posix_spawn(
            file, words, environ, file_actions=streams, setsigmask=(), setsigdef=child.IGNORED_BY_PYTHON
        )
    finally:
        posix.close(writer)
    posix.set_blocking(reader, False)
    try:
        return _answer(pid, reader, time.monotonic() + seconds)
    finally:
        posix.close(reader)


def _answer(pid: int, reader: int, deadline: float) -> tuple[int, bytes]:
    said = b""
    while True:
        reaped, status = posix.waitpid(pid, posix.WNOHANG)
        said += _read(reader)  # after that: what it has written it has written
        if reaped:
            return posix.waitstatus_to_exitcode(status), said
        if time.monotonic() > deadline or len(said) > ANSWER_LIMIT:
            posix.kill(pid, _signal.SIGKILL)
            posix.waitpid(pid, 0)
            return 124, b""
        time.sleep(_PAUSE)


def _read(reader: int) -> bytes:
    said = b""
    try:
        while len(said) <= ANSWER_LIMIT and (chunk := posix.read(reader, 65536)):
            said += chunk
    except BlockingIOError:
        return said
    return said


def _hold_descriptors() -> None:
    """Open the standard streams that are closed, so that a pipe does not get one's number."""
    while (descriptor := posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)) <= 2:
        continue
    posix.close(descriptor)
