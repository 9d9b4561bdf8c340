"""What one walk through the registry left at a receiver, held against what has to be there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

from gastown_tracing._version import VERSION
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.schema import COUNTER, HISTOGRAM, Event, Metric
from tests.events.arrived import Arrived, Log, Point, Span
from tests.events.walk_kit import CALLER, RESOURCES, RUN, Telling, Walk

SCOPE = ("gastown_tracing", VERSION)

#: A series: the metric's name and its labels. Of each, what fed it: by whom, which metric, which value.
Series = tuple[str, frozenset[tuple[str, str]]]
Measured = tuple[Telling, Metric, float]


class Check:
    """What arrived of one walk, one method a signal.

    `loose`: it is the Aspire dashboard's word, which has every attribute as text, times in steps of 100 ns,
    and some attributes of its own.
    """

    def __init__(self, walk: Walk, town: Path, arrived: Arrived, *, loose: bool = False) -> None:
        self.walk = walk
        self.common = walk.common(town)
        self.arrived = arrived
        self.loose = loose
        self.tellings = walk.tellings()

    def of(self, event: Event) -> list[Telling]:
        """Return what was told of an event and may have been recorded."""
        return [telling for telling in self.tellings if telling.event is event and telling.arrives()]

    def log(self, telling: Telling) -> Log:
        """Return the one log record of an event."""
        severity = 17 if telling.failed else 9
        found = [
            log
            for log in self.arrived.logs
            if log.event_name == telling.event.name and log.severity[0] == severity
        ]
        assert len(found) == 1, f"{len(found)} log records of {telling.event.name}"
        return found[0]

    def span(self, telling: Telling) -> Span:
        """Return the span of an event."""
        found = [span for span in self.arrived.spans if span.span_id == self.log(telling).span_id]
        assert len(found) == 1, f"{len(found)} spans of {telling.event.name}"
        return found[0]

    def parent(self) -> str:
        """Return the span that the process records in: its own, or the one that it was started in."""
        if not self.walk.inside:
            return CALLER
        return next(span.span_id for span in self.arrived.spans if span.name == "the work")

    def check_logs(self, event: Event) -> None:
        """Every time the event was told there is one log record, with all that belongs there."""
        for telling in self.of(event):
            log = self.log(telling)
            uid = log.attributes.get("log.record.uid", "")
            assert len(str(uid)) == 32, uid
            assert int(str(uid), 16), uid
            self._same(log.attributes, {**telling.log_attributes(self.common), "log.record.uid": uid})
            assert log.body == event.name
            assert self._severity(log) == ("error" if telling.failed else "info")
            assert log.trace_id == RUN
            assert log.flags & 1
            assert self.loose or log.source.scope == SCOPE
            if not event.is_span:
                assert log.span_id == self.parent()
        assert len([log for log in self.arrived.logs if log.event_name == event.name]) == len(self.of(event))

    def check_spans(self, event: Event) -> None:
        """Every time the event was told there is one span, if it is one at all."""
        if not event.is_span:
            assert event.name not in {span.name for span in self.arrived.spans}
            return
        for telling in self.of(event):
            span, log = self.span(telling), self.log(telling)
            assert (span.name, span.kind) == (telling.span_name(), telling.span_kind())
            assert (span.trace_id, span.parent_id) == (RUN, self.parent())
            assert span.status == ((2, telling.error()) if telling.failed else (0, ""))
            self._same(span.attributes, telling.span_attributes(self.common))
            assert span.start_ns <= log.time_ns <= span.end_ns
            assert span.span_id[0] != "0"
            lasted = telling.lasted_ns()
            if lasted is not None:
                assert abs(span.end_ns - span.start_ns - lasted) <= (200 if self.loose else 0)
            assert self.loose or span.source.scope == SCOPE

    def check_metrics(self, event: Event) -> None:
        """Every metric of the event has exactly these series, values and exemplars."""
        wanted = self._series()
        for name in {metric.name for metric in event.metrics}:
            series = {key: told for key, told in wanted.items() if key[0] == name}
            came = {(name, frozenset(point.labels.items())): point for point in self.arrived.points_of(name)}
            assert came.keys() == series.keys()
            for key, told in series.items():
                self._check_point(came[key], told)

    def check_whole(self, *, one_process: bool = True) -> None:
        """Nothing else is there, and it all comes from this session, under one resource of each process."""
        told = {event.name for event in EVENTS.values() if self.of(event)}
        assert {log.event_name for log in self.arrived.logs} == told
        uids = [log.attributes["log.record.uid"] for log in self.arrived.logs]
        assert len(set(uids)) == len(uids) == len([found for found in self.tellings if found.arrives()])
        spans = [found for found in self.tellings if found.arrives() and found.event.is_span]
        assert len(self.arrived.spans) == len(spans) + self.walk.inside
        resources = [source.resource for source in self.arrived.sources()]
        assert not one_process or all(resource == resources[0] for resource in resources)
        assert RESOURCES[self.walk.who].items() <= resources[0].items()
        assert {"service.instance.id", "host.name", "os.type"} <= resources[0].keys()

    def check_no_event_metrics(self) -> None:
        """No metric of an event is there: whoever ships the log records derives them."""
        fed = {metric.name for event in EVENTS.values() for metric in event.metrics}
        assert not fed & {point.metric for point in self.arrived.points}

    def _series(self) -> dict[Series, list[Measured]]:
        found: dict[Series, list[Measured]] = {}
        for telling in self.tellings:
            for metric, labels, value in telling.measured(self.common):
                series = metric.name, frozenset(labels.items())
                found.setdefault(series, []).append((telling, metric, value))
        return found

    def _check_point(self, point: Point, told: list[Measured]) -> None:
        metric, values = told[0][1], [value for _, _, value in told]
        assert (point.kind, point.unit, point.doc) == (metric.kind, "", metric.doc)
        assert point.cumulative
        assert self.loose or point.source.scope == SCOPE
        if metric.kind == HISTOGRAM:
            assert point.bounds == metric.buckets
            assert point.value == (len(values), sum(values), buckets(metric.buckets, values))
        elif metric.kind == COUNTER:
            assert point.value == sum(values)
            assert self.loose or point.monotonic
        else:
            assert point.value == values[-1]
        measured = {(RUN, self.log(telling).span_id, value) for telling, _, value in told}
        assert point.exemplars, f"no exemplar of {point.metric}"
        assert set(point.exemplars) <= measured

    def _severity(self, log: Log) -> str:
        assert self.loose or log.severity in ((9, "INFO"), (17, "ERROR"))
        return {9: "info", 17: "error"}[log.severity[0]]

    def _same(self, came: Mapping[str, object], wanted: Mapping[str, object]) -> None:
        if self.loose:
            theirs = {name: as_text(value) for name, value in came.items() if not name.startswith("aspire.")}
            assert theirs == {name: as_text(value) for name, value in wanted.items()}
        else:
            assert with_types(came) == with_types(wanted)


def broken(*checks: Callable[[Event], None]) -> dict[str, str]:
    """Return what is wrong with which event; for receivers that are too dear to be asked about each apart."""
    found = {}
    for event in EVENTS.values():
        try:
            for check in checks:
                check(event)
        except AssertionError as error:
            found[event.name] = str(error)
    return found


def with_types(attributes: Mapping[str, object]) -> dict[str, tuple[str, object]]:
    """Return attributes with the names of their types, because to Python True is 1 and 1 is 1.0."""
    return {name: (type(value).__name__, value) for name, value in attributes.items()}


def as_text(value: object) -> str:
    """Return a value as a receiver shows it that keeps text alone."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def buckets(bounds: tuple[float, ...], values: list[float]) -> tuple[int, ...]:
    """Return how many values each bucket has: above the bound before, up to and including its own."""
    edges = [float("-inf"), *bounds, float("inf")]
    return tuple([sum(low < value <= high for value in values) for low, high in itertools.pairwise(edges)])
