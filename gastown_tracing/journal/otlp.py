"""Spans and log records as lines of OTLP JSON, the OpenTelemetry protocol's file format.

One TracesData or LogsData a line: lowerCamelCase keys, ids in hex, enums as integers, 64-bit integers as
decimal strings (OTLP specification, "JSON Protobuf Encoding"; "OpenTelemetry Protocol File Exporter"). A line
is at most 1 MiB; what does not fit is cut out of the longest strings, and the cut is marked.
"""

import posix
import time

from gastown_tracing._version import VERSION
from gastown_tracing.journal.layout import quote_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: Bytes in a line at most, its newline included.
LINE_LIMIT = 1 << 20
#: Bytes that a resource may take, so that a hostile environment leaves room for the record.
RESOURCE_LIMIT = 1 << 18
#: Strings up to this many bytes are never cut.
_SHORTEST_CUT = 256
#: Instead of a limit in bytes: leave out all attributes, events and links, and count them.
_BARE = -1

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
UNSET, OK, ERROR = 0, 1, 2
SEVERITY_INFO, SEVERITY_ERROR = 9, 17


def encode_scope(name: str, version: str) -> str:
    """Return an InstrumentationScope as JSON."""
    return f'{{"name":{quote_json(name)},"version":{quote_json(version)}}}'


SCOPE = encode_scope("gastown_tracing", VERSION)


