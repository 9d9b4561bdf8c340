"""Where spans hang, and what children are told: the rules of context in a Python program."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from opentelemetry import baggage, context

import gastown_tracing as gt
from gastown_tracing.testing import CapturedSpans, capture
from propagation.traceparent import parse_traceparent
from tests.api.programs import ROOT_ID, RUN_ID, RUN_UUID, loose_spans, python, spans_of

OTHER = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
RUN = {"GT_RUN": RUN_UUID}

PLACES = [
    # environment, trace, parent, links
    (RUN, RUN_ID, ROOT_ID, []),
    ({**RUN, "TRACEPARENT": f"00-{RUN_ID}-{SPAN}-01"}, RUN_ID, SPAN, []),
    ({**RUN, "TRACEPARENT": f"00-{RUN_ID}-{SPAN}-00"}, RUN_ID, SPAN, []),
    ({**RUN, "TRACEPARENT": f"00-{OTHER}-{SPAN}-01"}, RUN_ID, ROOT_ID, [(OTHER, SPAN)]),
    ({**RUN, "TRACEPARENT": f"00-{OTHER}-{SPAN}-01", "GT_OTEL_RECEIVER": "http://x"}, RUN_ID, SPAN, []),
    ({"BAGGAGE": f"gt.run_id={RUN_ID}"}, RUN_ID, ROOT_ID, []),
    ({"TRACEPARENT": f"00-{OTHER}-{SPAN}-01"}, OTHER, SPAN, []),
    ({"TRACEPARENT": "broken", "GT_RUN": "broken", "BAGGAGE": "broken"}, None, "", []),
]


@pytest.mark.parametrize(("env", "trace_id", "parent", "links"), PLACES)
def test_a_span_with_no_current_one_hangs_where_the_environment_says(
    env: dict[str, str], trace_id: str | None, parent: str, links: list[tuple[str, str]]
) -> None:
    """By our helpers and by OpenTelemetry's own API alike; what begins inside hangs on it, without links."""
    with capture(env) as spans:
        assert spans.tracer_provider is not None
        with spans.tracer_provider.get_tracer("theirs").start_as_current_span("outer"), gt.sling():
            pass
        with gt.nudge():
            pass
    for name in ("outer", "nudge"):
        span = spans.one(name)
        assert trace_id is None or span["trace_id"] == trace_id
        assert span["parent_id"] == parent
        assert [(link["trace_id"], link["span_id"]) for link in span["links"]] == links
        assert span["attributes"].get("run.id") == (RUN_ID if trace_id == RUN_ID else None)
    inner = spans.one("sling")
    assert (inner["parent_id"], inner["links"]) == (spans.one("outer")["span_id"], [])
    assert (spans.one("nudge")["trace_id"] == inner["trace_id"]) == (trace_id is not None)


def test_sampled_00_is_obeyed_outside_a_run() -> None:
    """Nothing is recorded, and children are told so; inside a run the flag is only passed on."""
    unsampled = {"TRACEPARENT": f"00-{OTHER}-{SPAN}-00"}
    with capture(unsampled) as spans, gt.sling():
        flags = parse_traceparent(gt.child_env({})["TRACEPARENT"])
    assert (len(spans), flags and flags.flags) == (0, 0)
    with capture({**RUN, "TRACEPARENT": f"00-{RUN_ID}-{SPAN}-00"}) as spans, gt.sling():
        flags = parse_traceparent(gt.child_env({})["TRACEPARENT"])
    assert (len(spans), flags and flags.flags) == (1, 0)


def test_an_explicit_context_is_kept() -> None:
    """Who asks OpenTelemetry's API for a certain context gets it."""
    with capture(RUN) as spans:
        assert spans.tracer_provider is not None
        spans.tracer_provider.get_tracer("theirs").start_span("alone", context.Context()).end()
    assert spans.one("alone")["parent_id"] == ""
    assert spans.one("alone")["attributes"]["run.id"] == RUN_ID


