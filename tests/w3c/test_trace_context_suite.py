"""The W3C trace-context suite through environment → child process → environment, one process an exchange."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from w3c_cases import CASES, NOT_IN_AN_ENVIRONMENT, SPAN, TRACE, Exchange

from propagation.environ import normalise

CHILD = str(Path(__file__).with_name("w3c_child.py"))
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-(0[0-3])")


def as_environment(headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return the variables that hold these headers.

    A header's name becomes a variable's as the env-carriers specification normalises it. tracestate headers
    that come more than once are joined by a comma, as RFC 9110, section 5.3, has it.
    """
    env: dict[str, str] = {}
    for header, value in headers:
        name = normalise(header)
        env[name] = f"{env[name]},{value}" if name in env else value
    return env


def run_child(env: dict[str, str], children: int) -> list[tuple[str, str | None]]:
    """Start a real process in exactly this environment; return what each of its children would get."""
    argv = [sys.executable, CHILD, str(children)]
    said = subprocess.run(argv, env=env, capture_output=True, text=True, check=True, timeout=60).stdout
    return [tuple(json.loads(line)) for line in said.splitlines()]


def check(exchange: Exchange) -> None:
    env = as_environment(exchange.headers)
    handed_on = run_child(env, exchange.children)
    span_ids = set()
    for traceparent, tracestate in handed_on:
        match = TRACEPARENT.fullmatch(traceparent)
        assert match, traceparent
        trace_id, span_id, flags = match.groups()
        if exchange.kept:
            assert trace_id == TRACE
        else:
            assert trace_id not in env.get("TRACEPARENT", "")
            assert trace_id.strip("0")
        assert exchange.flags in (None, flags)
        assert tracestate == exchange.tracestate
        span_ids.add(span_id)
    assert len(span_ids) == exchange.children
    assert SPAN not in span_ids


@pytest.mark.parametrize("name", CASES)
def test_a_case_of_the_suite(name: str) -> None:
    """What comes out of a real child's environment is what the suite wants."""
    if name in NOT_IN_AN_ENVIRONMENT:
        pytest.skip(NOT_IN_AN_ENVIRONMENT[name])
    for exchange in CASES[name]:
        check(exchange)


def test_the_table_has_all_41_cases_and_skips_only_the_duplicated_traceparent() -> None:
    assert len(CASES) == 41
    assert [name for name, exchanges in CASES.items() if not exchanges] == list(NOT_IN_AN_ENVIRONMENT)


def test_a_context_goes_from_process_to_process() -> None:
    """Three generations of real processes: one trace, a span each, the tracestate as it was."""
    env = {"TRACEPARENT": f"00-{TRACE}-{SPAN}-03", "TRACESTATE": "a=1,b=2"}
    span_ids = [SPAN]
    for _ in range(3):
        ((env["TRACEPARENT"], tracestate),) = run_child(env, 1)
        assert tracestate == env["TRACESTATE"]
        match = TRACEPARENT.fullmatch(env["TRACEPARENT"])
        assert match
        assert match.group(1, 3) == (TRACE, "03")
        span_ids.append(match[2])
    assert len(set(span_ids)) == 4
