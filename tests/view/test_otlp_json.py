"""`gt-trace view --json`: what it prints is a request that a receiver nobody here wrote takes whole."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from view_kit import ROOT, RUN, Book, a_day

from tests.peers.rotel import needs_rotel, running_rotel
from tests.processes import wait_until

Run = Callable[..., subprocess.CompletedProcess[str]]


def spans(text: str) -> list[dict[str, object]]:
    """Return the spans of a TracesData object."""
    groups = json.loads(text)["resourceSpans"]
    return [span for group in groups for scope in group["scopeSpans"] for span in scope["spans"]]


def test_it_prints_one_object_grouped_by_resource(journal_root: Path, gt_trace: Run) -> None:
    """All spans that have ended, the root among them, each once, under the one resource they share."""
    a_day(journal_root)
    text = gt_trace("view", RUN, "--json").stdout
    assert text.count("\n") == 1
    assert len(json.loads(text)["resourceSpans"]) == 1
    found = spans(text)
    assert len(found) == len({span["spanId"] for span in found}) == 96
    assert ROOT in {span["spanId"] for span in found}
    assert {span["traceId"] for span in found} == {RUN}


def test_what_has_not_ended_is_not_in_it(journal_root: Path, gt_trace: Run) -> None:
    """A span is never sent with two contents: neither the open root nor a call in progress is printed."""
    book = Book(journal_root)
    book.span("exec", 1, 2, attributes={"name": "make"})
    book.marker("exec", 3, live=True)
    assert [span["name"] for span in spans(gt_trace("view", "--json").stdout)] == ["exec"]


def test_logs_are_a_second_line(journal_root: Path, gt_trace: Run) -> None:
    """--logs adds one LogsData object with every record."""
    a_day(journal_root)
    traces, logs = gt_trace("view", RUN, "--json", "--logs").stdout.splitlines()
    assert len(spans(traces)) == 96
    records = [
        record
        for group in json.loads(logs)["resourceLogs"]
        for scope in group["scopeLogs"]
        for record in scope["logRecords"]
    ]
    assert [record["severityNumber"] for record in records] == [9, 17]


@pytest.mark.peer
@needs_rotel
def test_a_receiver_nobody_here_wrote_takes_it_whole(
    journal_root: Path, gt_trace: Run, tmp_path: Path
) -> None:
    """Rotel accepts the printed line as it is and passes on every span, ids, parents and links intact."""
    a_day(journal_root)
    line = gt_trace("view", RUN, "--json").stdout.encode()
    with running_rotel(tmp_path) as rotel:
        assert rotel.post("traces", line) == 200
        wait_until(lambda: len(rotel.sink.spans()) >= 96, "rotel passes the spans on")
    came = {span.span_id.hex(): span for span in rotel.sink.spans()}
    assert len(came) == 96
    assert {span.trace_id.hex() for span in came.values()} == {RUN}
    assert came[ROOT].parent_span_id == b""
    assert sum(len(span.links) for span in came.values()) == 1
    assert sum(span.status.code == 2 for span in came.values()) == 3
