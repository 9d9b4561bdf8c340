"""The relay's log: one line an event, with its time in UTC; it is cut by starting a new file."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
import traceback
from datetime import UTC, datetime

from gastown_tracing.journal.layout import mkdirs, open_regular

#: Bytes after which a new file begins, and how many old ones stay (relay.log.1 is the youngest).
SIZE_LIMIT = 1 << 20
KEPT = 2
#: Characters of one line.
_LINE_LIMIT = 8192

_USER = re.compile(r"(https?://)[^\s/?#@]*@")
#: A path's query; urllib3 names the path alone.
_QUERY = re.compile(r"(/[^\s?#'\"]*)[?#][^\s'\"),]*")


def iso(seconds: float) -> str:
    """Return a time of the Unix epoch as ISO 8601 has it, in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_secrets(text: str) -> str:
    """Return text whose URLs have neither user names and passwords nor queries in them."""
    return _QUERY.sub(r"\1", _USER.sub(r"\1", text))


class Log:
    """The file at `path`; with `aloud` what is said goes to stderr, too. For any thread; it never raises."""

    def __init__(self, path: str, *, aloud: bool = False) -> None:
        self._path = path
        self._aloud = aloud
        self._lock = threading.Lock()
        #: When a text was said last, for `seldom`.
        self._said: dict[str, float] = {}

    def say(self, message: str) -> None:
        """Write one line."""
        text = " ".join(without_secrets(message).split("\n")).strip()[:_LINE_LIMIT]
        line = f"{iso(time.time())} {text}\n".encode("utf-8", "backslashreplace")
        with self._lock, contextlib.suppress(OSError):
            if self._aloud:
                with contextlib.suppress(OSError):
                    os.write(2, line)
            self._write(line)

    def seldom(self, message: str, seconds: float = 300.0) -> None:
        """Write one line, but not the same one again within some seconds."""
        now = time.monotonic()
        with self._lock:
            if now - self._said.get(message, -seconds) < seconds:
                return
            if len(self._said) > 100:
                self._said.clear()
            self._said[message] = now
        self.say(message)

    def failure(self, what: str, error: BaseException) -> None:
        """Write what went wrong in the relay itself, and where: its traceback, a line each."""
        for line in [f"{what}:", *traceback.format_exception(error)]:
            for part in line.rstrip().split("\n"):
                self.say(part)

    def _write(self, line: bytes) -> None:
        try:
            descriptor = self._open()
        except FileNotFoundError:
            mkdirs(os.path.dirname(self._path), levels=1)
            descriptor = self._open()
        try:
            if os.fstat(descriptor).st_size + len(line) > SIZE_LIMIT:
                self._rotate()
                os.close(descriptor)
                descriptor = self._open()
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        return open_regular(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW)

    def _rotate(self) -> None:
        for number in range(KEPT, 0, -1):
            older = f"{self._path}.{number - 1}" if number > 1 else self._path
            with contextlib.suppress(FileNotFoundError):
                os.rename(older, f"{self._path}.{number}")


def tail(path: str, lines: int) -> list[str]:
    """Return the last lines of a log, none where it cannot be read."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - lines * 400))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return []
