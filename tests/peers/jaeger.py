"""Jaeger v2, and what its own query API says of a trace."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .programs import answers, fetch, get_json, needs, running
from .rotel import free_port

needs_jaeger = needs("jaeger", "github.com/jaegertracing/jaeger, version 2")

#: A store in memory, and one on disk, as jaeger/jaeger.yaml has it.
MEMORY = {"memory": {"max_traces": 100_000}}
BADGER = {"badger": {"directories": {"keys": "keys", "values": "values"}, "ephemeral": False}}


class Jaeger:
    """A running Jaeger: `traces_url` takes OTLP/HTTP, `url` is where it is read."""

    def __init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._otlp, self._health = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        self.traces_url = f"http://{self._otlp}/v1/traces"

    def config(self, store: dict[str, Any]) -> dict[str, Any]:
        """Return its configuration; YAML takes JSON."""
        return {
            "service": {
                "extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"],
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
                "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
            },
            "extensions": {
                "healthcheckv2": {"use_v2": True, "http": {"endpoint": self._health}},
                "jaeger_query": {
                    "storage": {"traces": "store"},
                    "http": {"endpoint": self.url.removeprefix("http://")},
                    "grpc": {"endpoint": f"127.0.0.1:{free_port()}"},
                },
                "jaeger_storage": {"backends": {"store": store}},
            },
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": self._otlp}}}},
            "exporters": {"jaeger_storage_exporter": {"trace_storage": "store"}},
        }

    def ready(self) -> bool:
        """Return whether it takes spans and can be read by now."""
        return answers(f"http://{self._health}/status") and answers(f"{self.url}/api/v3/services")

    def services(self) -> list[str]:
        """Return the names of the services that have sent spans."""
        return list(get_json(f"{self.url}/api/v3/services")["services"])

    def otlp(self, trace_id: str) -> dict[str, dict[str, Any]]:
        """Return a trace's spans by id, as /api/v3/traces/{id} has them, each with its `resource`.

        That is what was sent. A span that was stored with two contents fails here.
        """
        status, body = fetch(f"{self.url}/api/v3/traces/{trace_id}")
        if status == 404:
            return {}
        assert status == 200, (status, body[:500])
        spans: dict[str, dict[str, Any]] = {}
        for group in json.loads(body)["result"]["resourceSpans"]:
            for scope in group["scopeSpans"]:
                for span in scope.get("spans", ()):  # of a copy it leaves the empty scope
                    assert span["spanId"] not in spans, f"twice: {span}"
                    spans[span["spanId"]] = {**span, "resource": group["resource"]}
        return spans

    def shown(self, trace_id: str) -> list[dict[str, Any]]:
        """Return a trace's spans as its user interface gets them, from /api/traces/{id}."""
        status, body = fetch(f"{self.url}/api/traces/{trace_id}")
        return list(json.loads(body)["data"][0]["spans"]) if status == 200 else []


@contextlib.contextmanager
def running_jaeger(directory: Path, store: dict[str, Any] = MEMORY) -> Iterator[Jaeger]:
    """Run Jaeger with a store in memory, or BADGER in `directory`, until the block ends."""
    jaeger = Jaeger()
    file = directory / "jaeger.yaml"
    file.write_text(json.dumps(jaeger.config(store)))
    with running(["jaeger", "--config", str(file)], directory, jaeger.ready):
        yield jaeger
