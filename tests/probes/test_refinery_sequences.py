"""Whatever happens to a queue, and to the clock: each dispatch is reported once, no time is negative."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gastown_tracing.probes.bd import Bd
from gastown_tracing.probes.probe import ProbeError, Reading, State
from gastown_tracing.probes.refinery import Refinery
from gastown_tracing.probes.rigs import Place

START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
ITEMS = [f"de-{number}" for number in range(4)]
DIRECTORIES = ("/one", "/two")

ACTIONS = st.tuples(
    st.sampled_from(["create", "assign", "claim", "block", "release", "close", "reopen", "delete", "touch"]),
    st.sampled_from(ITEMS),
)
#: What happens between two polls: actions, how much time passes, and by how much the clock steps.
ROUNDS = st.lists(
    st.tuples(
        st.lists(ACTIONS, max_size=6),
        st.sampled_from([0.0, 0.3, 30.0, 3600.0, 90_000.0]),
        st.sampled_from([0.0, 0.0, 0.0, -18_000.0, 18_000.0]),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


class Model(Bd):
    """What bd would answer, from the items themselves: rounded to seconds, for two rigs that share it."""

    def __init__(self) -> None:
        super().__init__({})
        self.clock = START
        self.items_by_id: dict[str, dict[str, Any]] = {}
        self.gone: set[str] = set()
        self.broken = False

    def time(self) -> str:
        rounded = (self.clock + timedelta(seconds=0.5)).replace(microsecond=0)
        return rounded.isoformat().replace("+00:00", "Z")

    def items(self, directory: str, *arguments: str) -> list[dict[str, object]]:
        """Answer as bd does."""
        assert directory in DIRECTORIES
        if self.broken:
            raise ProbeError("broken")
        found = list(self.items_by_id.values())
        for argument in arguments:
            option, _, value = argument.partition("=")
            if option == "--status":
                found = [item for item in found if item["status"] == value]
            elif option == "--updated-after":
                found = [item for item in found if item["updated_at"] > value]
            elif option == "--id":
                found = [item for item in found if item["id"] in value.split(",")]
        self.clock += timedelta(seconds=0.1)
        return [dict(item) for item in found]

    def act(self, action: str, name: str) -> None:
        """Change an item, if it can be."""
        self.clock += timedelta(seconds=0.2)
        if action == "create" and name not in self.items_by_id and name not in self.gone:
            fields = {"status": "open", "assignee": "", "description": "rig: one", "created_at": self.time()}
            self.items_by_id[name] = {"id": name, **fields, "updated_at": self.time()}
        item = self.items_by_id.get(name)
        if item is None:
            return
        if action == "delete":
            self.gone.add(name)
            del self.items_by_id[name]
            return
        changes: dict[str, dict[str, str]] = {
            "assign": {"assignee": "x"},
            "claim": {"assignee": "x", "status": "in_progress"},
            "block": {"status": "blocked"},
            "release": {"assignee": "", "status": "open"},
            "close": {"status": "closed"},
            "reopen": {"status": "open"},
        }
        item.update(changes.get(action, {}), updated_at=self.time())

    def taken(self) -> set[str]:
        """Return the items that have an assignee."""
        return {name for name, item in self.items_by_id.items() if item["assignee"]}

    def waiting(self) -> int:
        """Return how many items wait."""
        return sum(item["status"] == "open" and not item["assignee"] for item in self.items_by_id.values())


@settings(deadline=None, max_examples=300)
@given(st.lists(ACTIONS, max_size=8), ROUNDS)
def test_each_dispatch_is_reported_once_and_no_time_is_negative(
    before: list[tuple[str, str]], rounds: list[tuple[list[tuple[str, str]], float, float, bool]]
) -> None:
    model, state = Model(), None
    for action in before:
        model.act(*action)
    state = poll(model, None).state
    taken = model.taken()
    for actions, seconds, step, broken in rounds:
        for action in actions:
            model.act(*action)
        model.clock += timedelta(seconds=seconds + step)
        model.broken = broken
        reading = poll(model, state)
        state = reading.state
        if broken:
            assert not reading.gauges
            assert not reading.values
            assert not reading.events
            continue
        reported = [str(event.attributes["bead_id"]) for event in reading.events]
        assert sorted(reported) == sorted(model.taken() - taken)
        assert {gauge.labels["rig"]: gauge.value for gauge in reading.gauges} == {
            "one": model.waiting(),
            "two": 0,
        }
        assert all(value.value >= 0 for value in reading.values)
        assert all(float(event.attributes.get("wait_ms", 0)) >= 0 for event in reading.events)
        taken = model.taken()


def poll(model: Model, state: State | None) -> Reading:
    """Poll once, in a probe that knows no more than JSON can say."""
    places = [Place("one", "/one"), Place("two", "/two")]
    kept = None if state is None else json.loads(json.dumps(state))
    return Refinery(places, model, now=lambda: model.clock).poll(kept)
