"""The SDK's spans in the journal: what is written, where, and that nothing ever reaches the host."""

from __future__ import annotations

# Before any TracerProvider: the SDK starts a thread pool after a fork, and hangs where this module's hook,
# which sets a lock free again, was registered later.
import concurrent.futures.thread  # noqa: F401
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from journal_kit import ROOT, TRACE, at_once, parse_traces, python
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from gastown_tracing.journal import otlp, reader
from gastown_tracing.journal.exporter import JournalSpanExporter, JournalSpanProcessor
from gastown_tracing.journal.layout import Journal

RESOURCE = Resource({"service.name": "gastown", "process.pid": 7})
RUN = int(TRACE, 16)


def exporter_for(
    journal: Journal, note: Callable[[str], None] = pytest.fail, **options: Any
) -> JournalSpanExporter:
    """Return an exporter; a test that does not expect an error fails with it."""
    return JournalSpanExporter(journal, RESOURCE, note, **options)


def provider_for(exporter: JournalSpanExporter, **options: Any) -> TracerProvider:
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False, **options)
    provider.add_span_processor(JournalSpanProcessor(exporter))
    return provider


class Keep(SpanProcessor):
    """Keeps the spans that ended."""

    def __init__(self, seen: list[ReadableSpan]) -> None:
        self._seen = seen

    def on_end(self, span: ReadableSpan) -> None:
        self._seen.append(span)


def inside(trace_id: int, remote: bool = True) -> Any:
    """Return a context whose current span is in this trace."""
    state = TraceState([("vendor", "x1")])
    context = SpanContext(trace_id, 0xABCDEF1234567890, remote, TraceFlags(1), state)
    return trace.set_span_in_context(NonRecordingSpan(context))


def finished(trace_id: int, span_id: int, name: str = "gt.session") -> ReadableSpan:
    context = SpanContext(trace_id, span_id, False, TraceFlags(1))
    return ReadableSpan(name, context, resource=RESOURCE, start_time=1, end_time=2)


def test_a_span_is_what_the_sdks_own_encoder_makes_of_it(journal: Journal) -> None:
    """Every field, against OpenTelemetry's own conversion to OTLP."""
    seen: list[ReadableSpan] = []
    provider = provider_for(exporter_for(journal), span_limits=SpanLimits(max_events=2))
    provider.add_span_processor(Keep(seen))
    tracer = provider.get_tracer("scope", "1.2")
    attributes = {
        "text": 'é\n"',
        "number": 2**40,
        "flag": True,
        "ratio": 0.5,
        "list": ["a", "b"],
        "empty": (),
    }
    links = [Link(SpanContext(5, 6, True, TraceFlags(1), TraceState([("a", "b")])), {"why": "cause"})]
    with tracer.start_as_current_span("work", inside(RUN), SpanKind.PRODUCER, attributes, links) as span:
        for number in range(4):
            span.add_event(f"event {number}", {"number": number})
        span.set_status(Status(StatusCode.ERROR, "it failed"))
    (ours,) = parse_traces(
        Path(journal.loose_dir(seen[0].end_time or 0), "traces.jsonl").read_bytes()
    ).resource_spans
    theirs = encode_spans(seen).resource_spans[0]
    ours_fields, theirs_fields = MessageToDict(ours), MessageToDict(theirs)
    ours_span, theirs_span = (fields["scopeSpans"][0]["spans"][0] for fields in (ours_fields, theirs_fields))
    # OTLP has the W3C flags in a span's lower bits and a tracestate in its links: the SDK leaves both out.
    assert ours_span.pop("flags") == theirs_span.pop("flags") | 1
    assert ours_span["links"][0].pop("traceState") == "a=b"
    theirs_span["links"][0].pop("flags")
    assert ours_fields == theirs_fields
    assert ours_span["droppedEventsCount"] == 2


def test_a_span_of_a_run_goes_to_the_run_and_any_other_to_loose(journal: Journal) -> None:
    exporter = exporter_for(journal)
    tracer = provider_for(exporter).get_tracer("x")
    tracer.start_span("by its attribute", inside(RUN), attributes={"run.id": TRACE}).end()
    tracer.start_span("by its directory", inside(RUN)).end()
    tracer.start_span("of nobody's run", inside(RUN + 1)).end()
    tracer.start_span("says another run", inside(RUN + 2), attributes={"run.id": TRACE}).end()
    resource = Resource({"gt.run_id": "4bf92f35-77b3-4da6-a3ce-929d0e0e4740"})
    of_run = JournalSpanExporter(journal, resource, pytest.fail)
    provider_for(of_run).get_tracer("x").start_span("by its resource", inside(RUN + 10)).end()
    assert [span.name for span in reader.read_run(journal, TRACE).spans] == [
        "by its attribute",
        "by its directory",
    ]
    assert [span.name for span in reader.read_run(journal, f"{RUN + 10:032x}").spans] == ["by its resource"]
    loose = [span.name for span in reader.read_loose(journal).spans]
    assert loose == ["of nobody's run", "says another run"]


def test_the_root_span_closes_its_run_once(journal: Journal) -> None:
    exporter = exporter_for(journal)
    assert exporter.export([finished(RUN, int(ROOT, 16))]) is SpanExportResult.SUCCESS
    assert exporter.export([finished(RUN, int(ROOT, 16), "a second close")]) is SpanExportResult.SUCCESS
    (root,) = reader.read_run(journal, TRACE).spans
    assert (root.span_id, root.name) == (ROOT, "gt.session")
    assert os.listdir(journal.run_dir(TRACE)) == ["close.json"]


