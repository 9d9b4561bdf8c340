"""The stack's files as tests need them, and its servers as the files configure them."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT
from tests.peers.programs import answers, running
from tests.peers.rotel import free_port

COMPOSE = ROOT / "docker-compose.yml"
STACK = ROOT / "jaeger"
DASHBOARDS = sorted((STACK / "grafana/dashboards").glob("*.json"))
QUERIES = ROOT / "docs/queries.md"
ALERTS = STACK / "alerts.yml"


def load(path: Path) -> Any:
    """Return what a YAML file says."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def compose() -> dict[str, Any]:
    """Return docker-compose.yml."""
    return dict(load(COMPOSE))


def flags(service: str, *but: str) -> list[str]:
    """Return the flags that a service is started with, without those called `but`."""
    return [flag for flag in compose()["services"][service]["command"] if not flag.startswith(but)]


def provisioned() -> dict[str, str]:
    """Return the type of each data source that Grafana is given, by uid."""
    found = load(STACK / "grafana/provisioning/datasources/gastown.yaml")["datasources"]
    return {source["uid"]: source["type"] for source in found}


@dataclass(frozen=True)
class Query:
    """A query of a dashboard or of the docs. `language` is promql, logsql, traceql or http."""

    language: str
    text: str
    where: str
    #: Whether it gives something where everything is recorded.
    full: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.text[:60]}"


_FENCE = re.compile(r"```(promql|logsql|traceql|http)( none)?\n(.*?)```", re.DOTALL)
_LANGUAGES = {"prometheus": "promql", "victoriametrics-logs-datasource": "logsql", "tempo": "traceql"}
#: What Grafana puts in for its variables.
_VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$rig": ".*", "$role": ".*"}


def documented() -> list[Query]:
    """Return the queries of docs/queries.md. Each stands below a line that says what it answers."""
    found: list[Query] = []
    for language, none, body in _FENCE.findall(QUERIES.read_text(encoding="utf-8")):
        lines = body.strip().splitlines()
        for comment, query in zip(lines[::2], lines[1::2], strict=True):
            assert comment.startswith("# "), comment
            assert not query.startswith("#"), query
            found.append(Query(language, query, "docs/queries.md", full=not none))
    return found


def dashboard(path: Path) -> dict[str, Any]:
    """Return one dashboard."""
    return dict(json.loads(path.read_text(encoding="utf-8")))


def shown() -> list[Query]:
    """Return the queries of all dashboards but Jaeger's, whose panels search by fields."""
    return [
        Query(_LANGUAGES[target["datasource"]["type"]], _filled(text), f"{path.stem}: {panel['title']}")
        for path in DASHBOARDS
        for panel in dashboard(path)["panels"]
        for target in panel["targets"]
        if (text := target.get("expr") or (target.get("query") if "datasource" in target else None))
    ]


def _filled(text: str) -> str:
    for name, value in _VARIABLES.items():
        text = text.replace(name, value)
    assert "$" not in text, text
    return text


def alerts() -> list[dict[str, Any]]:
    """Return the rules of jaeger/alerts.yml."""
    return [rule for group in load(ALERTS)["groups"] for rule in group["rules"]]


@contextlib.contextmanager
def configured_jaeger(directory: Path) -> Iterator[tuple[str, str]]:
    """Run Jaeger as jaeger/jaeger.yaml says; give its address, and the one that takes spans."""
    page, health, otlp = free_port(), free_port(), free_port()
    words = [
        "env",
        "JAEGER_HOST=127.0.0.1",
        f"JAEGER_UI_PORT={page}",
        f"JAEGER_HEALTH_PORT={health}",
        f"JAEGER_OTLP_HTTP_PORT={otlp}",
        f"JAEGER_OTLP_GRPC_PORT={free_port()}",
        f"JAEGER_GRPC_PORT={free_port()}",
        f"JAEGER_BADGER={directory}",
        f"JAEGER_UI_CONFIG={STACK / 'ui.json'}",
        *("jaeger", f"--config=file:{STACK / 'jaeger.yaml'}"),
    ]
    url = f"http://127.0.0.1:{page}"
    with running(
        words, directory, lambda: _all(f"http://127.0.0.1:{health}/status", f"{url}/api/v3/services")
    ):
        yield url, f"http://127.0.0.1:{otlp}/v1/traces"


@contextlib.contextmanager
def configured_tempo(directory: Path) -> Iterator[tuple[str, str]]:
    """Run Tempo as jaeger/tempo.yaml says; give its address, and the one that takes spans."""
    page, otlp = free_port(), free_port()
    words = [
        "env",
        "TEMPO_HOST=127.0.0.1",
        f"TEMPO_PORT={page}",
        f"TEMPO_GRPC_PORT={free_port()}",
        f"TEMPO_GOSSIP_PORT={free_port()}",
        f"TEMPO_OTLP_HTTP_PORT={otlp}",
        f"TEMPO_OTLP_GRPC_PORT={free_port()}",
        f"TEMPO_DATA={directory}",
        *("tempo", f"-config.file={STACK / 'tempo.yaml'}", "-config.expand-env=true"),
    ]
    url = f"http://127.0.0.1:{page}"
    with running(words, directory, lambda: answers(f"{url}/ready")):
        yield url, f"http://127.0.0.1:{otlp}/v1/traces"


def _all(*urls: str) -> bool:
    return all(answers(url) for url in urls)
