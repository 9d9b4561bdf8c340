"""The records of a journal as protobuf: OTLP JSON, parsed, into the messages of opentelemetry-proto.

Field by field, because protobuf's own JSON reader knows no ids in hex (OTLP specification, "JSON Protobuf
Encoding") and takes five times as long. Fields that are not known are left out. What is no record raises one
of journal.parse's MALFORMED.
"""

from __future__ import annotations

import struct
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gastown_tracing.journal.parse import MALFORMED
from gastown_tracing.relay.lines import END, HEADS, Damage, Lines, without_own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gastown_tracing.relay.feed import Piece

#: The highest number of each enumeration: a span's kind and status, a record's severity.
_KINDS, _CODES, _SEVERITIES = 5, 2, 24
#: The tags of the attributes in Resource, Span and LogRecord: field number and wire type.
_ATTRIBUTE_OF_RESOURCE, _ATTRIBUTE_OF_SPAN, _ATTRIBUTE_OF_LOG = b"\x0a", b"\x4a", b"\x32"
#: The fields that nearly every span has, and no others.
_USUAL = frozenset(
    (
        *("traceId", "spanId", "parentSpanId", "flags", "name", "kind"),
        *("startTimeUnixNano", "endTimeUnixNano", "attributes"),
    )
)
#: Attributes that are kept encoded, and characters in the longest of them.
_KNOWN, _SHORT = 4096, 200
_double = struct.Struct("<d").pack
_STRINGS: dict[tuple[str, str], bytes] = {}
_INTEGERS: dict[tuple[str, str], bytes] = {}
#: Ids that many records have: those of traces and of parents.
_IDS: dict[str, bytes] = {}


class Encoder:
    """Makes requests in protobuf of the lines of one signal, `traces` or `logs`."""

    def __init__(self, signal: str) -> None:
        self.lines = Lines(signal, check_head)
        self._encode = encode_span if signal == "traces" else encode_log
        self._heads: dict[bytes, tuple[bytes, bytes, bytes]] = {}

    def build(self, pieces: Iterable[Piece]) -> tuple[bytes, int, list[Damage]]:
        """Return a request with all records of whole lines, how many those are, and what is left out."""
        groups: dict[bytes, list[bytes]] = {}
        damage: list[Damage] = []
        encode = self._encode
        count = 0
        for piece in pieces:
            for start, _, records in self.lines.read(piece, damage):
                found = groups.get(start)
                if found is None:
                    found = groups[start] = []
                for record in records:
                    try:
                        found.append(encode(record))
                    except MALFORMED as error:
                        damage.append(Damage(piece.file, piece.start, malformed(error)))
                    else:
                        count += 1
        return b"".join([self._group(start, found) for start, found in groups.items()]), count, damage

    def _group(self, start: bytes, records: list[bytes]) -> bytes:
        """Return the field of a request that holds a resource, a scope and these records."""
        before, own, after = without_own(start)
        common = before + after
        if common not in self._heads:
            if len(self._heads) >= HEADS:
                self._heads.clear()
            self._heads[common] = self._head(common)
        resource, scope, url = self._heads[common]
        if own:
            pid = b"\x18" + _varint(int(own[0]))
            resource += b"%b%b%b%b" % (_ATTRIBUTE_OF_RESOURCE, _sized(_PID + _sized(pid)), _INSTANCE, own[1])
        inner = scope + b"".join([b"\x12" + _sized(record) for record in records])
        return b"\x0a" + _sized(b"\x0a" + _sized(resource) + b"\x12" + _sized(inner) + url)

    def _head(self, head: bytes) -> tuple[bytes, bytes, bytes]:
        """Return the resource of a head, the beginning of its ScopeSpans or ScopeLogs, and its schema URL."""
        found = orjson.loads(head + END)[self.lines.shape.outer][0]
        (part,) = found[self.lines.shape.middle]
        url, inner_url = (
            b"\x1a" + _sized(each["schemaUrl"].encode()) if each.get("schemaUrl") else b""
            for each in (found, part)
        )
        scope = b"\x0a" + _sized(encode_scope(part["scope"])) + inner_url
        return encode_resource(found["resource"]), scope, url


