"""Metrics: what events and instruments add up to, what a process measures of itself, where it all goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gastown_tracing.events.commands import DURATIONS
from tests.api.programs import RUN_ID, RUN_UUID, direct, ends, python, running, spans_of
from tests.api.sink import Sink, attributes, sink
from tests.processes import wait_until

#: So often, in milliseconds, that a test need not wait; and so seldom that only a flush sends.
OFTEN, NEVER = {"OTEL_METRIC_EXPORT_INTERVAL": "50"}, {"OTEL_METRIC_EXPORT_INTERVAL": "600000"}

GC_PAUSE = "gastown.runtime.gc_pause_ms"


def names(server: Sink) -> set[str]:
    """Return the names of all metrics that have come."""
    return {metric.name for metric in server.metrics()}


def resources(server: Sink) -> list[dict[str, object]]:
    """Return the attributes of the resources of each signal, once each."""
    found = [*server.resources(), *server.resource_logs(), *server.resource_metrics()]
    seen: list[dict[str, object]] = []
    for part in found:
        described = attributes(part.resource.attributes)
        if described not in seen:
            seen.append(described)
    return seen


def test_the_three_signals_have_one_resource() -> None:
    """Span, log record and metrics of an event say the same of their process, by protobuf over HTTP."""
    source = """
        import gastown_tracing as gt
        gt.init("refinery", "1.2")
        with gt.sling(): pass
    """
    with sink() as server:
        python(source, direct(server, GT_ROLE="mayor", GT_SESSION="hq-mayor"))
        (found,) = resources(server)
        assert {signal: len(server.seen_of(signal)) for signal in ("traces", "logs", "metrics")} == {
            "traces": 1,
            "logs": 1,
            "metrics": 1,
        }
        assert {headers["content-type"] for _, headers in server.seen} == {"application/x-protobuf"}
        assert not any("content-encoding" in headers for _, headers in server.seen)
    assert (found["service.name"], found["service.version"]) == ("refinery", "1.2")
    assert (found["gt.run_id"], found["gt.session"]) == (RUN_ID, "hq-mayor")
    assert found["service.instance.id"]


def test_metrics_are_cumulative_with_exemplars() -> None:
    """Each export says all that has happened, whatever the preference; exemplars name the span."""
    source = """
        import gastown_tracing as gt
        from opentelemetry import metrics
        gt.init()
        for code in (0, 0, 1):
            with gt.bd_call(["list"]) as call:
                call.set(exit_code=code)
            assert metrics.get_meter_provider().force_flush()
    """
    with sink() as server:
        preference = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}
        aggregation = {
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram"
        }
        python(source, direct(server, **NEVER, **preference, **aggregation))
        counters = [metric for metric in server.metrics() if metric.name == "gastown.bd.calls.total"]
        durations = [metric for metric in server.metrics() if metric.name == "gastown.bd.duration_ms"]
        spans = {span.span_id for span in server.spans()}
    assert all(counter.sum.aggregation_temporality == 2 and counter.sum.is_monotonic for counter in counters)
    counts = [
        {str(attributes(point.attributes)["status"]): point.as_int for point in counter.sum.data_points}
        for counter in counters
    ]
    assert counts == [{"ok": 1}, {"ok": 2}, {"ok": 2, "error": 1}, {"ok": 2, "error": 1}]
    starts = {counter.sum.data_points[0].start_time_unix_nano for counter in counters}
    assert len(starts) == 1
    (point,) = durations[-2].histogram.data_points
    assert (tuple(point.explicit_bounds), point.count) == (DURATIONS, 3)
    assert {counters[0].unit, durations[0].unit} == {""}
    exemplars = [
        exemplar for counter in counters for point in counter.sum.data_points for exemplar in point.exemplars
    ]
    assert {exemplar.trace_id.hex() for exemplar in exemplars} == {RUN_ID}
    assert {exemplar.span_id for exemplar in exemplars} == spans
    assert attributes(durations[0].histogram.data_points[0].attributes) == {"subcommand": "list"}


def test_with_a_journal_events_are_not_measured(env: dict[str, str], journal_root: Path) -> None:
    """Whoever ships the journal derives their metrics; the process's own and the program's are exported."""
    source = """
        import gastown_tracing as gt
        from opentelemetry import metrics
        provider = gt.init()
        with gt.bd_call(["list"]) as call:
            call.set(exit_code=0)
        metrics.get_meter("theirs").create_counter("theirs.total").add(1)
        input()
        assert provider.shutdown() and provider.errors == []
    """
    with sink() as server:
        given = {**env, **server.env(), **OFTEN, "GT_RUN": RUN_UUID}
        with running(source, given) as process:
            wait_until(lambda: "process.memory.usage" in names(server), "runtime metrics")
            ends(process)
        assert (server.seen_of("traces"), server.seen_of("logs")) == ([], [])
        assert "theirs.total" in names(server)
        assert not [name for name in names(server) if name.startswith("gastown.bd")]
        (resource,) = resources(server)
    (span,) = spans_of(journal_root)
    assert resource["service.instance.id"] == span.resource["service.instance.id"]


def test_without_an_endpoint_nothing_of_metrics_is_loaded(env: dict[str, str]) -> None:
    """A journal alone does without the SDK's metrics, exporters and any thread, `none` without the first."""
    source = """
        import os, sys, threading
        import gastown_tracing as gt
        provider = gt.init()
        with gt.sling(): pass
        assert "opentelemetry.sdk.metrics" not in sys.modules
        assert provider.errors == []
        print(threading.active_count(), "requests" in sys.modules)
    """
    assert python(source, env).stdout == "1 False\n"
    with sink() as server:
        assert python(source, direct(server, GT_OTEL_METRICS_URL="none")).stdout == "3 True\n"
        assert (len(server.spans()), len(server.logs())) == (1, 1)


