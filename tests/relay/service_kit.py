"""What the tests of the relay's life share: a journal, real commands in it, and the relay that they start."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from gastown_tracing.journal.layout import Journal
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.lock import holder
from tests.conftest import NO_RELAY
from tests.processes import is_alive, wait_until

#: The command line as users have it.
GT_TRACE = [sys.executable, "-m", "gastown_tracing.cli"]
LONG_AGO = (1, 1)


class Town:
    """A journal in which relays start by themselves; `env` is what its commands run in."""

    def __init__(self, root: Path, env: dict[str, str]) -> None:
        self.journal = Journal(str(root))
        self.root = root
        self.files = Files(self.journal)
        self.env = {name: value for name, value in env.items() if name not in NO_RELAY}
        self._seen: set[int] = set()

    def __call__(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `gt-trace WORDS` and return what it said."""
        return self.run([*GT_TRACE, *words], **options)

    def run(self, argv: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, in the town's environment."""
        options = {"env": self.env, "capture_output": True, "text": True, "timeout": 60, **options}
        return subprocess.run(argv, check=False, **options)  # type: ignore[no-any-return] # text is set

    def make(self, **settings: str) -> None:
        """Make the journal without a relay, with these settings in its config.json."""
        done = self("exec", "--", "true", env={**self.env, **NO_RELAY})
        assert done.returncode == 0
        self.configure(**settings)

    def configure(self, **settings: str) -> None:
        """Write config.json, by hand as an operator does: what the relay put there stays."""
        known = json.loads((self.root / "config.json").read_text())
        (self.root / "config.json").write_text(json.dumps({**known, **settings}))

    def pid(self) -> int:
        """Return the process of the relay, 0 while there is none."""
        try:
            found = holder(self.files.lock)
        except OSError:  # a test has put something else there
            found = None
        if found and found.pid:
            self._seen.add(found.pid)
        return found.pid if found else 0

    def running(self) -> int:
        """Wait for a relay that says that it runs; return its process."""

        def is_there() -> bool:
            pid = self.pid()
            said = self.status()
            return bool(pid) and said.get("pid") == pid and said.get("state") == "running"

        wait_until(is_there, "a relay")
        return self.pid()

    def status(self) -> dict[str, Any]:
        """Return what status.json says, {} while there is none."""
        try:
            return json.loads(Path(self.files.status).read_text())  # type: ignore[no-any-return]
        except (OSError, ValueError):
            return {}

    def log(self) -> str:
        """Return the relay's log."""
        with contextlib.suppress(OSError):
            return Path(self.files.log).read_text()
        return ""

    def outdate(self) -> None:
        """Let a minute have passed since a relay was asked for."""
        if Path(self.files.asked).exists():
            os.utime(self.files.asked, LONG_AGO)

    def asked(self) -> bool:
        """Say whether a relay was asked for in the last minute."""
        return os.path.exists(self.files.asked) and os.stat(self.files.asked).st_mtime > LONG_AGO[1]

    def none_starts(self) -> None:
        """Assert that nobody has started a relay, by what everybody does before."""
        assert not self.asked()
        assert self.pid() == 0

    def kill(self) -> None:
        """Kill the relay with -9."""
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), "the relay to be gone")

    def end(self) -> None:
        """End every relay that there was."""
        for _ in range(2):  # one may have been on its way
            for pid in {self.pid(), *self._seen} - {0}:
                with contextlib.suppress(ProcessLookupError):
                    if _is_relay(pid):
                        os.kill(pid, signal.SIGKILL)
                        wait_until(lambda pid=pid: not is_alive(pid), "the relay to be gone")  # type: ignore[misc]


def _is_relay(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"gastown_tracing.relay" in words or b"relay\0run" in words


def fields(pid: int) -> dict[str, str]:
    """Return /proc/PID/status by name."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
