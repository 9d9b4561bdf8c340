"""What the doctor says of a journal, whatever became of it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gastown_tracing.journal import layout, otlp, writer
from gastown_tracing.journal.layout import Journal

from .conftest import Doctor

TRACE, ROOT = "4bf92f3577b34da6a3ce929d0e0e4736", "a3ce929d0e0e4736"
NEEDED = (
    "directory",
    "version",
    "on",
    "owner",
    "modes",
    "space",
    "writable",
    "runs",
    "size",
    "lines",
    "calls",
)


def run_directory(journal: Journal, start_ns: int) -> Path:
    """Make an open run with one span in it."""
    span = otlp.Span(TRACE, "b" * 16, ROOT, "bd.call", start_ns=start_ns, end_ns=start_ns + 1)
    place = journal.run_dir(TRACE)
    writer.append(place, "traces", otlp.spans_line(otlp.encode_resource({}), [span]))
    Path(place, "run.json").write_text(f'{{"start_time_unix_nano": "{start_ns}"}}')
    return Path(place)


def test_a_sound_journal_has_nothing_to_say(doctor: Doctor, journal: Journal) -> None:
    run_directory(journal, time.time_ns())
    found = doctor("--offline")
    assert {name: found.state("journal", name) for name in NEEDED} == dict.fromkeys(NEEDED, "ok")
    assert found["journal", "runs"]["found"] == "1 open, 0 closed"
    assert found["journal", "lines"]["found"].startswith("none damaged of the last 1 line")
    assert found.code == 0


def test_runs_that_were_moved_are_counted_without_their_index(doctor: Doctor, journal: Journal) -> None:
    """One run in two parts, on two dates, is one."""
    for date, name in (("2026-11-20", TRACE), ("2026-11-21", TRACE), ("2026-11-21", f"{TRACE}~2")):
        Path(journal.root, "closed", date, name).mkdir(parents=True)
        Path(journal.root, "closed", date, "index.jsonl").touch()
    assert doctor("--offline")["journal", "runs"]["found"] == "0 open, 1 closed"


def test_looking_leaves_nothing_behind(doctor: Doctor, journal: Journal) -> None:
    run_directory(journal, time.time_ns())
    before = sorted(os.walk(journal.root))
    doctor("--offline")
    assert sorted(os.walk(journal.root)) == before


def test_no_journal_is_said_and_none_is_made(doctor: Doctor, journal_root: Path) -> None:
    found = doctor("--offline")
    assert "none yet" in found["journal", "directory"]["found"]
    assert found.code == 0
    assert not journal_root.exists()


def broken_version(root: Path) -> None:
    (root / "VERSION").write_text("99\n")


def no_version(root: Path) -> None:
    (root / "VERSION").unlink()


def open_to_all(root: Path) -> None:
    (root / "runs").chmod(0o755)
    root.chmod(0o755)


def a_file(root: Path) -> None:
    shutil.rmtree(root)
    root.write_text("")


def torn_lines(root: Path) -> None:
    place = run_directory(Journal(str(root)), time.time_ns())
    with (place / "traces.jsonl").open("ab") as file:
        file.write(b'{"resourceSpans":[{"reso\n\xff\n{"not ended')


def a_dead_call(root: Path) -> None:
    place = run_directory(Journal(str(root)), time.time_ns())
    (place / "open").mkdir()
    (place / "open" / ("c" * 16)).write_text("{}\n")


def from_the_future(root: Path) -> None:
    run_directory(Journal(str(root)), time.time_ns() + 3600 * 10**9)


def garbage_everywhere(root: Path) -> None:
    place = run_directory(Journal(str(root)), time.time_ns())
    for name in ("run.json", "pane.json", "close.json", "logs.jsonl"):
        (place / name).write_bytes(os.urandom(3000))
    (root / "relay" / "status.json").write_bytes(b"\x00{[")
    (root / "relay" / "lock").mkdir()
    (root / "closed" / "a file").write_text("")
    (root / "VERSION").write_bytes(b"\xff")


@pytest.mark.parametrize(
    ("harm", "check", "state"),
    [
        (broken_version, "version", "problem"),
        (no_version, "version", "problem"),
        (open_to_all, "modes", "warning"),
        (a_file, "directory", "problem"),
        (torn_lines, "lines", "warning"),
        (a_dead_call, "calls", "warning"),
        (from_the_future, "future", "problem"),
        (garbage_everywhere, "version", "problem"),
    ],
)
def test_what_is_wrong_is_said(
    harm: Callable[[Path], None], check: str, state: str, doctor: Doctor, journal: Journal
) -> None:
    """And what to do about it; never a traceback."""
    harm(Path(journal.root))
    found = doctor("--offline")
    assert found["journal", check]["state"] == state
    assert found["journal", check]["advice"]
    assert found.code == (1 if state == "problem" or found.all("problem") else 0)
    assert not [row for row in found.rows if row["found"].startswith("it failed")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_journal_that_cannot_be_written_is_a_problem(doctor: Doctor, journal: Journal) -> None:
    Path(journal.root).chmod(0o500)
    assert doctor("--offline").state("journal", "writable") == "problem"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_journal_of_another_user_is_a_problem(doctor: Doctor, journal: Journal) -> None:
    os.chown(journal.root, 65534, 65534)
    found = doctor("--offline")
    assert found.state("journal", "owner") == "problem"
    assert ("journal", "writable") not in {(row["group"], row["check"]) for row in found.rows}


def test_the_journal_of_an_option_is_looked_at(doctor: Doctor, tmp_path: Path) -> None:
    other = layout.create(str(tmp_path / "other"))
    assert doctor("--offline", "--journal", other.root)["journal", "directory"]["found"] == other.root
