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
        ("GT_OTEL_LOGS_URL", "http://localhost:9428"),
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
    assert len(settings.problems) == 1  # though it holds for three signals
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


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("htp://here/v1/traces", "begin with http:// or https://"),
        ("localhost:4318", "begin with http:// or https://"),
        ("s3cret", "begin with http:// or https://"),
        ("http://here:port/v1/traces", "port is no number"),
        ("http://here:0/v1/traces", "port is no number"),
        ("http://here:65536/v1/traces", "port is no number"),
        ("http:///v1/traces", "no host"),
        ("https://", "no host"),
        ("http://here there/v1/traces", "no host"),
        ("http://[::1/v1/traces", "no URL"),
        ("http://here:4318", "path is missing; OTLP has traces at /v1/traces"),
        ("http://here:4318/", "path is missing; OTLP has traces at /v1/traces"),
        ("http://user:s3cret@here:4318", "path is missing; OTLP has traces at /v1/traces"),
        ("http://here/v1/logs", "where logs go"),
        ("http://here/v1/logs/", "where logs go"),
        ("http://here/otlp/v1/metrics?token=s3cret", "where metrics go"),
        ("http://here:9428/insert/opentelemetry/v1/logs", "where logs go"),
        ("http://here:9428/insert/opentelemetry/api/v1/push", "where logs go"),
        ("http://here:8428/opentelemetry/api/v1/push", "where metrics go"),
        ("http://here:8428/opentelemetry/v1/metrics", "where metrics go"),
    ],
)
def test_an_endpoint_that_cannot_be_meant_is_there_and_says_so(tmp_path: Path, url: str, reason: str) -> None:
    """In one line, with what to do; what is recorded waits for it as for one that is away."""
    settings = read(tmp_path, GT_OTEL_TRACES_URL=url, GT_OTEL_METRICS_URL="none", GT_OTEL_LOGS_URL="none")
    traces = settings.endpoint("traces")
    assert traces is not None
    assert settings.problems == [traces.problem]
    assert reason in traces.problem
    assert traces.problem.startswith("GT_OTEL_TRACES_URL is ")
    assert "/v1/traces" in traces.problem
    assert "s3cret" not in traces.problem
    assert "\n" not in traces.problem


@pytest.mark.parametrize(
    "urls",
    [
        ("http://here/v1/traces", "http://here/v1/metrics", "http://here/v1/logs"),
        ("https://here/otlp/v1/traces/", "http://[::1]:8428/opentelemetry/v1/metrics", "HTTP://here:9/x"),
        (
            "http://here/insert/opentelemetry/v1/traces",
            "http://here/?key=1",
            "http://here/insert/opentelemetry",
        ),
        ("http://user:pass@here:1/api/traces", "none", "http://here:9428/insert/opentelemetry/api/logs"),
    ],
)
def test_a_url_that_may_be_meant_is_used(tmp_path: Path, urls: tuple[str, str, str]) -> None:
    """VictoriaTraces has the path of VictoriaLogs, but for its end."""
    names = ("GT_OTEL_TRACES_URL", "GT_OTEL_METRICS_URL", "GT_OTEL_LOGS_URL")
    settings = read(tmp_path, **dict(zip(names, urls, strict=True)))
    assert settings.problems == []
    found = [settings.endpoint(signal) for signal in ("traces", "metrics", "logs")]
    assert [each.problem for each in found if each] == [""] * (3 - urls.count("none"))


def test_one_url_for_two_signals_is_wrong_for_whom_its_path_is_not(tmp_path: Path) -> None:
    url = "http://here/v1/traces"
    settings = read(tmp_path / "a", GT_OTEL_TRACES_URL=url, GT_OTEL_LOGS_URL=url)
    traces, logs = settings.endpoint("traces"), settings.endpoint("logs")
    assert traces is not None
    assert traces.problem == ""
    assert logs is not None
    assert "where traces go" in logs.problem
    settings = read(tmp_path / "b", GT_OTEL_TRACES_URL="http://here/x", GT_OTEL_LOGS_URL="http://here/x")
    traces, logs = settings.endpoint("traces"), settings.endpoint("logs")
    assert traces is not None
    assert logs is not None
    assert [traces.problem, logs.problem] == settings.problems * 2
    assert "GT_OTEL_TRACES_URL and GT_OTEL_LOGS_URL are the same URL" in traces.problem


def test_a_value_of_one_signal_is_named_as_it_was_set(tmp_path: Path) -> None:
    settings = read(
        tmp_path, GT_OTEL_TRACES_URL="http://here/v1/traces", OTEL_EXPORTER_OTLP_LOGS_TIMEOUT="soon"
    )
    assert settings.problems == ["OTEL_EXPORTER_OTLP_LOGS_TIMEOUT is no number of milliseconds: 'soon'"]
