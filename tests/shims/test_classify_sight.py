"""The table of how each event is seen is whole, and its command lines are what it says."""

from __future__ import annotations

import shlex

import pytest

from docs import from_sight
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.sight import NOT, SHIM, SIGHTS, WAYS, Sight
from gastown_tracing.shims.lines.bd import RULES as BD_RULES
from gastown_tracing.shims.lines.classify import classify
from gastown_tracing.shims.lines.gt import RULES as GT_RULES
from gastown_tracing.shims.tmux import line as tmux_line
from gastown_tracing.shims.tmux import table as tmux_table

SHIMS = [sight for sight in SIGHTS if sight.way == SHIM]
#: The command of tmux that an event is seen by.
TMUX = {
    "agent.instantiate": "respawn-pane",
    "session.start": "new-session",
    "session.stop": "kill-session",
    "prompt.send": "send-keys",
    "pane.read": "capture-pane",
    "pane.output": "new-session",
}


def test_every_event_has_a_row() -> None:
    """In the registry's order, an event's rows together; one that nobody sees has a single one, with why."""
    assert list(dict.fromkeys(sight.event for sight in SIGHTS)) == sorted(
        {sight.event for sight in SIGHTS}, key=list(EVENTS).index
    )
    assert {sight.event for sight in SIGHTS} == set(EVENTS)
    for sight in SIGHTS:
        assert sight.way in WAYS
        assert sight.what.endswith(".")
        assert bool(sight.line) == (sight.way == SHIM)
        assert sight.way != NOT or [found.event for found in SIGHTS].count(sight.event) == 1
    assert set(from_sight.WAYS) == set(WAYS)


@pytest.mark.parametrize("sight", SHIMS, ids=lambda sight: f"{sight.event}: {sight.line[:30]}")
def test_the_example_of_a_shim_is_the_event(sight: Sight) -> None:
    """Read by the shim of the program that it begins with."""
    program, *words = shlex.split(sight.line)
    if program == "tmux":
        line = tmux_line.parse(words)
        assert line is not None
        assert [command.name for command in line.commands] == [TMUX[sight.event]]
        assert TMUX[sight.event] in tmux_table.WANTED.split()
    else:
        seen = classify(program, words)
        assert seen is not None
        assert seen.event == sight.event


def test_what_a_command_line_can_be_is_in_the_table() -> None:
    """An event that `classify` knows has a shim's row."""
    lines = [("bd", name) for name in BD_RULES] + [("gt", name) for name in GT_RULES]
    found = [classify(program, [*name.split(), "demo/x", "--rig=demo"]) for program, name in lines]
    assert {seen.event for seen in found if seen is not None} <= {sight.event for sight in SHIMS}
