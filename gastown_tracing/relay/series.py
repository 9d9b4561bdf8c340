"""What measurements add up to: cumulative sums and histograms, and gauges, in series that one writer keeps.

OpenTelemetry metrics data model ("Sums", "Gauge", "Histogram", "Single-Writer") and SDK ("Cardinality
limits"). All of it goes into the checkpoint and comes back exactly as it was.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gastown_tracing.events.schema import COUNTER, GAUGE, HISTOGRAM

#: Series of one metric at most, the one for all others included (SDK, "Cardinality limits").
SERIES = 2000
OVERFLOW: Items = (("otel.metric.overflow", True),)
#: Metrics and series of others at most: names and labels come from whoever exports something.
METRICS, OTHERS = 1000, 20_000
#: How much later than the last a point is at least, in ns: backends keep milliseconds.
STEP_NS = 1_000_000

_LARGEST = (1 << 63) - 1

Number = int | float
#: Attributes: by name, in the order of their names, with values that JSON and a dictionary's key can hold.
Items = tuple[tuple[str, str | bool | int | float], ...]


class Exemplar(NamedTuple):
    """One measurement, and the span it was made in: ids in lower-case hex, ns of the Unix epoch."""

    trace_id: str
    span_id: str
    time_ns: int
    value: Number


class Sum:
    """A number that has been added up since `start_ns`. `changed` is the book's turn of the last change.

    `begun`: a backend knows that it was 0 then.
    """

    __slots__ = ("begun", "changed", "exemplars", "start_ns", "value")

    def __init__(self, start_ns: int, value: Number = 0) -> None:
        self.start_ns = start_ns
        self.value = value
        self.begun = False
        self.changed = 0
        #: One at most, under 0, that no backend has been sent.
        self.exemplars: dict[int, Exemplar] = {}

    def add(self, value: Number, exemplar: Exemplar | None = None) -> bool:
        """Add `value`; say whether that was possible: a sum is finite."""
        total = self.value + value
        if not -_LARGEST <= total <= _LARGEST:
            total = float(total)
            if not math.isfinite(total):
                return False
        self.value = total
        if exemplar is not None:
            self.exemplars[0] = exemplar
        return True

    def state(self) -> list[Any]:
        """Return it as JSON has it."""
        return [self.start_ns, self.begun, self.value]


class Histogram:
    """How many values lay between which bounds since `start_ns`. A bucket includes its upper bound.

    `begun`: a backend knows that there were none then.
    """

    __slots__ = (
        "begun",
        "bounds",
        "changed",
        "count",
        "counts",
        "exemplars",
        "fed_ns",
        "max",
        "min",
        "start_ns",
        "sum",
    )

    def __init__(self, start_ns: int, bounds: tuple[float, ...]) -> None:
        self.start_ns = start_ns
        self.bounds = bounds
        self.begun = False
        #: When others last added to it; 0 where nobody did.
        self.fed_ns = 0
        self.changed = 0
        self.count = 0
        self.sum: Number = 0.0
        self.min: Number | None = None
        self.max: Number | None = None
        self.counts = [0] * (len(bounds) + 1)
        #: One a bucket at most, that no backend has been sent.
        self.exemplars: dict[int, Exemplar] = {}

    def record(self, value: Number, exemplar: Exemplar | None = None) -> bool:
        """Take one value; say whether that was possible."""
        total = self.sum + value
        if not math.isfinite(total):
            return False
        bucket = bisect_left(self.bounds, value)
        self.count += 1
        self.sum = total
        self.counts[bucket] += 1
        self.reach(value, value)
        if exemplar is not None:
            self.exemplars[bucket] = exemplar
        return True

    def merge(self, count: int, total: Number, counts: Sequence[int]) -> bool:
        """Add what others have counted in buckets of the same bounds; say whether that was possible."""
        if not math.isfinite(self.sum + total) or self.count + count > _LARGEST:
            return False
        self.count += count
        self.sum += total
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, counts, strict=True)]
        return True

    def reach(self, low: Number | None, high: Number | None) -> None:
        """Take note of a least and a greatest value."""
        if low is not None and (self.min is None or low < self.min):
            self.min = low
        if high is not None and (self.max is None or high > self.max):
            self.max = high

    def state(self) -> list[Any]:
        """Return it as JSON has it."""
        return [
            self.start_ns,
            self.begun,
            self.fed_ns,
            self.count,
            self.sum,
            self.min,
            self.max,
            self.counts,
            self.bounds,
        ]


class Gauge:
    """The last value by time. It is sent once: one that nobody sets again is absent, never repeated."""

    __slots__ = ("changed", "exemplars", "time_ns", "value")

    def __init__(self, time_ns: int = 0, value: Number = 0) -> None:
        self.time_ns = time_ns
        self.value = value
        self.changed = 0
        self.exemplars: dict[int, Exemplar] = {}

    def set(self, value: Number, time_ns: int, exemplar: Exemplar | None = None) -> bool:
        """Take a value of some time; say whether it is new and the last."""
        if (time_ns, value) == (self.time_ns, self.value) or time_ns < self.time_ns:
            return False
        self.value, self.time_ns = value, time_ns
        if exemplar is not None:
            self.exemplars[0] = exemplar
        return True

    def state(self) -> list[Any]:
        """Return it as JSON has it."""
        return [self.time_ns, self.value]


Series = Sum | Histogram | Gauge


@dataclass(frozen=True, slots=True)
class Named:
    """A metric as it is called, and by which scope. `kind` is COUNTER, HISTOGRAM or GAUGE.

    A COUNTER that is not `monotonic` can go down (an "UpDownCounter").
    """

    scope: str
    name: str
    kind: str
    monotonic: bool = True
    unit: str = ""


class Family:
    """One metric: its series by resource and labels. `doc` is the last known.

    `version`, of its scope, is the first: to a backend that makes labels of scopes another is another series.
    """

    __slots__ = ("doc", "named", "series", "version")

    def __init__(self, named: Named, doc: str = "", version: str = "") -> None:
        self.named = named
        self.doc = doc
        self.version = version
        self.series: dict[tuple[Items, Items], Series] = {}

    def get(
        self,
        resource: Items,
        labels: Items,
        start_ns: int,
        bounds: tuple[float, ...] = (),
        limit: int = SERIES,
    ) -> Sum | Histogram | Gauge:
        """Return a series, a new one since `start_ns` where there was none.

        Beyond `limit` it is the one that stands for all others, under no resource.
        """
        found = self.series.get((resource, labels))
        if found is not None:
            return found
        key = resource, labels
        if len(self.series) >= limit - 1:
            key = (), OVERFLOW
            found = self.series.get(key)
            if found is not None:
                return found
        found = self.series[key] = _new(self.named.kind, start_ns, bounds)
        return found

    def renew(self, resource: Items, labels: Items, start_ns: int, bounds: tuple[float, ...]) -> Histogram:
        """Begin a histogram anew, with other bounds."""
        key = (resource, labels) if (resource, labels) in self.series else ((), OVERFLOW)
        found = self.series[key] = Histogram(start_ns, bounds)
        return found


def _new(kind: str, start_ns: int, bounds: tuple[float, ...]) -> Series:
    if kind == HISTOGRAM:
        return Histogram(start_ns, bounds)
    return Gauge() if kind == GAUGE else Sum(start_ns)


class Entry(NamedTuple):
    """One series of a snapshot."""

    family: Family
    resource: Items
    labels: Items
    series: Series


class Book:
    """All metrics of a journal. `turn` grows with each snapshot: what changed since is what is newer.

    `exported_ns` is the time of the last points that were exported: no series has begun before, of which
    there was none.
    """

    def __init__(self) -> None:
        self.turn = 1
        self.exported_ns = 0
        self._families: dict[Named, Family] = {}

    def family(self, named: Named, doc: str = "", version: str = "") -> Family:
        """Return a metric, a new one where there was none."""
        found = self._families.get(named)
        if found is None:
            found = self._families[named] = Family(named)
        found.doc, found.version = doc or found.doc, found.version or version
        return found

    def has_room(self, named: Named) -> bool:
        """Say whether a metric is known, or may be added: there are not too many."""
        return named in self._families or len(self._families) < METRICS

    def size(self) -> int:
        """Return how many series there are."""
        return sum(len(family.series) for family in list(self._families.values()))

    def since(self, time_ns: int) -> int:
        """Return when a series begins whose first measurement is of `time_ns`: it was 0 until just before.

        What has been exported without it says that it was 0 then, too.
        """
        return max(time_ns - STEP_NS, self.exported_ns, 1)  # 0 would say that nobody knows

    def snapshot(self, after: int) -> tuple[int, list[Entry]]:
        """Return this turn, and all there is, but for gauges that have not changed since the turn `after`."""
        found = [
            entry
            for entry in self._entries()
            if not isinstance(entry.series, Gauge) or entry.series.changed > after
        ]
        turn, self.turn = self.turn, self.turn + 1
        return turn, found

    def let_begin(self, before_ns: int) -> bool:
        """Take series that began before then as known: say whether there was one that was not."""
        found = False
        for entry in self._entries():
            series = entry.series
            if not isinstance(series, Gauge) and not series.begun and series.start_ns < before_ns:
                series.begun = found = True
        return found

    def drop_gauges(self, before_ns: int) -> None:
        """Forget gauges that nobody has set since then."""
        for family in self._families.values():
            if family.named.kind == GAUGE:
                old = [key for key, found in family.series.items() if _time(found) < before_ns]
                for key in old:
                    del family.series[key]

    def begin_by(self, now_ns: int) -> None:
        """Let no series begin, and no gauge be, later than now: a clock was wrong."""
        self.exported_ns = min(self.exported_ns, now_ns)
        for entry in self._entries():
            series = entry.series
            if isinstance(series, Gauge):
                series.time_ns = min(series.time_ns, now_ns)
                continue
            series.start_ns = min(series.start_ns, now_ns)
            if isinstance(series, Histogram):
                series.fed_ns = min(series.fed_ns, now_ns)

    def state(self) -> dict[str, Any]:
        """Return it as JSON has it: resources, labels and bounds once each."""
        table: dict[object, int] = {}

        def place(what: object) -> int:
            return table.setdefault(what, len(table))

        families = []
        for family in self._families.values():
            named = family.named
            about = [named.scope, named.name, named.kind, named.monotonic, named.unit]
            series = [
                [place(resource), place(labels), *found.state()]
                for (resource, labels), found in family.series.items()
            ]
            families.append([*about, family.doc, family.version, series])
        return {"items": list(table), "families": families}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Book:
        """Return the book that `state()` described. Raises LookupError, TypeError, ValueError."""
        book = cls()
        items = [tuple((name, value) for name, value in found) for found in state.get("items", ())]
        for scope, name, kind, monotonic, unit, doc, version, series in state.get("families", ()):
            family = Family(Named(scope, name, kind, monotonic, unit), doc, version)
            book._families[family.named] = family
            for resource, labels, *rest in series:
                family.series[items[resource], items[labels]] = _restored(kind, rest)
        return book

    def _entries(self) -> Iterator[Entry]:
        for family in self._families.values():
            for (resource, labels), found in family.series.items():
                yield Entry(family, resource, labels, found)


def _time(found: Series) -> int:
    return found.time_ns if isinstance(found, Gauge) else 0


def _restored(kind: str, state: list[Any]) -> Series:
    if kind == COUNTER:
        start_ns, begun, value = state
        total = Sum(start_ns, value)
        total.begun = begun
        return total
    if kind == GAUGE:
        time_ns, value = state
        return Gauge(time_ns, value)
    start_ns, begun, fed_ns, count, added, low, high, counts, bounds = state
    found = Histogram(start_ns, tuple(bounds))
    found.begun, found.fed_ns = begun, fed_ns
    found.count, found.sum, found.min, found.max, found.counts = count, added, low, high, list(counts)
    if len(counts) != len(bounds) + 1:
        raise ValueError("a histogram with other buckets than bounds")
    return found
