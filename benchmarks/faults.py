"""Kill the relay while a town writes, and count what the backend has: `python -m benchmarks.faults`.

    python -m benchmarks.faults [KILLS] [SECONDS]

KILLS times (100) the relay is killed with SIGKILL at a random instant; then the backend is down, answers 429
and 503, garbage, and not at all, for SECONDS (20) in all. Exits 1 unless every record arrived, each span with
one content, and the counter of bd calls is exactly the number of calls and never went down on its way.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.town_load import Session, make_journal, relay
from tests.relay.otlp_server import OtlpServer

SESSIONS = 20
#: What a backend does wrong, one after the other.
MODES: tuple[tuple[str, dict[str, object]], ...] = (
    ("refuse", {}),
    ("status", {"status": 429, "retry_after": 1}),
    ("status", {"status": 503}),
    ("garbage", {}),
    ("hang", {}),
)


class Town(threading.Thread):
    """Sessions that write until they are told to stop; `written` are the ids of their spans."""

    def __init__(self, sessions: list[Session]) -> None:
        super().__init__(daemon=True)
        self._sessions = sessions
        self.stopping = threading.Event()
        self.written: list[str] = []

    def run(self) -> None:
        while not self.stopping.wait(0.02):
            self.written += [random.choice(self._sessions).call() for _ in range(4)]  # noqa: S311 - no secret


def main() -> int:
    """Run, say what was found, and return the exit code."""
    kills, seconds = [*map(int, sys.argv[1:]), *(100, 20)[len(sys.argv) - 1 :]]
    with tempfile.TemporaryDirectory() as scratch, OtlpServer(Path(scratch, "server")) as server:
        urls = {signal: server.url(signal) for signal in ("traces", "logs", "metrics")}
        journal = make_journal(
            Path(scratch, "journal"),
            urls,
            OTEL_METRIC_EXPORT_INTERVAL="200",
            OTEL_EXPORTER_OTLP_TIMEOUT="1000",
        )
        town = Town([Session(journal, number) for number in range(SESSIONS)])
        town.start()
        for _ in range(kills):
            with relay(journal):
                time.sleep(random.uniform(0.2, 1.2))  # noqa: S311 - no secret
        with relay(journal):
            for mode, how in MODES:
                server.answer(mode, **how)
                time.sleep(seconds / len(MODES))
            server.answer()
            town.stopping.set()
            town.join()
            failed = _verdict(server, town.written, kills, seconds)
    return int(failed)


def _verdict(server: OtlpServer, written: list[str], kills: int, seconds: int) -> bool:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        stats = server.stats()
        arrived = (
            stats["traces.records"] - stats["traces.resent"],
            stats["logs.records"] - stats["logs.resent"],
        )
        if min(arrived) >= len(written) and _calls(server) == len(written):
            break
        time.sleep(0.5)
    spans, logs, stats = server.spans(), server.logs(), server.stats()
    violations = server.metrics()["violations"]
    lost = len(set(written).difference(spans)), len(written) - len(logs)
    twice = sum(len(found) > 1 for found in spans.values())
    print(f"{kills} kill -9 and {seconds} s of a bad backend, {len(written)} bd calls by {SESSIONS} sessions")
    print(f"  lost                        {lost[0]} spans, {lost[1]} log records")
    print(f"  spans with two contents     {twice}")
    print(f"  sent again                  {stats['traces.resent']} spans, {stats['logs.resent']} log records")
    print(f"  gastown.bd.calls.total      {_calls(server)}, went down {len(violations)} times")
    return bool(any(lost) or twice or violations or _calls(server) != len(written))


def _calls(server: OtlpServer) -> int:
    series = server.metrics()["series"]
    points = [found["point"] for found in series if found["name"] == "gastown.bd.calls.total"]
    return sum(int(point.get("asInt", 0) or point.get("asDouble", 0)) for point in points)


if __name__ == "__main__":
    sys.exit(main())
