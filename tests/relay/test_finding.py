"""The relay finds in tmux what no shim saw: once, with its own run, and nothing that is somebody else's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gastown_tracing.hooks import agents
from gastown_tracing.journal import hooks
from gastown_tracing.journal.layout import create
from gastown_tracing.sessions.liveness import STARTING_NS
from propagation.run import root_span_id
from tests.processes import wait_until
from tests.relay.find_kit import CREW, RUN, UUID, Town, events, towns

GT_TRACE = f"{sys.executable} -m gastown_tracing.cli"
POLECAT = {"GT_RUN": UUID, "GT_ROLE": "demo/polecats/rust", "GT_RIG": "demo", "GT_POLECAT": "rust"}

make = towns


@pytest.fixture
def town(make: Callable[..., Town]) -> Town:
    """Return a town."""
    return make()


def test_a_session_with_a_run_is_found_once(town: Town) -> None:
    """Its start is when tmux made it; how and when it was found is said; a second look finds nothing new."""
    town.spawn("gt-demo-rust", POLECAT)
    assert (town.look(), town.look()) == (1, 0)
    data = town.runs()["gt-demo-rust"]
    created = int(town.tmux("display", "-p", "-t", "gt-demo-rust", "#{session_created}"))
    assert data.run.trace_id == RUN
    assert (data.run.info["found"], data.run.start_ns) == ("relay", created * 10**9)
    assert [span.name for span in data.spans] == ["session.start"]
    assert data.spans[0].parent_id == root_span_id(RUN)
    assert events(data) == ["session.start", "agent.instantiate"]
    for record in (*data.spans, *data.logs):
        assert record.attributes["gastown.evidence"] == "found in tmux by the relay"
        assert int(str(record.attributes["gastown.found.time_unix_nano"])) >= data.run.start_ns
        named = [record.attributes[key] for key in ("role", "rig", "agent_name", "session_id", "town_root")]
        assert named == ["polecat", "demo", "rust", "gt-demo-rust", town.root]
    assert town.log == [f"found session gt-demo-rust in tmux: run {RUN}"]


def test_a_session_that_only_a_hook_has_noted_is_found(town: Town) -> None:
    """Its run has a directory, with the agent's session in it, and no run.json before it is found."""
    agents.begins(town.journal, RUN, "an-agents-session", {})
    town.spawn("gt-demo-rust", POLECAT)
    assert town.look() == 1
    data = town.runs()["gt-demo-rust"]
    assert (data.run.trace_id, data.run.info["found"]) == (RUN, "relay")
    assert Path(town.journal.run_dir(RUN), "agents.jsonl").exists()


def test_a_crew_session_gets_a_run_and_its_commands_belong_there(town: Town) -> None:
    """It has no GT_RUN: what runs in its panes is found by TMUX and TMUX_PANE, also in a pane made later."""
    town.spawn("gt-demo-crew-max", CREW)
    assert town.look() == 1
    town.tmux("split-window", "-d", "-t", "=gt-demo-crew-max:", "sleep 1000")
    assert town.look() == 0
    traced = f"{GT_TRACE} exec -- true; tmux wait-for -S done; exec sleep 1000"
    for pane in town.panes("gt-demo-crew-max"):
        town.tmux("respawn-pane", "-k", "-c", town.root, "-t", pane, traced)
        town.tmux("wait-for", "done")
    (data,) = town.runs().values()
    assert [span.name for span in data.spans] == ["session.start", "true", "true"]
    assert {span.parent_id for span in data.spans} == {root_span_id(data.run.trace_id)}
    assert {span.attributes["agent_name"] for span in data.spans} == {"max"}


def test_a_session_in_the_town_that_says_nothing_is_no_agents(make: Callable[..., Town]) -> None:
    """Whoever works in the town's directory has a run, by the directory alone, but no agent in it."""
    town = make()
    town.spawn("mine", {}, at=f"{town.root}/mayor", root="")
    assert town.look() == 1
    data = town.runs()["mine"]
    assert events(data) == ["session.start"]
    assert (data.run.info["town_root"], data.run.info["work_dir"]) == (town.root, f"{town.root}/mayor")


