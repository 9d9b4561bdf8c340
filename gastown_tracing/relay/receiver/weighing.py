"""How many values a request holds, found out before it is read.

A message without a field takes two bytes of a request, and two hundred of memory: a limit on bytes is none on
memory. Nothing is kept of what is looked at here.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_OPENING = (b",", b"{", b"[")
#: Wire types of protobuf ("Encoding", "Message Structure"); groups are of no message of OTLP.
_VARINT, _FIXED64, _LENGTH, _GROUP, _GROUP_END, _FIXED32 = 0, 1, 2, 3, 4, 5
_WIDTH = {_FIXED64: 8, _FIXED32: 4}
#: Messages within messages, at most: where protobuf's own parser stops.
_DEPTH = 100
#: Bits by which the last byte of a number is shifted at most.
_LONGEST = 63


def json_holds_more(body: bytes, most: int) -> bool:
    """Say whether a text in JSON has more values than `most`."""
    if _begun(body, 0, len(body)) <= most:  # what looks like one within a string included
        return False
    found = end = 0
    for string in _STRING.finditer(body):
        found += _begun(body, end, string.start())
        if found > most:
            return True
        end = string.end()
    return found + _begun(body, end, len(body)) > most


def _begun(body: bytes, start: int, end: int) -> int:
    return sum(body.count(mark, start, end) for mark in _OPENING)


def protobuf_holds_more(body: bytes, descriptor: Any, most: int) -> bool:
    """Say whether a message of a `Descriptor` has more messages and members of lists in it than `most`.

    Where it is damaged what comes before counts: a parser has made that by then.
    """
    if len(body) <= most:  # a member takes a byte at least
        return False
    try:
        return _walked(body, descriptor, most) > most
    except IndexError:
        return False  # cut short


def _walked(body: bytes, descriptor: Any, most: int) -> int:
    """Return how many there are, or a number beyond `most`."""
    found = at = 0
    levels = [(len(body), _plan(descriptor))]
    while levels and found <= most:
        end, plan = levels[-1]
        if at >= end:
            levels.pop()
            continue
        tag, at = _varint(body, at)
        wire, field = tag & 7, plan.get(tag >> 3)
        found += field is not None
        if wire == _LENGTH:
            size, at = _varint(body, at)
            if size > end - at:
                break
            if isinstance(field, FieldDescriptor):  # numbers without tags of their own
                found += size // _WIDTH.get(_wire_type(field), 1)
            elif field is not None and len(levels) <= _DEPTH:
                levels.append((at + size, _plan(field)))
                continue
            at += size
        elif wire == _VARINT:
            _, at = _varint(body, at)
        elif wire in _WIDTH:
            at += _WIDTH[wire]
        elif wire not in (_GROUP, _GROUP_END):
            break
    return found


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Return (number, where the next byte is)."""
    byte = body[at]
    value, shift, at = byte & 0x7F, 7, at + 1
    while byte >= 0x80:
        if shift > _LONGEST:
            raise IndexError("longer than any number")
        byte = body[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
    return value, at


@cache
def _plan(descriptor: Any) -> dict[int, Any]:
    """Return, by its number, each field that takes memory of its own: a message's descriptor, or a list."""
    return {
        field.number: field.message_type or field
        for field in descriptor.fields
        if field.message_type is not None or field.is_repeated
    }


def _wire_type(field: FieldDescriptor) -> int:
    if field.type in (
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED64,
        FieldDescriptor.TYPE_DOUBLE,
    ):
        return _FIXED64
    if field.type in (
        FieldDescriptor.TYPE_FIXED32,
        FieldDescriptor.TYPE_SFIXED32,
        FieldDescriptor.TYPE_FLOAT,
    ):
        return _FIXED32
    return _VARINT
