"""Every query of the dashboards and of docs/queries.md runs in the real store, and finds what is recorded."""

from __future__ import annotations

import json
import shutil
import time
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.peers.jaeger import needs_jaeger
from tests.peers.programs import PROTOBUF, answers, fetch, get_json, post
from tests.peers.tempo import needs_tempo
from tests.peers.victoria import (
    VictoriaLogs,
    VictoriaMetrics,
    needs_victoria_logs,
    needs_victoria_metrics,
    running_victoria_logs,
    running_victoria_metrics,
)
from tests.processes import wait_until

from . import fill
from .kit import Query, alerts, configured_jaeger, configured_tempo, documented, flags, shown

pytestmark = pytest.mark.peer

ALL = [*documented(), *shown()]


def _start() -> int:
    """Return a time before everything that was filled in, however long the tests before took."""
    return time.time_ns() - 3600 * fill.SECOND


def _end() -> int:
    return time.time_ns() + 60 * fill.SECOND


def _of(language: str) -> list[Query]:
    return [query for query in ALL if query.language == language]


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    """Run VictoriaMetrics with the flags of docker-compose.yml, filled."""
    chosen = flags("victoria-metrics", "-storageDataPath")
    with running_victoria_metrics(tmp_path_factory.mktemp("metrics"), *chosen) as victoria:
        assert victoria.post(fill.metrics(time.time_ns()).SerializeToString()) == 200
        yield victoria


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaLogs]:
    """Run VictoriaLogs with the flags of docker-compose.yml, filled."""
    chosen = flags("victoria-logs", "-storageDataPath")
    with running_victoria_logs(tmp_path_factory.mktemp("logs"), *chosen) as victoria:
        assert victoria.post(fill.logs(time.time_ns()).SerializeToString()) == 200
        assert victoria.query("* | limit 1")
        yield victoria


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run Jaeger as jaeger/jaeger.yaml says, filled; give its address."""
    with configured_jaeger(tmp_path_factory.mktemp("jaeger")) as (url, otlp):
        assert post(otlp, fill.traces(time.time_ns()).SerializeToString(), PROTOBUF) == 200
        wait_until(lambda: answers(f"{url}/api/v3/traces/{fill.TOAST_RUN}"), "the trace is there")
        yield url


@pytest.fixture(scope="module")
def tempo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run Tempo as jaeger/tempo.yaml says, filled; give its address."""
    if shutil.which("tempo") is None:
        pytest.skip("tempo is not on PATH")
    with configured_tempo(tmp_path_factory.mktemp("tempo")) as (url, otlp):
        assert post(otlp, fill.traces(time.time_ns()).SerializeToString(), PROTOBUF) == 200
        wait_until(lambda: _traces(url, "{ }"), "a search finds the traces")
        yield url


@needs_victoria_metrics
@pytest.mark.parametrize("query", _of("promql"), ids=str)
def test_a_metrics_query(metrics: VictoriaMetrics, query: Query) -> None:
    """The query gives something: a number at least, and none that is NaN alone."""
    found = metrics.query(query.text)
    assert bool(found) is query.full, query
    if query.full:
        assert any(series["value"][1] != "NaN" for series in found), found[:3]


@needs_victoria_metrics
def test_an_agent_is_found_that_has_no_actor(metrics: VictoriaMetrics) -> None:
    """What `gt-trace session start` begins has a role, and no BD_ACTOR: each query by agent has both."""
    by_agent = [query for query in _of("promql") if "by (gt_role)" in query.text]
    assert len(by_agent) > 3
    for query in by_agent:
        roles = {series["metric"].get("gt_role") for series in metrics.query(query.text)}
        assert roles == {agent.resource["gt.role"] for agent in fill.AGENTS}, query


@needs_victoria_metrics
@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_can_be_evaluated(metrics: VictoriaMetrics, rule: dict[str, Any]) -> None:
    """The store understands it, and has what it compares; nothing is absent where everything is recorded."""
    metrics.query(rule["expr"])
    measured, _, _ = rule["expr"].rpartition(" > ")
    assert bool(metrics.query(measured or rule["expr"])) is bool(measured)


@needs_victoria_logs
@pytest.mark.parametrize("query", _of("logsql"), ids=str)
def test_a_logs_query(logs: VictoriaLogs, query: Query) -> None:
    """The query finds records, or groups of them."""
    text = query.text.replace(":>1000", ":>1")  # what is slow in a town is not in ours
    assert logs.query(text), query


@needs_victoria_logs
@pytest.mark.parametrize(
    "query",
    [one for one in _of("logsql") if one.where != "docs/queries.md" and "stats by" in one.text],
    ids=str,
)
def test_a_stats_query_of_a_dashboard(logs: VictoriaLogs, query: Query) -> None:
    """Tables and curves over logs ask the API for statistics, which not every query can give."""
    parameters = urllib.parse.urlencode({"query": query.text, "time": _end() // fill.SECOND})
    found = get_json(f"{logs.url}/select/logsql/stats_query?{parameters}")
    assert found["data"]["result"], query


@needs_jaeger
@pytest.mark.parametrize("query", _of("http"), ids=str)
def test_a_request_to_jaeger(jaeger: str, query: Query) -> None:
    """The request is answered, and finds the runs."""
    method, _, target = query.text.partition(" ")
    assert method == "GET"
    path, _, parameters = target.partition("?")
    times = {"{start}": _iso(_start()), "{end}": _iso(_end())}
    for name, value in times.items():
        parameters = parameters.replace(name, value)
    pairs = [tuple(pair.split("=", 1)) for pair in parameters.split("&") if pair]
    status, body = fetch(f"{jaeger}{path}?{urllib.parse.urlencode(pairs)}")
    assert status == 200, (query, body[:500])
    assert b"gastown" in body or b"bd.call" in body, body[:500]


@needs_tempo
@pytest.mark.parametrize("query", _of("traceql"), ids=str)
def test_a_traceql_query(tempo: str, query: Query) -> None:
    """The query finds traces, or curves."""
    if "_over_time(" in query.text or "rate()" in query.text:
        wait_until(lambda: _curves(tempo, query.text), f"curves for {query.text}")
    else:
        assert _traces(tempo, query.text), query


def _traces(url: str, query: str) -> list[object]:
    parameters = {"q": query, "limit": 20, "start": _start() // fill.SECOND, "end": _end() // fill.SECOND}
    return list(get_json(f"{url}/api/search?{urllib.parse.urlencode(parameters)}").get("traces") or ())


def _curves(url: str, query: str) -> list[object]:
    parameters = {"q": query, "step": "30s", "start": _start() // fill.SECOND, "end": _end() // fill.SECOND}
    status, body = fetch(f"{url}/api/metrics/query_range?{urllib.parse.urlencode(parameters)}")
    assert status == 200, body[:500]
    return list(json.loads(body).get("series") or ())


def _iso(time_ns: int) -> str:
    return (
        datetime.fromtimestamp(time_ns / fill.SECOND, UTC)
        .isoformat(timespec="microseconds")
        .replace("+00:00", "Z")
    )
