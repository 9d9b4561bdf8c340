"""Start one command in our place, so that nobody can tell the difference (`waiting` is the other half).

The command is our child in our own process group, session and terminal. We hold no signal for ourselves:
all are blocked while it runs, taken one by one with sigwaitinfo(2), and handed on to it unless it got them
anyway. When it ends we end the same way. What cannot be kept: its parent's id is ours, a SIGSTOP sent to us
alone does not stop it, and a signal that kill(2) sends to the whole process group reaches it twice.

It dies with us, as it would if we were not there: kill -9 of this process kills it too (PR_SET_PDEATHSIG,
Linux).
"""

import errno
import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Mapping
    from typing import NoReturn
else:
    import _signal  # the C half of signal: the other half costs 4 ms

NOT_FOUND = 127
NOT_EXECUTABLE = 126

#: Where a PATH that is not set leads (confstr(3), _CS_PATH).
DEFAULT_PATH = b"/bin:/usr/bin"

#: Python ignores these at its start, and a program that it starts would inherit that.
IGNORED_BY_PYTHON = (_signal.SIGPIPE, _signal.SIGXFSZ)

SETPRIV = b"/usr/bin/setpriv"
#: It came with the same util-linux, 2.33, that taught setpriv `--pdeathsig`.
SETPRIV_IS_RECENT = b"/usr/bin/choom"

#: What PEP 538 puts into LC_CTYPE where the locale is C.
COERCED = (b"C.UTF-8", b"C.utf8", b"UTF-8")

#: Bytes for what exec'ing adds by itself: setpriv's words, a `#!` line, the kernel's own.
SLACK = 8192


def block_signals() -> "set[int]":
    """Block every signal and return the caller's mask."""
    return set(_signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals()))


class Caller:
    """What the command inherits from our caller: the signal mask, and which signals are ignored.

    `ignored` is the bit mask of signals that were ignored before Python started (field 33 of
    proc_pid_stat(5)), as the launcher hands it over; None where nobody could look, and then SIGPIPE and
    SIGXFSZ count as not ignored.
    """

    __slots__ = ("mask", "reset")

    def __init__(self, mask: "set[int]", ignored: int | None = None) -> None:
        self.mask = mask
        self.reset = [number for number in IGNORED_BY_PYTHON if not (ignored or 0) >> (number - 1) & 1]

    def restore(self) -> None:
        """Put this process's signals back as the caller had them."""
        for number in self.reset:
            _signal.signal(number, _signal.SIG_DFL)
        if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self.mask)

    def let_in(self) -> None:
        """Take the signals that have come for a command that does not run yet: we may end here, or stop."""
        if _signal.sigpending() - {_signal.SIGCHLD}:
            self.restore()
            block_signals()


