"""The testing kit, as a user of it would see it."""

from __future__ import annotations

import pytest

import gastown_tracing as gt
from gastown_tracing.testing import START_NS, capture

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