def test_child_env_carries_the_current_span() -> None:
    """TRACEPARENT, TRACESTATE, our members of BAGGAGE and the resource.

    What is there stays, as the input does.
    """
    env = {
        **RUN,
        "TRACEPARENT": f"00-{RUN_ID}-{SPAN}-03",
        "TRACESTATE": "vendor=1,0long@sys=2",
        "BAGGAGE": "theirs=1;p=2,gt.role=old",
        "OTEL_RESOURCE_ATTRIBUTES": "a=b%20c",
        "GT_ROLE": "mayor",
        "HOME": "/root",
    }
    given = dict(env)
    with capture(env) as spans:
        with gt.sling():
            token = context.attach(baggage.set_baggage("mine", "x y"))
            child = gt.child_env(env)
            context.detach(token)
        outside = gt.child_env(env)
    assert env == given
    assert child["TRACEPARENT"] == f"00-{RUN_ID}-{spans.one('sling')['span_id']}-03"
    assert child["TRACESTATE"] == "vendor=1,0long@sys=2"
    assert child["BAGGAGE"] == f"theirs=1;p=2,gt.role=mayor,mine=x%20y,gt.run_id={RUN_ID}"
    assert child["OTEL_RESOURCE_ATTRIBUTES"] == f"a=b%20c,gt.role=mayor,gt.run_id={RUN_ID}"
    assert (child["GT_RUN"], child["HOME"]) == (RUN_UUID, "/root")
    assert outside["TRACEPARENT"] == env["TRACEPARENT"]


def test_child_env_of_a_span_of_opentelemetrys_own() -> None:
    """Whoever made the current span, it is the child's parent, in whatever trace it is."""
    with capture() as spans:
        assert gt.child_env({"A": "b"}) == {"A": "b"}
        assert spans.tracer_provider is not None
        with spans.tracer_provider.get_tracer("theirs").start_as_current_span("outer") as span:
            found = parse_traceparent(gt.child_env({})["TRACEPARENT"])
    assert found is not None
    assert int(found.span_id, 16) == span.get_span_context().span_id


def test_what_cannot_be_written_is_left_out() -> None:
    """An environment that cannot carry the context is handed on as it is, with a note."""
    with capture({"GT_ROLE": "mayor"}) as spans, gt.sling():
        broken = {"BAGGAGE": 5, "GT_ROLE": "mayor"}
        assert gt.child_env(broken) == broken  # type: ignore[arg-type,comparison-overlap]
    assert "no context for a child" in spans.errors[0]


def test_baggage_that_cannot_be_written_does_not_cost_the_rest(captured_spans: CapturedSpans) -> None:
    """A program's own baggage with a name that no header can hold is left out, with a note."""
    with gt.sling():
        token = context.attach(baggage.set_baggage("no name", "x"))
        child = gt.child_env({})
        context.detach(token)
    assert "TRACEPARENT" in child
    assert "BAGGAGE" not in child
    assert "the program's baggage is left out" in captured_spans.errors[0]


def test_a_tracestate_that_the_api_does_not_know_is_carried(env: dict[str, str]) -> None:
    """Keys of Trace Context Level 2 reach children, and nothing is printed about them."""
    source = """
        import gastown_tracing as gt
        gt.init()
        with gt.sling(): print(gt.child_env()["TRACESTATE"])
    """
    given = {**RUN, "TRACEPARENT": f"00-{RUN_ID}-{SPAN}-01", "TRACESTATE": "0a@b@c=1,x=2"}
    assert python(source, {**env, **given}).stdout == "0a@b@c=1,x=2\n"


