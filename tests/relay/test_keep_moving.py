"""Runs that are done with go to closed/, each once and whole, and nothing that comes late is lost."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import pytest

from gastown_tracing.hooks import agents
from gastown_tracing.journal import closed, reader, writer
from gastown_tracing.journal.layout import Journal, create
from gastown_tracing.relay import moving
from gastown_tracing.relay.feed import Feed
from gastown_tracing.relay.moving import WATCHED
from tests.relay.keep_kit import (
    DAY,
    NOON,
    SECOND,
    House,
    begin_run,
    close_run,
    closed_run,
    log_line,
    span_line,
    trace_id,
    tree,
)

DATE = "closed/2026-11-20"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return create(str(tmp_path / "journal"))


def test_a_closed_run_that_was_shipped_is_moved_by_the_date_of_its_end(journal: Journal) -> None:
    """Two runs that ended on two dates go to two directories; all of each was shipped once, and is found."""
    runs = [closed_run(journal, 1), closed_run(journal, 2, NOON + DAY)]
    house = House(journal)
    house.spend(0)
    assert tree(journal) == {f"runs/{run}" for run in runs}, "not before it was quiet for some seconds"
    house.spend(10)
    assert tree(journal) == {f"{DATE}/{runs[0]}", f"closed/2026-11-21/{runs[1]}"}
    assert len(house.shipped()) == len(set(house.shipped())) == 8
    for run in reader.list_runs(journal):
        data = reader.read_run(journal, run.trace_id)
        assert run.summary is not None, "it was listed from the index"
        assert (run.closed, run.summary.spans, len(data.spans), len(data.logs)) == (True, 3, 3, 1)


def test_a_run_waits_until_its_backend_has_it_all(journal: Journal) -> None:
    """While the backend is down a closed run stays; without any endpoint it counts as shipped."""
    run = closed_run(journal, 1)
    house = House(journal)
    house.backend = False
    for _ in range(5):
        house.spend(30)
    assert tree(journal) == {f"runs/{run}"}
    house.backend = True
    house.spend(30)
    assert tree(journal) == {f"{DATE}/{run}"}
    other = closed_run(journal, 2)
    alone = House(journal, ships=False)
    alone.spend(0)
    alone.spend(30)
    assert tree(journal) == {f"{DATE}/{run}", f"{DATE}/{other}"}


def test_a_worker_that_is_not_there_holds_everything_up(journal: Journal) -> None:
    """A worker that has an endpoint and has just died has read nothing: nobody says that it is done."""
    run = closed_run(journal, 1)
    house = House(journal)
    house.mover._feeds = lambda: None
    house.spend(30)
    assert tree(journal) == {f"runs/{run}"}


def test_open_runs_and_those_with_calls_under_way_stay(journal: Journal) -> None:
    """A live session stays, and so does a closed run with a call that has not ended."""
    live, busy = trace_id(1), closed_run(journal, 2)
    begin_run(journal, live)
    marker = writer.Marker.open(journal.run_dir(busy), "a" * 16, span_line(busy, 9))
    house = House(journal)
    house.spend(30)
    house.spend(90)
    assert tree(journal) == {f"runs/{live}", f"runs/{busy}"}
    marker.close()
    house.spend(30)
    assert tree(journal) == {f"runs/{live}", f"{DATE}/{busy}"}


def test_a_late_line_in_an_open_file_is_shipped_and_counted(journal: Journal) -> None:
    """Who had the file open when it moved writes on: its line is shipped once, and the index follows."""
    run = closed_run(journal, 1)
    house = House(journal)
    house.spend(0)
    with open(f"{journal.run_dir(run)}/traces.jsonl", "ab", buffering=0) as file:
        house.spend(30)
        assert tree(journal) == {f"{DATE}/{run}"}
        file.write(span_line(run, 3))
        house.spend(5)
    assert house.shipped().count(span_line(run, 3)) == 1
    house.spend(WATCHED + 30)
    assert house.moves() == {}
    assert house.sources.place(f"{DATE}/{run}") is None, "after a minute nobody looks any more"
    (found,) = reader.list_runs(journal)
    assert found.summary is not None
    assert found.summary.spans == 4
    assert all(not feed.offsets() for feed in house.feeds.values()), "its offsets are forgotten, too"


def test_a_moved_run_is_watched_as_long_as_its_last_line_waits(journal: Journal) -> None:
    """A late line that no backend takes keeps the run watched, however long that takes."""
    run = closed_run(journal, 1)
    house = House(journal)
    house.spend(0)
    house.spend(30)
    late = log_line(run, "late")
    with open(f"{journal.root}/{DATE}/{run}/logs.jsonl", "ab") as file:
        file.write(late)
    house.backend = False
    for _ in range(4):
        house.spend(WATCHED)
    assert list(house.moves()) == [f"{DATE}/{run}"]
    house.backend = True
    house.spend(WATCHED)
    house.spend(WATCHED)
    assert house.moves() == {}
    assert house.shipped().count(late) == 1


def test_later_records_are_parts_of_their_own_that_readers_join(journal: Journal) -> None:
    """What comes later is moved after the first: as ~2 and ~3 on the same date; the run stays one."""
    run = closed_run(journal, 1, session="gt-rust")
    house = House(journal)
    house.spend(0)
    house.spend(30)
    for number in (3, 4):
        writer.append(journal.run_dir(run), "traces", span_line(run, number))
        os.utime(f"{journal.run_dir(run)}/traces.jsonl", ns=(NOON, NOON + number * SECOND))
        house.spend(30)
        house.spend(90)
    assert tree(journal) == {f"{DATE}/{run}", f"{DATE}/{run}~2", f"{DATE}/{run}~3"}
    assert [os.path.basename(place) for place in journal.find_run(run)] == [f"{run}~3", f"{run}~2", run]
    (found,) = reader.list_runs(journal)
    assert (found.closed, found.info["session"]) == (True, "gt-rust")
    assert found.summary is not None
    assert found.summary.spans == 5
    assert len(reader.read_run(journal, run).spans) == 5
    assert reader.resolve(journal, "gt-rust") == run
    assert len(house.shipped()) == len(set(house.shipped())) == 6


def test_a_part_of_a_later_date_speaks_for_the_whole_run(journal: Journal) -> None:
    """A record of the next day lies under its own date; lists show the run once, with all that it has."""
    run = closed_run(journal, 1, session="gt-rust")
    house = House(journal)
    house.spend(0)
    house.spend(30)
    writer.append(journal.run_dir(run), "traces", span_line(run, 3))
    os.utime(f"{journal.run_dir(run)}/traces.jsonl", ns=(NOON, NOON + DAY))
    house.spend(30)
    house.spend(90)
    assert tree(journal) == {f"{DATE}/{run}", f"closed/2026-11-21/{run}"}
    (found,) = reader.list_runs(journal)
    assert [found.info["session"], found.end_ns, found.summary and found.summary.spans] == [
        "gt-rust",
        NOON,
        4,
    ]
    assert len(found.directories) == 2


def test_a_clock_that_steps_back_puts_no_part_before_its_run(journal: Journal) -> None:
    """A later record whose clock is a week behind lies under the date of the run's end."""
    run = closed_run(journal, 1)
    house = House(journal)
    house.spend(0)
    house.spend(30)
    writer.append(journal.run_dir(run), "traces", span_line(run, 3, at=NOON - 7 * DAY))
    for name in ("runs/" + run, f"{DATE}/{run}"):
        for file in os.listdir(f"{journal.root}/{name}"):
            os.utime(f"{journal.root}/{name}/{file}", ns=(NOON, NOON - 7 * DAY))
    house.spend(30)
    house.spend(90)
    assert tree(journal) == {f"{DATE}/{run}", f"{DATE}/{run}~2"}


