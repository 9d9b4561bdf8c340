"""From lines of OTLP JSON back to spans and log records, whatever happened to the file in between.

A torn line is cut at the next `{"resourceSpans":` or `{"resourceLogs":`, an unterminated last line is
ignored, and both are counted. Nothing here raises because of what a file holds.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from gastown_tracing.journal.layout import open_regular
from gastown_tracing.journal.otlp import Log, Span

_decode = json.JSONDecoder().raw_decode
#: What a broken file can make of the code below.
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)


@dataclass(frozen=True, slots=True)
class Skip:
    """A part of a file that could not be read; `line` counts from 1, 0 stands for the whole file."""

    file: str
    line: int
    reason: str


class ReadSpan(Span):
    """A span with the resource's attributes and the name of the scope it was found under."""

    __slots__ = ("resource", "scope")
    resource: dict[str, Any]
    scope: str


class ReadLog(Log):
    """A log record with the resource's attributes, the scope's name and when it was observed."""

    __slots__ = ("observed_ns", "resource", "scope")
    observed_ns: int
    resource: dict[str, Any]
    scope: str


_Record = TypeVar("_Record", ReadSpan, ReadLog)
_Build = Callable[[Any, dict[str, Any], str], _Record]


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
    outer, middle, inner = keys
    found: list[_Record] = []
    resources = _Resources(outer, middle)
    for number, request in _requests(text, file, skipped, f'{{"{outer}":', resources):
        try:
            for group in request[outer]:
                resource = resources.read(group.get("resource", {}))
                for part in group.get(middle, ()):
                    scope = str(part.get("scope", {}).get("name", ""))
                    found += [build(record, resource, scope) for record in part.get(inner, ())]
        except _MALFORMED as error:
            skipped.append(Skip(file, number, f"not OTLP JSON: {type(error).__name__}: {error}"))
    return found


class _Resources:
    """The resources of one file: nearly all lines have the same one, so it is decoded once and shared."""

    def __init__(self, outer: str, middle: str) -> None:
        self._opening = f'{{"{outer}":[{{"resource":'
        self._closing = f',"{middle}":['
        self._numbers: dict[str, int] = {}
        self._known: list[dict[str, Any]] = []

    def shorten(self, line: str) -> str:
        """Return the line with a number for its resource, where it begins as our writer's lines do."""
        head = line[: max(0, line.find(self._closing))]
        if head not in self._numbers:
            if not head.startswith(self._opening):
                return line
            try:
                resource = json.loads(head[len(self._opening) :])
                self._known.append(read_attributes(resource["attributes"]))
            except _MALFORMED:
                return line
            self._numbers[head] = len(self._known) - 1
        return f"{self._opening}{self._numbers[head]}{line[len(head) :]}"

    def read(self, resource: Any) -> dict[str, Any]:
        """Return the attributes of what stands as "resource" in a line that was shortened, or was not."""
        if isinstance(resource, int):
            return self._known[resource]
        return read_attributes(resource.get("attributes", ()))


def _requests(
    text: str, file: str, skipped: list[Skip], opening: str, resources: _Resources
) -> Iterator[tuple[int, Any]]:
    lines = text.split("\n")
    for number, whole in enumerate(lines[:-1], 1):
        line, start = resources.shorten(whole), 0
        while start < len(line):
            try:
                request, start = _decode(line, start)
            except (ValueError, RecursionError):
                skipped.append(Skip(file, number, "not JSON, or cut short"))
                start = line.find(opening, start + 1) % (len(line) + 1)
                continue
            yield number, _without_surrogates(request) if "\\u" in line else request
    if lines[-1]:
        skipped.append(Skip(file, len(lines), "the last line has no end"))


def _without_surrogates(request: Any) -> Any:
    # JSON can spell half a surrogate pair, which nothing that prints or sends can take.
    return json.loads(json.dumps(request, ensure_ascii=False).encode("utf-8", "replace"))


def read_attributes(pairs: Any) -> dict[str, Any]:
    """Return OTLP's list of key and value as a dictionary. Raises one of `_MALFORMED`."""
    return {
        str(pair["key"]): value["stringValue"] if "stringValue" in (value := pair["value"]) else _value(value)
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


def _span(record: Any, resource: dict[str, Any], scope: str) -> ReadSpan:
    span = ReadSpan.__new__(ReadSpan)
    get = record.get
    span.resource, span.scope = resource, scope
    span.trace_id, span.span_id = record["traceId"].lower(), record["spanId"].lower()
    span.parent_id, span.tracestate = get("parentSpanId", "").lower(), str(get("traceState", ""))
    span.name, span.kind, span.flags = str(get("name", "")), int(get("kind", 0)), int(get("flags", 0))
    span.start_ns, span.end_ns = int(get("startTimeUnixNano", 0)), int(get("endTimeUnixNano", 0))
    span.attributes = read_attributes(get("attributes", ()))
    status = get("status", {})
    span.status_code, span.status_message = int(status.get("code", 0)), str(status.get("message", ""))
    span.events = [_event(event) for event in get("events", ())]
    span.links = [_link(link) for link in get("links", ())]
    span.dropped_attributes = int(get("droppedAttributesCount", 0))
    span.dropped_events = int(get("droppedEventsCount", 0))
    span.dropped_links = int(get("droppedLinksCount", 0))
    return span


def _event(event: Any) -> tuple[str, int, dict[str, Any]]:
    attributes = read_attributes(event.get("attributes", ()))
    return str(event.get("name", "")), int(event.get("timeUnixNano", 0)), attributes


def _link(link: Any) -> tuple[str, str, str, dict[str, Any]]:
    attributes = read_attributes(link.get("attributes", ()))
    return link["traceId"].lower(), link["spanId"].lower(), str(link.get("traceState", "")), attributes


def _log(record: Any, resource: dict[str, Any], scope: str) -> ReadLog:
    log = ReadLog.__new__(ReadLog)
    get = record.get
    log.resource, log.scope = resource, scope
    log.observed_ns = int(get("observedTimeUnixNano", 0))
    log.time_ns = int(get("timeUnixNano", 0)) or log.observed_ns
    log.severity_number, log.severity_text = int(get("severityNumber", 0)), str(get("severityText", ""))
    log.event_name, log.body = str(get("eventName", "")), _value(get("body", {}))
    log.attributes = read_attributes(get("attributes", ()))
    log.trace_id, log.span_id = get("traceId", "").lower(), get("spanId", "").lower()
    log.flags = int(get("flags", 0))
    return log
