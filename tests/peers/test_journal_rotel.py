"""A receiver nobody here wrote accepts every line of a journal as it stands, and gives back the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from gastown_tracing.journal import layout, otlp, reader, writer
from tests.processes import wait_until

from .rotel import needs_rotel, running_rotel

pytestmark = [pytest.mark.peer, needs_rotel]

TRACE, ROOT = "4bf92f3577b34da6a3ce929d0e0e4736", "a3ce929d0e0e4736"
#: Every kind of value that an attribute can have, those that OTLP cannot hold included.
VALUES: dict[str, object] = {
    "text": 'é😀\u2028"\\\n\x00\x7f\ud800',
    "": "an empty name",
    "flag": True,
    "number": -(2**63),
    "too big": 2**64,
    "ratio": 1e300,
    "not a number": float("nan"),
    "infinite": float("-inf"),
    "bytes": b"\x00\xff",
    "list": [1, "two", None, [True], {"a": 0.5}],
    "map": {"inner": {"deep": []}},
    "nothing": None,
    "empty list": [],
    "empty map": {},
    "empty bytes": b"",
}


def fill(journal: layout.Journal) -> None:
    """Write every kind of record, with every kind of value in every place that takes one."""
    directory = journal.run_dir(TRACE)
    resource = otlp.encode_resource({"service.name": "gastown", **VALUES})
    for number in range(50):
        span_id = f"{number + (1 << 60):016x}"
        span = otlp.Span(TRACE, span_id, ROOT, "bd.call", kind=number % 5 + 1, start_ns=1_000, end_ns=2_000)
        span.attributes = dict(VALUES) if number % 2 else {}
        span.events = [("event", 1_500, VALUES)] * (number % 3)
        span.links = [("ab" * 16, "cd" * 8, "vendor=x", {"why": "cause"})] * (number % 2)
        span.status_code, span.status_message = number % 3, "it failed" * (number % 2)
        span.flags, span.tracestate = 0x103 * (number % 2), "vendor=1" * (number % 2)
        writer.append(directory, "traces", otlp.spans_line(resource, [span]))
    longest = otlp.Span(TRACE, "e" * 16, attributes={"stdout": "x\n" * 2_000_000}, start_ns=1)
    writer.append(directory, "traces", otlp.spans_line(otlp.encode_resource({}), [longest]))
    for name, value in VALUES.items():
        log = otlp.Log(1_000, event_name=name, body=value, attributes=VALUES, trace_id=TRACE, span_id=ROOT)
        writer.append(directory, "logs", otlp.logs_line(resource, [log]))
    root = otlp.Span(TRACE, ROOT, "", "gt.session", start_ns=500, end_ns=3_000)
    writer.link_close(directory, otlp.spans_line(resource, [root]))


def test_every_line_of_a_journal_is_taken_and_comes_back(journal_root: Path, tmp_path: Path) -> None:
    journal = layout.create(str(journal_root))
    fill(journal)
    directory = Path(journal.run_dir(TRACE))
    data = reader.read_run(journal, TRACE)
    with running_rotel(tmp_path) as rotel:
        for name, signal in (("traces.jsonl", "traces"), ("close.json", "traces"), ("logs.jsonl", "logs")):
            for line in (directory / name).read_bytes().splitlines(keepends=True):
                assert rotel.post(signal, line) == 200, line[:500]
        sink = rotel.sink
        wait_until(
            lambda: len(sink.spans()) >= len(data.spans) and len(sink.logs()) >= len(data.logs),
            "rotel hands on what it got",
        )
        assert rotel.post("traces", b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":7}]}]}]}') == 400
    written = {span.span_id: span for span in data.spans}
    assert sorted(span.span_id.hex() for span in sink.spans()) == sorted(written)
    for span in sink.spans():
        ours = written[span.span_id.hex()]
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (ours.trace_id, ours.parent_id)
        assert (span.name, span.kind, span.trace_state) == (ours.name, ours.kind, ours.tracestate)
        assert (span.start_time_unix_nano, span.end_time_unix_nano) == (ours.start_ns, ours.end_ns)
        assert (span.status.code, span.status.message) == (ours.status_code, ours.status_message)
        assert [pair.key for pair in span.attributes] == list(ours.attributes)
        assert [event.name for event in span.events] == [event[0] for event in ours.events]
        assert [link.span_id.hex() for link in span.links] == [link[1] for link in ours.links]
    assert sorted(log.event_name for log in sink.logs()) == sorted(VALUES)
    assert {(log.trace_id.hex(), log.span_id.hex()) for log in sink.logs()} == {(TRACE, ROOT)}
