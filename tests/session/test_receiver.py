"""What leads a session's agent to the local receiver: all of it or nothing, and never over what is set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from session_kit import Sessions

from gastown_tracing import config
from gastown_tracing.sessions import receiver

ADDRESS = "http://127.0.0.1:4999/token"

#: The data model's list of what a Claude Code session gets at spawn.
ALL = {
    "GT_OTEL_RECEIVER": ADDRESS,
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
    "CLAUDE_CODE_PROPAGATE_TRACEPARENT": "1",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_ENDPOINT": ADDRESS,
}

CASES = [
    ({}, ALL),
    ({"CLAUDE_CODE_ENABLE_TELEMETRY": "1"}, ALL),
    (
        {"OTEL_METRIC_EXPORT_INTERVAL": "5000"},
        {k: v for k, v in ALL.items() if k != "OTEL_METRIC_EXPORT_INTERVAL"},
    ),
    ({"OTEL_LOGS_EXPORTER": "none"}, {k: v for k, v in ALL.items() if k != "OTEL_LOGS_EXPORTER"}),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere:4318"}, {}),
    ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://elsewhere:4318/v1/traces"}, {}),
    ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {}),
    ({"OTEL_TRACES_EXPORTER": "none"}, {}),
    ({"CLAUDE_CODE_ENABLE_TELEMETRY": "0"}, {}),
    ({"GT_OTEL_RECEIVER": "http://127.0.0.1:1/other"}, {}),
]


@pytest.mark.parametrize(("present", "given"), CASES, ids=[str(row[0]) for row in CASES])
def test_all_or_nothing(present: dict[str, str], given: dict[str, str]) -> None:
    """A setting that would lead the agent's spans elsewhere means nothing at all; others just stay."""
    assert receiver.variables(ADDRESS, present) == given


def test_nothing_without_a_receiver() -> None:
    """As long as config.json names no receiver a session gets none of it."""
    assert receiver.variables("", {}) == {}


@pytest.mark.parametrize("leak", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere:4318"}])
def test_session_gets_what_config_names(sessions: Sessions, leak: dict[str, str]) -> None:
    """The address comes from config.json; what the tmux server has set already counts too."""
    sessions.start("--session", "first", env={**sessions.env, **leak})
    config = Path(sessions.journal.config_path)
    config.write_text(json.dumps({"GT_OTEL_RECEIVER": ADDRESS}))
    sessions.start()
    shown = sessions.tmux("show-environment", "-t", "=hq-mayor").splitlines()
    found = dict(line.split("=", 1) for line in shown if "=" in line)
    assert {name: found[name] for name in ALL if name in found} == ({} if leak else ALL)


def test_config_never_learns_the_receiver() -> None:
    """A journal made from inside a session copies the operator's endpoints, and none that leads to the
    receiver.
    """
    inside = {
        "GT_OTEL_RECEIVER": ADDRESS,
        "GT_OTEL_LOGS_URL": ADDRESS + "/v1/logs",
        "GT_OTEL_TRACES_URL": "http://jaeger:4318/v1/traces",
        "OTEL_EXPORTER_OTLP_ENDPOINT": ADDRESS,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    assert config.for_journal(inside) == {"GT_OTEL_TRACES_URL": "http://jaeger:4318/v1/traces"}
    outside = {
        "OTEL_EXPORTER_OTLP_HEADERS": "a=b",
        "GT_OTEL_METRICS_URL": "none",
        "OTHER": "x",
        "GT_OTEL_LOGS_URL": "",
    }
    assert config.for_journal(outside) == {"OTEL_EXPORTER_OTLP_HEADERS": "a=b", "GT_OTEL_METRICS_URL": "none"}
