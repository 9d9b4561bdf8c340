"""What a poll records: its span, and in it gauges, histograms, events and errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from gastown_tracing.probes.bd import Bd
from gastown_tracing.probes.probe import Happened, Measured, ProbeError, Reading, State, Unread
from gastown_tracing.probes.refinery import Refinery
from gastown_tracing.probes.rigs import Place
from gastown_tracing.probes.running import ERRORS, Runner
from gastown_tracing.testing import CapturedSpans
from tests.api.programs import python
from tests.api.sink import attributes, sink
from tests.probes.standin import StandIn, bead

DEPTH, AGE = "gastown.refinery.queue_depth", "gastown.refinery.item_age_ms"
LATENCY, TAKEN = "gastown.refinery.dispatch_latency_ms", "gastown.refinery.dispatches.total"
CAUSE = ("ab" * 16, "cd" * 8)


class Told:
    """A probe that finds what it is told to find."""

    name = "told"

    def __init__(self) -> None:
        self.find: Callable[[], Reading] = Reading
        self.states: list[State | None] = []

    def poll(self, state: State | None) -> Reading:
        self.states.append(state)
        return self.find()


def fail(error: Exception) -> Callable[[], Reading]:
    """Return what finds nothing but an error."""

    def find() -> Reading:
        raise error

    return find


def standing(spans: CapturedSpans) -> dict[str, float]:
    """Return what the next export says of the queues, by rig."""
    spans.clear()
    return {one["labels"].get("rig", ""): one["value"] for one in spans.metrics() if one["name"] == DEPTH}


def test_a_gauge_stands_until_the_next_poll_and_is_absent_when_that_fails(
    captured_spans: CapturedSpans,
) -> None:
    """Never the last value once more; the other rig, which can be read, is there."""
    probe = Told()
    runner = Runner(probe)
    one, two = Measured(DEPTH, 3, {"rig": "one"}), Measured(DEPTH, 0, {"rig": "two"})
    probe.find = lambda: Reading(gauges=(one, two))
    runner.poll()
    assert standing(captured_spans) == standing(captured_spans) == {"one": 3, "two": 0}
    probe.find = lambda: Reading(gauges=(two,), unread=(Unread("one", "bd timed out after 10 s"),))
    runner.poll()
    assert standing(captured_spans) == {"two": 0}
    probe.find = fail(ProbeError("bd is not on PATH"))
    runner.poll()
    assert standing(captured_spans) == {}
    probe.find = lambda: Reading(gauges=(one,))
    runner.poll()
    assert standing(captured_spans) == {"one": 3}
    assert captured_spans.errors == []


@pytest.mark.parametrize(
    ("find", "reason"),
    [
        (fail(ProbeError("bd is not on PATH", "put it there")), "bd is not on PATH"),
        (fail(KeyError("SECRET")), "the probe failed: KeyError"),
        (lambda: Reading(unread=(Unread("one", "slow"), Unread("two", "gone"))), "one: slow; two: gone"),
    ],
)
def test_what_cannot_be_read_is_an_error_of_the_span_and_counted(
    captured_spans: CapturedSpans, find: Callable[[], Reading], reason: str
) -> None:
    probe = Told()
    probe.find = find
    reading = Runner(probe).poll()
    span = captured_spans.one("probe.told")
    assert (span["kind"], span["status"], span["status_message"]) == ("internal", "error", reason)
    assert span["events"] == []
    (errors,) = [one for one in captured_spans.metrics() if one["name"] == ERRORS]
    assert (errors["value"], errors["labels"]) == (len(reading.unread), {"probe": "told"})
    assert set(errors["trace_ids"]) == {span["trace_id"]}


def test_the_state_is_handed_from_poll_to_poll_and_survives_a_failure(captured_spans: CapturedSpans) -> None:
    probe = Told()
    runner = Runner(probe, {"from": "an earlier process"})
    for find in (lambda: Reading(state={"polls": 1}), fail(ProbeError("gone")), Reading):
        probe.find = find
        runner.poll()
    assert probe.states == [{"from": "an earlier process"}, {"polls": 1}, {"polls": 1}]
    assert runner.state == {}


def test_an_event_that_is_no_span_and_one_that_is(captured_spans: CapturedSpans) -> None:
    """Both hang on the poll; a link leads to a cause in another trace, never to one in the same."""
    probe = Told()
    events = (
        Happened("deacon.transition", {"to_state": "idle"}),
        Happened("refinery.dispatch", {"bead_id": "de-1", "rig": "demo"}, (CAUSE,)),
    )
    probe.find = lambda: Reading(events=events)
    runner = Runner(probe)
    runner.poll()
    poll, span = captured_spans.one("probe.told"), captured_spans.one("refinery.dispatch")
    assert span["links"] == [{"trace_id": CAUSE[0], "span_id": CAUSE[1]}]
    assert (span["parent_id"], span["trace_id"]) == (poll["span_id"], poll["trace_id"])
    logs = {log["name"]: log["span_id"] for log in captured_spans.logs()}
    assert logs == {"deacon.transition": poll["span_id"], "refinery.dispatch": span["span_id"]}


def test_a_cause_in_the_same_trace_is_no_link(captured_spans: CapturedSpans) -> None:
    import gastown_tracing

    probe = Told()
    with gastown_tracing.with_run_id("ab" * 16):
        probe.find = lambda: Reading(events=(Happened("refinery.dispatch", {"bead_id": "de-1"}, (CAUSE,)),))
        Runner(probe).poll()
    assert captured_spans.one("refinery.dispatch")["links"] == []


def test_what_a_probe_says_wrongly_is_noted_and_harms_nobody(captured_spans: CapturedSpans) -> None:
    probe = Told()
    probe.find = lambda: Reading(events=(Happened("no.event", {}),))
    Runner(probe).poll()
    assert captured_spans.names() == ["probe.told"]
    assert captured_spans.errors == ["probe told not recorded: KeyError('no.event')"]


def test_bd_is_a_child_of_the_poll(captured_spans: CapturedSpans, tmp_path: Path) -> None:
    """What bd, or a shim in front of it, records hangs on the span of the poll."""
    standin = StandIn(tmp_path / "demo")
    standin.answer()
    runner = Runner(Refinery([Place("demo", str(standin.directory))], Bd(standin.env)))
    runner.poll()
    span = captured_spans.one("probe.refinery")
    assert {parent[3:52] for parent in standin.parents()} == {f"{span['trace_id']}-{span['span_id']}"}


def test_without_telemetry_a_poll_is_a_poll(tmp_path: Path) -> None:
    standin = StandIn(tmp_path / "demo")
    standin.answer(queue=[bead("de-1")])
    reading = Runner(Refinery([Place("demo", str(standin.directory))], Bd(standin.env))).poll()
    assert [gauge.value for gauge in reading.gauges] == [1]
    assert standin.parents() == ["", ""]


PROGRAM = f"""
    import os
    import gastown_tracing
    from gastown_tracing import context
    from gastown_tracing.probes.bd import Bd
    from gastown_tracing.probes.refinery import Refinery
    from gastown_tracing.probes.rigs import Place
    from gastown_tracing.probes.running import Runner

    provider = gastown_tracing.init()
    here = os.environ["STANDIN"]
    runner = Runner(Refinery([Place("demo", here)], Bd(os.environ), cause=lambda bead: {CAUSE!r}))

    def poll():
        runner.poll()
        context.runtime.signals.meter_provider.force_flush()

    poll()
    open(here + "/broken", "w").close()
    poll()
    os.unlink(here + "/broken")
    os.replace(here + "/next.json", here + "/queue.json")
    poll()
    assert provider.shutdown(20)
    assert provider.errors == [], provider.errors