def check_head(resource: Any, scope: Any) -> None:
    """Raise one of MALFORMED unless these are a resource and a scope."""
    encode_resource(resource)
    encode_scope(scope)


def malformed(error: Exception) -> str:
    """Return why a record is none, in words."""
    return f"not OTLP JSON: {type(error).__name__}: {error}"


def encode_resource(found: Any) -> bytes:
    """Return the resource of OTLP JSON as protobuf. Raises one of MALFORMED."""
    dropped = Resource(dropped_attributes_count=int(found.get("droppedAttributesCount", 0)))
    return _pairs(_ATTRIBUTE_OF_RESOURCE, found) + dropped.SerializeToString()


def encode_scope(found: Any) -> bytes:
    """Return the instrumentation scope of OTLP JSON as protobuf. Raises one of MALFORMED."""
    message = InstrumentationScope(name=found.get("name", ""), version=found.get("version", ""))
    _attributes(message.attributes, found.get("attributes", ()))
    message.dropped_attributes_count = int(found.get("droppedAttributesCount", 0))
    return message.SerializeToString()


def encode_span(found: Any) -> bytes:
    """Return the span of OTLP JSON as protobuf. Raises one of MALFORMED."""
    get = found.get
    message = Span(
        trace_id=_shared_id(found["traceId"], 16),
        span_id=_id(found["spanId"], 8),
        name=get("name", ""),
        kind=_enum(get("kind", 0), _KINDS),
        flags=int(get("flags", 0)),
        start_time_unix_nano=int(get("startTimeUnixNano", 0)),
        end_time_unix_nano=int(get("endTimeUnixNano", 0)),
    )
    if parent := get("parentSpanId"):
        message.parent_span_id = _shared_id(parent, 8)
    if not _USUAL.issuperset(found):
        _rest_of_span(message, found)
    return message.SerializeToString() + _pairs(_ATTRIBUTE_OF_SPAN, found)


def _rest_of_span(message: Span, found: Any) -> None:
    get = found.get
    message.trace_state = get("traceState", "")
    if status := get("status"):
        message.status.code = _enum(status.get("code", 0), _CODES)
        message.status.message = status.get("message", "")
    for event in get("events", ()):
        added = message.events.add(
            name=event.get("name", ""), time_unix_nano=int(event.get("timeUnixNano", 0))
        )
        _attributes(added.attributes, event.get("attributes", ()))
        added.dropped_attributes_count = int(event.get("droppedAttributesCount", 0))
    for link in get("links", ()):
        _link(message.links.add(), link)
    message.dropped_attributes_count = int(get("droppedAttributesCount", 0))
    message.dropped_events_count = int(get("droppedEventsCount", 0))
    message.dropped_links_count = int(get("droppedLinksCount", 0))


def _link(message: Span.Link, found: Any) -> None:
    message.trace_id, message.span_id = _id(found["traceId"], 16), _id(found["spanId"], 8)
    message.trace_state, message.flags = found.get("traceState", ""), int(found.get("flags", 0))
    _attributes(message.attributes, found.get("attributes", ()))
    message.dropped_attributes_count = int(found.get("droppedAttributesCount", 0))


def encode_log(found: Any) -> bytes:
    """Return the log record of OTLP JSON as protobuf. Raises one of MALFORMED."""
    get = found.get
    message = LogRecord(
        time_unix_nano=int(get("timeUnixNano", 0)),
        observed_time_unix_nano=int(get("observedTimeUnixNano", 0)),
        severity_number=_enum(get("severityNumber", 0), _SEVERITIES),
        severity_text=get("severityText", ""),
        event_name=get("eventName", ""),
        flags=int(get("flags", 0)),
        dropped_attributes_count=int(get("droppedAttributesCount", 0)),
    )
    if trace_id := get("traceId"):
        message.trace_id = _shared_id(trace_id, 16)
    if span_id := get("spanId"):
        message.span_id = _id(span_id, 8)
    if body := get("body"):
        _value(message.body, body)
    return message.SerializeToString() + _pairs(_ATTRIBUTE_OF_LOG, found)


