"""The end of a process: one deadline for all signals, SIGTERM, forks, workers, endpoints that are no good."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from textwrap import dedent

import pytest

from tests.api.programs import direct, ends, python, run_file, running
from tests.api.sink import SIGNALS, VARIABLES, Sink, attributes, hanging, refusing, sink
from tests.conftest import clean_environ
from tests.processes import wait_until

#: Nothing is sent before the end.
NEVER = {
    "OTEL_METRIC_EXPORT_INTERVAL": "600000",
    "OTEL_BSP_SCHEDULE_DELAY": "600000",
    "OTEL_BLRP_SCHEDULE_DELAY": "600000",
}
#: The same in words, as provider.errors has them.
WHAT = {"traces": "spans", "logs": "log records", "metrics": "metrics"}

RECORD = """
    import os, signal, sys, threading, time
    import gastown_tracing as gt
    provider = gt.init()
    with gt.sling(): pass
"""


def arrived(server: Sink) -> set[str]:
    """Return the signals of which something has come."""
    return {signal for signal, requests in server.received.items() if requests}


@pytest.mark.parametrize("endpoint", [refusing, hanging])
@pytest.mark.parametrize("broken", SIGNALS)
def test_a_dead_endpoint_takes_no_time_from_the_others(
    broken: str, endpoint: Callable[[str], AbstractContextManager[str]]
) -> None:
    """Whichever signal's endpoint refuses or never answers, the other two arrive, within one deadline."""
    source = f"""{RECORD}
    start = time.monotonic()
    assert provider.shutdown(0.5) is False
    assert time.monotonic() - start < 5
    print(provider.errors[-1])
    """
    with sink() as server, endpoint(broken) as url:
        said = python(source, direct(server, **NEVER, **{VARIABLES[broken]: url})).stdout
        assert said == f"not all {WHAT[broken]} were sent within 0.5 s\n"
        assert arrived(server) == SIGNALS.keys() - {broken}


def test_three_dead_endpoints_take_as_long_as_one() -> None:
    """And each of the three says what was not sent."""
    source = f"""{RECORD}
    start = time.monotonic()
    assert provider.shutdown(0.5) is False
    assert time.monotonic() - start < 5
    for line in provider.errors[-3:]: print(line)
    """
    with hanging() as url:
        env = {**clean_environ(), "HOME": "/nonexistent", **dict.fromkeys(VARIABLES.values(), url), **NEVER}
        said = python(source, env).stdout.splitlines()
    assert sorted(said) == sorted(f"not all {what} were sent within 0.5 s" for what in WHAT.values())


def test_the_end_of_the_program_waits_two_seconds_at_most() -> None:
    """For endpoints that never answer, with nothing said and no exit code changed."""
    with hanging() as url:
        env = {**clean_environ(), "HOME": "/nonexistent", **dict.fromkeys(VARIABLES.values(), url)}
        start = time.monotonic()
        python(RECORD, env)
        assert time.monotonic() - start < 6


def test_what_an_endpoint_refuses_is_said() -> None:
    """A backend that answers 400 fails at once: shutdown says so, and how much was lost."""
    source = f"""{RECORD}
    assert provider.shutdown() is False
    for line in provider.errors: print(line)
    """
    with sink() as server:
        server.status = 400
        said = python(source, direct(server, **NEVER)).stdout.splitlines()
    assert {line for line in said if "not sent to" in line} == {
        "1 spans not sent to GT_OTEL_TRACES_URL",
        "1 log records not sent to GT_OTEL_LOGS_URL",
        "metrics not sent to GT_OTEL_METRICS_URL",
    }


def test_a_flush_sends_what_waits() -> None:
    """OpenTelemetry's own force_flush, on each provider, and with a deadline."""
    source = f"""{RECORD}
    from opentelemetry import _logs, metrics, trace
    providers = trace.get_tracer_provider(), _logs.get_logger_provider(), metrics.get_meter_provider()
    assert all(provider.force_flush(10_000) for provider in providers)
    os._exit(0)
    """
    with sink() as server:
        python(source, direct(server, **NEVER))
        assert arrived(server) == set(SIGNALS)
    with hanging() as url:
        flush = source.replace("10_000", "100").replace("assert all", "assert not any")
        start = time.monotonic()
        env = {**clean_environ(), "HOME": "/nonexistent", **dict.fromkeys(VARIABLES.values(), url), **NEVER}
        python(flush, env)
        assert time.monotonic() - start < 5


