"""Real processes for tests: waiting for what they do, and small Python programs to run as commands."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

DEADLINE = 30.0
CHILDREN = Path(__file__).parent / "children"


def wait_until(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    """Wait until a condition holds; fail with `what` was waited for."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}")
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


class Child:
    """A Python program of `tests/children` under test, spoken to by lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def expect(self, line: str) -> None:
        """Read one line, which must be this one."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline().rstrip("\n") == line

    def send(self, line: str) -> None:
        """Write one line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def rest(self) -> list[str]:
        """Return what else it says until it ends."""
        assert self._process.stdout is not None
        return self._process.stdout.read().splitlines()

    def wait(self) -> int:
        """Return its exit code."""
        return self._process.wait(DEADLINE)


@contextlib.contextmanager
def python_child(words: list[str], name: str, env: dict[str, str]) -> Iterator[Child]:
    """Run `tests/children/NAME.py` behind these words; it is killed if it is still there in the end."""
    argv = [*words, sys.executable, str(CHILDREN / f"{name}.py")]
    with subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Child(process)
        finally:
            with contextlib.suppress(OSError):
                os.kill(process.pid, 9)