def test_set_process_env_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """os.environ has the context until the end, but what somebody else has set since is theirs."""
    monkeypatch.setenv("BAGGAGE", "theirs=1")
    before = dict(os.environ)
    with capture({"GT_ROLE": "mayor"}) as spans:
        with gt.sling():
            gt.set_process_env()
            first = os.environ["TRACEPARENT"]
            with gt.nudge():
                gt.set_process_env()
        assert first.split("-")[2] == spans.one("sling")["span_id"]
        assert os.environ["TRACEPARENT"].split("-")[2] == spans.one("nudge")["span_id"]
        assert os.environ["BAGGAGE"] == "theirs=1"
        monkeypatch.setenv("TRACEPARENT", "somebody else's")
    assert os.environ.pop("TRACEPARENT") == "somebody else's"
    assert dict(os.environ) == before


def test_with_run_id_moves_spans_into_another_run() -> None:
    """Any text form of a UUID; current_run_id says it, children are told, and afterwards all is as before."""
    with capture({"GT_ROLE": "mayor", "GT_RUN": "9" * 32}) as spans, gt.sling():
        with gt.with_run_id(RUN_UUID.upper()):
            assert gt.current_run_id() == RUN_ID
            child = gt.child_env({"GT_RUN": "9" * 32, "GT_WORK_BEAD": "de-9"})
            with gt.nudge():
                pass
        assert gt.current_run_id() == "9" * 32
        with gt.with_run_id("no id"), gt.done():
            assert gt.current_run_id() == "9" * 32
    assert child["GT_RUN"] == RUN_UUID
    assert "GT_WORK_BEAD" not in child
    assert child["TRACEPARENT"].startswith(f"00-{RUN_ID}-{ROOT_ID}-")
    assert f"gt.run_id={RUN_ID}" in child["BAGGAGE"]
    nudge = spans.one("nudge")
    assert (nudge["trace_id"], nudge["parent_id"]) == (RUN_ID, ROOT_ID)
    assert (nudge["attributes"]["run.id"], nudge["attributes"]["role"]) == (RUN_ID, "mayor")
    assert spans.one("done")["parent_id"] == spans.one("sling")["span_id"]
    assert spans.errors == ["with_run_id: not a run id: 'no id'"]


def test_a_run_ends_with_its_block_even_if_telemetry_ended_inside(env: dict[str, str]) -> None:
    """After a shutdown inside the block, and a new init(), the context is what it was before."""
    source = f"""
        import gastown_tracing as gt
        from opentelemetry import context
        before = context.get_current()
        provider = gt.init()
        with gt.with_run_id("{RUN_ID}"):
            provider.shutdown()
        assert context.get_current() == before
        gt.init()
        assert gt.current_run_id() == ""
        switched_on_inside = gt.with_run_id("{RUN_ID}")
        gt.init().shutdown()
        with switched_on_inside:
            gt.init()
        assert context.get_current() == before
    """
    python(source, env)


def test_children_are_not_told_of_work_that_is_over() -> None:
    """The parts of a work context that are unset are removed from what children get, and nothing else is."""
    env = {
        **RUN,
        "BAGGAGE": "theirs=1;p,gt.work_bead=old,gt.work_mol=old,gt.work_theirs=1",
        "OTEL_RESOURCE_ATTRIBUTES": "gt.work_bead=old,a=b,gt.work_mol=old",
        "GT_WORK_BEAD": "old",
        "GT_WORK_MOL": "old",
    }
    with capture(env):
        with gt.prime(work_bead="new"):
            pass
        child = gt.child_env(env)
        with gt.prime(work_bead=""):
            pass
        last = gt.child_env(env)
        only = gt.child_env({"BAGGAGE": "gt.work_bead=old"})
    assert child["BAGGAGE"] == f"theirs=1;p,gt.work_bead=new,gt.work_theirs=1,gt.run_id={RUN_ID}"
    assert child["OTEL_RESOURCE_ATTRIBUTES"] == f"gt.work_bead=new,a=b,gt.run_id={RUN_ID}"
    assert last["BAGGAGE"] == f"theirs=1;p,gt.work_theirs=1,gt.run_id={RUN_ID}"
    assert last["OTEL_RESOURCE_ATTRIBUTES"] == f"a=b,gt.run_id={RUN_ID}"
    assert only["BAGGAGE"] == f"gt.run_id={RUN_ID}"


