"""The Aspire dashboard, where it is on PATH, shows what a journal holds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gastown_tracing.journal import layout, otlp, writer

from .aspire import needs_aspire, running_aspire

pytestmark = [pytest.mark.peer, needs_aspire]

TRACE, ROOT = "4bf92f3577b34da6a3ce929d0e0e4736", "a3ce929d0e0e4736"


def fill(journal: layout.Journal) -> str:
    """Write twenty spans with a log record each, and their root; return their directory."""
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
    return directory


def test_the_dashboard_shows_spans_and_log_records(journal_root: Path, tmp_path: Path) -> None:
    directory = fill(layout.create(str(journal_root)))
    (tmp_path / "aspire").mkdir()
    with running_aspire(tmp_path / "aspire") as aspire:
        for name, kind in (("traces.jsonl", "traces"), ("close.json", "traces"), ("logs.jsonl", "logs")):
            for line in Path(directory, name).read_bytes().splitlines(keepends=True):
                assert aspire.post(kind, line) == 200
        shown, told = aspire.read("spans"), aspire.read("logs")
    groups = [scope for group in shown["resourceSpans"] for scope in group["scopeSpans"]]
    spans = {span["spanId"]: span for scope in groups for span in scope["spans"]}
    assert len(spans) == 21
    assert {span["traceId"] for span in spans.values()} == {TRACE}
    assert {span.get("parentSpanId", "") for span in spans.values()} == {ROOT, ""}
    assert spans[ROOT]["name"] == "gt.session"
    scopes = [scope for group in told["resourceLogs"] for scope in group["scopeLogs"]]
    logs = [record for scope in scopes for record in scope["logRecords"]]
    assert sorted(record["spanId"] for record in logs) == sorted(set(spans) - {ROOT})