def test_records_of_a_run_that_nobody_opened_go_after_a_day(journal: Journal) -> None:
    """Without run.json nobody ever closes it: it is moved when it was quiet for a day, an open run never."""
    strangers, ours = trace_id(1), trace_id(2)
    old = time.time_ns() - DAY - SECOND
    for run in (strangers, trace_id(3)):
        writer.append(journal.run_dir(run), "traces", span_line(run, 1))
    begin_run(journal, ours)
    writer.append(journal.run_dir(ours), "traces", span_line(ours, 1))
    for run in (strangers, ours):
        os.utime(f"{journal.run_dir(run)}/traces.jsonl", ns=(old, old))
    house = House(journal)
    house.spend(0)
    house.spend(30)
    assert tree(journal, "runs") == {f"runs/{trace_id(3)}", f"runs/{ours}"}
    assert tree(journal, "closed") == {f"closed/{closed.date_of(old)}/{strangers}"}


def test_what_a_hook_alone_noted_of_a_run_goes_after_a_day(journal: Journal) -> None:
    """agents.jsonl is all there is of a session that began before any shim, and ended unseen."""
    gone, lives = trace_id(1), trace_id(2)
    old = time.time_ns() - DAY - SECOND
    for run in (gone, lives):
        agents.begins(journal, run, f"session-{run}", {})
    os.utime(f"{journal.run_dir(gone)}/agents.jsonl", ns=(old, old))
    house = House(journal)
    house.spend(0)
    house.spend(30)
    assert tree(journal, "runs") == {f"runs/{lives}"}
    assert tree(journal, "closed") == {f"closed/{closed.date_of(old)}/{gone}"}


