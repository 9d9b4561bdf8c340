"""gt 1.0.1 as released makes a bare session, and says who it is in the agent's command at respawn-pane."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tmux_kit import CAUSE, RUN, TRACEPARENT, UUID, Town

from gastown_tracing.journal.layout import PaneRegistry, create
from gastown_tracing.relay.finding import Finder
from gastown_tracing.sessions.liveness import Inspector
from gastown_tracing.sessions.reaping import reap
from gastown_tracing.shims.tmux.line import Command
from gastown_tracing.shims.tmux.spawn import variables_of
from propagation.run import to_uuid
from tests.processes import wait_until

WHO = "BD_ACTOR=demo/polecats/rust GT_AGENT=claude GT_RIG=demo GT_ROLE=demo/polecats/rust GT_SESSION=de-rust"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Return a town whose journal is there; its tmux server is ended afterwards."""
    town = Town(tmp_path)
    create(town.journal.root)
    yield town
    town.end()


def agent(town: Town, command: str, mark: Path) -> dict[str, str]:
    """Respawn de-rust's pane with an agent that leaves its environment in `mark`; return that."""
    shown = f"{command} sh -c 'env -0 >{mark}.new; mv {mark}.new {mark}; exec sleep 1000'"
    done = town.tmux("respawn-pane", "-k", "-t", "de-rust", "-c", str(town.root), shown, more=TRACEPARENT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    wait_until(mark.exists, "the agent has started")
    return dict(item.partition("=")[::2] for item in mark.read_text().split("\0")[:-1])


def bare(town: Town) -> None:
    """Make a session as gt does: nothing says whose it is."""
    done = town.tmux("new-session", "-d", "-s", "de-rust", "-c", str(town.root), more=TRACEPARENT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert town.runs() == {}


def test_the_run_is_the_one_that_the_command_exports(town: Town, tmp_path: Path) -> None:
    """A polecat's command exports GT_RUN before `exec env`: that is the run, and all that it gets says so."""
    bare(town)
    exports = f"export GT_BRANCH=polecat/rust/x GT_RUN={UUID} && export BD_DOLT_AUTO_COMMIT=off"
    env = agent(town, f"{exports} && exec env {WHO}", tmp_path / "one")
    assert (env["GT_RUN"], env["TRACEPARENT"]) == (UUID, f"00-{RUN}-{RUN[16:]}-03")
    assert [data.run.trace_id for data in town.runs().values()] == [RUN]
    info = town.data().run.info
    assert (info["role"], info["agent_name"], info["session"]) == ("polecat", "rust", "de-rust")
    (start,) = town.spans("session.start")
    assert [(link[0], link[1]) for link in start.links] == [CAUSE]
    assert len(town.logs("agent.instantiate")) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["exec env A=1 GT_ROLE=crew 'GT_CREW=a b' claude GT_RIG=x"], {"GT_ROLE": "crew", "GT_CREW": "a b"}),
        (['export A=1 GT_RIG=d && exec env GT_ROLE=crew claude "it\'s"'], {"GT_RIG": "d", "GT_ROLE": "crew"}),
        (["env", "GT_ROLE=crew", "claude", "GT_RIG=x"], {"GT_ROLE": "crew"}),
        (["exec env GT_RIG=d GT_ROLE='crew claude"], {}),
        (["claude GT_ROLE=crew"], {}),
        ([], {}),
    ],
)
def test_who_it_is_stands_before_the_program(words: list[str], expected: dict[str, str]) -> None:
    """As the shell reads it, and nothing of what stands behind."""
    assert variables_of(Command("respawn-pane", 1, {}, words)) == expected


