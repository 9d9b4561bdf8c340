"""What the doctor prints: for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

from gastown_tracing.doctor.check import Check, Deadline, ok, problem, skipped, warning
from gastown_tracing.doctor.report import report
from gastown_tracing.doctor.running import examine
from gastown_tracing.view.theme import Style

GtTrace = Callable[..., "CompletedProcess[str]"]

CHECKS = [
    ("settings", ok("telemetry", "on: /journal/on exists")),
    ("settings", warning("GT_OTEL_TRACES_URL", "set here but not in config.json", "`gt-trace env` keeps it")),
    ("settings", ok("GT_LOG_BD_OUTPUT", "not set", default=True)),
    ("settings", ok("GT_LOG_USER_ID", "not set", default=True)),
    ("traces", problem("answer", "TCP: 127.0.0.1 port 1: Connection refused", "start the backend")),
    ("traces", skipped("canary", "it said \x1b[31mred\x1b[0m\nand more")),
]
UTF8 = """\
problems
  ✗ traces: answer  TCP: 127.0.0.1 port 1:
                    Connection refused
                    → start the backend

warnings
  ! settings: GT_OTEL_TRACES_URL
                        set here but not in
                        config.json
                        → `gt-trace env` keeps
                          it

settings
  ✓ telemetry  on: /journal/on exists
  ✓ others     2 settings at their defaults;
               --all shows them

traces
  - canary  it said ␛[31mred␛[0m and more

1 problem, 1 warning in 6 checks, 2 of them settings at their defaults
"""
ASCII = """\
problems
  x traces: answer  TCP: 127.0.0.1 port 1: Connection refused
                    -> start the backend

warnings
  ! settings: GT_OTEL_TRACES_URL  set here but not in config.json
                                  -> `gt-trace env` keeps it

settings
  + telemetry  on: /journal/on exists
  + others     2 settings at their defaults; --all shows them

traces
  - canary  it said ?[31mred?[0m and more

1 problem, 1 warning in 6 checks, 2 of them settings at their defaults
"""


@pytest.mark.parametrize(("style", "text"), [(Style(48), UTF8), (Style(100, ascii=True), ASCII)])
def test_a_report_reads_without_colour(style: Style, text: str) -> None:
    """Grouped, aligned, broken at spaces; what others wrote moves no cursor."""
    assert report(CHECKS, style) == text


def test_what_is_shown_is_chosen() -> None:
    """All settings; or what is wrong alone, and nothing where nothing is."""
    whole, quiet = report(CHECKS, Style(80), whole=True), report(CHECKS, Style(80), quiet=True)
    assert "GT_LOG_BD_OUTPUT" in whole
    assert "at their defaults" not in whole + quiet
    assert "answer" in quiet
    assert "GT_OTEL_TRACES_URL" in quiet
    assert "telemetry" not in quiet
    assert report(CHECKS[:1], Style(80), quiet=True) == ""


def test_colour_changes_nothing_else(gt_trace: GtTrace, env: dict[str, str]) -> None:
    """NO_COLOR is obeyed, and the marks are there all the same."""
    here = {**env, "LANG": "C.UTF-8"}
    plain = gt_trace("doctor", "--offline", env={**here, "NO_COLOR": "1", "FORCE_COLOR": "1"}).stdout
    assert "\x1b" not in plain
    assert "  ✓ telemetry " in plain
    assert "\x1b[1;32m✓" in gt_trace("doctor", "--offline", "--color", "always", env=here).stdout


def test_json_is_a_list_of_checks(gt_trace: GtTrace) -> None:
    """Each with the same five texts, on a line of its own; what is not well says what to do."""
    done = gt_trace("doctor", "--offline", "--json")
    rows = json.loads(done.stdout)
    assert len(rows) == done.stdout.count("\n")
    for row in rows:
        assert list(row) == ["group", "check", "state", "found", "advice"]
        assert all(isinstance(value, str) for value in row.values())
        assert row["state"] in ("ok", "warning", "problem", "skipped")
        assert row["advice"] or row["state"] in ("ok", "skipped")
        assert "\n" not in row["found"] + row["advice"]


def test_wrong_use_is_one_line(gt_trace: GtTrace) -> None:
    done = gt_trace("doctor", "--nonsense")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_a_check_that_fails_does_not_end_the_others() -> None:
    """What it says is not shown: it may hold what it was given."""

    def failing() -> list[Check]:
        raise RuntimeError("a secret")

    found = examine([("one", failing), ("two", lambda: iter([ok("it", "works")]))], Deadline(5))  # type: ignore[list-item]  # it raises before it matters
    assert found[0][1].found == "it failed: RuntimeError"
    assert found[1] == ("two", ok("it", "works"))
