"""How the relay is: status.json, for `gt-trace relay status` and whoever wants to know."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from gastown_tracing.journal.layout import open_regular, write_atomic
from gastown_tracing.relay.logfile import without_secrets

if TYPE_CHECKING:
    from gastown_tracing.relay.files import Files

#: Seconds between two writes: at least, where something has changed, and at most.
_OFTEN, _ALWAYS = 1.0, 15.0
#: Seconds after which the status of a relay that runs is too old to be believed.
STALE = 60.0

#: What changes without anything having happened.
_RESTLESS = ("time", "uptime_s", "lag_ms", "retry_in_s", "rate_per_s")


class StatusFile:
    """Writes status.json; `collect` returns what goes into it, as JSON has it."""

    def __init__(self, files: Files, collect: Callable[[], dict[str, Any]]) -> None:
        self._path = files.status
        self._collect = collect
        self._written = -_ALWAYS
        self._last: object = None

    def tick(self, now: float, *, force: bool = False) -> None:
        """Write it where it is time to; `now` is in monotonic seconds. Raises OSError."""
        since = now - self._written
        if since < _OFTEN and not force:
            return
        found = self._collect()
        facts = _settled(found)
        if facts == self._last and since < _ALWAYS and not force:
            return
        self._written, self._last = now, facts
        write_atomic(self._path, orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() + "\n")


def read(files: Files) -> dict[str, Any]:
    """Return what status.json says, {} where there is none to be read."""
    try:
        with open(files.status, "rb", opener=open_regular) as file:
            found = orjson.loads(file.read())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def age(found: Mapping[str, Any]) -> float:
    """Return the seconds since a status was written; infinite where it does not say."""
    written = found.get("written")
    return time.time() - written if isinstance(written, (int, float)) else float("inf")


def cleaned(value: Any) -> Any:
    """Return what a worker says of itself without user names, passwords and queries in its URLs."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {str(key): cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(item) for item in value]
    return value


def memory() -> int | None:
    """Return the bytes of memory that this process has, None where that cannot be told."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _settled(value: Any) -> Any:
    """Return what stays the same as long as nothing happens."""
    if isinstance(value, dict):
        return {
            key: _settled(item)
            for key, item in value.items()
            if key not in (*_RESTLESS, "written", "rss_bytes")
        }
    return value
