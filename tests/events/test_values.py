"""What users type becomes attributes of the registry's types, or one clear line."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gastown_tracing.config import Config
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.schema import FLAG, FLOAT, INTEGER, TEXT, WORDS, Attribute, Event
from gastown_tracing.events.values import (
    EventError,
    filled,
    parse,
    parse_attr,
    parse_value,
    quoted,
    recordable,
)
from gastown_tracing.journal import otlp

TYPES: dict[str, type] = {TEXT: str, INTEGER: int, FLOAT: float, FLAG: bool, WORDS: str}
modest = settings(max_examples=200, deadline=None, database=None)

events = st.sampled_from(list(EVENTS.values()))
any_text = st.text(st.characters(exclude_categories=()), max_size=40)
#: What looks like a value of some type.
words = st.one_of(
    any_text,
    st.integers().map(str),
    st.floats().map(repr),
    st.sampled_from(
        ["", "true", "No", " 1 ", "0x1", "1_0", "٣", "nan", "-inf", "1e400", "COMPLETED", "9" * 5000]
    ),
)


def attribute(kind: str, name: str = "thing") -> Attribute:
    return Attribute(name, "A thing.", kind)


def attempt(function: Callable[..., Any], *arguments: object) -> Any:
    """Return what a function returns, or the one line of its EventError."""
    try:
        return function(*arguments)
    except EventError as error:
        message = str(error)
    assert message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        *[
            (INTEGER, text, int(text))
            for text in ("0", "7", "-3", "+4", "007", " 5\n", "9223372036854775807")
        ],
        *[(FLOAT, text, float(text)) for text in ("0", "1.5", "-2", "1e3", ".5", " 2 ", "-0.0")],
        *[(FLAG, text, True) for text in ("true", "TRUE", "1", "yes", "on", " true ")],
        *[(FLAG, text, False) for text in ("false", "False", "0", "no", "off")],
        *[(kind, text, text) for kind in (TEXT, WORDS) for text in ("", "x y", "a=b", "é", "\ud800", "\n")],
    ],
)
def test_a_value_is_read_as_its_type(kind: str, text: str, value: object) -> None:
    """Numbers, flags and text, and exactly of the type that is recorded."""
    found = parse_value(attribute(kind), text)
    assert (found, type(found)) == (value, TYPES[kind])


def test_of_a_long_text_a_message_repeats_the_beginning() -> None:
    """80 characters of it, with a mark that says so."""
    assert quoted("x" * 80) == f"'{'x' * 80}'"
    assert quoted("x" * 81) == f"'{'x' * 80}'…"


@pytest.mark.parametrize(
    ("kind", "name", "text", "said"),
    [
        *[
            (INTEGER, "n", text, f"n is a whole number, not {quoted(text)}")
            for text in ("", "x", "1.0", "1e3", "1_000", "٣", "0x10", "9223372036854775808", "9" * 5000)
        ],
        *[
            (FLOAT, "cost", text, f"cost is a number, not {text!r}")
            for text in ("", "x", "nan", "inf", "-Infinity", "1e999", "1_0.0", "1,5", "٣")
        ],
        (FLOAT, "idle_ms", "-0.5", "idle_ms is a time and not negative, but '-0.5' is"),
        *[
            (FLAG, "hook", text, f"hook is true or false, not {text!r}")
            for text in ("", "2", "maybe", "truefalse")
        ],
    ],
)
def test_a_value_of_another_type_is_one_line(kind: str, name: str, text: str, said: str) -> None:
    """It says what is expected and what was given."""
    with pytest.raises(EventError) as caught:
        parse_value(attribute(kind, name), text)
    assert str(caught.value) == said


@modest
@given(events, st.lists(st.tuples(st.one_of(st.sampled_from(["bead", "target", "msg_to"]), any_text), words)))
def test_whatever_is_typed_is_of_the_registrys_types_or_one_line(
    event: Event, pairs: list[tuple[str, str]]
) -> None:
    """Nothing but EventError is raised, its message is one line; what is read is what the event has."""
    found = attempt(parse, event, pairs)
    if isinstance(found, str):
        return
    assert set(event.required) <= found.keys() <= {known.name for known in event.attributes}
    assert len(found) == len(pairs)
    for name, value in found.items():
        known = event.by_key[name]
        assert type(value) is TYPES[known.type]
        assert not known.values or value in known.values
        assert not isinstance(value, float) or math.isfinite(value)


@modest
@given(events, st.data())
def test_what_the_types_allow_is_taken(event: Event, data: st.DataObject) -> None:
    """Every attribute of every event by its name or with `_` for `.`, in any order."""
    texts = {
        TEXT: any_text.filter(bool),
        WORDS: any_text,
        INTEGER: st.integers(-(1 << 63), (1 << 63) - 1).map(str),
        FLOAT: st.floats(0, allow_nan=False, allow_infinity=False).map(repr),
        FLAG: st.sampled_from(["true", "no"]),
    }
    chosen = data.draw(st.permutations(event.attributes))
    pairs = [
        (
            data.draw(st.sampled_from([known.name, known.parameter])),
            data.draw(st.sampled_from(known.values) if known.values else texts[known.type]),
        )
        for known in chosen
    ]
    assert list(parse(event, pairs)) == [known.name for known in chosen]


@modest
@given(events, any_text, words)
def test_an_attribute_of_ones_own_is_text(event: Event, key: str, text: str) -> None:
    """What the event has is of its type; anything else is kept as it was typed, under its own name."""
    found = attempt(parse_attr, event, f"{key}={text}")
    if isinstance(found, str):
        return
    name, value = found
    known = event.by_key.get(name)
    if known is None:
        assert f"{name}={value}" == f"{key}={text}"
    else:
        assert type(value) is TYPES[known.type]


@pytest.mark.parametrize("name", ["run.id", "status", "error", "log.record.uid"])
def test_what_a_record_says_by_itself_is_not_given(name: str) -> None:
    """Neither typed nor by a program: which run it is and how it ended is not to be made up."""
    with pytest.raises(EventError, match="is no attribute to give"):
        parse_attr(EVENTS["sling"], f"{name}=x")
    notes: list[str] = []
    assert recordable(EVENTS["sling"], {name: "x"}, Config({}), notes.append) == {}
    assert notes == [f"sling: {name} left out: a record says it by itself"]


@pytest.mark.parametrize(
    ("name", "own", "common", "expected"),
    [
        ("done", {}, {"work_rig": "w", "rig": "r", "work_bead": "b"}, {"rig": "w", "bead_id": "b"}),
        ("done", {}, {"work_rig": "", "rig": "r"}, {"rig": "r"}),
        ("done", {"rig": "own"}, {"work_rig": "w"}, {"rig": "own"}),
        ("done", {}, {}, {}),
        ("session.start", {}, {"run.id": "3f2504e04f8941d39a0c0305e82c3301"}, {
            "run.uuid": "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
        }),
        ("sling", {}, {"work_rig": "w", "rig": "r"}, {}),
    ],
)  # fmt: skip
def test_what_nobody_gave_comes_from_what_is_known(
    name: str, own: dict[str, object], common: dict[str, str], expected: dict[str, str]
) -> None:
    """The work's rig before the agent's, the work's bead, the run's id with dashes; unknown is absent."""
    assert filled(EVENTS[name], dict(own), common) == expected  # type: ignore[arg-type] # text is a value


@modest
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400), st.integers(1, 300))
def test_a_cut_splits_no_character_and_says_what_it_cut(text: str, limit: int) -> None:
    """What is kept is the text's beginning, as much of it as fits; kept and cut bytes add up."""
    settings_ = Config(
        {"GT_LOG_PANE_OUTPUT": "true", "GT_LOG_BD_OUTPUT": "true", "GT_LOG_BD_CONTENT_LIMIT": str(limit)}
    )
    found = recordable(EVENTS["bd.call"], {"stdout": text}, settings_, print).get("stdout", "")
    size = len(text.encode())
    if size <= limit:
        assert found == text
        return
    kept, _, mark = str(found).rpartition("…‹cut ")
    assert text.startswith(kept)
    assert len(kept.encode()) <= limit < len(text[: len(kept) + 1].encode())
    assert mark == f"{size - len(kept.encode())} bytes›"


def test_no_limit_is_as_much_as_a_line_holds() -> None:
    """With 0 nothing is cut but by the line's own end at 1 MiB, and that says so, too."""
    config = Config({"GT_LOG_AGENT_OUTPUT": "true", "GT_LOG_AGENT_CONTENT_LIMIT": "0"})
    text = "é" * (1 << 20)
    found = recordable(EVENTS["agent.event"], {"content": text}, config, print)
    assert found["content"] == text
    log = otlp.Log(1, event_name="agent.event", attributes=found)
    line = otlp.logs_line(otlp.encode_resource({}), [log]).decode()
    assert len(line.encode()) <= otlp.LINE_LIMIT
    assert "é…‹cut " in line
    assert line.endswith("]}]}]}\n")
