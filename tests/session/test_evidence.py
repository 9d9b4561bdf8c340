"""What is evidence of a session's life and end: its tmux server, wherever that is, its panes, its clock."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from session_kit import Sessions, gone, until

from gastown_tracing.journal.layout import create
from gastown_tracing.journal.reader import read_run
from gastown_tracing.sessions import run as runs
from gastown_tracing.sessions import terminal
from gastown_tracing.sessions.ending import close
from gastown_tracing.sessions.liveness import RESPAWN_NS, STARTING_NS, Inspector
from gastown_tracing.sessions.reaping import Found, reap

MINUTE_NS = 60 * 1_000_000_000


def look(sessions: Sessions, after_ns: int = STARTING_NS) -> list[Found]:
    """Return what somebody finds who looks that much later, and in another environment."""
    env = {name: value for name, value in sessions.env.items() if name != "TMUX_TMPDIR"}
    return reap(sessions.journal, env, Inspector(env, now_ns=time.time_ns() + after_ns))


def interrupt_start(sessions: Sessions, run_id: str) -> None:
    """Leave what a start leaves whose process died right after the spawn."""
    directory = Path(sessions.journal.run_dir(run_id))
    for name in ("pane.json", "traces.jsonl", "logs.jsonl"):
        (directory / name).unlink()
    for entry in Path(sessions.journal.panes_dir).iterdir():
        entry.unlink()


@pytest.fixture
def own_tmpdir(sessions: Sessions) -> Iterator[Path]:
    """Return the TMUX_TMPDIR of a default tmux server that is the test's own."""
    place = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    sessions.env["TMUX_TMPDIR"] = str(place)
    yield place
    for socket in place.glob("tmux-*/*"):
        subprocess.run(["tmux", "-S", socket, "kill-server"], capture_output=True, check=False)
    shutil.rmtree(place)


@pytest.mark.parametrize("server", [(), ("-L", "town-1")], ids=["default", "by name"])
def test_interrupted_start_on_a_server_without_a_path(
    sessions: Sessions, own_tmpdir: Path, server: tuple[str, ...]
) -> None:
    """Whoever looks asks the server that the session was started on, whatever its own TMUX_TMPDIR says."""
    done = sessions("start", "--role", "mayor", *server, "--", "sleep", "1000")
    assert done.returncode == 0, done.stderr
    (run_id,) = os.listdir(sessions.journal.root + "/runs")
    socket = sessions.pane(run_id)["socket"]
    assert socket.startswith(str(own_tmpdir))
    interrupt_start(sessions, run_id)
    assert [item.liveness.state for item in look(sessions)] == ["live"]
    assert sessions.pane(run_id)["socket"] == socket


@pytest.mark.parametrize(
    ("socket", "env", "expected"),
    [
        ("/run/x/s", {"TMUX": "/a,1,0", "TMUX_TMPDIR": "/"}, "/run/x/s"),
        ("", {"TMUX": "/run/y/s,12,0"}, "/run/y/s"),
        ("town", {"TMUX": "/run/y/s,12,0"}, "/tmp/tmux-{uid}/town"),
        ("", {"TMUX_TMPDIR": "/usr"}, "/usr/tmux-{uid}/default"),
        ("", {"TMUX_TMPDIR": "/no/such/place"}, "/tmp/tmux-{uid}/default"),
        ("", {}, "/tmp/tmux-{uid}/default"),
    ],
)
def test_path_of_a_socket_is_what_tmux_makes_of_it(socket: str, env: dict[str, str], expected: str) -> None:
    """A path stays, TMUX names the default server inside tmux, TMUX_TMPDIR counts where it exists."""
    wanted = expected.format(uid=os.getuid()).replace("/tmp", os.path.realpath("/tmp"), 1)
    assert terminal.socket_path(socket, env) == wanted


def test_interrupted_start_is_adopted_and_can_be_stopped(sessions: Sessions) -> None:
    """Who finds a session whose start was interrupted says where it lives, once; then it can be stopped."""
    run_id = sessions.start()
    before = sessions.pane(run_id)
    interrupt_start(sessions, run_id)
    assert [item.liveness.state for item in look(sessions) + look(sessions)] == ["live", "live"]
    assert sessions.pane(run_id) == before
    data = sessions.data(run_id)
    assert [span.name for span in data.spans] == ["session.start"]
    assert [log.event_name for log in data.logs] == ["session.start", "agent.instantiate"]
    assert len(os.listdir(sessions.journal.panes_dir)) == 2
    assert sessions("stop", "hq-mayor").stdout == "stopped hq-mayor\n"
    assert gone(before)
    assert sessions.spans(run_id)["gt.session"].attributes["reason"] == "stopped"


def test_namesake_is_not_adopted(sessions: Sessions) -> None:
    """A session of the same name with another GT_RUN is not the one whose start was interrupted."""
    run_id = sessions.start()
    interrupt_start(sessions, run_id)
    sessions.tmux("set-environment", "-t", "=hq-mayor", "GT_RUN", "00000000-0000-4000-8000-000000000001")
    assert [(item.liveness.state, item.reaped) for item in look(sessions)] == [("dead", True)]


def start_with_remains(sessions: Sessions, script: str) -> str:
    """Start a session that tmux keeps when its command has ended; it ends when `$TMUX.go` exists."""
    hold = ("set", "-s", "exit-empty", "off")
    sessions.tmux("-f", "/dev/null", "start-server", ";", "set", "-g", "remain-on-exit", "on", ";", *hold)
    wait = f"while [ ! -e {sessions.socket}.go ]; do sleep 0.02; done"
    return sessions.start(command=("sh", "-c", f"{wait}; {script}"))


