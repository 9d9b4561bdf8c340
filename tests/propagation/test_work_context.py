"""The work context in GT_WORK_* and in work.jsonl."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from propagation_strategies import any_text, modest, nearly

from propagation.traceparent import PropagationError
from propagation.work import WorkContext, began, format_line, in_force, parse_line

works = st.builds(WorkContext, any_text, any_text, any_text, any_text)
times = st.integers(min_value=0, max_value=2**63 - 1)


def test_unset_variables_are_empty_and_nothing_set_is_false() -> None:
    assert not WorkContext.from_env({"PATH": "/bin"})
    assert WorkContext.from_env({"GT_WORK_BEAD": "de-1"}) == WorkContext(bead="de-1")


@modest
@given(works)
def test_a_work_context_survives_the_environment(work: WorkContext) -> None:
    assert WorkContext.from_env(work.to_env()) == work


def test_an_unset_part_hides_an_older_value_in_a_childs_environment() -> None:
    env = {**WorkContext("demo", "de-1", "de-wisp-2", "7").to_env(), **WorkContext("demo", "de-9").to_env()}
    assert WorkContext.from_env(env) == WorkContext("demo", "de-9")


def test_attributes_name_the_build_only_where_it_is_set() -> None:
    assert WorkContext("r", "b").attributes() == {"work_rig": "r", "work_bead": "b", "work_mol": ""}
    assert WorkContext(build="7").attributes()["work_build"] == "7"


def test_work_contexts_are_compared_and_shown_by_their_values() -> None:
    assert len({WorkContext("r"), WorkContext("r"), WorkContext("", "r")}) == 2
    assert WorkContext("r") != ("r", "", "", "")
    assert repr(WorkContext("r")) == "WorkContext('r', '', '', '')"


@modest
@given(times, works, any_text)
def test_a_line_survives_the_round_trip_and_is_one_line_of_json(
    time_ns: int, work: WorkContext, source: str
) -> None:
    line = format_line(time_ns, work, source)
    assert parse_line(line) == (time_ns, work, source)
    assert (line.count("\n"), line[-1], line.isascii()) == (1, "\n", True)
    assert json.loads(line)["time"] == str(time_ns)


@modest
@given(nearly(st.builds(format_line, times, works, any_text)) | any_text)
def test_reading_a_line_never_raises(text: str) -> None:
    assert parse_line(text) is None or json.loads(text, strict=False)["time"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"time":1}',
        '{"time":"-1"}',
        '{"time":""}',
        '{"time":"12345678901234567890"}',
        '{"time":"1","rig":2}',
        '{"time":"1"} {}',
        '{"time":"1"',
        "[" * 100000,
        '{"time":"٣"}',
    ],
)
def test_what_is_not_a_line_of_ours_is_none(text: str) -> None:
    assert parse_line(text) is None


def test_a_broken_line_is_none_without_json_loaded_too() -> None:
    """The C scanner reports errors through json.decoder, which a fast path has not imported."""
    code = (
        "import sys\nfrom propagation.work import parse_line\nprint(parse_line('{'), 'json' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == "None"


def test_an_interpreter_without_c_accelerators_reads_and_writes_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = format_line(7, WorkContext("é\udc80", 'b"'), "prime")
    monkeypatch.setitem(sys.modules, "_json", None)
    assert format_line(7, WorkContext("é\udc80", 'b"'), "prime") == line
    assert parse_line(line) == (7, WorkContext("é\udc80", 'b"'), "prime")
    assert parse_line("{") is None


@modest
@given(st.integers() | st.none(), st.builds(WorkContext, any_text | st.none()), any_text | st.integers())
def test_writing_a_line_raises_nothing_but_the_documented_error(
    time_ns: int, work: WorkContext, source: str
) -> None:
    try:
        assert parse_line(format_line(time_ns, work, source)) == (time_ns, work, source)
    except PropagationError:
        assert not (
            isinstance(time_ns, int) and isinstance(work.rig, str) and isinstance(source, str)
        ) or not (0 <= time_ns < 2**63)


def test_the_last_line_older_than_a_record_is_in_force() -> None:
    first, second = WorkContext("demo", "de-1"), WorkContext("demo", "de-2")
    text = format_line(100, first, "prime") + "not ours\n" + format_line(200, second, "prime") + "{}\n"
    assert in_force(text, 100) is None
    assert in_force(text, 101) == first
    assert in_force(text, 200) == first
    assert in_force(text, 201) == second


def test_a_last_line_without_its_end_is_still_being_written() -> None:
    line = format_line(100, WorkContext("demo"), "prime")
    assert in_force(line, 200) == WorkContext("demo")
    assert in_force(line[:-1], 200) is None
    assert in_force("", 200) is None


@modest
@given(any_text, times)
def test_looking_for_the_work_in_force_never_raises(text: str, time_ns: int) -> None:
    in_force(text, time_ns)


def noted(*beads: str) -> str:
    """Return a work.jsonl with these beads, at 100, 200, 300, …"""
    return "".join(
        format_line(number * 100, WorkContext("demo", bead), "prime") for number, bead in enumerate(beads, 1)
    )


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("", None),
        (noted("b"), None),
        (noted("a"), 100),
        (noted("b", "a"), 200),
        (noted("a", "a", "a"), 100),
        (noted("a", "b", "a", "a"), 300),
        (noted("a", "", "a"), 300),
        (noted("a", "b"), 100),
        (noted("a") + "not ours\n{}\n" + noted("a"), 100),
        (noted("b", "a")[:-1], None),
    ],
)
def test_work_on_a_bead_began_with_its_last_unbroken_stretch(text: str, start: int | None) -> None:
    assert began(text, "a") == start


@modest
@given(any_text, any_text)
def test_looking_for_the_beginning_of_work_never_raises(text: str, bead: str) -> None:
    began(text, bead)
