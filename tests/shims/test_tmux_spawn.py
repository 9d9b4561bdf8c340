"""Sessions that gt spawns through the tmux shim become runs, and nobody but the session sees that."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shims_kit import script
from tmux_kit import CAUSE, RUN, TRACEPARENT, UUID, Town, identity, options

from gastown_tracing.journal import index
from gastown_tracing.journal.layout import PaneRegistry, create
from gastown_tracing.relay.finding import Finder
from gastown_tracing.sessions.liveness import Inspector
from gastown_tracing.sessions.reaping import reap
from propagation.run import to_uuid
from tests.processes import wait_until

Make = Callable[..., Town]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Return a function that makes a town, whose tmux server is ended afterwards."""
    towns: list[Town] = []

    def town(name: str = "town", label: str = "town-1") -> Town:
        towns.append(Town(tmp_path, name, label))
        return towns[-1]

    yield town
    for one in towns:
        one.end()


@pytest.fixture
def town(make: Make) -> Town:
    """Return a town whose journal is there."""
    town = make()
    create(town.journal.root)
    return town


def test_a_spawn_is_a_run(town: Town) -> None:
    """run.json says who and why, pane.json where, session.start what led to it; one agent is counted."""
    index.note(town.journal, index.HOOKS, "demo/polecats/de-rust", {"bead": "de-1tr"})
    town.spawn(more=TRACEPARENT)
    data = town.data()
    info = data.run.info
    assert (info["role"], info["rig"], info["agent_name"]) == ("polecat", "demo", "de-rust")
    assert (info["session"], info["issue_id"], info["work_dir"]) == ("de-rust", "de-1tr", str(town.root))
    assert (info["agent_type"], info["town_root"]) == ("claudecode", str(town.root))
    assert info["shims"] == ["tmux"]
    (start,) = town.spans("session.start")
    assert [(link[0], link[1]) for link in start.links] == [CAUSE]
    assert [log.event_name for log in data.logs] == ["session.start", "agent.instantiate"]
    (agent,) = town.logs("agent.instantiate")
    assert (agent.attributes["issue_id"], agent.attributes["run.uuid"]) == ("de-1tr", UUID)
    pane = town.pane()
    assert pane["pane_pid"] == town.asked("display-message", "-p", "-t", "=de-rust:", "#{pane_pid}")
    registry = PaneRegistry(town.journal)
    assert registry.run_for_pane(pane["socket"], pane["server_pid"], pane["pane"]) == RUN
    assert registry.run_for_session("de-rust", str(town.root)) == RUN


def test_without_a_span_of_our_own_the_hook_says_what_led_to_it(town: Town) -> None:
    """A daemon has no context, but what put the bead on the hook is in the index."""
    fields = {"bead": "de-1", "trace_id": CAUSE[0], "span_id": CAUSE[1]}
    index.note(town.journal, index.HOOKS, "demo/polecats/de-rust", fields)
    town.spawn()
    assert [(link[0], link[1]) for link in town.spans("session.start")[0].links] == [CAUSE]


def test_a_command_of_the_session_itself_is_the_agent(town: Town) -> None:
    """Where new-session carries the agent's command, that is the one agent."""
    given = options(identity("de-rust", str(town.root)))
    done = town.tmux("new-session", "-d", "-s", "de-rust", *given, "exec cat")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(town.logs("agent.instantiate")) == 1
    assert town.spans("agent.restart") == []


def test_another_agent_in_the_same_run_is_a_mark(town: Town) -> None:
    """One more agent.instantiate, a span that shows it, and the registry knows the new process."""
    town.spawn(more=TRACEPARENT)
    first = town.pane()
    assert town.tmux("respawn-pane", "-k", "-t", first["pane"], "exec cat", more=TRACEPARENT).returncode == 0
    assert len(town.logs("agent.instantiate")) == 2
    (mark,) = town.spans("agent.restart")
    assert (mark.attributes["restart"], [(link[0], link[1]) for link in mark.links]) == (1, [CAUSE])
    pane = town.pane()
    assert pane["pane_pid"] != first["pane_pid"]
    assert pane["pane_pid"] == town.asked("display-message", "-p", "-t", "=de-rust:", "#{pane_pid}")
    assert len(town.runs()) == 1


