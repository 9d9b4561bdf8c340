"""The OpenTelemetry Collector (contrib) with jaeger/collector.yaml: it reads a journal itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .programs import CONFIGURATIONS, answers, needs, running
from .rotel import free_port

needs_collector = needs("otelcol-contrib", "github.com/open-telemetry/opentelemetry-collector-releases")


@contextlib.contextmanager
def running_collector(directory: Path, journal: Path, traces_url: str, logs_url: str) -> Iterator[int]:
    """Run a Collector that ships a journal, its state in `directory`; give its process id.

    Another one with the same directory goes on where it ended.
    """
    health = str(free_port())
    settings = {
        "COLLECTOR_HEALTH_PORT": health,
        "COLLECTOR_STATE": str(directory / "state"),
        "JOURNAL": str(journal),
        "TRACES_URL": traces_url,
        "LOGS_URL": logs_url,
    }
    words = ["otelcol-contrib", "--config", str(CONFIGURATIONS / "collector.yaml")]
    with running(words, directory, lambda: answers(f"http://127.0.0.1:{health}/"), settings) as pid:
        yield pid
