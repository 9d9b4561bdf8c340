"""The merge queue as the probe reads it, from what a real bd once said and from what it may say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing.probes.bd import Bd
from gastown_tracing.probes.probe import Reading, State
from gastown_tracing.probes.refinery import CHANGED, NAMED, QUEUE, Refinery
from gastown_tracing.probes.rigs import Place
from tests.probes.scenario import recorded
from tests.probes.standin import StandIn, bead

NOW = datetime(2026, 11, 21, 3, 10, tzinfo=UTC)
TAKEN = {"assignee": "demo/refinery", "updated_at": "2026-11-21T03:04:00Z"}
CLOSED = {**TAKEN, "status": "closed", "closed_at": "2026-11-21T03:04:00Z"}


def depths(reading: Reading) -> dict[str, float]:
    assert {gauge.metric for gauge in reading.gauges} <= {"gastown.refinery.queue_depth"}
    return {gauge.labels["rig"]: gauge.value for gauge in reading.gauges}


def ages(reading: Reading) -> dict[str, float]:
    assert {value.metric for value in reading.values} <= {"gastown.refinery.item_age_ms"}
    return {value.labels["rig"]: value.value for value in reading.values}


def dispatches(reading: Reading) -> list[Mapping[str, object]]:
    assert {event.event for event in reading.events} <= {"refinery.dispatch"}
    return [event.attributes for event in reading.events]


class Town:
    """Rigs whose bd answers what a test says, and the time of the next poll."""

    def __init__(self, root: Path, rigs: Sequence[str]) -> None:
        self.now = NOW
        self.state: State | None = None
        self.rigs = {rig: StandIn(root / rig) for rig in rigs}
        for standin in self.rigs.values():
            standin.answer()
        self.places = [Place(rig, str(standin.directory)) for rig, standin in self.rigs.items()]
        # One bd, which answers from the directory that it is asked in.
        script = 'STANDIN="$PWD"; export STANDIN; exec "$PWD/bin/bd" "$@"'
        self.bd = Bd(StandIn(root / "any", script).env)

    def answer(self, rig: str, *beads: dict[str, Any], envelope: bool = False) -> None:
        """Say what a rig holds; what is closed or in progress is no longer in the queue."""
        queue = [found for found in beads if found["status"] == "open"]
        self.rigs[rig].answer(queue=queue, changed=list(beads), envelope=envelope)

    def poll(self) -> Reading:
        """Poll, with the state of the last time as JSON has it."""
        probe = Refinery(self.places, self.bd, now=lambda: self.now)
        reading = probe.poll(None if self.state is None else json.loads(json.dumps(self.state)))
        self.state = reading.state
        return reading


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """Return a town with one rig."""
    return Town(tmp_path, ["demo"])


@pytest.mark.parametrize("envelope", [False, True], ids=["bare", "envelope"])
def test_a_real_queue_is_read_from_its_beginning_to_its_end(town: Town, envelope: bool) -> None:
    """Each stage of what a real bd said: waiting, taken, released, taken again and merged, reopened."""
    found = {}
    for name, stage in recorded().items():
        town.rigs["demo"].answer(
            queue=stage["queue"], changed=stage["changed"], named=stage["named"], envelope=envelope
        )
        town.now = datetime.fromisoformat(stage["now"])
        reading = town.poll()
        assert not reading.unread
        found[name] = (depths(reading)["demo"], [item["bead_id"] for item in dispatches(reading)], reading)
    ids = recorded()["reopened"]["ids"]
    assert [(name, depth) for name, (depth, _, _) in found.items()] == [
        *[("empty", 0), ("waiting", 2), ("dispatched", 1)],
        *[("released", 2), ("merged", 0), ("reopened", 0)],
    ]
    assert {name: taken for name, (_, taken, _) in found.items() if taken} == {
        "dispatched": [ids["wisp"]],
        "merged": [ids["plain"], ids["quick"], ids["wisp"]],
    }
    assert ages(found["empty"][2]) == {} == ages(found["merged"][2])
    assert ages(found["waiting"][2])["demo"] == pytest.approx(1413.48)
    assert dispatches(found["dispatched"][2]) == [
        {"bead_id": ids["wisp"], "queue_depth": 1, "wait_ms": 2000.0, "rig": "demo"}
    ]
    # How long the others waited is not known: one was released in between, one had ended when it was seen.
    assert [item.get("wait_ms") for item in dispatches(found["merged"][2])] == [5000.0, None, None]


def test_bd_is_asked_as_gt_asks_it(town: Town) -> None:
    """The queue by its label, what has changed since an hour before the last poll, and nothing else."""
    town.poll()
    town.now += timedelta(seconds=30)
    town.poll()
    directory = town.places[0].directory
    assert " ".join(QUEUE) == "list --json --status=open --label=gt:merge-request --limit=0 --flat"
    assert town.rigs["demo"].asked() == [
        f"{directory} {' '.join(QUEUE)}",
        f"{directory} {' '.join(CHANGED)} --updated-after=2026-11-21T02:10:00Z",
        f"{directory} {' '.join(QUEUE)}",
        f"{directory} {' '.join(CHANGED)} --updated-after=2026-11-21T02:10:00Z",
    ]


def test_the_age_is_that_of_the_oldest_waiting_item(town: Town) -> None:
    town.answer(
        "demo",
        bead("de-1", created_at="2026-11-21T03:09:00Z"),
        bead("de-2", created_at="2026-11-21T03:08:00.5+00:00"),
        bead("de-3", created_at="2026-11-21T02:00:00Z", **TAKEN),
        bead("de-4", created_at="unreadable"),
    )
    reading = town.poll()
    assert depths(reading) == {"demo": 3}
    assert ages(reading) == {"demo": 119_500.0}


def test_items_belong_to_the_rig_that_they_name(town: Town) -> None:
    """Else to the rig of the directory; the case of a name does not matter to gt."""
    town.answer(
        "demo",
        bead("de-1", description="rig: DEMO"),
        bead("de-2", description="no fields"),
        bead("de-3", description="rig: other"),
    )
    assert depths(town.poll()) == {"demo": 2, "other": 1}
    town.answer("demo")
    assert depths(town.poll()) == {"demo": 0, "other": 0}


def test_the_first_poll_is_a_baseline(town: Town) -> None:
    """What was taken before, merged or not, is not reported, neither then nor later."""
    items = [bead("de-1", **TAKEN), bead("de-2", **CLOSED), bead("de-3", status="in_progress", **TAKEN)]
    town.answer("demo", *items)
    assert town.poll().events == ()
    assert town.poll().events == ()
    town.answer("demo", bead("de-1", **CLOSED), bead("de-2", **CLOSED), bead("de-3", **CLOSED))
    assert town.poll().events == ()


def test_an_item_that_comes_and_goes_between_two_polls_is_reported(town: Town) -> None:
    town.poll()
    town.answer("demo", bead("de-1", **CLOSED))
    assert dispatches(town.poll()) == [{"bead_id": "de-1", "queue_depth": 0, "rig": "demo"}]
    assert town.poll().events == ()


def test_what_vanished_is_asked_for_by_name(town: Town) -> None:
    """A clock that stepped, or a label that was taken away, hides an item from the other questions."""
    town.answer("demo", bead("de-1"), bead("de-2"))
    town.poll()
    town.rigs["demo"].answer(named=[bead("de-1", **CLOSED), bead("de-9", **CLOSED)])
    assert [item["bead_id"] for item in dispatches(town.poll())] == ["de-1"]
    assert town.rigs["demo"].asked()[-1].endswith(f"{' '.join(NAMED)} --id=de-1,de-2")
    town.poll()
    assert "--id" not in town.rigs["demo"].asked()[-1]


def test_a_name_that_is_no_beads_is_not_asked_for(town: Town) -> None:
    """No text of a bead gets onto a command line; an item that cannot be asked for is forgotten."""
    town.answer("demo", *[bead(hostile) for hostile in ("--db=/x", "a,b", "a b", "\0", "\ud800", "x" * 999)])
    town.poll()
    town.answer("demo")
    reading = town.poll()
    assert (depths(reading), reading.unread, reading.events) == ({"demo": 0}, (), ())
    assert not [line for line in town.rigs["demo"].asked() if "--id" in line]


def test_a_release_and_a_second_dispatch_are_seen(town: Town) -> None:
    """A change of assignee is none; a second dispatch has no waiting time, because nobody knows it."""
    town.answer("demo", bead("de-1"))
    town.poll()
    town.answer("demo", bead("de-1", **TAKEN))
    assert dispatches(town.poll())[0]["wait_ms"] == 240_000.0
    town.answer("demo", bead("de-1", **{**TAKEN, "assignee": "demo/other"}))
    assert town.poll().events == ()
    town.answer("demo", bead("de-1"))
    assert depths(town.poll()) == {"demo": 1}
    town.answer("demo", bead("de-1", **TAKEN))
    assert dispatches(town.poll()) == [{"bead_id": "de-1", "queue_depth": 0, "rig": "demo"}]


@pytest.mark.parametrize(
    "times",
    [
        {"created_at": "2026-11-21T03:05:00Z", "updated_at": "2026-11-21T03:04:00Z"},
        {"created_at": "2030-01-01T00:00:00Z", "updated_at": "2030-01-01T00:01:00Z"},
        {"updated_at": "2030-01-01T00:00:00Z"},
        {"updated_at": "0001-01-01T00:00:00Z"},
        {"updated_at": 7},
        {"created_at": None},
    ],
)
def test_times_that_make_no_sense_are_absent(town: Town, times: dict[str, object]) -> None:
    town.answer("demo", bead("de-1", **times))
    waiting = town.poll()
    assert depths(waiting) == {"demo": 1}
    assert all(age >= 0 for age in ages(waiting).values())
    town.answer("demo", bead("de-1", **{**times, "assignee": "x"}))
    assert dispatches(town.poll()) == [{"bead_id": "de-1", "queue_depth": 0, "rig": "demo"}]


def test_a_rig_that_cannot_be_read_is_absent_and_nothing_is_forgotten(tmp_path: Path) -> None:
    """The other rigs are there; what was taken meanwhile is reported when the rig can be read again."""
    town = Town(tmp_path, ["one", "two"])
    town.answer("one", bead("de-1", description=""), bead("de-2", description="rig: three"))
    town.poll()
    town.rigs["one"].break_down()
    reading = town.poll()
    assert depths(reading) == {"two": 0}
    assert [(one.source, one.reason) for one in reading.unread] == [("one", "bd: exit code 1")]
    town.rigs["one"].recover()
    town.answer("one", bead("de-1", description="", **TAKEN), bead("de-2", description="rig: three"))
    reading = town.poll()
    assert depths(reading) == {"one": 0, "three": 1, "two": 0}
    assert [item["bead_id"] for item in dispatches(reading)] == ["de-1"]


def test_rigs_that_share_a_database_count_each_item_once(tmp_path: Path) -> None:
    town = Town(tmp_path, ["one", "two"])
    items = [bead("de-1", description="rig: one"), bead("de-2", description="rig: two")]
    for rig in ("one", "two"):
        town.answer(rig, *items)
    assert depths(town.poll()) == {"one": 1, "two": 1}
    for rig in ("one", "two"):
        town.answer(rig, *(bead(str(item["id"]), description=item["description"], **TAKEN) for item in items))
    assert [(item["bead_id"], item["rig"]) for item in dispatches(town.poll())] == [
        ("de-1", "one"),
        ("de-2", "two"),
    ]


def test_a_rig_that_cannot_be_read_is_absent_also_where_another_lists_its_items(tmp_path: Path) -> None:
    """Two databases make one queue here: the half that can be read is no number of what waits."""
    town = Town(tmp_path, ["one", "two"])
    town.answer("two", bead("de-1", description="rig: one"), bead("de-2", **TAKEN))
    town.poll()
    town.rigs["one"].break_down()
    town.answer("two", bead("de-1", description="rig: one", **TAKEN))
    reading = town.poll()
    assert depths(reading) == {"demo": 0, "two": 0}
    assert dispatches(reading) == [{"bead_id": "de-1", "wait_ms": 240_000.0, "rig": "one"}]


def test_a_rig_that_joins_later_has_a_baseline_of_its_own(tmp_path: Path) -> None:
    town = Town(tmp_path, ["one", "two"])
    two = town.places.pop()
    town.poll()
    town.places.append(two)
    town.answer("two", bead("de-1", **TAKEN), bead("de-2", **CLOSED))
    assert town.poll().events == ()


def test_nothing_is_remembered_of_a_rig_that_left(tmp_path: Path) -> None:
    town = Town(tmp_path, ["one", "two"])
    town.answer("two", bead("de-1", description="rig: two"))
    town.poll()
    del town.places[1]
    assert depths(town.poll()) == {"one": 0}
    assert "two" not in json.dumps(town.state)


def test_a_dispatch_knows_the_span_that_enqueued_the_item(town: Town) -> None:
    causes = {"de-1": ("ab" * 16, "cd" * 8)}
    probe = Refinery(town.places, town.bd, cause=causes.get, now=lambda: NOW)
    state = probe.poll(None).state
    town.answer("demo", bead("de-1", **TAKEN), bead("de-2", **TAKEN))
    assert [event.causes for event in probe.poll(state).events] == [(("ab" * 16, "cd" * 8),), ()]