def test_a_long_lived_process_measures_itself() -> None:
    """Its processor time, memory, threads, garbage collections and their pauses: itself, not the system."""
    source = """
        import gc
        import gastown_tracing as gt
        provider = gt.init()
        gc.collect()
        input()
        assert provider.shutdown() and provider.errors == [], provider.errors
        assert not gc.callbacks
    """
    with sink() as server:
        with running(source, direct(server, **OFTEN)) as process:
            wait_until(lambda: server.points("process.memory.usage"), "runtime metrics")
            ends(process)
        assert names(server) == {
            "process.context_switches",
            "process.cpu.time",
            "process.disk.io",
            "process.memory.usage",
            "process.memory.virtual",
            "process.open_file_descriptor.count",
            "process.thread.count",
            "cpython.gc.collections",
            "cpython.gc.collected_objects",
            "cpython.gc.uncollectable_objects",
            "gastown.runtime.gc_pause_ms",
        }
        (memory,) = server.points("process.memory.usage")
        pauses = {attributes(point.attributes)["generation"]: point for point in server.points(GC_PAUSE)}
    assert memory.as_int > 1 << 20
    assert pauses["2"].count >= 1
    assert pauses["2"].sum >= pauses["2"].max >= pauses["2"].min > 0
    assert sum(pauses["2"].bucket_counts) == pauses["2"].count
    assert pauses["2"].explicit_bounds[0] == 0.1


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        ("runtime_metrics=False", {}),
        ("", {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "requests, system_metrics"}),
    ],
)
def test_runtime_metrics_can_be_switched_off(options: str, variables: dict[str, str]) -> None:
    """By an argument of init() and by OpenTelemetry's variable: nothing is measured or loaded."""
    source = f"""
        import gc, sys
        import gastown_tracing as gt
        from opentelemetry import metrics
        gt.init({options})
        metrics.get_meter("theirs").create_counter("theirs.total").add(1)
        assert not gc.callbacks
        input()
        assert "opentelemetry.instrumentation.system_metrics" not in sys.modules
    """
    with sink() as server:
        with running(source, direct(server, **OFTEN, **variables)) as process:
            # After a second runtime metrics would be there, and then one more export.
            wait_until(lambda: lived(server) > 1.2, "a long-lived process")
            ends(process)
        assert names(server) == {"theirs.total"}


