"""Spans sent to where VictoriaLogs and VictoriaMetrics take other signals: none is set aside."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import wait_until
from tests.relay.otlp_server import OtlpServer
from tests.relay.relay_kit import fill, new_journal, shipping, span_id, towards

from .victoria import (
    needs_victoria_logs,
    needs_victoria_metrics,
    running_victoria_logs,
    running_victoria_metrics,
)

pytestmark = pytest.mark.peer


def check(tmp_path: Path, url: str) -> None:
    """Send spans there, and then where they belong: all of them arrive, and it was said what was wrong."""
    journal = new_journal(tmp_path)
    fill(journal, 500, runs=3)
    with OtlpServer(tmp_path / "server") as server:
        with shipping(journal, towards(server, GT_OTEL_TRACES_URL=url)) as ship:
            wait_until(lambda: int(str(ship.shipper.status()["retries"])) >= 2, "a second attempt")
            status = ship.shipper.status()
            assert (status["state"], status["dead_letters"], status["sent"]) == ("failing", 0, 0)
            assert "never taken anything" in str(status["last_error"])
            ship.reconfigure(towards(server))
            server.wait_for("traces", 500)
        assert set(server.spans()) == {span_id(number) for number in range(500)}
        assert server.stats()["traces.resent"] == 0


@needs_victoria_logs
def test_spans_that_go_to_victorialogs_are_kept(tmp_path: Path) -> None:
    with running_victoria_logs(tmp_path) as victoria:  # which takes two slashes for one, as some write URLs
        check(tmp_path, f"{victoria.url}/insert//opentelemetry/v1//logs")


@needs_victoria_metrics
def test_spans_that_go_to_victoriametrics_are_kept(tmp_path: Path) -> None:
    with running_victoria_metrics(tmp_path) as victoria:
        check(tmp_path, f"{victoria.url}/opentelemetry//api/v1//push")
