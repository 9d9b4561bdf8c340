"""A collector nobody here wrote takes all that our relay sends, and hands it on as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.sink import Sink, attributes
from tests.processes import wait_until

from .rotel import needs_rotel, running_rotel
from .town import Town

pytestmark = [pytest.mark.peer, needs_rotel]


def counted(sink: Sink) -> int:
    """Return the calls of bd that have been counted: the last point of each series, added up."""
    last = {
        (str(group.resource), str(point.attributes)): point.as_int
        for group in sink.resource_metrics()
        for scope in group.scope_metrics
        for metric in scope.metrics
        if metric.name == "gastown.bd.calls.total"
        for point in metric.sum.data_points
    }
    return sum(last.values())


def test_all_signals_pass_through(journal_root: Path, env: dict[str, str], tmp_path: Path) -> None:
    """Spans with their parents and links, log records with their spans, and the derived metrics."""
    with running_rotel(tmp_path) as rotel:
        urls = {signal: f"{rotel.url}/v1/{signal}" for signal in ("traces", "logs", "metrics")}
        town = Town(journal_root, env, **urls)
        sink = rotel.sink
        with town.relay():
            runs = town.work()
            spans = {span_id: span for run in runs.values() for span_id, span in run.spans.items()}
            logs = {uid: log for run in runs.values() for uid, log in run.logs.items()}
            wait_until(lambda: len(sink.spans()) >= len(spans) and len(sink.logs()) >= len(logs), "all of it")
            calls = [log for log in logs.values() if log.event_name == "bd.call"]
            wait_until(lambda: counted(sink) == len(calls), "as many calls are counted as were made")
    assert sorted(span.span_id.hex() for span in sink.spans()) == sorted(spans)
    for span in sink.spans():
        ours = spans[span.span_id.hex()]
        assert (span.trace_id.hex(), span.parent_span_id.hex(), span.name) == (
            ours.trace_id,
            ours.parent_id,
            ours.name,
        )
        assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] == [
            link[:2] for link in ours.links
        ]
    for log in sink.logs():
        ours_log = logs[str(attributes(log.attributes)["log.record.uid"])]
        assert (log.trace_id.hex(), log.span_id.hex()) == (ours_log.trace_id, ours_log.span_id)
        assert log.event_name == ours_log.event_name
    assert len(sink.logs()) == len(logs)
