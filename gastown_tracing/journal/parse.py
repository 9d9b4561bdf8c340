"""From lines of OTLP JSON back to spans and log records, whatever happened to the file in between.

A line is cut at every `{"resourceSpans":` or `{"resourceLogs":`, so that a torn one costs itself alone, an
unterminated last line is ignored, and both are counted. Nothing here raises because of what a file holds, and
a line takes time in proportion to its length.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from gastown_tracing.journal.layout import open_regular
from gastown_tracing.journal.otlp import Log, Span

_decode = json.JSONDecoder().raw_decode
#: What a broken file can make of the code below.
MALFORMED = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    ArithmeticError,
    RecursionError,
)


_NOT_JSON = "not JSON, or cut short"


@dataclass(frozen=True, slots=True)
class Skip:
    """A part of a file that could not be read; `line` counts from 1, 0 stands for the whole file."""

    file: str
    line: int
    reason: str


class ReadSpan(Span):
    """A span with the resource's attributes, and the name and version of the scope it was found under."""

    __slots__ = ("resource", "scope", "scope_version")
    resource: dict[str, Any]
    scope: str
    scope_version: str


class ReadLog(Log):
    """A log record with the resource's attributes, the scope's name and version, and when it was observed."""

    __slots__ = ("observed_ns", "resource", "scope", "scope_version")
    observed_ns: int
    resource: dict[str, Any]
    scope: str
    scope_version: str


_Record = TypeVar("_Record", ReadSpan, ReadLog)
_Scope = tuple[str, str]
_Build = Callable[[Any, dict[str, Any], _Scope], _Record]


def parse_spans(text: str, file: str, skipped: list[Skip]) -> list[ReadSpan]:
    """Return the spans in the text of a traces file; what is not understood is added to `skipped`."""
    return _parse(text, file, skipped, ("resourceSpans", "scopeSpans", "spans"), _span)


def parse_logs(text: str, file: str, skipped: list[Skip]) -> list[ReadLog]:
    """Return the log records in the text of a logs file; what is not understood is added to `skipped`."""
    return _parse(text, file, skipped, ("resourceLogs", "scopeLogs", "logRecords"), _log)


def read_file(path: str, skipped: list[Skip]) -> str:
    """Return a file's text, "" where there is none; one that cannot be read is added to `skipped`."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="\n", opener=open_regular) as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except OSError as error:
        skipped.append(Skip(path, 0, error.strerror or str(error)))
        return ""


def _parse(
    text: str, file: str, skipped: list[Skip], keys: tuple[str, str, str], build: _Build[_Record]
) -> list[_Record]:
    opening, resources = f'{{"{keys[0]}":', _Resources(*keys[:2])
    found: list[_Record] = []
    lines = text.split("\n")
    for number, line in enumerate(lines[:-1], 1):
        requests, reason = read_requests(resources.shorten(line.rstrip()), opening)
        for request in requests:
            try:
                found += _records(request, keys, resources, build)
            except MALFORMED as error:
                reason = f"not OTLP JSON: {type(error).__name__}: {error}"
        if reason:
            skipped.append(Skip(file, number, reason))
    if lines[-1]:
        skipped.append(Skip(file, len(lines), "the last line has no end"))
    return found


def _records(
    request: Any, keys: tuple[str, str, str], resources: _Resources, build: _Build[_Record]
) -> Iterator[_Record]:
    outer, middle, inner = keys
    for group in request[outer]:
        resource = resources.read(group.get("resource", {}))
        for part in group.get(middle, ()):
            named = part.get("scope", {})
            scope = str(named.get("name", "")), str(named.get("version", ""))
            for record in part.get(inner, ()):
                yield build(record, resource, scope)


class _Resources:
    """The resources of one file: nearly all lines have the same one, so it is decoded once and shared."""

    def __init__(self, outer: str, middle: str) -> None:
        self._opening = f'{{"{outer}":[{{"resource":'
        self._closing = f',"{middle}":['
        self._tokens: dict[str, str] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self._secret = os.urandom(8).hex()  # so that no file names a resource that is not its own

    def shorten(self, line: str) -> str:
        """Return the line with a token for its resource, where it begins as our writer's lines do."""
        head = line[: max(0, line.find(self._closing))]
        if head not in self._tokens:
            if not head.startswith(self._opening):
                return line
            try:
                resource = self._resource(head[len(self._opening) :])
            except MALFORMED:
                return line
            self._tokens[head] = f"{self._secret}-{len(self._known)}"
            self._known[self._tokens[head]] = resource
        return f'{self._opening}"{self._tokens[head]}"{line[len(head) :]}'

    @staticmethod
    def _resource(text: str) -> dict[str, Any]:
        resource = json.loads(text)
        return read_attributes((without_surrogates(resource) if "\\u" in text else resource)["attributes"])

    def read(self, resource: Any) -> dict[str, Any]:
        """Return the attributes of what stands as "resource" in a line that was shortened, or was not."""
        if isinstance(resource, str):
            return self._known[resource]
        return read_attributes(resource.get("attributes", ()))


