"""Loggers of OpenTelemetry's API whose records land in the run, whoever asks for them."""

from __future__ import annotations

import os
import warnings
from copy import copy
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import NoOpLogger, SeverityNumber
from opentelemetry.context import get_current
from opentelemetry.sdk._logs import (
    LoggerProvider,
    LogRecordDroppedAttributesWarning,
    LogRecordLimits,
    LogRecordProcessor,
    ReadWriteLogRecord,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from gastown_tracing import context as place
from gastown_tracing.tracing.exporting import is_exporting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry._logs import Logger, LogRecord
    from opentelemetry.context import Context
    from opentelemetry.util.types import AnyValue, Attributes

    from gastown_tracing.tracing.otel import Runtime


#: Attributes that the SDK itself adds to a record, at most: what it says of an exception.
_OF_EXCEPTION = 3


class TownLogger(NoOpLogger):
    """A logger for code that uses OpenTelemetry's own API: its records land in the run and say who acts.

    It follows whatever `init()` has set up at the moment, and is the API's no-op while telemetry is off.
    """

    def __init__(self, *scope: Any) -> None:
        super().__init__(*scope)
        self._scope = scope
        self._followed: Runtime | None = None
        self._logger: Logger | None = None

    def emit(
        self,
        record: LogRecord | ReadWriteLogRecord | None = None,
        *,
        timestamp: int | None = None,
        observed_timestamp: int | None = None,
        context: Context | None = None,
        severity_number: SeverityNumber | None = None,
        severity_text: str | None = None,
        body: AnyValue | None = None,
        attributes: Attributes = None,
        event_name: str | None = None,
        exception: BaseException | None = None,
    ) -> None:
        """Emit a log record, in the current span if no `context` is given (see OpenTelemetry's `Logger`).

        Nothing where whoever called this process asked for nothing to be recorded.
        """
        active = place.runtime
        logger = self._follow(active)
        if active is None or logger is None:
            return
        if record is not None:
            parts = record.log_record if isinstance(record, ReadWriteLogRecord) else record
            timestamp, observed_timestamp = parts.timestamp, parts.observed_timestamp
            severity_number, severity_text = parts.severity_number, parts.severity_text
            body, attributes, event_name = parts.body, parts.attributes, parts.event_name
            context, exception = _context_of(parts), parts.exception
        run, where, _ = active.placed(get_current() if context is None else context, ())
        if run.silent:
            return
        logger.emit(
            timestamp=timestamp,
            observed_timestamp=observed_timestamp,
            context=where,
            severity_number=severity_number,
            severity_text=severity_text,
            body=body,
            attributes={**run.common(), "log.record.uid": active.outlet.new_uid(), **(attributes or {})},
            event_name=event_name,
            exception=exception,
        )

    def enabled(self, **asked: Any) -> bool:
        """Return whether a record would go anywhere."""
        active = place.runtime
        logger = self._follow(active)
        if active is None or logger is None or active.current_run(asked.get("context")).silent:
            return False
        return logger.enabled(**asked)

    def _follow(self, active: Runtime | None) -> Logger | None:
        if active is None:
            return None
        if active is not self._followed:
            provider = active.signals.logger_provider
            self._logger = sdk_logger(provider, *self._scope) if provider else None
            self._followed = active
        return self._logger


def _context_of(record: LogRecord) -> Context:
    """Return the context of a record whose ids need not be its context's."""
    found = record.context or get_current()
    if record.trace_id and record.trace_id != get_current_span(found).get_span_context().trace_id:
        flags = record.trace_flags or TraceFlags.get_default()
        named = SpanContext(record.trace_id, record.span_id or 0, is_remote=True, trace_flags=flags)
        return set_span_in_context(NonRecordingSpan(named), found)
    return found


class SilentLogger(NoOpLogger):
    """The SDK's `logger` without its warning of dropped attributes, of which there are `most` in a record.

    Each record says itself how many were dropped, and the warning would reach the host.
    """

    def __init__(self, logger: Logger, most: int) -> None:
        super().__init__("")
        self._logger = logger
        self._most = most - _OF_EXCEPTION

    def emit(self, record: LogRecord | None = None, **parts: Any) -> None:
        """Emit a log record (see OpenTelemetry's `Logger`)."""
        given = (record,) if record is not None else ()
        attributes = parts.get("attributes") if record is None else record.attributes
        if attributes is None or len(attributes) <= self._most:
            self._logger.emit(*given, **parts)
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LogRecordDroppedAttributesWarning)
            self._logger.emit(*given, **parts)

    def enabled(self, **asked: Any) -> bool:
        """Return whether a record would go anywhere."""
        return self._logger.enabled(**asked)


