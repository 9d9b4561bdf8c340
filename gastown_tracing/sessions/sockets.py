"""Where this user's tmux servers are: sockets in tmux's own directories, and those that a journal names."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from gastown_tracing.journal.layout import list_directory, load_json, read_text

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal

#: Where tmux makes its directory when TMUX_TMPDIR is not set (tmux(1), ENVIRONMENT).
USUAL = "/tmp"  # noqa: S108  # tmux's

#: Seconds that a server has to take a connection: one that is stopped and has a full queue never does.
_SECONDS = 0.2


class Places:
    """What a journal's registry says of places: tmux sockets, and towns. Each of its files is read once."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._read: dict[str, tuple[str, str]] = {}

    def look(self) -> tuple[set[str], set[str]]:
        """Return (paths of sockets, roots of towns) of all sessions that were registered."""
        names = [name for name in list_directory(self._journal.panes_dir) if name[:2] != "k-"]  # a prompt
        self._read = {name: self._read.get(name) or self._entry(name) for name in names}
        return (
            {path for path, _ in self._read.values() if path.startswith("/")},
            {root for _, root in self._read.values() if root},
        )

    def _entry(self, name: str) -> tuple[str, str]:
        entry = load_json(read_text(f"{self._journal.panes_dir}/{name}") or "")
        found = entry if isinstance(entry, dict) else {}
        return str(found.get("socket") or ""), str(found.get("town_root") or "")


def listening(named: Iterable[str], directories: Iterable[str], without: Iterable[str] = ()) -> Iterator[str]:
    """Yield the sockets of this user at which somebody listens, each once, but those in `without`.

    Those `named`, and all in the directories that tmux makes below `directories`. Nothing is started.
    """
    paths = [*named]
    for parent in directories:
        directory = f"{os.path.realpath(parent)}/tmux-{os.getuid()}"
        if _is_own(directory, stat.S_ISDIR):
            paths += [f"{directory}/{name}" for name in sorted(list_directory(directory))]
    seen = set(map(os.path.realpath, without))
    for path in paths:
        real = os.path.realpath(path)
        if real not in seen and _is_own(real, stat.S_ISSOCK) and _answers(real):
            yield path
        seen.add(real)


def _is_own(path: str, is_kind: Callable[[int], bool]) -> bool:
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return False
    return is_kind(found.st_mode) and found.st_uid == os.geteuid()


def _answers(path: str) -> bool:
    """Say whether a server listens: what is left of one that died refuses, and tmux need not be asked."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_SECONDS)
        try:
            client.connect(path)
        except OSError:  # a path that is too long is one, too
            return False
    return True