def test_executors_get_a_carried_context(captured_spans: CapturedSpans) -> None:
    """A pool's threads hang their spans on the span that handed work to them."""

    @gt.traced(name="work")
    def work(item: int) -> int:
        return item

    with gt.sling(), ThreadPoolExecutor(2) as pool:
        assert list(pool.map(gt.carry_context(work), range(4))) == [0, 1, 2, 3]
    sling = captured_spans.one("sling")["span_id"]
    assert [span["parent_id"] for span in captured_spans if span["name"] == "work"] == [sling] * 4
    assert gt.carry_context(work).__name__ == "work"


def test_work_of_other_processes_is_seen(env: dict[str, str], journal_root: Path) -> None:
    """A prime in another process changes the work of the spans that begin after it."""
    source = """
        import subprocess, sys
        import gastown_tracing as gt
        provider = gt.init()
        with gt.sling(target="before"): pass
        other = "import gastown_tracing as gt; gt.init()\\nwith gt.prime(work_bead='de-1'): pass"
        subprocess.run([sys.executable, "-c", other], check=True)
        with gt.sling(target="after"): pass
        with gt.with_run_id("4bf92f3577b34da6a3ce929d0e0e4736"), gt.sling(target="other run"): pass
        assert provider.errors == []
    """
    python(source, {**env, **RUN, "GT_WORK_BEAD": "old"})
    found = {span.attributes.get("target"): span.attributes["work_bead"] for span in spans_of(journal_root)}
    assert found == {"before": "old", None: "de-1", "after": "de-1"}
    (other,) = spans_of(journal_root, OTHER)
    assert "work_bead" not in other.attributes


def test_a_journal_that_is_switched_off_gets_no_work(env: dict[str, str], journal_root: Path) -> None:
    """Once the operator has removed `on`, not a byte more is written."""
    source = """
        import os
        import gastown_tracing as gt
        gt.init()
        os.unlink(os.environ["GT_OTEL_JOURNAL"] + "/on")
        with gt.prime(work_bead="de-1"): pass
        with gt.session(role="mayor"): pass
    """
    python(source, {**env, **RUN})
    assert [path.name for path in (journal_root / "runs").rglob("*")] == []


def test_spans_outside_any_run_go_to_loose(env: dict[str, str], journal_root: Path) -> None:
    """Each is a trace of its own, and their ids never begin with the digit 0."""
    source = """
        import random, gastown_tracing as gt
        gt.init()
        for number in range(300):
            random.seed(1)
            with gt.sling(): pass
    """
    python(source, env)
    spans = loose_spans(journal_root)
    ids = {span.trace_id for span in spans} | {span.span_id for span in spans}
    assert (len(spans), len(ids)) == (300, 600)
    assert not any(found.startswith("0") for found in ids)


def test_the_global_tracer_is_ours_too(env: dict[str, str], journal_root: Path) -> None:
    """Instrumentations that use OpenTelemetry's API, loaded before or after init(), land in the run."""
    source = """
        from opentelemetry import trace
        early = trace.get_tracer("early")
        import gastown_tracing as gt
        provider = gt.init()
        with early.start_as_current_span("early"), gt.sling(): pass
        @trace.get_tracer("late").start_as_current_span("late")
        def late(): raise ValueError("no")
        try: late()
        except ValueError: pass
        provider.shutdown()
        with early.start_as_current_span("nothing"): pass
        again = gt.init()
        assert again is not provider
        with early.start_as_current_span("again"): pass
    """
    python(source, {**env, **RUN})
    spans = {span.name: span for span in spans_of(journal_root)}
    assert set(spans) == {"early", "late", "again", "sling"}
    assert spans["early"].parent_id == spans["again"].parent_id == ROOT_ID
    assert (spans["late"].status_code, spans["late"].events[0][0]) == (2, "exception")
    assert spans["sling"].parent_id == spans["early"].span_id