@pytest.mark.parametrize("name", ["other town", "no town", "another journal", "switched off"])
def test_what_is_not_the_journals_is_left(town: Town, tmp_path: Path, name: str) -> None:
    """Another town's, nobody's, one whose commands record elsewhere, one that wants no records."""
    elsewhere = tmp_path / "elsewhere" / "mayor"
    elsewhere.mkdir(parents=True)
    (elsewhere / "town.json").touch()
    more = {
        "other town": {"GT_ROOT": str(elsewhere.parent)},
        "no town": {"GT_ROOT": ""},
        "another journal": {"GT_OTEL_JOURNAL": str(tmp_path / "journal")},
        "switched off": {"OTEL_SDK_DISABLED": "true"},
    }[name]
    town.spawn("gt-demo-rust", {**POLECAT, **more}, at=str(tmp_path))
    assert town.look() == 0
    assert town.runs() == {}


def test_two_towns_on_one_server_find_their_own(make: Callable[..., Town]) -> None:
    """Each journal has the sessions of its town, whatever order they look in."""
    one, other = make("one town"), make("other 'town'")
    one.spawn("gt-a-crew-max", CREW)
    other.spawn("gt-b-crew-max", CREW)
    assert (other.look(), one.look(), other.look()) == (1, 1, 0)
    assert (list(one.runs()), list(other.runs())) == (["gt-a-crew-max"], ["gt-b-crew-max"])


def test_a_journal_elsewhere_knows_its_town_by_its_sessions(town: Town, tmp_path: Path) -> None:
    """GT_OTEL_JOURNAL names it, or it has had a session of the town, whose own journal is not there."""
    elsewhere = str(tmp_path / "elsewhere")
    os.rename(town.journal.root, tmp_path / "away")
    town.use(create(elsewhere))
    town.spawn("gt-demo-crew-eve", CREW)
    assert town.look() == 0
    town.spawn("gt-demo-crew-max", {**CREW, "GT_OTEL_JOURNAL": elsewhere})
    assert (town.look(), town.look()) == (1, 1)
    assert set(town.runs()) == {"gt-demo-crew-eve", "gt-demo-crew-max"}


def test_who_is_just_starting_is_left_to_the_one_who_starts_it(town: Town) -> None:
    """Neither a session of some seconds ago nor a process of some seconds ago in an older one is touched."""
    town.spawn("gt-demo-rust", POLECAT)
    town.use(town.journal, started_ns=STARTING_NS)
    assert town.look() == 0
    assert town.runs() == {}


def test_what_hung_on_the_hook_when_it_began_is_what_it_was_started_for(town: Town) -> None:
    """What came on the hook later is not; and no work is in force before the first prime."""
    hooks.take(town.journal, {"bead": "de-1", "actor": POLECAT["GT_ROLE"]}, RUN, "1" * 16)
    second = int(time.time())  # tmux counts no less
    wait_until(lambda: int(time.time()) > second, "the next second")
    town.spawn("gt-demo-rust", {**POLECAT, "BD_ACTOR": POLECAT["GT_ROLE"]})
    town.spawn("gt-demo-crew-max", CREW)
    hooks.take(town.journal, {"bead": "de-2", "actor": CREW["BD_ACTOR"]}, RUN, "1" * 16)
    assert town.look() == 2
    found = town.runs()
    issues = [found[name].run.info["issue_id"] for name in ("gt-demo-rust", "gt-demo-crew-max")]
    assert issues == ["de-1", ""]
    assert "work_bead" not in found["gt-demo-rust"].spans[0].attributes


def test_sessions_of_one_group_are_one(town: Town) -> None:
    """Who attaches by a session of its own (new-session -t) is no agent more."""
    town.spawn("gt-demo-crew-max", CREW)
    town.tmux("new-session", "-d", "-t", "=gt-demo-crew-max", "-s", "looking on")
    assert (town.look(), town.look()) == (1, 0)
    assert list(town.runs()) == ["gt-demo-crew-max"]


def test_an_agent_that_was_started_again_is_one_more_in_its_run(town: Town) -> None:
    """Nobody saw the respawn: it is a mark and an agent more, once; pane.json names the new process."""
    town.spawn("gt-demo-crew-max", CREW)
    town.look()
    (pane,) = town.panes("gt-demo-crew-max")
    town.tmux("respawn-pane", "-k", "-t", pane, "sleep 1001")
    assert [town.look(), town.look()] == [0, 0]
    (data,) = town.runs().values()
    assert events(data) == ["session.start", "agent.instantiate", "agent.instantiate"]
    assert [span.name for span in data.spans] == ["session.start", "agent.restart"]
    assert data.spans[1].attributes["restart"] == 1
    place = json.loads(Path(data.run.directories[0], "pane.json").read_text())
    assert place["pane_pid"] == town.tmux("display", "-p", "-t", pane, "#{pane_pid}")
    assert place["agents"] == "2"


