"""Jaeger v2 as jaeger/jaeger.yaml sets it up, and what its own query API says of a trace."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .programs import CONFIGURATIONS, answers, fetch, get_json, needs, running
from .rotel import free_port

needs_jaeger = needs("jaeger", "github.com/jaegertracing/jaeger, version 2")


class Jaeger:
    """A running Jaeger: `traces_url` takes OTLP/HTTP, `url` is where it is read."""

    def __init__(self) -> None:
        names = ("UI", "OTLP_HTTP", "HEALTH", "GRPC", "OTLP_GRPC")
        ports = {name: str(free_port()) for name in names}
        self.settings = {f"JAEGER_{name}_PORT": port for name, port in ports.items()}
        self.url = f"http://127.0.0.1:{ports['UI']}"
        self.traces_url = f"http://127.0.0.1:{ports['OTLP_HTTP']}/v1/traces"
        self._health = f"http://127.0.0.1:{ports['HEALTH']}/status"

    def ready(self) -> bool:
        """Return whether it takes spans and can be read by now."""
        return answers(self._health) and answers(f"{self.url}/api/v3/services")

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
def running_jaeger(directory: Path) -> Iterator[Jaeger]:
    """Run Jaeger, its store in `directory`, until the block ends."""
    jaeger = Jaeger()
    places = {"JAEGER_BADGER": str(directory / "badger"), "JAEGER_UI_CONFIG": str(CONFIGURATIONS / "ui.json")}
    words = ["jaeger", "--config", str(CONFIGURATIONS / "jaeger.yaml")]
    with running(words, directory, jaeger.ready, {**jaeger.settings, **places}):
        yield jaeger
