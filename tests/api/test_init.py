"""init() and shutdown() in processes of their own: journal, OTLP, endpoints that are no good."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.api.programs import ROOT_ID, RUN_ID, RUN_UUID, loose_spans, python, spans_of
from tests.api.sink import attributes, hanging, refusing, sink
from tests.conftest import clean_environ


def test_init_is_idempotent_and_thread_safe(env: dict[str, str]) -> None:
    """However many threads call it, there is one provider; shutdown ends it, and once."""
    source = """
        import threading
        import gastown_tracing as gt
        found = []
        threads = [threading.Thread(target=lambda: found.append(gt.init("name"))) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert len(set(map(id, found))) == 1 and found[0] is gt.init() and gt.is_active()
        assert found[0].tracer_provider.resource.attributes["service.name"] == "name"
        assert found[0].shutdown() and found[0].shutdown() and not gt.is_active()
        assert found[0].errors == [] and found[0].tracer_provider is None
    """
    python(source, env)


def test_resource(env: dict[str, str], journal_root: Path) -> None:
    """Spans name the service, this host and process, the session, and what OTEL_RESOURCE_ATTRIBUTES says."""
    source = """
        import gastown_tracing as gt
        gt.init("refinery", "1.2")
        with gt.sling(): pass
    """
    given = {"OTEL_RESOURCE_ATTRIBUTES": "team=a%20b,gt.role=old", "GT_RUN": RUN_UUID, "GT_ROLE": "mayor"}
    python(source, {**env, **given})
    (span,) = spans_of(journal_root)
    wanted = {
        "service.name": "refinery",
        "service.version": "1.2",
        "host.name": os.uname().nodename,
        "team": "a b",
        "gt.role": "mayor",
        "gt.run_id": RUN_ID,
        "telemetry.sdk.language": "python",
    }
    assert {key: span.resource[key] for key in wanted} == wanted
    assert span.resource["service.instance.id"]
    assert isinstance(span.resource["process.pid"], int)


ENDS = {
    "normally": "",
    "by an exception": "raise SystemExit(3)",
    "by kill -9": "os.kill(os.getpid(), 9)",
    "by SIGTERM": "os.kill(os.getpid(), 15)",
    "by os._exit": "os._exit(0)",
    "by exec": "os.execv('/bin/true', ['true'])",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=list(ENDS))
def test_with_a_journal_nothing_that_has_ended_is_lost(
    env: dict[str, str], journal_root: Path, end: str
) -> None:
    """However the process ends after 1,000 spans, 1,000 are read."""
    source = f"""
        import os
        import gastown_tracing as gt
        gt.init()

        @gt.traced(capture=("n",))
        def work(n): pass

        for n in range(1000):
            work(n)
        {end}
    """
    done = python(source, {**env, "GT_RUN": RUN_UUID}, check=False)
    assert done.stderr == ""
    spans = spans_of(journal_root)
    assert sorted(span.attributes["arg.n"] for span in spans) == list(range(1000))
    assert {span.parent_id for span in spans} == {ROOT_ID}


def test_a_journal_that_cannot_be_written_is_no_harm(env: dict[str, str], tmp_path: Path) -> None:
    """The program runs, says nothing, and finds the reason in provider.errors.

    GT_OTEL_DEBUG says it aloud.
    """
    (tmp_path / "file").write_text("")
    source = """
        import gastown_tracing as gt
        provider = gt.init()
        with gt.sling(): pass
        print(provider.errors)
    """
    broken = {**env, "GT_OTEL_JOURNAL": str(tmp_path / "file" / "journal")}
    assert "nothing is recorded: the journal cannot be made" in python(source, broken).stdout
    loud = python(source, {**broken, "GT_OTEL_DEBUG": "1"}, check=False)
    assert loud.stderr.startswith("gastown-tracing: nothing is recorded")


def test_a_journal_that_is_deleted_is_no_harm(env: dict[str, str]) -> None:
    """A program whose journal goes away carries on."""
    source = """
        import os, shutil
        import gastown_tracing as gt
        provider = gt.init()
        with gt.sling(): pass
        shutil.rmtree(os.environ["GT_OTEL_JOURNAL"])
        for _ in range(200):
            with gt.sling(): pass
        assert 0 < len(provider.errors) <= 100
    """
    python(source, env)


def test_what_the_journal_refuses_is_said_and_the_last_errors_are_kept(env: dict[str, str]) -> None:
    """Of more than 100 lines the last 100 are in provider.errors; GT_OTEL_DEBUG says each as it comes."""
    source = """
        import os, pathlib
        import gastown_tracing as gt
        provider = gt.init()
        journal = pathlib.Path(os.environ["GT_OTEL_JOURNAL"])
        journal.rename(f"{journal}.away")
        for _ in range(120):
            with gt.sling(): pass
        assert len(provider.errors) == 100
        journal.mkdir()
        (journal / "on").touch()
        (journal / "loose").touch()  # where a directory belongs
        with gt.sling(): pass
        print(provider.errors[-1])
    """
    done = python(source, {**env, "GT_OTEL_DEBUG": "1"}, check=False)
    lines = done.stderr.splitlines()
    # A line for each span, and one for its log record.
    assert (len(lines), lines[0].split(":")[:2]) == (242, ["gastown-tracing", " journal"])
    assert "the journal is gone" in lines[239]
    assert done.stdout == lines[241].removeprefix("gastown-tracing: ") + "\n"
    assert "Not a directory" in done.stdout


def test_a_broken_sdk_is_no_harm(env: dict[str, str]) -> None:
    """Where the SDK cannot be loaded, init() returns a provider that says so, and helpers do nothing."""
    source = """
        import sys
        sys.modules["opentelemetry.sdk.trace"] = None
        import gastown_tracing as gt
        provider = gt.init()
        with gt.sling(): pass
        assert "could not be switched on" in provider.errors[0] and not gt.is_active()
        assert provider.shutdown()
    """
    python(source, env)


def otlp(url: str) -> dict[str, str]:
    """Return an environment without a journal that sends traces to `url`, and nothing else."""
    others = {"GT_OTEL_METRICS_URL": "none", "GT_OTEL_LOGS_URL": "none", "GT_RUN": RUN_UUID}
    return {**clean_environ(), "HOME": "/nonexistent", "GT_OTEL_TRACES_URL": url, **others}


def test_without_a_journal_spans_go_by_otlp() -> None:
    """In protobuf to GT_OTEL_TRACES_URL, with OpenTelemetry's headers.

    The end of the program sends the rest.
    """
    source = """
        import gastown_tracing as gt
        gt.init("direct")
        with gt.bd_call(["list", "\\udcff"]) as call:
            call.set(exit_code=0)
        with gt.sling(bead="\\udcff"): pass
    """
    with sink() as server:
        python(source, {**otlp(server.url), "OTEL_EXPORTER_OTLP_HEADERS": "x-key=value"})
        path, headers = server.seen[0]
        bd, sling = server.spans()
        (resource,) = server.resources()
    assert (path, headers["x-key"]) == ("/v1/traces", "value")
    assert (bd.name, bd.trace_id.hex(), bd.parent_span_id.hex()) == ("bd.call", RUN_ID, ROOT_ID)
    assert bd.kind == bd.SPAN_KIND_CLIENT
    assert attributes(list(bd.attributes))["exit_code"] == 0
    assert attributes(list(sling.attributes))["bead"] == "?"
    assert attributes(list(resource.resource.attributes))["service.name"] == "direct"


def test_traces_can_be_switched_off_by_none() -> None:
    """`none` sends nothing, and context still reaches children."""
    source = """
        import gastown_tracing as gt
        provider = gt.init()
        with gt.sling():
            print(gt.child_env({})["TRACEPARENT"])
        assert provider.shutdown() and provider.errors == []
    """
    assert python(source, otlp("none")).stdout.startswith(f"00-{RUN_ID}-")


WORK = """
    import time
    import gastown_tracing as gt
    provider = gt.init()
    with gt.sling(): pass
"""


@pytest.mark.parametrize("endpoint", [refusing, hanging])
def test_a_dead_endpoint_does_not_hold_the_end(endpoint: Callable[[], AbstractContextManager[str]]) -> None:
    """The end waits 2 s at most (the SDK alone: 6.4 s and 10 s), says nothing, and changes no exit code."""
    with endpoint() as url:
        start = time.monotonic()
        python(WORK, otlp(url))
        assert time.monotonic() - start < 5


@pytest.mark.parametrize("endpoint", [refusing, hanging])
def test_shutdown_keeps_its_timeout(endpoint: Callable[[], AbstractContextManager[str]]) -> None:
    """And says what was not sent."""
    source = f"""{WORK}
    start = time.monotonic()
    assert provider.shutdown(0.2) is False
    assert time.monotonic() - start < 1
    assert provider.errors[-1] == "not all spans were sent within 0.2 s", provider.errors
    """
    with endpoint() as url:
        python(source, otlp(url))


OWN_SDK = """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    memory = InMemorySpanExporter()
    own = TracerProvider()
    own.add_span_processor(SimpleSpanProcessor(memory))
    trace.set_tracer_provider(own)
"""


def test_a_program_with_an_sdk_of_its_own_keeps_it(env: dict[str, str], journal_root: Path) -> None:
    """Its provider stays, sees our spans, and its own spans get into the journal as well, until shutdown."""
    source = f"""{OWN_SDK}
    import gastown_tracing as gt
    provider = gt.init()
    assert trace.get_tracer_provider() is own is provider.tracer_provider
    import logging
    assert not logging.getLogger("opentelemetry").handlers
    with gt.sling(), trace.get_tracer("theirs").start_as_current_span("theirs"): pass
    with gt.session(role="mayor"): pass
    assert provider.shutdown()
    with trace.get_tracer("theirs").start_as_current_span("after"): pass
    print(*[span.name for span in memory.get_finished_spans()])
    """
    said = python(source, {**env, "GT_RUN": RUN_UUID, "GT_ROLE": "mayor"}).stdout
    assert said == "theirs sling after\n"
    assert loose_spans(journal_root) == []
    spans = {span.name: span for span in spans_of(journal_root)}
    assert set(spans) == {"sling", "theirs"}
    assert spans["sling"].parent_id == ROOT_ID
    assert spans["theirs"].parent_id == spans["sling"].span_id
    assert spans["theirs"].attributes["role"] == "mayor"


def test_our_exporters_say_nothing_to_a_program_with_an_sdk_of_its_own() -> None:
    """Their warnings are in provider.errors alone; those of its own exporters it gets as before."""
    source = f"""{OWN_SDK}
    import logging
    import gastown_tracing as gt
    provider = gt.init()
    with gt.sling(): pass
    assert provider.shutdown(0.2) is False
    assert any("Transient error" in error for error in provider.errors), provider.errors
    logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter").warning("theirs")
    """
    with refusing() as url:
        done = python(source, otlp(url), check=False)
    assert (done.returncode, done.stderr) == (0, "theirs\n")


def test_a_signal_that_cannot_be_set_up_leaves_the_others(env: dict[str, str], journal_root: Path) -> None:
    """Where the SDK's metrics cannot be loaded, spans and log records are recorded all the same."""
    source = """
        import sys
        sys.modules["opentelemetry.sdk.metrics"] = None
        import gastown_tracing as gt
        provider = gt.init()
        with gt.sling(): pass
        assert "no metrics are sent: ModuleNotFoundError" in provider.errors[0]
    """
    python(source, {**env, "GT_OTEL_METRICS_URL": "http://127.0.0.1:9/v1/metrics", "GT_RUN": RUN_UUID})
    assert [span.name for span in spans_of(journal_root)] == ["sling"]


def test_a_forked_child_starts_clean(env: dict[str, str], journal_root: Path) -> None:
    """Parent and child each record their own spans: none twice, ids and process ids of their own."""
    source = """
        import os
        import gastown_tracing as gt
        gt.init()
        with gt.sling(target="parent"):
            pid = os.fork()
            with gt.nudge(target=str(os.getpid())): pass
            if pid == 0:
                gt.init()
                raise SystemExit(0)
            os.waitpid(pid, 0)
        print(os.getpid(), pid)
    """
    parent, child = python(source, {**env, "GT_RUN": RUN_UUID}).stdout.split()
    spans = spans_of(journal_root)
    assert sorted(span.name for span in spans) == ["nudge", "nudge", "sling"]
    assert len({span.span_id for span in spans}) == 3
    by_pid = {span.attributes["target"]: span for span in spans}
    assert by_pid[parent].parent_id == by_pid[child].parent_id == by_pid["parent"].span_id
    assert {str(span.resource["process.pid"]) for span in spans if span.name == "nudge"} == {parent, child}
    instances = {span.resource["service.instance.id"] for span in spans if span.name == "nudge"}
    assert len(instances) == 2


def test_what_a_forked_child_begins_is_recorded_whatever_the_clock_says(
    env: dict[str, str], journal_root: Path
) -> None:
    """A span with an earlier start, and all that follow a clock that was set back; in grandchildren too."""
    source = """
        import os, time
        import gastown_tracing as gt
        from opentelemetry import trace
        provider = gt.init()
        tracer = trace.get_tracer("theirs")

        def record(name):
            tracer.start_span(name, start_time=time.time_ns() - 60 * 10**9).end()
            now = gt.context.runtime.now
            gt.context.runtime.now = lambda: now() - 3600 * 10**9
            with gt.sling(target=name): pass
            gt.context.runtime.now = now

        def fork(then):
            pid = os.fork()
            if pid == 0:
                then()
                raise SystemExit(0)
            assert os.waitpid(pid, 0)[1] == 0

        def child():
            with gt.nudge(target="child"):
                fork(lambda: record("grandchild"))
            record("child")

        with gt.nudge(target="parent"):
            fork(child)
        record("parent")
        assert provider.errors == []
    """
    python(source, {**env, "GT_RUN": RUN_UUID})
    found = sorted((span.name, span.attributes.get("target")) for span in spans_of(journal_root))
    places = ("child", "grandchild", "parent")
    theirs, slung = [(name, None) for name in places], [("sling", name) for name in places]
    assert found == sorted([*theirs, *slung, ("nudge", "child"), ("nudge", "parent")], key=str)


def test_spans_that_a_forked_child_drops_without_an_end_are_not_kept() -> None:
    """What remembers a child's own spans does not hold them in memory."""
    source = """
        import os
        import gastown_tracing as gt
        from opentelemetry import trace
        gt.init()
        pid = os.fork()
        if pid == 0:
            import gc, weakref
            span = trace.get_tracer("theirs").start_span("dropped")
            seen = weakref.ref(span)
            del span
            gc.collect()
            os._exit(0 if seen() is None else 1)
        assert os.waitpid(pid, 0)[1] == 0
    """
    python(source, otlp("http://127.0.0.1:9/v1/traces"))


def test_fork_without_a_journal() -> None:
    """By OTLP as well each span comes once."""
    source = """
        import os
        import gastown_tracing as gt
        gt.init()
        with gt.sling():
            pid = os.fork()
            with gt.nudge(): pass
            if pid == 0:
                raise SystemExit(0)
            os.waitpid(pid, 0)
    """
    with sink() as server:
        python(source, otlp(server.url))
        assert sorted(span.name for span in server.spans()) == ["nudge", "nudge", "sling"]


def test_multiprocessing_children_record(env: dict[str, str], journal_root: Path) -> None:
    """A pool of forked workers writes into the journal, under the span that was current at the fork."""
    source = """
        import multiprocessing
        import gastown_tracing as gt

        @gt.traced(name="work")
        def work(n): return n

        if __name__ == "__main__":
            gt.init()
            with gt.sling(), multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map(work, range(20)) == list(range(20))
                pool.close()
                pool.join()
    """
    python(source, {**env, "GT_RUN": RUN_UUID})
    spans = spans_of(journal_root)
    (sling,) = [span for span in spans if span.name == "sling"]
    assert [span.parent_id for span in spans if span.name == "work"] == [sling.span_id] * 20


def test_warnings_of_opentelemetry_reach_whoever_caused_them() -> None:
    """What we make the SDK say goes to provider.errors; what the host does goes where it would without us."""
    source = """
        import logging
        import gastown_tracing as gt
        from opentelemetry import trace
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON
        from opentelemetry.sdk.trace import TracerProvider
        provider = gt.init()
        assert len(provider.errors) == 1 and "sampler" in provider.errors[0], provider.errors
        trace.set_tracer_provider(TracerProvider(ALWAYS_ON))
        logging.getLogger("opentelemetry.x").debug("not shown without us")
        logging.getLogger("opentelemetry.x").warning("second")
        logging.basicConfig(format="host: %(message)s")
        logging.getLogger("opentelemetry.x").warning("third")
        assert len(provider.errors) == 1, provider.errors
    """
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(line.strip() for line in source.splitlines())],
        env={**otlp("none"), "GT_RUN": "", "OTEL_TRACES_SAMPLER": "nonsense"},
        capture_output=True,
        text=True,
        check=True,
    )
    refused = "Overriding of current TracerProvider is not allowed"
    assert done.stderr.splitlines() == [refused, "second", "host: third"]
