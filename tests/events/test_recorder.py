"""One event is a log record, its metrics and, where it has one, its span; they hang together."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace

import gastown_tracing as gt
from gastown_tracing import context
from gastown_tracing.events.recorder import measure, record_span
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.testing import START_NS, CapturedSpans, capture
from gastown_tracing.tracing.signals import Signals
from propagation.run import root_span_id

RUN_UUID, RUN = "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3f2504e04f8941d39a0c0305e82c3301"
OTHER = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
ENV = {
    "GT_RUN": RUN_UUID,
    "GT_ROLE": "demo/polecats/rust",
    "GT_RIG": "demo",
    "GT_SESSION": "gt-demo-rust",
    "GT_WORK_RIG": "demo",
    "GT_WORK_BEAD": "de-1",
}
WHO = {
    "run.id": RUN,
    "role": "polecat",
    "rig": "demo",
    "agent_name": "rust",
    "session_id": "gt-demo-rust",
    "work_rig": "demo",
    "work_bead": "de-1",
    "work_mol": "",
}
UID = "10000000000000000000000000000001"


def the_log(captured: CapturedSpans, name: str) -> dict[str, Any]:
    """Return the only log record of an event."""
    (found,) = [log for log in captured.logs() if log["name"] == name]
    return found


def the_metric(captured: CapturedSpans, name: str) -> dict[str, Any]:
    """Return the only series of a metric."""
    (found,) = [metric for metric in captured.metrics() if metric["name"] == name]
    return found


def ids(found: dict[str, Any]) -> tuple[str, str]:
    """Return the trace and the span that something belongs to."""
    return found["trace_id"], found["span_id"]


def test_an_event_without_a_span_belongs_to_the_current_one() -> None:
    """Its log record has the ids of the span it happened in; so have the exemplars of its metrics."""
    with capture(ENV) as captured, gt.sling(bead="de-2"):
        gt.record("pane.read", session="gt-demo-rust", lines_requested=30, content_len=5)
    log = the_log(captured, "pane.read")
    own = {"session": "gt-demo-rust", "lines_requested": 30, "content_len": 5, "status": "ok", "error": ""}
    assert ids(log) == ids(captured.one("sling"))
    assert log == {
        "name": "pane.read",
        "body": "pane.read",
        "severity": "INFO",
        "time_ns": START_NS + 2_000_000,
        "trace_id": RUN,
        "span_id": "1000000000000001",
        "attributes": {**WHO, **own, "log.record.uid": UID},
    }
    metric = the_metric(captured, "gastown.pane.reads.total")
    assert metric == {
        "name": "gastown.pane.reads.total",
        "kind": "counter",
        "labels": {"status": "ok"},
        "value": 1,
        "trace_ids": [RUN],
    }
    assert captured.errors == []


@pytest.mark.parametrize(
    ("env", "trace_id", "span_id"),
    [
        ({"GT_RUN": RUN_UUID}, RUN, root_span_id(RUN)),
        ({"GT_RUN": RUN_UUID, "TRACEPARENT": f"00-{RUN}-{SPAN}-01"}, RUN, SPAN),
        ({"GT_RUN": RUN_UUID, "TRACEPARENT": f"00-{OTHER}-{SPAN}-01"}, RUN, root_span_id(RUN)),
        ({"TRACEPARENT": f"00-{OTHER}-{SPAN}-01"}, OTHER, SPAN),
        ({}, "", ""),
    ],
)
def test_without_a_current_span_it_belongs_to_the_runs_parent(
    env: dict[str, str], trace_id: str, span_id: str
) -> None:
    """That is the caller's span, else the run's root; outside any run it may belong to none."""
    with capture(env) as captured:
        gt.record("bead.create", bead_id="de-1")
    assert ids(the_log(captured, "bead.create")) == (trace_id, span_id)
    assert the_metric(captured, "gastown.bead.creates.total")["trace_ids"] == ([trace_id] if trace_id else [])


def test_an_event_at_once_is_span_log_record_and_metrics() -> None:
    """The span begins as much earlier as the event lasted; names of OpenTelemetry stand on it alone."""
    with capture(ENV) as captured:
        gt.record("bd.call", args=["show", "top secret"], duration_ms=1500, exit_code=0, process_pid=7)
    span, log = captured.one("bd.call"), the_log(captured, "bd.call")
    own = {"subcommand": "show", "args": "show ‹10 bytes›", "duration_ms": 1500.0, "exit_code": 0}
    theirs = {"process.executable.name": "bd", "process.exit.code": 0, "process.pid": 7}
    record = {**WHO, **own, "status": "ok", "error": ""}
    assert (span["kind"], span["status"], span["parent_id"]) == ("client", "unset", root_span_id(RUN))
    assert span["attributes"] == {**record, **theirs}
    assert log["attributes"] == {**record, "log.record.uid": UID}
    assert (span["end_ns"], span["end_ns"] - span["start_ns"]) == (log["time_ns"], 1_500_000_000)
    assert ids(log) == ids(span)
    histogram = the_metric(captured, "gastown.bd.duration_ms")
    assert histogram == {
        "name": "gastown.bd.duration_ms",
        "kind": "histogram",
        "labels": {"subcommand": "show"},
        "count": 1,
        "sum": 1500.0,
        "trace_ids": [RUN],
    }


def test_what_a_session_lasted_is_not_what_its_stop_lasted(captured_spans: CapturedSpans) -> None:
    """`duration_ms` of session.stop is the session's: the event's own span has no length."""
    gt.record("session.stop", session_id="gt-demo-rust", duration_ms=60_000)
    span = captured_spans.one("session.stop")
    assert (span["start_ns"], span["attributes"]["duration_ms"]) == (span["end_ns"], 60_000)


def test_a_block_is_span_log_record_and_metrics() -> None:
    """What a helper knows at its end stands on all three, which are of the helper's own span."""
    with capture(ENV) as captured:
        with gt.mail("send", msg_to="mayor") as call:
            call.set(msg_id="hq-1")
        with gt.event("git.operation", operation="push", repo="https://me:pw@host/x.git") as call:
            call.set(exit_code=1)
    span, log = captured.one("mail"), the_log(captured, "mail")
    own = {"operation": "send", "msg.to": "mayor", "msg.id": "hq-1", "status": "ok", "error": ""}
    assert log["attributes"] == {**WHO, **own, "log.record.uid": UID}
    assert (ids(log), log["time_ns"]) == (ids(span), span["end_ns"])
    push, log = captured.one("git.operation"), the_log(captured, "git.operation")
    assert log["attributes"]["repo"] == "https://host/x.git"
    assert (log["severity"], log["attributes"]["error"]) == ("ERROR", "exit code 1")
    assert (push["kind"], push["attributes"]["error.type"]) == ("client", "1")
    counter = the_metric(captured, "gastown.git.operations.total")
    assert counter["labels"] == {"operation": "push", "status": "error"}
    assert the_metric(captured, "gastown.git.duration_ms")["sum"] == push["attributes"]["duration_ms"] == 1.0


