"""What a relay costs while nothing happens: `python -m benchmarks.bench_relay_idle [SECONDS]`.

100 live sessions in a real tmux server, three endpoints that take everything, and nobody who writes.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import psutil

from benchmarks.bench_exec import Healthy
from benchmarks.measure import Row, rounds_asked
from benchmarks.town_load import clean_environ, make_journal, relay
from gastown_tracing.config import load
from gastown_tracing.journal.layout import Journal
from gastown_tracing.relay.files import Files
from gastown_tracing.sessions import roles
from gastown_tracing.sessions.start import Request, in_tmux

SESSIONS = 100
#: Of a core, and of memory, at most.
CPU, MEMORY = 0.005, 120e6
#: Seconds of the beginning that do not count: what is there is sent.
SETTLING = 12.0


def measure(seconds: int = 40) -> list[Row]:
    """Return what was found."""
    with tempfile.TemporaryDirectory() as scratch, _endpoints() as urls:
        journal = make_journal(Path(scratch, "journal"), urls)
        with _sessions(journal, f"{scratch}/tmux"), relay(journal) as process:
            watched = psutil.Process(process.pid)
            time.sleep(SETTLING)
            before, started = _cpu(watched), time.monotonic()
            time.sleep(seconds)
            cpu = (_cpu(watched) - before) / (time.monotonic() - started)
            memory = watched.memory_info().rss
            said = json.loads(Path(Files(journal).status).read_text())
    live = f"{said['keeper']['live_sessions']} live sessions, {seconds} s"
    return [
        Row(f"CPU of an idle relay, in units of {CPU:.1%} of a core", cpu / CPU, 1.0, f"{cpu:.2%}; {live}"),
        Row(
            f"memory of an idle relay, in units of {MEMORY / 1e6:.0f} MB",
            memory / MEMORY,
            1.0,
            f"{memory / 1e6:.0f} MB",
        ),
    ]


def _cpu(process: psutil.Process) -> float:
    """Return the seconds of a processor that a process and what it started and reaped have taken."""
    return sum(process.cpu_times()[:4])


@contextmanager
def _endpoints() -> Iterator[dict[str, str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {
            name: f"http://127.0.0.1:{server.server_port}/v1/{name}" for name in ("traces", "logs", "metrics")
        }
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _sessions(journal: Journal, socket: str) -> Iterator[None]:
    """Keep so many agents alive that say nothing."""
    env = {**clean_environ(), "GT_OTEL_JOURNAL": journal.root, "GT_OTEL_RELAY": "false"}
    telemetry = load(env)
    try:
        for number in range(SESSIONS):
            agent = roles.parse("polecat", f"p{number}", "demo")
            in_tmux(Request(agent, ("sleep", "100000"), os.getcwd()), telemetry, socket, env)
        yield
    finally:
        subprocess.run(["tmux", "-S", socket, "kill-server"], check=False, capture_output=True)


if __name__ == "__main__":
    for row in measure(rounds_asked(40)):
        print(row)