"""


def test_a_receiver_gets_depth_with_exemplar_absence_errors_and_the_dispatch(tmp_path: Path) -> None:
    """Over OTLP/HTTP, poll by poll: read, not readable, read again with an item taken."""
    standin = StandIn(tmp_path / "demo")
    standin.answer(queue=[bead("de-1", assignee="x", updated_at="2026-11-21T03:00:07Z")])
    (standin.directory / "queue.json").rename(standin.directory / "next.json")
    standin.answer(queue=[bead("de-1")])
    with sink() as receiver:
        python(PROGRAM, {**standin.env, **receiver.env(), "OTEL_METRIC_EXPORT_INTERVAL": "600000"})
        exports = [_by_name(request) for request in receiver.received["metrics"]]
        polls = [span for span in receiver.spans() if span.name == "probe.refinery"]
        (dispatch,) = [span for span in receiver.spans() if span.name == "refinery.dispatch"]
        (log,) = [log for log in receiver.logs() if log.event_name == "refinery.dispatch"]

    first, second, third = exports[:3]
    assert [(point.as_int, attributes(point.attributes)) for point in first[DEPTH].gauge.data_points] == [
        (1, {"rig": "demo"})
    ]
    assert _exemplar(first[DEPTH].gauge.data_points[0]) == (polls[0].trace_id, polls[0].span_id)
    assert _exemplar(first[AGE].histogram.data_points[0]) == (polls[0].trace_id, polls[0].span_id)
    assert ERRORS not in first
    assert DEPTH not in second
    (errors,) = second[ERRORS].sum.data_points
    assert (errors.as_int, attributes(errors.attributes)) == (1, {"probe": "refinery"})
    assert _exemplar(errors) == (polls[1].trace_id, polls[1].span_id)
    assert [span.status.message for span in polls] == ["", "demo: bd: exit code 1", ""]
    assert [point.as_int for point in third[DEPTH].gauge.data_points] == [0]
    assert _exemplar(third[DEPTH].gauge.data_points[0]) == (polls[2].trace_id, polls[2].span_id)

    assert (dispatch.trace_id, dispatch.parent_span_id) == (polls[2].trace_id, polls[2].span_id)
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in dispatch.links] == [CAUSE]
    said = attributes(log.attributes)
    assert (log.trace_id, log.span_id) == (dispatch.trace_id, dispatch.span_id)
    assert (said["bead_id"], said["queue_depth"], said["wait_ms"]) == ("de-1", 0, 7000.0)
    for metric in (third[LATENCY].histogram, third[TAKEN].sum):
        (point,) = metric.data_points
        assert _exemplar(point) == (dispatch.trace_id, dispatch.span_id)
    assert third[LATENCY].histogram.data_points[0].sum == 7000.0


def _by_name(request: object) -> dict[str, Metric]:
    return {
        metric.name: metric
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def _exemplar(point: object) -> tuple[bytes, bytes]:
    (exemplar,) = point.exemplars
    return exemplar.trace_id, exemplar.span_id
