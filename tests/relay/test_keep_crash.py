"""kill -9 at every call into the kernel while runs are moved: each ends up in closed/ once, shipped once."""

from __future__ import annotations

import collections
import os
import shutil
import signal
import sys
import warnings
from pathlib import Path
from types import BuiltinFunctionType
from typing import Any, BinaryIO

import pytest

from gastown_tracing.journal import closed, reader, writer
from gastown_tracing.journal.layout import Journal, create
from gastown_tracing.relay.checkpoint import load, save
from tests.relay.keep_kit import NOON, SECOND, House, closed_run, span_line, trace_id, tree

#: What changes something, as the C module under `os` calls it.
CHANGES = frozenset(
    {"rename", "mkdir", "write", "pwrite", "fsync", "open", "unlink", "fchmod", "chmod", "close"}
)
DATE = "closed/2026-11-20"


def prepare(root: Path) -> Journal:
    """Make three closed runs: one that came late, one shipped, and a second part of one that was moved."""
    journal = create(str(root))
    moved = closed_run(journal, 1)
    house = House(journal)
    house.spend(0)
    house.spend(30)
    house.spend(90)
    assert house.moves() == {}
    writer.append(journal.run_dir(moved), "traces", span_line(moved, 3))
    closed_run(journal, 2)
    house.spend(0)
    os.utime(f"{journal.run_dir(moved)}/traces.jsonl", ns=(NOON, NOON + SECOND))
    closed_run(journal, 3)
    return journal


def killed_at(number: int, journal: Journal) -> bool:
    """Move and settle in a process that is killed before its call `number`; False where it made fewer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of a fork beside xdist's threads
        pid = os.fork()
    if pid == 0:
        try:
            left = number

            def watch(_frame: Any, event: str, called: object) -> None:
                nonlocal left
                if (
                    event == "c_call"
                    and isinstance(called, BuiltinFunctionType)
                    and called.__name__ in CHANGES
                ):
                    left -= called.__module__ == "posix"
                    if not left:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.setprofile(watch)
            house = House(journal)
            for seconds in (0, 30, 5, 90, 5):
                house.spend(seconds)
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def check(journal: Journal, late: BinaryIO) -> None:
    """Let the next relay do its work, with late records; then everything is there once.

    `late` is the open file of a writer of the third run.
    """
    third = next(name for name in map(os.path.basename, tree(journal)) if name.endswith("3"))
    watched = os.path.exists(journal.run_dir(third)) or f"{DATE}/{third}" in load(
        f"{journal.root}/relay/moves.json"
    )
    if watched:
        late.write(span_line(third, 8))
    house = House(journal)
    house.spend(0)
    runs = [run.trace_id for run in reader.list_runs(journal)]
    assert len(runs) == 3
    for run in runs:
        writer.append(journal.run_dir(run), "traces", span_line(run, 7))
        os.utime(f"{journal.run_dir(run)}/traces.jsonl", ns=(NOON, NOON + SECOND))
    for seconds in (5, 30, 30, 90, 30, 90):
        house.spend(seconds)
    assert tree(journal, "runs") == set()
    assert house.moves() == {}
    assert [name for name in os.listdir(journal.root + "/relay") if name.endswith(".new")] == []
    assert closed.unindexed(journal, "2026-11-20") == []
    for found in reader.list_runs(journal):
        data = reader.read_run(journal, found.trace_id)
        spans = 4 + found.trace_id.endswith("1") + (watched and found.trace_id == third)
        assert found.summary is not None
        assert (found.closed, len(data.spans), found.summary.spans) == (True, spans, spans), found.trace_id
    lines = collections.Counter(house.shipped())
    assert len(lines) == 3 * 4 + 1 + 3 + watched, "everything was shipped"
    again = sum(count - 1 for count in lines.values())
    assert again <= 4, "at most the last batch came twice"


@pytest.mark.parametrize("share", range(4))
def test_a_relay_that_is_killed_while_it_moves_loses_nothing(tmp_path: Path, share: int) -> None:
    """Killed before its first change, its second, … to its last: the next relay puts everything right."""
    prepare(tmp_path / "template")
    number, kills, killed = share + 1, 0, True
    while killed:
        root = tmp_path / f"journal-{number}"
        shutil.copytree(tmp_path / "template", root, symlinks=True)
        shutil.copy2(tmp_path / "template.shipped", f"{root}.shipped")
        journal = Journal(str(root))
        inodes(journal, tmp_path / "template")
        with open(f"{journal.run_dir(trace_id(3))}/traces.jsonl", "ab", buffering=0) as late:
            killed = killed_at(number, journal)
            check(journal, late)
        shutil.rmtree(root)
        kills += killed
        number += 4
    assert kills > 10


def inodes(journal: Journal, template: Path) -> None:
    """Let the checkpoints of a copied journal name the files of the copy."""
    for name in ("traces", "logs"):
        path = f"{journal.root}/relay/{name}.checkpoint"
        saved = load(path)
        for file, entry in saved.items():
            assert os.stat(template / file).st_ino == entry[0]
            entry[0] = os.stat(f"{journal.root}/{file}").st_ino
        save(path, saved)
