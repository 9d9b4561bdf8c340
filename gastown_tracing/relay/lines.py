"""The lines of a journal as they are shipped: checked, and cut where they are damaged.

A line as our writer makes it has one resource and one scope. What stands before its records is its head, the
same bytes for all records of one process: it is checked once, and of each line only the records are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from gastown_tracing.journal.parse import MALFORMED, read_requests

if TYPE_CHECKING:
    from gastown_tracing.relay.feed import Piece

#: What ends a line after its records, in both signals.
END = b"]}]}]}"
#: Heads that are remembered; a process of its own is behind each.
HEADS = 4096
#: What stands last in the resource of a short process and is its own; all before it is its session's.
_PID = b'{"key":"process.pid","value":{"intValue":"'
_OWN = re.compile(
    rb'(?:,|(?<=\[))\{"key":"process\.pid","value":\{"intValue":"(\d{1,10})"\}\},'
    rb'\{"key":"service\.instance\.id","value":\{"stringValue":"([0-9a-f-]{36})"\}\}(?=\]\},"scope)'
)
_RESOURCE = frozenset(("attributes", "droppedAttributesCount"))


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of a file that is not shipped because it cannot be: `offset` is that of its line."""

    file: str
    offset: int
    reason: str


#: A head, the records as they stand behind it, and the same parsed.
Group = tuple[bytes, bytes, list[Any]]


class Shape:
    """How a signal's lines are built: the names of what is in what."""

    __slots__ = ("between", "inner", "middle", "opening", "outer", "start")

    def __init__(self, outer: str, middle: str, inner: str) -> None:
        self.outer, self.middle, self.inner = outer, middle, inner
        #: What every request begins with, what stands between a resource and its scopes, and what comes
        #: right before the records.
        self.opening = f'{{"{outer}":['.encode()
        self.between = f',"{middle}":['.encode()
        self.start = f'"{inner}":['.encode()


SHAPES = {
    "traces": Shape("resourceSpans", "scopeSpans", "spans"),
    "logs": Shape("resourceLogs", "scopeLogs", "logRecords"),
}


