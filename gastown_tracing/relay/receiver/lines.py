"""From records as JSON to lines of a journal: one resource and scope a line, 1 MiB at most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from gastown_tracing.journal.otlp import LINE_LIMIT, RESOURCE_LIMIT, encode_resource
from gastown_tracing.journal.parse import read_attributes
from gastown_tracing.relay.receiver.requests import Signal
from gastown_tracing.relay.receiver.transcode import Json

_CAMEL = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}
_END = b"]}]}]}\n"
#: Bytes that are aimed at: a reader takes a line whole.
_TARGET = 1 << 18


@dataclass(frozen=True, slots=True)
class Head:
    """What stands around the records of a line: resource, as JSON, scope and their schemas."""

    resource: bytes
    resource_schema: str
    scope: Json
    scope_schema: str

    def encoded(self, signal: Signal) -> bytes:
        """Return the line up to the first record."""
        outer, middle, inner = _CAMEL[signal.name]
        scope = orjson.dumps(self.scope)
        if len(scope) > RESOURCE_LIMIT:
            scope = b"{}"
        return b'{"%s":[{"resource":%s%s,"%s":[{"scope":%s%s,"%s":[' % (
            outer.encode(),
            self.resource,
            _schema(self.resource_schema),
            middle.encode(),
            scope,
            _schema(self.scope_schema),
            inner.encode(),
        )


def encoded_resource(resource: Json) -> bytes:
    """Return a resource as JSON. One that is far too large has its texts cut."""
    data = orjson.dumps(resource)
    if len(data) > RESOURCE_LIMIT:
        return encode_resource(read_attributes(resource.get("attributes", ()))).encode()
    return data


def _schema(url: str) -> bytes:
    return b',"schemaUrl":' + orjson.dumps(url) if 0 < len(url) <= 256 else b""  # no URL is longer


def lines(head: bytes, records: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield (line, how many records are in it). No record may be longer than `room(head)`."""
    taken: list[bytes] = []
    size = 0
    for record in records:
        if taken and (size + len(record) > _TARGET):
            yield head + b",".join(taken) + _END, len(taken)
            taken, size = [], 0
        taken.append(record)
        size += len(record) + 1
    if taken:
        yield head + b",".join(taken) + _END, len(taken)


def room(head: bytes) -> int:
    """Return the bytes that one record may have behind a head."""
    return LINE_LIMIT - len(head) - len(_END)