def test_many_records_come_in_batches() -> None:
    """Full batches are sent at once, the rest at the end, and nothing is lost."""
    source = """
        import gastown_tracing as gt
        provider = gt.init()
        for _ in range(1000):
            with gt.sling(): pass
        assert provider.shutdown(30), provider.errors
        assert provider.errors == ["OTEL_BLRP_MAX_EXPORT_BATCH_SIZE is no number above 0: 'nonsense'"]
    """
    limits = {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "nonsense"}
    with sink() as server:
        python(source, direct(server, **NEVER, **limits))
        assert (len(server.spans()), len(server.logs())) == (1000, 1000)
        sizes = [
            len(scope.spans)
            for request in server.received["traces"]
            for found in request.resource_spans
            for scope in found.scope_spans
        ]
    assert max(sizes) == 100


def test_what_does_not_fit_is_counted() -> None:
    """While an endpoint keeps us waiting only so many wait: the oldest go, and a line says how many."""
    source = """
        import gastown_tracing as gt
        provider = gt.init()
        for _ in range(35):
            with gt.sling(): pass
        print("ready", flush=True)
        input()
        provider.shutdown(30)
        print(*provider.errors)
    """
    with sink() as server:
        server.gate.clear()
        env = direct(server, **NEVER, OTEL_BSP_MAX_QUEUE_SIZE="10", GT_OTEL_LOGS_URL="none")
        with running(source, env) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            server.gate.set()
            count, rest = ends(process).split(maxsplit=1)
        assert rest == "spans dropped: more than 10 waited\n"
        assert int(count) >= 15
        assert len(server.spans()) + int(count) == 35


def test_sigterm_sends_what_waits_and_kills() -> None:
    """Whoever waits for the process sees it die of SIGTERM."""
    source = f"""{RECORD}
    print("ready", flush=True)
    time.sleep(60)
    """
    with sink() as server, running(source, direct(server, **NEVER)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert ends(process, -signal.SIGTERM) == ""
        assert arrived(server) == set(SIGNALS)


def test_sigterm_serves_whatever_was_switched_on_last() -> None:
    """Telemetry that another thread switched off, and that the main thread switched on again."""
    source = """
        import os, signal, threading
        import gastown_tracing as gt
        first = gt.init()
        ending = threading.Thread(target=first.shutdown)
        ending.start()
        ending.join()
        gt.init()
        gt.record_nudge(target="x")
        os.kill(os.getpid(), signal.SIGTERM)
    """
    with sink() as server:
        with running(source, direct(server)) as process:
            ends(process, -signal.SIGTERM)
        assert [span.name for span in server.spans()] == ["nudge"]


def test_sigterm_waits_for_dead_endpoints_no_longer_than_the_end_does() -> None:
    """2 s at most, and a second SIGTERM kills at once."""
    source = f"""{RECORD}
    print("ready", flush=True)
    time.sleep(60)
    """
    with hanging() as url:
        env = {**clean_environ(), "HOME": "/nonexistent", **dict.fromkeys(VARIABLES.values(), url), **NEVER}
        took = []
        for again in (False, True):
            with running(source, env) as process:
                assert process.stdout is not None
                process.stdout.readline()
                start = time.monotonic()
                process.terminate()
                if again:
                    # The first has arrived when it is not handled any more.
                    wait_until(lambda: not catches(process.pid, signal.SIGTERM), "the handler")
                    process.terminate()
                ends(process, -signal.SIGTERM)
                took.append(time.monotonic() - start)
    assert took[1] < took[0] < 6


def catches(pid: int, number: signal.Signals) -> bool:
    """Return whether a process handles a signal itself."""
    (line,) = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt:")
    ]
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)


def test_sigterm_during_the_end_is_obeyed_after_it() -> None:
    """What is being sent arrives, and then the process dies of the signal."""
    source = f"""{RECORD}
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    from gastown_tracing.tracing.direct import Batches
    send = Batches.send
    Batches.send = lambda self: time.sleep(0.5) or send(self)
    provider.shutdown()
    print("alive")
    """
    with sink() as server, running(source, direct(server, **NEVER)) as process:
        assert ends(process, -signal.SIGTERM) == ""
        assert arrived(server) == set(SIGNALS)


