"""`gt-trace session list`: what lives, what ended unseen, and what nobody can say."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from session_kit import Sessions, gone, ignores_hangup, until

from gastown_tracing.journal.layout import Journal
from gastown_tracing.sessions import terminal
from gastown_tracing.sessions.liveness import STARTING_NS, Inspector
from gastown_tracing.sessions.reaping import reap
from propagation.run import root_span_id


def kill_session(sessions: Sessions, run_id: str) -> None:
    sessions.tmux("new-session", "-d", "-s", "keeper", "sleep", "1000")
    sessions.tmux("kill-session", "-t", "=hq-mayor")


def kill_server(sessions: Sessions, *run_ids: str) -> None:
    """Kill the server; what ran in it is hung up on, and ends a moment later."""
    panes = [sessions.pane(run_id) for run_id in run_ids]
    os.kill(int(panes[0]["server_pid"]), signal.SIGKILL)
    until(lambda: all(map(gone, panes)), "the agents to end")


def end_by_itself(sessions: Sessions, run_id: str) -> None:
    os.kill(int(sessions.pane(run_id)["pane_pid"]), signal.SIGTERM)


ENDS = [
    (kill_session, "lost", "answers without it"),
    (kill_server, "exited", "is gone"),
    (end_by_itself, "exited", "is gone"),
]


@pytest.mark.parametrize(("end", "reason", "evidence"), ENDS, ids=[end.__name__ for end, _, _ in ENDS])
def test_ended_session_is_closed_at_its_last_sign_of_life(
    sessions: Sessions, end: Callable[[Sessions, str], None], reason: str, evidence: str
) -> None:
    """However a session ended unseen, the next list closes it, with the evidence, at its newest record, and
    says that it may have lived on. The last one of its server has ended, any other is lost.
    """
    run_id = sessions.start(command=("cat",))
    assert [row["state"] for row in sessions.list()] == ["live"]
    traced = [sys.executable, "-m", "gastown_tracing.cli", "exec", "--name", "late", "--", "sleep", "0.05"]
    subprocess.run(traced, env={**sessions.env, "GT_RUN": run_id}, check=True)
    end(sessions, run_id)
    until(lambda: not sessions.list(), "the list to notice")
    spans = sessions.spans(run_id)
    root, late = spans["gt.session"], spans["late"]
    assert (root.span_id, late.parent_id) == (root_span_id(run_id), root_span_id(run_id))
    assert root.end_ns == max(log.time_ns for log in sessions.data(run_id).logs) == late.end_ns
    assert root.attributes["reason"] == reason
    assert root.attributes["gastown.end_time.known"] is False
    assert evidence in str(root.attributes["gastown.evidence"])
    (row,) = sessions.list("--all")
    assert (row["state"], row["reason"], row["end_known"]) == ("ended", reason, False)
    assert "≥ " in sessions("list", "--all", env={**sessions.env, "LC_ALL": "C.UTF-8"}).stdout


def test_end_is_no_earlier_than_the_last_sighting(sessions: Sessions) -> None:
    """Whoever finds a session alive notes that: without a later record it lived until then at least."""
    run_id = sessions.start(command=("cat",))
    pane = Path(sessions.journal.run_dir(run_id), "pane.json")
    content, started = pane.read_bytes(), time.time_ns()
    assert [row["state"] for row in sessions.list()] == ["live"]
    seen = pane.stat().st_mtime_ns
    assert seen > started
    assert pane.read_bytes() == content
    end_by_itself(sessions, run_id)
    until(lambda: not sessions.list(), "the list to notice")
    assert sessions.spans(run_id)["gt.session"].end_ns == pane.stat().st_mtime_ns >= seen


def test_closing_is_told_in_words(sessions: Sessions) -> None:
    """Who is closed, and how anyone knows that it has ended, is a line on stderr."""
    run_id = sessions.start(command=("cat",))
    kill_session(sessions, run_id)
    until(lambda: gone(sessions.pane(run_id)), "the agent to end")
    server = sessions.pane(run_id)["server_pid"]
    known = f"tmux server {server} answers without it: its agent ended, or somebody ended its session"
    assert sessions("list").stderr == f"closed hq-mayor, which ended unseen: {known}\n"


def test_eight_lists_close_it_once(sessions: Sessions) -> None:
    """However many lists run at once, there is one root span, one session.stop, one log record of it."""
    run_ids = [sessions.start("--session", name) for name in ("a", "b", "c")]
    kill_server(sessions, *run_ids)
    command = [sys.executable, "-m", "gastown_tracing.cli", "session", "list", "--json"]
    running = [subprocess.Popen(command, env=sessions.env, stdout=subprocess.DEVNULL) for _ in range(8)]
    assert [process.wait(60) for process in running] == [0] * 8
    for run_id in run_ids:
        text = Path(sessions.journal.run_dir(run_id), "traces.jsonl").read_text()
        assert text.count('"name":"session.stop"') == 1
        events = [log.event_name for log in sessions.data(run_id).logs]
        assert events.count("session.stop") == 1
        assert not [name for name in os.listdir(sessions.journal.run_dir(run_id)) if name.startswith(".")]


def test_restarted_server_is_not_mistaken(sessions: Sessions) -> None:
    """A new server at the same socket hands out $0 and %0 again: the old session is dead, the new one
    lives.
    """
    old = sessions.start()
    before = sessions.pane(old)
    kill_server(sessions, old)
    until(lambda: not sessions.tmux("list-sessions", check=False), "the server to end")
    new = sessions.start()
    after = sessions.pane(new)
    assert (before["session_id"], before["pane"]) == (after["session_id"], after["pane"]) == ("$0", "%0")
    assert [row["run_id"] for row in sessions.list()] == [new]
    assert sessions.spans(old)["gt.session"].attributes["reason"] == "exited"


def test_other_boot_is_the_end(sessions: Sessions) -> None:
    """After a reboot every process id means somebody else: the boot id alone decides."""
    run_id = sessions.start()
    found = reap(sessions.journal, sessions.env, Inspector(sessions.env, boot_id="another"))
    assert [(item.liveness.state, item.reaped) for item in found] == [("dead", True)]
    assert "booted again" in str(sessions.spans(run_id)["gt.session"].attributes["gastown.evidence"])


def changed(sessions: Sessions, run_id: str, file: str, **fields: Any) -> None:
    path = Path(sessions.journal.run_dir(run_id), file)
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_reused_process_id_is_not_the_server(sessions: Sessions) -> None:
    """A process that has the server's id but another start time is another process."""
    run_id = sessions.start()
    changed(sessions, run_id, "pane.json", server_start="1", pane_start="1")
    assert sessions.list() == []


