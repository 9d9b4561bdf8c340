"""Which run and which work an event's record carries: those in force when it began."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry import context as otel
from opentelemetry import trace

import gastown_tracing as gt
from gastown_tracing.testing import CapturedSpans, capture
from gastown_tracing.tracing.worklog import WorkLog
from propagation.run import root_span_id
from propagation.work import WorkContext, format_line
from tests.api.programs import python, spans_of

RUN_A_UUID, RUN_A = "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3f2504e04f8941d39a0c0305e82c3301"
RUN_B = "4bf92f3577b34da6a3ce929d0e0e4736"
ENV = {"GT_RUN": RUN_A_UUID, "GT_ROLE": "demo/polecats/rust", "GT_RIG": "demo", "GT_WORK_BEAD": "de-1"}


def places(captured: CapturedSpans, name: str) -> list[tuple[object, ...]]:
    """Return (trace, span, run, bead) of each log record of an event."""
    return [
        (log["trace_id"], log["span_id"], log["attributes"].get("run.id"), log["attributes"].get("work_bead"))
        for log in captured.logs()
        if log["name"] == name
    ]


def test_what_is_recorded_for_another_run_is_of_that_run() -> None:
    """Inside with_run_id everything is B's; what begins right below its root links to A's span, its cause."""
    with capture(ENV) as captured, gt.sling(bead="outer"):
        with gt.with_run_id(RUN_B):
            gt.record("bead.create", bead_id="de-7")
            gt.record("nudge", target="at once")
            with gt.bd_call(["list"]):
                gt.record("bead.create", bead_id="de-8")
                with gt.prime(work_bead="of-b"):
                    pass
        gt.record("bead.create", bead_id="de-9")
        gt.record("nudge", target="after")
    spans = captured.as_dicts()
    at_once, inner, bd_call, after, outer = spans
    cause = [{"trace_id": RUN_A, "span_id": outer["span_id"]}]
    root = root_span_id(RUN_B)
    assert [span["links"] for span in spans] == [cause, [], cause, [], []]
    assert [span["parent_id"] for span in spans] == [
        *(root, bd_call["span_id"], root),
        *(outer["span_id"], root_span_id(RUN_A)),
    ]
    assert [span["trace_id"] for span in spans] == [RUN_B, RUN_B, RUN_B, RUN_A, RUN_A]
    assert places(captured, "bead.create") == [
        (RUN_B, root, RUN_B, None),
        (RUN_B, bd_call["span_id"], RUN_B, None),
        (RUN_A, outer["span_id"], RUN_A, "de-1"),
    ]
    assert places(captured, "nudge") == [
        (RUN_B, at_once["span_id"], RUN_B, None),
        (RUN_A, after["span_id"], RUN_A, "de-1"),
    ]
    assert places(captured, "prime") == [(RUN_B, inner["span_id"], RUN_B, "of-b")]
    assert places(captured, "sling") == [(RUN_A, outer["span_id"], RUN_A, "de-1")]
    traces = {metric["name"]: metric["trace_ids"] for metric in captured.metrics()}
    assert traces["gastown.bd.calls.total"] == [RUN_B]
    assert traces["gastown.sling.dispatches.total"] == [RUN_A]


def test_inside_a_span_of_another_run_ids_are_the_spans_and_the_run_is_the_one_in_force() -> None:
    """Who makes A's span the current one inside run B gets both, straight."""
    with capture(ENV) as captured:
        with gt.sling(bead="a"):
            of_a = trace.get_current_span()
        with gt.with_run_id(RUN_B), trace.use_span(of_a):
            gt.record("bead.create", bead_id="de-7")
            gt.record("nudge", target="x")
    sling, nudge = captured.one("sling"), captured.one("nudge")
    assert places(captured, "bead.create") == [(RUN_A, sling["span_id"], RUN_B, None)]
    assert (nudge["trace_id"], nudge["parent_id"], nudge["links"]) == (RUN_A, sling["span_id"], [])
    assert places(captured, "nudge") == [(RUN_A, nudge["span_id"], RUN_B, None)]


def test_the_work_of_a_run_that_is_entered_again_is_still_known() -> None:
    """A daemon that primes run B goes on with that work when it comes back to B."""
    with capture(ENV) as captured:
        with gt.with_run_id(RUN_B), gt.prime(work_bead="of-b"):
            pass
        gt.record("nudge", target="a")
        with gt.with_run_id(RUN_B):
            gt.record("nudge", target="b")
            with gt.with_run_id(RUN_A):
                gt.record("nudge", target="a again")
    assert [place[2:] for place in places(captured, "nudge")] == [
        (RUN_A, "de-1"),
        (RUN_B, "of-b"),
        (RUN_A, "de-1"),
    ]


def test_a_record_carries_the_work_in_force_when_it_began() -> None:
    """However late it ends or is told: around a block, and at once with its length."""
    with capture(ENV) as captured:
        with gt.bd_call(["list"]), gt.prime(work_bead="de-2"):
            pass
        gt.record("bd.call", args=["show"], duration_ms=60_000)
        gt.record("bd.call", args=["ready"])
    assert [place[3] for place in places(captured, "bd.call")] == ["de-1", "de-1", "de-2"]
    assert [span["attributes"]["work_bead"] for span in captured if span["name"] == "bd.call"] == [
        *("de-1", "de-1", "de-2"),
    ]


def test_a_prime_that_is_recorded_at_once_sets_the_work(captured_spans: CapturedSpans) -> None:
    """As the helper's does; one that failed does not."""
    gt.record_prime(work_rig="demo", work_bead="de-1", hook_mode=True)
    gt.record_prime(work_bead="de-2", error="no hook")
    gt.record_nudge(target="mayor")
    assert places(captured_spans, "nudge")[0][3] == "de-1"


