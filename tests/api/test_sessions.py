"""Sessions from Python: in the journal and by OTLP, nested, failing, abandoned."""

from __future__ import annotations

import os
from pathlib import Path

import gastown_tracing as gt
from gastown_tracing.journal import reader
from gastown_tracing.journal.layout import Journal
from gastown_tracing.sessions.reaping import reap
from gastown_tracing.testing import CapturedSpans, capture
from tests.api.programs import RUN_ID, RUN_UUID, python, spans_of
from tests.api.sink import attributes, sink
from tests.conftest import clean_environ


def test_a_session_is_a_trace_of_its_own(env: dict[str, str], journal_root: Path) -> None:
    """Root, start and stop are in the journal.

    What begins inside hangs on the root and has the session's identity.
    """
    source = f"""
        import gastown_tracing as gt
        provider = gt.init("spawner")
        wanted = dict(role="polecat", name="rust", rig="demo", issue="de-1", run_id="{RUN_UUID}")
        with gt.session(**wanted) as session:
            assert session.run_id == gt.current_run_id() == "{RUN_ID}"
            assert session.name == "gt-demo-rust"
            with gt.sling(): pass
        assert gt.current_run_id() == "" and provider.errors == []
    """
    python(source, {**env, "GT_ROLE": "mayor"})
    spans = {span.name: span for span in spans_of(journal_root)}
    assert set(spans) == {"gt.session", "session.start", "session.stop", "sling"}
    root = spans["gt.session"]
    assert (root.span_id, root.parent_id, root.links) == ("9a0c0305e82c3301", "", [])
    assert {span.parent_id for name, span in spans.items() if name != "gt.session"} == {root.span_id}
    for span in spans.values():
        assert (span.attributes["run.id"], span.attributes["session_id"]) == (RUN_ID, "gt-demo-rust")
        assert (span.attributes["role"], span.attributes["rig"]) == ("polecat", "demo")
    assert root.attributes["issue_id"] == "de-1"
    assert root.start_ns <= spans["sling"].start_ns <= spans["sling"].end_ns <= root.end_ns
    run = reader.list_runs(Journal(str(journal_root)))[0]
    assert run.closed


def test_nested_sessions(env: dict[str, str], journal_root: Path) -> None:
    """The inner one is linked to what led to it, and afterwards the outer one goes on."""
    source = """
        import gastown_tracing as gt
        gt.init()
        with gt.session(role="mayor") as outer, gt.sling(target="inner"):
            with gt.session(role="polecat", name="rust", rig="demo") as inner:
                with gt.nudge(): pass
            assert gt.current_run_id() == outer.run_id
            with gt.done(): pass
        print(outer.run_id, inner.run_id)
    """
    outer, inner = python(source, env).stdout.split()
    outside = {span.name: span for span in spans_of(journal_root, outer)}
    inside = {span.name: span for span in spans_of(journal_root, inner)}
    assert set(inside) == {"gt.session", "session.start", "session.stop", "nudge"}
    assert inside["session.start"].links[0][:2] == (outer, outside["sling"].span_id)
    assert inside["gt.session"].links == []
    assert outside["session.start"].links == []
    assert outside["done"].parent_id == outside["sling"].span_id
    assert outside["done"].attributes["role"] == "mayor"


def test_a_session_that_fails_says_why(env: dict[str, str], journal_root: Path) -> None:
    """An exception that leaves the block makes the root an error, and goes on."""
    source = f"""
        import gastown_tracing as gt
        gt.init()
        try:
            with gt.session(role="mayor", run_id="{RUN_ID}"):
                raise ValueError("no way")
        except ValueError:
            pass
    """
    python(source, env)
    (root,) = [span for span in spans_of(journal_root) if span.name == "gt.session"]
    assert (root.status_code, root.attributes["error"]) == (2, "ValueError: no way")


def test_children_of_a_session_get_its_variables(env: dict[str, str]) -> None:
    """They are told who they are, and nothing of who spawned them."""
    source = f"""
        import os
        import gastown_tracing as gt
        gt.init()
        with gt.session(role="polecat", name="rust", rig="demo", run_id="{RUN_ID}"), gt.sling():
            env = gt.child_env()
        for name in ("GT_RUN", "GT_ROLE", "GT_RIG", "GT_POLECAT", "GT_CREW", "GT_SESSION", "GT_WORK_BEAD"):
            print(env.get(name))
        print(env["TRACEPARENT"][:35], env["BAGGAGE"], env["OTEL_RESOURCE_ATTRIBUTES"], sep="\\n")
    """
    spawner = {
        "GT_RUN": "9" * 32,
        "GT_ROLE": "demo/crew/max",
        "GT_CREW": "max",
        "GT_WORK_BEAD": "old",
        "BAGGAGE": "theirs=1,gt.role=old",
        "OTEL_RESOURCE_ATTRIBUTES": "a=b,gt.role=old",
    }
    said = python(source, {**env, **spawner}).stdout.splitlines()
    assert said[:7] == [RUN_UUID, "demo/polecats/rust", "demo", "rust", "None", "gt-demo-rust", "None"]
    assert said[7] == f"00-{RUN_ID}"
    for text in said[8:]:
        members = dict(member.split("=") for member in text.split(","))
        assert (members["gt.role"], members["gt.agent"], members["gt.run_id"]) == (
            "demo/polecats/rust",
            "rust",
            RUN_ID,
        )
        assert {"theirs", "a"} & set(members)
        assert "gt.work_bead" not in members


