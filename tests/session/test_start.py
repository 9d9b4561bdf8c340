"""`gt-trace session start` in tmux: what the session gets, what it is, and what is recorded."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from session_kit import Sessions, until

from gastown_tracing.journal.layout import create
from propagation import baggage, resource
from propagation.run import parse_run_id, root_span_id, to_uuid

CAUSE = "00-" + "c" * 32 + "-" + "d" * 16 + "-01"
POLECAT = ("--role", "polecat", "--name", "Toast", "--rig", "demo")


def seen_inside(path: Path) -> dict[str, str]:
    """Return the environment that the session's command wrote down."""
    until(lambda: path.exists() and path.read_text().endswith("end=1\n"), "the session's environment")
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)


def writes_environment(path: Path) -> tuple[str, ...]:
    return ("sh", "-c", f"env > {path}.tmp; echo end=1 >> {path}.tmp; mv {path}.tmp {path}; exec sleep 1000")


def test_session_sees_who_it_is_and_where_to_record(sessions: Sessions, tmp_path: Path) -> None:
    """The pane's environment holds the identity, the context of its own run and the journal, and no
    endpoint.
    """
    operator = {
        "GT_ROOT": str(tmp_path / "town"),
        "GT_LOG_BD_OUTPUT": "true",
        "GT_OTEL_LOGS_URL": "http://127.0.0.1:9/logs",
        "BAGGAGE": "tenant=a%20b;p=1,gt.run_id=0123,gt.work_bead=old-1",
        "OTEL_RESOURCE_ATTRIBUTES": "team=x%2Cy,gt.role=mayor,gt.work_bead=old-1",
        "BD_ACTOR": "demo/polecats/Toast",
    }
    run_id = sessions.start(
        *POLECAT, command=writes_environment(tmp_path / "env"), env={**sessions.env, **operator}
    )
    seen = seen_inside(tmp_path / "env")
    expected = {
        "GT_RUN": to_uuid(run_id),
        "GT_ROLE": "demo/polecats/Toast",
        "GT_RIG": "demo",
        "GT_POLECAT": "Toast",
        "GT_SESSION": "gt-demo-Toast",
        "GT_ROOT": str(tmp_path / "town"),
        "BD_ACTOR": "demo/polecats/Toast",
        "GT_LOG_BD_OUTPUT": "true",
        "GT_OTEL_JOURNAL": sessions.journal.root,
        "TRACEPARENT": f"00-{run_id}-{root_span_id(run_id)}-03",
    }
    assert {name: seen.get(name) for name in expected} == expected
    ours = {
        "gt.run_id": run_id,
        "gt.session": "gt-demo-Toast",
        "gt.role": "demo/polecats/Toast",
        "gt.rig": "demo",
        "gt.agent": "Toast",
        "gt.actor": "demo/polecats/Toast",
    }
    members = baggage.parse(seen["BAGGAGE"])
    assert {name: member.value for name, member in members.items()} == {"tenant": "a b", **ours}
    assert members["tenant"].properties == "p=1"
    assert resource.parse(seen["OTEL_RESOURCE_ATTRIBUTES"]) == {"team": "x,y", **ours}
    assert "GT_CREW" not in seen
    assert "_URL" not in sessions.tmux("show-environment", "-t", "=gt-demo-Toast")


@pytest.mark.parametrize("command", [("sleep", "1000"), ("cat",)])
def test_pane_process_is_the_command_itself(sessions: Sessions, command: tuple[str, ...]) -> None:
    """No wrapper and no shell stands between tmux and the agent, for commands of one word too."""
    pid = sessions.pane(sessions.start(command=command))["pane_pid"]

    def shown() -> bool:
        return (
            sessions.tmux("list-panes", "-a", "-F", "#{pane_current_command} #{pane_pid}")
            == f"{command[0]} {pid}\n"
        )

    until(shown, "tmux to show the command")
    if os.path.isdir("/proc/self"):
        assert Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1] == [
            word.encode() for word in command
        ]


