"""Metrics that others exported to the receiver, added up over processes into one series each.

Many short processes, each with totals of its own, or with what was new since its last export, become one
cumulative series that never counts a thing twice (OpenTelemetry metrics data model, "Single-Writer",
"Resets and Gaps"; "Stream Manipulations"). Gauges keep the last value by time. Exponential histograms and
summaries are left out and counted: nobody in a town exports them, and summaries cannot be added up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.schema import COUNTER, GAUGE, HISTOGRAM
from gastown_tracing.journal.parse import read_attributes, read_time
from gastown_tracing.relay.derive import SCOPE
from gastown_tracing.relay.series import OTHERS, SERIES, Gauge, Histogram, Items, Named, Sum

if TYPE_CHECKING:
    from gastown_tracing.relay.series import Book, Family, Number, Series

#: How long the stream of a process is remembered, in ns, and how many are at most.
FORGOTTEN_NS = 24 * 3600 * 1_000_000_000
STREAMS = 20_000
#: How many of a delta stream's last points are remembered, so that one that comes again counts once.
POINTS = 64
#: At most: characters of a metric's name and of what else describes it, those of a series' attributes, and
#: buckets. What others send is kept as long as the journal is.
DESCRIPTION, ATTRIBUTES, BUCKETS = 1024, 4096, 200
#: How long, in ns, nobody has to use a histogram's bounds before it takes others: as after an upgrade.
_QUIET_NS = 3600 * 1_000_000_000

_LARGEST = 1 << 63

_DELTA, _CUMULATIVE = 1, 2
#: A service that does not say what it is called (OpenTelemetry's semantic conventions, "Service").
_UNNAMED = "unknown_service"
#: Attributes that name one process, machine's state, session, user or piece of work: no series has them.
_PERSONAL = (
    *("service.instance.id", "service.version", "session.id", "user.id", "organization.id", "run.id"),
    *("prompt.id", "message.id", "request_id", "tool_use_id", "conversation.id", "gen_ai.conversation.id"),
    *("container.id", "thread.id", "session_id", "run_id", "trace_id", "span_id"),
)
_PERSONAL_KINDS = ("gt.", "process.", "user.", "os.", "telemetry.", "work_")
_OURS = ("gt.actor", "gt.agent", "gt.rig", "gt.role")
#: What our own records say, and so is derived from them.
_DERIVED = frozenset(metric.name for event in EVENTS.values() for metric in event.metrics)
_KINDS = {"sum": COUNTER, "gauge": GAUGE, "histogram": HISTOGRAM}
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError)


class Sums:
    """Adds up in `book` what others exported. `now` is the clock, in ns of the Unix epoch.

    `base` are attributes of every resource. `dropped` counts points that were left out, by the reason, and
    `repeated` those that had come before. `state` is what `state()` returned, `since_ns` what it was then:
    streams of processes that began before may have been forgotten, because there were too many.
    """

    def __init__(
        self,
        book: Book,
        base: Items,
        now: Callable[[], int],
        state: Mapping[str, Any] | None = None,
        since_ns: int = 0,
    ) -> None:
        self._book = book
        self._base = dict(base)
        self._now = now
        self.dropped: dict[str, int] = {}
        self.repeated = self.skipped = 0
        self.since_ns = since_ns
        self._limit = SERIES
        #: By its digest, the one that was heard of longest ago first: when that was, and what it said.
        self._streams: dict[str, list[Any]] = dict((state or {}).items())

    def state(self) -> dict[str, Any]:
        """Return what is remembered of processes, as JSON has it."""
        return self._streams

    def take(self, _file: str, data: bytes) -> None:
        """Add up the metrics in whole lines of a file of the receiver."""
        self._limit = SERIES if self._book.size() < OTHERS else 0
        for line in data.split(b"\n")[:-1]:
            try:
                request = orjson.loads(line)["resourceMetrics"]
            except _MALFORMED:
                self.skipped += 1
                continue
            for group in request:
                self._group(group)
        if len(self._streams) > 2 * STREAMS:
            self.forget()

    def forget(self) -> None:
        """Forget processes of which nothing was heard for a day, and the quietest where they are too many."""
        before = self._now() - FORGOTTEN_NS
        for key, (seen, *_) in list(self._streams.items()):
            if seen >= before:
                if len(self._streams) <= STREAMS:
                    break
                self.since_ns = max(self.since_ns, seen)
            del self._streams[key]

    def _group(self, group: Any) -> None:
        try:
            resource = read_attributes(group.get("resource", {}).get("attributes", ()))
            shown = self._resource(resource)
            parts = [(part.get("scope", {}), part["metrics"]) for part in group.get("scopeMetrics", ())]
        except _MALFORMED:
            self.skipped += 1
            return
        stream = _digest(sorted(resource.items(), key=_first))
        for scope, metrics in parts:
            for metric in metrics:
                try:
                    self._metric(metric, scope, shown, stream)
                except _MALFORMED:
                    self.skipped += 1

    def _resource(self, given: Mapping[str, Any]) -> Items:
        """Return the resource of the series: what of theirs is general, and ours where they say nothing."""
        own = {**self._base, "service.name": _UNNAMED, **dict(items(given))}
        return tuple(sorted(own.items()))

    def _metric(self, metric: Any, scope: Any, resource: Items, stream: str) -> None:
        name, told_by = str(metric["name"]), str(scope.get("name", ""))
        field = next((known for known in _KINDS if known in metric), "")
        if not field:
            self._drop("kind")
            return
        data = metric[field]
        points = data.get("dataPoints", ())
        if name in _DERIVED or (name.startswith("gastown.") and told_by != SCOPE):
            self._drop("derived", len(points))
            return
        temporality = _CUMULATIVE if field == "gauge" else data.get("aggregationTemporality")
        if temporality not in (_DELTA, _CUMULATIVE):
            self._drop("temporality", len(points))
            return
        monotonic = field != "sum" or bool(data.get("isMonotonic", False))
        # What goes up and down ends with its process, so that a sum over processes would be false.
        kind = _KINDS[field] if monotonic or temporality == _DELTA else GAUGE
        named = Named(told_by, name, kind, monotonic, str(metric.get("unit", "")))
        about = str(metric.get("description", ""))[:DESCRIPTION], str(scope.get("version", ""))
        described = (told_by, name, named.unit, about[1])
        if not self._book.has_room(named) or max(map(len, described)) > DESCRIPTION:
            self._drop("limit", len(points))
            return
        family = self._book.family(named, *about)
        stream = _digest([stream, told_by, name, field, named.unit, temporality])
        for point in points:
            self._point(family, resource, stream, point, delta=temporality == _DELTA)

    def _point(self, family: Family, resource: Items, stream: str, point: Any, *, delta: bool) -> None:
        if point.get("flags", 0) & 1:  # "no recorded value": the stream's end is no value
            return
        attributes = read_attributes(point.get("attributes", ()))
        labels = tuple([pair for pair in items(attributes) if pair[0] not in _OURS])
        own = {name: attributes[name] for name in _OURS if name in attributes}
        if own:  # Claude Code repeats its resource in its points: as a label it would be there twice
            resource = tuple(sorted({**own, **dict(resource)}.items()))
        if _length(resource) + _length(labels) > ATTRIBUTES or len(point.get("explicitBounds", ())) > BUCKETS:
            self._drop("size")
            return
        if family.named.kind == GAUGE:
            self._gauge(family, resource, labels, point)
            return
        bounds = tuple([_finite(bound) for bound in point.get("explicitBounds", ())])
        counts = family.named.kind == HISTOGRAM
        value = _histogram(point, len(bounds)) if counts else [_number(point)]
        if family.named.monotonic and min((value[0], *value[2:])) < 0:
            self._drop("negative")
            return
        series = self._series(family, resource, labels, point, bounds)
        if series is None:
            self._drop("bounds")
            return
        key = [stream, sorted(attributes.items(), key=_first), bounds]
        added = self._added(key, point, value, delta=delta)
        if added is None:
            self.repeated += 1
        elif (any(added) or not series.changed) and _add(series, added):
            series.changed = self._book.turn
        if isinstance(series, Histogram) and added is not None and added[0]:
            series.reach(_optional(point, "min"), _optional(point, "max"))

    def _gauge(self, family: Family, resource: Items, labels: Items, point: Any) -> None:
        now = self._now()
        value, time_ns = _number(point), read_time(point.get("timeUnixNano", 0)) or now
        gauge = family.get(resource, labels, 0, limit=self._limit)
        if isinstance(gauge, Gauge) and gauge.set(value, min(time_ns, now)):
            gauge.changed = self._book.turn

    def _series(
        self, family: Family, resource: Items, labels: Items, point: Any, bounds: tuple[float, ...]
    ) -> Series | None:
        """Return the series of a point; None for a histogram of other bounds, which others still use."""
        now = self._now()
        start_ns = read_time(point.get("startTimeUnixNano", 0)) or read_time(point.get("timeUnixNano", 0))
        since_ns = self._book.since(min(start_ns or now, now))
        series = family.get(resource, labels, since_ns, bounds, self._limit)
        if not isinstance(series, Histogram):
            return series
        if series.bounds != bounds and now - series.fed_ns > _QUIET_NS:
            series = family.renew(resource, labels, self._book.since(now), bounds)
        series.fed_ns = now if series.bounds == bounds else series.fed_ns
        return series if series.bounds == bounds else None

    def _added(self, key: list[Any], point: Any, value: list[Number], *, delta: bool) -> list[Number] | None:
        """Return what a point adds to what came before of its stream; None for one that came before."""
        time_ns = read_time(point.get("timeUnixNano", 0))
        if delta:
            return value if self._is_new(_digest(key), time_ns) else None
        start_ns = read_time(point.get("startTimeUnixNano", 0))
        return self._increment(_digest([*key, start_ns]), start_ns, time_ns, value)

    def _is_new(self, key: str, time_ns: int) -> bool:
        """Say whether a delta point has not come before, and take note of it.

        It is told by its time alone, never by its order: clocks step back.
        """
        _, *times = self._streams.pop(key, (0,))
        new = time_ns not in times
        if new:
            times = [*times, time_ns][-POINTS:]
        self._streams[key] = [self._now(), *times]
        return new

    def _increment(self, key: str, start_ns: int, time_ns: int, value: list[Number]) -> list[Number] | None:
        """Return by how much a cumulative point is more than what came before; None for an older one.

        Since one start a total never shrinks: the greater is the newer, whatever the clock did meanwhile.
        Where the stream does not say since when it counts, `start_ns` being 0, its times tell what is newer,
        and what is less than before has begun anew. Of one that may have been forgotten nothing counts that
        may have been counted.
        """
        resets = not start_ns
        known = self._streams.pop(key, None)
        if known is None:
            self._streams[key] = [self._now(), time_ns, *value]
            if 0 < start_ns < self.since_ns:
                self._drop("forgotten")
                return [0] * len(value)
            return value
        _, before_ns, *before = known
        self._streams[key] = [self._now(), *known[1:]]
        less = _less(value, before)
        if (time_ns <= before_ns and (resets or value == before)) or (less and not resets):
            return None
        if less:
            before = [0] * len(value)
        self._streams[key] = [self._now(), max(time_ns, before_ns), *value]
        return [now - then for now, then in zip(value, before, strict=True)]

    def _drop(self, reason: str, count: int = 1) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + count


def items(attributes: Mapping[str, Any]) -> Items:
    """Return the attributes that a series may have: nothing that names one process, session, user or work."""
    return tuple([(name, _plain(attributes[name])) for name in sorted(attributes) if _general(name)])


def _general(name: str) -> bool:
    if name in _OURS:
        return True
    return name not in _PERSONAL and not name.startswith(_PERSONAL_KINDS)


def _plain(value: Any) -> str | bool | int | float:
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, float)):
        return value if -_LARGEST < value < _LARGEST else str(value)
    return orjson.dumps(value, default=str).decode()


def _length(found: Items) -> int:
    return sum(len(name) + len(str(value)) for name, value in found)


def _first(pair: tuple[str, Any]) -> str:
    return pair[0]


def _digest(parts: Iterable[Any]) -> str:
    return blake2b(orjson.dumps(list(parts), default=str), digest_size=12).hexdigest()


def _number(point: Mapping[str, Any]) -> Number:
    return _whole(point["asInt"]) if "asInt" in point else _finite(point["asDouble"])


def _whole(value: Any) -> int:
    number = int(value)
    if not -_LARGEST <= number < _LARGEST:
        raise ValueError("beyond 64 bits")
    return number


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _optional(point: Mapping[str, Any], name: str) -> float | None:
    value = point.get(name)
    return None if value is None else _finite(value)


def _histogram(point: Mapping[str, Any], bounds: int) -> list[Number]:
    """Return [count, sum, how many are in each bucket]. Raises one of `_MALFORMED`."""
    count, total = _whole(point.get("count", 0)), _finite(point.get("sum", 0))
    counts = [_whole(found) for found in point.get("bucketCounts", ())] or [count]
    if len(counts) != bounds + 1 or sum(counts) != count or min(counts) < 0:
        raise ValueError("buckets that do not add up")
    return [count, total, *counts]


def _less(value: list[Number], before: list[Number]) -> bool:
    """Say whether what counts up has gone down: a sum, or any bucket; a histogram's own sum may."""
    first = 0 if len(value) == 1 else 2
    return any(now < then for now, then in zip(value[first:], before[first:], strict=True))


def _add(series: Series, added: list[Number]) -> bool:
    if isinstance(series, Histogram):
        return series.merge(int(added[0]), added[1], [int(found) for found in added[2:]])
    return isinstance(series, Sum) and series.add(added[0])
