"""A worker and its life: begun, watched, begun anew when it dies of a bug, ended."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from gastown_tracing.relay.logfile import iso

if TYPE_CHECKING:
    from gastown_tracing.relay.feed import Feed
    from gastown_tracing.relay.logfile import Log
    from gastown_tracing.relay.settings import Settings
    from gastown_tracing.relay.sources import Sources
    from gastown_tracing.relay.worker import Worker

#: Seconds before a worker that died begins anew: the first time, and at most; doubled each time.
_FIRST, _LONGEST = 1.0, 60.0
#: Seconds of life after which a death counts as the first.
_HEALTHY = 300.0
#: Seconds that a dead worker's other threads have to end.
_REST = 2.0


class Supervised:
    """The worker `name`, made by `make` whenever it begins; its threads are named `name` or `name-…`."""

    def __init__(self, name: str, make: Callable[[Settings], Worker], sources: Sources, log: Log) -> None:
        self.name = name
        self.worker: Worker | None = None
        self._make = make
        self._sources = sources
        self._log = log
        self._settings: Settings | None = None
        #: What it reads; that of a worker that died goes on to know of what it has not taken.
        self.feed: Feed | None = None
        self._pause = _FIRST
        self._began = self._due = 0.0
        self._crashes = 0
        self._last_crash: dict[str, str] | None = None
        self._died = threading.Event()

    def owns(self, thread: threading.Thread) -> bool:
        """Say whether a thread is one of this worker's."""
        return thread.name == self.name or thread.name.startswith((f"{self.name}-", f"{self.name}_"))

    def died(self, error: BaseException) -> None:
        """Take note, from any thread, that one of its threads has died of this."""
        self._crashed(error)
        self._died.set()

    def configure(self, settings: Settings) -> None:
        """Take these settings; begin if it has not begun."""
        self._settings = settings
        if self.worker is None:
            self.look(time.monotonic())
            return
        try:
            self.worker.reconfigure(settings)
        except Exception as error:
            self.died(error)

    def look(self, now: float) -> None:
        """Begin what is due, and see to what has died."""
        if self.worker is not None and (self._died.is_set() or not self._is_alive()):
            self._put_away(now)
        if self.worker is None and self._settings is not None and now >= self._due:
            self._begin(self._settings, now)

    def stop(self, deadline: float) -> None:
        """End it within `deadline` seconds."""
        if self.worker is not None:
            try:
                self.worker.stop(deadline)
            except Exception as error:
                self._log.failure(f"{self.name} did not end well", error)

    def status(self) -> dict[str, object]:
        """Return how it is: what the worker says, and how often it died."""
        found: dict[str, object] = {"state": "starting"}
        worker = self.worker
        if worker is not None:
            try:
                found = worker.status()
            except Exception as error:
                found = {"state": "unknown", "last_error": {"time": iso(time.time()), "message": repr(error)}}
        if self._crashes:
            found = {**found, "crashes": self._crashes, "last_crash": self._last_crash}
            if worker is None or self._died.is_set():
                found["state"] = "crashed"
        return found

    def _begin(self, settings: Settings, now: float) -> None:
        self._died.clear()
        self._began = now
        try:
            self.worker = self._make(settings)
            self._read(self.worker.feed)
            self.worker.start()
        except Exception as error:
            self._crashed(error)
            self._put_away(now)

    def _put_away(self, now: float) -> None:
        """Leave the worker that died; the next one goes on at its checkpoint."""
        if now - self._began > _HEALTHY:
            self._pause = _FIRST
        self._due = now + self._pause
        self._log.say(f"{self.name} begins anew in {self._pause:g} s")
        self._pause = min(self._pause * 2, _LONGEST)
        worker, self.worker = self.worker, None
        if worker is not None:
            with contextlib.suppress(Exception):  # it is broken already
                worker.stop(_REST)

    def _read(self, feed: Feed | None) -> None:
        """Let the sources tell this feed in place of the one before."""
        if self.feed is not None:
            self._sources.remove(self.feed)
        self.feed = feed
        if feed is not None:
            self._sources.add(feed)

    def _is_alive(self) -> bool:
        if any(thread.name == self.name for thread in threading.enumerate()):
            return True
        self._crashed(RuntimeError(f"the thread {self.name} has ended, and nobody asked it to"))
        return False

    def _crashed(self, error: BaseException) -> None:
        self._crashes += 1
        message = f"{type(error).__name__}: {error}"
        again = self._last_crash is not None and self._last_crash["message"] == message
        self._last_crash = {"time": iso(time.time()), "message": message}
        if again:
            self._log.say(f"{self.name} died of the same bug again: {message}")
        else:
            self._log.failure(f"{self.name} died of a bug", error)