def test_a_call_that_begins_while_its_run_moves_ends_there(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A marker that appears between the last look and the rename brings the run back."""
    run = closed_run(journal, 1)
    house = House(journal)
    house.spend(0)
    rename, markers = os.rename, []

    def late(source: str, target: str) -> None:
        if not markers and source == journal.run_dir(run):
            markers.append(writer.Marker.open(journal.run_dir(run), "a" * 16, span_line(run, 9)))
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    house.spend(30)
    assert tree(journal) == {f"runs/{run}"}
    assert os.path.exists(markers[0].path)
    markers[0].close()
    house.spend(30)
    assert tree(journal) == {f"{DATE}/{run}"}


def test_a_purged_run_is_not_waited_for(journal: Journal) -> None:
    """A run that an operator removes while it is watched is forgotten."""
    run = closed_run(journal, 1)
    house = House(journal)
    house.spend(0)
    house.spend(30)
    for name in os.listdir(f"{journal.root}/{DATE}/{run}"):
        os.unlink(f"{journal.root}/{DATE}/{run}/{name}")
    os.rmdir(f"{journal.root}/{DATE}/{run}")
    house.spend(10)
    assert house.moves() == {}


def test_a_session_that_begins_again_under_its_id_is_moved_again(journal: Journal) -> None:
    """GT_RUN used twice: the second run.json gets no root of its own, and still goes when it is quiet."""
    run = closed_run(journal, 1)
    house = House(journal)
    house.spend(0)
    house.spend(30)
    begin_run(journal, run)
    writer.append(journal.run_dir(run), "traces", span_line(run, 3))
    house.spend(30)
    house.spend(90)
    assert tree(journal, "runs") == set()
    (found,) = reader.list_runs(journal)
    assert found.closed


def test_a_name_that_is_taken_is_never_overwritten(journal: Journal) -> None:
    """Where somebody put something of this name into closed/, the run takes the next one."""
    run = closed_run(journal, 1)
    os.makedirs(f"{journal.root}/{DATE}")
    os.symlink("/nonexistent", f"{journal.root}/{DATE}/{run}")
    house = House(journal)
    house.spend(0)
    house.spend(30)
    assert tree(journal) == {f"{DATE}/{run}", f"{DATE}/{run}~2"}
    assert os.readlink(f"{journal.root}/{DATE}/{run}") == "/nonexistent"


def test_what_closes_while_it_is_watched_by_nobody_else_is_moved_later(journal: Journal) -> None:
    """A run that is closed in its turn, between two rounds, goes in the next one."""
    run = trace_id(1)
    begin_run(journal, run)
    writer.append(journal.run_dir(run), "traces", span_line(run, 1))
    house = House(journal)
    house.spend(30)
    close_run(journal, run)
    house.spend(30)
    assert tree(journal) == {f"runs/{run}"}
    house.spend(10)
    assert tree(journal) == {f"{DATE}/{run}"}


def test_a_worker_that_begins_anew_knows_a_moved_run_by_its_old_name(journal: Journal) -> None:
    """Its checkpoint is older than the move: nothing is read twice, neither there nor of a later part."""
    run = closed_run(journal, 1)
    house = House(journal)
    house.spend(0)
    checkpoints = {name: dict(feed.offsets()) for name, feed in house.feeds.items()}
    house.spend(30)
    writer.append(journal.run_dir(run), "traces", span_line(run, 3))
    house.sources.scan(house.now + 1)
    feed = Feed(journal, lambda _, name: name in ("traces.jsonl", "close.json"), checkpoints["traces"])
    house.sources.add(feed)
    house.sources.scan(house.now + 2)
    assert b"".join(piece.data for piece in feed.take(1 << 20)) == span_line(run, 3)


def test_a_root_that_cannot_be_read_says_nothing_of_the_date(journal: Journal) -> None:
    """A run whose close.json is damaged goes by its last record: in 1970 it would be too old at once."""
    run = closed_run(journal, 1)
    for name in ("traces.jsonl", "logs.jsonl", "close.json"):
        path = Path(journal.run_dir(run), name)
        path.write_bytes(b"\0" * 100 + b"\n" if name == "close.json" else path.read_bytes())
        os.utime(path, ns=(NOON, NOON))
    house = House(journal)
    house.spend(0)
    house.spend(10)
    assert tree(journal) == {f"{DATE}/{run}"}


def test_runs_that_wait_keep_no_other_waiting(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """With time for one run only, each gets its turn; when all have had one, the round is over."""
    runs = [closed_run(journal, number) for number in range(5)]
    house = House(journal)
    house.sources.scan(house.now)
    house.ship()
    for waiting in runs[:4]:
        writer.append(journal.run_dir(waiting), "traces", span_line(waiting, 9))
    house.now += 10
    house.sources.scan(house.now)
    house.now += 10
    passing = itertools.count()
    monkeypatch.setattr(moving.time, "monotonic", lambda: next(passing) * 0.15)
    assert [house.mover.tick(house.now) for _ in runs] == [True, True, True, True, False]
    assert tree(journal) == {*(f"runs/{run}" for run in runs[:4]), f"{DATE}/{runs[4]}"}