def read_requests(line: str, opening: str) -> tuple[list[Any], str]:
    """Return the JSON values in a line, and why a part of it is none, or ""."""
    found: list[Any] = []
    reason = ""
    for part in _cut(line, opening):
        start = 0
        try:
            while start < len(part):
                request, start = _decode(part, start)
                found.append(request)
        except (ValueError, RecursionError):
            reason = _NOT_JSON
    try:
        return without_surrogates(found) if "\\u" in line else found, reason
    except RecursionError:
        return [], _NOT_JSON


def _cut(line: str, opening: str) -> Iterator[str]:
    # Where a record was torn, the next one can stand within it as if it belonged there. No record has another
    # one inside, and in a string the quotes would be escaped.
    start = 0
    while (end := line.find(opening, start + 1)) >= 0:
        yield line[start:end]
        start = end
    yield line[start:]


def without_surrogates(value: Any) -> Any:
    """Return a JSON value with ? for each lone half of a surrogate pair, which nobody can print."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def read_attributes(pairs: Any) -> dict[str, Any]:
    """Return OTLP's list of key and value as a dictionary. Raises one of `MALFORMED`."""
    return {
        str(pair["key"]): str(value["stringValue"])
        if "stringValue" in (value := pair["value"])
        else _value(value)
        for pair in pairs
    }


def _value(value: Any) -> Any:
    for kind, content in value.items():
        if kind == "stringValue":
            return str(content)
        if kind == "arrayValue":
            return [_value(item) for item in content.get("values", ())]
        if kind == "kvlistValue":
            return read_attributes(content.get("values", ()))
        if kind in _SCALARS:
            return _SCALARS[kind](content)
    return None


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "intValue": int,
    "boolValue": bool,
    "doubleValue": float,
    "bytesValue": b64decode,
}


def read_time(value: Any) -> int:
    """Return a time in ns of the Unix epoch. Raises one of `MALFORMED`, also beyond 64 bits."""
    return _unsigned(value, 64)


def _unsigned(value: Any, bits: int = 32) -> int:
    number = int(value)
    if number < 0 or number >> bits:
        raise ValueError("a number out of range")
    return number


def _span(record: Any, resource: dict[str, Any], scope: _Scope) -> ReadSpan:
    span = ReadSpan.__new__(ReadSpan)
    get = record.get
    span.resource, (span.scope, span.scope_version) = resource, scope
    span.trace_id, span.span_id = record["traceId"].lower(), record["spanId"].lower()
    span.parent_id, span.tracestate = get("parentSpanId", "").lower(), str(get("traceState", ""))
    span.name = str(get("name", ""))
    span.kind, span.flags = _unsigned(get("kind", 0)), _unsigned(get("flags", 0))
    span.start_ns, span.end_ns = read_time(get("startTimeUnixNano", 0)), read_time(get("endTimeUnixNano", 0))
    span.attributes = read_attributes(get("attributes", ()))
    status = get("status", {})
    span.status_code, span.status_message = _unsigned(status.get("code", 0)), str(status.get("message", ""))
    span.events = [_event(event) for event in get("events", ())]
    span.links = [_link(link) for link in get("links", ())]
    span.dropped_attributes = _unsigned(get("droppedAttributesCount", 0))
    span.dropped_events = _unsigned(get("droppedEventsCount", 0))
    span.dropped_links = _unsigned(get("droppedLinksCount", 0))
    return span


def _event(event: Any) -> tuple[str, int, dict[str, Any]]:
    attributes = read_attributes(event.get("attributes", ()))
    return str(event.get("name", "")), read_time(event.get("timeUnixNano", 0)), attributes


def _link(link: Any) -> tuple[str, str, str, dict[str, Any]]:
    attributes = read_attributes(link.get("attributes", ()))
    return link["traceId"].lower(), link["spanId"].lower(), str(link.get("traceState", "")), attributes


def _log(record: Any, resource: dict[str, Any], scope: _Scope) -> ReadLog:
    log = ReadLog.__new__(ReadLog)
    get = record.get
    log.resource, (log.scope, log.scope_version) = resource, scope
    log.observed_ns = read_time(get("observedTimeUnixNano", 0))
    log.time_ns = read_time(get("timeUnixNano", 0)) or log.observed_ns
    log.severity_number, log.severity_text = _unsigned(get("severityNumber", 0)), str(get("severityText", ""))
    log.event_name, log.body = str(get("eventName", "")), _value(get("body", {}))
    log.attributes = read_attributes(get("attributes", ()))
    log.trace_id, log.span_id = get("traceId", "").lower(), get("spanId", "").lower()
    log.flags = _unsigned(get("flags", 0))
    log.dropped_attributes = _unsigned(get("droppedAttributesCount", 0))
    return log
