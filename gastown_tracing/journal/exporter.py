"""From the OpenTelemetry SDK into the journal: a span when it ends, a log record when it is emitted.

Nothing waits for a batch, so it is there whatever becomes of the process. Nothing is raised into the host.
"""

from __future__ import annotations

import time
from errno import EACCES, ENOENT
from typing import TYPE_CHECKING

from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from gastown_tracing.journal import otlp, writer
from gastown_tracing.journal.layout import Journal, path_exists
from propagation.run import parse_run_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry._logs import LogRecord
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext

# OTLP's bits 8 and 9 of a span's flags: whether its parent is remote is known, and is so.
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200


class _Lines:
    """What lines of any kind need: the journal, the resource and the scope as JSON, the directory.

    `resource` is the provider's, encoded once. What fails is told to `note` as a line of text.
    """

    def __init__(self, journal: Journal, resource: Resource, note: Callable[[str], None]) -> None:
        self._note = note
        self._journal = journal
        self._run_id = parse_run_id(str(resource.attributes.get("gt.run_id", "")))
        self._encoded = resource, otlp.encode_resource(resource.attributes)
        self._scopes: dict[tuple[str, str], str] = {}

    def _is_open(self) -> bool:
        journal = self._journal
        if not journal.is_on():
            if not journal.exists():
                raise OSError(ENOENT, "the journal is gone", journal.root)
            return False  # the operator switched it off
        if not journal.owned():
            raise OSError(EACCES, "the journal belongs to another user", journal.root)
        return True

    def _directory(self, trace_id: str, run_id: object, time_ns: int) -> str:
        """Return where a record goes: to the run that its trace is, by itself, its process or the journal."""
        run_dir = self._journal.run_dir(trace_id)
        if trace_id in {run_id, self._run_id} or path_exists(run_dir):
            return run_dir
        return self._journal.loose_dir(time_ns)

    def _encode_resource(self, resource: Resource) -> str:
        known, encoded = self._encoded
        if resource is not known:  # the SDK makes a new one after a fork
            encoded = otlp.encode_resource(resource.attributes)
            self._encoded = resource, encoded
        return encoded

    def _scope(self, scope: InstrumentationScope | None) -> str:
        key = (scope.name, scope.version or "") if scope else ("", "")
        if key not in self._scopes:
            self._scopes[key] = otlp.encode_scope(*key)
        return self._scopes[key]


class JournalSpanExporter(_Lines, SpanExporter):
    """Writes spans to `journal`: those of a run to its directory, all others to loose/.

    A run's root span, known by its id, goes to `close_root(trace_id, line)`, which says whether this process
    closed the run. `resource` is that of the provider. What fails is told to `note` as a line of text.
    """

    def __init__(
        self,
        journal: Journal,
        resource: Resource,
        note: Callable[[str], None],
        *,
        close_root: Callable[[str, bytes], bool] | None = None,
    ) -> None:
        super().__init__(journal, resource, note)
        self._close_root = close_root or self._link_close

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write spans that have ended."""
        written = [self.write(span) for span in spans]
        return SpanExportResult.SUCCESS if all(written) else SpanExportResult.FAILURE

    def write(self, span: ReadableSpan) -> bool:
        """Write one span; False where that failed. Never raises."""
        try:
            self._write(span)
        except Exception as error:  # telemetry never breaks its host
            self._note(f"journal: {error}")
            return False
        return True

    def shutdown(self) -> None:
        """Do nothing: no span waits here."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - the SDK's signature
        """Return True: no span waits here."""
        return True

    def _write(self, span: ReadableSpan) -> None:
        context = span.context
        if context is None or not self._is_open():
            return
        record = _convert(span, context)
        scope = self._scope(span.instrumentation_scope)
        line = otlp.spans_line(self._encode_resource(span.resource), [record], scope)
        if context.span_id == context.trace_id & (1 << 64) - 1 | 1 << 63:  # propagation.run.root_span_id
            self._close_root(record.trace_id, line)
        else:
            run_id = record.attributes.get("run.id")
            writer.append(self._directory(record.trace_id, run_id, record.end_ns), "traces", line)

    def _link_close(self, trace_id: str, line: bytes) -> bool:
        if any(path_exists(place + "/close.json") for place in self._journal.find_run(trace_id)):
            return False
        return writer.link_close(self._journal.run_dir(trace_id), line)


class JournalSpanProcessor(SpanProcessor):
    """Hands each sampled span to the exporter when it ends, in the thread that ended it."""

    def __init__(self, exporter: JournalSpanExporter) -> None:
        self._exporter = exporter

    def on_end(self, span: ReadableSpan) -> None:
        """Write the span. Never raises."""
        if span.context and span.context.trace_flags.sampled:
            self._exporter.write(span)


class JournalLogProcessor(_Lines, LogRecordProcessor):
    """Writes each log record to `journal` when it is emitted, in the thread that emits it.

    It goes where the span goes that it belongs to; one of no span to its run, else to loose/.
    """

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Write the record. Never raises."""
        try:
            self._write(log_record)
        except Exception as error:  # telemetry never breaks its host
            self._note(f"journal: {error}")

    def shutdown(self) -> None:
        """Do nothing: no record waits here."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - the SDK's signature
        """Return True: no record waits here."""
        return True

    def _write(self, log_record: ReadWriteLogRecord) -> None:
        if not self._is_open():
            return
        record = _convert_log(log_record.log_record)
        record.dropped_attributes = log_record.dropped_attributes
        run_id = record.attributes.get("run.id") or self._run_id
        trace_id = record.trace_id or parse_run_id(str(run_id or ""))
        directory = (
            self._directory(trace_id, run_id, record.time_ns)
            if trace_id
            else self._journal.loose_dir(record.time_ns)
        )
        resource = log_record.resource
        encoded = self._encode_resource(resource) if resource is not None else otlp.encode_resource({})
        scope = self._scope(log_record.instrumentation_scope)
        writer.append(directory, "logs", otlp.logs_line(encoded, [record], scope))


def _convert(span: ReadableSpan, context: SpanContext) -> otlp.Span:
    parent = span.parent
    remote = _HAS_IS_REMOTE | (_IS_REMOTE if parent.is_remote else 0) if parent else 0
    record = otlp.Span(
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        f"{parent.span_id:016x}" if parent else "",
        span.name,
        kind=span.kind.value + 1,  # the API counts from INTERNAL = 0, OTLP from UNSPECIFIED = 0
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        attributes=span.attributes,
        status_code=span.status.status_code.value,
        status_message=span.status.description or "",
        flags=int(context.trace_flags) & 0xFF | remote,
        tracestate=context.trace_state.to_header(),
        events=[(event.name, event.timestamp, event.attributes or {}) for event in span.events],
        links=[
            (
                f"{link.context.trace_id:032x}",
                f"{link.context.span_id:016x}",
                link.context.trace_state.to_header(),
                link.attributes or {},
            )
            for link in span.links
        ],
    )
    record.dropped_attributes = span.dropped_attributes
    record.dropped_events = span.dropped_events
    record.dropped_links = span.dropped_links
    return record


def _convert_log(record: LogRecord) -> otlp.Log:
    severity = record.severity_number
    return otlp.Log(
        record.timestamp or record.observed_timestamp or time.time_ns(),
        severity_number=severity.value if severity is not None else 0,
        severity_text=record.severity_text or "",
        event_name=record.event_name or "",
        body=record.body,
        attributes=record.attributes,
        trace_id=f"{record.trace_id:032x}" if record.trace_id else "",
        span_id=f"{record.span_id:016x}" if record.span_id else "",
        flags=int(record.trace_flags or 0),
    )
