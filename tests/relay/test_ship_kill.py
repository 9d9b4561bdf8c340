"""A relay that is killed at any instant loses nothing, and sends one batch again at most, unchanged."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gastown_tracing.journal.layout import Journal
from tests.conftest import ROOT, clean_environ
from tests.processes import wait_until
from tests.relay.otlp_server import OtlpServer
from tests.relay.relay_kit import fill, new_journal, span_id, towards

#: How often it is killed, over both encodings; the spans that are written at once.
KILLS = int(os.environ.get("GASTOWN_TRACING_TEST_KILLS", "20"))
CHUNK = 250


class Writer(threading.Thread):
    """Writes spans as long as there are kills to come, but never far ahead of what has arrived."""

    def __init__(self, journal: Journal, server: OtlpServer) -> None:
        super().__init__(daemon=True)
        self._journal, self._server = journal, server
        self.ended = threading.Event()
        self.written = 0

    def run(self) -> None:
        while not self.ended.is_set():
            fill(self._journal, CHUNK, runs=5, first=self.written)
            self.written += CHUNK
            while not self.ended.is_set() and self.written - arrived(self._server) > 10 * CHUNK:
                self.ended.wait(0.005)


def arrived(server: OtlpServer) -> int:
    stats = server.stats()
    return stats["traces.records"] - stats["traces.resent"]


@pytest.mark.parametrize("accept", ["json", "protobuf"])
def test_kills_at_random_instants_lose_nothing(tmp_path: Path, accept: str) -> None:
    chance = random.Random(accept)  # noqa: S311 # the same instants every time
    journal = new_journal(tmp_path)
    with OtlpServer(tmp_path / "server", accept=accept) as server:
        journal.write_config(towards(server))
        writer = Writer(journal, server)
        writer.start()
        for _ in range(KILLS // 2):
            before = server.stats()
            with ship(journal) as process:
                wait_until(lambda: server.stats()["traces.taken"] > before["traces.taken"], "a batch")  # noqa: B023
                process.kill() if chance.random() < 0.2 else kill_later(process, chance.random() * 0.15)
            after = server.stats()
            assert after["traces.resent"] - before["traces.resent"] <= after["traces.largest_batch"]
        writer.ended.set()
        writer.join()
        with ship(journal) as process:
            server.wait_for("traces", writer.written)
            process.kill()
        spans = server.spans()
    assert set(spans) == {span_id(number) for number in range(writer.written)}
    assert all(len(contents) == 1 for contents in spans.values())


def ship(journal: Journal) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "tests.relay.ship_child", journal.root, "traces"]
    return subprocess.Popen(argv, cwd=ROOT, env=clean_environ())


def kill_later(process: subprocess.Popen[bytes], seconds: float) -> None:
    threading.Event().wait(seconds)
    os.kill(process.pid, signal.SIGKILL)
