"""From the OpenTelemetry SDK into the journal: each span is written when it ends, not in batches.

So what has ended is there, whatever becomes of the process. Nothing is raised into the host.
"""

from __future__ import annotations

from errno import EACCES, ENOENT
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from gastown_tracing.journal import otlp, writer
from gastown_tracing.journal.layout import Journal, path_exists
from propagation.run import parse_run_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext

# OTLP's bits 8 and 9 of a span's flags: whether its parent is remote is known, and is so.
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200


class JournalSpanExporter(SpanExporter):
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
        self._note = note
        self._journal = journal
        self._close_root = close_root or self._link_close
        self._run_id = parse_run_id(str(resource.attributes.get("gt.run_id", "")))
        self._encoded = resource, otlp.encode_resource(resource.attributes)
        self._scopes: dict[tuple[str, str], str] = {}

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
        journal, context = self._journal, span.context
        if context is None or not self._is_open():
            return
        record = _convert(span, context)
        line = otlp.spans_line(self._encode_resource(span.resource), [record], self._scope(span))
        if context.span_id == context.trace_id & (1 << 64) - 1 | 1 << 63:  # propagation.run.root_span_id
            self._close_root(record.trace_id, line)
        elif self._is_run(record):
            writer.append(journal.run_dir(record.trace_id), "traces", line)
        else:
            writer.append(journal.loose_dir(record.end_ns), "traces", line)

    def _is_open(self) -> bool:
        journal = self._journal
        if not journal.is_on():
            if not journal.exists():
                raise OSError(ENOENT, "the journal is gone", journal.root)
            return False  # the operator switched it off
        if not journal.owned():
            raise OSError(EACCES, "the journal belongs to another user", journal.root)
        return True

    def _is_run(self, span: otlp.Span) -> bool:
        trace_id = span.trace_id
        named = span.attributes.get("run.id") == trace_id or self._run_id == trace_id
        return named or path_exists(self._journal.run_dir(trace_id))

    def _link_close(self, trace_id: str, line: bytes) -> bool:
        if any(path_exists(place + "/close.json") for place in self._journal.find_run(trace_id)):
            return False
        return writer.link_close(self._journal.run_dir(trace_id), line)

    def _encode_resource(self, resource: Resource) -> str:
        known, encoded = self._encoded
        if resource is not known:  # the SDK makes a new one after a fork
            encoded = otlp.encode_resource(resource.attributes)
            self._encoded = resource, encoded
        return encoded

    def _scope(self, span: ReadableSpan) -> str:
        scope: InstrumentationScope | None = span.instrumentation_scope
        key = (scope.name, scope.version or "") if scope else ("", "")
        if key not in self._scopes:
            self._scopes[key] = otlp.encode_scope(*key)
        return self._scopes[key]


class JournalSpanProcessor(SpanProcessor):
    """Hands each sampled span to the exporter when it ends, in the thread that ended it."""

    def __init__(self, exporter: JournalSpanExporter) -> None:
        self._exporter = exporter

    def on_end(self, span: ReadableSpan) -> None:
        """Write the span. Never raises."""
        if span.context and span.context.trace_flags.sampled:
            self._exporter.write(span)


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