def test_sigterm_is_left_alone_where_it_is_not_ours() -> None:
    """A handler of the program's, SIG_IGN, another thread, an argument, a journal, and after shutdown."""
    source = """
        import signal, threading
        import gastown_tracing as gt
        action = lambda: signal.getsignal(signal.SIGTERM)
        def theirs(number, frame): ...
        for before in (theirs, signal.SIG_IGN):
            signal.signal(signal.SIGTERM, before)
            provider = gt.init()
            assert action() is before
            assert provider.shutdown() and action() is before
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        gt.init(flush_on_sigterm=False)
        assert action() is signal.SIG_DFL
        gt.init().shutdown()
        thread = threading.Thread(target=gt.init)
        thread.start()
        thread.join()
        assert action() is signal.SIG_DFL
        gt.init().shutdown()
        provider = gt.init()
        assert callable(action())
        assert provider.shutdown() and action() is signal.SIG_DFL
        provider = gt.init()
        signal.signal(signal.SIGTERM, theirs)
        assert provider.shutdown() and action() is theirs
    """
    with sink() as server:
        python(source, direct(server))


def test_with_a_journal_sigterm_is_left_alone(env: dict[str, str]) -> None:
    """Nothing waits: what has ended is written. With an endpoint for metrics something does."""
    source = """
        import signal
        import gastown_tracing as gt
        gt.init()
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
    """
    assert python(source, env).stdout == "True\n"
    with sink() as server:
        assert python(source, {**env, **server.env()}).stdout == "False\n"