class Lines:
    """Reads the lines of one signal.

    `check_head` raises one of MALFORMED for what is no resource and scope.
    """

    def __init__(self, signal: str, check_head: Callable[[Any, Any], object]) -> None:
        self.shape = SHAPES[signal]
        self._check_head = check_head
        self._heads: set[bytes] = set()

    def read(self, piece: Piece, damage: list[Damage]) -> Iterator[Group]:
        """Return the groups of records in whole lines; what is none is added to `damage`."""
        loads = orjson.loads
        head = before = after = b""
        own = -1  # where the part of the head stands that is a process's own
        for line in piece.data.split(b"\n")[:-1]:
            if line.endswith(END):
                at = len(head)
                if not (at and line.startswith(head)):
                    # Most lines differ from the one before in what is their process's own alone.
                    found = _OWN.match(line, own) if own > 0 and line.startswith(before) else None
                    if found is not None and line.startswith(after, found.end()):
                        head = line[: found.end() + len(after)]
                    else:
                        head, before, after = self._head_of(line)
                        own = len(before)
                    at = len(head)
                if at:
                    try:
                        yield head, line[at:-6], loads(line[at - 1 : -5])
                        continue
                    except orjson.JSONDecodeError:
                        pass
            if line.strip():
                yield from self._cut(line, piece, damage)

    def halves(self, pieces: Iterable[Piece]) -> tuple[list[Piece], list[Piece]] | None:
        """Return pieces in two halves by lines, or of one line by records; None for a single one."""
        lines = [line for piece in pieces for line in _single(piece)]
        if len(lines) == 1:
            lines = self._split(lines[0])
        if len(lines) < 2:
            return None
        middle = len(lines) // 2
        return lines[:middle], lines[middle:]

    def _split(self, line: Piece) -> list[Piece]:
        """Return the records of a line, each as a line; only with the last one the file's line is done."""
        found = [
            b"%b%b%b\n" % (start, dump([record]), END)
            for start, _, records in self.read(line, [])
            for record in records
        ]
        parts = [replace(line, end=line.start, data=data) for data in found[:-1]]
        return [*parts, replace(line, data=found[-1])] if found else [line]

    def _head_of(self, line: bytes) -> tuple[bytes, bytes, bytes]:
        """Return a line's head, and what of it stands before and after the part that is a process's own.

        The first is empty where it is not as our writer makes it, the other two where it has no such part.
        """
        start = self.shape.start
        head = line[: line.find(start) + len(start)]
        before, own, after = without_own(head)
        if not self._known(before + after):
            return b"", b"", b""
        return (head, before, after) if own else (head, b"", b"")

    def _known(self, head: bytes) -> bool:
        if head in self._heads:
            return True
        try:
            if not head.startswith(self.shape.opening) or self.shape.between not in head:
                return False  # with blanks between its words
            self._check(orjson.loads(head + END))
        except MALFORMED:
            return False
        if len(self._heads) >= HEADS:
            self._heads.clear()
        self._heads.add(head)
        return True

    def _check(self, request: Any) -> None:
        """Raise one of MALFORMED unless a request holds one resource and one scope as our writer has them."""
        ((outer, (group,)),) = request.items()
        (part,) = group[self.shape.middle]
        keys = [outer, *group, *part]
        if keys != [self.shape.outer, "resource", self.shape.middle, "scope", self.shape.inner]:
            raise ValueError("more or less than our writer writes")
        if part[self.shape.inner] != [] or not _RESOURCE.issuperset(group["resource"]):
            raise ValueError("no head of a line")
        self._check_head(group["resource"], part["scope"])

    def _cut(self, line: bytes, piece: Piece, damage: list[Damage]) -> Iterator[Group]:
        """Return what can be read of a line that is not as our writer makes them."""
        opening = self.shape.opening[:-1].decode()
        requests, reason = read_requests(line.decode("utf-8", "replace").rstrip(), opening)
        for request in requests:
            try:
                yield from self._groups(request)
            except MALFORMED as error:
                reason = f"not OTLP JSON: {type(error).__name__}: {error}"
        if reason:
            damage.append(Damage(piece.file, piece.start + piece.data.find(line), reason))

    def _groups(self, request: Any) -> Iterator[Group]:
        """Return the groups of any request, in the form of our writer's."""
        shape = self.shape
        for group in request[shape.outer]:
            for part in group.get(shape.middle, ()):
                resource, scope = group.get("resource", {}), part.get("scope", {})
                self._check_head(resource, scope)
                records = part.get(shape.inner, [])
                if not isinstance(records, list):
                    raise TypeError(f"{shape.inner} is no array")
                yield self._head(group, part, resource, scope), dump(records), records

    def _head(self, group: Any, part: Any, resource: Any, scope: Any) -> bytes:
        url, inner_url = (
            b'"schemaUrl":' + orjson.dumps(str(found["schemaUrl"])) + b"," if "schemaUrl" in found else b""
            for found in (group, part)
        )
        return b"".join(
            (
                self.shape.opening,
                b'{"resource":' + orjson.dumps(resource) + b"," + url,
                f'"{self.shape.middle}":['.encode(),
                b'{"scope":' + orjson.dumps(scope) + b"," + inner_url,
                self.shape.start,
            )
        )


def without_own(head: bytes) -> tuple[bytes, tuple[bytes, ...], bytes]:
    """Return what stands before the part of a head that is one short process's own, the part, what is after.

    The part is the process id and service.instance.id; () where there is none, and then all stands before.
    """
    at = head.rfind(_PID)
    found = _OWN.match(head, at - 1) if at > 0 else None
    if found is None:
        return head, (), b""
    return head[: found.start()], found.groups(), head[found.end() :]


def dump(records: list[Any]) -> bytes:
    """Return records as they stand in an array, the same bytes every time."""
    return orjson.dumps(records)[1:-1]


def _single(piece: Piece) -> list[Piece]:
    """Return the lines of a piece one by one."""
    found, start = [], piece.start
    for line in piece.data.split(b"\n")[:-1]:
        end = start + len(line) + 1
        found.append(replace(piece, start=start, end=end, data=line + b"\n"))
        start = end
    return found


def beginning(piece: Piece, count: int) -> Piece:
    """Return the first lines of a piece that has more."""
    end = 0
    for _ in range(count):
        end = piece.data.index(b"\n", end) + 1
    return replace(piece, end=piece.start + end, data=piece.data[:end])


def last_line(piece: Piece) -> Piece:
    """Return the last line of a piece."""
    start = piece.data.rfind(b"\n", 0, -1) + 1
    return replace(piece, start=piece.start + start, data=piece.data[start:])
