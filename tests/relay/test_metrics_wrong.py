"""Metrics and an endpoint that is not what it was meant to be: nothing is left out, and it is said."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gastown_tracing.journal.layout import Journal, create
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.http import Client
from gastown_tracing.relay.metrics import MetricsWorker
from gastown_tracing.relay.settings import Settings
from gastown_tracing.relay.sources import Sources
from tests.processes import wait_until
from tests.relay.metrics_kit import append, bd_call, config
from tests.relay.otlp_server import OtlpServer

DURATION = "gastown.bd.duration_ms"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return create(str(tmp_path / "journal"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OtlpServer]:
    with OtlpServer(tmp_path / "server") as found:
        yield found


@contextlib.contextmanager
def working(journal: Journal) -> Iterator[MetricsWorker]:
    """Run the worker in this process, where its status can be seen."""
    sources, ended = Sources(journal), threading.Event()
    worker = MetricsWorker(
        journal, Files(journal), Settings.read(journal), lambda _: None, connect=Client, now=time.time_ns
    )
    sources.add(worker.feed)

    def look() -> None:
        while not ended.wait(0.02):
            sources.scan(time.monotonic())

    looking = threading.Thread(target=look, daemon=True)
    worker.start()
    looking.start()
    try:
        yield worker
    finally:
        worker.stop(5.0)
        ended.set()
        looking.join()


def names(server: OtlpServer) -> set[str]:
    return {found["name"] for found in server.metrics()["series"]}


def test_an_endpoint_that_never_took_anything_refuses_no_metric(journal: Journal, server: OtlpServer) -> None:
    """It is tried again soon, with all of them, where a metric that is refused waits for an hour."""
    server.answer("ok", poison="gastown.")
    config(journal, server.url("metrics"))
    append(journal, bd_call())
    with working(journal) as worker:
        wait_until(lambda: int(str(worker.status()["retries"])) >= 2, "a second attempt")
        status = worker.status()
        assert (status["state"], status["dead_letters"]) == ("failing", 0)
        assert status["failing_since"]
        assert "never taken anything" in str(status["last_error"])
        server.answer("ok")
        wait_until(lambda: DURATION in names(server), "the metrics")
        wait_until(lambda: worker.status()["state"] == "ok", "health")
        assert worker.status()["failing_since"] is None


def test_a_metric_that_is_refused_first_is_left_out_once_another_is_taken(
    journal: Journal, server: OtlpServer
) -> None:
    server.answer("ok", poison="gastown.bd.calls.total")
    config(journal, server.url("metrics"))
    append(journal, bd_call())
    with working(journal) as worker:
        wait_until(lambda: DURATION in names(server), "the other metric")
        wait_until(lambda: worker.status()["dead_letters"], "a refusal")
        assert worker.status()["last_dead_letter"]
        wait_until(lambda: worker.status()["state"] == "ok", "health")
    assert "gastown.bd.calls.total" not in names(server)


def test_a_url_that_cannot_be_meant_gets_nothing_until_it_is_put_right(
    journal: Journal, server: OtlpServer
) -> None:
    config(journal, server.url("traces"))
    append(journal, bd_call())
    with working(journal) as worker:
        wait_until(lambda: worker.status()["series"], "the record")
        status = worker.status()
        assert (status["state"], status["sent"]) == ("failing", 0)
        assert status["failing_since"]
        assert "GT_OTEL_METRICS_URL" in str(status["last_error"])
        config(journal, server.url("metrics"))
        worker.reconfigure(Settings.read(journal))
        wait_until(lambda: DURATION in names(server), "the metrics")
        wait_until(lambda: worker.status()["state"] == "ok", "health")
        assert worker.status()["last_error"] is None
    assert "traces.requests" not in server.stats()
