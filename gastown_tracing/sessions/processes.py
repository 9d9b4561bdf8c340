"""Which process is meant: ids are reused, so it is its id, start time, boot and namespace.

A shim asks, so only what every interpreter has built in is used.
"""

import posix
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LINUX = sys.platform == "linux"

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_OWN_NAMESPACE = "/proc/self/ns/pid"


def boot_id() -> str:
    """Return what names this boot of this machine, or `""`."""
    if LINUX:
        return _read(_BOOT_ID).strip()
    import psutil  # macOS only: Linux does without the 15 ms

    return str(int(psutil.boot_time()))


def pid_namespace() -> str:
    """Return what names the namespace that our process ids belong to, or `""` (no such thing on macOS)."""
    try:
        return posix.readlink(_OWN_NAMESPACE)
    except OSError:
        return ""


def host() -> str:
    """Return this machine's name."""
    return posix.uname().nodename


def start_time(pid: int) -> str:
    """Return when a process started, in whatever unit the system counts, or `""` when there is none to see.

    On Linux it is field 22 of proc_pid_stat(5), clock ticks since the boot.
    """
    return _look(pid)[1]


def age(pid: int) -> float | None:
    """Return the seconds for which a process has been running, None when that is not to be seen."""
    started = start_time(pid)
    if not started:
        return None
    if LINUX:
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(started) / posix.sysconf("SC_CLK_TCK")
    return time.time() - float(started)


def environment(pid: int) -> dict[str, str]:
    """Return the environment that a process began with, empty when it is not to be seen."""
    if not LINUX:
        import psutil  # macOS only

        try:
            return dict(psutil.Process(pid).environ())
        except (psutil.Error, OSError):
            return {}
    pairs = [entry.partition("=") for entry in _read(f"/proc/{pid}/environ").split("\0")]
    return {name: value for name, equals, value in reversed(pairs) if equals and name}


def state(pid: int, started: str) -> str:
    """Return `live`, `gone` or `unknown` for the process that had this id and start time.

    `unknown` is a process of this id whose start time this user may not see (`hidepid`).
    """
    ended, now = _look(pid)
    if now:
        return "live" if now == started and not ended else "gone"
    try:
        posix.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except OSError:
        return "unknown"
    return "unknown" if started else "gone"


def _look(pid: int) -> tuple[bool, str]:
    """Return (has ended and waits to be reaped, start time); the time is empty when nothing is to be seen."""
    if LINUX:
        fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        return (fields[0] in "ZX", fields[19]) if len(fields) > 19 else (False, "")
    import psutil  # macOS only

    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE, repr(process.create_time())
    except psutil.Error:
        return False, ""


def describe(pid: int) -> dict[str, str]:
    """Return what pane.json keeps of a process that stands for a session without tmux."""
    return {
        "pid": str(pid),
        "pid_start": start_time(pid),
        "boot_id": boot_id(),
        "pid_namespace": pid_namespace(),
    }


def describe_pane(found: "Mapping[str, str]") -> dict[str, str]:
    """Return what pane.json holds of a pane, given what tmux says: its server, session, id and process."""
    return {
        "socket": found["socket"],
        "server_pid": found["server_pid"],
        "server_start": start_time(int(found["server_pid"])),
        "session": found["session"],
        "session_id": found["session_id"],
        "pane": found["pane"],
        "pane_pid": found["pane_pid"],
        "pane_start": start_time(int(found["pane_pid"])),
        "boot_id": boot_id(),
        "pid_namespace": pid_namespace(),
    }


def _read(path: str) -> str:
    chunks = []
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            while chunk := posix.read(descriptor, 65536):
                chunks.append(chunk)
        finally:
            posix.close(descriptor)
    except OSError:
        return ""
    return b"".join(chunks).decode("utf-8", "surrogateescape")
