"""The OpenTelemetry Collector reads a journal itself, with our configuration, and sends it on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.processes import wait_until

from .collector import needs_collector, running_collector
from .jaeger import needs_jaeger, running_jaeger
from .town import Run, Town, check_tree
from .victoria import VictoriaLogs, needs_victoria_logs, running_victoria_logs

pytestmark = [pytest.mark.peer, needs_collector, needs_jaeger, needs_victoria_logs]


def logged(victoria: VictoriaLogs, run: Run) -> set[str]:
    """Return the log records of a run that can be found."""
    return {record["log.record.uid"] for record in victoria.query(f"trace_id:={run.trace_id}")}


def test_the_collector_ships_a_journal(journal_root: Path, env: dict[str, str], tmp_path: Path) -> None:
    """Both sessions are in Jaeger and VictoriaLogs, whole, though it was killed on the way.

    The second town works while there is no Collector, and the first one's runs have moved to closed/ by then.
    What a killed Collector had not noted as sent it sends again: Jaeger shows a span once, and a log record
    that came twice has the same log.record.uid.
    """
    town = Town(journal_root, env)
    with running_jaeger(tmp_path) as jaeger, running_victoria_logs(tmp_path) as victoria:

        def shown(runs: list[Run]) -> bool:
            return all(
                len(jaeger.otlp(run.trace_id)) >= len(run.spans)
                and len(logged(victoria, run)) >= len(run.logs)
                for run in runs
            )

        with running_collector(tmp_path, journal_root, jaeger.traces_url, victoria.logs_url):
            first = list(town.work().values())
            wait_until(lambda: shown(first), "the Collector ships what is written")
        before = {run.trace_id for run in first}
        closed = journal_root / "closed" / "2026-01-01"
        closed.mkdir(parents=True)
        for run in first:
            shutil.move(town.journal.run_dir(run.trace_id), closed / run.trace_id)
        second = list(town.work().values())
        runs = [*first, *[run for run in second if run.trace_id not in before]]
        with running_collector(tmp_path, journal_root, jaeger.traces_url, victoria.logs_url):
            wait_until(lambda: shown(runs), "the Collector catches up")
        for run in runs:
            check_tree(run, jaeger.otlp(run.trace_id), shortest_ns=1)
            assert logged(victoria, run) == set(run.logs)