def lived(server: Sink) -> float:
    """Return for how many seconds a program has counted."""
    points = server.points("theirs.total")
    return (points[0].time_unix_nano - points[0].start_time_unix_nano) / 1e9 if points else 0


def test_a_broken_instrumentation_leaves_the_other_metrics(env: dict[str, str]) -> None:
    """Where system metrics cannot be loaded a line says so, and what the program counts is exported."""
    source = """
        import sys
        sys.modules["opentelemetry.instrumentation.system_metrics"] = None
        import gastown_tracing as gt
        from opentelemetry import metrics
        provider = gt.init()
        metrics.get_meter("theirs").create_counter("theirs.total").add(1)
        input()
        assert provider.shutdown()
        print(*provider.errors)
    """
    with sink() as server:
        with running(source, {**env, **server.env(), **OFTEN}) as process:
            wait_until(lambda: lived(server) > 1.2, "a long-lived process")
            said = ends(process)
        assert names(server) == {"theirs.total"}
    assert said.startswith("the process does not measure itself: ModuleNotFoundError")
    assert said.count("measure itself") == 1


def test_exemplars_can_be_switched_off() -> None:
    """By OpenTelemetry's variable; what it does not know leaves them as they are."""
    source = """
        import gastown_tracing as gt
        gt.init()
        with gt.sling(): pass
    """
    counts = []
    for named in ("always_off", "always_on", "nonsense"):
        with sink() as server:
            python(source, direct(server, OTEL_METRICS_EXEMPLAR_FILTER=named))
            counts.append(len(server.points("gastown.sling.dispatches.total")[0].exemplars))
    assert counts == [0, 1, 1]


def test_a_short_lived_process_does_not_measure_itself() -> None:
    """A series with one point tells nothing: only what it did is exported, and psutil is not loaded."""
    source = """
        import gc, sys
        import gastown_tracing as gt
        provider = gt.init()
        gc.collect()
        with gt.sling(): pass
        assert provider.shutdown()
        assert "opentelemetry.instrumentation.system_metrics" not in sys.modules
    """
    with sink() as server:
        python(source, direct(server))
        assert names(server) == {"gastown.sling.dispatches.total"}


def test_a_program_that_instruments_itself_keeps_its_instrumentation() -> None:
    """Whenever it does so its metrics come once, as it has configured them."""
    source = """
        import sys
        from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor
        import gastown_tracing as gt
        provider = gt.init()
        input()
        wanted = {"process.memory.usage": None, "system.thread_count": None}
        SystemMetricsInstrumentor(config=wanted).instrument()
        input()
        assert SystemMetricsInstrumentor().is_instrumented_by_opentelemetry
        assert provider.shutdown() and provider.errors == []
        assert SystemMetricsInstrumentor().is_instrumented_by_opentelemetry
    """
    with sink() as server:
        with running(source, direct(server, **OFTEN)) as process:
            wait_until(lambda: "process.cpu.time" in names(server), "ours")
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            wait_until(lambda: "system.thread_count" in names(server), "theirs")
            ends(process)
        last = [
            metric.name
            for found in server.received["metrics"][-1].resource_metrics
            for scope in found.scope_metrics
            for metric in scope.metrics
        ]
    assert sorted(set(last) - {GC_PAUSE}) == ["process.memory.usage", "system.thread_count"]
    assert len(last) == len(set(last))


def test_label_sets_are_bounded() -> None:
    """After 2,000 label sets of one instrument all others are one: otel.metric.overflow."""
    source = """
        import gastown_tracing as gt
        provider = gt.init()
        for number in range(2100):
            gt.record("mail", operation=f"o{number}")
        assert provider.shutdown()
    """
    with sink() as server:
        python(source, direct(server, GT_OTEL_TRACES_URL="none", GT_OTEL_LOGS_URL="none"))
        points = server.points("gastown.mail.operations.total")
    assert len(points) == 2001
    (overflow,) = [point for point in points if "otel.metric.overflow" in attributes(point.attributes)]
    assert overflow.as_int == 100


