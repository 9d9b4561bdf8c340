"""A small town in a temporary directory: a mayor, a polecat, their tools, and a tmux server of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Self

from gastown_tracing.sessions import terminal
from gastown_tracing.sessions.start import OF_ONE_SESSION
from gastown_tracing.shims import launcher
from propagation import environ

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

#: Seconds that the whole town has, with the stand-in for bd and with a real one.
DEADLINE, DEADLINE_OF_BD = 13, 60

#: Seconds that one command of ours has.
COMMAND_SECONDS = 8

#: Seconds that a bd on PATH has to show that it works here.
BD_SECONDS = 4

#: Bytes that a socket's path may have on every system.
SOCKET_LIMIT = 100

REAL_BD = "the bd on PATH"

_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGES = os.path.dirname(os.path.dirname(_HERE))

#: What of the operator's environment would make the town's processes talk to the operator's backends or
#: beads.
_FOREIGN = ("GT_OTEL_", "BD_", "BEADS_", "TMUX", "OTEL_")

_SPAWN = """\
#!/bin/sh
# Starts a session: in tmux, or as a plain process in the background.
if [ -n "$DEMO_SOCKET" ]; then exec gt-trace session start --socket "$DEMO_SOCKET" "$@"; fi
gt-trace session start --here "$@" </dev/null >/dev/null 2>>"$GT_ROOT/spawn.log" &
"""

_FIRST = ("--role", "mayor", "--env", "BD_ACTOR=mayor", "--work-dir")


class DemoFailed(Exception):  # noqa: N818  # it says what is the case
    """The town did not get to the end; the text is one line for the user."""


class Town:
    """A town that lives as long as the `with` block; afterwards nothing of it is left.

    `root` is its directory, `socket` its tmux server's, "" where it does without tmux. `bd` says in words
    whether the bd on PATH answers, or the stand-in.
    """

    def __init__(self, journal: str, env: Mapping[str, str], *, keep: bool = False) -> None:
        self.root = self.socket = self.bd = ""
        self.env: dict[str, str] = {}
        self._sockets = ""
        self._journal, self._given, self._keep = journal, env, keep
        self._plain: subprocess.Popen[str] | None = None
        self._over = False
        self._begun = time.monotonic()

    def _choose_socket(self) -> str:
        self._sockets = self.root
        if len(self.root) > SOCKET_LIMIT:
            self._sockets = tempfile.mkdtemp(prefix="gt-demo-", dir="/tmp")
        return self._sockets + "/tmux"

    def _environment(self, env: Mapping[str, str]) -> dict[str, str]:
        plain = environ.without_context(env)
        kept = {
            name: value
            for name, value in plain.items()
            if name not in OF_ONE_SESSION and not name.startswith(_FOREIGN)
        }
        path = f"{self.root}/bin:{env.get('PATH', os.defpath)}"
        ours = {"GT_ROOT": self.root, "GT_OTEL_JOURNAL": self._journal, "DEMO_SOCKET": self.socket}
        ours["GT_OTEL_RELAY"] = "false"  # what the demo leaves behind are files, no process
        return {**kept, **ours, "PATH": path}

    def __enter__(self) -> Self:
        """Build the town: its directories, its tools, its beads."""
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the town's processes and remove its directories; a town that failed stays, to be looked at."""
        self._end()
        if not self._keep and not isinstance(error, DemoFailed):
            self._remove()

    def _remove(self) -> None:
        for place in {self.root, self._sockets} - {""}:
            shutil.rmtree(place, ignore_errors=True)

    def _build(self) -> None:
        self.root = os.path.realpath(tempfile.mkdtemp(prefix="gt-demo-"))
        self.socket = self._choose_socket() if shutil.which("tmux", path=self._given.get("PATH")) else ""
        self.env = self._environment(self._given)
        for directory in ("mayor", "demo", "bin"):
            os.mkdir(f"{self.root}/{directory}")
        with open(self.root + "/mayor/town.json", "w", encoding="utf-8") as file:
            json.dump({"type": "town", "version": 1, "name": "demo"}, file)
        launcher.write(self.root + "/bin/.exec")
        loading = (
            f"import sys; sys.path.insert(0, {_PACKAGES!r}); from gastown_tracing.cli import main; main()"
        )
        python = shlex.join([sys.executable, "-c", loading])
        fast = shlex.quote(self.root + "/bin/.exec")
        self._tool(
            "gt-trace", f'#!/bin/sh\n[ "$1" = exec ] && shift && exec {fast} "$@"\nexec {python} "$@"\n'
        )
        self._tool("demo-spawn", _SPAWN)
        standin = shlex.join([os.path.realpath(sys.executable), "-I", "-S", "-E", _HERE + "/standin.py"])
        self._tool("gt", f'#!/bin/sh\nexec {standin} gt "$@"\n')
        self.bd = self._choose_bd()
        if self.bd != REAL_BD:
            self._tool("bd", f'#!/bin/sh\nexec {standin} bd "$@"\n')

    def _tool(self, name: str, text: str) -> None:
        path = f"{self.root}/bin/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o700)

    def _choose_bd(self) -> str:
        """Return, in words, whether the bd on PATH or the stand-in keeps the town's beads."""
        if shutil.which("bd", path=self.env["PATH"]) is None:
            return "a stand-in: bd is not on PATH"
        make = "bd init --non-interactive --quiet --prefix de --skip-hooks --skip-agents"
        works = self._works(make) and self._works("bd create town -t task -p 3 --json")
        return REAL_BD if works else "a stand-in: the bd on PATH cannot keep beads here"

    def _works(self, command: str) -> bool:
        try:
            return not subprocess.run(
                command.split(),
                cwd=self.root + "/demo",
                env=self.env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=BD_SECONDS,
                check=False,
            ).returncode
        except (OSError, subprocess.TimeoutExpired):
            return False

    def run(self) -> None:
        """Let the mayor begin, and return when everything is done. Raises DemoFailed."""
        mayor = [*_FIRST, self.root + "/demo", "--", "sh", _HERE + "/mayor.sh"]
        if self.socket:
            self._begin_in_tmux(mayor)
        else:
            self._begin_plainly(mayor)
        seconds = DEADLINE_OF_BD if self.bd == REAL_BD else DEADLINE
        while not os.path.exists(self.root + "/over"):
            if time.monotonic() > self._begun + seconds:
                raise DemoFailed(
                    f"the town was not done within {seconds} s, with {self.bd}; its logs: {self.root}/*.log"
                )
            time.sleep(0.02)
        self._stop("hq-mayor")
        self._over = True

    def _begin_in_tmux(self, mayor: list[str]) -> None:
        # Without the operator's tmux.conf, which may end sessions that nobody looks at.
        start = [*terminal.server(self.socket), "-f", "/dev/null", "start-server", ";"]
        terminal.run([*start, "set-option", "-s", "exit-empty", "off"], self.env)
        said = self._command("demo-spawn", *mayor)
        # Now the server ends with its last session, should nobody be left to end it.
        terminal.run([*terminal.server(self.socket), "set-option", "-s", "exit-empty", "on"], self.env)
        if said.returncode:
            raise DemoFailed(f"the mayor's session did not start: {said.stderr.strip()}")

    def _begin_plainly(self, mayor: list[str]) -> None:
        """Start the mayor's session as the leader of a process group that all the town's processes are in."""
        with open(self.root + "/spawn.log", "a", encoding="utf-8") as log:
            self._plain = subprocess.Popen(
                [self.root + "/bin/gt-trace", "session", "start", "--here", *mayor],
                env=self.env,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def _stop(self, session: str) -> None:
        self._command("gt-trace", "session", "stop", session, "--reason", "the demo is over")

    def _command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of the town's tools. Never raises for what it does: that is its exit code and stderr."""
        command = [f"{self.root}/bin/{words[0]}", *words[1:]]
        try:
            return subprocess.run(
                command,
                env=self.env,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", f"not done within {COMMAND_SECONDS} s")

    def _end(self) -> None:
        """End what still runs: the sessions of a town that failed, then whatever there is."""
        for session in () if self._over else ("gt-demo-Toast", "hq-mayor"):
            self._stop(session)
        if self.socket:
            terminal.run([*terminal.server(self.socket), "kill-server"], self.env)
        if self._plain:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: only zombies are left
                # Until it is waited for nobody else has the leader's id, and so the group's.
                os.killpg(self._plain.pid, signal.SIGKILL)
            self._plain.wait()