def test_server_keeps_no_context_for_later_sessions(sessions: Sessions, tmp_path: Path) -> None:
    """A tmux server that we start knows nothing of the session, or of the one that its starter belonged
    to.
    """
    inside = {
        "GT_RUN": to_uuid("a" * 32),
        "TRACEPARENT": CAUSE,
        "TRACESTATE": "a=b",
        "BAGGAGE": "gt.run_id=1",
        "GT_ROLE": "mayor",
        "GT_SESSION": "hq-mayor",
        "GT_WORK_BEAD": "de-1",
        "OTEL_RESOURCE_ATTRIBUTES": "team=x,gt.role=mayor",
    }
    sessions.start(*POLECAT, env={**sessions.env, **inside})
    known = sessions.tmux("show-environment", "-g").splitlines()
    assert [line for line in known if line.startswith(tuple(name + "=" for name in inside))] == [
        "OTEL_RESOURCE_ATTRIBUTES=team=x"
    ]


def test_what_the_server_leaks_is_hidden(sessions: Sessions, tmp_path: Path) -> None:
    """A server that somebody else started inside a session hands its identity to ours; ours does not see
    it.
    """
    leak = {"GT_POLECAT": "Ghost", "GT_WORK_BEAD": "old-1", "TRACESTATE": "a=b"}
    subprocess.run(
        ["tmux", "-S", sessions.socket, "new-session", "-d", "-s", "first", "sleep", "1000"],
        env={**sessions.env, **leak},
        check=True,
    )
    sessions.start(command=writes_environment(tmp_path / "env"))
    seen = seen_inside(tmp_path / "env")
    assert {name: seen.get(name) for name in leak} == dict.fromkeys(leak, "")


def test_start_is_recorded_with_its_cause(sessions: Sessions, tmp_path: Path) -> None:
    """session.start links to the span that led to it; agent.instantiate says who, for which bead, on which
    commit.
    """
    repository = tmp_path / "rig"
    git = ["git", "-C", str(repository), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "-q", "-b", "trunk", str(repository)], check=True, env=sessions.env)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True, env=sessions.env)
    commit = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    options = ("--issue", "de-7", "--agent", "claude", "--work-dir", str(repository))
    run_id = sessions.start(*POLECAT, *options, env={**sessions.env, "TRACEPARENT": CAUSE})

    span = sessions.spans(run_id)["session.start"]
    assert (span.trace_id, span.parent_id) == (run_id, root_span_id(run_id))
    assert [(trace, parent) for trace, parent, *_ in span.links] == [("c" * 32, "d" * 16)]
    logs = {log.event_name: log for log in sessions.data(run_id).logs}
    assert set(logs) == {"session.start", "agent.instantiate"}
    assert {log.span_id for log in logs.values()} == {span.span_id}
    wanted = {
        "run.id": run_id,
        "run.uuid": to_uuid(run_id),
        "agent_type": "claudecode",
        "role": "polecat",
        "agent_name": "Toast",
        "session_id": "gt-demo-Toast",
        "rig": "demo",
        "issue_id": "de-7",
        "git_branch": "trunk",
        "git_commit": commit,
    }
    found = logs["agent.instantiate"].attributes
    assert {name: found.get(name) for name in wanted} == wanted


def test_without_git_branch_and_commit_are_absent(sessions: Sessions, tmp_path: Path) -> None:
    """Where there is no repository nothing is made up."""
    run_id = sessions.start("--work-dir", str(tmp_path))
    found = [log for log in sessions.data(run_id).logs if log.event_name == "agent.instantiate"]
    assert not [name for name in found[0].attributes if name.startswith("git_")]


def test_spawner_known_by_its_run_alone_is_the_cause(sessions: Sessions) -> None:
    """A spawner with GT_RUN and no TRACEPARENT is linked by its run's root; the new run is another one."""
    caller = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    run_id = sessions.start(env={**sessions.env, "GT_RUN": caller})
    links = sessions.spans(run_id)["session.start"].links
    assert [link[:2] for link in links] == [(parse_run_id(caller), "9a0c0305e82c3301")]
    assert run_id != parse_run_id(caller)


