"""At a terminal: keys, job control, window size and hang-ups, each compared with the command alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import CHILDREN, DEADLINE, is_alive, wait_until

Env = dict[str, str]


class Terminal:
    """A program that leads a session of its own on a pseudo-terminal of 40 rows and 120 columns."""

    def __init__(self, argv: list[str], env: Env) -> None:
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, env)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.seen = ""

    def expect(self, pattern: str) -> re.Match[str]:
        """Read until a pattern shows after what has been expected so far."""
        end = time.monotonic() + DEADLINE
        while not (found := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self.descriptor], [], [], max(0.0, end - time.monotonic()))
            data = b""
            if ready:
                with contextlib.suppress(OSError):  # EIO: the other side is gone
                    data = os.read(self.descriptor, 65536)
            if not data:
                raise AssertionError(f"no {pattern!r} in {self.seen!r}")
            self.seen += data.decode()
        self.seen = self.seen[found.end() :]
        return found

    def type(self, keys: str) -> None:
        """Type keys."""
        os.write(self.descriptor, keys.encode())

    def wait(self) -> int:
        """Return the program's exit code, negative for a signal."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        raise AssertionError("still running")


@contextlib.contextmanager
def terminal(argv: list[str], env: Env) -> Iterator[Terminal]:
    opened = Terminal(argv, env)
    try:
        yield opened
    finally:
        if opened.pid:
            with contextlib.suppress(OSError):
                os.kill(opened.pid, signal.SIGKILL)
            os.waitpid(opened.pid, 0)
        os.close(opened.descriptor)


SIGNALS = [sys.executable, str(CHILDREN / "signals.py")]


@pytest.fixture
def shell_env(env: Env) -> Env:
    """Return an environment for an interactive shell with a prompt that can be waited for."""
    return {**env, "PS1": "PROMPT> ", "HISTFILE": "", "TERM": "dumb", "HOME": "/"}


SHELL = ["bash", "--norc", "--noprofile", "-i"]


def run_in_shell(opened: Terminal, runner: list[str], command: str) -> None:
    """Type a command behind our words at the shell's prompt, and wait until it says that it is up."""
    opened.expect("PROMPT> ")
    opened.type(" ".join(f"'{word}'" for word in runner) + f" {command}\n")
    opened.expect("up\r\n")


def expect_code(opened: Terminal, pattern: str) -> None:
    """Wait for the prompt, and for the exit code that the shell saw."""
    opened.expect("PROMPT> ")
    opened.type("echo code=$?\n")
    opened.expect(f"code={pattern}")


def test_a_terminal_stays_a_terminal(runner: list[str], env: Env) -> None:
    """The command sees a terminal on all three streams, of the size it has."""
    script = (
        "import os; print(*map(os.isatty, range(3)), *os.get_terminal_size(), os.tcgetpgrp(0) - os.getpgrp())"
    )
    with terminal([*runner, sys.executable, "-c", script], env) as opened:
        opened.expect("True True True 120 40 0")
        assert opened.wait() == 0


@pytest.mark.parametrize(("key", "name"), [("\x03", "SIGINT"), ("\x1c", "SIGQUIT")])
def test_a_key_arrives_once(key: str, name: str, runner: list[str], env: Env) -> None:
    """Ctrl-C and Ctrl-backslash reach the command from the terminal itself; we do not send them again."""
    with terminal([*runner, *SIGNALS], env) as opened:
        opened.expect("ready")
        opened.type(key)
        opened.expect(name)
        opened.type("stop\n")
        assert opened.wait() == 0
        assert name not in opened.seen


def test_ctrl_c_ends_a_command_as_without_us(runner: list[str], shell_env: Env) -> None:
    """The shell sees 130 and gives its prompt back."""
    with terminal(SHELL, shell_env) as opened:
        run_in_shell(opened, runner, "sh -c 'echo up; exec sleep 300'")
        opened.type("\x03")
        expect_code(opened, "130")


def test_job_control(runner: list[str], shell_env: Env) -> None:
    """Ctrl-Z stops the job and gives the prompt back, fg goes on with it, and it ends with its own code."""
    with terminal(SHELL, shell_env) as opened:
        run_in_shell(opened, runner, "sh -c 'echo up; read x; echo got=$x; exit 7'")
        opened.type("\x1a")
        opened.expect("Stopped")
        opened.expect("PROMPT> ")
        opened.type("fg\n")
        opened.expect("read x")
        opened.type("hello\n")
        opened.expect("got=hello")
        expect_code(opened, "7")


@pytest.mark.parametrize(
    "command", ["timeout 100 sh -c 'echo up; exec sleep 100'", "setsid -w sh -c 'echo up; exec sleep 100'"]
)
def test_ctrl_c_reaches_a_command_in_a_group_of_its_own(
    command: str, runner: list[str], shell_env: Env
) -> None:
    """The terminal tells our group only; a command that has left it gets the key from us."""
    with terminal(SHELL, shell_env) as opened:
        run_in_shell(opened, runner, command)
        opened.type("\x03")
        expect_code(opened, "1(30|24)")


def test_a_shell_that_suspends_itself(runner: list[str], shell_env: Env) -> None:
    """A command that stops itself gives the prompt back, as without us."""
    with terminal(SHELL, shell_env) as opened:
        run_in_shell(opened, runner, "bash -c 'echo up; kill -STOP $$; echo back; exit 7'")
        opened.expect("Stopped")
        opened.expect("PROMPT> ")
        opened.type("fg\n")
        opened.expect("back\r\n")
        expect_code(opened, "7")


def test_a_terminal_that_goes_away_hangs_up_the_command(runner: list[str], env: Env, tmp_path: Path) -> None:
    """Where we lead the session the kernel tells only us, and the command gets the SIGHUP all the same."""
    noted = tmp_path / "pid"
    script = f"echo $$ >{noted}; exec sleep 300"
    with terminal([*runner, "sh", "-c", script], env) as opened:
        wait_until(lambda: noted.exists() and noted.read_text().endswith("\n"), "the command runs")
        command = int(noted.read_text())
        os.close(opened.descriptor)
        opened.descriptor = os.open("/dev/null", os.O_RDONLY)
        wait_until(lambda: not is_alive(command), "the command is gone")
        assert opened.wait() == -signal.SIGHUP