UNKNOWN = [
    ("run.json", {"host": "elsewhere"}, "another host"),
    ("pane.json", {"pid_namespace": "pid:[1]"}, "another container"),
    ("pane.json", {"socket": "/nowhere/s"}, "cannot be asked"),
]


@pytest.mark.parametrize(("file", "fields", "why"), UNKNOWN, ids=[row[2] for row in UNKNOWN])
def test_what_cannot_be_known_stays_open(
    sessions: Sessions, file: str, fields: dict[str, str], why: str
) -> None:
    """Another machine, another container, a socket out of reach: unknown, why, and not closed."""
    run_id = sessions.start()
    changed(sessions, run_id, file, **fields)
    (row,) = sessions.list()
    assert (row["state"], "gt.session" in sessions.spans(run_id)) == ("unknown", False)
    assert why in row["why"]


def test_server_that_does_not_answer_is_unknown(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped tmux server keeps nobody waiting for ever, and its sessions stay open."""
    run_id = sessions.start()
    server = int(sessions.pane(run_id)["server_pid"])
    monkeypatch.setattr(terminal, "ANSWER_SECONDS", 0.3)
    os.kill(server, signal.SIGSTOP)
    try:
        (item,) = reap(sessions.journal, sessions.env)
    finally:
        os.kill(server, signal.SIGCONT)
    assert (item.liveness.state, item.reaped) == ("unknown", False)
    assert "no answer" in item.liveness.evidence


def test_foreign_server_at_the_socket_is_unknown(sessions: Sessions) -> None:
    """While the old server lives, another one that took over its socket proves nothing about it."""
    run_id = sessions.start()
    os.unlink(sessions.socket)
    sessions.tmux("new-session", "-d", "-s", "usurper", "sleep", "1000")
    try:
        (row,) = sessions.list()
        assert (row["state"], "another tmux server" in row["why"]) == ("unknown", True)
    finally:
        os.kill(int(sessions.pane(run_id)["server_pid"]), signal.SIGTERM)


def test_session_that_is_starting_stays_open(sessions: Sessions) -> None:
    """Between run.json and pane.json a session is starting; only after 30 s anyone looks for it."""
    run_id = sessions.start()
    os.unlink(sessions.journal.run_dir(run_id) + "/pane.json")
    assert [row["why"] for row in sessions.list()] == ["it is starting"]


def test_interrupted_start_is_found_by_its_run(sessions: Sessions) -> None:
    """A start killed after the spawn: later the session is found in tmux by GT_RUN, and closed when it is
    gone.
    """
    run_id = sessions.start()
    sessions.tmux("new-session", "-d", "-s", "keeper", "sleep", "1000")
    os.unlink(sessions.journal.run_dir(run_id) + "/pane.json")

    def look() -> list[str]:
        later = Inspector(sessions.env, now_ns=time.time_ns() + STARTING_NS)
        return [item.liveness.state for item in reap(sessions.journal, sessions.env, later)]

    assert look() == ["live"]
    sessions.tmux("kill-session", "-t", "=hq-mayor")
    sessions.tmux("new-session", "-d", "-s", "hq-mayor", "sleep", "1000")
    assert look() == ["dead"]
    assert look() == []


def test_interrupted_call_is_in_the_lost_run(sessions: Sessions, tmp_path: Path) -> None:
    """A call whose wrapper was killed with the session becomes an interrupted span when the session is
    closed.
    """
    ready = tmp_path / "ready"
    call = f"{sys.executable} -m gastown_tracing.cli exec --name call"
    traced = f"exec {call} -- sh -c ': > {ready}; sleep 1000'"
    run_id = sessions.start(command=("sh", "-c", traced))
    until(lambda: os.path.isdir(sessions.journal.run_dir(run_id) + "/open") and ready.exists(), "the call")
    until(lambda: os.listdir(sessions.journal.run_dir(run_id) + "/open"), "its marker")
    os.kill(int(sessions.pane(run_id)["pane_pid"]), signal.SIGKILL)
    until(lambda: not sessions.list(), "the list to notice")
    spans = sessions.spans(run_id)
    assert spans["call"].attributes["gastown.interrupted"] is True
    assert spans["gt.session"].end_ns >= spans["call"].end_ns
    assert os.listdir(sessions.journal.run_dir(run_id) + "/open") == []


@pytest.fixture
def other_users(sessions: Sessions) -> Sessions:
    """Return sessions of root whose journal belongs to nobody, in a directory that everyone may enter."""
    if os.geteuid():
        pytest.skip("only root can act as another user")
    return sessions


def as_nobody(action: Callable[[], object]) -> object:
    """Return what a function returns that an unprivileged user calls."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            os.write(writer, json.dumps(action()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as file:
        answer = file.read()
    os.waitpid(pid, 0)
    return json.loads(answer)


def test_socket_of_another_user_is_unknown(other_users: Sessions) -> None:
    """Who may not ask the tmux server cannot say that a session is dead: it stays open."""
    sessions = other_users
    run_id = sessions.start()
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        place.chmod(0o755)
        moved = place / "journal"
        shutil.copytree(sessions.journal.root, moved)
        for path in (moved, *moved.rglob("*")):
            os.chown(path, 65534, 65534)
        os.chmod(os.path.dirname(sessions.socket), 0o700)

        def look() -> object:
            (item,) = reap(Journal(str(moved)), sessions.env)
            return item.run.trace_id, item.liveness.state, item.liveness.evidence

        trace_id, state, why = as_nobody(look)
        assert (trace_id, state) == (run_id, "unknown")
        assert "Permission denied" in why
        assert not (moved / "runs" / run_id / "close.json").exists()
    finally:
        shutil.rmtree(place)


def test_only_the_owner_writes(other_users: Sessions) -> None:
    """Somebody else's list says that a session is dead and leaves its closing to the owner."""
    sessions = other_users
    run_id = sessions.start()
    kill_server(sessions, run_id)
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        moved = place / "journal"
        shutil.copytree(sessions.journal.root, moved)
        os.chown(moved, 65534, 65534)
        done = sessions("list", "--json", "--journal", str(moved))
        assert (done.returncode, json.loads(done.stdout)) == (0, [])
        assert not (moved / "runs" / run_id / "close.json").exists()
    finally:
        shutil.rmtree(place)


def test_table_for_people(sessions: Sessions) -> None:
    """The table has the words and the order of `ls`, is safe for a terminal, and says why nobody knows."""
    crew_id = sessions.start("--role", "demo/crew/max", "--issue", "de-9")
    run_id = sessions.start("--session", "odd")
    changed(sessions, run_id, "run.json", session="odd\x1b[31m", host="elsewhere")
    head, odd, crew, why = sessions("list").stdout.splitlines()
    assert head.split() == ["STATE", "SESSION", "ROLE", "RIG", "AGENT", "BEAD", "AGE", "RUN"]
    assert crew.split()[:6] == ["live", "gt-demo-crew-max", "crew", "demo", "max", "de-9"]
    assert crew.split()[-1] == crew_id[:8]
    assert odd.split()[0] == "unknown"
    assert "\x1b" not in odd + why
    assert why.endswith(": it runs on another host, elsewhere")


def test_table_fits_the_terminal(sessions: Sessions) -> None:
    """At 80 cells no line is longer: less important columns are left out, whole run ids are in --json."""
    long = sessions.start(
        "--session", "gt-" + "long" * 12, "--role", "demo/crew/maximilian", "--issue", "de-9"
    )
    changed(sessions, long, "run.json", host="else" * 30)
    sessions.start()
    for width in (80, 40):
        lines = sessions("list", "--all", "--width", str(width)).stdout.splitlines()
        assert max(map(len, lines[:3])) <= width
        assert all(run["run_id"][:8] in line for run, line in zip(sessions.list(), lines[1:], strict=False))


def test_agent_that_outlives_its_tmux_session_lives(sessions: Sessions) -> None:
    """An agent that ignores the hang-up works on: its run is open until its process is gone."""
    run_id = sessions.start(command=("sh", "-c", "trap '' HUP; exec sleep 1000"))
    pane = sessions.pane(run_id)
    until(lambda: ignores_hangup(pane["pane_pid"]), "the agent to ignore the hang-up")
    kill_session(sessions, run_id)
    (row,) = sessions.list()
    assert (row["state"], row["stray"]) == ("live", True)
    assert f"its process {pane['pane_pid']} runs on" in sessions("list").stdout
    os.kill(int(pane["pane_pid"]), signal.SIGKILL)
    until(lambda: not sessions.list(), "the list to notice")


def test_journal_that_cannot_be_written_is_listed(other_users: Sessions, tmp_path: Path) -> None:
    """In a read-only journal what lives and what died is told, with what is wrong, and nothing is closed."""
    sessions = other_users
    dead = sessions.start()
    kill_server(sessions, dead)
    until(lambda: not sessions.tmux("list-sessions", check=False), "the server to end")
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        place.chmod(0o755)
        moved = place / "journal"
        shutil.copytree(sessions.journal.root, moved)
        for path in (moved, *moved.rglob("*")):
            os.chown(path, 65534, 65534)
            if path.is_dir():
                path.chmod(0o500)

        def look() -> object:
            problems: list[OSError] = []
            found = reap(Journal(str(moved)), sessions.env, problems=problems)
            return (
                [item.liveness.state for item in found],
                [item.reaped for item in found],
                problems[0].strerror,
            )

        assert as_nobody(look) == [["dead"], [False], "Permission denied"]
    finally:
        shutil.rmtree(place)


def test_no_journal(sessions: Sessions) -> None:
    """Where there is no journal the error says how to get one."""
    done = sessions("list")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        ("run.json", {"start_time_unix_nano": "yesterday"}),
        ("run.json", {"root_span_id": None, "host": 7}),
        ("pane.json", {"server_pid": 7, "socket": 7, "session_id": None}),
        ("pane.json", {"server_pid": "x", "pid_namespace": None}),
    ],
)
def test_broken_files_spoil_nothing(sessions: Sessions, file: str, fields: dict[str, Any]) -> None:
    """Whatever one run's files hold, the others are listed."""
    broken, whole = sessions.start("--session", "broken"), sessions.start()
    changed(sessions, broken, file, **fields)
    assert whole in [row["run_id"] for row in sessions.list("--all")]
    assert sessions("stop", "hq-mayor").returncode == 0
