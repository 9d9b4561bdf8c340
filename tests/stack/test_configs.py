"""Each configuration is taken by its own program, where it is on PATH; by its structure in any case."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing.events.metrics import METRICS
from gastown_tracing.events.registry import EVENTS
from tests.conftest import clean_environ
from tests.peers.collector import needs_collector
from tests.peers.jaeger import needs_jaeger
from tests.peers.programs import PROTOBUF, get_json, needs, post
from tests.peers.rotel import free_port
from tests.peers.tempo import needs_tempo
from tests.peers.victoria import needs_victoria_metrics

from . import fill
from .kit import ALERTS, STACK, alerts, compose, configured_jaeger, flags, load

COLLECTORS = (
    ("collector.yaml",),
    ("collector.yaml", "scale-out/agent.yaml"),
    ("scale-out/gateway.yaml",),
)
#: Files in the Collector's own format, Jaeger's among them.
PIPELINED = ("jaeger.yaml", "collector.yaml", "scale-out/gateway.yaml", "scale-out/jaeger.yaml")


def _run(words: list[str], directory: Path) -> tuple[int, str]:
    env = {**clean_environ(), "COLLECTOR_STATE": str(directory)}
    done = subprocess.run(
        words, env=env, cwd=directory, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.peer
@needs_collector
@pytest.mark.parametrize("files", COLLECTORS, ids="+".join)
def test_the_collector_takes_its_configuration(files: tuple[str, ...], tmp_path: Path) -> None:
    """`otelcol-contrib validate` has nothing to say."""
    words = ["otelcol-contrib", "validate", *(f"--config={STACK / name}" for name in files)]
    assert _run(words, tmp_path) == (0, "")


@pytest.mark.peer
@needs_tempo
def test_tempo_takes_its_configuration(tmp_path: Path) -> None:
    """`tempo -config.verify` has nothing to say."""
    words = ["tempo", "-config.verify", "-config.expand-env=true", f"-config.file={STACK / 'tempo.yaml'}"]
    status, said = _run(words, tmp_path)
    assert status == 0, said


@pytest.mark.peer
@needs_jaeger
def test_jaeger_keeps_what_it_answered(tmp_path: Path) -> None:
    """Spans whose request was answered are there after kill -9 and a new start."""
    request = fill.traces(time.time_ns())
    with configured_jaeger(tmp_path) as (_, otlp):
        assert post(otlp, request.SerializeToString(), PROTOBUF) == 200
        # the end of the block kills it
    with configured_jaeger(tmp_path) as (url, _):
        for group in request.resource_spans:
            spans = group.scope_spans[0].spans
            found = get_json(f"{url}/api/traces/{spans[0].trace_id.hex()}")["data"][0]["spans"]
            assert {span["spanID"] for span in found} == {span.span_id.hex() for span in spans}


@pytest.mark.peer
@needs_jaeger
def test_jaeger_takes_the_configuration_over_clickhouse(tmp_path: Path) -> None:
    """Every key is known: what stops it is that there is no ClickHouse."""
    words = [
        "env",
        "CLICKHOUSE=127.0.0.1:1",
        "KAFKA_BROKER=127.0.0.1:1",
        f"JAEGER_HEALTH_PORT={free_port()}",
        f"JAEGER_UI_PORT={free_port()}",
        f"JAEGER_GRPC_PORT={free_port()}",
        f"JAEGER_UI_CONFIG={STACK / 'ui.json'}",
    ]
    status, said = _run([*words, "jaeger", f"--config=file:{STACK / 'scale-out/jaeger.yaml'}"], tmp_path)
    assert status != 0
    assert "failed to ping ClickHouse" in said, said[-2000:]


@pytest.mark.peer
@needs_victoria_metrics
def test_victoria_metrics_takes_its_flags(tmp_path: Path) -> None:
    """`victoria-metrics -dryRun` ends without an error; a flag that there is not is one."""
    status, said = _run(
        ["victoria-metrics", *flags("victoria-metrics", "-storageDataPath"), "-dryRun"], tmp_path
    )
    assert status == 0, said
    assert _run(["victoria-metrics", "-opentelemetry.noSuchThing", "-dryRun"], tmp_path)[0] != 0


@pytest.mark.peer
@needs("promtool", "github.com/prometheus/prometheus")
def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    """`promtool check config` has nothing against it."""
    status, said = _run(["promtool", "check", "config", str(STACK / "prometheus.yml")], tmp_path)
    assert status == 0, said


@pytest.mark.parametrize("name", PIPELINED)
def test_pipelines_use_what_is_configured(name: str) -> None:
    """Each part of a pipeline is configured, and what is configured is part of one."""
    found: dict[str, Any] = load(STACK / name)
    service = found["service"]
    assert set(service["extensions"]) == set(found["extensions"])
    for kind in ("receivers", "processors", "exporters"):
        used = {part for pipeline in service["pipelines"].values() for part in pipeline.get(kind, ())}
        assert used == set(found.get(kind, {})), kind


def test_tempo_has_no_limit_to_a_trace_and_no_lag_of_search() -> None:
    """A mayor's session is read back whole, and what was sent a moment ago is found."""
    found = load(STACK / "tempo.yaml")
    assert found["overrides"]["defaults"]["global"]["max_bytes_per_trace"] == 0
    assert found["query_frontend"]["query_end_cutoff"] == "0s"
    assert found["live_store"]["fail_on_high_lag"] is False


