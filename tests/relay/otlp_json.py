"""Protobuf as OTLP JSON, and the points of metrics checked as a backend with cumulative series sees them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

_IDS = ("traceId", "spanId", "parentSpanId")
_KINDS = ("sum", "gauge", "histogram", "exponentialHistogram", "summary")


def to_json(message: Message) -> Any:
    """Return a message as OTLP JSON has it: as protobuf's JSON, but enums as integers and ids in hex."""
    return _with_hex_ids(MessageToDict(message, use_integers_for_enums=True))


def _with_hex_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_hex_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64decode(item).hex() if key in _IDS and isinstance(item, str) else _with_hex_ids(item)
        for key, item in value.items()
    }


def attributes(pairs: Any) -> dict[str, Any]:
    """Return a list of key and value as a dictionary; integers are numbers, compound values as they are."""
    found = {}
    for pair in pairs or ():
        ((kind, value),) = pair["value"].items()
        found[pair["key"]] = int(value) if kind == "intValue" else value
    return found


def points(request: Any) -> Iterator[dict[str, Any]]:
    """Return each point of a metrics request, with all that makes its series."""
    for group in request.get("resourceMetrics", ()):
        resource = attributes(group.get("resource", {}).get("attributes"))
        for part in group.get("scopeMetrics", ()):
            for metric in part.get("metrics", ()):
                kind = next(kind for kind in _KINDS if kind in metric)
                data = metric[kind]
                for point in data.get("dataPoints", ()):
                    yield {
                        "resource": resource,
                        "scope": part.get("scope", {}).get("name", ""),
                        "name": metric["name"],
                        "unit": metric.get("unit", ""),
                        "kind": kind,
                        "temporality": data.get("aggregationTemporality", 0),
                        "monotonic": data.get("isMonotonic", False),
                        "attributes": attributes(point.get("attributes")),
                        "point": _numbers(point),
                    }


def _numbers(point: dict[str, Any]) -> dict[str, Any]:
    names = ("timeUnixNano", "startTimeUnixNano", "asInt", "count")
    found = {name: int(value) if name in names else value for name, value in point.items()}
    if "bucketCounts" in found:
        found["bucketCounts"] = [int(count) for count in found["bucketCounts"]]
    found.pop("attributes", None)
    return found


class Series:
    """The last point of each series, and what was wrong with how it got there."""

    def __init__(self) -> None:
        self._last: dict[bytes, dict[str, Any]] = {}
        self.violations: list[str] = []

    def add(self, found: Iterator[dict[str, Any]]) -> None:
        """Keep the points of a request."""
        for new in found:
            identity = [new["resource"], new["scope"], new["name"], new["attributes"]]
            key = orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)
            if key in self._last:
                self._compare(self._last[key], new)
            self._last[key] = new

    def last(self) -> list[dict[str, Any]]:
        """Return the last point of each series."""
        return list(self._last.values())

    def _compare(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        before, after = old["point"], new["point"]
        what = f"{new['name']} {new['attributes']}"
        if before.get("startTimeUnixNano") != after.get("startTimeUnixNano"):
            if after.get("startTimeUnixNano", 0) < before.get("startTimeUnixNano", 0):
                self.violations.append(f"{what}: its start went back")
            return
        if after["timeUnixNano"] < before["timeUnixNano"]:
            self.violations.append(f"{what}: its time went back")
        if new["temporality"] != 2 or (new["kind"] == "sum" and not new["monotonic"]):
            return
        for name in ("asInt", "asDouble", "count"):
            if after.get(name, 0) < before.get(name, 0) and name in before:
                self.violations.append(f"{what}: went down from {before[name]} to {after.get(name)}")
        for one, other in zip(before.get("bucketCounts", ()), after.get("bucketCounts", ()), strict=False):
            if other < one:
                self.violations.append(f"{what}: a bucket went down from {one} to {other}")
