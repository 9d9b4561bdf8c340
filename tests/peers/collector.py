"""The OpenTelemetry Collector's contrib distribution, with whatever configuration a test gives it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .programs import answers, needs, running
from .rotel import free_port

needs_collector = needs("otelcol-contrib", "github.com/open-telemetry/opentelemetry-collector-releases")

HEALTH = "health_check"


@contextlib.contextmanager
def running_collector(directory: Path, config: dict[str, Any]) -> Iterator[int]:
    """Run a Collector until the block ends; give its process id.

    `config` is the configuration as YAML takes it; a health check on a port of its own is added, and its own
    metrics are off.
    """
    health = f"127.0.0.1:{free_port()}"
    service = config["service"]
    whole = {
        **config,
        "extensions": {**config.get("extensions", {}), HEALTH: {"endpoint": health}},
        "service": {
            **service,
            "extensions": [*service.get("extensions", ()), HEALTH],
            "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
        },
    }
    file = directory / "collector.yaml"
    file.write_text(json.dumps(whole))
    words = ["otelcol-contrib", "--config", str(file)]
    with running(words, directory, lambda: answers(f"http://{health}/")) as pid:
        yield pid
