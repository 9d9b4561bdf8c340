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
    return Asked(argv, seconds, without).answer()


class Asked:
    """A command that has been started for its answer, as `ask` does it, and goes on beside us.

    Whoever starts one asks for its answer, or drops it.
    """

    __slots__ = ("_deadline", "_pid", "_reader")

    def __init__(self, argv: list[str], seconds: float, without: "Sequence[str]" = ()) -> None:
        self._deadline = time.monotonic() + seconds
        self._pid, self._reader = _start(argv, without)

    def answer(self) -> tuple[int, bytes]:
        """Wait for the answer, no longer than it was given time for; return the exit code and the answer."""
        said = b""
        try:
            while True:
                reaped, status = posix.waitpid(self._pid, posix.WNOHANG)
                said += _read(self._reader)  # after that: what it has written it has written
                if reaped:
                    return posix.waitstatus_to_exitcode(status), said
                if time.monotonic() > self._deadline or len(said) > ANSWER_LIMIT:
                    self._end()
                    return 124, b""
                _await_end()
        finally:
            posix.close(self._reader)

    def drop(self) -> None:
        """End it; nobody wants to know any more."""
        self._end()
        posix.close(self._reader)

    def _end(self) -> None:
        posix.kill(self._pid, _signal.SIGKILL)
        posix.waitpid(self._pid, 0)


def _await_end() -> None:
    """Wait a moment, less where a child of ours ends: whoever blocks the signal of that is woken by it."""
    if hasattr(_signal, "sigtimedwait"):  # not on macOS
        _signal.sigtimedwait((_signal.SIGCHLD,), _PAUSE)
    else:
        time.sleep(_PAUSE)


def tell(argv: list[str]) -> None:
    """Start a command that nobody waits for. Raises OSError where it cannot be run."""
    _, reader = _start(argv, ())
    posix.close(reader)


def _start(argv: list[str], without: "Sequence[str]") -> tuple[int, int]:
    """Start a command; return its process id, and a descriptor that its output is read from."""
    hidden = [name.encode() for name in without]
    environ = {name: value for name, value in child.environment().items() if name not in hidden}
    environ[b"OTEL_SDK_DISABLED"] = b"true"  # what we ask is nobody's work: no shim below it records it
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
    except OSError:
        posix.close(reader)
        raise
    finally:
        posix.close(writer)
    posix.set_blocking(reader, False)
    return pid, reader


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