ERRORS = [
    (("--role", "king"), ("true",), 2, "no such role"),
    (("--role", "polecat", "--rig", "demo"), ("true",), 2, "--name"),
    (("--role", "witness"), ("true",), 2, "--rig"),
    (("--role", "mayor", "--rig", "demo"), ("true",), 2, "--rig"),
    (("--role", "demo/crew/max", "--rig", "other"), ("true",), 2, "'other'"),
    (("--role", "mayor", "--session", "a.b"), ("true",), 2, "--session 'a.b' has '.': in the name of"),
    (("--role", "mayor", "--session", "a b:c\n"), ("true",), 2, "has '\\n' and ':'"),
    (("--role", "mayor", "-L", "a/b"), ("true",), 2, "--socket"),
    (("--role", "mayor", "--work-dir", "/nowhere"), ("true",), 2, "no such directory"),
    (("--role", "mayor", "--env", "A"), ("true",), 2, "NAME=VALUE"),
    (("--role", "mayor"), ("gt-trace-no-such-command",), 127, "command not found"),
    (("--role", "mayor"), ("/etc/passwd",), 126, "ermission denied"),
]


@pytest.mark.parametrize(("options", "command", "code", "text"), ERRORS, ids=[str(row[3]) for row in ERRORS])
def test_error_is_one_line_and_leaves_nothing(
    sessions: Sessions, options: tuple[str, ...], command: tuple[str, ...], code: int, text: str
) -> None:
    """What cannot be started says so in one line, has its own exit code, and makes neither a run nor a
    server.
    """
    server = () if "-L" in options else ("--socket", sessions.socket)
    done = sessions("start", *options, *server, "--", *command)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (code, "", 1), done
    assert text in done.stderr
    assert not os.path.exists(sessions.journal.root)
    assert not os.path.exists(sessions.socket)


def test_file_at_the_place_of_the_socket_stays(sessions: Sessions) -> None:
    """tmux would replace a file that is no socket: it is refused, whatever it is, and nothing is made."""
    Path(sessions.socket).write_text("precious\n")
    done = sessions("start", "--role", "mayor", "--socket", sessions.socket, "--", "sleep", "1000")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "no socket" in done.stderr
    assert Path(sessions.socket).read_text() == "precious\n"
    assert not os.path.exists(sessions.journal.root)


@pytest.mark.parametrize("options", [(), ("--work-dir", "/", "--journal", "here")])
def test_working_directory_that_is_gone(sessions: Sessions, tmp_path: Path, options: tuple[str, ...]) -> None:
    """From a deleted directory no relative path leads anywhere: one line, and what to do."""
    place = tmp_path / "gone"
    place.mkdir()
    start = ["session", "start", "--role", "mayor", "--socket", sessions.socket, *options, "--", "true"]
    command = shlex.join([sys.executable, "-m", "gastown_tracing.cli", *start])
    script = f"rmdir {place}; exec {command}"
    done = subprocess.run(
        ["sh", "-c", script], cwd=place, env=sessions.env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "is gone" in done.stderr


def test_help_names_every_default_session(sessions: Sessions) -> None:
    """The help of --session has the default name of each role, which the roles themselves decide."""
    said = "".join(sessions("start", "--help").stdout.split())  # lines end at hyphens too
    assert "gt-RIG-NAME,gt-RIG-crew-NAME,gt-RIG-witness" in said
    assert "hq-dog-NAME" in said


def test_name_that_is_taken(sessions: Sessions) -> None:
    """A second session of the same name is refused before anything is made."""
    sessions.start()
    done = sessions("start", "--role", "mayor", "--socket", sessions.socket, "--", "true")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert len(os.listdir(sessions.journal.root + "/runs")) == 1


def test_without_tmux(sessions: Sessions, tmp_path: Path) -> None:
    """Where tmux is missing the error says what works instead."""
    done = sessions("start", "--role", "mayor", "--", "true", env={**sessions.env, "PATH": str(tmp_path)})
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1)
    assert "--here" in done.stderr


def test_spawn_that_fails_closes_its_run(sessions: Sessions, tmp_path: Path) -> None:
    """Where tmux cannot start a server the run is there, closed, as an error."""
    done = sessions("start", "--role", "mayor", "--socket", str(tmp_path / "no" / "s"), "--", "sleep", "9")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    (run_id,) = os.listdir(sessions.journal.root + "/runs")
    spans = sessions.spans(run_id)
    assert [spans[name].status_code for name in ("gt.session", "session.start")] == [2, 2]
    assert spans["gt.session"].attributes["reason"] == "not started"


