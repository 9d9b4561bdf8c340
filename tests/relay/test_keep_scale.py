"""A month-old town of 50,000 closed runs costs what a new one costs: counted in calls into the kernel."""

from __future__ import annotations

import collections
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import BuiltinFunctionType
from typing import Any

import pytest

from gastown_tracing.cli import ls, session, view
from gastown_tracing.journal import closed, reader
from gastown_tracing.journal.layout import Journal
from gastown_tracing.sessions import reaping
from gastown_tracing.view import neighbours
from tests.relay import town
from tests.relay.keep_kit import SECOND, House, begin_run, closed_run

RUNS = 50_000
#: The modules whose functions call the kernel.
KERNEL = ("posix", "_io", "io")


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> tuple[Journal, Journal]:
    """Return a town of 50,000 closed runs, and one of 100, both of a month."""
    root = tmp_path_factory.mktemp("towns")
    return town.build(str(root / "old"), RUNS), town.build(str(root / "new"), 100)


def calls(act: Callable[[], Any]) -> collections.Counter[str]:
    """Return which calls into the kernel something makes, by the names of Python's C functions."""
    counted: collections.Counter[str] = collections.Counter()

    def count(_frame: object, event: str, called: object) -> None:
        if event == "c_call" and isinstance(called, BuiltinFunctionType) and called.__module__ in KERNEL:
            counted[called.__name__] += 1

    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(None)
    return counted


def compared(towns: tuple[Journal, Journal], act: Callable[[Journal], Any]) -> tuple[int, int]:
    """Return how many calls it takes in the old town and in the new one, where nothing is loaded first."""
    act(towns[1])
    old, new = (calls(lambda town=town: act(town)) for town in towns)  # type: ignore[misc]
    print(old, new)
    return sum(old.values()), sum(new.values())


def cli(command: Any, *words: str) -> Callable[[Journal], Any]:
    def run(journal: Journal) -> None:
        command.main([*words, "--journal", journal.root], standalone_mode=False)

    return run


READS: dict[str, Callable[[Journal], Any]] = {
    "ls": cli(ls.command),
    "ls --since": cli(ls.command, "--since", "2026-11-20T00:00:00Z"),
    "ls --rig": cli(ls.command, "--rig", "rig-3"),
    "session list": cli(session.command, "list"),
    "latest": lambda journal: reader.resolve(journal, "latest"),
    "by run id": lambda journal: reader.resolve(journal, town.trace_id(17)),
    "by its digits": lambda journal: reader.resolve(journal, town.trace_id(17)[:8]),
    "by session": lambda journal: reader.resolve(journal, "gt-rig-50"),
    "by bead": lambda journal: reader.resolve(journal, "gt-51"),
    "find_run": lambda journal: journal.find_run(town.trace_id(17)),
    "all runs": reader.list_runs,
    "sessions that died": lambda journal: reaping.reap(journal, {"PATH": os.environ["PATH"]}),
}


@pytest.mark.parametrize("what", READS)
def test_reading_an_old_town_takes_as_many_calls_as_reading_a_new_one(
    towns: tuple[Journal, Journal], what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """However many runs are closed: a few calls a date, none a run."""
    old, new = compared(towns, READS[what])
    assert old <= new + 150


def test_a_waterfall_in_an_old_town_is_as_cheap(towns: tuple[Journal, Journal]) -> None:
    """A run of today looks for its causes and effects among what was written since, not in every run."""

    def look(journal: Journal) -> None:
        run = closed_run(journal, 1, town.LAST + 3_600 * SECOND, session="gt-now")
        cli(view.command, run, "--color", "never")(journal)
        for name in os.listdir(journal.run_dir(run)):
            os.unlink(f"{journal.run_dir(run)}/{name}")
        os.rmdir(journal.run_dir(run))

    began = town.LAST + 3_500 * SECOND
    dates = [date for date in closed.dates(towns[0]) if closed.changed_since(towns[0], date, began)]
    assert dates == [], "nothing was moved since"
    assert sum(1 for _ in neighbours._files(towns[0], began)) == 0
    old, new = compared(towns, look)
    assert old <= new + 150


def test_only_the_newest_dates_are_read_for_a_list(
    towns: tuple[Journal, Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest 30 of 50,000 are on the last date: one index is opened, not 30."""
    read: list[str] = []
    original = closed.read_date

    def noted(journal: Journal, date: str, *more: Any) -> Iterator[reader.Run]:
        read.append(date)
        return original(journal, date, *more)

    monkeypatch.setattr(closed, "read_date", noted)
    cli(ls.command)(towns[0])
    assert read == ["2026-11-20"]


def test_all_of_them_are_listed_newest_first(
    towns: tuple[Journal, Journal], capfd: pytest.CaptureFixture[str]
) -> None:
    """That there are many more is said; --all lists every one, and what is chosen is all there is of it."""
    cli(ls.command)(towns[0])
    said = capfd.readouterr()
    lines = said.out.splitlines()
    assert len(lines) == 31
    assert f"gt-rig-{RUNS - 1} " in lines[1]
    assert "over 1000 older: --all lists them" in said.err
    found = [run.trace_id for run in reader.newest_first(towns[0])]
    assert found == [town.trace_id(number) for number in range(RUNS - 1, -1, -1)]
    cli(ls.command, "--bead", "gt-17")(towns[0])
    assert [line.split()[1] for line in capfd.readouterr().out.splitlines()[1:]] == ["gt-rig-17"]


def test_a_relay_starts_without_looking_at_closed_runs(
    towns: tuple[Journal, Journal], tmp_path: Path
) -> None:
    """Its start and its rounds list no date; sizes come later, a few dates a round, from the indexes."""

    def start(journal: Journal) -> None:
        house = House(journal)
        for _ in range(3):
            house.spend(20)

    old, new = compared(towns, start)
    assert old <= new + 20

    def retain(journal: Journal) -> None:
        House(journal).retain()

    old, new = compared(towns, retain)
    assert old <= new + 20 * 30, "some calls a date, none a run"


def test_an_idle_round_with_100_live_sessions_is_cheap(journal_root: Path) -> None:
    """Two stats a live run and a scan; nothing is opened but a marker."""
    from gastown_tracing.journal.layout import create

    journal = create(str(journal_root))
    for number in range(100):
        begin_run(journal, town.trace_id(number + 1))
    house = House(journal)
    house.spend(0)
    house.spend(100)
    idle = calls(lambda: house.spend(1))
    assert sum(idle.values()) <= 100 * 4, idle
    assert not {"open", "listdir"} & {name for name, count in idle.items() if count > 3}
