"""The program's own `logging` in its trace: a handler that records, and ids for format strings.

Nothing of OpenTelemetry is loaded before telemetry is on.
"""

from __future__ import annotations

import logging
import threading

from gastown_tracing import context as place
from gastown_tracing.tracing.operation import clean, describe, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gastown_tracing.tracing.otel import Runtime

#: Bytes of a message that are kept, and of an exception's traceback.
TEXT_LIMIT = 1 << 16
#: What `add_trace_ids` puts on a record.
IDS = ("trace_id", "span_id", "run_id")
#: What a record has that no `extra` put there; `message` and `asctime` come from other handlers' formatters.
_STANDARD = frozenset(
    {*vars(logging.LogRecord("", 0, "", 0, "", None, None)), *IDS, "message", "asctime", "taskName"}
)

#: The severity number of each tenth level (OpenTelemetry's logs data model, "SeverityNumber"). The three
#: levels above it have the three numbers above that.
_SEVERITIES = {0: 1, 10: 5, 20: 9, 30: 13, 40: 17, 50: 21}
#: What OpenTelemetry calls a level that has another name here.
_LEVELS = {"WARNING": "WARN", "CRITICAL": "FATAL"}


class LogHandler(logging.Handler):
    """Records the program's log records as log records of OpenTelemetry, in the span and run they come from.

    `logging.getLogger().addHandler(LogHandler())`: with a journal they go there, else by OTLP. The body is
    the message; `extra` becomes attributes, an exception the `exception.*` ones. It follows `init()` and
    `shutdown()`, and does nothing while telemetry is off. A message, and an exception's traceback, is cut to
    64 KiB. Nothing is raised but a KeyboardInterrupt that came meanwhile, as by any handler. What
    OpenTelemetry itself logs, and what exporting makes others log, is left out: it would never end.
    """

    def __init__(self, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        self._busy = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Record one of the program's log records."""
        active = place.runtime
        if active is None or getattr(self._busy, "now", False):
            return
        self._busy.now = True
        try:
            _emit(active, record)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the text of an object is the host's code, and may do anything
            active.note(f"log record of {record.name}: {text_of(error, repr)}")
        finally:
            self._busy.now = False


def add_trace_ids() -> None:
    """Give each record of `logging` a `trace_id`, `span_id` and `run_id`, for format strings.

    They are hex, and "" where there is none and while telemetry is off:
    `logging.basicConfig(format="%(asctime)s %(trace_id)s %(message)s")`. It stays for the life of the
    process; a second call does nothing.
    """
    make = logging.getLogRecordFactory()
    if not isinstance(make, _Naming):
        logging.setLogRecordFactory(_Naming(make))


class _Naming:
    """A factory of log records that says on each where it comes from."""

    def __init__(self, make: Any) -> None:
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._make(*args, **kwargs)
        vars(record).update(zip(IDS, _ids(), strict=True))
        return record


def _ids() -> tuple[str, str, str]:
    active = place.runtime
    if active is not None:
        try:
            from gastown_tracing.tracing.logger import current_ids  # telemetry is on: it is loaded

            return current_ids(active)
        except Exception as error:  # the host must not notice
            active.note(f"no ids for a log record: {error!r}")
    return "", "", ""


def _emit(active: Runtime, record: logging.LogRecord) -> None:
    from gastown_tracing.tracing.logger import emit_standard  # telemetry is on: it is loaded

    name = clean(str(record.name))
    if name.partition(".")[0] == "opentelemetry":
        return
    emit_standard(
        active,
        name,
        time_ns=int(record.created * 1e9),
        severity=_severity(record.levelno),
        severity_text=_LEVELS.get(record.levelname, record.levelname),
        body=_text(record.getMessage()),
        attributes=_attributes(active, record),
    )


def _text(text: str) -> str:
    from gastown_tracing.journal.otlp import cut_text  # as above

    return cut_text(clean(text), TEXT_LIMIT)


def _severity(level: int) -> int:
    if level <= 0:
        return 0  # unspecified
    tenth = min(level // 10 * 10, 50)
    return _SEVERITIES[tenth] + min(level - tenth, 3)


def _is_number(value: object) -> bool:
    # The protobuf encoder refuses a whole batch for one integer beyond 64 bits.
    return isinstance(value, float) or (isinstance(value, int) and -(1 << 63) <= value < 1 << 63)


def _attributes(active: Runtime, record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: value if _is_number(value) else text_of(value, str)
        for name, value in vars(record).items()
        if name not in _STANDARD and value is not None
    }
    if record.pathname:  # a record that was made by hand, or came from elsewhere, may have no place
        found["code.file.path"] = clean(record.pathname)
        found["code.line.number"] = record.lineno
    if record.funcName:
        found["code.function.name"] = clean(record.funcName)
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        for name, value in describe(error, active.shows_bd_output).items():
            found[name] = _text(str(value))
    return found
