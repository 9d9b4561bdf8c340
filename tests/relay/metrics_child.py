"""A process that runs the relay's worker for metrics on a journal until it is told to stop."""

from __future__ import annotations

import sys
import threading
import time

import urllib3

from gastown_tracing.journal.layout import Journal
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.metrics import MetricsWorker
from gastown_tracing.relay.settings import Endpoint, Settings
from gastown_tracing.relay.sources import Sources


class Outcome:
    retry_after = None
    rejected = 0

    def __init__(self, status: int, message: str) -> None:
        self.taken = 200 <= status < 300
        self.refused = status in (400, 413, 422)
        self.message = message


class Client:
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._pool = urllib3.PoolManager(retries=False, timeout=endpoint.timeout)

    def post(self, body: bytes) -> Outcome:
        headers = {"Content-Type": "application/x-protobuf"}
        try:
            response = self._pool.request("POST", self._endpoint.url, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            return Outcome(0, str(error))
        return Outcome(response.status, f"HTTP {response.status}")

    def close(self) -> None:
        self._pool.clear()


def main() -> None:
    journal = Journal(sys.argv[1])
    sources = Sources(journal)
    worker = MetricsWorker(journal, Files(journal), Settings.read(journal), print, connect=Client)
    sources.add(worker.feed)
    sources.scan(time.monotonic())
    worker.start()
    print("ready", flush=True)
    asked = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), asked.set()), daemon=True).start()
    while not asked.wait(0.02):
        sources.scan(time.monotonic())
    sources.scan(time.monotonic() + 60)
    worker.stop(10)


if __name__ == "__main__":
    main()
