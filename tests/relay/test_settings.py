"""What the relay takes from config.json, and what it says of values that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from gastown_tracing.journal.layout import create
from gastown_tracing.relay.settings import Endpoint, Settings

LOGS = "http://logs.example/insert/opentelemetry/v1/logs"


def read(tmp_path: Path, **found: str) -> Settings:
    return Settings.read(create(str(tmp_path / "journal"), found))


def test_without_a_url_nothing_is_sent(tmp_path: Path) -> None:
    settings = read(tmp_path)
    assert [settings.endpoint(signal) for signal in ("traces", "metrics", "logs")] == [None] * 3


def test_one_url_gives_the_others_their_defaults_and_none_switches_one_off(tmp_path: Path) -> None:
    settings = read(tmp_path, GT_OTEL_TRACES_URL="http://here/v1/traces", GT_OTEL_LOGS_URL="none")
    metrics = settings.endpoint("metrics")
    assert settings.endpoint("traces") == Endpoint("http://here/v1/traces")
    assert settings.endpoint("logs") is None
    assert metrics is not None
    assert metrics.url == "http://localhost:8428/opentelemetry/api/v1/push"


def test_a_signals_own_setting_goes_before_the_general_one(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        GT_OTEL_TRACES_URL="https://there/v1/traces",
        OTEL_EXPORTER_OTLP_TIMEOUT="2500",
        OTEL_EXPORTER_OTLP_HEADERS="api-key=one,x=a%2Cb",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS="api-key=two",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_EXPORTER_OTLP_LOGS_COMPRESSION="none",
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
    )
    traces, metrics, logs = (settings.endpoint(signal) for signal in ("traces", "metrics", "logs"))
    assert traces == Endpoint(
        "https://there/v1/traces", {"api-key": "two"}, 2.5, compression="gzip", protocol="http/protobuf"
    )
    assert metrics is not None
    assert metrics.headers == {"api-key": "one", "x": "a,b"}
    assert logs is not None
    assert logs.compression == ""
    assert settings.problems == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GT_OTEL_LOGS_URL", "localhost:9428"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "ten seconds"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "9" * 5000),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=one,s3cret"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, value: str
) -> None:
    settings = read(tmp_path, GT_OTEL_TRACES_URL="http://here/v1/traces", **{name: value})
    assert settings.endpoint("traces") is not None
    assert settings.problems
    assert all(name.removeprefix("OTEL_EXPORTER_OTLP_") in problem for problem in settings.problems)
    assert "s3cret" not in f"{settings.problems}{caplog.text}"


def test_victorialogs_gets_one_stream_an_agent_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    fields = "vl-stream-fields"
    logs = read(tmp_path / "a", GT_OTEL_LOGS_URL=LOGS).endpoint("logs")
    assert logs is not None
    assert logs.headers == {fields: "service.name,gt.role,gt.rig,gt.agent"}
    own = {"OTEL_EXPORTER_OTLP_LOGS_HEADERS": "VL-Stream-Fields=gt.rig"}
    logs = read(tmp_path / "b", GT_OTEL_LOGS_URL=LOGS, **own).endpoint("logs")
    assert logs is not None
    assert logs.headers == {fields: "gt.rig"}
    logs = read(tmp_path / "c", GT_OTEL_LOGS_URL="http://elsewhere/v1/logs").endpoint("logs")
    assert logs is not None
    assert logs.headers == {}