def test_prometheus_stores_exemplars_and_keeps_agents_apart() -> None:
    """It receives OTLP, stores exemplars, and has the labels that VictoriaMetrics has."""
    chosen = flags("prometheus")
    assert "--web.enable-otlp-receiver" in chosen
    assert "--enable-feature=exemplar-storage" in chosen
    otlp = load(STACK / "prometheus.yml")["otlp"]
    promoted = f"-opentelemetry.promoteResourceAttributes={','.join(otlp['promote_resource_attributes'])}"
    assert promoted in flags("victoria-metrics")
    assert otlp["translation_strategy"] == "UnderscoreEscapingWithSuffixes"


def test_alerts_are_rules_that_prometheus_loads() -> None:
    """Each has an expression, how bad it is, and a text; Prometheus is told of the file and finds it."""
    rules = alerts()
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
    names = {metric.name for event in EVENTS.values() for metric in event.metrics} | set(METRICS)
    known = {name.replace(".", "_") for name in names}
    for rule in rules:
        used = set(re.findall(r"gastown_[a-z_]+", rule["expr"]))
        assert {name.removesuffix("_bucket") for name in used} <= known, rule["alert"]
    assert load(STACK / "prometheus.yml")["rule_files"] == [ALERTS.name]
    mounted = compose()["services"]["prometheus"]["volumes"]
    assert f"./jaeger/{ALERTS.name}:/etc/prometheus/{ALERTS.name}:ro" in mounted


def test_the_collector_reads_the_journal_and_waits_for_its_endpoints() -> None:
    """Every place of a journal is read from its beginning, nothing is deleted, no queue overflows."""
    found = load(STACK / "collector.yaml")
    traces = found["receivers"]["otlp_json_file/traces"]
    logs = found["receivers"]["otlp_json_file/logs"]
    assert {path.rpartition("}/")[2] for path in (*traces["include"], *logs["include"])} == {
        *("runs/*/traces.jsonl", "runs/*/close.json", "runs/*/logs.jsonl", "loose/*/traces.jsonl"),
        *("closed/*/*/traces.jsonl", "closed/*/*/close.json", "closed/*/*/logs.jsonl", "loose/*/logs.jsonl"),
    }
    for receiver in (traces, logs):
        assert (receiver["start_at"], receiver["delete_after_read"]) == ("beginning", False)
        assert receiver["storage"] == "file_storage"
        assert receiver["include_file_name"] is False
    agent = load(STACK / "scale-out/agent.yaml")["exporters"]["load_balancing"]
    for exporter in (*found["exporters"].values(), agent):
        assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
        assert exporter["sending_queue"]["block_on_overflow"] is True
        assert exporter["sending_queue"]["storage"] == "file_storage"
    assert agent["routing_key"] == "traceID"


def test_the_programs_find_their_files() -> None:
    """What a command of the compose file names below /etc is mounted there."""
    for name, service in compose()["services"].items():
        mounted = {volume.split(":")[-2] for volume in service.get("volumes", ()) if volume.endswith(":ro")}
        for word in service.get("command", ()):
            path = word.removeprefix("file:").rpartition("=")[2].removeprefix("file:")
            assert not path.startswith("/etc/") or path in mounted, (name, word)


def test_the_ui_of_jaeger_is_configured_in_json() -> None:
    """ui.json is JSON, with the parts that Jaeger knows."""
    found = json.loads((STACK / "ui.json").read_text())
    assert set(found) == {"archiveEnabled", "dependencies", "search", "menu", "linkPatterns"}
    assert all(set(one) <= {"type", "key", "url", "text"} for one in found["linkPatterns"])
