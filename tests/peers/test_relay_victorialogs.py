"""What a user of VictoriaLogs finds of a town that our relay ships, by its own query API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import wait_until

from .town import Town
from .victoria import VictoriaLogs, needs_victoria_logs, running_victoria_logs

pytestmark = [pytest.mark.peer, needs_victoria_logs]


@pytest.fixture
def victoria(tmp_path: Path) -> Iterator[VictoriaLogs]:
    with running_victoria_logs(tmp_path) as victoria:
        yield victoria


def test_log_records_are_found_by_trace_and_span(
    victoria: VictoriaLogs, journal_root: Path, env: dict[str, str]
) -> None:
    """All of a session by its trace_id, each once; those of a call by its span_id; with what they say."""
    town = Town(journal_root, env, logs=victoria.logs_url)
    with town.relay():
        runs = town.work()
        for run in runs.values():
            query = f"trace_id:={run.trace_id}"
            wait_until(
                lambda run=run, query=query: len(victoria.query(query)) >= len(run.logs), "all of them"
            )
    for run in runs.values():
        shown = victoria.query(f"trace_id:={run.trace_id}")
        assert sorted(record["log.record.uid"] for record in shown) == sorted(run.logs)
        for record in shown:
            ours = run.logs[record["log.record.uid"]]
            assert (record["_msg"], record["span_id"]) == (ours.event_name, ours.span_id)
            assert record["run.id"] == run.trace_id
            assert record["service.name"] == "gastown"
            assert record["severity"] == ours.severity_text
        in_spans = {log.span_id for log in run.logs.values()}
        assert in_spans <= set(run.spans)
    polecat = runs["polecat"]
    (failed,) = victoria.query(f"trace_id:={polecat.trace_id} _msg:=bd.call status:=error")
    call = polecat.spans[failed["span_id"]]
    assert (failed["exit_code"], call.name) == ("1", polecat.spans[failed["span_id"]].name)
    assert [record["_msg"] for record in victoria.query(f"span_id:={call.span_id}")] == ["bd.call"]
    by_bead = f'work_bead:="{polecat.bead}" _msg:=done'
    assert [record["trace_id"] for record in victoria.query(by_bead)] == [polecat.trace_id]
