"""`gt-trace session stop`: ends the session that is meant, closes its run, says who did it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from session_kit import Sessions, gone, ignores_hangup, until

from propagation.run import root_span_id, to_uuid

KILLER = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def test_stop_closes_the_root_and_links_to_its_killer(sessions: Sessions) -> None:
    """session.stop stands in the target's run, links to the killer's span, and holds the session's
    duration.
    """
    run_id, other = sessions.start(), sessions.start("--session", "other")
    done = sessions("stop", "hq-mayor", "--reason", "shift over", env={**sessions.env, "TRACEPARENT": KILLER})
    assert (done.returncode, done.stdout) == (0, "stopped hq-mayor\n")
    assert sessions.tmux("list-sessions", "-F", "#{session_name}") == "other\n"
    spans = sessions.spans(run_id)
    root, stop = spans["gt.session"], spans["session.stop"]
    assert (root.span_id, root.parent_id, root.links) == (root_span_id(run_id), "", [])
    assert root.attributes["reason"] == stop.attributes["reason"] == "shift over"
    assert root.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert (stop.trace_id, stop.parent_id) == (run_id, root.span_id)
    assert [link[:2] for link in stop.links] == [("a" * 32, "b" * 16)]
    assert stop.attributes["duration_ms"] == (root.end_ns - root.start_ns) / 1e6
    assert root.start_ns <= spans["session.start"].end_ns <= stop.start_ns <= stop.end_ns == root.end_ns
    logs = [log for log in sessions.data(run_id).logs if log.event_name == "session.stop"]
    assert [(log.span_id, log.attributes["status"]) for log in logs] == [(stop.span_id, "ok")]
    assert [row["run_id"] for row in sessions.list()] == [other]


def test_stop_from_inside_has_no_link_to_itself(sessions: Sessions, tmp_path: Path) -> None:
    """An agent that stops its own session still closes the run, although tmux hangs up on it first."""
    script = tmp_path / "agent"
    script.write_text(f"#!/bin/sh\n{sys.executable} -m gastown_tracing.cli session stop hq-mayor\n")
    script.chmod(0o755)
    run_id = sessions.start(command=(str(script), "now"))
    until(lambda: "gt.session" in sessions.spans(run_id), "the run to be closed")
    until(lambda: "session.stop" in sessions.spans(run_id), "session.stop")
    assert sessions.spans(run_id)["session.stop"].links == []
    assert sessions.spans(run_id)["gt.session"].attributes["reason"] == "stopped"


def test_second_stop_finds_it_ended(sessions: Sessions) -> None:
    """Stopping what has ended is no error, and closes nothing twice."""
    run_id = sessions.start()
    for text, stopped in ((to_uuid(run_id), True), (run_id, False)):
        done = sessions("stop", text, "--json")
        assert json.loads(done.stdout) == {"session": "hq-mayor", "run_id": run_id, "stopped": stopped}
    assert list(sessions.spans(run_id)) == ["gt.session", "session.start", "session.stop"]


def test_stop_of_one_that_ended_by_itself(sessions: Sessions) -> None:
    """A session that is gone is closed as lost, not as stopped."""
    run_id = sessions.start()
    sessions.tmux("kill-session", "-t", "=hq-mayor")
    until(lambda: gone(sessions.pane(run_id)), "the agent to end")
    assert sessions("stop", "hq-mayor").stdout == "hq-mayor had ended already\n"
    assert sessions.spans(run_id)["gt.session"].attributes["reason"] == "lost"


def test_namesake_of_a_dead_session_lives_on(sessions: Sessions) -> None:
    """A session of the same name that somebody else started since is not ours to end: it is told who can."""
    run_id = sessions.start()
    sessions.tmux("new-session", "-d", "-s", "keeper", "sleep", "1000")
    sessions.tmux("kill-session", "-t", "=hq-mayor")
    until(lambda: gone(sessions.pane(run_id)), "the agent to end")
    sessions.tmux("new-session", "-d", "-s", "hq-mayor", "sleep", "1000")
    for _ in range(2):
        done = sessions("stop", "hq-mayor")
        assert (done.returncode, len(done.stderr.splitlines())) == (5, 1)
        assert f"run {run_id[:8]} had ended already" in done.stderr
        assert f"`tmux -S {sessions.socket} kill-session -t =hq-mayor`" in done.stderr
    assert sessions.spans(run_id)["gt.session"].attributes["reason"] == "lost"
    assert sessions.tmux("list-sessions", "-F", "#{session_name}") == "hq-mayor\nkeeper\n"


def test_session_without_a_run_is_not_ours(sessions: Sessions) -> None:
    """One whose run was purged, and one that was started with telemetry off, are in tmux all the same."""
    shutil.rmtree(sessions.journal.run_dir(sessions.start()))
    off = {**sessions.env, "OTEL_SDK_DISABLED": "true"}
    options = ("--socket", sessions.socket, "--session", "untraced", "--", "sleep", "1000")
    assert sessions("start", "--role", "mayor", *options, env=off).returncode == 0
    for name in ("hq-mayor", "untraced"):
        done = sessions("stop", name)
        assert (done.returncode, len(done.stderr.splitlines())) == (5, 1)
        assert f"`tmux -S {sessions.socket} kill-session -t ={name}`" in done.stderr
    assert sessions.tmux("list-sessions", "-F", "#{session_name}") == "hq-mayor\nuntraced\n"


def test_stop_waits_for_an_agent_that_tidies_up(sessions: Sessions, tmp_path: Path) -> None:
    """Where the agent takes its time after the hang-up, the run ends when the agent has ended."""
    done = tmp_path / "tidied"
    script = (
        f"trap 'sleep 0.5; : > {done}; exit' HUP; echo 1 > {tmp_path}/ready; while :; do sleep 0.02; done"
    )
    run_id = sessions.start(command=("sh", "-c", script))
    until((tmp_path / "ready").exists, "the agent")
    assert sessions("stop", "hq-mayor").stdout == "stopped hq-mayor\n"
    assert gone(sessions.pane(run_id))
    root = sessions.spans(run_id)["gt.session"]
    assert root.end_ns >= done.stat().st_mtime_ns
    assert "gastown.end_time.known" not in root.attributes


def test_agent_that_ignores_the_hangup_is_named(sessions: Sessions) -> None:
    """A run is not closed while its agent works: its process is named, and what ends it."""
    run_id = sessions.start(command=("sh", "-c", "trap '' HUP; exec sleep 1000"))
    pane = sessions.pane(run_id)
    pid = pane["pane_pid"]
    until(lambda: ignores_hangup(pid), "the agent to ignore the hang-up")
    for _ in range(2):
        done = sessions("stop", "hq-mayor")
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
        assert f"`kill -KILL {pid}`" in done.stderr
        assert "gt.session" not in sessions.spans(run_id)
    os.kill(int(pid), signal.SIGKILL)
    until(lambda: gone(pane), "the agent to end")
    assert "closed hq-mayor" in sessions("list").stderr


def test_foreground_that_ignores_the_end_is_named(sessions: Sessions, tmp_path: Path) -> None:
    """So in the foreground, where SIGTERM is what ends a session; the run closes when the command ends."""
    ready = tmp_path / "ready"
    script = f"trap '' TERM; : > {ready}; exec sleep 1000"
    here = ["session", "start", "--here", "--role", "mayor", "--", "sh", "-c", script]
    with subprocess.Popen([sys.executable, "-m", "gastown_tracing.cli", *here], env=sessions.env) as process:
        until(ready.exists, "the command")
        (row,) = until(lambda: [row for row in sessions.list() if row["state"] == "live"], "its run")
        done = sessions("stop", "hq-mayor")
        pid = json.loads(Path(sessions.journal.run_dir(row["run_id"]), "pane.json").read_text())["pid"]
        assert (done.returncode, f"`kill -KILL {pid}`" in done.stderr) == (1, True), done.stderr
        assert "gt.session" not in sessions.spans(row["run_id"])
        os.kill(int(pid), signal.SIGKILL)
        assert process.wait(20) == -signal.SIGKILL
    assert sessions.spans(row["run_id"])["gt.session"].attributes["reason"] == "exited"


def test_unknown_name(sessions: Sessions) -> None:
    """A name that no session has is an error of one line."""
    sessions.start()
    done = sessions("stop", "nobody")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (5, "", 1)


def test_what_cannot_be_asked_stays(sessions: Sessions) -> None:
    """With the server's socket gone nobody can say anything: nothing is ended and nothing closed."""
    run_id = sessions.start()
    server = sessions.pane(run_id)["server_pid"]
    Path(sessions.socket).rename(sessions.socket + ".away")
    try:
        done = sessions("stop", "hq-mayor")
        assert (done.returncode, len(done.stderr.splitlines())) == (6, 1)
        assert "cannot be asked" in done.stderr
        assert "gt.session" not in sessions.spans(run_id)
    finally:
        Path(sessions.socket + ".away").rename(sessions.socket)
    assert subprocess.run(["kill", "-0", server], check=False).returncode == 0
