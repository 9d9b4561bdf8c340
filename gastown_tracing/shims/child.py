"""Run one command in our place, so that nobody can tell the difference.

The command is our child in our own process group, session and terminal. We hold no signal for ourselves: all
are
blocked while it runs, taken one by one with sigwaitinfo(2), and handed on to it unless it got them anyway.
When it ends we end the same way. What cannot be kept: its parent's id is ours, a SIGSTOP sent to us alone
does
not stop it, and a signal that kill(2) sends to the whole process group reaches it twice.

It dies with us, as it would if we were not there: kill -9 of this process kills it too (PR_SET_PDEATHSIG,
Linux).
"""

import errno
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Collection, Mapping
    from typing import NoReturn
else:
    import _signal  # the C half of signal: the other half costs 4 ms

NOT_FOUND = 127
NOT_EXECUTABLE = 126

#: Where a PATH that is not set leads (confstr(3), _CS_PATH).
DEFAULT_PATH = b"/bin:/usr/bin"

#: Python ignores these at its start, and a program that it starts would inherit that.
IGNORED_BY_PYTHON = (_signal.SIGPIPE, _signal.SIGXFSZ)

#: The terminal sends these to the whole foreground group, and so to the command itself.
FROM_TERMINAL = (
    _signal.SIGINT,
    _signal.SIGQUIT,
    _signal.SIGTSTP,
    _signal.SIGTTIN,
    _signal.SIGTTOU,
    _signal.SIGHUP,
    _signal.SIGCONT,
    _signal.SIGWINCH,
)
JOB_CONTROL = (_signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU)

#: siginfo_t.si_code of a signal that the kernel made (sigaction(2)).
SI_KERNEL = 0x80

SETPRIV = b"/usr/bin/setpriv"
#: It came with the same util-linux, 2.33, that taught setpriv `--pdeathsig`.
SETPRIV_IS_RECENT = b"/usr/bin/choom"

PR_SET_PDEATHSIG = 1

#: What PEP 538 puts into LC_CTYPE where the locale is C.
COERCED = (b"C.UTF-8", b"C.utf8", b"UTF-8")

#: Seconds that a command may take and leave no mark of being in progress.
A_MOMENT = 0.001

#: Bytes for what exec'ing adds by itself: setpriv's words, a `#!` line, the kernel's own.
SLACK = 8192


def block_signals() -> "set[int]":
    """Block every signal and return the caller's mask."""
    return set(_signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals()))


class Caller:
    """What the command inherits from our caller: the signal mask, and which signals are ignored.

    `ignored` is the bit mask of signals that were ignored before Python started (field 33 of
    proc_pid_stat(5)),
    as the launcher hands it over; None where nobody could look, and then SIGPIPE and SIGXFSZ count as not
    ignored.
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


def let_go(keep_stderr: bool, held: "Collection[int]" = ()) -> None:
    """Close what we have of the command's descriptors: who waits for their end waits for the command alone.

    `held` stay open. Raises OSError.
    """
    if sys.platform != "linux":
        return  # what says whether a key was typed is asked of standard input there
    null = posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)
    for descriptor in (0, 1) if keep_stderr else (0, 1, 2):
        if descriptor != null:
            posix.dup2(null, descriptor, False)
    for name in posix.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in held:
            try:
                posix.close(int(name))
            except OSError:
                continue  # the listing's own


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
    for directory in (DEFAULT_PATH if path is None else path).split(b":"):
        candidate = directory + b"/" + command if directory else b"./" + command
        try:
            _check(candidate)
        except OSError as error:
            if error.errno == errno.EACCES:
                failure = error
            continue
        return candidate
    raise failure


def _means(command: bytes, path: bytes | None, file: bytes) -> bool:
    try:
        return find(command, path) == file
    except OSError:
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
    _execute(file, argv, env)


def _execute(file: bytes, argv: "list[bytes]", env: "Mapping[bytes, bytes]") -> "NoReturn":
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
    return _fork(file, argv, env, caller, instead)


def _have_setpriv() -> bool:
    try:
        # A link would be busybox, which does not know the option.
        return posix.lstat(SETPRIV).st_mode & 0o170000 == 0o100000 and posix.access(
            SETPRIV_IS_RECENT, posix.F_OK
        )
    except OSError:
        return False


def _fork(
    file: bytes,
    argv: "list[bytes]",
    env: "Mapping[bytes, bytes]",
    caller: Caller,
    instead: "Mapping[int, int]",
) -> int:
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
                _execute(file, argv, env)
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


def runs_on(pid: int, command: bytes) -> bool:
    """Return whether the child has become the command (it is not setpriv any more) and goes on running.

    A command that ends within a millisecond is waited for: nobody will have seen it in progress.
    """
    if not hasattr(_signal, "sigtimedwait"):  # macOS, which has no setpriv either
        return True
    if _signal.sigtimedwait((_signal.SIGCHLD,), A_MOMENT) is not None and _has_ended(pid):
        return False
    named_alike = command.rpartition(b"/")[2][:15] == b"setpriv"
    for _ in range(100):
        if named_alike or not _is_setpriv(pid):
            break
        if _signal.sigtimedwait((_signal.SIGCHLD,), A_MOMENT / 4) is not None and _has_ended(pid):
            return False
    return True


def _has_ended(pid: int) -> bool:
    """Return whether the child has ended, and not another one of ours; it is still there to be waited for."""
    return posix.waitid(posix.P_PID, pid, posix.WEXITED | posix.WNOHANG | posix.WNOWAIT) is not None


def _is_setpriv(pid: int) -> bool:
    try:
        descriptor = posix.open(f"/proc/{pid}/comm", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return False
    name = posix.read(descriptor, 16)
    posix.close(descriptor)
    return name == b"setpriv\n"


def ended(pid: int) -> int | None:
    """Return the child's wait status if it has ended already."""
    reaped, status = posix.waitpid(pid, posix.WNOHANG)
    return status if reaped else None