def test_foreign_context_gives_way_to_the_limit_of_tmux(sessions: Sessions, tmp_path: Path) -> None:
    """Baggage of 8 KiB twice does not fit into tmux's command line: only our own members go in."""
    huge = ",".join(f"key{number}={'v' * 1000}" for number in range(8))
    env = {**sessions.env, "BAGGAGE": huge, "OTEL_RESOURCE_ATTRIBUTES": huge}
    run_id = sessions.start(command=writes_environment(tmp_path / "env"), env=env)
    seen = seen_inside(tmp_path / "env")
    for name in ("BAGGAGE", "OTEL_RESOURCE_ATTRIBUTES"):
        assert seen[name] == f"gt.session=hq-mayor,gt.role=mayor,gt.run_id={run_id}"


def test_command_line_beyond_the_limit_is_refused(sessions: Sessions) -> None:
    """A command that tmux cannot take is an error in one line, and its run is closed."""
    done = sessions("start", "--role", "mayor", "--socket", sessions.socket, "--", "echo", "x" * 15_000)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "too long" in done.stderr
    assert [row["reason"] for row in sessions.list("--all")] == ["not started"]


def test_switched_off_means_no_trace_but_a_session(sessions: Sessions, tmp_path: Path) -> None:
    """With the journal's switch gone the session runs, is told who it is, and nothing is written."""
    sessions.start("--session", "before")
    os.unlink(sessions.journal.on_path)
    before = sorted(Path(sessions.journal.root).rglob("*"))
    command = writes_environment(tmp_path / "env")
    done = sessions("start", "--role", "mayor", "--socket", sessions.socket, "--json", "--", *command)
    assert json.loads(done.stdout)["run_id"] is None
    assert len(done.stderr.splitlines()) == 1
    assert f"`gt-trace env --on --journal {sessions.journal.root}`" in done.stderr
    seen = seen_inside(tmp_path / "env")
    assert seen["GT_ROLE"] == "mayor"
    assert not {"GT_RUN", "TRACEPARENT", "BAGGAGE"} & set(seen)
    assert sorted(Path(sessions.journal.root).rglob("*")) == before


def test_hint_fits_the_cause(sessions: Sessions) -> None:
    """With OTEL_SDK_DISABLED only unsetting it helps, and that is what is said."""
    env = {**sessions.env, "OTEL_SDK_DISABLED": "true"}
    done = sessions("start", "--role", "mayor", "--socket", sessions.socket, "--", "true", env=env)
    assert "OTEL_SDK_DISABLED is true: unset it" in done.stderr
    assert "eval" not in done.stderr


def journal_of_another_user(journal: Path) -> Path:
    if os.geteuid():
        pytest.skip("only root can act as another user")
    create(str(journal))
    os.chown(journal, 65534, 65534)
    return journal


def journal_that_cannot_be_made(journal: Path) -> Path:
    return Path("/proc/nowhere")


@pytest.mark.parametrize("make", [journal_of_another_user, journal_that_cannot_be_made])
@pytest.mark.parametrize("here", [False, True], ids=["tmux", "here"])
def test_journal_out_of_reach_keeps_nothing_from_running(
    sessions: Sessions, journal_root: Path, make: Callable[[Path], Path], here: bool
) -> None:
    """Where nothing can be recorded the session starts all the same, and one line says why there is no
    trace.
    """
    journal = make(journal_root)
    before = sorted(journal.rglob("*"))
    place = ("--here",) if here else ("--socket", sessions.socket)
    done = sessions("start", "--role", "mayor", *place, "--journal", str(journal), "--", "sleep", "0.1")
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1), done
    assert "no trace: " in done.stderr
    assert str(journal) in done.stderr
    assert sorted(journal.rglob("*")) == before


def test_odd_bytes_are_carried(sessions: Sessions, tmp_path: Path) -> None:
    """A variable and a directory that are no UTF-8 neither fail nor change."""
    odd = os.fsdecode(b"a\xffb")
    (tmp_path / odd).mkdir()
    command = writes_environment(tmp_path / "env")
    sessions.start("--env", f"BD_ACTOR={odd}", "--work-dir", str(tmp_path / odd), command=command)
    until((tmp_path / "env").exists, "the session")
    assert b"BD_ACTOR=a\xffb\n" in (tmp_path / "env").read_bytes()
