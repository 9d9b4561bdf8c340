"""The index of closed runs: what is listed from it is what the runs' own files say, come what may."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gastown_tracing.journal import closed, reader, writer
from gastown_tracing.journal.layout import Journal, create
from propagation.work import WorkContext, format_line
from tests.relay.keep_kit import (
    DAY,
    NOON,
    SECOND,
    House,
    begin_run,
    close_run,
    closed_run,
    shelved,
    span_line,
    trace_id,
)

Run = Callable[..., subprocess.CompletedProcess[str]]
DATE = "2026-11-20"


def index(journal: Journal, date: str = DATE) -> Path:
    return Path(journal.root, "closed", date, closed.INDEX)


def varied(journal: Journal) -> list[str]:
    """Make four closed runs: primed twice, failed, found lost, and started for a bead."""
    first = closed_run(journal, 1, session="gt-rust", rig="demo", role="polecat", agent_name="rust")
    lines = [
        format_line(NOON + place, WorkContext("demo", bead, "", ""), "prime")
        for place, bead in enumerate(["de-1", "de-2", "", "de-3"])
    ]
    Path(journal.run_dir(first), "work.jsonl").write_text("".join(lines))
    second = trace_id(2)
    begin_run(journal, second, session="gt-bö\u2028se", issue_id="de-9")
    writer.append(journal.run_dir(second), "traces", span_line(second, 1, failed=True))
    close_run(journal, second, end=NOON + SECOND, error="exit code 1", reason="exited")
    third = trace_id(3)
    begin_run(journal, third, session="gt-lost")
    writer.append(journal.run_dir(third), "traces", span_line(third, 1))
    facts = {"gastown.end_time.known": False, "gastown.evidence": "nobody saw it"}
    close_run(journal, third, end=NOON + 2 * SECOND, reason="lost", **facts)
    fourth = closed_run(journal, 4, NOON + DAY, issue_id="de-4")
    Path(journal.run_dir(fourth), "pane.json").write_text('{"session": "gt-pane"}\n')
    return [first, second, third, fourth]


def move(journal: Journal) -> None:
    """Let a relay move what is closed."""
    house = House(journal)
    house.spend(0)
    house.spend(30)
    house.spend(90)
    assert os.listdir(journal.root + "/runs") == []


COMMANDS = [
    ("ls", "--json"),
    ("ls", "--json", "--all", "--since", "2020-01-01"),
    ("ls", "--json", "--rig", "demo"),
    ("ls", "--json", "--agent", "rust"),
    *(("ls", "--json", "--bead", bead) for bead in ("de-1", "de-3", "de-9", "de-4", "none")),
    ("session", "list", "--all", "--json"),
    *(("view", name, "--json") for name in ("latest", "gt-rust", "gt-pane", "de-2", "gt-bö\u2028se")),
    ("stats", "--json"),
    ("stats", "gt-lost", "de-4", "--json"),
]


def test_what_was_moved_is_shown_as_before(journal: Journal, gt_trace: Run) -> None:
    """Every list, look-up and statistic says of runs in closed/ what it said of them in runs/."""
    varied(journal)
    before = [gt_trace(*words) for words in COMMANDS]
    move(journal)
    for words, was in zip(COMMANDS, before, strict=True):
        done = gt_trace(*words)
        assert (done.returncode, done.stdout) == (was.returncode, was.stdout), words


def test_a_list_of_closed_runs_opens_none_of_their_files(
    journal: Journal, gt_trace: Run, tmp_path: Path
) -> None:
    """With every run's directory empty ls still says the same: it has it from the index."""
    varied(journal)
    move(journal)
    said = gt_trace("ls", "--json").stdout
    for place in Path(journal.root, "closed").glob("*/*/*"):
        place.unlink() if place.is_file() else place.rmdir()
    assert gt_trace("ls", "--json").stdout == said


def test_a_damaged_line_costs_itself_alone(journal: Journal, gt_trace: Run) -> None:
    """A line that is cut, torn or nonsense: its run is read from its own files, the others from theirs."""
    varied(journal)
    move(journal)
    said = gt_trace("ls", "--json").stdout
    lines = index(journal).read_bytes().splitlines(keepends=True)
    index(journal).write_bytes(b"nonsense\n" + lines[0][:40] + b"\n" + lines[1] + lines[2][:-20])
    runs = [json.loads(line)["name"] for line in lines]
    assert sorted(closed.unindexed(journal, DATE)) == sorted([runs[0], runs[2]])
    assert gt_trace("ls", "--json").stdout == said
    line = closed.describe(journal, closed.whole(journal, runs[0], journal.find_run(runs[0])[0]), runs[0])
    closed.append(journal, DATE, line)
    assert closed.unindexed(journal, DATE) == [runs[2]], "what is added after a torn line is whole"