class Span:
    """A span as OTLP has it. Ids are lower-case hex, times are nanoseconds of the Unix epoch.

    `end_ns` 0 is a span that has not ended, `parent_id` "" one without a parent. `events` are (name, time_ns,
    attributes), `links` (trace_id, span_id, tracestate, attributes). `flags` are the W3C trace flags, with
    OTLP's bits 8 and 9 where it is known whether the parent is remote.
    """

    __slots__ = (
        "attributes",
        "dropped_attributes",
        "dropped_events",
        "dropped_links",
        "end_ns",
        "events",
        "flags",
        "kind",
        "links",
        "name",
        "parent_id",
        "span_id",
        "start_ns",
        "status_code",
        "status_message",
        "trace_id",
        "tracestate",
    )

    def __init__(
        self,
        trace_id: str,
        span_id: str,
        parent_id: str = "",
        name: str = "",
        *,
        kind: int = INTERNAL,
        start_ns: int = 0,
        end_ns: int = 0,
        attributes: "Mapping[str, object] | None" = None,
        status_code: int = UNSET,
        status_message: str = "",
        flags: int = 0,
        tracestate: str = "",
        events: "Sequence[tuple[str, int, Mapping[str, object]]]" = (),
        links: "Sequence[tuple[str, str, str, Mapping[str, object]]]" = (),
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.name = name
        self.kind = kind
        self.start_ns = start_ns
        self.end_ns = end_ns
        self.attributes: dict[str, object] = dict(attributes or ())
        self.status_code = status_code
        self.status_message = status_message
        self.flags = flags
        self.tracestate = tracestate
        self.events = list(events)
        self.links = list(links)
        self.dropped_attributes = self.dropped_events = self.dropped_links = 0


class Log:
    """A log record as OTLP has it, of severity INFO unless said otherwise.

    It belongs to the span `trace_id`, `span_id`, or to none when they are "".
    """

    __slots__ = (
        "attributes",
        "body",
        "dropped_attributes",
        "event_name",
        "flags",
        "severity_number",
        "severity_text",
        "span_id",
        "time_ns",
        "trace_id",
    )

    def __init__(
        self,
        time_ns: int,
        *,
        severity_number: int = SEVERITY_INFO,
        severity_text: str = "INFO",
        event_name: str = "",
        body: object = None,
        attributes: "Mapping[str, object] | None" = None,
        trace_id: str = "",
        span_id: str = "",
        flags: int = 0,
    ) -> None:
        self.time_ns = time_ns
        self.severity_number = severity_number
        self.severity_text = severity_text
        self.event_name = event_name
        self.body = body
        self.attributes: dict[str, object] = dict(attributes or ())
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self.dropped_attributes = 0


def encode_resource(attributes: "Mapping[str, object]") -> str:
    """Return a Resource as JSON, of 256 KiB at most; encode it once for all records of a process."""

    def encode(limit: int) -> str:
        dropped = _dropped("Attributes", attributes, 0, limit)
        return f'{{"attributes":[{_attributes(attributes, limit)}]{dropped}}}'

    return _fit(encode, RESOURCE_LIMIT).decode()


def spans_line(resource_json: str, spans: "Sequence[Span]", scope_json: str = SCOPE) -> bytes:
    """Return one line of TracesData with these spans, which have one resource and one scope."""
    head = f'{{"resourceSpans":[{{"resource":{resource_json},"scopeSpans":[{{"scope":{scope_json},"spans":['

    def encode(limit: int) -> str:
        return head + ",".join([_span(span, limit) for span in spans]) + "]}]}]}\n"

    return _fit(encode, LINE_LIMIT)


def logs_line(resource_json: str, logs: "Sequence[Log]", scope_json: str = SCOPE) -> bytes:
    """Return one line of LogsData with these records, which have one resource and one scope.

    Each gets an attribute log.record.uid unless it has one, so that a repeated delivery can be told.
    """
    head = (
        f'{{"resourceLogs":[{{"resource":{resource_json},"scopeLogs":[{{"scope":{scope_json},"logRecords":['
    )
    observed = time.time_ns()
    for log in logs:
        log.attributes.setdefault("log.record.uid", posix.urandom(16).hex())

    def encode(limit: int) -> str:
        return head + ",".join([_log(log, observed, limit) for log in logs]) + "]}]}]}\n"

    return _fit(encode, LINE_LIMIT)


def cut_text(text: str, limit: int) -> str:
    """Return `text`, cut to `limit` bytes of UTF-8 where it has more: between characters, and marked."""
    if len(text) * 4 <= limit:
        return text
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return text
    kept = data[:limit].decode("utf-8", "ignore")
    return f"{kept}…‹cut {len(data) - len(kept.encode())} bytes›"


def _fit(encode: "Callable[[int], str]", size: int) -> bytes:
    # `encode(0)` cuts nothing. Only a line that is too long pays for finding the widest limit that fits.
    data = _to_bytes(encode(0))
    if len(data) <= size:
        return data
    best = _to_bytes(encode(_SHORTEST_CUT))
    if len(best) > size:
        return _to_bytes(encode(_BARE))
    low, high = _SHORTEST_CUT, size
    while high - low > 1024:
        middle = (low + high) // 2
        data = _to_bytes(encode(middle))
        if len(data) <= size:
            best, low = data, middle
        else:
            high = middle
    return best


def _to_bytes(text: str) -> bytes:
    return text.encode(
        "utf-8", "replace"
    )  # lone surrogates stand for bytes that were not UTF-8: they become ?


def _span(span: Span, limit: int) -> str:
    parts = [f'{{"traceId":"{span.trace_id}","spanId":"{span.span_id}"']
    if span.parent_id:
        parts.append(f'"parentSpanId":"{span.parent_id}"')
    if span.tracestate:
        parts.append(f'"traceState":{_string(span.tracestate, limit)}')
    if span.flags:
        parts.append(f'"flags":{span.flags}')
    parts.append(
        f'"name":{_string(span.name, limit)},"kind":{span.kind},"startTimeUnixNano":"{span.start_ns}"'
    )
    if span.end_ns:
        parts.append(f'"endTimeUnixNano":"{span.end_ns}"')
    parts.append(f'"attributes":[{_attributes(span.attributes, limit)}]')
    if span.events and limit != _BARE:
        parts.append(f'"events":[{",".join([_event(event, limit) for event in span.events])}]')
    if span.links and limit != _BARE:
        parts.append(f'"links":[{",".join([_link(link, limit) for link in span.links])}]')
    if span.status_code or span.status_message:
        message = f',"message":{_string(span.status_message, limit)}' if span.status_message else ""
        parts.append(f'"status":{{"code":{span.status_code}{message}}}')
    dropped = _dropped("Attributes", span.attributes, span.dropped_attributes, limit)
    dropped += _dropped("Events", span.events, span.dropped_events, limit)
    dropped += _dropped("Links", span.links, span.dropped_links, limit)
    return ",".join(parts) + dropped + "}"


def _dropped(what: str, present: "Sequence[object] | Mapping[str, object]", before: int, limit: int) -> str:
    count = before + (len(present) if limit == _BARE else 0)
    return f',"dropped{what}Count":{count}' if count else ""


def _event(event: "tuple[str, int, Mapping[str, object]]", limit: int) -> str:
    name, time_ns, attributes = event
    fields = f'"timeUnixNano":"{time_ns}","name":{_string(name, limit)}'
    return f'{{{fields},"attributes":[{_attributes(attributes, limit)}]}}'


def _link(link: "tuple[str, str, str, Mapping[str, object]]", limit: int) -> str:
    trace_id, span_id, tracestate, attributes = link
    fields = f'"traceId":"{trace_id}","spanId":"{span_id}"'
    if tracestate:
        fields += f',"traceState":{_string(tracestate, limit)}'
    return f'{{{fields},"attributes":[{_attributes(attributes, limit)}]}}'


def _log(log: Log, observed_ns: int, limit: int) -> str:
    parts = [f'{{"timeUnixNano":"{log.time_ns}","observedTimeUnixNano":"{observed_ns}"']
    parts.append(f'"severityNumber":{log.severity_number},"severityText":{_string(log.severity_text, limit)}')
    if log.event_name:
        parts.append(f'"eventName":{_string(log.event_name, limit)}')
    if log.body is not None and limit != _BARE:
        parts.append(f'"body":{_value(log.body, limit)}')
    parts.append(f'"attributes":[{_attributes(log.attributes, limit)}]')
    if log.trace_id:
        parts.append(f'"traceId":"{log.trace_id}"')
    if log.span_id:
        parts.append(f'"spanId":"{log.span_id}"')
    if log.flags:
        parts.append(f'"flags":{log.flags}')
    return ",".join(parts) + _dropped("Attributes", log.attributes, log.dropped_attributes, limit) + "}"


def _attributes(attributes: "Mapping[str, object]", limit: int) -> str:
    if limit == _BARE:
        return ""
    return ",".join(
        [
            f'{{"key":{_string(name, limit)},"value":{_value(value, limit)}}}'
            for name, value in attributes.items()
            if value is not None
        ]
    )


def _string(text: object, limit: int) -> str:
    if type(text) is not str:
        text = str.__str__(text) if isinstance(text, str) else str(text)
    if limit:
        text = cut_text(text, max(limit, _SHORTEST_CUT))
    return quote_json(text)


def _value(value: object, limit: int) -> str:
    if isinstance(value, str):
        return f'{{"stringValue":{_string(value, limit)}}}'
    if isinstance(value, bool):  # before int, which bool is
        return f'{{"boolValue":{"true" if value else "false"}}}'
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _double(value)
    return _compound(value, limit)


def _integer(value: int) -> str:
    number = int.__repr__(value)
    if -(1 << 63) <= value < 1 << 63:
        return f'{{"intValue":"{number}"}}'
    return f'{{"stringValue":"{number}"}}'  # OTLP has 64-bit integers only


def _double(value: float) -> str:
    number = float.__repr__(value)
    if number[-1] in "fn":  # inf, nan: protobuf's JSON has strings for them, which strict receivers refuse
        name = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[number]
        return f'{{"stringValue":"{name}"}}'
    return f'{{"doubleValue":{number}}}'


def _compound(value: object, limit: int) -> str:
    if value is None:  # only inside an array or as a body: strict receivers refuse a value that is empty
        return '{"stringValue":""}'
    if isinstance(value, (list, tuple)):
        return f'{{"arrayValue":{{"values":[{",".join([_value(item, limit) for item in value])}]}}}}'
    if isinstance(value, dict):
        return f'{{"kvlistValue":{{"values":[{_attributes(value, limit)}]}}}}'
    if isinstance(value, (bytes, bytearray)):
        from binascii import b2a_base64  # hardly any attribute is bytes

        return f'{{"bytesValue":"{b2a_base64(value, newline=False).decode()}"}}'
    return f'{{"stringValue":{_string(value, limit)}}}'
