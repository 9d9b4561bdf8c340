"""From the log records of a journal to what they count: the metrics of the registry's events.

Labels and amounts are those that a process which measures its own events has (events/labels.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

from gastown_tracing._version import VERSION
from gastown_tracing.events.labels import Reading
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.schema import COUNTER
from gastown_tracing.journal.parse import parse_logs, read_attributes, read_time
from gastown_tracing.relay.series import SERIES, Exemplar, Histogram, Items, Named, Sum

if TYPE_CHECKING:
    from gastown_tracing.events.schema import Event, Metric, Value
    from gastown_tracing.journal.parse import Skip
    from gastown_tracing.relay.series import Book

SCOPE = "gastown_tracing"
#: The scopes whose records are events: ours, and gt's, of which the receiver keeps what nobody else recorded.
SCOPES = (SCOPE, "gastown")
#: What of a record's resource its series have, beside what they all have.
IDENTITY = ("gt.actor", "gt.agent", "gt.rig", "gt.role")
#: How many records are remembered, so that one that is written twice counts once.
REMEMBERED = 1 << 14

_LARGEST = 1 << 63

_TRACE_ID, _SPAN_ID = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{16}")
_ERROR = 17  # the least severity number of an error
_UID, _STATUS = "log.record.uid", "status"
#: What orjson's result of a line that is no OTLP JSON can make of the code below.
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)


class Remembered:
    """The ids of the last records, in the order in which they came."""

    def __init__(self, known: Iterable[int] = ()) -> None:
        self._known: dict[int, None] = dict.fromkeys(known)

    def add(self, uid: str) -> bool:
        """Take note of an id; say whether it is new."""
        try:
            number = int(uid[-16:], 16)
        except ValueError:  # somebody else's
            number = int.from_bytes(blake2b(uid.encode("utf-8", "replace"), digest_size=8).digest())
        if number in self._known:
            return False
        self._known[number] = None
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        return True

    def state(self) -> list[int]:
        """Return it as JSON has it."""
        return list(self._known)


class _Plan:
    """How the records of one event are read: which attributes are wanted, and which metrics take them."""

    __slots__ = ("readings", "wanted")

    def __init__(self, event: Event) -> None:
        self.readings = tuple([Reading(metric) for metric in event.metrics])
        names = {name for reading in self.readings for name in reading.names}
        self.wanted = frozenset((*names, _UID, _STATUS))


_PLANS = {event.name: _Plan(event) for event in EVENTS.values() if event.metrics}


class Deriver:
    """Measures in `book` what log records say. `now` is the clock, in ns of the Unix epoch.

    `base` is what the resources of all series have. `repeated` counts records that came twice, `skipped` the
    parts of files that are no log records.
    """

    def __init__(self, book: Book, base: Items, remembered: Remembered, now: Callable[[], int]) -> None:
        self._book = book
        self._base = base
        self._now = now
        self.remembered = remembered
        self.repeated = self.skipped = 0
        self._resources: dict[Items, Items] = {}

    def take(self, file: str, data: bytes) -> None:
        """Measure the records of whole lines of a log file."""
        for line in data.split(b"\n")[:-1]:
            try:
                self._request(orjson.loads(line))
            except _MALFORMED:
                self._damaged(file, line)

    def _request(self, request: Any) -> None:
        # All of a line is looked at before any of it counts, so that one that turns out damaged counts once.
        found = [
            (plan, group, record)
            for group in request["resourceLogs"]
            for part in group["scopeLogs"]
            if part.get("scope", _NOTHING).get("name") in SCOPES
            for record in part["logRecords"]
            if (plan := _plan(record)) is not None
        ]
        measured = [(plan, _facts(plan, group, record)) for plan, group, record in found]
        for plan, (resource, attributes, failed, place) in measured:
            self._measure(plan, resource, attributes, failed, place)

    def _damaged(self, file: str, line: bytes) -> None:
        """Measure what can be made out of a line that is not what our writers write."""
        skips: list[Skip] = []
        for log in parse_logs(line.decode("utf-8", "replace") + "\n", file, skips):
            plan = _PLANS.get(log.event_name or str(log.body))
            if log.scope not in SCOPES or plan is None:
                continue
            attributes: dict[str, Any] = {
                name: log.attributes[name] for name in plan.wanted & log.attributes.keys()
            }
            failed = _failed(attributes, log.severity_number)
            identity = _identity(log.resource)
            self._measure(plan, identity, attributes, failed, (log.trace_id, log.span_id, log.time_ns))
        self.skipped += len(skips)

    def _measure(
        self,
        plan: _Plan,
        identity: Items,
        attributes: Mapping[str, Value],
        failed: bool,
        place: tuple[str, str, int],
    ) -> None:
        uid = attributes.get(_UID)
        if isinstance(uid, str) and not self.remembered.add(uid):
            self.repeated += 1
            return
        resource = self._resources.get(identity)
        if resource is None:
            if len(self._resources) >= SERIES:
                self._resources.clear()
            resource = self._resources[identity] = tuple(sorted((*self._base, *identity)))
        for reading in plan.readings:
            found = reading.read(attributes, failed)
            if found is not None:
                self._take(reading.metric, resource, *found, place)

    def _take(
        self,
        metric: Metric,
        resource: Items,
        amount: float,
        labels: dict[str, str],
        place: tuple[str, str, int],
    ) -> None:
        trace_id, span_id, time_ns = place
        now = self._now()
        placed = time_ns and _TRACE_ID.fullmatch(trace_id) and _SPAN_ID.fullmatch(span_id)
        exemplar = Exemplar(trace_id, span_id, time_ns, amount) if placed else None
        measure(
            self._book,
            metric,
            resource,
            tuple(sorted(labels.items())),
            amount,
            start_ns=min(time_ns or now, now),  # 0 would say that nobody knows
            exemplar=exemplar,
        )


def measure(
    book: Book,
    metric: Metric,
    resource: Items,
    labels: Items,
    amount: float,
    *,
    start_ns: int,
    exemplar: Exemplar | None = None,
) -> None:
    """Add an amount of `start_ns` to a series of ours, or set a gauge at that time.

    A counter takes nothing negative, and nothing takes a flag or what is no number of 64 bits.
    """
    family = book.family(_named(metric), metric.doc, VERSION)
    least = 0 if metric.kind == COUNTER else -_LARGEST
    if isinstance(amount, bool) or not least <= amount < _LARGEST:
        return
    series = family.get(resource, labels, book.since(start_ns), metric.buckets)
    if isinstance(series, Histogram):
        if series.bounds != metric.buckets:  # another edition's
            series = family.renew(resource, labels, book.since(start_ns), metric.buckets)
        taken = series.record(amount, exemplar)
    elif isinstance(series, Sum):
        taken = series.add(amount, exemplar)
    else:
        taken = series.set(amount, start_ns, exemplar)
    if taken:
        series.changed = book.turn


def total(book: Book, metric: Metric, resource: Items, labels: Items) -> float:
    """Return what a counter of ours has counted, 0 where nothing was."""
    found = book.family(_named(metric)).series.get((resource, labels))
    return found.value if isinstance(found, Sum) else 0


def _named(metric: Metric) -> Named:
    named = _NAMED.get(metric.name)
    if named is None:
        named = _NAMED[metric.name] = Named(SCOPE, metric.name, metric.kind)
    return named


_NAMED: dict[str, Named] = {}
_NOTHING: dict[str, Any] = {}


def _plan(record: Mapping[str, Any]) -> _Plan | None:
    name = record.get("eventName")
    if not name:  # gt has it as the body alone
        name = record.get("body", _NOTHING).get("stringValue")
    return _PLANS.get(name) if name is not None else None


def _facts(
    plan: _Plan, group: Mapping[str, Any], record: Mapping[str, Any]
) -> tuple[Items, dict[str, Value], bool, tuple[str, str, int]]:
    """Return (identity, attributes that are wanted, whether it failed, (trace ID, span id, time))."""
    wanted = plan.wanted
    attributes = read_attributes(pair for pair in record.get("attributes", ()) if pair["key"] in wanted)
    identity = _identity(
        read_attributes(pair for pair in group["resource"].get("attributes", ()) if pair["key"] in IDENTITY)
    )
    time_ns = read_time(record.get("timeUnixNano", 0)) or read_time(record.get("observedTimeUnixNano", 0))
    place = record.get("traceId", "").lower(), record.get("spanId", "").lower(), time_ns
    return identity, attributes, _failed(attributes, record.get("severityNumber", 0)), place


def _failed(attributes: Mapping[str, Value], severity: int) -> bool:
    status = attributes.get(_STATUS)
    return status == "error" if status else severity >= _ERROR


def _identity(resource: Mapping[str, Any]) -> Items:
    return tuple([(name, str(resource[name])) for name in IDENTITY if resource.get(name) not in (None, "")])
