"""Items are read from whatever bd prints, and what is known of them survives JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gastown_tracing.probes.queue import Item, Known, Memory, elapsed_ms, parse_time
from tests.probes.standin import bead

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
PHASES = st.sampled_from(["waiting", "taken", "released"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T03:09:56Z", datetime(2026, 11, 21, 3, 9, 56, tzinfo=UTC)),
        ("2026-11-21T03:09:55.887569622Z", datetime(2026, 11, 21, 3, 9, 55, 887569, tzinfo=UTC)),
        ("2026-11-21T08:39:56.5+05:30", datetime(2026, 11, 21, 3, 9, 56, 500000, tzinfo=UTC)),
        ("2026-11-21T03:09:56", None),
        ("0001-01-01T00:00:00Z", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_are_read_as_bd_writes_them(text: str, expected: datetime | None) -> None:
    """RFC 3339 with fractions and offsets; what names no moment, Go's zero time too, is unknown."""
    assert parse_time(text) == expected


@given(st.text())
def test_whatever_stands_for_a_time_is_one_or_unknown(text: str) -> None:
    found = parse_time(text)
    assert found is None or elapsed_ms(datetime(1970, 1, 1, tzinfo=UTC), found) is not None


def test_no_time_is_negative_or_made_up() -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert elapsed_ms(early, late) == 2000
    assert elapsed_ms(late, early) is None
    assert elapsed_ms(None, late) is None


@pytest.mark.parametrize(
    ("description", "rig"),
    [
        ("branch: x\ntarget: main\nrig: demo\nworker: Toast", "demo"),
        ("  RIG :  demo  \r\n", "demo"),
        ("rig: other\nrig: demo\nrig:", "demo"),
        ("rig: a: b", "a: b"),
        ("no fields here", ""),
        (f"rig: {'x' * 256}", ""),
    ],
)
def test_the_rig_stands_in_the_description(description: str, rig: str) -> None:
    assert Item.of(bead("de-1", description=description)).rig == rig


@given(st.text(min_size=1), st.dictionaries(st.sampled_from([*bead("x")]), JSON))
def test_an_item_can_be_read_from_any_object_with_an_id(bead_id: str, fields: dict[str, object]) -> None:
    item = Item.of({**fields, "id": bead_id})
    assert item.id == bead_id
    assert not (item.waits and (item.closed or item.assignee))


@given(st.none() | st.dictionaries(st.sampled_from(["looked", "items", "rigs", "other"]), JSON))
def test_any_state_can_be_read(state: dict[str, object] | None) -> None:
    """A state of another version or a damaged one is one in which less is known."""
    memory = Memory.of(state)
    assert Memory.of(memory.data()).data() == memory.data()


@given(st.dictionaries(st.text(), st.builds(Known, st.text(), st.text(), PHASES, st.booleans())))
def test_what_is_known_survives_json(items: dict[str, Known]) -> None:
    memory = Memory()
    memory.items = items
    memory.looked = {"/town/demo": datetime(2026, 11, 21, 3, 9, 55, 887569, tzinfo=UTC)}
    memory.add_rig("demo", "/town/demo")
    again = Memory.of(json.loads(json.dumps(memory.data())))
    assert (again.items, again.looked, again.rigs) == (memory.items, memory.looked, memory.rigs)


def test_what_is_remembered_is_bounded() -> None:
    """Rigs are labels and ended items are many: the latest of them are enough."""
    before, memory = Memory(), Memory()
    for number in range(2000):
        before.add(f"de-{number}", Known("demo", "/demo", "taken", closed=True))
        memory.add_rig(f"rig-{number}", "/demo")
    memory.keep_ended(before, "/demo")
    assert list(memory.items)[-1] == "de-1999"
    assert list(memory.rigs)[-1] == "rig-1999"
    assert (len(memory.items), len(memory.rigs)) == (500, 100)
