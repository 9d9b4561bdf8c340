"""How soon what a town writes is in the backend: `python -m benchmarks.bench_live [SECONDS]`.

1,000 live sessions, each of which writes a bd call twice a second: how old is a span when a backend gets it?
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.measure import Row, rounds_asked
from benchmarks.town_load import Session, make_journal, relay

SESSIONS, RATE = 1_000, 2
#: Seconds of the beginning that do not count: the relay starts.
WARMING = 5.0


def measure(seconds: int = 20) -> list[Row]:
    """Return what was found."""
    argv = [sys.executable, "-m", "benchmarks.lag_server"]
    with (
        tempfile.TemporaryDirectory() as scratch,
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        journal = make_journal(Path(scratch, "journal"), {"traces": f"http://127.0.0.1:{port}/v1/traces"})
        sessions = [Session(journal, number) for number in range(SESSIONS)]
        with relay(journal) as process:
            _write(sessions, WARMING)
            server.stdin.write("\n")
            server.stdin.flush()
            before = len(json.loads(server.stdout.readline()))
            watched = psutil.Process(process.pid)
            cpu = sum(watched.cpu_times()[:2])
            written = _write(sessions, seconds)
            cpu = sum(watched.cpu_times()[:2]) - cpu
            memory = watched.memory_info().rss / 1e6
            time.sleep(3)
            server.stdin.write("\n")
            server.stdin.flush()
            ages = json.loads(server.stdout.readline())[before:]
        server.kill()
    cuts = statistics.quantiles(ages, n=100)
    load = f"{SESSIONS} sessions, each {written / SESSIONS / seconds:.1f} a second"
    arrived = f"{len(ages)} spans came, of {written} written meanwhile"
    return [
        Row(
            "a span's age when the backend has it, p99, in units of 2 s",
            cuts[98] / 2,
            1.0,
            f"{load}; {arrived}",
        ),
        Row("the same, p50", cuts[49] / 2),
        Row("the relay's memory under this load, in units of 120 MB", memory / 120, 1.0, f"{memory:.0f} MB"),
        Row("the relay's share of a core under this load", cpu / seconds),
    ]


def _write(sessions: list[Session], seconds: float) -> int:
    """Let every session write RATE times a second, evenly spread; return how many calls were written."""
    start, written = time.monotonic(), 0
    while (passed := time.monotonic() - start) < seconds:
        due = int(passed * RATE * len(sessions))
        while written < due:
            sessions[written % len(sessions)].call()
            written += 1
        time.sleep(0.002)
    return written


if __name__ == "__main__":
    for row in measure(rounds_asked(20)):
        print(row)
