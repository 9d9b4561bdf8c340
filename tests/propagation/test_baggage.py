"""W3C baggage: read, written, and merged without touching what is not ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from propagation_strategies import any_text, modest, nearly, properties, text, tokens

from propagation import baggage
from propagation.baggage import Member
from propagation.traceparent import PropagationError

members = st.dictionaries(tokens, st.builds(Member, text, properties), max_size=8)
changes = st.dictionaries(tokens, st.none() | st.builds(Member, text, properties), max_size=8)
baggages = members.map(baggage.format)


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        pytest.param("a=1,b=2", {"a": Member("1"), "b": Member("2")}, id="in their order"),
        pytest.param(" a = 1 ,\tb=2", {"a": Member("1"), "b": Member("2")}, id="whitespace"),
        pytest.param("a=1;p=x; q", {"a": Member("1", "p=x; q")}, id="properties verbatim"),
        pytest.param("a=%C3%A9%2C%3B%25", {"a": Member("é,;%")}, id="percent-encoding"),
        pytest.param("a=1+2", {"a": Member("1+2")}, id="a plus is a plus"),
        pytest.param("a=x=y", {"a": Member("x=y")}, id="an equals sign in a value"),
        pytest.param("a=", {"a": Member("")}, id="an empty value"),
        pytest.param("a=%FF", {"a": Member("\ufffd")}, id="what is not UTF-8"),
        pytest.param("a=%zz%4%", {"a": Member("%zz%4%")}, id="a percent sign that encodes nothing"),
        pytest.param("a%41=1", {"a%41": Member("1")}, id="keys are not encoded"),
        pytest.param("a=1,a=2", {"a": Member("2")}, id="of a key that comes twice the last"),
        pytest.param('a,=1,b c=2,d=e f,g=é,h="i",j=1;\x00,k=3', {"k": Member("3")}, id="malformed skipped"),
        pytest.param(None, {}, id="absent"),
        pytest.param("", {}, id="empty"),
    ],
)
def test_a_baggage_is_read_as_its_specification_says(
    given_text: str | None, expected: dict[str, Member]
) -> None:
    assert baggage.parse(given_text) == expected
    assert list(baggage.parse(given_text)) == list(expected)


def test_one_value_is_taken_from_text_or_from_members() -> None:
    assert baggage.value("a=1%2B1", "a") == "1+1"
    assert baggage.value({"a": Member("1")}, "a") == "1"
    assert baggage.value("a=1", "b") == baggage.value(None, "b") == baggage.value({}, "b") == ""


def test_what_some_readers_misread_is_percent_encoded() -> None:
    assert baggage.format({"a": "1+1=2", "b": Member("x", "p=1")}) == "a=1%2B1%3D2,b=x;p=1"


def test_members_are_compared_and_shown_by_their_values() -> None:
    assert len({Member("1"), Member("1"), Member("1", "p")}) == 2
    assert Member("1") != "1"
    assert repr(Member("1", "p")) == "Member('1', 'p')"


@modest
@given(members)
def test_a_baggage_survives_the_round_trip(contents: dict[str, Member]) -> None:
    assert baggage.parse(baggage.format(contents)) == contents


@modest
@given(nearly(baggages) | any_text)
def test_reading_a_baggage_never_raises_and_what_it_accepts_can_be_written(given_text: str) -> None:
    contents = baggage.parse(given_text)
    assert baggage.parse(baggage.format(contents)) == contents


@modest
@given(st.dictionaries(any_text | st.none(), any_text | st.none() | st.builds(Member, any_text, any_text)))
def test_writing_a_baggage_raises_nothing_but_the_documented_error(contents: dict[str, Member | str]) -> None:
    try:
        written = baggage.format(contents)
    except PropagationError:
        return
    assert list(baggage.parse(written)) == list(contents)
    assert written.isascii()


@modest
@given(any_text)
def test_any_value_can_be_written_and_lone_surrogates_are_read_as_replacements(value: str) -> None:
    read = baggage.value(baggage.format({"a": value}), "a")
    assert read == value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def test_merging_keeps_theirs_byte_for_byte_and_replaces_ours_in_place() -> None:
    theirs = "user = a%20b ;ttl=1; x,gt.role=old;p,broken, other=+,gt.role=older"
    merged = baggage.merge(theirs, {"gt.role": "crew", "gt.rig": "demo rig"})
    assert merged == "user = a%20b ;ttl=1; x,gt.role=crew,broken, other=+,gt.rig=demo%20rig"
    assert baggage.merge(None, {"a": "1"}) == baggage.merge("", {"a": "1"}) == "a=1"


def test_merging_removes_members_of_ours_that_are_no_more() -> None:
    theirs = "gt.rig=a, user=1;p ,gt.rig=b;q,broken"
    assert baggage.merge(theirs, {"gt.rig": None, "gt.role": None}) == " user=1;p ,broken"
    assert baggage.merge("gt.rig=a", {"gt.rig": None}) == baggage.merge(None, {"gt.rig": None}) == ""
    full = ",".join(f"k{number}=1" for number in range(64))
    assert baggage.merge(full, {"k0": None, "a": "1"}) == f"{full[5:]},a=1"


def test_64_members_and_8192_bytes_are_carried_whole() -> None:
    many = ",".join(f"k{number}={number};p" for number in range(64))
    large = f"big={'x' * (8192 - 4)}"
    assert len(large) == 8192
    for theirs in (many, large):
        assert baggage.merge(theirs, {"gt.rig": "demo"}) == theirs
    assert len(baggage.parse(many)) == 64
    assert len(baggage.value(large, "big")) == 8188


def test_ours_is_added_up_to_the_limits_and_not_beyond() -> None:
    sixty_three = ",".join(f"k{number}=1" for number in range(63))
    assert baggage.merge(sixty_three, {"a": "1", "b": "2"}) == f"{sixty_three},a=1"
    just_fits = f"big={'x' * (8192 - 8)}"
    assert len(baggage.merge(just_fits, {"a": "1", "b": "2"})) == 8192
    assert baggage.merge(just_fits + "x", {"a": "1"}) == just_fits + "x"


def test_an_incoming_baggage_beyond_the_limits_is_never_cut() -> None:
    huge = ",".join(f"k{number}={'x' * 100}" for number in range(200))
    assert baggage.merge(huge, {"gt.rig": "demo"}) == huge
    assert baggage.merge(f"gt.rig=old,{huge}", {"gt.rig": "demo"}) == f"gt.rig=demo,{huge}"
    assert len(baggage.parse(huge)) == 200


@modest
@given(nearly(baggages) | any_text, changes)
def test_merging_raises_nothing_but_the_documented_error_and_loses_nothing_of_theirs(
    theirs: str, ours: dict[str, Member | None]
) -> None:
    merged = baggage.parse(baggage.merge(theirs, ours))
    assert {key: merged.get(key) for key in ours} == ours
    kept = {key: member for key, member in baggage.parse(theirs).items() if key not in ours}
    assert {key: merged.get(key) for key in kept} == kept
