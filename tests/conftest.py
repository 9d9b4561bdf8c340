"""What every test stands on: a clean environment, a journal of its own, a tmux server of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# No test measures time: a machine that is busy fails none.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

#: What the machine itself may have set and no test may see.
LEAKING_PREFIXES = (
    *("GT_", "OTEL_", "BD_", "CLAUDE", "TMUX", "TRACE", "BAGGAGE", "GIT_", "XDG_"),
    *("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"),
)


# Started in the background, or by nohup, the run itself ignores these, and every process of every test would.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


#: No relay starts by itself in a test that is not about that.
NO_RELAY = {"GT_OTEL_RELAY": "false"}


def clean_environ() -> dict[str, str]:
    """Return a copy of the environment without anything that telemetry, tmux or Gas Town would read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LEAKING_PREFIXES)}
    return {**kept, **NO_RELAY}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in list(os.environ):
        if name.startswith(LEAKING_PREFIXES):
            monkeypatch.delenv(name)
    for name, value in NO_RELAY.items():
        monkeypatch.setenv(name, value)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMUX_TMPDIR", str(home))


@pytest.fixture
def journal_root(tmp_path: Path) -> Path:
    """Return the path of a journal that does not exist yet."""
    return tmp_path / "journal"


@pytest.fixture
def env(journal_root: Path) -> dict[str, str]:
    """Return an environment for child processes: clean, with a journal and tmux servers of the test's own."""
    own = {"GT_OTEL_JOURNAL": str(journal_root), "TMUX_TMPDIR": os.environ["TMUX_TMPDIR"]}
    return {**clean_environ(), **own}


@pytest.fixture
def gt_trace(env: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the real `gt-trace` and returns what it said."""

    def run(*args: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
        options: dict[str, object] = {
            "env": env,
            "capture_output": True,
            "text": True,
            "timeout": 60,
            "check": False,
            **kwargs,
        }
        words = [sys.executable, "-m", "gastown_tracing.cli", *args]
        return subprocess.run(words, **options)  # type: ignore[call-overload,no-any-return]  # noqa: PLW1510  # above

    return run


@pytest.fixture
def tmux_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the path of a private tmux server's socket; the server is ended after the test."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    socket = str(tmp_path_factory.mktemp("tmux") / "s")
    yield socket
    subprocess.run(
        ["tmux", "-S", socket, "kill-server"], env=clean_environ(), capture_output=True, check=False
    )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 512 KiB; it is gone with the process that holds it."""
    if os.geteuid() or shutil.which("unshare") is None:
        pytest.skip("only root can mount a tmpfs, with unshare")
    script = f'mount -t tmpfs -o size=512k none "{tmp_path}" && echo ready && exec sleep 1000'
    with subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE, text=True) as holder:
        try:
            if not holder.stdout or holder.stdout.readline() != "ready\n":
                pytest.skip("a tmpfs cannot be mounted here")
            yield Path(f"/proc/{holder.pid}/root{tmp_path}")
        finally:
            holder.kill()