class TownLoggerProvider(LoggerProvider):
    """The SDK's provider, whose loggers are `TownLogger`s."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource, shutdown_on_exit=False)
        self._most = LogRecordLimits().max_log_record_attributes

    def get_logger(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> Logger:
        """Return a logger (see `opentelemetry._logs.LoggerProvider`)."""
        return TownLogger(name, version, schema_url, attributes)

    def silent_logger(self, *scope: Any) -> Logger:
        """Return the SDK's own logger, without its warning of attributes that are dropped."""
        logger = super().get_logger(*scope)
        return logger if self._most is None else SilentLogger(logger, self._most)

    def _handle_fork(self) -> None:
        # The SDK renews service.instance.id here, and has no public way to renew more.
        super()._handle_fork()
        self._update_resource(Resource({"process.pid": os.getpid()}))


def sdk_logger(provider: LoggerProvider, *scope: Any) -> Logger:
    """Return the SDK's own logger for an instrumentation scope (the arguments of `get_logger`)."""
    if isinstance(provider, TownLoggerProvider):
        return provider.silent_logger(*scope)
    return provider.get_logger(*scope)


def emit_standard(
    active: Runtime,
    name: str,
    *,
    time_ns: int,
    severity: int,
    severity_text: str,
    body: str,
    attributes: Mapping[str, Any],
) -> None:
    """Emit what the program logged by its logger `name`, unless that was in the course of exporting.

    Nothing where whoever called this process asked for nothing to be recorded.
    """
    provider = active.signals.logger_provider
    if provider is None or is_exporting():
        return
    run, where, _ = active.placed(get_current(), ())
    if run.silent:
        return
    sdk_logger(provider, name).emit(
        timestamp=time_ns,
        context=where,
        severity_number=SeverityNumber(severity),
        severity_text=severity_text,
        body=body,
        attributes={**run.common(), **attributes, "log.record.uid": active.outlet.new_uid()},
    )


def current_ids(active: Runtime) -> tuple[str, str, str]:
    """Return the trace ID, span id and run.id that what is recorded now belongs to, in hex; "" for none."""
    run, where, _ = active.placed(get_current(), ())
    span = get_current_span(where).get_span_context()
    if not span.is_valid:
        return "", "", run.run_id
    return f"{span.trace_id:032x}", f"{span.span_id:016x}", run.run_id


class OwnLogs(LogRecordProcessor):
    """Passes records on until it is shut down: a provider may outlive us.

    With `active`, for a provider that is not ours, it says on a copy of each record that does not say so who
    acts in which run; what others take of the record stays as it is.
    """

    def __init__(self, inner: LogRecordProcessor, active: Runtime | None) -> None:
        self._inner: LogRecordProcessor | None = inner
        self._active = active

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Pass a record on."""
        if self._inner is not None:
            self._inner.on_emit(self._described(log_record))

    def shutdown(self) -> None:
        """Shut the inner processor down, and pass nothing on any more."""
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the inner processor."""
        return self._inner is None or self._inner.force_flush(timeout_millis)

    def _described(self, record: ReadWriteLogRecord) -> ReadWriteLogRecord:
        active, present = self._active, record.log_record.attributes or {}
        if active is None or "run.id" in present:
            return record
        inner = copy(record.log_record)
        found = {**active.current_run(inner.context).common(), **present}
        most = record.limits.max_log_record_attributes
        if most is not None and len(found) > most:
            return record  # what the program says goes before
        inner.attributes = found
        return ReadWriteLogRecord(inner, record.resource, record.instrumentation_scope, record.limits)
