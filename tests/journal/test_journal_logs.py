"""The SDK's log records in the journal: what is written, where, and that nothing ever reaches the host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from journal_kit import TRACE, parse_logs
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from gastown_tracing.journal import reader
from gastown_tracing.journal.exporter import JournalLogProcessor
from gastown_tracing.journal.layout import Journal

RESOURCE = Resource({"service.name": "gastown", "process.pid": 7})
RUN = int(TRACE, 16)
#: 2026-01-01T05:00:00Z
TIME = 1_767_243_600_000_000_000


def provider_for(
    journal: Journal,
    note: Callable[[str], None] = pytest.fail,
    resource: Resource = RESOURCE,
    **options: Any,
) -> LoggerProvider:
    """Return a provider that writes to the journal; a test that does not expect an error fails with it."""
    provider = LoggerProvider(resource, shutdown_on_exit=False, **options)
    provider.add_log_record_processor(JournalLogProcessor(journal, resource, note))
    return provider


def inside(trace_id: int) -> Any:
    """Return a context whose current span is in this trace."""
    context = SpanContext(trace_id, 0xABCDEF1234567890, True, TraceFlags(1))
    return trace.set_span_in_context(NonRecordingSpan(context))


@pytest.mark.filterwarnings("ignore:Log record attributes were dropped")
def test_a_log_record_is_what_the_sdks_own_encoder_makes_of_it(journal: Journal) -> None:
    """Every field, against OpenTelemetry's own conversion to OTLP."""
    limits = LogRecordLimits(max_log_record_attributes=6)
    provider, memory = provider_for(journal, log_record_limits=limits), InMemoryLogRecordExporter()
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    provider.get_logger("scope", "1.2").emit(
        timestamp=TIME,
        context=inside(RUN),
        severity_number=SeverityNumber.WARN3,
        severity_text="careful",
        body={"text": 'é\n"', "list": [1, 2.5, True], "bytes": b"\x00\xff"},
        attributes={
            "dropped": 1,
            "text": "t",
            "number": 2**40,
            "flag": False,
            "ratio": 0.5,
            "list": ["a", "b"],
        }
        | {"log.record.uid": "f" * 32},
        event_name="an.event",
    )
    (ours,) = parse_logs(Path(journal.loose_dir(TIME), "logs.jsonl").read_bytes()).resource_logs
    (seen,) = memory.get_finished_logs()
    theirs = encode_logs([seen]).resource_logs[0]
    ours_fields, theirs_fields = MessageToDict(ours), MessageToDict(theirs)
    ours_log, theirs_log = (
        fields["scopeLogs"][0]["logRecords"][0] for fields in (ours_fields, theirs_fields)
    )
    assert ours_log.pop("observedTimeUnixNano") >= theirs_log.pop("observedTimeUnixNano")
    assert ours_fields == theirs_fields
    assert ours_log["droppedAttributesCount"] == 1


def test_log_records_go_where_their_spans_go(journal: Journal) -> None:
    """To the run of their trace, by themselves, by their process or by the journal; all others to loose/."""
    logger = provider_for(journal).get_logger("x")
    at = {"timestamp": TIME}
    logger.emit(body="by its attribute", context=inside(RUN), attributes={"run.id": TRACE}, **at)
    logger.emit(body="by its directory", context=inside(RUN), **at)
    logger.emit(body="of no span", attributes={"run.id": TRACE}, **at)
    logger.emit(body="of nobody's run", context=inside(RUN + 1), **at)
    logger.emit(body="says another run", context=inside(RUN + 2), attributes={"run.id": TRACE}, **at)
    logger.emit(body="says no run", attributes={"run.id": "no run"}, **at)
    logger.emit(body="of nothing", **at)
    of_run = Resource({"gt.run_id": f"{RUN:032x}"})
    process = provider_for(journal, resource=of_run).get_logger("x")
    process.emit(body="by its process", context=inside(RUN), **at)
    process.emit(body="of no span in its process", **at)
    bodies = [record.body for record in reader.read_run(journal, TRACE).logs]
    assert bodies == [
        "by its attribute",
        "by its directory",
        "of no span",
        "by its process",
        "of no span in its process",
    ]
    loose = [record.body for record in reader.read_loose(journal).logs]
    assert loose == ["of nobody's run", "says another run", "says no run", "of nothing"]


def test_a_bare_record_is_written(journal: Journal) -> None:
    """Without a time, a severity, a body, a resource."""
    record = provider_for(journal).get_logger("x")
    record.emit()
    bare = ReadWriteLogRecord(LogRecord(), resource=None, instrumentation_scope=None)
    JournalLogProcessor(journal, RESOURCE, pytest.fail).on_emit(bare)
    first, second = reader.read_loose(journal).logs
    assert (first.severity_number, first.severity_text, first.resource["service.name"]) == (0, "", "gastown")
    assert (second.resource, second.scope) == ({}, "")
    assert first.time_ns > 0


def test_nothing_is_written_while_the_operator_has_it_switched_off(journal: Journal) -> None:
    """Whoever removes `on` stops log records, too, at once."""
    logger = provider_for(journal).get_logger("x")
    logger.emit(body="on", attributes={"run.id": TRACE})
    Path(journal.on_path).unlink()
    logger.emit(body="off", attributes={"run.id": TRACE})
    assert [record.body for record in reader.read_run(journal, TRACE).logs] == ["on"]


def test_what_cannot_be_written_is_a_note(journal: Journal) -> None:
    """A journal that is gone, a file in the way, a value that raises: the host sees nothing of it."""
    notes: list[str] = []
    provider = provider_for(journal, notes.append)
    logger = provider.get_logger("x")
    Path(journal.run_dir(TRACE)).parent.rmdir()
    Path(journal.run_dir(TRACE)).parent.write_text("")
    logger.emit(body="in the way", attributes={"run.id": TRACE})
    Path(journal.root).rename(f"{journal.root}.away")
    logger.emit(body="gone", attributes={"run.id": TRACE})
    assert ["Not a directory" in notes[0], "the journal is gone" in notes[1]] == [True, True]
    assert provider.force_flush()
    provider.shutdown()


def test_a_record_larger_than_a_line_is_cut(journal: Journal) -> None:
    """Its body says how much is missing."""
    provider_for(journal).get_logger("x").emit(body="é" * (1 << 20), attributes={"run.id": TRACE})
    (record,) = reader.read_run(journal, TRACE).logs
    assert record.body.startswith("éé")
    assert record.body.endswith(" bytes›")


def test_readers_hand_on_how_many_attributes_were_dropped(journal: Journal) -> None:
    """What the record says of itself survives being read."""
    record = LogRecord(attributes={f"a{number}": number for number in range(5)})
    limited = LogRecordLimits(max_log_record_attributes=2)
    with pytest.warns(UserWarning, match="dropped"):
        dropped = ReadWriteLogRecord(record, RESOURCE, None, limited)
    JournalLogProcessor(journal, RESOURCE, pytest.fail).on_emit(dropped)
    (read,) = reader.read_loose(journal).logs
    assert read.dropped_attributes == dropped.dropped_attributes == 3
