"""What the tests of sessions share: the real command line, a private tmux server, and patience."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gastown_tracing.journal import reader
from gastown_tracing.journal.layout import Journal
from gastown_tracing.sessions import processes

Done = subprocess.CompletedProcess[str]


def until(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Return the first true answer of `condition`; fail when none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def gone(pane: dict[str, str]) -> bool:
    """Return whether the process of a pane.json has ended."""
    return processes.state(int(pane["pane_pid"]), pane["pane_start"]) == "gone"


def ignores_hangup(pid: str) -> bool:
    """Return whether a process ignores SIGHUP, signal 1 of the mask in proc_pid_status(5)."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(status["SigIgn"], 16) & 1)


def fill(disk: Path) -> None:
    """Fill a small file system to the last byte; removing `filler` makes room again."""
    with open(disk / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 512):
            pass


class Sessions:
    """What a test does with sessions; `env` is the operator's environment."""

    def __init__(self, run: Callable[..., Done], env: dict[str, str], socket: str, journal: Journal) -> None:
        self.command = run
        self.env = env
        self.socket = socket
        self.journal = journal

    def __call__(self, *args: str, **kwargs: Any) -> Done:
        """Run `gt-trace session …`."""
        return self.command("session", *args, **kwargs)

    def start(self, *args: str, command: tuple[str, ...] = ("sleep", "1000"), **kwargs: Any) -> str:
        """Start a session, a mayor's unless the arguments say otherwise; return its run id."""
        who = () if "--role" in args else ("--role", "mayor")
        done = self("start", *who, *args, "--socket", self.socket, "--json", "--", *command, **kwargs)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["run_id"])

    def list(self, *args: str) -> list[dict[str, Any]]:
        """Return what `session list` says."""
        done = self("list", "--json", *args)
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

    def tmux(self, *args: str, check: bool = True) -> str:
        """Run tmux on the private server and return what it prints."""
        command = ["tmux", "-S", self.socket, *args]
        return subprocess.run(command, capture_output=True, text=True, check=check, env=self.env).stdout

    def data(self, run_id: str) -> reader.RunData:
        """Return everything that the journal holds of a run."""
        return reader.read_run(self.journal, run_id)

    def spans(self, run_id: str) -> dict[str, reader.ReadSpan]:
        """Return the run's spans by name; each name must be there once."""
        spans = self.data(run_id).spans
        assert len({span.name for span in spans}) == len(spans), [span.name for span in spans]
        return {span.name: span for span in spans}

    def pane(self, run_id: str) -> dict[str, str]:
        """Return the run's pane.json."""
        return dict(json.loads(Path(self.journal.run_dir(run_id), "pane.json").read_text()))
