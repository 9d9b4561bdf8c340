"""Every event of the registry: what the relay derives is what a process measures that has no journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.schema import Event
from gastown_tracing.relay.derive import Deriver, Remembered
from gastown_tracing.relay.series import Book
from tests.api.sink import sink
from tests.events.arrived import Arrived, from_sink
from tests.events.test_walk_journal import journalled
from tests.events.walk_check import Check
from tests.events.walk_kit import RESOURCES, RUN, Walk
from tests.relay.metrics_kit import BASE, NOW, exported

WALKS = (
    Walk("all attributes, no opt-in"),
    Walk("all opt-ins, typed, in a span", how="typed", gated=True, inside=True),
    Walk("by blocks", how="around", gated=True),
    Walk("required attributes, of the town", sparse=True, who="mayor", how="typed"),
)
every_walk = pytest.mark.parametrize("walk", WALKS, ids=str)

Walked = Callable[[Walk], tuple[Check, Arrived]]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    """Return a function that walks twice: into a journal, derived from there, and measured by the process."""
    known: dict[Walk, tuple[Check, Arrived]] = {}

    def take(walk: Walk) -> tuple[Check, Arrived]:
        if walk not in known:
            town = tmp_path_factory.mktemp("town")
            journal = tmp_path_factory.mktemp("journal") / "journal"
            walk.run(town, {"GT_OTEL_JOURNAL": str(journal)})
            with sink() as server:
                walk.run(town, server.env())
            check = Check(walk, town, journalled(journal))
            check.arrived.series = derived(journal / "runs" / RUN / "logs.jsonl").series
            known[walk] = check, from_sink(server)
        return known[walk]

    return take


def derived(file: Path) -> Arrived:
    book = Book()
    deriver = Deriver(book, BASE, Remembered(), lambda: NOW)
    deriver.take(str(file), file.read_bytes())
    assert (deriver.repeated, deriver.skipped) == (0, 0)
    return exported(book)


@pytest.mark.parametrize("event", EVENTS.values(), ids=list(EVENTS))
@every_walk
def test_the_metrics_of_an_event_are_derived(walked: Walked, walk: Walk, event: Event) -> None:
    """The series that its labels make, values, buckets, exemplars of its span; cumulative, no unit."""
    walked(walk)[0].check_metrics(event)


@every_walk
def test_what_is_derived_is_what_the_process_measures(walked: Walked, walk: Walk) -> None:
    """The same series of the same calls; but for a block, which takes another time each time it runs."""
    check, measured = walked(walk)
    assert check.arrived.series.keys() == measured.series.keys()
    for key, point in check.arrived.series.items():
        other = measured.series[key]
        assert (point.kind, point.doc, point.bounds) == (other.kind, other.doc, other.bounds)
        if walk.how != "around" or point.kind == "counter":
            assert (point.value, type(point.value)) == (other.value, type(other.value))


@every_walk
def test_a_series_is_of_an_agent_and_never_of_a_run(walked: Walked, walk: Walk) -> None:
    """Role, rig, actor and agent as they stand on the record's resource; what is absent there stays so."""
    own = {name: value for name, value in RESOURCES[walk.who].items() if name in IDENTITY}
    for point in walked(walk)[0].arrived.points:
        assert point.source.resource == {**dict(BASE), **own}


IDENTITY = ("gt.role", "gt.rig", "gt.actor", "gt.agent")
