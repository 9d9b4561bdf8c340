"""Looks at panes, the work that gt sets for a session, and what all of the tmux shim leaves alone."""

from __future__ import annotations

import os
from pathlib import Path

from tmux_kit import OTHER, RUN, TRACEPARENT, Town, identity, options

from gastown_tracing.journal.runs import read_work

OTHER_UUID = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"


def work(town: Town) -> list[tuple[str, str, str]]:
    """Return (rig, bead, source) of each line of the run's work.jsonl."""
    found = read_work([town.journal.run_dir(RUN)], [])
    return [(context.rig, context.bead, source) for _, context, source in found]


def test_a_look_is_recorded_where_it_comes_from(town: Town) -> None:
    """In the run of the agent that looks, in its span; whoever has no run looks in the run of the pane."""
    looker = {"GT_RUN": OTHER_UUID, "TRACEPARENT": f"00-{OTHER}-{'1' * 16}-03", "GT_ROLE": "demo/witness"}
    done = town.tmux("capture-pane", "-p", "-t", "de-rust", "-S", "-30", more=looker)
    assert done.returncode == 0
    assert town.logs("pane.read") == []
    (log,) = town.logs("pane.read", OTHER)
    assert (log.trace_id, log.span_id) == (OTHER, "1" * 16)
    assert (log.attributes["session"], log.attributes["lines_requested"]) == ("de-rust", 30)
    assert log.attributes["role"] == "witness"
    town.tmux("capture-pane", "-p", "-t", "%0", "-S", "-", more=TRACEPARENT)
    (log,) = town.logs("pane.read")
    assert (log.trace_id, log.span_id, log.attributes["session"]) == (RUN, RUN[16:], "de-rust")
    assert "lines_requested" not in log.attributes


def test_a_look_at_what_is_not_there_is_an_error(town: Town) -> None:
    """Of a pane that the session does not have."""
    assert town.tmux("capture-pane", "-p", "-t", "de-rust:0.9").returncode == 1
    (log,) = town.logs("pane.read")
    assert (log.attributes["status"], log.attributes["error"]) == ("error", "exit code 1")


def test_the_work_that_is_set_for_a_session_is_its_runs(town: Town) -> None:
    """Each variable changes its part; several at once are one change, and what is so already is none."""
    words = ["set-environment", "-t", "de-rust"]
    both = [*words, "GT_WORK_RIG", "demo", ";", *words, "GT_WORK_BEAD", "de-1"]
    for line in (both, both, [*words, "GT_WORK_BEAD", "de-2"], [*words, "GT_AGENT_READY", "1"]):
        assert town.tmux(*line).returncode == 0
    assert work(town) == [("demo", "de-1", "tmux"), ("demo", "de-2", "tmux")]
    assert town.tmux("setenv", "-u", "-t", "=de-rust", "GT_WORK_BEAD").returncode == 0
    assert town.tmux("setenv", "-g", "GT_WORK_BEAD", "everybody's").returncode == 0
    assert work(town)[2:] == [("demo", "", "tmux")]
    assert town.variables("de-rust")["GT_WORK_RIG"] == "demo"


def test_several_commands_in_one_line(town: Town) -> None:
    """A session, its option and its first prompt: what our variables stand behind is the right command."""
    given = options(identity("two", str(town.root), OTHER_UUID))
    line = ["set-option", "-g", "history-limit", "9", ";", "new", "-ds", "two", *given, "exec cat", ";"]
    done = town.tmux(*line, "set-option", "-t", "two", "@x", "a b;", "send", "-t", "two", "hello", "Enter")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert town.variables("two")["TRACEPARENT"].startswith(f"00-{OTHER}-")
    assert town.asked("show-options", "-t", "two", "-v", "@x") == "a b"
    assert town.asked("show-options", "-g", "-v", "history-limit") == "9"
    events = [log.event_name for log in town.data(OTHER).logs]
    assert events == ["session.start", "agent.instantiate", "prompt.send"]


def test_the_journals_switch_ends_it(town: Town) -> None:
    """Without `on` every command is tmux' alone."""
    Path(town.journal.on_path).unlink()
    town.spawn("two", identity("two", str(town.root), OTHER_UUID))
    town.tmux("send-keys", "-t", "de-rust", "hello", "Enter")
    town.tmux("kill-session", "-t", "de-rust")
    assert "TRACEPARENT" not in town.variables("two")
    assert not os.path.exists(town.journal.run_dir(OTHER))
    assert [log.event_name for log in town.data().logs] == ["session.start", "agent.instantiate"]


def test_no_tmux_is_no_tmux(town: Town) -> None:
    """What is not installed is not found, as without us."""
    env = {**town.env, "PATH": town.env["PATH"].partition(":")[0]}
    done = town.tmux("new-session", "-d", "-s", "x", env=env)
    assert (done.returncode, done.stderr) == (127, "tmux: command not found\n")
