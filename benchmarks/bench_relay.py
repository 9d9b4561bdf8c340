"""What shipping costs: the relay's CPU a span, from a journal to an OTLP endpoint, beside the Collector's.

Each process is measured whole, from its start: 200,000 bd.call spans, one a line, each of a process of its
own, in 100 files. Both send to the same endpoint, which only counts, the Collector in batches of our size.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.measure import Row
from gastown_tracing.journal.layout import Journal, create
from tests.conftest import ROOT, clean_environ
from tests.relay.relay_kit import fill

SPANS, FILES = 200_000, 100
#: Spans a CPU second: of JSON where there is no Collector to compare with, and of protobuf.
JSON_LEAST, PROTOBUF_LEAST = 60_000, 25_000
_DEADLINE = 120.0
_NOWHERE = {"GT_OTEL_LOGS_URL": "none", "GT_OTEL_METRICS_URL": "none"}

_COLLECTOR = """\
receivers:
  otlp_json_file:
    include: ["{root}/runs/*/traces.jsonl"]
    start_at: beginning
exporters:
  otlp_http:
    traces_endpoint: {url}
    compression: none
    sending_queue: {{queue_size: 100, block_on_overflow: true}}
processors:
  batch: {{send_batch_size: 4000, timeout: 200ms}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines:
    traces: {{receivers: [otlp_json_file], processors: [batch], exporters: [otlp_http]}}
"""


def measure() -> list[Row]:
    """Return how much CPU a span costs, as a ratio of what it may."""
    with tempfile.TemporaryDirectory(prefix="bench-relay-") as name:
        directory = Path(name)
        journal = create(f"{name}/journal")
        fill(journal, SPANS, runs=FILES)
        own = {kind: _relay(journal, directory, kind) for kind in ("json", "protobuf")}
        collector = _collector(journal, directory)
    rows = []
    note = f"{1 / own['json']:,.0f} spans/s, {own['json'] * 1e6:.1f} µs a span"
    if collector is None:
        rows.append(Row("ship JSON / 60,000 spans a CPU second", own["json"] * JSON_LEAST, 1.0, note))
    else:
        note += f"; the Collector {1 / collector:,.0f}/s, {collector * 1e6:.1f} µs"
        rows.append(
            Row("ship JSON / the Collector's otlp_json_file → otlp_http", own["json"] / collector, 1.0, note)
        )
    note = f"{1 / own['protobuf']:,.0f} spans/s, {own['protobuf'] * 1e6:.1f} µs a span"
    rows.append(Row("ship protobuf / 25,000 spans a CPU second", own["protobuf"] * PROTOBUF_LEAST, 1.0, note))
    return rows


def _relay(journal: Journal, directory: Path, kind: str) -> float:
    """Return the seconds of CPU a span that a whole relay takes, which sends in one encoding."""
    shutil.rmtree(f"{journal.root}/relay", ignore_errors=True)
    with _sink(directory) as url:
        protocol = {"OTEL_EXPORTER_OTLP_PROTOCOL": f"http/{kind}"}
        journal.write_config({"GT_OTEL_TRACES_URL": url, **_NOWHERE, **protocol})
        argv = [sys.executable, "-m", "gastown_tracing.cli", "relay", "run", "--journal", journal.root]
        return _cpu(argv, url, clean_environ())


def _collector(journal: Journal, directory: Path) -> float | None:
    """Return the same for the Collector, None where there is none."""
    program = shutil.which("otelcol-contrib")
    if program is None:
        return None
    with _sink(directory) as url:
        config = directory / "collector.yaml"
        config.write_text(_COLLECTOR.format(root=journal.root, url=url))
        return _cpu([program, f"--config={config}"], url, clean_environ())


def _cpu(argv: list[str], url: str, env: Mapping[str, str]) -> float:
    """Return the CPU seconds a span of a process that is ended when all have arrived."""
    process = subprocess.Popen(argv, env=dict(env), cwd=ROOT, stderr=subprocess.DEVNULL)
    end = time.monotonic() + _DEADLINE
    while (found := _count(url)) < SPANS and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0  # it has been waited for
    if found != SPANS:
        raise RuntimeError(f"{found} of {SPANS} spans arrived: {argv}")
    return (usage.ru_utime + usage.ru_stime) / SPANS


def _count(url: str) -> int:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 # our own endpoint
        return int(answer.read())


@contextlib.contextmanager
def _sink(directory: Path) -> Iterator[str]:
    portfile = directory / "port"
    portfile.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "benchmarks.sink", str(portfile)]
    with subprocess.Popen(argv, cwd=ROOT, env=clean_environ()) as process:
        try:
            while not portfile.exists():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{portfile.read_text()}/v1/traces"
        finally:
            process.kill()


if __name__ == "__main__":
    for row in measure():
        print(row)
