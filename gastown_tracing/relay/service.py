"""The relay's main loop: looks at the journal, keeps its parts alive, and says how it is."""

from __future__ import annotations

import contextlib
import os
import platform
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from gastown_tracing._version import VERSION
from gastown_tracing.relay import daemon, parts, surroundings
from gastown_tracing.relay.addresses import shown
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.lock import Lock
from gastown_tracing.relay.logfile import Log, iso
from gastown_tracing.relay.settings import URLS
from gastown_tracing.relay.sources import Sources
from gastown_tracing.relay.status import StatusFile, cleaned, memory
from gastown_tracing.relay.watching import Clocks, Code, Configuration

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.settings import Settings

#: Seconds between two looks at the journal: while something happens, and when nothing has for some time.
LIVELY, IDLE = 0.25, 1.0
_CALM = 5.0

#: Seconds between two looks at: the settings and what is alive, the note that there is a relay, our own code.
_OFTEN, _NOTE, _CODE = 1.0, 10.0, 30.0

#: Seconds that the workers have to end.
_END = 3.0

#: Why it ends.
GONE, UPGRADED = "the journal is gone", "it has been upgraded"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(journal: Journal, lock: Lock, *, aloud: bool = False) -> NoReturn:
    """Be the relay of a journal, whose lock this process holds, until told to end; then exit.

    With `aloud` the log goes to stderr, too. Where its own code has been replaced it becomes the new relay.
    """
    service = Service(journal, lock, aloud=aloud)
    why = service.run()
    lock.release()
    if why == UPGRADED:
        with contextlib.suppress(OSError):  # the next command starts the new one
            os.execv(sys.executable, daemon.command(journal.root, aloud=aloud))  # noqa: S606 # becomes it
    os._exit(0)  # no thread that hangs in a request keeps us


