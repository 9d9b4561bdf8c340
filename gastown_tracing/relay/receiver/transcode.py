"""From OTLP's messages, as protobuf or as JSON, to plain JSON in the protocol's file format.

Both ways follow protobuf's own descriptors of OTLP, so that no field is listed here: lowerCamelCase keys, ids
in lower-case hex, 64-bit integers as decimal strings, enums as integers (OTLP specification, "JSON Protobuf
Encoding"). What OTLP does not know is left out, as it asks for.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

#: A JSON object.
Json = dict[str, Any]
_Convert = Callable[[Any], Any]

#: The ids, in JSON written as hex and not as base64.
_IDS = frozenset(("trace_id", "span_id", "parent_span_id"))
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
#: Values within values, at most.
_DEPTH = 64

_64_BITS = frozenset(
    (
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_SFIXED64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_FIXED64,
    )
)
_UNSIGNED = frozenset(
    (
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_FIXED32,
    )
)
_INTEGERS = (
    _64_BITS
    | _UNSIGNED
    | frozenset(
        (
            FieldDescriptor.TYPE_INT32,
            FieldDescriptor.TYPE_SINT32,
            FieldDescriptor.TYPE_SFIXED32,
            FieldDescriptor.TYPE_ENUM,
        )
    )
)
_REALS = frozenset((FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT))


class Unusable(ValueError):  # noqa: N818 - the record is, nothing of ours
    """A message that is not what OTLP says it is; the text is one line and repeats no value."""


def from_protobuf(message: Message) -> Json:
    """Return a message as JSON. Never raises: protobuf's parser has let nothing else through."""
    plan = _to_json(message.DESCRIPTOR)
    found: Json = {}
    for field, value in message.ListFields():
        name, convert, repeated = plan[field.number]
        found[name] = [convert(item) for item in value] if repeated else convert(value)
    return found


@cache
def _to_json(descriptor: Descriptor) -> dict[int, tuple[str, _Convert, bool]]:
    """Return, by a field's number, its name in JSON, what converts a value, and whether there are several."""
    return {
        field.number: (field.camelcase_name, _writer(field), _is_repeated(field))
        for field in descriptor.fields
    }


def _writer(field: FieldDescriptor) -> _Convert:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return (
            _pair
            if field.message_type is not None and field.message_type.name == "KeyValue"
            else from_protobuf
        )
    if field.type == FieldDescriptor.TYPE_BYTES:
        return bytes.hex if field.name in _IDS else _base64
    if field.type in _64_BITS:
        return str
    return _real if field.type in _REALS else _same


def _pair(pair: Any) -> Json:
    """Return an attribute as `from_protobuf` does; most are text, and most of a request is attributes."""
    value = pair.value
    if value.WhichOneof("value") == "string_value":
        return {"key": pair.key, "value": {"stringValue": value.string_value}}
    return from_protobuf(pair)


def _same(value: Any) -> Any:
    return value


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


def _real(value: float) -> float | str:
    """Return a number as JSON has it: one that is not finite is a string (ProtoJSON)."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def from_json(found: object, descriptor: Any, depth: int = 0) -> Json:
    """Return a JSON object as the message of a `Descriptor`, in its one form. Raises Unusable.

    null stands for a field that is not there (ProtoJSON).
    """
    if not isinstance(found, dict):
        raise Unusable(f"{descriptor.name} is no object")
    if depth > _DEPTH:
        raise Unusable("values are nested too deeply")
    plan = _of_json(descriptor)
    said: Json = {}
    for name, value in found.items():
        known = plan.get(name)
        if known is None or value is None:
            continue
        field, read, repeated = known
        if not repeated:
            said[name] = read(field, value, depth + 1)
        elif isinstance(value, list):
            said[name] = [read(field, item, depth + 1) for item in value]
        else:
            raise Unusable(f"{name} is no list")
    for names in _alternatives(descriptor):
        if len(said.keys() & names) > 1:
            raise Unusable(f"{descriptor.name} has more than one value")
    return said


_Read = Callable[[FieldDescriptor, Any, int], Any]


@cache
def _of_json(descriptor: Any) -> dict[str, tuple[FieldDescriptor, _Read, bool]]:
    return {field.camelcase_name: (field, _reader(field), _is_repeated(field)) for field in descriptor.fields}


@cache
def _alternatives(descriptor: Any) -> list[frozenset[str]]:
    """Return the fields of which a message has one at most (protobuf's oneof)."""
    groups = [[field.camelcase_name for field in oneof.fields] for oneof in descriptor.oneofs]
    return [frozenset(names) for names in groups if len(names) > 1]


def _is_repeated(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated)


def _reader(field: FieldDescriptor) -> _Read:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return _read_message
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _read_id if field.name in _IDS else _read_bytes
    if field.type in _INTEGERS:
        return _read_integer
    if field.type in _REALS:
        return _read_real
    return _read_flag if field.type == FieldDescriptor.TYPE_BOOL else _read_text


def _read_message(field: FieldDescriptor, value: Any, depth: int) -> Json:
    return from_json(value, field.message_type, depth)


def _read_text(field: FieldDescriptor, value: Any, _: int) -> str:
    if not isinstance(value, str):
        raise Unusable(f"{field.camelcase_name} is no string")
    return value


def _read_flag(field: FieldDescriptor, value: Any, _: int) -> bool:
    if not isinstance(value, bool):
        raise Unusable(f"{field.camelcase_name} is neither true nor false")
    return value


def _read_id(field: FieldDescriptor, value: Any, depth: int) -> str:
    text = _read_text(field, value, depth)
    try:
        return bytes.fromhex(text).hex() if " " not in text else _no_hex(field)
    except ValueError:
        return _no_hex(field)


def _no_hex(field: FieldDescriptor) -> str:
    raise Unusable(f"{field.camelcase_name} is not in hex")


def _read_bytes(field: FieldDescriptor, value: Any, depth: int) -> str:
    text = _read_text(field, value, depth)
    try:
        return b64encode(b64decode(text, validate=True)).decode()
    except ValueError:
        raise Unusable(f"{field.camelcase_name} is not in base64") from None


def _read_integer(field: FieldDescriptor, value: Any, _: int) -> int | str:
    """Return a number, a decimal string for one of 64 bits; JSON may have either, and 1.0 for 1."""
    try:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValueError  # noqa: TRY301 # the same end as for what int refuses
        number = int(value) if not isinstance(value, str) or len(value) <= len(str(1 << 64)) else 1 << 64
    except (ValueError, TypeError, OverflowError):
        raise Unusable(f"{field.camelcase_name} is no whole number") from None
    bits = 64 if field.type in _64_BITS else 32
    low, high = (0, 1 << bits) if field.type in _UNSIGNED else (-(1 << bits - 1), 1 << bits - 1)
    if not low <= number < high:
        raise Unusable(f"{field.camelcase_name} is out of range")
    return str(number) if bits == 64 else number


def _read_real(field: FieldDescriptor, value: Any, _: int) -> float | str:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Unusable(f"{field.camelcase_name} is no number")
    try:
        return _real(_NOT_FINITE[value] if value in _NOT_FINITE else float(value))
    except (ValueError, OverflowError):
        raise Unusable(f"{field.camelcase_name} is no number") from None
