"""VictoriaMetrics and VictoriaLogs, and what their own query APIs say."""

from __future__ import annotations

import contextlib
import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .programs import PROTOBUF, answers, fetch, get_json, needs, post, running
from .rotel import free_port

needs_victoria_metrics = needs("victoria-metrics", "github.com/VictoriaMetrics/VictoriaMetrics")
needs_victoria_logs = needs("victoria-logs", "github.com/VictoriaMetrics/VictoriaLogs")

#: With it `gastown.bd.calls.total` becomes `gastown_bd_calls_total`.
PROMETHEUS_NAMES = "-opentelemetry.usePrometheusNaming"


class VictoriaMetrics:
    """A running VictoriaMetrics: `metrics_url` takes OTLP/HTTP, as protobuf; `url` is where it is read."""

    def __init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.metrics_url = f"{self.url}/opentelemetry/api/v1/push"

    def post(self, request: bytes) -> int:
        """Send an ExportMetricsServiceRequest and return the answer's status."""
        return post(self.metrics_url, request, PROTOBUF)

    def query(self, query: str) -> list[dict[str, Any]]:
        """Return what a MetricsQL query gives now, a `metric` and a `value` each; what came last included."""
        self._flush()
        parameters = {"query": query, "nocache": "1", "latency_offset": "1ms"}
        answer = get_json(f"{self.url}/api/v1/query?{urllib.parse.urlencode(parameters)}")
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])

    def value(self, query: str) -> float | None:
        """Return the one number that a query gives, None where it gives nothing."""
        found = self.query(query)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def export(self, match: str) -> list[dict[str, Any]]:
        """Return the series that match, with every sample as it was stored: `values`, `timestamps` (ms)."""
        self._flush()
        parameters = urllib.parse.urlencode({"match[]": match, "reduce_mem_usage": "1"})
        status, body = fetch(f"{self.url}/api/v1/export?{parameters}")
        assert status == 200, (status, body[:500])
        return [json.loads(line) for line in body.splitlines()]

    def _flush(self) -> None:
        """Let queries see what has come; else that takes seconds."""
        fetch(f"{self.url}/internal/force_flush")


class VictoriaLogs:
    """A running VictoriaLogs: `logs_url` takes OTLP/HTTP, as protobuf; `url` is where it is read."""

    def __init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.logs_url = f"{self.url}/insert/opentelemetry/v1/logs"

    def post(self, request: bytes) -> int:
        """Send an ExportLogsServiceRequest and return the answer's status."""
        return post(self.logs_url, request, PROTOBUF)

    def query(self, query: str, limit: int = 10_000) -> list[dict[str, str]]:
        """Return the records that a LogsQL query finds, fields by name; what came last included."""
        fetch(f"{self.url}/internal/force_flush")
        parameters = urllib.parse.urlencode({"query": query, "limit": limit})
        status, body = fetch(f"{self.url}/select/logsql/query?{parameters}")
        assert status == 200, (status, body[:500])
        return [json.loads(line) for line in body.splitlines()]


@contextlib.contextmanager
def running_victoria_metrics(directory: Path, *flags: str) -> Iterator[VictoriaMetrics]:
    """Run VictoriaMetrics with these flags, else PROMETHEUS_NAMES, until the block ends."""
    victoria = VictoriaMetrics()
    words = [
        "victoria-metrics",
        "-storageDataPath",
        str(directory / "metrics"),
        *(flags or (PROMETHEUS_NAMES,)),
    ]
    words += ["-httpListenAddr", victoria.url.removeprefix("http://")]
    with running(words, directory, lambda: answers(f"{victoria.url}/health")):
        yield victoria


@contextlib.contextmanager
def running_victoria_logs(directory: Path, *flags: str) -> Iterator[VictoriaLogs]:
    """Run VictoriaLogs with these flags until the block ends."""
    victoria = VictoriaLogs()
    words = ["victoria-logs", "-storageDataPath", str(directory / "logs"), *flags]
    words += ["-httpListenAddr", victoria.url.removeprefix("http://")]
    with running(words, directory, lambda: answers(f"{victoria.url}/health")):
        yield victoria
