"""Sending dead letters again: what an operator asks for, and what becomes of the files.

They move to `relay/resend/TIME/SIGNAL.jsonl` by rename(2), whether or not a relay runs: it ships what is
there as it ships what else is in the journal, and removes each file that is wholly taken.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

import orjson

from gastown_tracing.journal.layout import list_directory, mkdirs, open_regular, write_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.feed import Feed
    from gastown_tracing.relay.files import Files

#: The signals that have dead letters; a metric that is refused is tried again by itself.
SIGNALS = ("traces", "logs")
#: What a signal's files are called: the newer one and the one that was full.
_NAMES = ("{}.jsonl", "{}.jsonl.1")
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
_BLOCK = 1 << 20


def resend(files: Files, signals: Iterable[str]) -> dict[str, int]:
    """Let the dead letters of `signals` be sent again; return how many there are of each. Raises OSError."""
    counts = dict.fromkeys(signals, 0)
    moved = []
    for signal in counts:
        for name in (pattern.format(signal) for pattern in _NAMES):
            target = _move(files, f"{files.dead_letters}/{name}", signal)
            if target:
                counts[signal] += _lines(target)
                moved.append(target[len(files.directory) + 1 :])
    if moved:
        _note(files, counts, moved)
    return counts


def _move(files: Files, path: str, signal: str) -> str:
    """Move a file to where it is sent again, and return its new path, "" where there is none."""
    if not os.path.isfile(path):
        return ""
    directory = _new_directory(files)
    try:
        os.rename(path, f"{directory}/{signal}.jsonl")
    except FileNotFoundError:  # it was full, and has just been given its other name
        os.rmdir(directory)
        return ""
    return f"{directory}/{signal}.jsonl"


def remove_taken(journal: Journal, files: Files, signal: str, feed: Feed) -> None:
    """Remove the files of a signal that are wholly taken, and what directories are empty then."""
    places = list_directory(files.resend)
    offsets: Mapping[str, list[int]] = feed.offsets() if places else {}
    for place in places:
        path = f"{files.resend}/{place}/{signal}.jsonl"
        file = path[len(journal.root) + 1 :]
        with contextlib.suppress(OSError):  # there is none, or not yet
            status = os.lstat(path)
            if offsets.get(file, [status.st_ino, 0]) == [status.st_ino, status.st_size]:
                os.unlink(path)
                feed.forget(file)
                os.rmdir(f"{files.resend}/{place}")


def _new_directory(files: Files) -> str:
    """Make a directory of its own in relay/resend, named after the time (UTC), and return its path."""
    mkdirs(files.resend, levels=2)
    while True:
        now = time.time_ns()
        seconds = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(now // 10**9))
        path = f"{files.resend}/{seconds}.{now % 10**9:09}"
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
            return path


def _note(files: Files, counts: Mapping[str, int], moved: list[str]) -> None:
    """Say beside the reasons what was sent again and where it is meanwhile."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    note = {"time": now, "resent": {name: count for name, count in counts.items() if count}, "files": moved}
    descriptor = open_regular(f"{files.dead_letters}/reasons.jsonl", _FLAGS)
    try:
        write_all(descriptor, orjson.dumps(note) + b"\n")
    finally:
        os.close(descriptor)


def _lines(path: str) -> int:
    with open(path, "rb", buffering=0, opener=open_regular) as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