def environment() -> dict[bytes, bytes]:
    """Return the environment that our caller handed us, without what Python's own start added (PEP 538).

    An entry without a name, `=x=1`, is left out: posix_spawn and execve of Python refuse it.
    """
    found = dict(posix.environ)
    found.pop(b"", None)
    if found.get(b"LC_CTYPE") in COERCED and b"LC_ALL" not in found:
        try:
            descriptor = posix.open("/proc/self/environ", posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            return found
        given = b""
        while chunk := posix.read(descriptor, 1 << 20):
            given += chunk
        posix.close(descriptor)
        _, name, rest = (b"\0" + given).partition(b"\0LC_CTYPE=")
        if name:
            found[b"LC_CTYPE"] = rest.partition(b"\0")[0]
        else:
            del found[b"LC_CTYPE"]
    return found


def fits(file: bytes, argv: "list[bytes]", env: "Mapping[bytes, bytes]") -> bool:
    """Return whether execve(2) surely takes these, through setpriv and a `#!` line as well."""
    strings = sum([len(name) + len(value) for name, value in env.items()]) + sum([len(word) for word in argv])
    pointers = 10 * (len(env) + len(argv))  # eight bytes each, a zero byte, and for a variable its `=`
    return strings + pointers + 2 * len(file) + SLACK < posix.sysconf("SC_ARG_MAX")


def find(command: bytes, path: bytes | None) -> bytes:
    """Return the file that execvp(3) would run for `command`. Raises OSError (ENOENT, EACCES)."""
    if not command:
        raise OSError(errno.ENOENT, "no command")
    if b"/" in command:
        _check(command)
        return command
    failure = OSError(errno.ENOENT, "command not found")
    for candidate in _candidates(command, path):
        try:
            _check(candidate)
        except OSError as error:
            if error.errno == errno.EACCES:
                failure = error
            continue
        return candidate
    raise failure


def _candidates(command: bytes, path: bytes | None) -> "list[bytes]":
    directories = (DEFAULT_PATH if path is None else path).split(b":")
    return [directory + b"/" + command if directory else b"./" + command for directory in directories]


def _means(command: bytes, path: bytes | None, file: bytes) -> bool:
    """Return whether the first file of this name on PATH is `file`, whoever may run which of them."""
    if b"/" in command:
        return command == file
    for candidate in _candidates(command, path):
        try:
            posix.stat(candidate)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:  # who has other rights than access(2) asks for could run it
            return False
        return candidate == file
    return False


def _check(file: bytes) -> None:
    mode = posix.stat(file).st_mode
    if mode & 0o170000 == 0o040000:
        raise OSError(errno.EACCES, "is a directory")
    if not posix.access(file, posix.X_OK):
        raise OSError(errno.EACCES, "permission denied")


def replace(
    argv: "list[bytes]", env: "Mapping[bytes, bytes]", caller: Caller, file: bytes = b""
) -> "NoReturn":
    """Become the command: nothing of us is left. Raises OSError when it cannot be run.

    `file` is its program, by default what PATH has.
    """
    file = file or find(argv[0], env.get(b"PATH"))
    caller.restore()
    execute(file, argv, env)


def execute(file: bytes, argv: "list[bytes]", env: "Mapping[bytes, bytes]") -> "NoReturn":
    """Replace this process as execvp(3) does: a file without a known format is a script for sh."""
    try:
        posix.execve(file, argv, env)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    posix.execve(b"/bin/sh", [b"/bin/sh", file, *argv[1:]], env)


def start(
    file: bytes,
    argv: "list[bytes]",
    env: "Mapping[bytes, bytes]",
    caller: Caller,
    *,
    wrap: bool = True,
    descriptors: "Mapping[int, int] | None" = None,
) -> int:
    """Start the command and return its process id. Raises OSError when it cannot be run.

    `file` is what `find` returned. With `wrap`, setpriv(1) arms the death signal and becomes the command;
    where it is missing, too old or unsuitable, we fork and do the same ourselves, which costs a millisecond
    more. `descriptors` are what it gets in place of its own, by their numbers.
    """
    instead = descriptors or {}
    inherited = _signal.getsignal(_signal.SIGCHLD)
    if wrap and inherited != _signal.SIG_IGN and _have_setpriv():
        # setpriv looks a name up in PATH, where a shim may stand before the program that is meant.
        command = argv if _means(argv[0], env.get(b"PATH"), file) else [file, *argv[1:]]
        wrapped = [b"setpriv", b"--pdeathsig", b"KILL", b"--", *command]
        actions = [(posix.POSIX_SPAWN_DUP2, ours, number) for number, ours in instead.items()]
        return posix.posix_spawn(
            SETPRIV, wrapped, env, file_actions=actions, setsigmask=caller.mask, setsigdef=caller.reset
        )
    from gastown_tracing.shims.forking import start as fork  # where there is no setpriv that will do

    return fork(file, argv, env, caller, instead)


def _have_setpriv() -> bool:
    try:
        # A link would be busybox, which does not know the option.
        return posix.lstat(SETPRIV).st_mode & 0o170000 == 0o100000 and posix.access(
            SETPRIV_IS_RECENT, posix.F_OK
        )
    except OSError:
        return False
