"""What the relay watches beside the records: its settings, its clock, its own code."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

import orjson

from gastown_tracing.config import Config
from gastown_tracing.relay.settings import Settings

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal

#: Seconds by which clocks may part between two looks without anybody having set one.
_NOTABLE = 2.0

_PACKAGES = ("gastown_tracing", "propagation")

Stat = tuple[int, int, int]


class Configuration:
    """The journal's config.json. `problem` says why what was read before it still holds, "" if it does not.

    `settings` are None as long as nothing could be read: not knowing where data goes is not the same as that
    it goes nowhere.
    """

    def __init__(self, journal: Journal) -> None:
        self._path = journal.config_path
        self._seen: Stat | None = None
        self._text: str | None = None
        self.problem = ""
        self.settings: Settings | None = None

    def read(self, *, force: bool = False) -> bool:
        """Look at the file, and read it if it is another one or was no good; say whether settings changed."""
        stat = self._stat()
        known = stat == self._seen and self.settings is not None
        if known and not force and not self.problem:
            return False
        self._seen = stat
        found, self.problem = self._found(stat)
        if found is None or (self.settings is not None and found.text == self._text and not force):
            return False
        self._text = found.text
        self.settings = Settings(found)
        return True

    def _stat(self) -> Stat | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _found(self, stat: Stat | None) -> tuple[Config | None, str]:
        """Return what the file says, or None and why it cannot be used."""
        found = Config({}, self._path)
        if stat is None and self.settings is None:
            return found, ""  # a journal without one has no settings
        reason = unusable(found.text)
        return (None, self._kept(reason)) if reason else (found, "")

    def _kept(self, reason: str) -> str:
        meanwhile = "nothing is done" if self.settings is None else "the settings of before hold"
        return f"{self._path} {reason}; until that is put right {meanwhile}"


def unusable(text: str) -> str:
    """Return why the text of a config.json cannot be used, with line and column, "" where it can."""
    try:
        return "" if isinstance(orjson.loads(text), dict) else "is no JSON object"
    except orjson.JSONDecodeError as error:
        return f"is no JSON: {error}" if text else "is missing or cannot be read"


class Clocks:
    """Tells when the system's clock was set, and when the machine slept."""

    def __init__(self) -> None:
        self._last = self._read()

    def look(self) -> list[str]:
        """Return, in words, what happened to the clocks since the last look."""
        before, self._last = self._last, self._read()
        passed = [now - then for now, then in zip(self._last, before, strict=True)]
        wall, monotonic, since_boot = passed
        found = []
        if since_boot - monotonic > _NOTABLE:
            found.append(f"the machine slept for {since_boot - monotonic:.0f} s")
        step = wall - max(since_boot, monotonic)
        if abs(step) > _NOTABLE:
            found.append(f"the system's clock was set by {step:+.0f} s")
        return found

    def _read(self) -> tuple[float, float, float]:
        """Return (time of day, time that the machine was awake, time since its boot), in seconds."""
        monotonic = time.monotonic()
        boot = getattr(time, "CLOCK_BOOTTIME", None)
        return time.time(), monotonic, monotonic if boot is None else time.clock_gettime(boot)


class Code:
    """Tells when the code that runs here is not the one that is installed any more."""

    def __init__(self) -> None:
        self._loaded: dict[str, Stat | None] = {}
        self._changed: dict[str, Stat | None] = {}
        self.replaced()

    def replaced(self) -> bool:
        """Say whether modules that are loaded have been replaced, and whoever does it is done with that.

        Two looks that see the same change say so: in between an installation may be under way.
        """
        changed = {}
        for path in _modules():
            stat = _stat_of(path)
            if stat != self._loaded.setdefault(path, stat):
                changed[path] = stat
        settled = bool(changed) and changed == self._changed
        self._changed = changed
        return settled


def _modules() -> list[str]:
    loaded = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in _PACKAGES]
    return [path for module in loaded if (path := getattr(module, "__file__", None))]


def _stat_of(path: str) -> Stat | None:
    with contextlib.suppress(OSError):
        status = os.stat(path)
        return status.st_ino, status.st_size, status.st_mtime_ns
    return None
