"""The real VictoriaMetrics: what its users ask it, of totals that many short processes make."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gastown_tracing.journal.layout import Journal, create
from tests.conftest import clean_environ
from tests.peers.victoria import (
    PROMETHEUS_NAMES,
    VictoriaMetrics,
    needs_victoria_metrics,
    running_victoria_metrics,
)
from tests.processes import wait_until
from tests.relay.metrics_kit import append, bd_call, config, kill_again_and_again, log_line, worker, writers

pytestmark = [pytest.mark.peer, needs_victoria_metrics]

CALLS, DURATION = "gastown_bd_calls_total", "gastown_bd_duration_ms"
#: How an operator asks for labels of the resource: those that tell agents and journals apart.
RESOURCE = "gt.role,gt.rig,gt.actor,gt.agent,service.name,service.instance.id"
AGENT = {"gt_role": "demo/polecats/rust", "gt_rig": "demo", "gt_actor": "demo/polecats/rust"}
#: Short processes that really run.
REAL = 200


@pytest.fixture(params=[[], [f"-opentelemetry.promoteResourceAttributes={RESOURCE}"]], ids=["all", "named"])
def victoria(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VictoriaMetrics]:
    """Run it with labels of the whole resource, and of what is named of it."""
    more = [*request.param, *(["-opentelemetry.promoteAllResourceAttributes=false"] if request.param else [])]
    with running_victoria_metrics(tmp_path, PROMETHEUS_NAMES, *more) as found:
        yield found


@pytest.fixture
def journal(tmp_path: Path, victoria: VictoriaMetrics) -> Journal:
    journal = create(str(tmp_path / "journal"))
    config(journal, victoria.metrics_url)
    return journal


def test_ten_thousand_short_processes_are_ten_thousand(journal: Journal, victoria: VictoriaMetrics) -> None:
    """8 at a time, the relay's worker killed 50 times: exactly 10,000, and never less than before."""
    running = writers(journal, 8, 1250, 0.004)
    kill_again_and_again(journal, 50, 0.2)
    assert [writer.wait() for writer in running] == [0] * 8
    with worker(journal):
        wait_until(lambda: victoria.value(f"sum({CALLS})") == 10_000, "all records")
    blocks = victoria.export(CALLS)  # each is a part of some series
    labels = blocks[0]["metric"]
    assert [block["metric"] for block in blocks] == [labels] * len(blocks)
    samples = sorted(
        pair for block in blocks for pair in zip(block["timestamps"], block["values"], strict=True)
    )
    values = [value for _, value in samples]
    assert values == sorted(values)
    assert {**AGENT, "status": "ok", "subcommand": "create"}.items() <= labels.items()


def test_processes_that_really_run_are_counted_one_by_one(
    journal: Journal, victoria: VictoriaMetrics, tmp_path: Path
) -> None:
    """`gt-trace exec -- bd create`, 8 at a time, of two agents."""
    bd = tmp_path / "bin" / "bd"
    bd.parent.mkdir()
    bd.write_text("#!/bin/sh\nexit 0\n")
    bd.chmod(0o755)
    env = {
        **clean_environ(),
        "HOME": str(tmp_path),
        "GT_OTEL_JOURNAL": journal.root,
        "GT_OTEL_RELAY": "false",
    }

    def run(number: int) -> int:
        role = ("mayor", "demo/witness")[number % 2]
        words = ["-m", "gastown_tracing.cli", "exec", "--event", "bd.call", "--", str(bd), "create", "x"]
        return subprocess.run([sys.executable, *words], env={**env, "GT_ROLE": role}, check=False).returncode

    with worker(journal), ThreadPoolExecutor(8) as pool:
        assert set(pool.map(run, range(REAL))) == {0}
        wait_until(lambda: victoria.value(f"sum({CALLS})") == REAL, "all processes")
    by_role = {
        found["metric"]["gt_role"]: found["value"][1]
        for found in victoria.query(f"sum by (gt_role) ({CALLS})")
    }
    assert by_role == {"mayor": str(REAL // 2), "demo/witness": str(REAL // 2)}


def test_a_town_of_five_calls_has_rates_shares_and_quantiles(
    journal: Journal, victoria: VictoriaMetrics
) -> None:
    """Each series has only ever been 1 or so, and began when it did: its first value counts all the same."""
    now = time.time_ns()
    for subcommand in ("list", "show", "create", "update"):
        facts = {"subcommand": subcommand, "duration_ms": 20.0, "status": "ok"}
        append(journal, log_line("bd.call", facts, time_ns=now))
    failed = {"subcommand": "update", "duration_ms": 200.0, "status": "error", "error": "exit code 1"}
    with worker(journal):
        wait_until(lambda: victoria.value(f"sum({CALLS})") == 4, "the calls that succeed")
        append(journal, log_line("bd.call", failed, time_ns=time.time_ns()))
        wait_until(lambda: victoria.value(f"sum({CALLS})") == 5, "the calls")
        wait_until(lambda: victoria.value(f"sum({DURATION}_count)") == 5, "the durations")

    def rated(query: str) -> float:
        found = victoria.value(query)
        assert found is not None, query
        return found

    calls = f"sum(increase({CALLS}[5m]))"
    assert rated(f"{calls} / 300") == pytest.approx(5 / 300)
    assert rated(f'sum(increase({CALLS}{{status="error"}}[5m])) / {calls}') == pytest.approx(0.2)
    most = rated(f"histogram_quantile(0.95, sum by (le) (increase({DURATION}_bucket[5m])))")
    half = rated(f"histogram_quantile(0.5, sum by (le) (increase({DURATION}_bucket[5m])))")
    # MetricsQL divides by the time between the samples that there are: a lower bound for what is young.
    assert rated(f"sum(rate({CALLS}[5m]))") >= 5 / 300
    assert 100 < most <= 250
    assert 10 < half <= 25


def test_a_histogram_gives_quantiles(journal: Journal, victoria: VictoriaMetrics) -> None:
    """Its buckets are the registry's: `histogram_quantile` tells 20 ms from 200 ms."""
    for milliseconds in (20.0, 20.0, 20.0, 200.0):
        append(journal, bd_call(milliseconds=milliseconds))
    with worker(journal):
        wait_until(lambda: victoria.value(f"sum({DURATION}_count)") == 4, "the histogram")
    buckets = f"sum by (le) ({DURATION}_bucket)"
    assert victoria.value(f"sum({DURATION}_sum)") == 260
    half, most = (victoria.value(f"histogram_quantile({share}, {buckets})") for share in (0.5, 0.99))
    assert half is not None
    assert most is not None
    assert 10 < half <= 25
    assert 100 < most <= 250
