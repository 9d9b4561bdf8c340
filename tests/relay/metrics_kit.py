"""What tests of derived and added-up metrics have in common: lines of a journal, and a worker to kill."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from gastown_tracing.journal import otlp
from gastown_tracing.journal.layout import Journal
from gastown_tracing.relay.encode_metrics import encode
from gastown_tracing.relay.series import Book, Gauge, Items
from tests.conftest import ROOT, clean_environ
from tests.events.arrived import Arrived

RUN = "af7651916cd43dd8448eb211c80319c0"
BASE: Items = (("host.name", "h"), ("service.instance.id", "i"), ("service.name", "gastown"))
NOW = 1_800_000_000_000_000_000
POLECAT = {
    "service.name": "gastown",
    "service.instance.id": "one process",
    "process.pid": 7,
    "gt.role": "demo/polecats/rust",
    "gt.rig": "demo",
    "gt.actor": "demo/polecats/rust",
    "gt.run_id": RUN,
    "gt.session": "gt-demo-rust",
}


def log_line(
    event: str,
    attributes: Mapping[str, object],
    *,
    uid: str = "",
    resource: Mapping[str, object] = POLECAT,
    scope: str = otlp.SCOPE,
    time_ns: int = NOW,
    span_id: str = "b7ad6b7169203331",
) -> bytes:
    """Return a line of logs.jsonl, as a process of ours writes it."""
    record = otlp.Log(
        time_ns,
        event_name=event,
        body=event,
        attributes={**attributes, "log.record.uid": uid or os.urandom(16).hex()},
        trace_id=RUN,
        span_id=span_id,
    )
    return otlp.logs_line(otlp.encode_resource(resource), [record], scope)


def bd_call(uid: str = "", milliseconds: float = 7.5, **how: Any) -> bytes:
    """Return the line of a bd command that succeeded."""
    facts = {"subcommand": "create", "duration_ms": milliseconds, "status": "ok", "error": ""}
    return log_line("bd.call", facts, uid=uid, **how)


def append(journal: Journal, line: bytes, place: str = f"runs/{RUN}", name: str = "logs.jsonl") -> Path:
    """Append lines to a file of a journal, and return its path."""
    directory = Path(journal.root, place)
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / name, "ab") as file:
        file.write(line)
    return directory / name


def exported(book: Book, time_ns: int = NOW, after: int = 0) -> Arrived:
    """Return what a book exports, as a receiver has it."""
    _, entries = book.snapshot(after)
    for _, _, _, series in entries:
        if not isinstance(series, Gauge):
            series.begun = True
    return arrived(encode(entries, time_ns, BASE))


def arrived(requests: Iterable[Any]) -> Arrived:
    """Return what requests hold, each as it is sent."""
    found = Arrived()
    for request in requests:
        found.take_metrics(ExportMetricsServiceRequest.FromString(request.body()).resource_metrics)
    return found


def config(journal: Journal, url: str, **more: str) -> None:
    """Let the relay of a journal export metrics to `url`, and nothing else to anywhere."""
    settings = {
        "GT_OTEL_METRICS_URL": url or "none",
        "GT_OTEL_TRACES_URL": "none",
        "GT_OTEL_LOGS_URL": "none",
    }
    journal.write_config({**settings, "OTEL_METRIC_EXPORT_INTERVAL": "50", **more})


def writers(journal: Journal, count: int, each: int, pause: float = 0.0) -> list[subprocess.Popen[bytes]]:
    """Start so many processes, which write so many records each, to runs and to loose/."""
    found = []
    for number in range(count):
        place = f"runs/{number + 1:032x}" if number % 2 else "loose/2026-01-01T00"
        words = ["-m", "tests.relay.metrics_writer", journal.root, place, str(number * each), str(each)]
        argv = [sys.executable, *words, str(pause)]
        found.append(subprocess.Popen(argv, cwd=ROOT, env=clean_environ()))
    return found


def kill_again_and_again(journal: Journal, count: int, longest: float, seed: int = 5) -> None:
    """Start a worker so many times, and kill it with SIGKILL within `longest` seconds each time."""
    argv = [
        sys.executable,
        "-m",
        "tests.relay.metrics_killer",
        journal.root,
        str(count),
        str(longest),
        str(seed),
    ]
    subprocess.run(argv, cwd=ROOT, env=clean_environ(), check=True, timeout=120)


class Worker:
    """A process that does nothing but what the worker for metrics does."""

    def __init__(self, journal: Journal) -> None:
        argv = [sys.executable, "-m", "tests.relay.metrics_child", journal.root]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            argv, cwd=ROOT, env=clean_environ(), stdin=pipe, stdout=pipe, text=True
        )

    def expect(self, line: str) -> None:
        """Wait for the process to say this."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline().rstrip() == line

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.send_signal(signal.SIGKILL)
        self._end()

    def stop(self) -> int:
        """End it as the relay ends its workers, and return the exit code."""
        with contextlib.suppress(OSError):
            self._process.communicate("stop\n", 30)
        return self._end()

    def _end(self) -> int:
        code = self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]  # both are pipes
        return code


@contextlib.contextmanager
def worker(journal: Journal) -> Iterator[Worker]:
    """Run the worker; it is killed if it is still there in the end."""
    process = Worker(journal)
    try:
        process.expect("ready")
        yield process
    finally:
        process.kill()