def test_metrics_that_no_event_feeds() -> None:
    """A gauge, a counter and a histogram of the registry, measured in the current span."""
    source = """
        import gastown_tracing as gt
        from gastown_tracing.events.recorder import measure
        provider = gt.init()
        gt.traced(name="probe")(lambda: [
            measure("gastown.refinery.queue_depth", 3, rig="demo"),
            measure("gastown.probe.errors.total", 2, probe="refinery"),
            measure("gastown.refinery.item_age_ms", 1500.5, rig="demo"),
        ])()
        assert provider.shutdown()
    """
    with sink() as server:
        python(source, direct(server))
        (probe,) = server.spans()
        kinds = {metric.name: metric.WhichOneof("data") for metric in server.metrics()}
        (depth,) = server.points("gastown.refinery.queue_depth")
        (errors,) = server.points("gastown.probe.errors.total")
        (age,) = server.points("gastown.refinery.item_age_ms")
    assert kinds == {
        "gastown.refinery.queue_depth": "gauge",
        "gastown.probe.errors.total": "sum",
        "gastown.refinery.item_age_ms": "histogram",
    }
    assert (depth.as_int, attributes(depth.attributes)) == (3, {"rig": "demo"})
    assert (errors.as_int, attributes(errors.attributes)) == (2, {"probe": "refinery"})
    assert (age.sum, attributes(age.attributes)) == (1500.5, {"rig": "demo"})
    for point in (depth, errors, age):
        assert [exemplar.span_id for exemplar in point.exemplars] == [probe.span_id]


def test_a_meter_provider_of_the_program_stays_and_is_joined() -> None:
    """Its own reader sees its instruments alone; our endpoint gets those and ours."""
    source = """
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        import gastown_tracing as gt
        memory = InMemoryMetricReader()
        own = MeterProvider([memory])
        metrics.set_meter_provider(own)
        provider = gt.init()
        assert metrics.get_meter_provider() is own
        counter = metrics.get_meter("theirs").create_counter("theirs.total")
        counter.add(1)
        with gt.sling(): pass
        assert provider.shutdown() and provider.errors == []
        counter.add(1)
        scopes = memory.get_metrics_data().resource_metrics[0].scope_metrics
        assert [metric.name for scope in scopes for metric in scope.metrics] == ["theirs.total"]
        assert scopes[0].metrics[0].data.data_points[0].value == 2
    """
    with sink() as server:
        python(source, direct(server))
        assert names(server) == {"theirs.total", "gastown.sling.dispatches.total"}
        (point,) = server.points("theirs.total")
    assert point.as_int == 1


def test_instruments_outlive_shutdown_and_begin_anew() -> None:
    """From one init() to the next an instrument of the program goes on, and counts from zero."""
    source = """
        import gastown_tracing as gt
        from opentelemetry import metrics
        counter = metrics.get_meter("theirs").create_counter("theirs.total")
        for amount in (1, 2):
            provider = gt.init(f"number {amount}")
            counter.add(amount)
            assert provider.shutdown() and provider.errors == []
            counter.add(10)
    """
    with sink() as server:
        python(source, direct(server))
        values = [metric.sum.data_points[0].as_int for metric in server.metrics()]
        services = [
            attributes(found.resource.attributes)["service.name"] for found in server.resource_metrics()
        ]
    assert (values, services) == ([1, 2], ["number 1", "number 2"])


TOTALS = {
    "gastown.process.cpu_seconds",
    "gastown.process.memory_peak_bytes",
    "gastown.process.gc_collections",
    "gastown.process.gc_pause_ms",
}


