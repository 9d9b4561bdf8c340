"""JSON with the place of each value in its text, so that one can be changed and every other byte kept."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

_BLANKS = " \t\r\n"
_DECODER = json.JSONDecoder()


@dataclass(slots=True)
class Located:
    """One value: from where to where it is in the text.

    An object has `items` and their `keys`, with the place of each key; an array has `items` alone. Any other
    has its `value`.
    """

    start: int
    end: int = 0
    value: Any = None
    keys: list[tuple[str, int]] = field(default_factory=list)
    items: list[Located] = field(default_factory=list)

    def member(self, key: str) -> Located | None:
        """Return an object's member. Of several with one name the last counts, as in JavaScript."""
        found = [item for (name, _), item in zip(self.keys, self.items, strict=True) if name == key]
        return found[-1] if found else None

    def begin(self, index: int) -> int:
        """Return where an item begins, its key included."""
        return self.keys[index][1] if self.keys else self.items[index].start


def locate(text: str) -> Located:
    """Return a text's value. Raises ValueError where it is not JSON, RecursionError where it is too deep."""
    json.loads(text, parse_constant=_refuse)  # says where it is wrong; from here on it is not
    return _value(text, _skip(text, 0))


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _value(text: str, start: int) -> Located:
    if text[start] not in "{[":
        value, end = _DECODER.raw_decode(text, start)
        return Located(start, end, value)
    closing = "}" if text[start] == "{" else "]"
    found = Located(start)
    index = _skip(text, start + 1)
    while text[index] != closing:
        if closing == "}":
            key, end = _DECODER.raw_decode(text, index)
            found.keys.append((key, index))
            index = _skip(text, _skip(text, end) + 1)  # past the colon
        found.items.append(_value(text, index))
        index = _skip(text, found.items[-1].end)
        if text[index] == ",":
            index = _skip(text, index + 1)
    found.end = index + 1
    return found


def _skip(text: str, index: int) -> int:
    while text[index : index + 1] in _BLANKS and index < len(text):
        index += 1
    return index
