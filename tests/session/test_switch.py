"""A journal that the operator switched off: sessions are listed and ended as ever, and nothing is written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from session_kit import Sessions, gone, until

from gastown_tracing.sessions.ending import close


def remove_the_switch(sessions: Sessions) -> None:
    os.unlink(sessions.journal.on_path)


def disable_the_sdk(sessions: Sessions) -> None:
    sessions.env["OTEL_SDK_DISABLED"] = "true"


OFF = pytest.mark.parametrize("switch_off", [remove_the_switch, disable_the_sdk])


def content(sessions: Sessions) -> dict[str, tuple[bytes, int]]:
    """Return what every file of the journal holds, and when it was written."""
    files = [path for path in Path(sessions.journal.root).rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def marked_call(sessions: Sessions, run_id: str) -> None:
    """Leave the marker of a call whose process died."""
    call = [sys.executable, "-m", "gastown_tracing.cli", "exec", "--name", "call", "--", "sleep", "1000"]
    markers = Path(sessions.journal.run_dir(run_id), "open")
    with subprocess.Popen(call, env={**sessions.env, "GT_RUN": run_id}) as process:
        until(lambda: markers.is_dir() and list(markers.glob("[0-9a-f]*")), "the marker")
        process.send_signal(signal.SIGKILL)


@OFF
def test_list_tells_and_writes_nothing(sessions: Sessions, switch_off: Callable[[Sessions], None]) -> None:
    """What lives is listed and what died is not; no run is closed, no marker swept, no sighting noted."""
    dead, live = sessions.start("--session", "dead"), sessions.start()
    marked_call(sessions, live)
    pane = sessions.pane(dead)
    sessions.tmux("kill-session", "-t", "=dead")
    until(lambda: gone(pane), "the agent to end")
    switch_off(sessions)
    before = content(sessions)
    assert [(row["run_id"], row["state"]) for row in sessions.list()] == [(live, "live")]
    assert content(sessions) == before


@OFF
def test_stop_ends_the_session_and_says_that_nobody_records_it(
    sessions: Sessions, switch_off: Callable[[Sessions], None]
) -> None:
    """The session ends, in tmux too; a line on stderr says that it is not recorded, and why."""
    pane = sessions.pane(sessions.start())
    switch_off(sessions)
    before = content(sessions)
    done = sessions("stop", "hq-mayor", env=sessions.env)
    assert (done.returncode, done.stdout) == (0, "stopped hq-mayor\n")
    assert done.stderr.startswith("gt-trace: not recorded: ")
    assert len(done.stderr.splitlines()) == 1
    assert gone(pane)
    assert content(sessions) == before
    assert sessions("stop", "hq-mayor", env=sessions.env).stdout == "hq-mayor had ended already\n"


def test_foreground_session_that_is_switched_off_meanwhile_is_not_closed(
    sessions: Sessions, tmp_path: Path
) -> None:
    """The end of a command that was switched off while it ran is not recorded; its exit code counts."""
    ready, over = tmp_path / "ready", tmp_path / "over"
    os.mkfifo(over)
    here = ("start", "--here", "--role", "mayor", "--", "sh", "-c", f": > {ready}; read x < {over}; exit 7")
    with subprocess.Popen(
        [sys.executable, "-m", "gastown_tracing.cli", "session", *here], env=sessions.env
    ) as process:
        until(lambda: ready.exists() and list(Path(sessions.journal.root).glob("runs/*/traces.jsonl")), "it")
        remove_the_switch(sessions)
        before = content(sessions)
        over.write_text("x\n")
        assert process.wait(20) == 7
    assert content(sessions) == before


def test_closing_asks_the_switch(sessions: Sessions) -> None:
    """Whoever closes a run, in whatever way, leaves one alone whose journal is switched off."""
    run_id = sessions.start()
    remove_the_switch(sessions)
    assert not close(sessions.journal, run_id, reason="done")
    assert not os.path.exists(sessions.journal.run_dir(run_id) + "/close.json")
