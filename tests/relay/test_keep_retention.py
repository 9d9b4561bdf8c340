"""What goes when a journal is too old or too big: what was sent first, the rest at the cap, and counted."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import pytest

from gastown_tracing.journal import closed, reader, writer
from gastown_tracing.journal.index import bead_span, note_bead
from gastown_tracing.journal.layout import Journal, PaneRegistry, create, mkdirs
from gastown_tracing.relay import retention, tidying
from gastown_tracing.relay.retention import STEADY
from tests.relay.keep_kit import DAY, SECOND, House, begin_run, closed_run, shelved, span_line, trace_id, tree

DAYS, BYTES, HARD_CAP = "GT_OTEL_RETENTION_DAYS", "GT_OTEL_RETENTION_BYTES", "GT_OTEL_HARD_CAP_BYTES"
NOW = time.time_ns()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return create(str(tmp_path / "journal"))


def hour(journal: Journal, at: int, lines: int = 3) -> str:
    """Write commands outside any run, some time ago; return their place."""
    directory = journal.loose_dir(at)
    mkdirs(directory)
    for number in range(1, lines + 1):
        writer.append(directory, "traces", span_line(trace_id(77), number, at=at))
    os.utime(f"{directory}/traces.jsonl", ns=(at, at))
    return os.path.relpath(directory, journal.root)


def place(run: str, at: int) -> str:
    return f"closed/{closed.date_of(at)}/{run}"


def size(journal: Journal) -> int:
    """Return the bytes of all records and what belongs to them."""
    return sum(closed.size_of(f"{journal.root}/{name}") for name in tree(journal))


def test_what_was_sent_and_is_too_old_goes_to_the_day(journal: Journal) -> None:
    """Of runs and hours 10, 8 and 1 days old, those older than 9 days go; a wrong clock deletes nothing."""
    ages = [NOW - days * DAY for days in (10, 7, 1)]
    runs = [shelved(journal, number, at) for number, at in enumerate(ages)]
    hours = [hour(journal, at) for at in ages]
    house = House(journal, **{DAYS: "8"})
    house.spend(0)
    house.retain()
    assert len(tree(journal)) == 6, "not before the clock has been steady for a while"
    house.now += STEADY + 1
    house.retention._offset = time.time() - house.now  # time has passed on both clocks
    house.retain()
    assert tree(journal) == {place(runs[1], ages[1]), place(runs[2], ages[2]), *hours[1:]}
    assert not os.path.exists(f"{journal.root}/closed/{closed.date_of(ages[0])}"), "with its index"
    assert [run.trace_id for run in reader.list_runs(journal)] == runs[1:]


def test_a_clock_that_steps_makes_nothing_old(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock jumps ten years ahead for some minutes: nothing goes for its age."""
    shelved(journal, 1, NOW - DAY)
    house = House(journal, **{DAYS: "8"})
    house.spend(STEADY + 1)
    house.retain()
    ahead = time.time() + 3_650 * 86_400
    monkeypatch.setattr(time, "time", lambda: ahead)
    monkeypatch.setattr(time, "time_ns", lambda: int(ahead * 1e9))
    for _ in range(5):
        house.now += 60
        ahead += 60
        house.retain()
    assert len(tree(journal, "closed")) == 1


