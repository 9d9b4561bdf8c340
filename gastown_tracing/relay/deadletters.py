"""Records that an endpoint will never take: set aside as they came, with the reason beside them.

`SIGNAL.jsonl` holds their lines, which can be sent again when what was wrong with them or the endpoint is put
right; `reasons.jsonl` says of each when, where to, with which answer, and where in the journal it stands.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

import orjson

from gastown_tracing.journal.layout import mkdirs, open_regular, write_all

if TYPE_CHECKING:
    from gastown_tracing.relay.feed import Piece

#: Bytes that one file may have: an endpoint that refuses everything must not fill the disk a second time.
LIMIT = 64 << 20
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW


class DeadLetters:
    """The dead letters of one signal, in a directory that is made when the first one comes.

    Beyond 64 MiB a file takes no more: the reason is kept as long as there is room, and the journal holds the
    record until retention removes it.
    """

    def __init__(self, directory: str, signal: str) -> None:
        self._directory, self._signal = directory, signal

    def add(self, piece: Piece, endpoint: str, status: int, message: str) -> None:
        """Set the record of a piece aside. Raises OSError."""
        self._append(f"{self._signal}.jsonl", piece.data)
        self.note(endpoint, status, message, piece, 1)

    def note(self, endpoint: str, status: int, message: str, piece: Piece, count: int) -> None:
        """Write down why `count` records of a piece, or of the request that it begins, went nowhere.

        Raises OSError.
        """
        reason = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "signal": self._signal,
            "endpoint": endpoint,
            "status": status,
            "message": message,
            "file": piece.file,
            "start": piece.start,
            "end": piece.end,
            "count": count,
        }
        self._append("reasons.jsonl", orjson.dumps(reason) + b"\n")

    def _append(self, name: str, line: bytes) -> None:
        path = f"{self._directory}/{name}"
        try:
            descriptor = open_regular(path, _FLAGS)
        except FileNotFoundError:
            mkdirs(self._directory, levels=2)
            descriptor = open_regular(path, _FLAGS)
        try:
            if os.fstat(descriptor).st_size + len(line) <= LIMIT:
                _whole(descriptor, line)
        finally:
            os.close(descriptor)


def _whole(descriptor: int, line: bytes) -> None:
    """Append a line or nothing of it. Raises OSError."""
    size = os.fstat(descriptor).st_size
    try:
        write_all(descriptor, line)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, size)
        raise
