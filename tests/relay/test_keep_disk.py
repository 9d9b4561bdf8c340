"""A full disk: nothing is lost or half done, room is made, and with room again everything goes on."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

from gastown_tracing.journal import closed, reader
from gastown_tracing.journal.layout import create
from gastown_tracing.relay.lock import Lock
from tests.relay.keep_kit import DAY, NOON, House, closed_run, shelved, tree


def fill(disk: Path) -> None:
    """Fill a small file system to the last byte; removing `filler` makes room again."""
    with open(disk / "filler", "ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 512):
            pass


def test_runs_wait_on_a_full_disk_and_go_when_there_is_room(disk: Path) -> None:
    """What cannot be noted is not moved: a crash now would not be understood. It is said once."""
    journal = create(str(disk / "journal"))
    run = closed_run(journal, 1)
    house = House(journal, ships=False)
    house.spend(0)
    fill(disk)
    for _ in range(3):
        house.spend(30)
    assert tree(journal) == {f"runs/{run}"}
    assert len(house.log) == 1
    assert "No space left" in house.log[0]
    assert house.keeper.status()["watched"] == 0
    (disk / "filler").unlink()
    house.spend(30)
    house.spend(90)
    assert tree(journal) == {f"closed/2026-11-20/{run}"}
    assert reader.list_runs(journal)[0].summary is not None


def test_retention_makes_room_on_a_full_disk(disk: Path) -> None:
    """Runs go, and their lines with them, though not a byte can be written; then others can be moved."""
    journal = create(str(disk / "journal"))
    for number in range(1, 4):
        shelved(journal, number, NOON - number * DAY, spans=20)
    run = closed_run(journal, 9)
    size = closed.size_of(journal.run_dir(run))
    house = House(journal, ships=False, GT_OTEL_RETENTION_BYTES=str(size))
    house.spend(0)
    fill(disk)
    house.spend(30)
    assert f"runs/{run}" in tree(journal)
    house.retain()
    assert tree(journal) == {f"runs/{run}"}
    assert closed.dates(journal) == []
    house.spend(30)
    assert tree(journal) == {f"closed/2026-11-20/{run}"}


def test_a_relay_begins_on_a_full_disk(disk: Path) -> None:
    """Who it is cannot be written; that it has the lock is enough, and nobody else is named."""
    path = str(disk / "lock")
    Path(path).touch()
    fill(disk)
    lock = Lock(path)
    assert lock.take() is None
    assert lock.held()
    taken = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from gastown_tracing.relay.lock import Lock; print(Lock(sys.argv[1]).take(0))",
            path,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert taken.stdout == "process unknown\n"
    lock.release()
