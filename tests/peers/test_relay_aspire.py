"""The Aspire dashboard, where it is on PATH, shows a town that our relay ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import wait_until

from .aspire import Aspire, needs_aspire, running_aspire
from .town import Town, check_tree

pytestmark = [pytest.mark.peer, needs_aspire]


def spans_of(aspire: Aspire, trace_id: str) -> dict[str, dict[str, object]]:
    """Return the spans of a trace by id, each with its resource."""
    return {
        span["spanId"]: {**span, "resource": group["resource"]}
        for group in aspire.read("spans").get("resourceSpans", ())
        for scope in group["scopeSpans"]
        for span in scope["spans"]
        if span["traceId"] == trace_id
    }


def test_the_dashboard_shows_a_town(journal_root: Path, env: dict[str, str], tmp_path: Path) -> None:
    """Both sessions with their trees and links, and each log record with its span."""
    (tmp_path / "aspire").mkdir()
    with running_aspire(tmp_path / "aspire") as aspire:
        town = Town(journal_root, env, traces=f"{aspire.otlp}/v1/traces", logs=f"{aspire.otlp}/v1/logs")
        with town.relay():
            runs = town.work()
            for run in runs.values():
                wait_until(
                    lambda run=run: len(spans_of(aspire, run.trace_id)) >= len(run.spans),
                    "all spans are there",
                )
            logs = {log.span_id for run in runs.values() for log in run.logs.values()}
            wait_until(
                lambda: len(logged(aspire)) >= sum(len(run.logs) for run in runs.values()), "all records"
            )
        for run in runs.values():
            check_tree(run, spans_of(aspire, run.trace_id), step_ns=100)  # the unit of .NET's times
        assert set(logged(aspire)) == logs


def logged(aspire: Aspire) -> list[str]:
    """Return the span of each log record."""
    groups = aspire.read("logs").get("resourceLogs", ())
    scopes = [scope for group in groups for scope in group["scopeLogs"]]
    return [record["spanId"] for scope in scopes for record in scope["logRecords"]]
