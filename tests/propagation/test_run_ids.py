"""run.id ↔ UUID text, the root span's id, and the ids made here."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from propagation_strategies import ROOT, RUN, RUN_UUID, any_text, modest, nearly, trace_ids

from propagation import run
from propagation.traceparent import PropagationError


def test_the_data_models_vector() -> None:
    """GT_RUN 3f2504e0-4f89-41d3-9a0c-0305e82c3301 has the root span 9a0c0305e82c3301."""
    run_id = run.parse_run_id(RUN_UUID)
    assert run_id == RUN
    assert run.root_span_id(RUN) == ROOT
    assert run.to_uuid(RUN) == RUN_UUID


@pytest.mark.parametrize(
    "text",
    [
        RUN,
        RUN.upper(),
        RUN_UUID,
        RUN_UUID.upper(),
        f"urn:uuid:{RUN_UUID}",
        f"URN:UUID:{RUN_UUID.upper()}",
        f"{{{RUN_UUID}}}",
        f"{{{RUN}}}",
        f" {RUN_UUID}\n",
    ],
)
def test_every_text_form_of_a_uuid_names_the_run(text: str) -> None:
    assert run.parse_run_id(text) == RUN


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "0" * 32,
        str(uuid.UUID(int=0)),
        RUN[1:],
        RUN + "0",
        RUN_UUID[:-1],
        f"{{{RUN_UUID}",
        f"{RUN_UUID}}}",
        "3f2504e04-f89-41d3-9a0c-0305e82c3301",
        RUN.replace("3", "g"),
        RUN.replace("3", "٣"),
        "latest",
    ],
)
def test_what_is_not_a_uuid_names_no_run(text: str | None) -> None:
    assert run.parse_run_id(text) is None


@modest
@given(st.uuids())
def test_a_run_id_survives_the_round_trip(value: uuid.UUID) -> None:
    for text in (str(value), value.hex, value.urn, f"{{{value}}}"):
        run_id = run.parse_run_id(text)
        assert run_id == value.hex
        assert run.to_uuid(run_id) == str(value)


@modest
@given(nearly(st.just(RUN_UUID)) | any_text)
def test_reading_a_run_id_never_raises(text: str) -> None:
    run_id = run.parse_run_id(text)
    assert run_id is None or uuid.UUID(run_id).hex == run_id


@modest
@given(any_text | st.none() | trace_ids)
def test_only_a_run_id_has_a_uuid_and_a_root(run_id: str) -> None:
    for write in (run.to_uuid, run.root_span_id):
        try:
            assert write(run_id)
        except PropagationError:
            assert run_id is None or run.parse_run_id(run_id) != run_id


@modest
@given(trace_ids)
def test_the_root_span_id_is_the_last_64_bits_with_the_top_bit_set(run_id: str) -> None:
    assert int(run.root_span_id(run_id), 16) == int(run_id[16:], 16) | 1 << 63


def test_new_ids_never_begin_with_the_digit_0() -> None:
    """One in sixteen would: 300 of each kind leave a generator that forgets it no chance."""
    for make, length in ((run.new_span_id, 16), (run.new_trace_id, 32), (run.new_run_id, 32)):
        made = {make() for _ in range(300)}
        assert len(made) == 300
        assert {len(value) for value in made} == {length}
        assert all(value[0] in "123456789abcdef" for value in made)


def test_a_new_run_id_is_a_uuid_of_version_4() -> None:
    """So its root span's id is its last 16 digits as they are."""
    for _ in range(100):
        value = uuid.UUID(run.new_run_id())
        assert (value.version, value.variant) == (4, uuid.RFC_4122)
        assert run.root_span_id(value.hex) == value.hex[16:]
