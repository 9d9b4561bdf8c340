"""The real bd answers what the recorded answers say, and the probe reads it the same way."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gastown_tracing.probes.bd import Bd
from gastown_tracing.probes.refinery import Refinery
from gastown_tracing.probes.rigs import Place
from tests.probes.scenario import Answers, Demo, answers, recorded, stages

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("bd") is None, reason="bd (beads) is not on PATH"),
]


def shape(said: Answers) -> dict[str, list[dict[str, object]]]:
    """Return what an answer tells of each item, without what is different each time."""
    own = ("status", "assignee", "description", "labels", "ephemeral")
    return {
        question: sorted(
            [{"keys": sorted(item), **{name: item.get(name) for name in own}} for item in said[question]],
            key=repr,
        )
        for question in ("queue", "changed", "named")
    }


def test_a_real_queue_is_read_as_the_recorded_one_is(tmp_path: Path) -> None:
    """Made, taken, released, merged between two polls, reopened: with every field as it was recorded."""
    demo = Demo(tmp_path / "demo")
    # bd rounds to whole seconds, also upwards: a clock a little ahead finds no age that is not over yet.
    probe = Refinery(
        [Place("demo", str(demo.directory))],
        Bd(demo.env, timeout=60),
        now=lambda: datetime.now(UTC) + timedelta(seconds=2),
    )
    state, depths, dispatched, waits = None, {}, {}, {}
    for stage in stages(demo):
        reading = probe.poll(state)
        state = reading.state
        assert reading.unread == ()
        names = {bead_id: name for name, bead_id in demo.ids.items()}
        depths[stage] = [gauge.value for gauge in reading.gauges]
        dispatched[stage] = sorted(names[str(event.attributes["bead_id"])] for event in reading.events)
        waits[stage] = [
            event.attributes["wait_ms"] for event in reading.events if "wait_ms" in event.attributes
        ]
        assert len(reading.values) == (depths[stage] != [0])
        assert all(value.value > 0 for value in reading.values)
        assert shape(answers(demo, list(demo.ids))) == shape(recorded()[stage])
    assert [*depths.items()] == [
        *[("empty", [0]), ("waiting", [2]), ("dispatched", [1])],
        *[("released", [2]), ("merged", [0]), ("reopened", [0])],
    ]
    assert {stage: found for stage, found in dispatched.items() if found} == {
        "dispatched": ["wisp"],
        "merged": ["plain", "quick", "wisp"],
    }
    assert {stage: len(found) for stage, found in waits.items() if found} == {"dispatched": 1, "merged": 1}
    assert all(float(wait) >= 0 for found in waits.values() for wait in found)
