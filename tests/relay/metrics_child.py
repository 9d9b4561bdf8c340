"""A process that runs the relay's worker for metrics on a journal until it is told to stop."""

from __future__ import annotations

import sys
import threading
import time

from gastown_tracing.journal.layout import Journal
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.http import Client
from gastown_tracing.relay.metrics import MetricsWorker
from gastown_tracing.relay.settings import Settings
from gastown_tracing.relay.sources import Sources


def run(journal: Journal, asked: threading.Event | None = None) -> None:
    """Run the worker until `asked`, or for ever."""
    sources = Sources(journal)
    worker = MetricsWorker(journal, Files(journal), Settings.read(journal), print, connect=Client)
    sources.add(worker.feed)
    sources.scan(time.monotonic())
    worker.start()
    if asked is None:
        asked = threading.Event()
    else:
        print("ready", flush=True)
    while not asked.wait(0.02):
        sources.scan(time.monotonic())
    sources.scan(time.monotonic() + 60)
    worker.stop(10)


def main() -> None:
    asked = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), asked.set()), daemon=True).start()
    run(Journal(sys.argv[1]), asked)


if __name__ == "__main__":
    main()