def test_the_session_gets_its_context_and_the_server_none(town: Town) -> None:
    """A server that gt's first spawn starts has none of the spawner's context, and gt's own values stay."""
    mayors = {
        "BAGGAGE": "gt.run_id=1,other=x",
        "GT_SESSION": "hq-mayor",
        "GT_WORK_BEAD": "de-9",
        "GT_RUN": "x",
    }
    resource = {"OTEL_RESOURCE_ATTRIBUTES": "team=a,gt.role=mayor"}
    town.spawn(more={**TRACEPARENT, **mayors, **resource, "GT_LOG_MAIL_BODY": "true"})
    server = town.asked("show-environment", "-g").splitlines()
    names = {line.partition("=")[0] for line in server}
    assert not names & {"TRACEPARENT", "TRACESTATE", "BAGGAGE", "GT_RUN", "GT_SESSION", "GT_WORK_BEAD"}
    assert "OTEL_RESOURCE_ATTRIBUTES=team=a" in server
    found = town.variables("de-rust")
    assert found["TRACEPARENT"] == f"00-{RUN}-{RUN[16:]}-03"
    assert f"gt.run_id={RUN}" in found["BAGGAGE"]
    assert "other=x" in found["BAGGAGE"]
    assert found["OTEL_RESOURCE_ATTRIBUTES"].startswith(
        "team=a,gt.session=de-rust,gt.role=demo/polecats/de-rust"
    )
    assert (found["GT_OTEL_JOURNAL"], found["GT_LOG_MAIL_BODY"]) == (town.journal.root, "true")
    assert (found["GT_RUN"], found["GT_SESSION"]) == (UUID, "de-rust")


def test_what_a_server_holds_of_another_session_is_hidden(town: Town) -> None:
    """A server that was started without us leaks its starter's context into no session of ours."""
    stale = {
        **TRACEPARENT,
        "TRACESTATE": "a=b",
        "GT_WORK_BEAD": "de-9",
        "GT_OTEL_RECEIVER": "http://127.0.0.1:1/x",
    }
    town.tmux("new-session", "-d", "-s", "old", env={**town.plain, **stale})
    town.spawn()
    found = town.variables("de-rust")
    assert found["TRACEPARENT"] == f"00-{RUN}-{RUN[16:]}-03"
    assert [found[name] for name in ("TRACESTATE", "GT_WORK_BEAD", "GT_OTEL_RECEIVER")] == ["", "", ""]


