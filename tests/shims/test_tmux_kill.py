"""Sessions that gt ends in tmux are over in their run, too: who ended them, and why."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tmux_kit import CAUSE, OTHER, RUN, TRACEPARENT, Town, identity

from gastown_tracing.sessions.liveness import Inspector
from gastown_tracing.sessions.reaping import reap
from tests.processes import is_alive, wait_until


def spawn_other(town: Town) -> None:
    """Start a second agent."""
    town.spawn("other", {**identity("other", str(town.root), ""), "GT_RUN": OTHER})


def has_session(town: Town) -> bool:
    """Return whether tmux has the first agent's session."""
    return town.tmux("has-session", "-t", "=de-rust", env=town.plain).returncode == 0


def look(town: Town) -> None:
    """Do what the relay does with sessions that ended."""
    reap(town.journal, town.plain, Inspector(town.plain))


def test_a_session_that_is_killed_is_over(town: Town) -> None:
    """session.stop says who, by a link and in words, and how long the session was."""
    killer = {**TRACEPARENT, "BD_ACTOR": "mayor"}
    done = town.tmux("kill-session", "-t", "de-rust", more=killer)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    town.over(RUN)
    data = town.data()
    assert data.run.root is not None
    assert (data.run.root.attributes["reason"], data.run.root.attributes["status"]) == ("stopped", "ok")
    (stop,) = town.spans("session.stop")
    assert [(link[0], link[1]) for link in stop.links] == [CAUSE]
    assert stop.attributes["gastown.stopped_by"] == "mayor"
    assert float(str(stop.attributes["duration_ms"])) > 0
    assert data.run.root.links == []
    look(town)
    assert len(town.spans("session.stop")) == 1


def test_processes_first_and_then_the_session_as_gt_does(town: Town) -> None:
    """tmux knows the session no more when it is to be killed, and says so; yet it was gt who ended it."""
    assert town.tmux("set-hook", "-t", "de-rust", "-u", "pane-died", more=TRACEPARENT).returncode == 0
    pid = int(town.pane()["pane_pid"])
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), "the agent has ended")
    wait_until(
        lambda: town.tmux("has-session", "-t", "=de-rust", env=town.plain).returncode, "its session, too"
    )
    done = town.tmux("kill-session", "-t", "de-rust", more=TRACEPARENT)
    assert done.returncode == 1
    assert done.stderr
    (stop,) = town.spans("session.stop")
    assert (stop.attributes["reason"], [(link[0], link[1]) for link in stop.links]) == ("stopped", [CAUSE])


def test_the_relay_that_is_first_to_see_it_knows_who(town: Town) -> None:
    """Between the end of the processes and kill-session somebody looked: it was not lost."""
    town.tmux("set-hook", "-t", "de-rust", "-u", "pane-died", more=TRACEPARENT)
    pid = int(town.pane()["pane_pid"])
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not has_session(town), "it is gone")
    look(town)
    (stop,) = town.spans("session.stop")
    assert (stop.attributes["reason"], [(link[0], link[1]) for link in stop.links]) == ("stopped", [CAUSE])


def test_a_session_that_ended_by_itself_was_not_killed(town: Town) -> None:
    """Who kills what is long gone has ended nothing; the relay says what is known."""
    pid = int(town.pane()["pane_pid"])
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not has_session(town), "it is gone")
    assert town.tmux("kill-session", "-t", "de-rust", more=TRACEPARENT).returncode == 1
    assert town.spans("session.stop") == []
    look(town)
    assert town.spans("session.stop")[0].attributes["reason"] in ("exited", "lost")


def test_an_agent_that_ignores_the_hang_up_lives_until_it_ends(town: Town) -> None:
    """Its run stays open; when it has ended the relay closes it, and knows who told it to."""
    ready = Path(town.root, "ready")
    agent = f"trap '' HUP; : >'{ready}'; while :; do sleep 0.05; done"
    town.tmux("respawn-pane", "-k", "-t", "de-rust", agent)
    wait_until(ready.exists, "the agent ignores the hang-up")
    pid = int(town.pane()["pane_pid"])
    assert town.tmux("kill-session", "-t", "=de-rust", more=TRACEPARENT).returncode == 0
    look(town)
    assert not town.data().run.closed
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), "the agent has ended")
    look(town)
    assert town.spans("session.stop")[0].attributes["reason"] == "stopped"


@pytest.mark.parametrize("words", [("kill-server",), ("kill-session", "-a", "-t", "keep")])
def test_all_sessions_of_a_server(town: Town, words: tuple[str, ...]) -> None:
    """kill-server ends all of them, kill-session -a all but one."""
    spawn_other(town)
    town.tmux("new-session", "-d", "-s", "keep", env=town.plain)
    assert town.tmux(*words, more=TRACEPARENT).returncode == 0
    town.over(RUN, OTHER)
    assert [len(town.spans("session.stop", run)) for run in (RUN, OTHER)] == [1, 1]


def test_nobody_else_is_closed(town: Town) -> None:
    """Another session of the server lives on, and -C ends none."""
    spawn_other(town)
    town.tmux("kill-session", "-C", "-t", "de-rust")
    town.tmux("kill-session", "-t", "other")
    town.over(OTHER)
    assert (town.data(RUN).run.closed, town.data(OTHER).run.closed) == (False, True)


def test_who_ends_the_session_that_it_runs_in(town: Town) -> None:
    """As `gt done` does: no link within one trace, and the record is whole though its own pane is gone."""
    own = {"TRACEPARENT": f"00-{RUN}-{'1' * 16}-03", "GT_RUN": RUN}
    words = " ".join(f"{name}={value}" for name, value in own.items())
    line = f"export {words}; read go; tmux -L {town.label} kill-session -t de-rust; :"
    town.tmux("respawn-pane", "-k", "-t", "de-rust", line)
    town.asked("send-keys", "-t", "de-rust", "Enter")
    wait_until(lambda: town.data().run.closed, "the run is closed")
    wait_until(lambda: town.spans("session.stop"), "its end is recorded")
    assert town.spans("session.stop")[0].links == []