@pytest.mark.parametrize("value", ['"x"', "null", "[]", "-1", "1e400", '{"a":1}', '"\u0661"', "true"])
@pytest.mark.parametrize("key", ["start", "end", "last", "info", "pane", "root", "primed", "older", "spans"])
def test_a_line_that_says_nonsense_never_raises(journal: Journal, key: str, value: str) -> None:
    """JSON with the wrong types in it: the run is listed all the same."""
    run = shelved(journal, 1)
    entry = json.loads(index(journal).read_text())
    rest = json.dumps({name: found for name, found in entry.items() if name not in ("name", key)})
    index(journal).write_text(f'{{"name":"{run}","{key}":{value},{rest[1:]}\n')
    (found,) = reader.list_runs(journal)
    assert found.trace_id == run
    assert reader.resolve(journal, run[:30]) == run
    closed.sizes(journal, DATE)


@settings(max_examples=150, deadline=None)
@given(start=st.integers(0, 3_000), length=st.integers(0, 900), put=st.binary(max_size=60))
def test_whatever_happens_to_the_index_every_run_is_listed(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int, put: bytes
) -> None:
    """Any piece of it replaced by any bytes: nothing is raised, no run is missing, none is there twice."""
    root = tmp_path_factory.getbasetemp() / "any-index"
    journal = Journal(str(root))
    if not journal.exists():
        journal = create(str(root))
        for number in range(4):
            shelved(journal, number, session=f"gt-{number}")
        (root / "whole").write_bytes(index(journal).read_bytes())
    whole = (root / "whole").read_bytes()
    index(journal).write_bytes(whole[:start] + put + whole[start + length :])
    found = sorted(run.trace_id for run in reader.list_runs(journal))
    assert found == [trace_id(number) for number in range(4)]


def test_a_line_without_its_run_counts_for_nothing(journal: Journal) -> None:
    """What a hand removed from closed/ is gone, although the index still has it."""
    runs = [shelved(journal, number, session=f"gt-{number}") for number in (1, 2)]
    os.rename(f"{journal.root}/closed/{DATE}/{runs[0]}", f"{journal.root}/relay/away")
    assert [run.trace_id for run in reader.list_runs(journal)] == [runs[1]]
    with pytest.raises(reader.LookupFailed):
        reader.resolve(journal, "gt-1")


def test_a_purge_leaves_no_line(journal: Journal, gt_trace: Run) -> None:
    """After purge neither the run nor its name is anywhere, in any of its parts; the others are."""
    runs = [closed_run(journal, number, session=f"gt-{number}") for number in (1, 2)]
    house = House(journal)
    house.spend(0)
    house.spend(30)
    writer.append(journal.run_dir(runs[0]), "traces", span_line(runs[0], 3))
    os.utime(f"{journal.run_dir(runs[0])}/traces.jsonl", ns=(NOON, NOON + SECOND))
    house.spend(30)
    house.spend(90)
    assert len(journal.find_run(runs[0])) == 2
    assert gt_trace("purge", "gt-1", "--yes").returncode == 0
    assert "gt-1" not in index(journal).read_text()
    assert [run.trace_id for run in reader.list_runs(journal)] == [runs[1]]
    assert reader.list_runs(journal)[0].summary is not None
    closed.append(journal, DATE, b'{"name":"later"}\n')
    assert reader.list_runs(journal)[0].trace_id == runs[1]


def test_runs_come_newest_first_whatever_their_dates(journal: Journal) -> None:
    """A run that lasted for days lies under the date of its end and is listed by its start."""
    long = trace_id(1)
    begin_run(journal, long, NOON - 5 * DAY)
    close_run(journal, long, NOON - 5 * DAY, NOON)
    move(journal)
    for number, end in ((2, NOON), (3, NOON - DAY), (4, NOON - 6 * DAY)):
        shelved(journal, number, end)
    live = trace_id(5)
    begin_run(journal, live, NOON - 2 * DAY)
    found = [run.trace_id for run in reader.newest_first(journal)]
    assert found == [trace_id(number) for number in (2, 3, 5, 1, 4)]


def test_since_finds_a_run_that_was_found_lost_days_later(journal: Journal) -> None:
    """Active is a run whose files changed since, and it lies under the date of its end, long before."""
    run = shelved(journal, 1, NOON - 20 * DAY)
    (found,) = reader.list_runs(journal)
    assert [one.trace_id for one in reader.list_runs(journal, found.last_activity_ns)] == [run]
    assert reader.list_runs(journal, found.last_activity_ns + 1) == []


def test_a_run_that_moves_while_it_is_read_is_read_whole(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its directory goes between the look and the reading: it is read where it is now."""
    run = closed_run(journal, 1)
    os.makedirs(f"{journal.root}/closed/{DATE}")
    load, moved = reader.load_run, []

    def late(trace: str, places: list[str]) -> reader.Run:
        if not moved:
            moved.append(os.rename(journal.run_dir(run), f"{journal.root}/closed/{DATE}/{run}"))
        return load(trace, places)

    monkeypatch.setattr(reader, "load_run", late)
    data = reader.read_run(journal, run)
    assert (data.run.closed, len(data.spans), len(data.logs)) == (True, 3, 1)
    os.rename(f"{journal.root}/closed/{DATE}/{run}", journal.run_dir(run))
    moved.clear()
    assert [found.closed for found in reader.list_runs(journal)] == [True]
