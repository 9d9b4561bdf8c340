"""What users type becomes attributes of the registry's types, or one clear line."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gastown_tracing.config import Config
from gastown_tracing.events.registry import COMMON, EVENTS
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


def recorded(event: str, /, **given_: object) -> tuple[dict[str, object], int]:
    """Return what is recorded of attributes without any opt-in, and how many notes say what is left out."""
    notes: list[str] = []
    found = recordable(EVENTS[event], given_, Config({}), notes.append)
    return {**found}, len(notes)


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
        *[(INTEGER, text, int(text)) for text in ("0", "7", "+4", "007", " 5\n", "9223372036854775807")],
        *[(FLOAT, text, float(text)) for text in ("0", "1.5", "1e3", ".5", " 2 ", "-0.0")],
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
            for text in ("", "x", "1.0", "1e3", "1_000", "٣", "0x10", "--1")
        ],
        *[
            (FLOAT, "cost", text, f"cost is a number, not {text!r}")
            for text in ("", "x", "1_0.0", "1,5", "٣")
        ],
        *[
            (FLOAT, "cost", text, f"cost is not a finite number: {text!r}")
            for text in ("nan", "inf", "-Infinity", "1e999")
        ],
        *[
            (INTEGER, "n", text, f"n is beyond 64 bits: {text!r}")
            for text in ("9223372036854775808", "-9223372036854775809", "9" * 60)
        ],
        (INTEGER, "n", "-" + "9" * 5000, f"n is beyond 64 bits: '-{'9' * 79}'…"),
        (FLOAT, "idle_ms", "-0.5", "idle_ms is less than 0: '-0.5'"),
        (INTEGER, "tokens", "-5", "tokens is less than 0: '-5'"),
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
        INTEGER: st.integers(0, (1 << 63) - 1).map(str),
        FLOAT: st.floats(0, 1e12).map(repr),
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


@pytest.mark.parametrize("text", ["1e300", "1e305", "9e12"])
def test_nothing_lasts_longer_than_time_itself(text: str) -> None:
    """A command that began before 1970 is a mistake, typed or said by a program."""
    event = EVENTS["bd.call"]
    with pytest.raises(EventError, match="duration_ms is more than all the time since 1970: "):
        parse(event, [("duration_ms", text)])
    assert recorded("bd.call", duration_ms=float(text)) == ({}, 1)
    assert parse(EVENTS["session.stalled"], [("session_id", "s"), ("idle_ms", text)])


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.name)
def test_counts_are_not_negative(event: Event) -> None:
    """Only an exit code is, and then it is a signal's number."""
    for known in event.attributes:
        if known.type not in (INTEGER, FLOAT):
            continue
        least = -64 if known.name == "exit_code" else 0
        assert parse_value(known, str(least)) == least
        assert (
            attempt(parse_value, known, str(least - 1)) == f"{known.name} is less than {least}: '{least - 1}'"
        )
        assert recorded(event.name, **{known.parameter: least})[0][known.name] == least
        assert recorded(event.name, **{known.parameter: least - 1}) == ({}, 1)


@pytest.mark.parametrize(
    ("event", "key", "given", "shown"),
    [
        ("gt.command", "command", "mail send", "mail send"),
        ("gt.command", "command", "mail send mayor/ -s 'my password'", "mail send"),
        ("gt.command", "command", "nudge hunter2", "nudge"),
        ("gt.command", "command", "my password is hunter2", None),
        ("bd.call", "subcommand", "close", "close"),
        ("bd.call", "subcommand", "close --reason hunter2", "close"),
        ("bd.call", "subcommand", "hunter2", None),
        ("git.operation", "operation", "push https://u:hunter2@h/", "push"),
        ("git.operation", "operation", "hunter2", None),
        ("git.operation", "path", "https://u:hunter2@host/x?t=hunter2", "https://host/x"),
        ("git.operation", "path", "/home/op/my town", "/home/op/my town"),
        ("exec", "name", "make", "make"),
        ("exec", "name", "/usr/bin/make test --token hunter2", "make"),
    ],
)
def test_labels_and_names_of_spans_are_no_free_text(
    event: str, key: str, given: str, shown: str | None
) -> None:
    """What becomes one is a word of the program's own, whoever gave it; else it is left out, with a note."""
    assert recorded(event, **{key: given}) == (({key: shown}, 0) if shown else ({}, 1))


COMMON_NAMES = [name for found in COMMON for name in (found.name, found.parameter)]


@pytest.mark.parametrize(
    "name", [*COMMON_NAMES, "status", "error", "log.record.uid", "run.uuid", "trace_id", "span_id", "body"]
)
def test_what_a_record_says_by_itself_is_not_given(name: str) -> None:
    """Neither typed nor by a program: whose record it is and how it ended is not to be made up."""
    with pytest.raises(EventError, match="is no attribute to give"):
        parse_attr(EVENTS["sling"], f"{name}=x")
    notes: list[str] = []
    assert recordable(EVENTS["sling"], {name: "x"}, Config({}), notes.append) == {}
    assert notes == [f"sling: {name} left out: a record says it by itself"]


def test_an_events_own_attribute_of_a_common_name_is_given() -> None:
    """A polecat is spawned in a rig, and somebody has to say in which."""
    assert recorded("polecat.spawn", name="rust", rig="demo") == ({"name": "rust", "rig": "demo"}, 0)
    assert parse_attr(EVENTS["session.start"], "run_uuid=x") == ("run.uuid", "x")


@pytest.mark.parametrize("name", ["a b", "a\nb", "\x1b[31m", "a\u2028", "\t"])
def test_a_name_of_ones_own_can_be_printed(name: str) -> None:
    """No blanks, no control characters: it is a column's name in every backend."""
    assert "has blanks or control characters" in attempt(parse_attr, EVENTS["sling"], f"{name}=x")
    assert recorded("sling", **{name: "x"}) == ({}, 1)


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
