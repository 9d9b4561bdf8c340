"""Every event of the registry, and what of it arrives at a receiver over HTTP: log record, span, metrics.

One process a walk records them all, each as a success and as a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gastown_tracing.events.metrics import METRICS
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.schema import Event
from tests.api.sink import sink
from tests.events.arrived import from_sink
from tests.events.walk_check import SCOPE, Check, buckets
from tests.events.walk_kit import CALLER, RUN, Walk

#: By `record()`, by the typed functions and around blocks; all attributes and the required ones; with every
#: opt-in and none; in a rig with work in force and in the town without; in the caller's span and in its own.
WALKS = (
    Walk("all attributes, no opt-in"),
    Walk("all opt-ins, typed, in a span", how="typed", gated=True, inside=True),
    Walk("by blocks, in a span", how="around", gated=True, inside=True),
    Walk("required attributes", sparse=True, gated=True),
    Walk("required attributes, of the town", sparse=True, who="mayor", how="typed"),
)
MEASURED = {name: {label: f"a {label}" for label in metric.labels} for name, metric in METRICS.items()}

Walked = Callable[[Walk], Check]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    """Return a function that takes a walk, once, and returns what arrived of it."""
    known: dict[Walk, Check] = {}

    def take(walk: Walk) -> Check:
        if walk not in known:
            town = tmp_path_factory.mktemp("town")
            measures = [
                {"how": "measure", "name": name, "told": {"value": 3.5, **labels}}
                for name, labels in MEASURED.items()
            ]
            with sink() as server:
                walk.run(town, server.env(), *measures)
            known[walk] = Check(walk, town, from_sink(server))
        return known[walk]

    return take


every_walk = pytest.mark.parametrize("walk", WALKS, ids=str)
every_event = pytest.mark.parametrize("event", EVENTS.values(), ids=list(EVENTS))


@every_event
@every_walk
def test_its_log_record_arrives(walked: Walked, walk: Walk, event: Event) -> None:
    """Name, body, severity, trace, span, and every attribute in its type: run, identity, work, its own."""
    walked(walk).check_logs(event)


@every_event
@every_walk
def test_its_span_arrives(walked: Walked, walk: Walk, event: Event) -> None:
    """Where it is one: name, kind, parent, status, duration, attributes and OpenTelemetry's names."""
    walked(walk).check_spans(event)


@every_event
@every_walk
def test_its_metrics_arrive(walked: Walked, walk: Walk, event: Event) -> None:
    """The series that its labels make, values, buckets, exemplars of its span; cumulative, no unit."""
    walked(walk).check_metrics(event)


@every_walk
def test_nothing_else_arrives(walked: Walked, walk: Walk) -> None:
    """What has no opt-in is absent, each record has an id of its own, all three signals one resource."""
    walked(walk).check_whole()


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_of_no_event_arrives(walked: Walked, name: str) -> None:
    """What a probe measures: its labels, its buckets, and an exemplar of the span that it was measured in."""
    metric = METRICS[name]
    (point,) = walked(WALKS[0]).arrived.points_of(name)
    assert (point.kind, point.unit, point.source.scope) == (metric.kind, "", SCOPE)
    assert point.labels == MEASURED[name]
    one = (1, 3.5, buckets(metric.buckets, [3.5]))
    assert point.value == (one if metric.kind == "histogram" else 3.5)
    assert point.bounds == metric.buckets
    assert point.exemplars == [(RUN, CALLER, 3.5)]