FORK = """
    import os, signal, sys, time
    import gastown_tracing as gt
    from opentelemetry import metrics
    gt.init()
    counter = metrics.get_meter("theirs").create_counter("theirs.total")
    for _ in range(3):
        with gt.sling(target="parent"): pass
        counter.add(1)
    pid = os.fork()
    if pid == 0:
        with gt.sling(target="child"): pass
        counter.add(1)
        {end}
    _, status = os.waitpid(pid, 0)
    with gt.sling(target="parent"): pass
    print(pid, os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("raise SystemExit(7)", 7),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -signal.SIGTERM),
    ],
)
def test_a_forked_child_starts_clean(end: str, code: int) -> None:
    """It sends what is its own, under its own ids, and nothing that its parent had waiting or counted."""
    with sink() as server:
        child, exited = python(FORK.format(end=end), direct(server, **NEVER)).stdout.split()
        assert int(exited) == code
        spans, logs, sums = by_pid(server)
    (parent,) = set(spans) - {int(child)}
    assert spans == {parent: Counter(parent=4), int(child): Counter(child=1)}
    assert logs == spans
    assert sums == {
        parent: {"gastown.sling.dispatches.total": 4, "theirs.total": 3},
        int(child): {"gastown.sling.dispatches.total": 1, "theirs.total": 1},
    }
    instances = {
        (described["process.pid"], described["service.instance.id"])
        for found in (*server.resources(), *server.resource_logs(), *server.resource_metrics())
        for described in [attributes(found.resource.attributes)]
    }
    assert len(instances) == 2
    assert len({instance for _, instance in instances}) == 2


def by_pid(
    server: Sink,
) -> tuple[dict[int, Counter[str]], dict[int, Counter[str]], dict[int, dict[str, int]]]:
    """Return the targets of spans and of log records, and the last sums, by process."""
    spans: dict[int, Counter[str]] = {}
    logs: dict[int, Counter[str]] = {}
    sums: dict[int, dict[str, int]] = {}
    for found in server.resources():
        for scope in found.scope_spans:
            targets = [str(attributes(span.attributes)["target"]) for span in scope.spans]
            spans.setdefault(pid_of(found.resource), Counter()).update(targets)
    for found in server.resource_logs():
        for scope in found.scope_logs:
            targets = [str(attributes(record.attributes)["target"]) for record in scope.log_records]
            logs.setdefault(pid_of(found.resource), Counter()).update(targets)
    for found in server.resource_metrics():
        for scope in found.scope_metrics:
            for metric in scope.metrics:
                sums.setdefault(pid_of(found.resource), {})[metric.name] = metric.sum.data_points[0].as_int
    return spans, logs, sums


def pid_of(resource: object) -> int:
    return int(str(attributes(resource.attributes)["process.pid"]))  # type: ignore[attr-defined]


def test_a_fork_while_others_export_and_record_hangs_nobody() -> None:
    """Children forked while threads hold whatever locks there are record and end as they should."""
    source = """
        import logging, os, threading, time
        import gastown_tracing as gt
        from opentelemetry import metrics
        provider = gt.init()
        logging.getLogger().addHandler(gt.LogHandler())
        meter = metrics.get_meter("theirs")
        meter.create_observable_gauge("slow", [lambda options: time.sleep(0.002) or []])
        stop = threading.Event()
        def work():
            while not stop.is_set():
                with gt.sling(target="parent"):
                    logging.warning("parent")
                time.sleep(0.002)
        with gt.sling(target="parent"):
            logging.warning("parent")  # what is imported late is there: a fork meanwhile is Python's own trap
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads: thread.start()
        failed = []
        for number in range(15):
            pid = os.fork()
            if pid == 0:
                with gt.sling(target=f"child {number}"):
                    logging.warning("child")
                os._exit(0 if gt.init().shutdown(20) else 1)
            failed += [number] if os.waitpid(pid, 0)[1] else []
        stop.set()
        for thread in threads: thread.join()
        assert provider.shutdown(20) and not failed, (provider.errors, failed)
    """
    often = {"OTEL_METRIC_EXPORT_INTERVAL": "5"}
    for batch in ("OTEL_BSP", "OTEL_BLRP"):
        often |= {f"{batch}_SCHEDULE_DELAY": "5", f"{batch}_MAX_QUEUE_SIZE": "100000"}
    with sink() as server:
        python(source, direct(server, **often))
        spans, logs = server.spans(), server.logs()
    targets = Counter(str(attributes(span.attributes)["target"]) for span in spans)
    assert {target: targets[target] for target in targets if target != "parent"} == {
        f"child {number}": 1 for number in range(15)
    }
    assert len({span.span_id for span in spans}) == len(spans)
    assert sum(record.body.string_value == "child" for record in logs) == 15


def test_workers_of_multiprocessing_send_what_they_have_recorded() -> None:
    """They leave by os._exit, or are terminated: what they did arrives, once, and their counts add up."""
    source = """
        import multiprocessing
        import gastown_tracing as gt

        def work(number):
            with gt.sling(target="child"): pass
            return number

        if __name__ == "__main__":
            gt.init()
            with gt.sling(target="parent"): pass
            fork = multiprocessing.get_context("fork")
            for end in ("close", "terminate"):
                pool = fork.Pool(2)
                assert pool.map(work, range(20)) == list(range(20))
                getattr(pool, end)()
                pool.join()
            single = fork.Process(target=work, args=(1,))
            single.start()
            single.join()
            assert single.exitcode == 0
    """
    with sink() as server:
        python(source, direct(server, **NEVER))
        spans, logs, sums = by_pid(server)
    assert sum(spans.values(), Counter()) == Counter(parent=1, child=41)
    assert sum(logs.values(), Counter()) == Counter(parent=1, child=41)
    assert sum(found["gastown.sling.dispatches.total"] for found in sums.values()) == 42


@pytest.mark.parametrize("where", ["parent", "worker", "both", "module"])
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_send_wherever_telemetry_was_switched_on(method: str, where: str, tmp_path: Path) -> None:
    """In the parent, in the worker, in both, or when the program is imported; however workers are started."""
    source = f"""
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        import gastown_tracing as gt

        def begin():
            if {where!r} in ("worker", "both"):
                gt.init()

        def work(number):
            begin()
            with gt.sling(target="child"): pass
            return number

        if {where!r} == "module":
            gt.init()

        if __name__ == "__main__":
            if {where!r} in ("parent", "both"):
                gt.init()
            context = multiprocessing.get_context({method!r})
            single = context.Process(target=work, args=(1,))
            single.start()
            single.join()
            assert single.exitcode == 0
            with ProcessPoolExecutor(1, context, initializer=begin) as executor:
                assert list(executor.map(work, range(3))) == [0, 1, 2]
            with context.Pool(1) as pool:  # which terminates its workers
                assert pool.map(work, range(3)) == [0, 1, 2]
    """
    program = tmp_path / "program.py"
    program.write_text(dedent(source))
    with sink() as server:
        run_file(program, direct(server, **NEVER, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="system_metrics"))
        spans, logs, _ = by_pid(server)
    on = where != "parent" or method == "fork"
    expected = Counter(child=7) if on else Counter()
    assert sum(spans.values(), Counter()) == expected
    assert sum(logs.values(), Counter()) == expected


def test_no_thread_keeps_the_process_alive() -> None:
    """A program that ends ends, also where it never shuts down and atexit does not run."""
    source = f"""{RECORD}
    import atexit
    atexit.unregister(provider.shutdown)
    print([thread.name for thread in threading.enumerate() if not thread.daemon])
    """
    with sink() as server:
        assert python(source, direct(server, **NEVER)).stdout == "['MainThread']\n"