class Service:
    """Everything that one relay is made of."""

    def __init__(self, journal: Journal, lock: Lock, *, aloud: bool) -> None:
        self._journal, self._lock = journal, lock
        self._files = Files(journal)
        self._log = Log(self._files.log, aloud=aloud)
        self._sources = Sources(journal)
        self._configuration = Configuration(journal)
        self._clocks, self._code = Clocks(), Code()
        self._parts = parts.Parts(journal, self._files, self._sources, self._log)
        self._status = StatusFile(self._files, self._collect)
        self._began, self._began_at = time.monotonic(), time.time()
        self._state = "starting"
        self._problem = ""
        self._why = ""
        self._errors = 0
        #: Whatever is put here ends the wait; unlike an event it takes no lock that a signal may find taken.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._reread = False
        #: Where each signal goes, as the log has it.
        self._said: dict[str, str] = {}
        self._active = self._began
        # Until then that of its starter stands: a relay that cannot live is not started again so soon.
        self._due: dict[str, float] = {"note": self._began + _NOTE}

    def run(self) -> str:
        """Work until there is a reason to end; return it."""
        self._listen_to_signals()
        threading.excepthook = self._thread_died
        self._log.say(f"relay {VERSION} begins: pid {os.getpid()}, journal {self._journal.root}")
        self._guarded("begin", self._begin)
        while not self._why:
            self._turn(time.monotonic())
            if not self._why:
                with contextlib.suppress(queue.Empty):
                    self._wake.get(timeout=self._pause(time.monotonic()))
        self._finish()
        return self._why

    def _listen_to_signals(self) -> None:
        def end(number: int, _frame: object) -> None:
            if self._why:  # asked twice
                os._exit(128 + number)
            self._why = f"it got {signal.Signals(number).name}"
            self._wake.put(None)

        def reread(_number: int, _frame: object) -> None:
            self._reread = True
            self._wake.put(None)

        for number in _SIGNALS:
            signal.signal(number, end)
        signal.signal(signal.SIGHUP, reread)

    def _begin(self) -> None:
        self._configure(force=True)
        self._state = "running"

    def _turn(self, now: float) -> None:
        """Do what is due."""
        if self._is_due("often", now, _OFTEN) or self._reread:
            self._guarded("look after itself", lambda: self._look(now))
        if self._why:
            return
        if self._configuration.settings is not None:
            seen = self._guarded("look at the journal", lambda: self._sources.scan(now))
            more = self._guarded("keep the journal", lambda: self._parts.keep(now))
            self._active = now if seen or more else self._active
        self._guarded("write its status", lambda: self._status.tick(now))

    def _look(self, now: float) -> None:
        if not self._journal.exists() or not self._lock.held():
            self._why = GONE
            return
        self._configure(force=self._reread)
        for line in self._clocks.look():
            self._log.say(line)
        self._parts.look(now)
        if self._is_due("note", now, _NOTE):
            self._guarded("note that it is there", lambda: daemon.note(self._files.asked, daemon.NOTED))
        if self._is_due("code", now, _CODE) and self._code.replaced():
            self._why = UPGRADED

    def _configure(self, *, force: bool) -> None:
        if self._reread:
            self._reread = False
            self._log.say("reading config.json again: SIGHUP")
        changed = self._configuration.read(force=force)
        if self._configuration.problem != self._problem:
            self._problem = self._configuration.problem
            self._log.say(self._problem or f"{self._journal.config_path} is all right again")
        settings = self._configuration.settings
        if not changed or settings is None:
            return
        surroundings.use_path(settings.file.get("PATH", ""))
        self._announce(settings)
        self._parts.configure(settings)

    def _announce(self, settings: Settings) -> None:
        """Write into the log where everything goes, where that is news, and what is wrong with it."""
        for name in URLS:
            endpoint = settings.endpoint(name)
            where = shown(endpoint.url) if endpoint else "no endpoint"
            if endpoint and endpoint.problem:
                where += ", but not before that is put right"
            if self._said.get(name) != where:
                self._said[name] = where
                self._log.say(f"{name} go to {where}")
        for problem in settings.problems:
            self._log.seldom(problem)

    def _pause(self, now: float) -> float:
        return LIVELY if now - self._active < _CALM else IDLE

    def _is_due(self, what: str, now: float, every: float) -> bool:
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every
        return True

    def _guarded(self, what: str, act: Callable[[], Any]) -> Any:
        """Do something that must not end the relay, whatever is wrong with it."""
        try:
            return act()
        except OSError as error:
            self._log.seldom(f"cannot {what}: {error}")
        except Exception as error:
            self._errors += 1
            if self._is_due(f"error: {what}", time.monotonic(), 60.0):
                self._log.failure(f"cannot {what}, because of a bug", error)
        return None

    def _thread_died(self, died: threading.ExceptHookArgs) -> None:
        error = died.exc_value or RuntimeError(died.exc_type.__name__)
        if died.thread is None or not self._parts.died(died.thread, error):
            self._errors += 1
            self._log.failure(f"the thread {died.thread and died.thread.name} died of a bug", error)

    def _finish(self) -> None:
        self._log.say(f"the relay ends: {self._why}")
        self._state = "stopping"
        if self._why == GONE:
            self._parts.stop(1.0)
            return
        self._guarded("write its status", lambda: self._status.tick(time.monotonic(), force=True))
        self._parts.stop(_END)
        self._state = "stopped"
        self._guarded("write its status", lambda: self._status.tick(time.monotonic(), force=True))
        self._log.say("the relay has ended")

    def _collect(self) -> dict[str, Any]:
        """Return how everything is, as JSON has it."""
        settings = self._configuration.settings
        problems = [*filter(None, (self._problem,)), *(settings.problems if settings else ())]
        now = time.time()
        found: dict[str, Any] = {
            "state": self._state if settings is not None else "waiting",
            "pid": os.getpid(),
            "version": VERSION,
            "python": platform.python_version(),
            "journal": self._journal.root,
            "log": self._files.log,
            "written": now,
            "time": iso(now),
            "started": iso(self._began_at),
            "uptime_s": round(time.monotonic() - self._began, 3),
            "rss_bytes": memory(),
            "on": self._journal.is_on(),
            "problems": problems,
            "errors": self._errors,
            **self._parts.status(),
        }
        return dict(cleaned(found))