def test_beyond_its_size_the_oldest_that_was_sent_goes_and_no_more(journal: Journal) -> None:
    """Runs and hours go by age, within a date by end, until the rest is small enough; an open run stays."""
    ages = [NOW - 6 * DAY, NOW - 6 * DAY + 5 * SECOND, NOW - 4 * DAY, NOW - 2 * DAY]
    ages[1] = min(ages[1], (closed.end_of(closed.date_of(ages[0])) or 0) - 1)
    runs = [shelved(journal, number, at, spans=20) for number, at in enumerate(ages)]
    old = hour(journal, NOW - 5 * DAY, lines=20)
    begin_run(journal, trace_id(9))
    whole = size(journal)
    one = closed.size_of(f"{journal.root}/{place(runs[0], ages[0])}")
    house = House(journal, **{BYTES: str(whole - one // 2)})
    house.spend(0)
    house.retain()
    assert tree(journal, "closed") == {place(run, at) for run, at in zip(runs[1:], ages[1:], strict=True)}
    assert old in tree(journal)
    house = House(journal, **{BYTES: str(whole - 5 * one // 2)})
    house.spend(0)
    house.retain()
    assert tree(journal) == {place(run, at) for run, at in zip(runs[2:], ages[2:], strict=True)} | {
        f"runs/{trace_id(9)}"
    }
    status = house.keeper.status()
    assert (status["removed_runs"], status["lost_records"]) == (1, 0)
    assert status["journal_bytes"] == pytest.approx(size(journal), abs=500)


def test_what_was_not_sent_stays_below_the_cap_however_old(journal: Journal) -> None:
    """With a backend that is down for months neither age nor size removes what it has yet to get."""
    run = closed_run(journal, 1, NOW - 90 * DAY)
    at = hour(journal, NOW - 90 * DAY)
    house = House(journal, **{DAYS: "1", BYTES: "1", HARD_CAP: "1000000"})
    house.backend = False
    house.spend(0)
    house.spend(STEADY + 1)
    house.retention._offset = time.time() - house.now
    house.retain()
    assert tree(journal) == {f"runs/{run}", at}
    assert house.keeper.status()["lost_records"] == 0


def test_beyond_the_cap_what_was_not_sent_goes_and_is_counted(journal: Journal) -> None:
    """The oldest first, what is over before what is open; each record is counted once, in all restarts."""
    ages = [NOW - 9 * DAY, NOW - 5 * DAY]
    runs = [closed_run(journal, number, at, spans=20) for number, at in enumerate(ages)]
    for run, at in zip(runs, ages, strict=True):
        for name in os.listdir(journal.run_dir(run)):
            os.utime(f"{journal.run_dir(run)}/{name}", ns=(at, at))
    late = hour(journal, NOW - 7 * DAY, lines=10)
    live = begin_run(journal, trace_id(9))
    writer.append(live, "traces", span_line(trace_id(9), 1))
    whole = size(journal)
    house = House(journal, **{HARD_CAP: str(whole - 1000)})
    house.backend = False
    house.spend(0)
    house.retain()
    assert tree(journal) == {f"runs/{runs[1]}", late, f"runs/{trace_id(9)}"}
    assert house.keeper.status()["lost_records"] == 22, "20 spans, their root and a log record"
    assert any("lost 22 records" in line and runs[0] in line for line in house.log)
    again = House(journal, **{HARD_CAP: "1"})
    again.backend = False
    again.spend(0)
    again.retain()
    assert again.keeper.status()["lost_records"] == 22 + 22 + 10 + 1
    assert {path.name: path.stat().st_size > 0 for path in Path(live).iterdir()} == {
        "run.json": True,  # an open run keeps who it is
        "traces.jsonl": False,
    }
    writer.append(live, "traces", span_line(trace_id(9), 2))
    again.backend = True
    again.spend(10)
    assert again.shipped() == [span_line(trace_id(9), 2)], "what comes from now on is sent"


def test_what_was_sent_is_no_loss(journal: Journal) -> None:
    """Of an open run half of whose records were sent, the other half is lost at the cap."""
    live = begin_run(journal, trace_id(9))
    writer.append(live, "traces", span_line(trace_id(9), 1))
    house = House(journal, **{HARD_CAP: "1"})
    house.spend(0)
    house.backend = False
    writer.append(live, "traces", span_line(trace_id(9), 2))
    house.spend(1)
    house.retain()
    assert house.keeper.status()["lost_records"] == 1


def test_what_goes_at_the_cap_takes_no_later_record_with_it(journal: Journal) -> None:
    """A file that is emptied half sent is another one afterwards: a checkpoint of before does not fit."""
    live = begin_run(journal, trace_id(9))
    writer.append(live, "traces", span_line(trace_id(9), 1))
    house = House(journal, **{HARD_CAP: "1"})
    house.spend(0)
    house.backend = False
    writer.append(live, "traces", span_line(trace_id(9), 2))
    house.spend(1)
    house.retain()
    later = [span_line(trace_id(9), number) for number in (3, 4)]
    for line in later:
        writer.append(live, "traces", line)
    again = House(journal)
    again.spend(0)
    assert again.shipped() == [span_line(trace_id(9), 1), *later]


def test_at_the_cap_what_was_sent_goes_first_also_without_another_limit(journal: Journal) -> None:
    """With GT_OTEL_RETENTION_BYTES=0 the hard cap is the only limit, and still the unsent goes last."""
    shelved(journal, 1, NOW - DAY, spans=20)
    run = closed_run(journal, 2, NOW - 2 * DAY, spans=20)
    house = House(journal, **{BYTES: "0", HARD_CAP: str(closed.size_of(journal.run_dir(run)))})
    house.backend = False
    house.spend(0)
    house.retain()
    assert tree(journal) == {f"runs/{run}"}
    assert house.keeper.status()["lost_records"] == 0


def test_what_an_operator_removed_frees_nothing_else(journal: Journal, tmp_path: Path) -> None:
    """Sizes follow a purge: what it removed is not removed once more, elsewhere."""
    ages = [NOW - 3 * DAY, NOW - 2 * DAY]
    runs = [shelved(journal, number, at, spans=20) for number, at in enumerate(ages)]
    whole = size(journal)
    house = House(journal, **{BYTES: str(whole)})
    house.spend(0)
    house.retain()
    os.rename(f"{journal.root}/{place(runs[1], ages[1])}", tmp_path / "purged")
    begin_run(journal, trace_id(9))
    writer.append(journal.run_dir(trace_id(9)), "traces", span_line(trace_id(9), 1))
    house.spend(10)
    house.retain()
    assert place(runs[0], ages[0]) in tree(journal)


def test_no_symbolic_link_is_followed(journal: Journal, tmp_path: Path) -> None:
    """A link in a run's place goes, what it points to stays; behind a link in a date's place nothing goes."""
    at = NOW - 20 * DAY
    date = f"{journal.root}/closed/{closed.date_of(at)}"
    mine = tmp_path / "mine"
    (mine / trace_id(5)).mkdir(parents=True)
    (mine / trace_id(5) / "traces.jsonl").write_text("precious\n")
    run = shelved(journal, 1, at)
    os.symlink(mine / trace_id(5), f"{date}/{trace_id(5)}")
    os.symlink(mine, f"{journal.root}/closed/2001-01-01")
    house = House(journal, **{BYTES: "1"})
    house.spend(0)
    house.retain()
    assert (mine / trace_id(5) / "traces.jsonl").read_text() == "precious\n"
    assert not os.path.lexists(f"{date}/{run}")
    assert os.path.islink(f"{journal.root}/closed/2001-01-01")


def test_a_run_without_a_line_gets_one(journal: Journal) -> None:
    """A crash between a move and its line, or a hand that moved a run: the relay puts it into the index."""
    at = NOW - DAY
    run = closed_run(journal, 1, at)
    mkdirs(f"{journal.root}/closed/{closed.date_of(at)}")
    os.rename(journal.run_dir(run), f"{journal.root}/{place(run, at)}")
    assert closed.unindexed(journal, closed.date_of(at)) == [run]
    house = House(journal)
    house.spend(0)
    house.retain()
    assert closed.unindexed(journal, closed.date_of(at)) == []


def test_an_index_that_is_gone_is_made_again_bit_by_bit(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of lines take seconds, in which nothing else is held up: each round has its time."""
    at = NOW - DAY
    runs = [shelved(journal, number, at) for number in range(6)]
    index = Path(journal.root, "closed", closed.date_of(at), closed.INDEX)
    index.unlink()
    house = House(journal)
    house.spend(0)
    passing = itertools.count()
    with monkeypatch.context() as patched:
        patched.setattr(retention.time, "monotonic", lambda: next(passing) * 0.03)
        assert house.retention.tick(house.now, house.settings)
    assert 0 < len(closed.unindexed(journal, closed.date_of(at))) < len(runs)
    house.retain()
    assert closed.unindexed(journal, closed.date_of(at)) == []


def test_panes_and_beads_of_long_ago_are_forgotten(journal: Journal) -> None:
    """Entries older than 30 days go, but not the pane of a run that is open."""
    registry = PaneRegistry(journal)
    for number in (1, 2, 3):
        registry.register(trace_id(number), socket="s", server_pid="7", pane=f"%{number}")
    begin_run(journal, trace_id(2))
    note_bead(journal, "gt-old", trace_id(1), "a" * 16)
    note_bead(journal, "gt-new", trace_id(1), "a" * 16)
    long_ago = time.time() - 31 * 86_400
    for path in ("panes/7.1", "panes/7.2", "index/beads/gt-old"):
        os.utime(f"{journal.root}/{path}", (long_ago, long_ago))
    tidying.Tidier(journal, House(journal).files, print).daily()
    found = [registry.run_for_pane("s", "7", f"%{number}") for number in (1, 2, 3)]
    assert found == [None, trace_id(2), trace_id(3)]
    assert bead_span(journal, "gt-old") is None
    assert bead_span(journal, "gt-new") is not None


def test_the_oldest_dead_letters_go_and_are_counted(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full file of dead letters is set aside; the one that was so before goes, with a line in the log."""
    monkeypatch.setattr(tidying, "DEAD_LETTERS", 100)
    house = House(journal)
    mkdirs(house.files.dead_letters)
    letters = Path(house.files.dead_letters, "traces.jsonl")
    tidier = tidying.Tidier(journal, house.files, house.log.append)
    for number in range(3):
        letters.write_text(f"{number}\n" * 60)
        tidier.dead_letters()
    assert letters.with_name("traces.jsonl.1").read_text() == "2\n" * 60
    assert tidier.dropped == 120
    assert len(house.log) == 2
