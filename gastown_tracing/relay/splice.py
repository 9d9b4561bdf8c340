"""One OTLP/HTTP JSON request of many lines: the records' bytes as they stand, behind their resource.

Nothing is encoded again: a record's bytes are what its writer wrote, however often it is sent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gastown_tracing.journal.parse import MALFORMED
from gastown_tracing.relay.lines import Damage, Lines, dump
from gastown_tracing.relay.protobuf import check_head, encode_log, encode_span, malformed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gastown_tracing.relay.feed import Piece

_STRING = rb'"(?:[^"\\]|\\.)*"'
_TRACE_ID, _SPAN_ID = rb'"(?!0{32})[0-9a-f]{32}"', rb'"(?!0{16})[0-9a-f]{16}"'
#: How the records that our writer writes begin; the rest of one that is JSON then is right, too.
_SPAN = re.compile(
    rb'\{"traceId":%b,"spanId":%b,(?:"parentSpanId":%b,)?(?:"traceState":%b,)?(?:"flags":\d{1,9},)?"name":%b,'
    rb'"kind":[0-5],"startTimeUnixNano":"\d{1,19}"(?:,"endTimeUnixNano":"\d{1,19}")?,"attributes":\['
    % (_TRACE_ID, _SPAN_ID, _SPAN_ID, _STRING, _STRING)
)
_LOG = re.compile(
    rb'\{"timeUnixNano":"\d{1,19}","observedTimeUnixNano":"\d{1,19}","severityNumber":(?:1?\d|2[0-4]),'
    rb'"severityText":"[A-Z0-9]*",'
)
_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}")
_PARENT = re.compile(r"(?!0{16})[0-9a-f]{16}")
_CODES = (0, 1, 2)


class Splicer:
    """Makes requests in JSON of the lines of one signal, `traces` or `logs`."""

    def __init__(self, signal: str) -> None:
        self.lines = Lines(signal, check_head)
        traces = signal == "traces"
        self._begins = (_SPAN if traces else _LOG).match
        self._right = _right_span if traces else _right_log
        self._encode = encode_span if traces else encode_log

    def build(self, pieces: Iterable[Piece]) -> tuple[bytes, int, list[Damage]]:
        """Return a request with all records of whole lines, how many those are, and what is left out."""
        groups: dict[bytes, list[bytes]] = {}
        damage: list[Damage] = []
        begins, right = self._begins, self._right
        count = 0
        for piece in pieces:
            for start, found, records in self.lines.read(piece, damage):
                if len(records) == 1 and begins(found) and right(records[0]):
                    data = found
                    count += 1
                else:
                    good = self._good(records, piece, damage)
                    if not good:
                        continue
                    data = found if len(good) == len(records) else dump(good)
                    count += len(good)
                if start in groups:
                    groups[start].append(data)
                else:
                    groups[start] = [data]
        return self._joined(groups), count, damage

    def _joined(self, groups: dict[bytes, list[bytes]]) -> bytes:
        """Return the request: each head once, all its records behind it."""
        opening = self.lines.shape.opening
        skip = len(opening)
        parts = [opening]
        for head_of, records in groups.items():
            parts += (head_of[skip:], records[0] if len(records) == 1 else b",".join(records), b"]}]},")
        if groups:
            parts[-1] = b"]}]}"
        parts.append(b"]}")
        return b"".join(parts)

    def _good(self, records: list[Any], piece: Piece, damage: list[Damage]) -> list[Any]:
        """Return the records that an endpoint can read: those that can be made protobuf."""
        good = []
        for record in records:
            try:
                self._encode(record)
            except MALFORMED as error:
                damage.append(Damage(piece.file, piece.start, malformed(error)))
            else:
                good.append(record)
        return good


def _right_span(record: Any) -> bool:
    """Say whether what stands behind a span's attributes is right; False where it takes a longer look."""
    if "links" in record or "events" in record:
        return False
    status = record.get("status")
    return status is None or (type(status) is dict and status.get("code", 0) in _CODES)


def _right_log(record: Any) -> bool:
    """Say whether a log record's ids are right, which stand behind its attributes."""
    trace_id, span_id = record.get("traceId", ""), record.get("spanId", "")
    if type(trace_id) is not str or type(span_id) is not str:
        return False
    return (not trace_id or _TRACE.fullmatch(trace_id) is not None) and (
        not span_id or _PARENT.fullmatch(span_id) is not None
    )
