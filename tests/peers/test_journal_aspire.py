"""The Aspire dashboard, where it is on PATH, shows what a journal holds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing.journal import layout, otlp, writer

from .rotel import free_port, wait_until

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        shutil.which("aspire") is None,
        reason="aspire is not on PATH (npm install @microsoft/aspire-cli-linux-x64; needs libicu)",
    ),
]

TRACE, ROOT = "4bf92f3577b34da6a3ce929d0e0e4736", "a3ce929d0e0e4736"


class Aspire:
    """A running dashboard: `otlp` takes OTLP/HTTP, `url` is where it is read."""

    def __init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.otlp = f"http://127.0.0.1:{free_port()}"

    def post(self, signal_name: str, line: bytes) -> int:
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.otlp}/v1/{signal_name}", line, headers)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return int(answer.status)

    def read(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/telemetry/{what}", timeout=30) as answer:  # noqa: S310
            return json.load(answer)["data"]

    def answers(self) -> bool:
        try:
            self.read("traces")
        except (OSError, urllib.error.URLError, ValueError):
            return False
        return True


@pytest.fixture
def aspire(tmp_path: Path) -> Iterator[Aspire]:
    dashboard = Aspire()
    command = ["aspire", "dashboard", "run", "--allow-anonymous", "--non-interactive"]
    command += ["--frontend-url", dashboard.url, "--otlp-http-url", dashboard.otlp]
    command += ["--otlp-grpc-url", f"http://127.0.0.1:{free_port()}"]
    environment = {**os.environ, "ASPIRE_CLI_TELEMETRY_OPTOUT": "true"}
    with open(tmp_path / "aspire.out", "wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        wait_until(lambda: dashboard.answers() or process.poll() is not None)
        yield dashboard
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_the_dashboard_shows_spans_and_log_records(aspire: Aspire, journal_root: Path) -> None:
    journal = layout.create(str(journal_root))
    directory = journal.run_dir(TRACE)
    resource = otlp.encode_resource({"service.name": "gastown", "service.instance.id": "one"})
    now = time.time_ns()
    for number in range(20):
        span_id = f"{number + (1 << 60):016x}"
        span = otlp.Span(TRACE, span_id, ROOT, f"bd list {number}", start_ns=now, end_ns=now + 10**6)
        log = otlp.Log(now, event_name="bd.call", body="bd.call", trace_id=TRACE, span_id=span_id)
        writer.append(directory, "traces", otlp.spans_line(resource, [span]))
        writer.append(directory, "logs", otlp.logs_line(resource, [log]))
    root = otlp.Span(TRACE, ROOT, "", "gt.session", start_ns=now, end_ns=now + 10**9)
    writer.link_close(directory, otlp.spans_line(resource, [root]))
    for name, kind in (("traces.jsonl", "traces"), ("close.json", "traces"), ("logs.jsonl", "logs")):
        for line in Path(directory, name).read_bytes().splitlines(keepends=True):
            assert aspire.post(kind, line) == 200
    groups = [scope for group in aspire.read("spans")["resourceSpans"] for scope in group["scopeSpans"]]
    spans = {span["spanId"]: span for scope in groups for span in scope["spans"]}
    assert len(spans) == 21
    assert {span["traceId"] for span in spans.values()} == {TRACE}
    assert {span.get("parentSpanId", "") for span in spans.values()} == {ROOT, ""}
    assert spans[ROOT]["name"] == "gt.session"
    scopes = [scope for group in aspire.read("logs")["resourceLogs"] for scope in group["scopeLogs"]]
    logs = [record for scope in scopes for record in scope["logRecords"]]
    assert sorted(record["spanId"] for record in logs) == sorted(set(spans) - {ROOT})