def test_nobody_closes_a_run_again_that_was_put_away(journal: Journal) -> None:
    exporter = exporter_for(journal)
    exporter.export([finished(RUN, int(ROOT, 16))])
    os.mkdir(journal.root + "/closed/2026-11-20")
    os.rename(journal.run_dir(TRACE), f"{journal.root}/closed/2026-11-20/{TRACE}")
    exporter.export([finished(RUN, int(ROOT, 16), "late")])
    assert not os.path.exists(journal.run_dir(TRACE))


def test_who_closes_sessions_is_given_the_root(journal: Journal) -> None:
    given: list[tuple[str, bytes]] = []

    def close(trace_id: str, line: bytes) -> bool:
        given.append((trace_id, line))
        return False

    exporter_for(journal, close_root=close).export([finished(RUN, int(ROOT, 16))])
    ((trace_id, line),) = given
    assert trace_id == TRACE
    assert parse_traces(line).resource_spans[0].scope_spans[0].spans[0].name == "gt.session"


def test_a_switched_off_journal_takes_nothing_at_once(journal: Journal) -> None:
    exporter = exporter_for(journal)
    os.unlink(journal.on_path)
    assert exporter.export([finished(RUN, 1)]) is SpanExportResult.SUCCESS
    assert os.listdir(journal.root + "/loose") == []


def test_what_fails_is_told_each_time(journal: Journal) -> None:
    errors: list[str] = []
    exporter = exporter_for(journal, errors.append)
    shutil.rmtree(journal.root)
    assert exporter.export([finished(RUN, 1)]) is SpanExportResult.FAILURE
    assert "the journal is gone" in errors[0]
    exporter.export([finished(RUN, 1)] * 150)
    assert len(errors) == 151
    assert not os.path.exists(journal.root)


def test_another_users_journal_gets_nothing(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr("posix.geteuid", lambda: 12345)
    errors: list[str] = []
    exporter = exporter_for(journal, errors.append)
    assert exporter.export([finished(RUN, 1)]) is SpanExportResult.FAILURE
    assert "another user" in errors[0]
    assert os.listdir(journal.root + "/loose") == []


def test_a_bug_in_closing_does_not_reach_the_host(journal: Journal) -> None:
    def broken(*_: object) -> bool:
        raise RuntimeError("broken")

    errors: list[str] = []
    exporter = exporter_for(journal, errors.append, close_root=broken)
    assert exporter.export([finished(RUN, int(ROOT, 16))]) is SpanExportResult.FAILURE
    assert errors == ["journal: broken"]


def test_a_span_that_is_not_sampled_is_not_written(journal: Journal) -> None:
    context = SpanContext(RUN, 1, False, TraceFlags(0))
    JournalSpanProcessor(exporter_for(journal)).on_end(ReadableSpan("x", context))
    assert os.listdir(journal.root + "/loose") == []


def test_threads_and_forked_children_write_side_by_side(journal: Journal) -> None:
    provider = provider_for(exporter_for(journal))
    tracer = provider.get_tracer("x")

    def work(number: int) -> None:
        for _ in range(200):
            tracer.start_span(f"from {number}", inside(RUN), attributes={"run.id": TRACE}).end()

    at_once(3, work)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = reader.read_run(journal, TRACE)
    assert (len(data.spans), data.skipped) == (7 * 200, [])


def test_a_resource_is_encoded_once_however_many_spans_have_it(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider's own, and the new one that the SDK makes after a fork."""
    encoded: list[object] = []
    encode = otlp.encode_resource
    monkeypatch.setattr(otlp, "encode_resource", lambda found: encoded.append(found) or encode(found))
    provider = provider_for(exporter_for(journal))
    for number in range(2):
        for _ in range(3):
            provider.get_tracer("x").start_span("x").end()
        assert len(encoded) == 1 + number
        provider._update_resource(Resource({"process.pid": 8}))
    assert {span.resource["process.pid"] for span in reader.read_loose(journal).spans} == {7, 8}


LEAVING = """
import os, signal, sys
from gastown_tracing.journal.exporter import JournalSpanExporter, JournalSpanProcessor
from gastown_tracing.journal.layout import Journal
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
resource = Resource({})
provider = TracerProvider(resource=resource)
provider.add_span_processor(JournalSpanProcessor(JournalSpanExporter(Journal(sys.argv[1]), resource, print)))
tracer = provider.get_tracer("x")
for number in range(1000):
    tracer.start_span("x").end()
{"kill": lambda: os.kill(os.getpid(), signal.SIGKILL), "_exit": lambda: os._exit(0),
 "exec": lambda: os.execv("/bin/true", ["true"])}[sys.argv[2]]()
"""


@pytest.mark.parametrize("leave", ["kill", "_exit", "exec"])
def test_1_000_ended_spans_are_there_however_the_process_leaves(journal: Journal, leave: str) -> None:
    with python(LEAVING, journal.root, leave) as process:
        process.wait(30)
    data = reader.read_loose(journal)
    assert (len({span.span_id for span in data.spans}), data.skipped) == (1000, [])
