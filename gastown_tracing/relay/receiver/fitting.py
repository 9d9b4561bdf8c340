"""A record that is longer than a line of the journal may be: its longest texts are cut and marked.

A metric is told in several: its points are many rather than long.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import orjson

from gastown_tracing.journal.otlp import cut_text
from gastown_tracing.relay.receiver.transcode import Json

#: Bytes that texts keep, tried one after the other.
_LIMITS = (65536, 16384, 4096, 1024, 256)
#: What a record can do without, the least important first.
_SPARE = ("links", "events", "attributes", "body")
_KINDS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")


def fitted(record: Json, room: int) -> bytes | None:
    """Return a record that is longer as JSON within `room` bytes; None where even its bones are longer."""
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


def halves(metric: Json) -> list[Json]:
    """Return a metric twice, each with one half of its points; nothing where it has one at most."""
    kind = _kind(metric)
    data = metric.get(kind, {})
    points = data.get("dataPoints", ())
    middle = len(points) // 2
    parts = (points[:middle], points[middle:]) if middle else ()
    return [{**metric, kind: {**data, "dataPoints": part}} for part in parts]


def points_of(metric: Json) -> int:
    """Return how many points a metric has, 0 for any other record."""
    return len(metric.get(_kind(metric), {}).get("dataPoints", ()))


def _kind(metric: Json) -> str:
    return next((kind for kind in _KINDS if kind in metric), "")


def _cut(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return cut_text(value, limit)
    if isinstance(value, list):
        return [_cut(item, limit) for item in value]
    if isinstance(value, dict) and len(value.get("bytesValue", "")) > limit:  # cut it would not be base64
        return {"stringValue": f"‹{len(b64decode(value['bytesValue']))} bytes›"}
    if isinstance(value, dict):
        return {name: _cut(item, limit) for name, item in value.items()}
    return value
