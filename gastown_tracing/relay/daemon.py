"""Start the relay so that it takes nothing from whoever starts it. Shims load this: built-in modules only.

A small interpreter is spawned in a session of its own, without descriptors, environment or signals of ours.
It forks and ends, so that nobody but init is the parent of what goes on, and that becomes the relay.
"""

import posix
import sys
import time

from gastown_tracing.journal.layout import mkdirs, open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal

    from gastown_tracing.journal.layout import Journal
else:
    import _signal  # the C half of signal

#: All that the relay's environment has, until it has read its settings.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}

#: What is run first: without a terminal, a parent and a directory of anybody's it becomes the relay.
_BETWEEN = """\
import posix, sys
if posix.fork():
    posix._exit(0)
posix.chdir("/")
posix.umask(0o77)
posix.closerange(3, 65536)
posix.execv(sys.argv[1], sys.argv[1:])
"""

#: How many seconds old a relay that runs makes the note, every 10 s: it ends 5 to 15 s after one that could
#: not say goodbye.
NOTED = 45.0

#: Below these hard limits a relay would be of no use: bytes of a file and of memory, seconds of a processor.
_LEAST = {"RLIMIT_FSIZE": 1 << 30, "RLIMIT_AS": 1 << 29, "RLIMIT_DATA": 1 << 28, "RLIMIT_CPU": 600}
_LEAST |= {"RLIMIT_NOFILE": 64}


def command(root: str, *, aloud: bool = False) -> list[str]:
    """Return the command that is the relay of the journal in `root`; with `aloud` it logs to stderr, too."""
    return [sys.executable, "-P", "-m", "gastown_tracing.relay", root, *(["--foreground"] if aloud else ())]


def ask(journal: "Journal") -> None:
    """Note that a relay was asked for, and start one unless one runs. Raises OSError.

    Nothing is done under limits that a relay could not live with: somebody else will ask.
    """
    if not _is_python(sys.executable) or _confined():
        return
    asked = f"{journal.root}/relay/asked"
    note(asked)
    if runs(f"{journal.root}/relay/lock"):
        note(asked, NOTED)
    else:
        start(journal.root)


def _is_python(program: str) -> bool:
    """Say whether a program is an interpreter, and no other one that has it inside."""
    return program.rpartition("/")[2].startswith(("python", "pypy")) and not hasattr(sys, "frozen")


def note(path: str, ago: float = 0.0) -> None:
    """Set the time of the note that a relay was asked for to so many seconds ago. Raises OSError."""
    when = time.time() - ago
    try:
        posix.utime(path, (when, when))
    except FileNotFoundError:
        mkdirs(path.rpartition("/")[0], levels=1)
        posix.close(open_regular(path, posix.O_WRONLY | posix.O_CREAT))
        posix.utime(path, (when, when))


def runs(lock: str) -> bool:
    """Say whether somebody holds the lock; False also where that cannot be told. Raises OSError."""
    import fcntl  # not built into every interpreter

    try:
        descriptor = open_regular(lock, posix.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without locks: the relay itself finds another way
    finally:
        posix.close(descriptor)
    return False


def start(root: str) -> None:
    """Start a relay for the journal in `root`; return when it is nobody's child any more. Raises OSError."""
    pid = posix.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", "-E", "-c", _BETWEEN, *command(root)],
        ENVIRONMENT,
        file_actions=_descriptors(),
        setsid=True,
        setsigmask=(),
        setsigdef=_signal.valid_signals() - {_signal.SIGKILL, _signal.SIGSTOP},
    )
    try:
        posix.waitpid(pid, 0)
    except ChildProcessError:
        return  # whoever we are does not want to know of children's ends


def _descriptors() -> "list[tuple[int, int] | tuple[int, int, str, int, int]]":
    """Return what leaves the three standard ones on /dev/null and no other."""
    null = [(posix.POSIX_SPAWN_OPEN, number, "/dev/null", posix.O_RDWR, 0) for number in range(3)]
    return [*null, *[(posix.POSIX_SPAWN_CLOSE, number) for number in range(3, 256) if _is_handed_on(number)]]


def _is_handed_on(descriptor: int) -> bool:
    try:
        return posix.get_inheritable(descriptor)
    except OSError:
        return False


def _confined() -> bool:
    """Say whether we are under a limit that cannot be lifted and that a relay could not live with."""
    import resource  # not built into every interpreter

    for name, least in _LEAST.items():
        number = getattr(resource, name, None)
        hard = resource.RLIM_INFINITY if number is None else resource.getrlimit(number)[1]
        if hard != resource.RLIM_INFINITY and hard < least:
            return True
    return False
