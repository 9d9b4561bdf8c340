"""How large a record is, and cutting one that is too large for a request.

Sizes are estimates: the bytes of the texts, and something for all else.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, ReadableSpan

from gastown_tracing.journal.otlp import LINE_LIMIT, cut_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry._logs import LogRecord

#: Bytes that one record may take: as in a journal.
RECORD_LIMIT = LINE_LIMIT
#: Bytes of a record besides its texts, and of a value.
_RECORD, _VALUE = 512, 32
#: Bytes that are kept for the mark of a cut.
_MARK = 64


def size_of(value: object) -> int:
    """Return about how many bytes an attribute's value or a body takes."""
    if isinstance(value, str):
        return _VALUE + (len(value) if value.isascii() else len(value.encode("utf-8", "replace")))
    if isinstance(value, (bytes, bytearray)):
        return _VALUE + len(value)
    if isinstance(value, Mapping):
        return sum([size_of(name) + size_of(inner) for name, inner in value.items()], _VALUE)
    if isinstance(value, (list, tuple)):
        return sum(map(size_of, value), _VALUE)
    return _VALUE


def size_of_log(record: LogRecord) -> int:
    """Return about how many bytes a log record takes."""
    return _RECORD + size_of(record.body) + size_of(record.attributes)


def size_of_span(span: ReadableSpan) -> int:
    """Return about how many bytes a span takes."""
    events = sum([_VALUE + size_of(event.attributes) for event in span.events])
    links = sum([_VALUE + size_of(link.attributes) for link in span.links])
    return _RECORD + size_of(span.status.description) + size_of(span.attributes) + events + links


def cut_log(record: LogRecord) -> LogRecord:
    """Return a log record with its longest texts cut, so that it is no larger than RECORD_LIMIT."""
    widest = _widest([record.body, record.attributes], RECORD_LIMIT - _RECORD)
    shorter = copy(record)
    shorter.body = _cut(record.body, widest)
    found = BoundedAttributes(
        attributes=_cut(dict(record.attributes or {}), widest), immutable=False, extended_attributes=True
    )
    found.dropped = getattr(record.attributes, "dropped", 0)
    shorter.attributes = found
    return shorter


def cut_span(span: ReadableSpan) -> ReadableSpan:
    """Return a span with its longest texts cut, so that it is no larger than RECORD_LIMIT."""
    values = [span.attributes, *[event.attributes for event in span.events]]
    return _ShorterSpan(span, _widest(values, RECORD_LIMIT - _RECORD))


class _ShorterSpan(ReadableSpan):
    """A span whose attributes, and those of its events, have texts of so many bytes at most."""

    def __init__(self, span: ReadableSpan, widest: int) -> None:
        super().__init__(
            span.name,
            span.context,
            span.parent,
            span.resource,
            _cut(dict(span.attributes or {}), widest),
            [
                Event(event.name, _cut(dict(event.attributes or {}), widest), event.timestamp)
                for event in span.events
            ],
            span.links,
            span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        self._dropped = span.dropped_attributes, span.dropped_events, span.dropped_links

    @property
    def dropped_attributes(self) -> int:
        """Return how many attributes the limits of OpenTelemetry took."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """Return how many events they took."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """Return how many links they took."""
        return self._dropped[2]


def _widest(values: Sequence[object], room: int) -> int:
    """Return how many bytes each text may have at most, so that all of them fit into `room`."""
    sizes: list[int] = []
    for value in values:
        _collect(value, sizes)
    sizes.sort(reverse=True)
    while sizes and sizes[-1] * len(sizes) <= room:
        room -= sizes.pop()
    return max(0, room // len(sizes) - _MARK - _VALUE) if sizes else room


def _collect(value: object, sizes: list[int]) -> None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            sizes.append(size_of(name))
            _collect(inner, sizes)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _collect(inner, sizes)
    else:
        sizes.append(size_of(value))


def _cut(value: Any, widest: int) -> Any:
    """Return a value whose texts have at most so many bytes each, and the mark of the cut."""
    if isinstance(value, str):
        return cut_text(value, widest)
    if isinstance(value, Mapping):
        return {name: _cut(inner, widest) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cut(inner, widest) for inner in value]
    return value