def let_it_end(sessions: Sessions, run_id: str) -> None:
    Path(sessions.socket + ".go").touch()
    pane = sessions.pane(run_id)["pane"]
    known = "#{pane_dead}#{?pane_dead_time,1,0}"
    # tmux may miss that a child has ended until the next one ends, and that one, too: it is not waited for.
    nudge = ("run-shell", "-b", "true", ";", "display", "-p", "-t", pane, known)
    until(lambda: sessions.tmux(*nudge) == "11\n", "the command to end")


@pytest.mark.parametrize(
    ("script", "code", "error"),
    [("exit 0", 0, ""), ("exit 3", 3, "exit code 3"), ("kill -TERM $$", 143, "killed by SIGTERM")],
)
def test_end_that_tmux_saw_is_the_end(sessions: Sessions, script: str, code: int, error: str) -> None:
    """With remain-on-exit tmux keeps the session: it has ended, with its code, at the time tmux knows."""
    run_id = start_with_remains(sessions, script)
    assert [row["state"] for row in sessions.list()] == ["live"]
    let_it_end(sessions, run_id)
    second = int(sessions.tmux("display", "-p", "-t", sessions.pane(run_id)["pane"], "#{pane_dead_time}"))
    assert sessions.list() == []
    root = sessions.spans(run_id)["gt.session"]
    assert (root.attributes["reason"], root.attributes["exit_code"]) == ("exited", code)
    assert root.status_message == error
    assert root.start_ns < root.end_ns
    assert root.end_ns // 1_000_000_000 == second
    assert "gastown.end_time.known" not in root.attributes


def test_tmux_is_asked_again_until_it_knows_how_a_command_ended(sessions: Sessions, tmp_path: Path) -> None:
    """A pane whose terminal is closed and of which tmux knows no more yet is no evidence of how it ended."""
    stand_in = tmp_path / "tmux"
    pane = f'[ -e {tmp_path}/asked ] && echo "pane s %0 1 7  99 0 5" || echo "pane s %0 1    0 5"'
    stand_in.write_text(f'#!/bin/sh\necho 12; echo "name s 98 a"; {pane}; : > {tmp_path}/asked\n')
    stand_in.chmod(0o755)
    answer = terminal.ask("", {**sessions.env, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    ((pane,),) = answer.panes.values()
    assert (pane.dead, pane.status, pane.time) == (True, 7, 99)


def test_second_pane_keeps_the_session_alive(sessions: Sessions) -> None:
    """A session lives for as long as one of its panes does."""
    run_id = start_with_remains(sessions, "exit 0")
    other = sessions.tmux("split-window", "-d", "-P", "-F", "#{pane_pid}", "-t", "hq-mayor", "sleep 1000")
    let_it_end(sessions, run_id)
    assert [row["state"] for row in sessions.list()] == ["live"]
    subprocess.run(["kill", other.strip()], check=True)
    until(lambda: not sessions.list(), "the list to notice")
    assert sessions.spans(run_id)["gt.session"].attributes["exit_code"] == 0


def test_respawned_pane_lives(sessions: Sessions) -> None:
    """A command that was started again in its pane has not ended."""
    run_id = start_with_remains(sessions, "exit 0")
    let_it_end(sessions, run_id)
    sessions.tmux("respawn-pane", "-t", "hq-mayor", "sleep 1000")
    assert [row["state"] for row in sessions.list()] == ["live"]
    assert "gt.session" not in sessions.spans(run_id)


def test_hook_has_time_to_start_the_command_again(sessions: Sessions) -> None:
    """While a pane-died hook may still start it again nobody knows; later the end counts."""
    run_id = start_with_remains(sessions, "exit 0")
    sessions.tmux("set-hook", "-t", "hq-mayor", "pane-died", "run-shell 'sleep 3; tmux respawn-pane'")
    let_it_end(sessions, run_id)
    (row,) = sessions.list()
    assert (row["state"], "hook" in row["why"]) == ("unknown", True)
    assert [item.reaped for item in look(sessions, RESPAWN_NS)] == [True]


def test_stop_takes_away_what_tmux_keeps(sessions: Sessions) -> None:
    """Stopping a session whose command has ended ends its remains in tmux: its name is free again."""
    run_id = start_with_remains(sessions, "exit 0")
    let_it_end(sessions, run_id)
    assert sessions("stop", "hq-mayor").stdout == "hq-mayor had ended already\n"
    assert sessions.tmux("list-sessions") == ""
    assert sessions.spans(run_id)["gt.session"].attributes["reason"] == "exited"


@pytest.mark.parametrize("step_ns", [-60 * MINUTE_NS, 60 * MINUTE_NS], ids=["back", "forward"])
def test_no_duration_follows_a_clock_that_was_set(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, step_ns: int
) -> None:
    """A wall clock that is set while a session runs changes none of its durations: a minute is a minute."""
    boot, wall = runs._boottime_ns(), time.time_ns()
    handle = runs.create_run(create(sessions.journal.root), role="mayor", env={}, work_dir="/")
    monkeypatch.setattr(runs, "_boottime_ns", lambda: boot + MINUTE_NS)
    monkeypatch.setattr(runs.time, "time_ns", lambda: wall + step_ns)
    runs.record_start(handle)
    close(handle.journal, handle.trace_id, reason="done")
    data = read_run(handle.journal, handle.trace_id)
    spans = {span.name: span for span in data.spans}
    assert sorted(spans) == ["gt.session", "session.start", "session.stop"]
    for name in ("gt.session", "session.start"):
        assert 0.9 * MINUTE_NS < (spans[name].end_ns or 0) - spans[name].start_ns <= MINUTE_NS
    assert all((span.end_ns or 0) >= span.start_ns for span in data.spans)
