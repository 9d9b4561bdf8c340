"""The relay's parts, put together: who ships, who receives, and who keeps the journal in order."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from gastown_tracing.relay.keeping import Keeper
from gastown_tracing.relay.supervision import Supervised

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.feed import Feed
    from gastown_tracing.relay.files import Files
    from gastown_tracing.relay.living import Living
    from gastown_tracing.relay.logfile import Log
    from gastown_tracing.relay.settings import Settings
    from gastown_tracing.relay.sources import Sources
    from gastown_tracing.relay.worker import Worker

TRACES, LOGS, METRICS, RECEIVER = "traces", "logs", "metrics", "receiver"


class Parts:
    """Everything of a relay that does the work; nothing of it begins before there are settings."""

    def __init__(self, journal: Journal, files: Files, sources: Sources, log: Log) -> None:
        self._journal, self._files, self._sources, self._log = journal, files, sources, log
        self._settings: Settings | None = None
        self._keeper: Keeper | None = None
        #: What has been said of parts that count from their beginning on.
        self._counted: dict[tuple[str, str], float] = {}
        makers = {
            TRACES: lambda settings: self._shipper(TRACES, settings),
            LOGS: lambda settings: self._shipper(LOGS, settings),
            METRICS: self._metrics,
            RECEIVER: self._receiver,
        }
        self._workers = {name: Supervised(name, make, sources, log) for name, make in makers.items()}

    def configure(self, settings: Settings) -> None:
        """Take these settings; begin, where they are the first."""
        self._settings = settings
        for worker in self._workers.values():
            worker.configure(settings)
        if self._keeper is not None:
            self._keeper.reconfigure(settings)
            return
        self._keeper = Keeper(
            self._journal,
            self._files,
            self._sources,
            settings=settings,
            feeds=self._feeds,
            env=os.environ,
            log=self._log.say,
        )
        self._keeper.restore(time.monotonic())

    def look(self, now: float) -> None:
        """See to workers that have died."""
        for worker in self._workers.values():
            worker.look(now)

    def keep(self, now: float) -> bool:
        """Keep the journal in order; say whether there is more to do at once.

        Nothing is done as long as somebody who reads it could not begin: what he has not read would count
        as done with.
        """
        if self._keeper is None or any(self._workers[name].feed is None for name in (TRACES, LOGS, METRICS)):
            return False
        return self._keeper.tick(now)

    def died(self, thread: threading.Thread, error: BaseException) -> bool:
        """Take note that a thread has died; say whether it was one of a worker."""
        for worker in self._workers.values():
            if worker.owns(thread):
                worker.died(error)
                return True
        return False

    def stop(self, deadline: float) -> None:
        """End all of them side by side, within `deadline` seconds."""
        ending = [
            threading.Thread(target=worker.stop, args=(deadline,), name=f"end-{name}", daemon=True)
            for name, worker in self._workers.items()
        ]
        for thread in ending:
            thread.start()
        end = time.monotonic() + deadline + 0.5
        if self._keeper is not None:
            self._keeper.stop(deadline)  # a session that is being closed is closed
        for thread in ending:
            thread.join(max(0.0, end - time.monotonic()))
        for name, thread in zip(self._workers, ending, strict=True):
            if thread.is_alive():
                self._log.say(f"{name} did not end within {deadline:g} s")

    def status(self) -> dict[str, Any]:
        """Return how they are, as JSON has it."""
        found = {name: worker.status() for name, worker in self._workers.items()}
        receiver = found.pop(RECEIVER)
        keeper = self._keeper.status() if self._keeper else None
        return {"workers": found, "receiver": receiver, "keeper": keeper}

    def _feeds(self) -> list[Feed] | None:
        """Return what is read by those who have to have read a run before it is done with.

        Metrics are added up whether or not they are sent. None while one of them has died: the next one
        begins at its checkpoint, which may be older than what this one had read.
        """
        wanted = [
            name
            for name in (TRACES, LOGS, METRICS)
            if name == METRICS or (self._settings and self._settings.endpoint(name))
        ]
        if any(self._workers[name].worker is None for name in wanted):
            return None
        return [feed for name in wanted if (feed := self._workers[name].feed) is not None]

    def _shipper(self, signal: str, settings: Settings) -> Worker:
        from gastown_tracing.relay.shipper import Shipper

        return Shipper(signal, self._journal, self._files, settings, self._log.say)

    def _metrics(self, settings: Settings) -> Worker:
        from gastown_tracing.relay.http import Client
        from gastown_tracing.relay.living import Census
        from gastown_tracing.relay.metrics import MetricsWorker
        from gastown_tracing.relay.reporting import Reporter

        worker = MetricsWorker(self._journal, self._files, settings, self._log.say, connect=Client)
        worker.before_export.append(Reporter(worker, self.status, self._counted))
        worker.before_export.append(
            Census(worker, self._live, self._sources, self._journal.root, time.time_ns)
        )
        return worker

    def _live(self) -> list[Living] | None:
        return self._keeper.live() if self._keeper is not None else None

    def _receiver(self, settings: Settings) -> Worker:
        from gastown_tracing.relay.receiver.worker import Receiver

        return Receiver(self._journal, settings)
