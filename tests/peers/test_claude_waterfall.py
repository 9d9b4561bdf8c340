"""Claude Code itself: one waterfall for an interactive session, its hooks, and which session was whose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from propagation.run import new_run_id
from tests.conftest import clean_environ
from tests.peers.agents import DEADLINE, Town, a_town
from tests.peers.claude import requires_claude
from tests.processes import wait_until

pytestmark = requires_claude

TOOL = ["claude_code.tool.execution", "claude_code.tool"]


@pytest.fixture
def town(tmp_path: Path, tmux_socket: str) -> Iterator[Town]:
    """Return a town with a model and a relay."""
    with a_town(tmp_path, clean_environ(), tmux_socket) as found:
        yield found


@pytest.mark.parametrize("way", ["gt-trace", "tmux"])
def test_an_interactive_session_is_one_waterfall(town: Town, way: str) -> None:
    """bd hangs on the tool call that ran it, for a prompt on the command line and for a typed one.

    So it is whether `gt-trace session start` spawns the agent or gt does, seen by the tmux shim.
    """
    town.run("hook", "claude", "install")
    words = ("--settings", town.settings(), "First `bd list --status=open`")
    if way == "tmux":
        town.see("tmux")
        agent = town.spawn("rust", new_run_id(), *words)
    else:
        agent = town.start("rust", *words)
    first = agent.above(agent.call("list"))
    # A prompt on the command line may come before Claude Code's interactions begin to be spans.
    assert first in ([*TOOL, "gt.session"], [*TOOL, "claude_code.interaction", "gt.session"])
    wait_until(lambda: agent.states() == ["working", "idle"], "the agent is idle", DEADLINE)
    agent.type("then `bd ready` please")
    assert agent.above(agent.call("ready")) == [*TOOL, "claude_code.interaction", "gt.session"]
    wait_until(lambda: len(agent.states()) == 4, "it is idle again", DEADLINE)
    data = agent.data()
    assert {span.trace_id for span in data.spans} == {agent.run_id}
    (prime,) = [span for span in data.spans if span.name == "prime"]
    assert (prime.attributes["hook_mode"], agent.above(prime)) == (True, ["gt.session"])
    assert "hook error" not in agent.screen().lower()
    asked = json.dumps(town.model.requests)
    assert "You are a polecat." in asked  # what gt's own hook prints is for the agent
    assert "gt-trace" not in asked


def test_clear_begins_a_session_and_the_root_has_the_last(town: Town) -> None:
    """After /clear the same run has another session; its end and reasons are known, and the root names it."""
    town.run("hook", "claude", "install")
    agent = town.start("rust", "First `true`")
    wait_until(lambda: agent.states() == ["working", "idle"], "the first answer", DEADLINE)
    agent.type("/clear")
    wait_until(lambda: len(agent.sessions()) == 3, "another session", DEADLINE)
    first, end, second = agent.sessions()
    assert (first["source"], end["ended"], second["source"]) == ("startup", "clear", "clear")
    assert first["session_id"] == end["session_id"] != second["session_id"]
    agent.type("again `bd ready` now")
    agent.call("ready")
    town.run("session", "stop", agent.run_id)
    wait_until(lambda: agent.data().run.root is not None, "the session has ended", DEADLINE)
    root = agent.data().run.root
    assert root is not None
    assert root.attributes["gen_ai.conversation.id"] == second["session_id"]
    (row,) = json.loads(town.run("ls", "--json"))
    assert (row["native_session_id"], row["transcript"]) == (second["session_id"], second["transcript"])


def test_two_agents_in_one_directory(town: Town) -> None:
    """Each of two agents that work in one directory at once has its own transcript, and its own commands."""
    town.run("hook", "claude", "install")
    agents = [town.start(name, f"I am {name}: `bd show {name}-1`") for name in ("rust", "chrome")]
    for agent in agents:
        wait_until(lambda agent=agent: agent.states() == ["working", "idle"], "its answer", DEADLINE)
        agent.call("show")
    rows = {row["agent"]: row for row in json.loads(town.run("ls", "--json"))}
    for agent, name, other in zip(agents, ("rust", "chrome"), ("chrome", "rust"), strict=True):
        assert rows[name]["run_id"] == agent.run_id
        transcript = Path(rows[name]["transcript"]).read_text()
        assert f"I am {name}" in transcript
        assert f"I am {other}" not in transcript
        assert {span.trace_id for span in agent.data().spans} == {agent.run_id}


def test_without_hooks_the_first_command_says_which_session_it_is(town: Town) -> None:
    """A session whose agent has no hook of ours is known from the first bd that it runs."""
    agent = town.start("rust", "First `bd ready`")
    agent.call("ready")
    wait_until(agent.sessions, "its session is noted", DEADLINE)
    (line,) = agent.sessions()
    assert line["source"] == "bd"
    assert "First `bd ready`" in Path(line["transcript"]).read_text()
    assert Path(line["transcript"]).stem == line["session_id"]


def test_without_a_receiver_bd_hangs_on_the_root(town: Town) -> None:
    """Where the operator sends Claude Code's spans elsewhere, bd hangs on the root with a link to them."""
    town.env |= {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
        "CLAUDE_CODE_PROPAGATE_TRACEPARENT": "1",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    }
    agent = town.start("rust", "First `bd ready`")
    call = agent.call("ready")
    assert agent.above(call) == ["gt.session"]
    ((trace_id, span_id, _, _),) = call.links
    assert trace_id != agent.run_id
    assert span_id


def test_a_run_without_a_terminal_nests_by_itself(town: Town) -> None:
    """`claude -p` takes the session's context: its spans are born in the run's trace."""
    agent = town.start("rust", "-p", "First `bd ready`")
    call = agent.call("ready")
    assert agent.above(call)[:2] == TOOL
    spans = [span for span in agent.data().spans if span.name.startswith("claude_code")]
    assert spans
    assert not [span for span in spans if "gastown.original_trace_id" in span.attributes]


def test_a_long_result_is_no_trouble(town: Town) -> None:
    """The hooks around tools, which read nothing of it, bear a tool's long input and result."""
    town.run("hook", "claude", "install")
    agent = town.start("rust", "First `head -c 20000 /dev/zero | tr '\\0' x` then `bd ready`")
    agent.call("ready")
    wait_until(lambda: agent.states() == ["working", "idle"], "its answer", DEADLINE)
    assert "error" not in agent.screen().lower()


def test_an_agent_that_waits_for_a_permission_is_seen_to_wait(town: Town) -> None:
    """Asked whether a command may run, it waits; once it may, it works again and comes to its end."""
    town.run("hook", "claude", "install")
    agent = town.start("rust", "First `bd ready`", asking=True)
    wait_until(lambda: agent.states() == ["working", "waiting"], "it waits", DEADLINE)
    town.tmux("send-keys", "-t", agent.session, "Enter")
    agent.call("ready")
    wait_until(lambda: agent.states() == ["working", "waiting", "working", "idle"], "its answer", DEADLINE)