def test_a_stale_process_in_pane_json_is_no_death(town: Town) -> None:
    """Between a respawn and the look that notes it the session lives: its server says so."""
    town.spawn("gt-demo-crew-max", CREW)
    town.look()
    town.use(town.journal, started_ns=STARTING_NS)
    town.tmux("respawn-pane", "-k", "-t", "=gt-demo-crew-max:", "sleep 1001")
    town.look()
    (data,) = town.runs().values()
    assert not data.run.closed
    assert events(data) == ["session.start", "agent.instantiate"]


def test_a_pane_that_died_is_the_end(town: Town) -> None:
    """tmux keeps what it printed: the run is closed with its exit code, and the remains are found no more."""
    hold = ("set", "-s", "exit-empty", "off")
    town.tmux("-f", "/dev/null", "start-server", ";", "set", "-g", "remain-on-exit", "on", ";", *hold)
    town.spawn(
        "gt-demo-crew-max", CREW, "sh", "-c", f"while [ ! -e {town.root}/go ]; do sleep 0.02; done; exit 3"
    )
    assert town.look() == 1
    Path(town.root, "go").touch()
    known = ("display", "-p", "-t", "=gt-demo-crew-max:", "#{?pane_dead_time,1,0}")
    # tmux may miss that a child has ended until the next one ends, and that one, too.
    nudge = ("run-shell", "-b", "true", ";", *known)
    wait_until(lambda: town.tmux(*nudge) == "1", "tmux knows how it ended")
    assert (town.look(), town.look()) == (0, 0)
    (data,) = town.runs().values()
    root = data.run.root
    assert root is not None
    assert (root.attributes["reason"], root.attributes["exit_code"]) == ("exited", 3)


def test_what_is_started_after_the_end_is_a_run_of_its_own(town: Town) -> None:
    """A crew's pane that runs something else after its run was closed; what runs on there is left."""
    test_a_pane_that_died_is_the_end(town)
    (first,) = town.runs().values()
    town.tmux("respawn-pane", "-t", "=gt-demo-crew-max:", "sleep 1000")
    assert (town.look(), town.look()) == (1, 0)
    runs = [path for path in os.listdir(f"{town.journal.root}/runs") if path != first.run.trace_id]
    assert len(runs) == 1


@pytest.mark.parametrize(("sessions", "reason"), [(1, "exited"), (2, "server ended")])
def test_a_server_that_is_killed_takes_its_sessions_along(town: Town, sessions: int, reason: str) -> None:
    """Each is closed, once: the last session that was known has ended, of several their server has."""
    for number in range(sessions):
        town.spawn(f"gt-demo-crew-{number}", CREW)
    assert town.look() == sessions
    processes = [int(pid) for pid in town.tmux("list-panes", "-a", "-F", "#{pane_pid}").split()]
    os.kill(int(town.tmux("display", "-p", "#{pid}")), signal.SIGKILL)
    gone = [Path(f"/proc/{pid}") for pid in processes]
    wait_until(lambda: not any(path.exists() for path in gone), "the agents were hung up on")
    assert town.look() == 0
    roots = [data.run.root for data in town.runs().values()]
    assert [root.attributes["reason"] if root else "" for root in roots] == [reason] * sessions
    assert all("is gone" in str(root.attributes["gastown.evidence"]) for root in roots if root)


def test_a_server_that_hangs_is_left_alone_for_a_while(town: Town, make: Callable[..., Town]) -> None:
    """It is asked once; the sessions of others are found all the same, and what is left of one that died
    is not asked at all.
    """
    other = make("other", "hanging")
    other.spawn("gt-demo-crew-eve", CREW)
    town.spawn("gt-demo-crew-max", CREW)
    server = int(other.tmux("display", "-p", "#{pid}"))
    os.kill(server, signal.SIGSTOP)
    try:
        assert town.look() == 1
        assert len(town.finder._silent) == 1
        assert town.look() == 0
    finally:
        os.kill(server, signal.SIGCONT)
    subprocess.run(["tmux", "-L", "hanging", "kill-server"], env=other.env, check=True)