def test_the_agents_telemetry_is_switched_on_where_nobody_said_otherwise(town: Town) -> None:
    """Claude Code gets the receiver; a session that exports elsewhere already keeps that."""
    town.journal.write_config({"GT_OTEL_RECEIVER": "http://127.0.0.1:9/token"})
    town.spawn()
    found = town.variables("de-rust")
    assert found["GT_OTEL_RECEIVER"] == found["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:9/token"
    assert found["CLAUDE_CODE_ENABLE_TELEMETRY"] == "1"
    own = {**identity("other", str(town.root), ""), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere"}
    town.spawn("other", own)
    found = town.variables("other")
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://elsewhere"
    assert "GT_OTEL_RECEIVER" not in found


def test_an_agent_without_a_run_gets_one(town: Town) -> None:
    """As crew: GT_RUN is there with dashes, and its run is found by its pane, too."""
    crew = {"GT_ROLE": "demo/crew/max", "GT_CREW": "max", "GT_RIG": "demo", "GT_ROOT": str(town.root)}
    town.spawn("de-crew-max", crew)
    data = town.runs()["de-crew-max"]
    assert (data.run.info["role"], data.run.info["agent_name"]) == ("crew", "max")
    found = town.variables("de-crew-max")
    assert found["GT_RUN"] == to_uuid(data.run.trace_id)
    assert "GT_SESSION" not in found  # gt gives crew none


@pytest.mark.parametrize("words", [("-d",), ("-d", "-s", "mine", "-e", "A=b", "sleep 60")])
def test_a_session_of_no_agent_is_just_run(town: Town, words: tuple[str, ...]) -> None:
    """A user's own session gets nothing of ours, no record, and no context of whoever started it."""
    assert town.tmux("new-session", *words, more=TRACEPARENT).returncode == 0
    name = town.asked("list-sessions", "-F", "#{session_name}")
    assert "TRACEPARENT" not in town.variables(name)
    assert town.runs() == {}


def test_two_towns_on_one_server(make: Make) -> None:
    """Each journal has its own sessions, and only those."""
    one, two = make("one"), make("two")
    one.spawn("a", identity("a", str(one.root), ""))
    two.spawn("b", identity("b", str(two.root), ""))
    one.tmux("send-keys", "-t", "b", "not ours", "Enter")
    two.tmux("send-keys", "-t", "b", "ours", "Enter")
    assert (list(one.runs()), list(two.runs())) == (["a"], ["b"])
    assert [log.event_name for log in one.runs()["a"].logs] == ["session.start", "agent.instantiate"]
    assert [log.event_name for log in two.runs()["b"].logs][-1] == "prompt.send"


def test_what_is_too_long_for_tmux_runs_as_it_came(town: Town) -> None:
    """gt's own arguments fit, with ours they would not: the session gets no context, and is recorded."""
    long = {**identity("de-rust", str(town.root)), "LONG": "x" * 14_500}
    town.spawn("de-rust", long)
    assert "TRACEPARENT" not in town.variables("de-rust")
    assert town.variables("de-rust")["LONG"] == long["LONG"]
    assert [log.event_name for log in town.data().logs] == ["session.start", "agent.instantiate"]


def test_a_spawn_that_fails_is_a_run_that_failed(town: Town) -> None:
    """Nothing has started, so no agent is counted; gt sees what tmux says."""
    town.spawn(agent="")
    given = options({**identity("de-rust", str(town.root)), "GT_RUN": "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"})
    done = town.tmux("new-session", "-d", "-s", "de-rust", *given)
    assert (done.returncode, done.stderr) == (1, "duplicate session: de-rust\n")
    failed = town.data("4bf92f3577b34da6a3ce929d0e0e4736")
    assert [log.event_name for log in failed.logs] == ["session.start", "session.stop"]
    assert failed.run.root is not None
    assert failed.run.root.attributes["error"] == "tmux: exit code 1"
    assert not town.data().run.closed


def test_a_respawn_that_fails_is_an_error_of_its_run(town: Town) -> None:
    """tmux refuses to respawn a pane that runs without -k."""
    town.spawn()
    assert town.tmux("respawn-pane", "-t", "de-rust", "cat").returncode == 1
    assert [span.attributes["status"] for span in town.spans("session.start")] == ["ok", "error"]
    assert len(town.logs("agent.instantiate")) == 1


def test_an_agent_that_says_who_it_is_only_when_it_is_respawned(town: Town) -> None:
    """A session without variables becomes a run with the respawn whose command names them."""
    assert town.tmux("new-session", "-d", "-s", "hq-deacon", "-c", str(town.root)).returncode == 0
    agent = "exec env GT_ROLE=deacon GT_AGENT=claude BD_ACTOR=deacon sh -c 'echo $TRACEPARENT; exec cat'"
    assert town.tmux("respawn-pane", "-k", "-t", "hq-deacon", agent).returncode == 0
    data = town.runs()["hq-deacon"]
    assert data.run.info["role"] == "deacon"
    assert [log.event_name for log in data.logs] == ["session.start", "agent.instantiate"]
    shown = f"00-{data.run.trace_id}-{data.run.trace_id[16:]}-03"
    wait_until(lambda: shown in town.asked("capture-pane", "-p", "-J", "-t", "hq-deacon"), "its context")


def test_a_shim_that_is_killed_before_it_records_leaves_that_to_the_relay(town: Town, tmp_path: Path) -> None:
    """What it has started is found, with the run that the session carries: once."""
    real = tmp_path / "slow"
    stays = f': >"{tmp_path}/done"; while :; do sleep 0.1; done'
    script(real / "tmux", f'{shutil.which("tmux")} "$@"; case "$*" in *new-session*) {stays};; esac')
    given = options(identity("de-rust", str(town.root)))
    argv = ["tmux", "-L", town.label, "new-session", "-d", "-s", "de-rust", "-c", str(town.root), *given]
    shims, _, rest = town.env["PATH"].partition(":")
    env = {**town.env, "PATH": f"{shims}:{real}:{rest}"}
    with subprocess.Popen(argv, env=env, cwd=town.root, start_new_session=True) as shim:
        wait_until((tmp_path / "done").exists, "tmux has started the session")
        os.killpg(shim.pid, signal.SIGKILL)
    assert not Path(town.journal.run_dir(RUN)).exists()
    finder = Finder(town.journal, print, started_ns=0)
    found = []
    for _ in range(2):
        inspector = Inspector(town.plain)
        found.append(finder.look(inspector, reap(town.journal, town.plain, inspector), town.plain))
    assert found == [1, 0]
    assert [log.event_name for log in town.data().logs] == ["session.start", "agent.instantiate"]