def test_done_knows_its_work_and_since_when() -> None:
    """Rig, bead and time come from the prime in this process; what the caller says goes before."""
    with capture({**ENV, "GT_ROLE": "polecat", "GT_RIG": "home"}) as captured:
        gt.record("done", exit_type="DEFERRED")
        with gt.prime(work_rig="demo", work_bead="de-2"):
            pass
        with gt.prime(work_rig="demo", work_bead="de-2", work_mol="de-wisp-1"):
            pass
        with gt.done(exit_type="COMPLETED"):
            pass
        gt.record_done(exit_type="COMPLETED", rig="other", bead_id="de-3", time_to_complete_ms=5)
    names = ("rig", "bead_id", "time_to_complete_ms")
    first, second, third = [
        tuple(log["attributes"].get(name) for name in names)
        for log in captured.logs()
        if log["name"] == "done"
    ]
    primed = captured.as_dicts()[1]["end_ns"]
    ended = captured.as_dicts()[3]["end_ns"]
    assert first == ("home", "de-1", None)  # nobody has said since when
    assert second == ("demo", "de-2", (ended - primed) / 1e6)
    assert third == ("other", "de-3", 5.0)


def test_done_in_a_session_that_was_started_for_its_bead() -> None:
    """Without a prime the work began with the run, if that was started for the bead; else nobody knows."""
    with capture() as captured, gt.session(role="polecat", name="rust", rig="demo", issue="de-1"):
        gt.record_done(exit_type="COMPLETED", bead_id="de-1")
        gt.record_done(exit_type="COMPLETED", bead_id="de-2")
    start = captured.one("gt.session")["start_ns"]
    first, second = [log for log in captured.logs() if log["name"] == "done"]
    assert first["attributes"]["time_to_complete_ms"] == (first["time_ns"] - start) / 1e6
    assert "time_to_complete_ms" not in second["attributes"]


@pytest.mark.parametrize("bead", ["de-1", "de-2"])
def test_done_by_the_journal(env: dict[str, str], journal_root: Path, bead: str) -> None:
    """Another process primed the run, or the run was started for the bead: the journal knows when."""
    source = f"""
        import subprocess, sys, time
        import gastown_tracing as gt
        provider = gt.init()
        with gt.session(role="polecat", name="rust", rig="demo", issue="de-1", run_id="{RUN_A}"):
            other = "import gastown_tracing as gt; gt.init(); gt.record_prime(work_bead='de-2')"
            before = time.time_ns()
            subprocess.run([sys.executable, "-c", other], env=gt.child_env(), check=True)
            after = time.time_ns()
            with gt.done(exit_type="COMPLETED", bead_id="{bead}"): pass
            print(before, after)
        assert provider.errors == []
    """
    before, after = map(int, python(source, env).stdout.split())
    (done,) = [span for span in spans_of(journal_root, RUN_A) if span.name == "done"]
    (root,) = [span for span in spans_of(journal_root, RUN_A) if span.name == "gt.session"]
    took = done.attributes["time_to_complete_ms"]
    began = done.end_ns - int(float(str(took)) * 1e6)
    if bead == "de-2":
        assert before <= began <= after
    else:
        assert abs(began - root.start_ns) < 1_000_000
    assert done.attributes["work_bead"] == "de-2"


def test_events_go_to_the_journal_with_their_spans(env: dict[str, str], journal_root: Path) -> None:
    """The log record of an event lies beside its span, also for a run that the program works for."""
    source = f"""
        import gastown_tracing as gt
        provider = gt.init()
        with gt.sling(bead="a"), gt.with_run_id("{RUN_B}"):
            gt.record("nudge", target="b")
        assert provider.errors == []
    """
    python(source, {**env, "GT_RUN": RUN_A_UUID})
    for run_id, name in ((RUN_A, "sling"), (RUN_B, "nudge")):
        text = (journal_root / "runs" / run_id / "logs.jsonl").read_text()
        (span,) = spans_of(journal_root, run_id)
        assert (span.name, text.count('"logRecords"')) == (name, 1)
        assert f'"eventName":"{name}"' in text
        assert f'"traceId":"{run_id}","spanId":"{span.span_id}"' in text


def test_a_threads_empty_context_is_the_processs_run() -> None:
    """What is recorded where nothing is current belongs to the run that the process was started in."""
    with capture(ENV) as captured, gt.sling(bead="x"):
        token = otel.attach(otel.Context())
        gt.record("bead.create", bead_id="de-1")
        otel.detach(token)
    assert places(captured, "bead.create") == [(RUN_A, root_span_id(RUN_A), RUN_A, "de-1")]


def test_the_work_log_by_time(tmp_path: Path) -> None:
    """What was in force, and since when, by the file that all processes of a run share."""
    log = WorkLog(str(tmp_path), WorkContext(bead="given"))
    assert (log.now().bead, log.at(5).bead, log.began("given")) == ("given", "given", None)
    lines = [(100, "de-1"), (200, "de-2"), (300, "de-2"), (400, "de-1")]
    text = "".join(format_line(time, WorkContext(bead=bead), "prime") for time, bead in lines)
    (tmp_path / "work.jsonl").write_text(text)
    assert [log.at(time).bead for time in (100, 101, 250, 500)] == ["given", "de-1", "de-2", "de-1"]
    assert [log.began(bead) for bead in ("de-1", "de-2", "de-3", "")] == [400, 200, None, None]
    assert log.now().bead == "de-1"
    log.take(WorkContext(bead="de-9"), 600)
    assert (log.now().bead, log.at(601).bead, log.began("de-9")) == ("de-9", "de-9", 600)
