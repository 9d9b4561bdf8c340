"""traceparent and tracestate as text, against W3C Trace Context Level 2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from propagation_strategies import (
    SPAN,
    TRACE,
    any_text,
    flags,
    modest,
    nearly,
    span_ids,
    trace_ids,
    traceparents,
    tracestate_entries,
)

from propagation.traceparent import (
    PropagationError,
    SpanContext,
    format_traceparent,
    format_tracestate,
    parse_traceparent,
    parse_tracestate,
)

VALID = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("text", "expected_flags"),
    [
        pytest.param(VALID, 1, id="sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-00", 0, id="not sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-03", 3, id="sampled and random: a bit mask"),
        pytest.param(f"00-{TRACE}-{SPAN}-ff", 3, id="unknown flags are dropped"),
        pytest.param(f" \t{VALID}\t ", 1, id="whitespace around it"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01", 1, id="a future version of the same length"),
        pytest.param(f"01-{TRACE}-{SPAN}-01-more-fields", 1, id="a future version with more fields"),
    ],
)
def test_a_valid_traceparent_names_its_span(text: str, expected_flags: int) -> None:
    assert parse_traceparent(text) == SpanContext(TRACE, SPAN, expected_flags)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01.",
        f"01-{TRACE}-{SPAN}-01.more",
        f"01-{TRACE}-{SPAN}-0",
        f"0A-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"00-{TRACE}-{SPAN}-0A",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00_{TRACE}-{SPAN}-01",
        f"00-{TRACE}_{SPAN}-01",
        f"00-{TRACE}-{SPAN}_01",
        f"{VALID}\n",
        VALID.replace("0", "\u0660"),
    ],
)
def test_an_invalid_traceparent_is_none(text: str | None) -> None:
    assert parse_traceparent(text) is None


@modest
@given(trace_ids, span_ids, flags)
def test_a_traceparent_survives_the_round_trip(trace_id: str, span_id: str, flag_bits: int) -> None:
    text = format_traceparent(trace_id, span_id, flag_bits)
    assert parse_traceparent(text) == SpanContext(trace_id, span_id, flag_bits)


@modest
@given(nearly(traceparents) | any_text)
def test_reading_a_traceparent_never_raises_and_what_it_accepts_can_be_written(text: str) -> None:
    span = parse_traceparent(text)
    if span is not None:
        assert format_traceparent(span.trace_id, span.span_id, span.flags)[3:52] == text.strip(" \t")[3:52]


@modest
@given(any_text | trace_ids | st.none(), any_text | span_ids | st.integers(), st.integers() | st.none())
def test_writing_a_traceparent_raises_nothing_but_the_documented_error(
    trace_id: str, span_id: str, flag_bits: int
) -> None:
    try:
        text = format_traceparent(trace_id, span_id, flag_bits)
    except PropagationError:
        return
    assert parse_traceparent(text) is not None


def test_flags_that_level_2_does_not_define_are_written_as_zero() -> None:
    assert format_traceparent(TRACE, SPAN, 0xFF).endswith("-03")


def test_a_span_context_is_compared_and_shown_by_its_values() -> None:
    span = SpanContext(TRACE, SPAN, 3, (("a", "1"),))
    assert span == SpanContext(TRACE, SPAN, 3, (("a", "1"),))
    assert len({span, SpanContext(TRACE, SPAN, 3, (("a", "1"),)), SpanContext(TRACE, SPAN, 2)}) == 2
    assert span != "something else"
    assert eval(repr(span), {"SpanContext": SpanContext}) == span  # noqa: S307 # our own repr
    assert [SpanContext(TRACE, SPAN, bits).sampled for bits in (0, 1, 2, 3)] == [False, True, False, True]


LONGEST_KEY = "a" * 256
LONGEST_VALUE = "v" * 256


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        pytest.param("a=1,b=2", (("a", "1"), ("b", "2")), id="in their order"),
        pytest.param(" a=1 \t,\t b=2 ", (("a", "1"), ("b", "2")), id="whitespace around members"),
        pytest.param("a= 1", (("a", " 1"),), id="a value's leading spaces are its own"),
        pytest.param(",a=1, ,", (("a", "1"),), id="empty members"),
        pytest.param("1a@b@=1", (("1a@b@", "1"),), id="the key grammar of Level 2"),
        pytest.param("a=1,b=2,a=3", (("a", "1"), ("b", "2")), id="of a key that comes twice the first"),
        pytest.param(f"{LONGEST_KEY}={LONGEST_VALUE}", ((LONGEST_KEY, LONGEST_VALUE),), id="256 characters"),
        pytest.param(None, (), id="absent"),
        pytest.param("a", (), id="no equals sign"),
        pytest.param("a=1,=2", (), id="no key"),
        pytest.param("a=1,b=", (), id="no value: all are discarded"),
        pytest.param("a=1=2", (), id="an equals sign in a value"),
        pytest.param("A=1", (), id="a capital in a key"),
        pytest.param("@a=1", (), id="a key that begins with an at sign"),
        pytest.param("a =1", (), id="a space in a key"),
        pytest.param("a=\t1", (), id="a tab in a value"),
        pytest.param("a=é", (), id="a value beyond ASCII"),
        pytest.param(f"{LONGEST_KEY}a=1", (), id="a key of 257 characters"),
        pytest.param(f"a={LONGEST_VALUE}v", (), id="a value of 257 characters"),
    ],
)
def test_a_tracestate_is_read_as_level_2_says(text: str | None, entries: tuple[tuple[str, str], ...]) -> None:
    assert parse_tracestate(text) == entries


def test_a_tracestate_has_at_most_32_members() -> None:
    members = [f"k{number}={number}" for number in range(33)]
    assert len(parse_tracestate(",".join(members[:32]))) == 32
    assert parse_tracestate(",".join(members)) == ()
    with pytest.raises(PropagationError, match="32"):
        format_tracestate((f"k{number}", "1") for number in range(33))


def test_a_tracestate_far_beyond_512_characters_is_carried() -> None:
    entries = tuple((f"k{number}", "v" * 256) for number in range(32))
    text = format_tracestate(entries)
    assert len(text) > 8192
    assert parse_tracestate(text) == entries


@modest
@given(tracestate_entries)
def test_a_tracestate_survives_the_round_trip(entries: tuple[tuple[str, str], ...]) -> None:
    assert parse_tracestate(format_tracestate(entries)) == entries


@modest
@given(nearly(tracestate_entries.map(format_tracestate)) | any_text)
def test_reading_a_tracestate_never_raises_and_what_it_accepts_can_be_written(text: str) -> None:
    entries = parse_tracestate(text)
    assert parse_tracestate(format_tracestate(entries)) == entries


@modest
@given(st.lists(st.tuples(any_text | st.none(), any_text | st.integers()), max_size=40))
def test_writing_a_tracestate_raises_nothing_but_the_documented_error(entries: list[tuple[str, str]]) -> None:
    try:
        text = format_tracestate(entries)
    except PropagationError:
        return
    assert parse_tracestate(text) == tuple(entries)


def test_a_key_that_comes_twice_is_not_written() -> None:
    with pytest.raises(PropagationError, match="twice"):
        format_tracestate([("a", "1"), ("a", "2")])