def test_nothing_is_recorded_twice(captured_spans: CapturedSpans) -> None:
    """Inside its own open helper an event's attributes go to that one."""
    with gt.bd_call(["close", "x"]):
        gt.record_bd_call(exit_code=3, stdout=None)
    with gt.sling(bead="de-1"):
        gt.record("sling", target="demo", error="no such rig")
    with gt.nudge(target="mayor"), gt.sling():
        gt.record("nudge", target="deacon")
    assert [log["name"] for log in captured_spans.logs()] == ["bd.call", "sling", "nudge", "sling", "nudge"]
    first, second = captured_spans.logs()[:2]
    assert (first["attributes"]["exit_code"], first["attributes"]["error"]) == (3, "exit code 3")
    assert (second["attributes"]["target"], second["attributes"]["error"]) == ("demo", "no such rig")
    inner, outer = [span for span in captured_spans if span["name"] == "nudge"]
    assert (inner["attributes"]["target"], outer["attributes"]["target"]) == ("deacon", "mayor")
    assert inner["parent_id"] == captured_spans.as_dicts()[3]["span_id"]


def test_a_call_that_is_its_parents_is_not_recorded_by_a_forked_child(captured_spans: CapturedSpans) -> None:
    """A child that unwinds its parent's blocks records nothing of them, but what it says itself."""
    with gt.bd_call(["list"]):
        pid = os.fork()
        if not pid:
            gt.record("bd.call", args=["show"])
    if not pid:
        names = [(log["name"], log["attributes"]["subcommand"]) for log in captured_spans.logs()]
        os._exit(0 if names == [("bd.call", "show")] else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert [log["attributes"]["subcommand"] for log in captured_spans.logs()] == ["list"]


GATED: list[tuple[str, dict[str, str], dict[str, object], list[dict[str, object]]]] = [
    ("pane.output", {}, {"session": "s", "content": "x"}, []),
    (
        "pane.output",
        {"GT_LOG_PANE_OUTPUT": "true", "GT_LOG_PANE_CONTENT_LIMIT": "4"},
        {"session": "s", "content": "\x1b[31mred é\x1b[0m"},
        [{"session": "s", "content": "red …‹cut 2 bytes›"}],
    ),
    ("prime.context", {}, {"role": "polecat", "formula": "x"}, [{"role": "polecat"}]),
    (
        "prime.context",
        {"GT_LOG_PRIME_CONTEXT": "true"},
        {"formula": "x" * 5000},
        [{"formula": "x" * 5000}],
    ),
]


@pytest.mark.parametrize(("name", "env", "given", "recorded"), GATED)
def test_gates_and_limits(
    name: str, env: dict[str, str], given: dict[str, object], recorded: list[dict[str, object]]
) -> None:
    """A gated event is not there at all without its opt-in, a gated attribute is left out."""
    with capture(env) as captured:
        gt.record(name, **given)  # type: ignore[arg-type] # no attribute here is called `error`
    found = [{**log["attributes"]} for log in captured.logs()]
    for attributes in found:
        del attributes["log.record.uid"]
    assert found == recorded
    assert len(captured.metrics()) == (1 if recorded and EVENTS[name].metrics else 0)


class HostileError(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise HostileError

    def __repr__(self) -> str:
        raise SystemExit


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: gt.record("no.such"), "unknown event: no.such"),
    (
        lambda: gt.record("mol.burn", mol_id="m", children_closed="3"),
        "children_closed left out: not a number",
    ),
    (lambda: gt.record("mol.burn", mol_id="m", children_closed=2.5), "children_closed left out: not a whole"),
    (lambda: gt.record("prime", hook_mode=1), "hook_mode left out: not true or false: int"),
    (lambda: gt.record("done", exit_type="OK"), "exit_type left out: not one of COMPLETED"),
    (lambda: gt.record("nudge", target=HostileError()), "target left out: HostileError"),
    (lambda: gt.record("nudge", target="x", **{"run.id": "y"}), "run.id left out: a record says it"),
    (lambda: gt.record("nudge"), "nudge is recorded without target"),
    (lambda: gt.record(["x"]), "not recorded: TypeError"),  # type: ignore[arg-type] # that is the point
    (lambda: gt.event("pane.read").__enter__(), "no event that is a span is called pane.read"),
    (lambda: gt.event("no.such").__enter__(), "no event that is a span is called no.such"),
    (lambda: measure("gastown.no.such", 1), "unknown metric: gastown.no.such"),
    (lambda: measure("gastown.sessions.live", 1, rigg="x"), "gastown.sessions.live has no label rigg"),
]