def test_an_agent_that_is_started_again_stays_in_its_run(town: Town, tmp_path: Path) -> None:
    """Without a GT_RUN in the command we make one; another that gt gives the session later splits nothing."""
    bare(town)
    first = agent(town, f"exec env {WHO}", tmp_path / "one")
    (run_id,) = [data.run.trace_id for data in town.runs().values()]
    assert (first["GT_RUN"], first["TRACEPARENT"]) == (to_uuid(run_id), f"00-{run_id}-{run_id[16:]}-03")
    assert town.tmux("set-environment", "-t", "de-rust", "GT_RUN", UUID).returncode == 0
    second = agent(town, f"exec env {WHO}", tmp_path / "two")
    assert {name: second[name] for name in ("GT_RUN", "TRACEPARENT", "BAGGAGE")} == {
        name: first[name] for name in ("GT_RUN", "TRACEPARENT", "BAGGAGE")
    }
    assert [data.run.trace_id for data in town.runs().values()] == [run_id]
    assert len(town.logs("agent.instantiate", run_id)) == 2


def crew(town: Town, tmp_path: Path) -> str:
    """Start an agent of whom nobody says which run it is, and let it end; return its run."""
    bare(town)
    town.asked("set-option", "-t", "de-rust", "remain-on-exit", "on")
    agent(town, f"exec env {WHO}", tmp_path / "one")
    (run_id,) = [data.run.trace_id for data in town.runs().values()]
    os.kill(int(town.pane(run_id)["pane_pid"]), signal.SIGTERM)
    town.over(run_id)
    return run_id


@pytest.mark.parametrize("target", ["de-rust", "%0"])
def test_an_agent_that_is_started_after_the_end_is_a_run_of_its_own(
    town: Town, tmp_path: Path, target: str
) -> None:
    """As for the relay: what is closed stays closed, and the agent that lives is in a run that is open."""
    first = crew(town, tmp_path)
    words = ("respawn-pane", "-k", "-t", target, f"exec env {WHO} sleep 1000")
    assert town.tmux(*words, more=TRACEPARENT).returncode == 0
    second = town.runs()["de-rust"]
    assert (second.run.trace_id != first, second.run.closed) == (True, False)
    assert [log.event_name for log in second.logs] == ["session.start", "agent.instantiate"]
    assert [(link[0], link[1]) for link in town.spans("session.start", second.run.trace_id)[0].links] == [
        CAUSE
    ]
    assert len(town.logs("agent.instantiate", first)) == 1


def test_what_is_started_again_without_a_word_is_left_to_the_relay(town: Town, tmp_path: Path) -> None:
    """Nobody says who it is but the process that is there then."""
    first = crew(town, tmp_path)
    assert town.tmux("respawn-pane", "-k", "-t", "de-rust").returncode == 0
    assert len(town.logs("agent.instantiate", first)) == 1
    inspector = Inspector(town.plain)
    reaped = reap(town.journal, town.plain, inspector)
    assert Finder(town.journal, print, started_ns=0).look(inspector, reaped, town.plain) == 1


def test_a_further_pane_is_found_where_the_session_says_no_run(town: Town, tmp_path: Path) -> None:
    """Only the agent's own process has GT_RUN: what else runs in its session is known by its pane."""
    bare(town)
    agent(town, f"exec env {WHO}", tmp_path / "one")
    (run_id,) = [data.run.trace_id for data in town.runs().values()]
    town.asked("split-window", "-d", "-t", "de-rust", "sleep 1000")
    inspector = Inspector(town.plain)
    Finder(town.journal, print, started_ns=0).look(
        inspector, reap(town.journal, town.plain, inspector), town.plain
    )
    panes = town.asked("list-panes", "-t", "de-rust", "-F", "#{pane_id}").split()
    server = town.pane(run_id)
    registry = PaneRegistry(town.journal)
    known = [registry.run_for_pane(server["socket"], server["server_pid"], pane) for pane in panes]
    assert known == [run_id, run_id]


def test_a_session_that_says_which_run_it_is_goes_on_in_it(town: Town, tmp_path: Path) -> None:
    """GT_RUN decides the trace, also once its root is written."""
    first = crew(town, tmp_path)
    assert town.tmux("set-environment", "-t", "de-rust", "GT_RUN", to_uuid(first)).returncode == 0
    env = agent(town, f"exec env {WHO}", tmp_path / "two")
    assert env["GT_RUN"] == to_uuid(first)
    assert [data.run.trace_id for data in town.runs().values()] == [first]
    assert len(town.logs("agent.instantiate", first)) == 2
