"""gt 1.0.1 as released makes a bare session, and says who it is in the agent's command at respawn-pane."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tmux_kit import CAUSE, RUN, TRACEPARENT, UUID, Town

from gastown_tracing.journal.layout import create
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