@pytest.mark.parametrize(("do", "line"), WRONG)
def test_what_is_wrong_is_a_line_and_nothing_more(
    captured_spans: CapturedSpans, do: Callable[[], object], line: str
) -> None:
    """Nothing raises into the host; the one thing that is wrong is said."""
    do()
    assert any(line in error for error in captured_spans.errors), captured_spans.errors


def test_an_unknown_event_is_a_block_all_the_same(captured_spans: CapturedSpans) -> None:
    """The block runs, what is set goes nowhere, and nothing is recorded."""
    with gt.event("no.such", a=1) as call:
        call.set(b=2)
    assert (captured_spans.names(), captured_spans.logs()) == ([], [])


FAILURES: list[tuple[dict[str, Any], str, str | None]] = [
    ({"error": "no such bead"}, "no such bead", "_OTHER"),
    ({"exit_code": 2}, "exit code 2", "2"),
    ({"exit_code": -15}, "killed by SIGTERM", "SIGTERM"),
    ({"exit_code": 2, "error": "no such bead"}, "no such bead", "2"),
]


@pytest.mark.parametrize(("given", "error", "error_type"), FAILURES)
def test_a_failure_shows_everywhere(
    captured_spans: CapturedSpans, given: dict[str, Any], error: str, error_type: str | None
) -> None:
    """On the span, the log record and its severity, and on the counter: at once as around a block."""
    gt.record("bd.call", args=["list"], **given)
    with gt.bd_call(["list"]) as call:
        call.set(**given)
    for span, log in zip(captured_spans, captured_spans.logs(), strict=True):
        assert (span["status"], span["status_message"]) == ("error", error)
        assert span["attributes"].get("error.type") == error_type
        assert (log["severity"], log["attributes"]["status"], log["attributes"]["error"]) == (
            *("ERROR", "error"),
            error,
        )
        assert "error.type" not in log["attributes"]
    counter = the_metric(captured_spans, "gastown.bd.calls.total")
    assert (counter["labels"], counter["value"]) == ({"status": "error", "subcommand": "list"}, 2)


