"""A trace as OTLP JSON: one TracesData object that any OTLP/HTTP receiver takes, and one LogsData object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from gastown_tracing.journal.otlp import encode_resource, encode_scope, logs_line, spans_line

if TYPE_CHECKING:
    from gastown_tracing.journal.parse import ReadLog, ReadSpan

    _Record = TypeVar("_Record", ReadSpan, ReadLog)

#: What closes a line of one resource, one scope and no more records.
_TAIL = b"]}]}]}\n"


def traces(spans: Sequence[ReadSpan]) -> bytes:
    """Return one line of TracesData with every span that has ended, grouped by resource and scope."""
    return _data(b"resourceSpans", spans, spans_line)


def logs(records: Sequence[ReadLog]) -> bytes:
    """Return one line of LogsData, grouped by resource and scope."""
    return _data(b"resourceLogs", records, logs_line)


def _data(
    key: bytes, records: Sequence[_Record], line: Callable[[str, Sequence[_Record], str], bytes]
) -> bytes:
    """Return the records as one line, however long: a line of the journal has a limit, a request has none."""
    groups: dict[tuple[str, str, str], list[_Record]] = {}
    resources: dict[int, str] = {}
    for record in records:
        resource = resources.get(id(record.resource))
        if resource is None:
            resource = resources[id(record.resource)] = encode_resource(record.resource)
        groups.setdefault((resource, record.scope, record.scope_version), []).append(record)
    opening = b'{"%s":[' % key
    parts = []
    for (resource, scope, version), members in groups.items():
        scope_json = encode_scope(scope, version)
        head = line(resource, [], scope_json)[: -len(_TAIL)]
        bodies = [line(resource, [member], scope_json)[len(head) : -len(_TAIL)] for member in members]
        parts.append(head[len(opening) :] + b",".join(bodies) + _TAIL[: -len(b"]}\n")])
    return opening + b",".join(parts) + b"]}\n"