def wait(pid: int) -> int:
    """Hand on signals until the child ends; return its wait status."""
    stopped_by_terminal = resumed = False
    while True:
        reaped, status = posix.waitpid(pid, posix.WNOHANG | posix.WUNTRACED)
        if reaped and posix.WIFSTOPPED(status):
            resumed = _stop_with(posix.WSTOPSIG(status), stopped_by_terminal)
            stopped_by_terminal = False
            continue
        if reaped:
            return status
        number, code, sender = _next_signal()
        if number == _signal.SIGCHLD:
            continue
        if number == _signal.SIGTSTP and code == SI_KERNEL:
            stopped_by_terminal = True
        if number == _signal.SIGCONT and resumed:
            # What made us go on went to the whole job, as a shell does it, or to us alone.
            resumed = False
            if not _is_stopped(pid):
                continue
        if _wants(pid, number, code, sender):
            try:
                posix.kill(pid, number)
            except OSError:
                continue  # it has become another user, whom only its own kin may signal


def _next_signal() -> "tuple[int, int, int]":
    """Return (signal, si_code, sender's process id) of the next signal that is sent to us."""
    if hasattr(_signal, "sigwaitinfo"):
        info = _signal.sigwaitinfo(_signal.valid_signals())
        return info.si_signo, info.si_code, info.si_pid
    number = int(
        _signal.sigwait(_signal.valid_signals())
    )  # macOS: no siginfo, so the terminal's keys are guessed
    keys = number in FROM_TERMINAL and posix.isatty(0) and posix.tcgetpgrp(0) == posix.getpgrp()
    return number, SI_KERNEL if keys else 0, 0


def _wants(pid: int, number: int, code: int, sender: int) -> bool:
    """Return whether the child has to be handed a signal that we got."""
    if sender in (pid, posix.getpid()):
        return False  # it signalled its own process group, itself included; or a write of ours failed
    if code == SI_KERNEL and number in FROM_TERMINAL:
        # A terminal that goes away tells the session's leader only; without us the command would be that.
        leads = number in (_signal.SIGHUP, _signal.SIGCONT) and posix.getsid(0) == posix.getpid()
        return leads or not _in_our_group(pid)
    return True


def _in_our_group(pid: int) -> bool:
    try:
        return posix.getpgid(pid) == posix.getpgrp()
    except OSError:
        return True


def _in_foreground() -> bool:
    """Return whether our process group is the one that a terminal talks to."""
    try:
        terminal = posix.open("/dev/tty", posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NOCTTY)
    except OSError:
        return False
    try:
        return posix.tcgetpgrp(terminal) == posix.getpgrp()
    except OSError:
        return False
    finally:
        posix.close(terminal)


def _is_stopped(pid: int) -> bool:
    """Return whether a process is stopped; True where that cannot be read."""
    try:
        descriptor = posix.open(f"/proc/{pid}/stat", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return True
    state = posix.read(descriptor, 512).rpartition(b") ")[2][:1]
    posix.close(descriptor)
    return state == b"T"


def _stop_with(number: int, stopped_by_terminal: bool) -> bool:
    """Stop as the child stopped, for the shell to see its job stopped; return when we go on.

    False where we did not stop.

    Only stops that come from job control: somebody who stops the child alone means the child alone. A command
    that stops itself, as `suspend` of a shell does, is told by the terminal that waits for it.
    """
    if number == _signal.SIGSTOP and (stopped_by_terminal or _in_foreground()):
        number = _signal.SIGTSTP
    if number not in JOB_CONTROL:
        return False
    before = _signal.signal(number, _signal.SIG_DFL)
    posix.kill(posix.getpid(), number)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (number,))
    _signal.pthread_sigmask(_signal.SIG_BLOCK, (number,))
    _signal.signal(number, before if before is not None else _signal.SIG_DFL)
    return True


def exit_as(status: int) -> "NoReturn":
    """End as the child with this wait status ended: the same exit code, or dead of the same signal."""
    if posix.WIFSIGNALED(status):
        number = posix.WTERMSIG(status)
        if posix.WCOREDUMP(status):
            _no_second_core()
        if number != _signal.SIGKILL:
            _signal.signal(number, _signal.SIG_DFL)
        posix.kill(posix.getpid(), number)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (number,))
        posix._exit(128 + number)  # only where the signal cannot kill us: init of a container
    posix._exit(posix.WEXITSTATUS(status))  # the interpreter's own shutdown would cost a millisecond


def _no_second_core() -> None:
    import resource  # only for a command that dumped core

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