def test_an_event_that_cannot_fail_counts_as_ok(captured_spans: CapturedSpans) -> None:
    """It has neither status nor error; its counter has the label all the same."""
    gt.record("refinery.dispatch", bead_id="de-1", wait_ms=5.0, rig="demo")
    assert not {"status", "error"} & {*the_log(captured_spans, "refinery.dispatch")["attributes"]}
    counter = the_metric(captured_spans, "gastown.refinery.dispatches.total")
    assert counter["labels"] == {"rig": "demo", "status": "ok"}


def test_labels_are_text_and_never_empty(captured_spans: CapturedSpans) -> None:
    """Flags are `true` and `false`; what is unknown or empty is left out, also of what is measured."""
    gt.record("prime", role="mayor", hook_mode=True)
    gt.record("prime", role="", hook_mode=False)
    gt.record("agent.usage", session="s", model="m", input_tokens=7, cost_usd=0.5)
    labels = [m["labels"] for m in captured_spans.metrics() if m["name"] == "gastown.prime.total"]
    assert labels == [
        {"hook_mode": "false", "status": "ok"},
        {"role": "mayor", "hook_mode": "true", "status": "ok"},
    ]
    used = {m["name"]: (m["labels"], m["value"]) for m in captured_spans.metrics() if "agent." in m["name"]}
    assert used == {
        "gastown.agent.events.total": ({"event_type": "usage", "status": "ok"}, 1),
        "gastown.agent.tokens.total": ({"type": "input", "model": "m", "status": "ok"}, 7),
        "gastown.agent.cost.total": ({"model": "m", "status": "ok"}, 0.5),
    }


