"""Sessions whose journal's disk is full: they start and end all the same, and what is missing is said."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from session_kit import Sessions, fill, gone, until

from gastown_tracing.journal.layout import Journal

FULL = "No space left on device"


@pytest.fixture
def on_disk(sessions: Sessions, disk: Path) -> Sessions:
    """Return sessions whose journal is on the small file system."""
    root = str(disk / "journal")
    sessions.env["GT_OTEL_JOURNAL"] = root
    return Sessions(sessions.command, sessions.env, sessions.socket, Journal(root))


def test_list_tells_what_it_cannot_write(on_disk: Sessions, disk: Path) -> None:
    """One warning, exit code 0, the dead one shown as dead; with room again it is closed."""
    run_id = on_disk.start()
    pane = on_disk.pane(run_id)
    os.kill(int(pane["pane_pid"]), signal.SIGKILL)
    until(lambda: gone(pane) and not on_disk.tmux("list-sessions", check=False), "the session to end")
    fill(disk)
    said = on_disk("list", "--all", "--json")
    assert [row["state"] for row in json.loads(said.stdout)] == ["dead"]
    assert (said.returncode, len(said.stderr.splitlines())) == (0, 1), said.stderr
    assert FULL in said.stderr
    assert on_disk.journal.root in said.stderr
    (disk / "filler").unlink()
    assert "closed hq-mayor" in on_disk("list").stderr


def test_stop_tells_what_it_cannot_write(on_disk: Sessions, disk: Path) -> None:
    """The session is ended, and one line says that its end is not recorded, and where."""
    run_id = on_disk.start()
    pane = on_disk.pane(run_id)
    fill(disk)
    done = on_disk("stop", "hq-mayor")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done
    for word in ("has ended", "not be recorded", on_disk.journal.root, FULL):
        assert word in done.stderr
    assert gone(pane)
    assert not Path(on_disk.journal.run_dir(run_id), "close.json").exists()


def test_start_that_cannot_make_a_run_leaves_nothing(on_disk: Sessions, disk: Path) -> None:
    """The session runs without a trace, one line says why, and no half of a run is left."""
    on_disk.start("--session", "first")
    before = sorted(Path(on_disk.journal.root).rglob("*"))
    fill(disk)
    done = on_disk("start", "--role", "mayor", "--socket", on_disk.socket, "--", "sleep", "1000")
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1), done.stderr
    assert FULL in done.stderr
    assert sorted(Path(on_disk.journal.root).rglob("*")) == before
