"""Count short processes in a real backend: `python -m benchmarks.short_processes [PROCESSES] [KILLS]`.

PROCESSES (10,000) real commands through the launcher, 8 at a time, while the relay that ships their journal
is killed with SIGKILL KILLS times (100). Then `gastown_bd_calls_total` is asked of VictoriaMetrics, which
must be on PATH, and the spans are counted by an OTLP server. Exits 1 unless both are PROCESSES exactly, and
the counter never went down.
"""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.town_load import clean_environ, make_journal, relay
from tests.peers.victoria import PROMETHEUS_NAMES, VictoriaMetrics, running_victoria_metrics
from tests.processes import wait_until
from tests.relay.otlp_server import OtlpServer

CALLS = "gastown_bd_calls_total"
AT_A_TIME = 8


def main() -> int:
    """Run, say what was found, and return the exit code."""
    processes, kills = [*map(int, sys.argv[1:]), *(10_000, 100)[len(sys.argv) - 1 :]]
    with (
        tempfile.TemporaryDirectory() as scratch,
        OtlpServer(Path(scratch, "server")) as server,
        running_victoria_metrics(Path(scratch), PROMETHEUS_NAMES) as victoria,
    ):
        urls = {"traces": server.url("traces"), "metrics": victoria.metrics_url}
        journal = make_journal(Path(scratch, "journal"), urls, OTEL_METRIC_EXPORT_INTERVAL="250")
        launch = f"{scratch}/exec"
        subprocess.run([sys.executable, "-m", "gastown_tracing.shims.launcher", launch], check=True)
        env = {**clean_environ(), "GT_OTEL_JOURNAL": journal.root, "GT_OTEL_RELAY": "false"}

        def run(_: int) -> int:
            argv = ["bash", launch, "--event", "bd.call", "--", "/bin/true", "list"]
            return subprocess.run(argv, env=env, check=False).returncode

        started = time.monotonic()
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            ends = [pool.submit(run, number) for number in range(processes)]
            for _ in range(kills):
                with relay(journal):
                    time.sleep(random.uniform(0.2, 1.5))  # noqa: S311 - no secret
            with relay(journal):
                failed = sum(end.result() != 0 for end in ends)
                took = time.monotonic() - started
                counted, spans = _arrived(victoria, server, processes)
                falls = _falls(victoria)
    print(f"{processes} processes, {AT_A_TIME} at a time, in {took:.0f} s; {failed} failed; {kills} kill -9")
    print(f"  {CALLS} in VictoriaMetrics   {counted}, went down {falls} times")
    print(f"  spans in the backend         {spans}")
    return int(failed > 0 or falls > 0 or (counted, spans) != (processes, processes))


def _arrived(victoria: VictoriaMetrics, server: OtlpServer, wanted: int) -> tuple[int, int]:
    """Return how many calls the two backends know, once both know all of them or a minute has passed."""
    found = (0, 0)

    def asked() -> bool:
        nonlocal found
        found = int(victoria.value(f"sum({CALLS})") or 0), len(server.spans())
        return found == (wanted, wanted)

    try:
        wait_until(asked, "everything", 60)
    except AssertionError:
        return found
    return found


def _falls(victoria: VictoriaMetrics) -> int:
    """Return how often a sample of a series was less than the one before it."""
    series: dict[str, list[tuple[int, float]]] = {}
    for block in victoria.export(CALLS):
        pairs = zip(block["timestamps"], block["values"], strict=True)
        series.setdefault(str(block["metric"]), []).extend(pairs)
    values = [[value for _, value in sorted(pairs)] for pairs in series.values()]
    return sum(after < before for row in values for before, after in itertools.pairwise(row))


if __name__ == "__main__":
    sys.exit(main())