def test_a_measurement_of_no_event_is_made_in_the_current_span() -> None:
    """`measure` takes the metrics of the registry, for probes and the relay."""
    with capture(ENV) as captured, gt.event("witness.patrol"):
        measure("gastown.refinery.item_age_ms", 5000.0, rig="demo")
        measure("gastown.probe.errors.total", 1, probe="")
    histogram = the_metric(captured, "gastown.refinery.item_age_ms")
    assert (histogram["labels"], histogram["sum"], histogram["trace_ids"]) == ({"rig": "demo"}, 5000.0, [RUN])
    assert the_metric(captured, "gastown.probe.errors.total")["labels"] == {}
    assert captured.errors == []


def test_where_the_relay_derives_metrics_events_feed_none(captured_spans: CapturedSpans) -> None:
    """Those that no event feeds are measured all the same."""
    active = context.runtime
    assert active is not None
    before = active.signals
    active.use(
        active.provider,
        active.processor,
        Signals(before.logger_provider, before.meter_provider, derives=True),
    )
    gt.record("nudge", target="mayor")
    measure("gastown.probe.errors.total", 1, probe="refinery")
    assert [metric["name"] for metric in captured_spans.metrics()] == ["gastown.probe.errors.total"]
    assert [log["name"] for log in captured_spans.logs()] == ["nudge"]


def test_a_caller_that_asks_for_nothing_outside_a_run_gets_nothing() -> None:
    """Sampled flag 00: no span, no log record, no measurement; inside a run it is only passed on."""
    for env, names in (
        ({"TRACEPARENT": f"00-{OTHER}-{SPAN}-00"}, []),
        ({"GT_RUN": RUN_UUID, "TRACEPARENT": f"00-{RUN}-{SPAN}-00"}, ["sling", "nudge", "bead.create"]),
    ):
        with capture(env) as captured:
            with gt.sling(bead="de-1"):
                pass
            gt.record("nudge", target="mayor")
            gt.record("bead.create", bead_id="de-2")
        assert [log["name"] for log in captured.logs()] == names
        assert len(captured.metrics()) == len(names)


def test_links_and_times_of_a_span_at_once(captured_spans: CapturedSpans) -> None:
    """`record_span` takes both from whoever knows them; a length that only the times say is noted."""
    active = context.runtime
    assert active is not None
    cause = trace.SpanContext(int(OTHER, 16), int(SPAN, 16), is_remote=True)
    given = {"operation": "push"}
    record_span(
        active, EVENTS["git.operation"], given, links=[trace.Link(cause)], start_ns=5, end_ns=2_000_005
    )
    record_span(active, EVENTS["git.operation"], {**given, "duration_ms": 3.0}, start_ns=5)
    record_span(active, EVENTS["git.operation"], {**given, "duration_ms": -3.0}, start_ns=9, end_ns=5)
    first, second, third = captured_spans.as_dicts()
    assert first["links"] == [{"trace_id": OTHER, "span_id": SPAN}]
    assert (first["end_ns"], first["attributes"]["duration_ms"]) == (2_000_005, 2.0)
    assert (second["start_ns"], second["end_ns"]) == (5, 3_000_005)
    assert third["end_ns"] >= third["start_ns"]


def test_extremes_stay_what_otlp_can_say(captured_spans: CapturedSpans) -> None:
    """The highest exit code, lengths beyond all time, which are left out, an error that UTF-8 cannot hold."""
    active = context.runtime
    assert active is not None
    gt.record("bd.call", exit_code=(1 << 63) - 1, duration_ms=1e300, error="\ud800")
    record_span(active, EVENTS["git.operation"], {"operation": "push", "duration_ms": 1e300}, start_ns=5)
    bd_call, push = captured_spans.as_dicts()
    assert (bd_call["attributes"]["exit_code"], bd_call["attributes"]["error"]) == ((1 << 63) - 1, "?")
    assert "duration_ms" not in bd_call["attributes"]
    assert (bd_call["start_ns"], push["start_ns"]) == (bd_call["end_ns"], 5)
    assert push["end_ns"] < 1 << 63
