"""The doctor's canaries read back from the real backends, and what it warns of there."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gastown_tracing.doctor import backends
from gastown_tracing.doctor.check import Deadline
from gastown_tracing.doctor.endpoints import endpoint
from gastown_tracing.journal.layout import Journal
from gastown_tracing.relay.settings import Settings
from tests.peers.jaeger import needs_jaeger, running_jaeger
from tests.peers.tempo import needs_tempo, running_tempo
from tests.peers.victoria import (
    needs_victoria_logs,
    needs_victoria_metrics,
    running_victoria_logs,
    running_victoria_metrics,
)

from .conftest import Doctor

pytestmark = pytest.mark.peer
NONE = {f"GT_OTEL_{signal}_URL": "none" for signal in ("TRACES", "METRICS", "LOGS")}


@needs_jaeger
@needs_victoria_logs
@needs_victoria_metrics
def test_canaries_come_back(doctor: Doctor, journal: Journal, tmp_path: Path) -> None:
    """From Jaeger, VictoriaLogs and VictoriaMetrics; Jaeger shows it as a service and a trace of its own."""
    with (
        running_jaeger(tmp_path) as jaeger,
        running_victoria_logs(tmp_path) as logs,
        running_victoria_metrics(tmp_path) as metrics,
    ):
        urls = (jaeger.traces_url, metrics.metrics_url, logs.logs_url)
        journal.write_config(dict(zip(NONE, urls, strict=True)))
        found = doctor("--traces-query", jaeger.url)
        assert jaeger.services() == ["gastown-doctor"]
        (record,) = logs.query("*")
        assert list(jaeger.otlp(record["trace_id"])) == []  # each signal has a canary of its own
        assert record["_msg"] == f"gt-trace doctor {record['trace_id']}"
        (series,) = metrics.export('{service_name="gastown-doctor"}')
        assert series["metric"]["__name__"] == "gastown_doctor_canary"
    for signal, backend in (("traces", "Jaeger"), ("logs", "VictoriaLogs"), ("metrics", "VictoriaMetrics")):
        assert found[signal, "canary"]["found"].startswith(f"sent, and {backend} at http://127.0.0.1:")
    assert (found.code, found.state("traces", "canary")) == (0, "ok")


@needs_tempo
@pytest.mark.parametrize(("limit", "state"), [(0, "ok"), (5_000_000, "warning")])
def test_a_limit_of_tempo_is_warned_of(
    limit: int, state: str, doctor: Doctor, journal: Journal, tmp_path: Path
) -> None:
    """Of a foreign one; ours has none."""
    with running_tempo(tmp_path, limit) as tempo:
        journal.write_config({**NONE, "GT_OTEL_TRACES_URL": tempo.traces_url})
        found = doctor("--traces-query", tempo.url)
    assert found.state("traces", "canary") == "ok"
    assert found.state("traces", "max_bytes_per_trace") == state


@needs_jaeger
@needs_tempo
def test_one_backend_that_shows_the_canary_is_enough(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traces go to Tempo, and a Jaeger answers queries on the same host: nobody is warned of that."""
    for name in ("jaeger", "tempo"):
        (tmp_path / name).mkdir()
    with running_jaeger(tmp_path / "jaeger") as jaeger, running_tempo(tmp_path / "tempo", 0) as tempo:
        ports = {"Jaeger": jaeger.url, "Tempo": tempo.url}
        found = [
            dataclasses.replace(backend, port=urlsplit(ports[backend.name]).port)
            for backend in backends.BACKENDS
            if backend.name in ports
        ]
        monkeypatch.setattr(backends, "BACKENDS", tuple(found))
        journal.write_config({**NONE, "GT_OTEL_TRACES_URL": tempo.traces_url})
        given = Settings.read(journal).endpoint("traces")
        checks = {check.name: check for check in endpoint("traces", given, "", Deadline(16))}
    assert checks["canary"].state == "ok"
    assert checks["canary"].found.startswith(f"sent, and Tempo at {tempo.url} shows it")


@needs_victoria_metrics
def test_names_with_dots_are_warned_of(doctor: Doctor, journal: Journal, tmp_path: Path) -> None:
    """VictoriaMetrics without -opentelemetry.usePrometheusNaming."""
    with running_victoria_metrics(tmp_path, "-retentionPeriod=1") as metrics:
        journal.write_config({**NONE, "GT_OTEL_METRICS_URL": metrics.metrics_url})
        found = doctor()
    assert found.state("metrics", "canary") == "ok"
    assert "usePrometheusNaming" in found["metrics", "names"]["advice"]


@needs_jaeger
def test_another_backend_at_the_query_is_said(doctor: Doctor, journal: Journal, tmp_path: Path) -> None:
    """One that takes nothing from this endpoint, and one that is none."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with running_jaeger(tmp_path / "one") as one, running_jaeger(tmp_path / "two") as two:
        journal.write_config({**NONE, "GT_OTEL_TRACES_URL": one.traces_url})
        wrong = doctor("--traces-query", two.url)
        none = doctor("--traces-query", one.traces_url)
    assert "not shown by Jaeger at" in wrong["traces", "canary"]["found"]
    assert "no backend known to us answers" in none["traces", "canary"]["found"]
    assert (wrong.state("traces", "canary"), none.state("traces", "canary")) == ("warning", "warning")
