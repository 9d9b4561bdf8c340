"""A record that is longer than a line of the journal may be: its longest texts are cut and marked."""

from __future__ import annotations

from typing import Any

import orjson

from gastown_tracing.journal.otlp import cut_text
from gastown_tracing.relay.receiver.transcode import Json

#: Bytes that texts keep, tried one after the other.
_LIMITS = (65536, 16384, 4096, 1024, 256)
#: What a record can do without, the least important first.
_SPARE = ("links", "events", "attributes", "body")


def fitted(record: Json, room: int) -> bytes | None:
    """Return a record as JSON within `room` bytes; None where even its bones are longer."""
    data = orjson.dumps(record)
    if len(data) <= room:
        return data
    for limit in _LIMITS:
        data = orjson.dumps(_cut(record, limit))
        if len(data) <= room:
            return data
    bare = _cut(record, _LIMITS[-1])
    for name in _SPARE:
        dropped = bare.pop(name, None)
        if isinstance(dropped, list):
            counter = f"dropped{name.capitalize()}Count"
            bare[counter] = int(bare.get(counter, 0)) + len(dropped)
        data = orjson.dumps(bare)
        if len(data) <= room:
            return data
    return None


def _cut(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return cut_text(value, limit)
    if isinstance(value, list):
        return [_cut(item, limit) for item in value]
    if isinstance(value, dict):
        return {name: _cut(item, limit) for name, item in value.items()}
    return value
