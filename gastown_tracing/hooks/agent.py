"""The agent program that has started this process: its id, its command line, its own environment.

Claude Code keeps every OTEL_ variable from what it starts, the one that switches telemetry off included, so
that is read where it stands. Linux tells; elsewhere nothing is known.
"""

import posix

from gastown_tracing.journal.layout import read_text

#: What stands between an agent program and the commands of its hooks.
SHELLS = ("sh", "bash", "dash", "ash", "ksh", "zsh", "busybox")
#: How many of them are passed.
DEEPEST = 6


class Agent:
    """A process: `pid`, `words` of its command line, its environment `env`; 0 and empty where not known."""

    __slots__ = ("env", "pid", "words")

    def __init__(self, pid: int = 0) -> None:
        self.pid = pid
        self.words = _fields(pid, "cmdline")
        pairs = [field.partition("=") for field in _fields(pid, "environ")]
        self.env = {name: value for name, _, value in pairs}


def above() -> Agent:
    """Return the nearest process above this one that is no shell; a script's shell is one."""
    pid = posix.getppid()
    for _ in range(DEEPEST):
        stat = read_text(f"/proc/{pid}/stat") if pid > 1 else None
        fields = (stat or "").rpartition(")")[2].split()
        if len(fields) < 2:
            break
        try:
            program = posix.readlink(f"/proc/{pid}/exe")
        except OSError:  # another user's
            break
        if program.rpartition("/")[2] not in SHELLS:
            return Agent(pid)
        pid = int(fields[1])
    return Agent()


def _fields(pid: int, name: str) -> "list[str]":
    return (read_text(f"/proc/{pid}/{name}") or "").split("\0")[:-1] if pid else []
