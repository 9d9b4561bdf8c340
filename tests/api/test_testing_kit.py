"""The testing kit, as a user of it would see it."""

from __future__ import annotations

import logging

import pytest

import gastown_tracing as gt
from gastown_tracing.testing import START_NS, CapturedSpans, capture

pytest_plugins = ["pytester"]


def run() -> list[dict[str, object]]:
    """Trace a little, and return what was captured."""
    with capture() as spans:
        with gt.sling(bead="de-1"), gt.nudge(target="mayor"):
            pass
        with pytest.raises(ValueError, match="no"), gt.done():
            raise ValueError("no")
    return spans.as_dicts()


def test_captured_spans_are_the_same_at_every_run() -> None:
    """Ids count up and the clock steps, so that a test can compare whole spans."""
    first, second = run(), run()
    assert first == second
    assert first[0] == {
        "name": "nudge",
        "trace_id": "10000000000000000000000000000001",
        "span_id": "1000000000000002",
        "parent_id": "1000000000000001",
        "kind": "internal",
        "start_ns": START_NS + 2_000_000,
        "end_ns": START_NS + 3_000_000,
        "attributes": {
            "target": "mayor",
            "status": "ok",
            "error": "",
        },
        "status": "unset",
        "status_message": "",
        "events": [],
        "links": [],
    }


def test_log_records_and_metrics_are_captured_alike() -> None:
    """Plain dicts with the ids of their spans; metrics add up until they are cleared."""

    def run() -> tuple[list[dict[str, object]], list[dict[str, object]]]:
        with capture() as captured:
            gt.record_nudge(target="before")
            captured.clear()
            assert (captured.logs(), captured.metrics()) == ([], [])
            for _ in range(2):
                gt.record_bd_call(args=["list"], duration_ms=2.5)
                captured.metrics()
        return captured.logs(), captured.metrics()

    (logs, metrics), again = run(), run()
    assert (logs, metrics) == again
    traces = ["10000000000000000000000000000002", "10000000000000000000000000000003"]
    assert [log["trace_id"] for log in logs] == traces
    assert logs[0] == {
        "name": "bd.call",
        "body": "bd.call",
        "severity": "INFO",
        "time_ns": START_NS + 1_000_000,
        "trace_id": traces[0],
        "span_id": "1000000000000002",
        "attributes": {
            "subcommand": "list",
            "args": "list",
            "duration_ms": 2.5,
            "status": "ok",
            "error": "",
            "log.record.uid": "10000000000000000000000000000002",
        },
    }
    assert metrics == [
        {
            "name": "gastown.bd.calls.total",
            "kind": "counter",
            "labels": {"status": "ok", "subcommand": "list"},
            "value": 2,
            "trace_ids": traces,
        },
        {
            "name": "gastown.bd.duration_ms",
            "kind": "histogram",
            "labels": {"subcommand": "list"},
            "count": 2,
            "sum": 5.0,
            "trace_ids": traces,
        },
    ]


def test_what_a_program_logs_and_its_gauges_are_captured(captured_spans: CapturedSpans) -> None:
    """A record of `logging` has no event name, but the span's ids; a gauge has its last value."""
    logger = logging.getLogger("test_testing_kit")
    handler = gt.LogHandler()
    logger.addHandler(handler)
    with gt.sling(bead="de-1"):
        logger.warning("on %s", "fire")
    logger.removeHandler(handler)
    gt.record("scheduler.dispatch_cycle", capacity_free=3)
    gt.record("scheduler.dispatch_cycle", capacity_free=2)
    logged = captured_spans.logs()[0]
    assert (logged["name"], logged["body"], logged["severity"]) == ("", "on fire", "WARN")
    assert logged["span_id"] == captured_spans.one("sling")["span_id"]
    (gauge,) = [found for found in captured_spans.metrics() if found["kind"] == "gauge"]
    assert (gauge["name"], gauge["labels"], gauge["value"]) == (
        "scheduler.capacity_usage",
        {"state": "free"},
        2,
    )


def test_capturing_leaves_nothing_behind() -> None:
    """init() inside is the kit's, and does nothing more; afterwards telemetry is off as before."""
    with capture() as outer:
        with capture() as inner:
            provider = gt.init()
            assert provider is not None
            assert provider.shutdown()
            assert provider.tracer_provider is inner.tracer_provider
            with gt.sling():
                pass
        with gt.nudge():
            pass
        inner.clear()
        assert (len(inner), outer.names(), outer.errors) == (0, ["nudge"], [])
        with pytest.raises(AssertionError, match="0 spans named 'sling'"):
            outer.one("sling")
    assert not gt.is_active()
    assert gt.init(env={"HOME": "/nonexistent"}) is None


def test_the_fixture_is_a_plugin(pytester: pytest.Pytester) -> None:
    """It is there wherever the package is installed, and costs those nothing who do not use it."""
    pytester.makepyfile(
        """
        import sys
        import gastown_tracing as gt

        def test_without():
            assert "opentelemetry" not in sys.modules

        def test_with(captured_spans):
            with gt.bd_call(["list"]) as call:
                call.set(exit_code=0)
            assert captured_spans.one("bd.call")["attributes"]["subcommand"] == "list"

        def test_again(captured_spans):
            assert len(captured_spans) == 0
        """
    )
    result = pytester.runpytest_subprocess("-W", "error")
    result.assert_outcomes(passed=3)
