"""Wait for the command in whose place we were run, hand signals on to it, and end as it ends (`child`)."""

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Collection
    from typing import NoReturn
else:
    import _signal  # the C half of signal: the other half costs 4 ms

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

#: Seconds that a command may take and leave no mark of being in progress.
A_MOMENT = 0.001


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
