"""OTEL_RESOURCE_ATTRIBUTES: read, written, and merged without touching what is not ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from propagation_strategies import any_text, modest, nearly, text

from propagation import resource
from propagation.traceparent import PropagationError

attributes = st.dictionaries(text.filter(bool), text, max_size=8)


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        pytest.param("a=1,b=2", {"a": "1", "b": "2"}, id="in their order"),
        pytest.param(" a = 1 , b=", {"a": "1", "b": ""}, id="whitespace and an empty value"),
        pytest.param("a=x%20y%2Cz,b%3D=1", {"a": "x y,z", "b=": "1"}, id="percent-encoding"),
        pytest.param("a=x y;z+=é", {"a": "x y;z+=é"}, id="what others left unencoded"),
        pytest.param("a,=1,,b=2", {"b": "2"}, id="malformed members are skipped"),
        pytest.param("a=1,a=2", {"a": "2"}, id="of a key that comes twice the last"),
        pytest.param(None, {}, id="absent"),
    ],
)
def test_resource_attributes_are_read_as_opentelemetry_says(
    given_text: str | None, expected: dict[str, str]
) -> None:
    assert resource.parse(given_text) == expected


@modest
@given(attributes)
def test_resource_attributes_survive_the_round_trip(values: dict[str, str]) -> None:
    assert resource.parse(resource.format(values)) == values


@modest
@given(any_text)
def test_reading_resource_attributes_never_raises(given_text: str) -> None:
    resource.parse(given_text)


@modest
@given(st.dictionaries(any_text | st.none(), any_text | st.none()))
def test_writing_resource_attributes_raises_nothing_but_the_documented_error(values: dict[str, str]) -> None:
    try:
        assert resource.format(values).isascii()
    except PropagationError:
        assert None in values or None in values.values() or "" in values


def test_merging_keeps_theirs_byte_for_byte_and_replaces_ours_in_place() -> None:
    theirs = "team=a b,gt.rig=old,broken, service.name=bd;x,gt.role=crew,gt.rig=older"
    merged = resource.merge(theirs, {"gt.rig": "dé mo", "gt.role": None, "gt.actor": "x/y", "gt.agent": None})
    assert merged == "team=a b,gt.rig=d%C3%A9%20mo,broken, service.name=bd;x,gt.actor=x/y"
    assert resource.merge(None, {}) == ""


def test_a_key_of_ours_is_found_however_it_is_encoded() -> None:
    assert resource.merge("gt%2Erig=old", {"gt.rig": "new"}) == "gt.rig=new"


@modest
@given(nearly(attributes.map(resource.format)) | any_text, attributes)
def test_merging_loses_nothing_of_theirs(theirs: str, ours: dict[str, str]) -> None:
    merged = resource.parse(resource.merge(theirs, ours))
    assert {key: merged.get(key) for key in ours} == ours
    kept = {key: value for key, value in resource.parse(theirs).items() if key not in ours}
    assert {key: merged.get(key) for key in kept} == kept
