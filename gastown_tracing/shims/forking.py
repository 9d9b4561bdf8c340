"""Start a command by a fork of our own, where setpriv(1) cannot arm its death signal (`child`)."""

import errno
import posix
import sys

from gastown_tracing.shims.child import NOT_FOUND, Caller, execute

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Mapping
else:
    import _signal  # the C half of signal: the other half costs 4 ms

PR_SET_PDEATHSIG = 1


def start(
    file: bytes,
    argv: "list[bytes]",
    env: "Mapping[bytes, bytes]",
    caller: Caller,
    instead: "Mapping[int, int]",
) -> int:
    """Start the command as `child.start` does, and return its process id. Raises OSError."""
    # With SIGCHLD ignored the kernel would reap the child and its exit code would be lost.
    sigchld = _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    die_with = _death_signal()
    reader, writer = posix.pipe2(posix.O_CLOEXEC) if hasattr(posix, "pipe2") else posix.pipe()
    parent = posix.getpid()
    pid = posix.fork()
    if pid == 0:
        code = errno.ECANCELED
        try:
            if die_with is not None:
                die_with()
            if posix.getppid() == parent:
                _signal.signal(_signal.SIGCHLD, sigchld)
                caller.restore()
                for number, ours in instead.items():
                    posix.dup2(ours, number)
                execute(file, argv, env)
        except OSError as error:
            code = error.errno or code
        finally:
            posix.write(writer, str(code).encode())
            posix._exit(NOT_FOUND)
    posix.close(writer)
    failure = posix.read(reader, 16)
    posix.close(reader)
    if failure:
        posix.waitpid(pid, 0)
        raise OSError(int(failure), posix.strerror(int(failure)))
    return pid


def _death_signal() -> "Callable[[], None] | None":
    """Return a function that lets this process die with its parent, or None where there is no such thing."""
    if sys.platform != "linux":
        return None
    try:
        import _ctypes  # the C half of ctypes: a fifth of its price

        prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]  # None: this program
    except (ImportError, OSError, AttributeError):
        return None
    return lambda: _ctypes.call_function(prctl, (PR_SET_PDEATHSIG, int(_signal.SIGKILL), 0, 0, 0))
