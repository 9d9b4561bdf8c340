"""What else grows in a journal and is kept small: the registry of panes, the index of beads, dead letters."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from gastown_tracing.journal.index import KEPT, forget
from gastown_tracing.journal.layout import list_directory, load_json, open_regular, path_exists, read_text
from propagation.run import parse_run_id

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.files import Files

#: Bytes that a file of dead letters may have before it is set aside, for the one after it to take its place.
DEAD_LETTERS = 32 << 20
_SET_ASIDE = ".1"
_BLOCK = 1 << 20


class Tidier:
    """Forgets what is long ago. `dropped` counts the dead letters that went."""

    def __init__(self, journal: Journal, files: Files, log: Callable[[str], None]) -> None:
        self._journal = journal
        self._dead_letters = files.dead_letters
        self._log = log
        self.dropped = 0

    def daily(self) -> None:
        """Forget panes and entries of the index of more than 30 days ago, but no pane of an open run."""
        forget(self._journal)
        directory, oldest = self._journal.panes_dir, time.time() - KEPT
        for name in list_directory(directory):
            path = f"{directory}/{name}"
            try:
                if os.lstat(path).st_mtime < oldest and not self._is_open(path):
                    os.unlink(path)
            except OSError:  # somebody else has removed it
                continue

    def _is_open(self, path: str) -> bool:
        entry = load_json(read_text(path) or "")
        run_id = parse_run_id(str(entry.get("run_id"))) if isinstance(entry, dict) else None
        return run_id is not None and path_exists(self._journal.run_dir(run_id))

    def dead_letters(self) -> None:
        """Set a file of dead letters aside when it is full; the oldest ones go, and are counted."""
        for name in list_directory(self._dead_letters):
            path = f"{self._dead_letters}/{name}"
            try:
                if name.endswith(".jsonl") and os.lstat(path).st_size > DEAD_LETTERS:
                    gone = _lines(path + _SET_ASIDE)
                    os.rename(path, path + _SET_ASIDE)
                    self._report(name, gone)
            except OSError as error:
                self._log(f"cannot set dead letters aside: {error}")

    def _report(self, name: str, gone: int) -> None:
        if gone:
            self.dropped += gone
            self._log(f"dropped the oldest {gone} lines of dead letters in {name}")


def _lines(path: str) -> int:
    try:
        with open(path, "rb", buffering=0, opener=open_regular) as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
    except FileNotFoundError:
        return 0
