"""What the doctor says of settings: where each came from, what cannot be used, what the relay misses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from gastown_tracing.journal.layout import Journal
from gastown_tracing.settings import SETTINGS

from .conftest import Doctor

SECRET = "hunter2-is-a-secret"  # noqa: S105 # it must not be seen


def test_every_setting_is_there_with_where_it_came_from(doctor: Doctor, journal: Journal) -> None:
    journal.write_config({"GT_LOG_BD_OUTPUT": "true", "GT_OTEL_TRACES_URL": "none"})
    found = doctor("--offline", GT_OTEL_DEBUG="1")
    assert {setting.name for setting in SETTINGS} <= {row["check"] for row in found.rows}
    said = {name: found["settings", name]["found"] for name in ("GT_OTEL_DEBUG", "GT_LOG_BD_OUTPUT")}
    assert said == {"GT_OTEL_DEBUG": "1 · environment", "GT_LOG_BD_OUTPUT": "true · config.json"}
    assert found["settings", "GT_OTEL_METRICS_URL"]["found"].endswith("/opentelemetry/api/v1/push · default")
    assert found["settings", "GT_LOG_MAIL_BODY"]["found"] == "not set"
    assert found["settings", "telemetry"]["found"].startswith("on: ")


@pytest.mark.parametrize("place", ["environment", "config.json"])
def test_no_secret_is_printed(
    place: str,
    doctor: Doctor,
    journal: Journal,
    gt_trace: Callable[..., CompletedProcess[str]],
    env: dict[str, str],
) -> None:
    """Wherever it stands and whatever is wrong with it, as JSON and as text."""
    settings = {
        "GT_OTEL_TRACES_URL": f"http://me:{SECRET}@127.0.0.1:1/v1/traces?key={SECRET}",
        "GT_OTEL_LOGS_URL": SECRET,
        "GT_OTEL_RECEIVER": f"http://127.0.0.1:1/{SECRET}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {SECRET},{SECRET}",
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS": SECRET,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"https://{SECRET}@localhost/",
        "GT_LOG_BD_OUTPUT": SECRET,
        "UNKNOWN": SECRET,
    }
    here = settings if place == "environment" else {}
    journal.write_config({} if here else settings)
    found = doctor(**here)
    assert found.code == 1
    assert SECRET not in found.text
    assert found["settings", "OTEL_EXPORTER_OTLP_HEADERS"]["found"].startswith("authorization=‹")
    assert SECRET not in gt_trace("doctor", env={**env, **here}).stdout


def test_what_cannot_be_used_is_said(doctor: Doctor, journal: Journal) -> None:
    journal.write_config({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon", "GT_OTEL_TRACES_URL": "http://127.0.0.1:1/"})
    found = doctor(
        "--offline", GT_OTEL_LOGS_URL="localhost:9428", GT_LOG_MAIL_BODY="yes", GT_LOG_BD_CONTENT_LIMIT="1k"
    )
    assert found.state("settings", "GT_OTEL_LOGS_URL") == "problem"
    assert found["settings", "GT_LOG_MAIL_BODY"]["found"] == "yes · environment: counts as switched off"
    assert found.state("settings", "GT_LOG_BD_CONTENT_LIMIT") == "warning"
    assert "no number of milliseconds" in found["settings", "OTEL_EXPORTER_OTLP_TIMEOUT"]["found"]
    assert found.code == 1
    assert ("settings", "config.json") not in [(row["group"], row["check"]) for row in found.rows], (
        "said once"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n"a": }', ": line 2 column 6"),
        ("[]", "is no JSON object"),
        ("\x00", "is no JSON: "),
    ],
)
def test_a_broken_config_json_is_said(text: str, said: str, doctor: Doctor, journal: Journal) -> None:
    """With the place; that a relay goes on with what it had; and nothing in it counts as not set."""
    Path(journal.config_path).write_text(text)
    found = doctor("--offline", GT_OTEL_DEBUG="1")
    row = found["settings", "config.json"]
    assert (row["state"], found.code) == ("problem", 1)
    assert said in row["found"]
    assert "keeps the settings that it read last" in row["found"]
    assert found["settings", "GT_OTEL_RETENTION_DAYS"]["found"] == "not known: config.json cannot be read"
    assert found["settings", "GT_OTEL_DEBUG"]["found"] == "1 · environment"


@pytest.mark.parametrize(
    ("settings", "check", "said"),
    [
        ({"GT_OTEL_TRACE_URL": "x"}, "config.json", "did you mean GT_OTEL_TRACES_URL?"),
        ({"GT_OTEL_TRACES_URL": 7}, "GT_OTEL_TRACES_URL", "is no text, so it is ignored"),
        ({"GT_OTEL_RETENTION_DAYS": "30d"}, "GT_OTEL_RETENTION_DAYS", "the default holds, 30"),
        ({"GT_OTEL_RELAY": "no"}, "GT_OTEL_RELAY", "counts as true"),
        ({"MY_OWN": "x"}, "config.json", "without effect there: MY_OWN"),
    ],
)
def test_what_has_no_effect_in_config_json_is_said_once(
    settings: dict[str, object], check: str, said: str, doctor: Doctor, journal: Journal
) -> None:
    """At the setting, and for names that nobody reads at the file, with what is meant or holds."""
    Path(journal.config_path).write_text(json.dumps(settings))
    found = doctor("--offline", GT_OTEL_RELAY="")
    (name,) = settings
    assert said in found["settings", check]["found"]
    wrong = [row for row in found.rows if row["state"] in ("problem", "warning") and name in str(row)]
    assert [row["check"] for row in wrong] == [check]


def test_what_the_relay_does_not_see_is_said(doctor: Doctor, journal: Journal) -> None:
    """It reads config.json alone."""
    journal.write_config({"GT_OTEL_LOGS_URL": "http://127.0.0.1:1/a"})
    found = doctor(
        "--offline",
        GT_OTEL_TRACES_URL="http://127.0.0.1:1/t",
        GT_OTEL_LOGS_URL="http://127.0.0.1:1/b",
        GT_LOG_MAIL_BODY="true",
    )
    assert found["settings", "GT_OTEL_TRACES_URL, relay"] == {
        "group": "settings",
        "check": "GT_OTEL_TRACES_URL, relay",
        "state": "warning",
        "found": "set here but not in config.json: the relay does not see it",
        "advice": "`gt-trace env` keeps it",
    }
    assert "something else" in found["settings", "GT_OTEL_LOGS_URL, relay"]["found"]
    assert found.state("settings", "GT_LOG_MAIL_BODY, relay") == "warning"


def test_its_advice_helps(
    doctor: Doctor, journal: Journal, gt_trace: Callable[..., object], env: dict[str, str]
) -> None:
    """After `gt-trace env` the warning is gone."""
    here = {"GT_OTEL_TRACES_URL": "http://127.0.0.1:1/t"}
    warned = ("settings", "GT_OTEL_TRACES_URL, relay")
    assert warned in doctor("--offline", **here).all("warning")
    gt_trace("env", env={**env, **here})
    assert warned not in doctor("--offline", **here).all("warning")


def test_what_leads_claude_code_elsewhere_is_said(doctor: Doctor, journal: Journal) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere:4318", "OTEL_TRACES_EXPORTER": "console"}
    said = doctor("--offline", **variables)["settings", "Claude Code"]["found"]
    assert all(name in said for name in variables)
    assert ("settings", "Claude Code") not in {
        (row["group"], row["check"]) for row in doctor("--offline").rows
    }


@pytest.mark.parametrize(
    ("variables", "why"), [({"OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED"), ({}, "missing")]
)
def test_why_telemetry_is_off_is_said(
    variables: dict[str, str], why: str, doctor: Doctor, journal: Journal
) -> None:
    """Disabled by the variable, and by an operator who removed `on`."""
    if not variables:
        Path(journal.on_path).unlink()
    found = doctor("--offline", **variables)
    assert (found.state("settings", "telemetry"), found.code) == ("warning", 0)
    assert why in found["settings", "telemetry"]["found"]
    assert found["settings", "telemetry"]["advice"]
