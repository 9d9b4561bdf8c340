"""What hooks record: real processes, fed with what Claude Code says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from gastown_tracing.hooks import agents, launcher
from gastown_tracing.journal import index
from gastown_tracing.journal.parse import ReadLog
from tests.hooks.hook_kit import AGENT, INPUTS, ROOT, RUN, SECRET, SESSION, TRANSCRIPT, Hooks


def named(hooks: Hooks, event: str) -> list[ReadLog]:
    """Return the log records of an event, in their order."""
    found = [log for log in hooks.data().logs if log.event_name == event]
    return sorted(found, key=lambda log: log.time_ns)


def states(hooks: Hooks) -> list[object]:
    """Return the states that were recorded, in their order."""
    return [log.attributes["new_state"] for log in named(hooks, "agent.state_change")]


def test_a_session_belongs_to_its_run(hooks: Hooks) -> None:
    """SessionStart notes the session, its transcript and Claude Code's process, in the run and the index."""
    hooks("SessionStart")
    (line,) = hooks.lines()
    assert int(line.pop("time")) > 0
    assert line.pop("pid") == str(os.getpid())  # here it is we who call the hook
    assert line == {"session_id": SESSION, "transcript": TRANSCRIPT, "source": "startup"}
    assert index.look(hooks.journal, index.AGENTS, SESSION) == {"run_id": RUN, "transcript": TRANSCRIPT}


def test_clear_begins_another_session(hooks: Hooks) -> None:
    """After /clear the run has two sessions, and the end of the first says why."""
    hooks("SessionStart")
    hooks("SessionEnd", reason="clear")
    hooks("SessionStart", session_id="97750cca", transcript_path="/t/97750cca.jsonl", source="clear")
    first, end, second = hooks.lines()
    assert (first["session_id"], end["session_id"], end["ended"]) == (SESSION, SESSION, "clear")
    assert (second["session_id"], second["source"]) == ("97750cca", "clear")


def test_what_an_agent_does_is_recorded_when_it_changes(hooks: Hooks) -> None:
    """Working, waiting, working, idle: each once, however many hooks say it."""
    events = ("SessionStart", "UserPromptSubmit", "PreToolUse", "Notification", "PostToolUse", "PreToolUse",
              "PostToolUse", "Stop", "Stop", "SessionEnd")  # fmt: skip
    for event in events:
        hooks(event)
    assert states(hooks) == ["working", "waiting", "working", "idle"]
    change = named(hooks, "agent.state_change")[0]
    assert (change.trace_id, change.span_id) == (RUN, ROOT)
    assert change.attributes["agent_id"] == AGENT["BD_ACTOR"]
    assert "has_hook_bead" not in change.attributes  # nobody knows


def test_a_notification_of_idleness_is_no_second_end(hooks: Hooks) -> None:
    """An agent that is idle for a minute says so again, and an interrupted one for the first time."""
    hooks("UserPromptSubmit")
    hooks("Notification", notification_type="idle_prompt")
    hooks("Notification", notification_type="idle_prompt")
    hooks("Notification", notification_type="auth_success")
    hooks("Notification", notification_type=["no", "text"])
    assert states(hooks) == ["working", "idle"]


def test_the_bead_on_the_hook_is_named(hooks: Hooks) -> None:
    """What the index knows of the agent's hook stands on the record."""
    index.note(hooks.journal, index.HOOKS, AGENT["BD_ACTOR"], {"bead": "de-1tr"})
    hooks("UserPromptSubmit")
    index.note(hooks.journal, index.HOOKS, AGENT["BD_ACTOR"], {"bead": ""})
    hooks("Stop")
    found = [log.attributes for log in named(hooks, "agent.state_change")]
    assert [(one.get("hook_bead"), one["has_hook_bead"]) for one in found] == [
        ("de-1tr", True),
        (None, False),
    ]


def test_a_session_whose_start_was_missed_is_known_from_its_next_prompt(hooks: Hooks) -> None:
    """Hooks that were installed in the middle of a session note it, once."""
    hooks("UserPromptSubmit")
    hooks("Stop")
    (line,) = hooks.lines()
    assert (line["session_id"], line["source"]) == (SESSION, "UserPromptSubmit")


def test_nothing_of_the_conversation_is_recorded(hooks: Hooks) -> None:
    """Without GT_LOG_AGENT_OUTPUT no word of a prompt, a command, a result or an answer is in the journal."""
    for event in INPUTS:
        hooks(event)
    for name in hooks.files():
        assert SECRET not in Path(hooks.journal.root, name).read_text()


def test_the_conversation_is_recorded_for_who_asks(hooks: Hooks) -> None:
    """With GT_LOG_AGENT_OUTPUT its steps are: prompt, tool, result, answer, each as who said it."""
    env = {**hooks.env, "GT_LOG_AGENT_OUTPUT": "true"}
    for event in INPUTS:
        hooks(event, env=env)
    found = [log.attributes for log in named(hooks, "agent.event")]
    assert [(one["event_type"], one["role"], one["content"]) for one in found] == [
        ("text", "user", f"first {SECRET}"),
        ("tool_use", "assistant", 'Bash: ' + json.dumps(INPUTS["PreToolUse"]["tool_input"])),
        ("tool_result", "user", json.dumps(INPUTS["PostToolUse"]["tool_response"])),
        ("text", "assistant", f"It is {SECRET}."),
    ]  # fmt: skip
    assert {one["native_session_id"] for one in found} == {SESSION}
    assert {one["session"] for one in found} == {AGENT["GT_SESSION"]}


def test_the_gate_counts_in_the_journals_settings_too(hooks: Hooks) -> None:
    """GT_LOG_AGENT_OUTPUT in config.json is seen by the hooks around tools as well."""
    hooks("UserPromptSubmit")
    hooks.journal.write_config({"GT_LOG_AGENT_OUTPUT": "true"})
    hooks("PreToolUse")
    (step,) = named(hooks, "agent.event")
    assert step.attributes["event_type"] == "tool_use"


def test_a_session_within_a_session_is_not_its_successor(hooks: Hooks) -> None:
    """`claude -p` in a command of the agent's is noted as what it is, and the agent's own stays the last."""
    hooks("SessionStart")
    told = json.dumps({**INPUTS["SessionStart"], "session_id": "inner", "transcript_path": "/t/inner.jsonl"})
    words = ["/bin/sh", "-c", launcher.command(str(hooks.launcher), "SessionStart")]
    program = f"import os, subprocess; subprocess.run({words!r}, input={told!r}, text=True, check=True)"
    subprocess.run([sys.executable, "-c", program], env=hooks.env, check=True)  # it has the agent's variable
    assert [(line["session_id"], line.get("within")) for line in hooks.lines()] == [
        (SESSION, None),
        ("inner", SESSION),
    ]
    assert agents.last_session([hooks.journal.run_dir(RUN)]) == (SESSION, TRANSCRIPT)