def test_a_session_that_outlives_its_spawner(env: dict[str, str], journal_root: Path) -> None:
    """One process starts it, the session's own process works for it, a third ends it, and only once."""
    start = f"""
        import subprocess, sys
        import gastown_tracing as gt
        provider = gt.init()
        session = gt.start_session(role="mayor", run_id="{RUN_ID}")
        assert gt.current_run_id() == "" and "TRACEPARENT" not in gt.child_env()
        program = "import gastown_tracing as gt; gt.init()\\nwith gt.sling(): pass"
        child = subprocess.Popen([sys.executable, "-c", program], env=session.child_env())
        session.runs_in(child.pid)
        assert child.wait() == 0 and provider.errors == []
    """
    end = f"""
        import gastown_tracing as gt
        gt.init()
        print(gt.end_session("{RUN_UUID}", reason="stopped", exit_code=3), gt.end_session("{RUN_UUID}"))
    """
    python(start, env)
    assert python(end, env).stdout == "True False\n"
    spans = {span.name: span for span in spans_of(journal_root)}
    assert spans["sling"].parent_id == spans["gt.session"].span_id
    root = spans["gt.session"].attributes
    assert (root["reason"], root["exit_code"], root["error"]) == ("stopped", 3, "exit code 3")


def test_a_session_whose_process_was_killed_is_closed_by_whoever_looks(
    env: dict[str, str], journal_root: Path
) -> None:
    """kill -9 inside the block leaves a session that is dead on positive evidence."""
    source = f"""
        import os
        import gastown_tracing as gt
        gt.init()
        with gt.session(role="mayor", run_id="{RUN_ID}"):
            with gt.sling(): pass
            os.kill(os.getpid(), 9)
    """
    python(source, env, check=False)
    journal = Journal(str(journal_root))
    (found,) = reap(journal, clean_environ())
    assert found.reaped
    spans = {span.name: span for span in spans_of(journal_root)}
    assert spans["gt.session"].attributes["reason"] == "lost"
    assert spans["gt.session"].end_ns >= spans["sling"].end_ns


def test_a_forked_child_does_not_end_its_parents_session(env: dict[str, str], journal_root: Path) -> None:
    """A child that unwinds the block leaves the session to its parent."""
    source = f"""
        import os
        import gastown_tracing as gt
        gt.init()
        with gt.session(role="mayor", run_id="{RUN_ID}"):
            pid = os.fork()
            if pid == 0:
                raise SystemExit(7)
            os.waitpid(pid, 0)
    """
    python(source, env)
    (root,) = [span for span in spans_of(journal_root) if span.name == "gt.session"]
    assert root.attributes["error"] == ""


def test_a_session_without_a_journal() -> None:
    """The same by OTLP: a root with the ids that the run gives it, start, stop, and what is inside."""
    source = f"""
        import gastown_tracing as gt
        provider = gt.init()
        with gt.sling(target="outside"):
            with gt.session(role="polecat", name="rust", rig="demo", run_id="{RUN_ID}"):
                with gt.nudge(): pass
        assert gt.end_session("{RUN_ID}") is False and "without a journal" in provider.errors[0]
    """
    with sink() as server:
        python(source, {**clean_environ(), "HOME": "/nonexistent", **server.env()})
        spans = {span.name: span for span in server.spans()}
    assert set(spans) == {"gt.session", "session.start", "session.stop", "nudge", "sling"}
    root = spans["gt.session"]
    assert (root.trace_id.hex(), root.span_id.hex(), root.parent_span_id) == (RUN_ID, "9a0c0305e82c3301", b"")
    assert spans["nudge"].parent_span_id == root.span_id
    assert spans["session.start"].links[0].span_id == spans["sling"].span_id
    assert spans["sling"].trace_id.hex() != RUN_ID
    assert attributes(list(root.attributes))["session.id"] == "gt-demo-rust"


def test_the_events_of_a_session_without_a_journal() -> None:
    """Start, agent and stop are log records in the run, too, and are counted under the session's role."""
    source = f"""
        import gastown_tracing as gt
        gt.init()
        with gt.session(role="polecat", name="rust", rig="demo", issue="de-1", run_id="{RUN_ID}"):
            pass
    """
    with sink() as server:
        python(source, {**clean_environ(), "HOME": "/nonexistent", **server.env()})
        spans = {span.name: span.span_id for span in server.spans()}
        logs = {record.event_name: record for record in server.logs()}
        points = {metric.name: server.points(metric.name)[0] for metric in server.metrics()}
    assert set(logs) == {"session.start", "agent.instantiate", "session.stop"}
    assert {record.trace_id.hex() for record in logs.values()} == {RUN_ID}
    assert logs["session.start"].span_id == spans["session.start"]
    assert logs["agent.instantiate"].span_id == spans["gt.session"]
    told = attributes(logs["agent.instantiate"].attributes)
    assert (told["issue_id"], told["run.uuid"], told["agent_name"]) == ("de-1", RUN_UUID, "rust")
    assert attributes(logs["session.stop"].attributes)["reason"] == "exited"
    assert {name: attributes(point.attributes) for name, point in points.items()} == {
        "gastown.agent.instantiations.total": {"status": "ok", "role": "polecat", "rig": "demo"},
        "gastown.session.starts.total": {"status": "ok", "role": "polecat"},
        "gastown.session.stops.total": {"status": "ok"},
    }


def test_sessions_in_tests(captured_spans: CapturedSpans) -> None:
    """The testing kit captures a session as spans, and writes nothing."""
    with gt.session(role="mayor") as session:
        assert gt.current_run_id() == session.run_id
        assert session.child_env({})["GT_ROLE"] == "mayor"
    assert captured_spans.names() == ["session.start", "session.stop", "gt.session"]
    assert captured_spans.one("gt.session")["trace_id"] == session.run_id
    with capture({"GT_OTEL_JOURNAL": os.devnull}) as spans, gt.session(role="anything at all"):
        pass
    assert len(spans) == 3
    assert spans.errors == []