def test_the_root_span_of_a_long_lived_process_says_what_it_took() -> None:
    """Spans without a parent in this process that lasted a second; no others, and no inner ones."""
    source = """
        import gastown_tracing as gt
        gt.init()
        real = gt.context.runtime.monotonic
        with gt.sling(target="short"):
            pass
        with gt.sling(target="long"):
            with gt.nudge():
                gt.context.runtime.monotonic = lambda: real() + 10**9
        with gt.session(role="mayor"):
            gt.context.runtime.monotonic = lambda: real() + 2 * 10**9
        with gt.session(role="deacon"):
            pass
    """
    with sink() as server:
        python(source, direct(server))
        found = {
            (span.name, str(described.get("target", described.get("role")))): described
            for span in server.spans()
            for described in [attributes(span.attributes)]
        }
    told = {key for key, described in found.items() if TOTALS & described.keys()}
    assert told == {("sling", "long"), ("gt.session", "mayor")}
    long = found["sling", "long"]
    assert long.keys() >= TOTALS
    assert isinstance(long["gastown.process.cpu_seconds"], float)
    assert 0 < long["gastown.process.cpu_seconds"] < 60
    assert isinstance(long["gastown.process.memory_peak_bytes"], int)
    assert long["gastown.process.memory_peak_bytes"] > 1 << 22
    assert long["gastown.process.gc_collections"] > 0


def test_totals_in_a_journal(env: dict[str, str], journal_root: Path) -> None:
    """The root of a session has them where it ran here, without pauses where nobody measured them."""
    source = f"""
        import os
        import gastown_tracing as gt
        gt.init()
        real = gt.context.runtime.monotonic
        with gt.session(role="mayor", run_id="{RUN_ID}"):
            gt.context.runtime.monotonic = lambda: real() + 2 * 10**9
        started = gt.start_session(role="deacon", run_id="{"4" + RUN_ID[1:]}")
        gt.context.runtime.monotonic = lambda: real() + 4 * 10**9
        gt.end_session(started)
    """
    python(source, env)
    (here,) = [span for span in spans_of(journal_root) if span.name == "gt.session"]
    (away,) = [span for span in spans_of(journal_root, "4" + RUN_ID[1:]) if span.name == "gt.session"]
    assert TOTALS & here.attributes.keys() == TOTALS - {"gastown.process.gc_pause_ms"}
    assert not TOTALS & away.attributes.keys()


def test_garbage_collections_of_a_parent_are_not_a_childs() -> None:
    """A forked child counts its own."""
    source = """
        import gc, os
        import gastown_tracing as gt
        gt.init()
        real = gt.context.runtime.monotonic
        for _ in range(500):
            gc.collect(0)
        if os.fork() == 0:
            with gt.sling(target="child"):
                gt.context.runtime.monotonic = lambda: real() + 10**9
            raise SystemExit(0)
        os.wait()
    """
    with sink() as server:
        python(source, {**direct(server), "GT_RUN": ""})
        (span,) = server.spans()
    assert attributes(span.attributes)["gastown.process.gc_collections"] < 100


def test_a_callback_that_never_ends_keeps_no_event_from_being_counted() -> None:
    """Our instruments are read and sent before the program's, at its end, too."""
    source = """
        import time
        import gastown_tracing as gt
        from opentelemetry import metrics
        provider = gt.init()
        meter = metrics.get_meter("theirs")
        meter.create_observable_gauge("slow", [lambda options: time.sleep(600)])
        with gt.sling(): pass
        assert not provider.shutdown(0.5)
        print(*provider.errors)
    """
    with sink() as server:
        assert python(source, direct(server)).stdout == "not all metrics were sent within 0.5 s\n"
        assert names(server) == {"gastown.sling.dispatches.total"}


def test_a_callback_that_raises_is_the_hosts() -> None:
    """OpenTelemetry's line about it is on stderr as it would be without us; others are sent."""
    source = """
        import sys
        sys.stderr = sys.stdout
        import gastown_tracing as gt
        from opentelemetry import metrics
        provider = gt.init()
        def broken(options): raise RuntimeError("theirs")
        metrics.get_meter("theirs").create_observable_gauge("broken", [broken])
        metrics.get_meter("theirs").create_counter("theirs.total").add(1)
        assert provider.shutdown() and provider.errors == []
    """
    with sink() as server:
        said = python(source, direct(server)).stdout
        assert names(server) == {"theirs.total"}
    assert said.startswith("Callback failed for instrument broken.")
    assert said.endswith("RuntimeError: theirs\n")