def _shared_id(text: str, size: int) -> bytes:
    found = _IDS.get(text)
    if found is None:
        if len(_IDS) >= _KNOWN:
            _IDS.clear()
        found = _IDS[text] = _id(text, size)
    elif len(found) != size:
        raise ValueError("an id that is none")
    return found


def _id(text: str, size: int) -> bytes:
    found = bytes.fromhex(text)
    if len(text) != size * 2 or len(found) != size or not any(found):
        raise ValueError("an id that is none")
    return found


def _enum(value: Any, highest: int) -> Any:
    if type(value) is not int or not 0 <= value <= highest:
        raise ValueError("an enumeration's number out of range")
    return value


def _sized(data: bytes) -> bytes:
    """Return `data` behind its length, as a field of protobuf has it."""
    size = len(data)
    return (_LENGTHS[size] if size < len(_LENGTHS) else _varint(size)) + data


def _varint(number: int) -> bytes:
    """Return a number from 0 on as protobuf has it: seven bits a byte, the lowest first."""
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _pairs(tag: bytes, found: Any) -> bytes:
    """Return the attributes of a record or resource, each as the field with this tag.

    Of a session's records most attributes are the same: those are encoded once.
    """
    parts = []
    for pair in found.get("attributes", ()):
        key, value = pair["key"], pair["value"]
        text = value.get("stringValue")
        if text is None:
            text = value.get("intValue")
            known = _INTEGERS if type(text) is str else None
        else:
            known = _STRINGS if len(text) <= _SHORT else None
        if known is None:
            number = value.get("doubleValue")
            if type(number) is float:
                name = key.encode()
                parts.append(_sized(b"\x0a%b\x12\x09\x21%b" % (_sized(name), _double(number))))
            else:
                parts.append(_pair(key, value))
            continue
        data = known.get((key, text))
        if data is None:
            if len(known) >= _KNOWN:
                known.clear()
            data = known[key, text] = _pair(key, value)
        parts.append(data)
    return tag + tag.join(parts) if parts else b""


def _pair(key: Any, value: Any) -> bytes:
    message = KeyValue(key=key)
    message.value.SetInParent()
    _value(message.value, value)
    return _sized(message.SerializeToString())


def _attributes(place: Any, pairs: Any) -> None:
    add: Callable[[], KeyValue] = place.add
    for pair in pairs:
        added = add()
        added.key = pair["key"]
        added.value.SetInParent()
        _value(added.value, pair["value"])


def _value(message: AnyValue, found: Any) -> None:
    """Make `message` the value of OTLP JSON; one of a kind that is not known stays empty."""
    for kind, content in found.items():
        if kind == "arrayValue":
            message.array_value.SetInParent()
            for item in content.get("values", ()):
                _value(message.array_value.values.add(), item)
        elif kind == "kvlistValue":
            message.kvlist_value.SetInParent()
            _attributes(message.kvlist_value.values, content.get("values", ()))
        elif kind in _SCALARS:
            name, convert = _SCALARS[kind]
            setattr(message, name, convert(content))


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError("no boolean")
    return value


def _bytes(value: Any) -> bytes:
    return b64decode(value, validate=True)


_SCALARS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "stringValue": ("string_value", lambda value: value),
    "intValue": ("int_value", int),
    "doubleValue": ("double_value", float),
    "boolValue": ("bool_value", _boolean),
    "bytesValue": ("bytes_value", _bytes),
}

#: The short numbers, which most lengths are.
_LENGTHS = [_varint(number) for number in range(2048)]
#: An attribute process.pid, up to its value; service.instance.id as a resource's, up to its 36 characters.
_PID = b"\x0a\x0bprocess.pid\x12"
_INSTANCE = _ATTRIBUTE_OF_RESOURCE + _pair("service.instance.id", {"stringValue": "0" * 36})[:-36]
