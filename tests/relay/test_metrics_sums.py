"""What others exported, added up: every process counts once, whatever it repeats and however it arrives."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData

from gastown_tracing.relay.series import STEP_NS, Book, Gauge
from gastown_tracing.relay.sums import Sums
from tests.events.arrived import Arrived, Point
from tests.relay.metrics_kit import BASE, NOW, exported

SECOND = 1_000_000_000
DELTA, CUMULATIVE = 1, 2
CLAUDE = {
    "service.name": "claude-code",
    "service.version": "2.1.197",
    "os.type": "linux",
    "gt.role": "demo/polecats/rust",
    "gt.rig": "demo",
    "gt.session": "gt-demo-rust",
    "gt.run_id": "af7651916cd43dd8448eb211c80319c0",
}


class Clock:
    def __init__(self) -> None:
        self.time_ns = NOW + 1000 * SECOND

    def __call__(self) -> int:
        return self.time_ns


class Added:
    """Everything that is added up; it is saved and restored between any two lines."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.book = Book()
        self.sums = Sums(self.book, BASE, self.clock)

    def take(self, *lines: bytes) -> None:
        for line in lines:
            self.sums.take("relay/received/2026-01-01T00.jsonl", line)
            dropped, skipped, repeated = self.sums.dropped, self.sums.skipped, self.sums.repeated
            state = orjson.loads(orjson.dumps([self.book.state(), self.sums.state()]))
            self.book = Book.restored(state[0])
            self.sums = Sums(self.book, BASE, self.clock, state[1])
            self.sums.dropped, self.sums.skipped, self.sums.repeated = dropped, skipped, repeated

    def arrived(self) -> Arrived:
        for family in self.book._families.values():
            for series in family.series.values():
                series.changed = 1
        return exported(self.book)

    def value(self, name: str = "bd.db.retry_count") -> object:
        (point,) = self.arrived().points_of(name)
        return point.value


def otlp_attributes(pairs: Mapping[str, object]) -> list[dict[str, object]]:
    return [{"key": name, "value": {"stringValue": str(value)}} for name, value in pairs.items()]


def line(
    data: Mapping[str, Any],
    name: str = "bd.db.retry_count",
    *,
    resource: Mapping[str, object] = CLAUDE,
    scope: str = "beads",
    unit: str = "{retry}",
) -> bytes:
    """Return a line as the receiver writes it, with one metric."""
    metric = {"name": name, "unit": unit, "description": "as it came", **data}
    part = {"scope": {"name": scope, "version": "1.0.2"}, "metrics": [metric]}
    group = {"resource": {"attributes": otlp_attributes(resource)}, "scopeMetrics": [part]}
    return orjson.dumps({"resourceMetrics": [group]}) + b"\n"


def number(value: float, time: int, start: int = 0, **attributes: object) -> dict[str, Any]:
    """Return a point; times are seconds after NOW."""
    field: dict[str, object] = {"asInt": str(value)} if isinstance(value, int) else {"asDouble": value}
    found = {**field, "timeUnixNano": str(NOW + time * SECOND), "attributes": otlp_attributes(attributes)}
    return {**found, **({"startTimeUnixNano": str(NOW + start * SECOND)} if start else {})}


def total(*points: Mapping[str, Any], how: int = CUMULATIVE, monotonic: bool = True) -> dict[str, Any]:
    return {"sum": {"aggregationTemporality": how, "isMonotonic": monotonic, "dataPoints": list(points)}}


def process(number: int) -> dict[str, object]:
    """Return the resource of one of many processes of an agent."""
    return {**CLAUDE, "process.pid": number, "service.instance.id": f"i{number}", "process.command_args": "x"}


_grown = st.lists(st.integers(0, 50), min_size=1, max_size=6)


@st.composite
def said(draw: st.DrawFn) -> tuple[int, list[bytes]]:
    """Return what all count in the end, and what arrives: out of order, and some of it again."""
    lines, wanted = [], 0
    for who in range(draw(st.integers(1, 4))):
        for life in range(
            draw(st.integers(1, 3))
        ):  # a process that restarts counts from 0, since another time
            start, value = 1 + 100 * life, 0
            for step, more in enumerate(draw(_grown), 1):
                value += more
                point = number(value, start + step, start, subcommand="list")
                lines += [line(total(point), resource=process(who))] * draw(st.integers(1, 2))
            wanted += value
    return wanted, draw(st.permutations(lines))


@given(said())
def test_cumulative_totals_of_processes_add_up(said: tuple[int, list[bytes]]) -> None:
    """Whatever order they come in, restarts and repeats among them; and no total goes down on the way."""
    wanted, lines = said
    added, last = Added(), 0
    for text in lines:
        added.take(text)
        found = added.value()
        assert isinstance(found, int)
        assert found >= last
        last = found
    assert last == wanted
    assert added.sums.skipped == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30), st.integers(0, 9)), max_size=40), st.data())
def test_deltas_of_processes_add_up(points: list[tuple[int, int, int]], data: st.DataObject) -> None:
    """Each interval of each process counts once, whenever and however often it arrives."""
    intervals = {(who, time): value for who, time, value in points}
    lines = [
        line(total(number(value, time, time - 1, type="input"), how=DELTA), resource=process(who))
        for (who, time), value in intervals.items()
    ]
    repeats = data.draw(st.lists(st.sampled_from(lines), max_size=10)) if lines else []
    added = Added()
    added.take(*data.draw(st.permutations([*lines, *repeats])))
    assert added.sums.repeated == len(repeats)
    if intervals:
        assert added.value() == sum(intervals.values())


def histogram(counts: Sequence[int], value: float, bounds: Sequence[float] = (5.0, 10.0)) -> dict[str, Any]:
    return {
        "count": str(sum(counts)),
        "sum": value,
        "bucketCounts": [str(count) for count in counts],
        "explicitBounds": list(bounds),
        "min": 1.0,
        "max": 20.0,
    }


def spread(point: Mapping[str, Any], how: int = CUMULATIVE) -> dict[str, Any]:
    return {"histogram": {"aggregationTemporality": how, "dataPoints": [point]}}


def at(point: Mapping[str, Any], time: int, start: int) -> dict[str, Any]:
    return {**number(0, time, start), **point}


@given(
    st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 5), min_size=3, max_size=3)), max_size=12),
    st.data(),
)
def test_cumulative_histograms_add_up(values: list[tuple[int, list[int]]], data: st.DataObject) -> None:
    """Counts, sum and buckets of all processes, whatever is repeated or late."""
    state: dict[int, tuple[list[int], float]] = {}
    lines = []
    for time, (who, more) in enumerate(values, 2):
        counts, value = state.get(who, ([0, 0, 0], 0.0))
        state[who] = [old + new for old, new in zip(counts, more, strict=True)], value + 2.5 * sum(more)
        lines.append(line(spread(at(histogram(*state[who]), time, 1)), "bd.duration", resource=process(who)))
    added = Added()
    added.take(*data.draw(st.permutations(lines + lines[:3])))
    if lines:
        wanted = [sum(counts[bucket] for counts, _ in state.values()) for bucket in range(3)]
        value = sum(value for _, value in state.values())
        assert added.value("bd.duration") == (sum(wanted), value, tuple(wanted))


def test_other_bounds_are_left_out_and_counted() -> None:
    added = Added()
    added.take(line(spread(at(histogram([1, 0, 0], 2.0), 2, 1), DELTA), "bd.duration"))
    added.take(line(spread(at(histogram([1, 0, 0], 2.0, (1.0, 2.0)), 3, 2), DELTA), "bd.duration"))
    assert added.value("bd.duration") == (1, 2.0, (1, 0, 0))
    assert added.sums.dropped == {"bounds": 1}


def test_bounds_that_nobody_uses_any_more_give_way_to_others() -> None:
    """After an upgrade: the series begins anew, and says so by its start."""
    added = Added()
    added.take(line(spread(at(histogram([1, 0, 0], 2.0), 2, 1), DELTA), "bd.duration"))
    added.clock.time_ns += 3601 * SECOND
    added.take(line(spread(at(histogram([0, 1, 0], 1.5, (1.0, 2.0)), 3601, 3600), DELTA), "bd.duration"))
    (point,) = added.arrived().points_of("bd.duration")
    assert (point.value, point.bounds) == ((1, 1.5, (0, 1, 0)), (1.0, 2.0))
    assert added.sums.dropped == {}


def test_a_start_that_nobody_says_is_a_restart_where_the_total_is_less() -> None:
    """Without a start time only a smaller number tells that a process began anew."""
    added = Added()
    added.take(*[line(total(number(value, time))) for time, value in ((1, 5), (2, 8), (3, 2), (4, 3))])
    assert added.value() == 8 + 3


def test_a_total_that_shrinks_although_its_start_stays_counts_no_less() -> None:
    added = Added()
    added.take(*[line(total(number(value, time, 1))) for time, value in ((2, 5), (3, 2), (4, 6))])
    assert added.value() == 6


@pytest.mark.parametrize("how", [DELTA, CUMULATIVE])
def test_a_process_counts_on_when_its_clock_steps_back(how: int) -> None:
    """A hundred intervals, an hour back, a hundred more, each sent twice: all of them count once."""
    added = Added()
    for value, step in enumerate((*range(3700, 3800), *range(100, 200)), 1):
        point = number(value, step, 50) if how == CUMULATIVE else number(1, step, step - 1)
        added.take(*[line(total(point, how=how))] * 2)
    assert added.value() == 200
    assert added.sums.repeated == 200


def test_points_without_times_are_of_now() -> None:
    """To OTLP 0 is no time: a backend would refuse the point, or not know when the series began."""
    added = Added()
    point = {"asInt": "7", "attributes": []}
    added.take(line({"gauge": {"dataPoints": [point]}}, "bd.db.pool_open"))
    added.take(line(total(point, how=DELTA)))
    assert len(added.arrived().points) == 2
    _, entries = added.book.snapshot(0)
    times = {found.time_ns if isinstance(found, Gauge) else found.start_ns for *_, found in entries}
    assert times == {added.clock(), added.clock() - STEP_NS}


def test_gauges_keep_the_last_value_by_time_and_are_not_repeated() -> None:
    """And an UpDownCounter's total is one: what goes up and down ends with its process."""
    added = Added()
    for time, value in ((2, 5), (4, 7), (3, 6)):
        added.take(line({"gauge": {"dataPoints": [number(value, time)]}}, "bd.db.pool_open"))
        added.take(line(total(number(value, time, 1), monotonic=False), "bd.db.open"))
    assert (added.value("bd.db.pool_open"), added.value("bd.db.open")) == (7, 7)
    (point,) = added.arrived().points_of("bd.db.open")
    assert point.kind == "gauge"
    turn, entries = added.book.snapshot(0)
    assert len(entries) == 2
    assert added.book.snapshot(turn)[1] == []


def test_no_series_names_a_process_session_user_or_piece_of_work() -> None:
    """Role, rig and what is meant as a label stay, with unit, description and scope as they came."""
    added = Added()
    labels = {
        **dict.fromkeys(
            ("session.id", "user.id", "user.email", "organization.id", "run.id", "prompt.id"), "x"
        ),
        "gt.work_bead": "de-1",
        "model": "opus",
        "type": "input",
        "terminal.type": "tmux",
    }
    resource = {**process(7), "os.description": "x", "gt.actor": "a", "gt.agent": "claude", "team": "blue"}
    added.take(line(total(number(1, 2, 1, **labels), how=DELTA), resource=resource))
    (point,) = added.arrived().points
    assert point.labels == {"model": "opus", "type": "input", "terminal.type": "tmux"}
    assert point.source.resource == {
        "service.name": "claude-code",
        "gt.role": "demo/polecats/rust",
        "gt.rig": "demo",
        "gt.actor": "a",
        "gt.agent": "claude",
        "team": "blue",
        "host.name": "h",
        "service.instance.id": "i",
    }
    assert (point.source.scope, point.unit, point.doc) == (("beads", "1.0.2"), "{retry}", "as it came")


def test_an_agent_that_stands_on_the_points_is_the_resources() -> None:
    """Claude Code repeats its resource on its points; a backend that makes labels of both would have two."""
    added = Added()
    labels = {"gt.role": "mayor", "gt.run_id": "x", "type": "input"}
    added.take(line(total(number(1, 2, 1, **labels), how=DELTA), resource={"service.name": "claude-code"}))
    (point,) = added.arrived().points
    assert point.labels == {"type": "input"}
    assert point.source.resource == {**dict(BASE), "service.name": "claude-code", "gt.role": "mayor"}


def test_what_is_derived_is_not_taken_from_others() -> None:
    """gt's own `gastown.*`, and an event's metrics whoever sends them; a process's own metrics are taken."""
    added = Added()
    one = total(number(1, 2, 1), how=DELTA)
    added.take(line(one, "gastown.bd.calls.total", scope="github.com/steveyegge/gastown"))
    added.take(line(one, "gastown.bd.calls.total", scope="gastown_tracing"))
    added.take(line(one, "gastown.something", scope="github.com/steveyegge/gastown"))
    added.take(line(one, "gastown.probe.errors.total", scope="gastown_tracing"))
    assert {point.metric for point in added.arrived().points} == {"gastown.probe.errors.total"}
    assert added.sums.dropped == {"derived": 3}


def test_kinds_that_do_not_add_up_are_left_out_and_counted() -> None:
    added = Added()
    added.take(line({"summary": {"dataPoints": [{"count": "1"}]}}))
    added.take(line({"exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": []}}))
    added.take(line(total(number(1, 2, 1), how=0)))
    assert added.sums.dropped == {"kind": 2, "temporality": 1}
    assert added.arrived().points == []


_anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_keys = (
    "asInt",
    "asDouble",
    "timeUnixNano",
    "startTimeUnixNano",
    "attributes",
    "count",
    "sum",
    "bucketCounts",
)


@given(
    st.sampled_from(["sum", "gauge", "histogram"]),
    st.dictionaries(st.sampled_from((*_keys, "explicitBounds", "min", "flags")), _anything),
    st.sampled_from([DELTA, CUMULATIVE]),
)
def test_nothing_that_comes_breaks_it(kind: str, point: dict[str, Any], how: int) -> None:
    """A point that makes no sense is left out, and what is kept can be saved and sent."""
    added = Added()
    data = {kind: {"aggregationTemporality": how, "isMonotonic": True, "dataPoints": [point]}}
    text = json.dumps(json.loads(line({}, "x")), allow_nan=True)
    request = json.loads(text)
    request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0].update(data)
    added.take(json.dumps(request).encode() + b"\n", b'{"resourceMetrics":[{"reso\n')
    added.take(line(total(number(1, 2, 1), how=DELTA)))
    assert added.sums.skipped >= 1
    assert added.value() == 1


DATA = Path(__file__).parent.parent / "data" / "otlp-requests.jsonl.gz"


def requests() -> list[Any]:
    """Return the metrics that gt, bd and Claude Code really sent."""
    found = [json.loads(text) for text in gzip.decompress(DATA.read_bytes()).splitlines()]
    return [
        MetricsData.FromString(base64.b64decode(request["body"]))
        for request in found
        if request["path"].endswith("/v1/metrics")
    ]


def as_line(request: Any) -> bytes:
    return orjson.dumps(MessageToDict(request, use_integers_for_enums=True)) + b"\n"


@pytest.fixture(scope="module")
def town() -> Added:
    """Return what a real town exported, all of it twice, added up."""
    added = Added()
    for request in (*requests(), *requests()):
        added.sums.take("", as_line(request))
    return added


def test_tokens_and_cost_of_a_real_town_add_up(town: Added) -> None:
    """Claude Code's deltas, over all its sessions: all that was sent, by model and type, and once."""
    for name in ("claude_code.token.usage", "claude_code.cost.usage", "claude_code.active_time.total"):
        wanted: dict[frozenset[tuple[str, str]], float] = {}
        for metric, labels, value in sent(name):
            assert metric.sum.aggregation_temporality == DELTA
            wanted[labels] = wanted.get(labels, 0) + value
        found = {frozenset(labels_of(point)): point.value for point in town.arrived().points_of(name)}
        assert found == pytest.approx(wanted)
        assert wanted


def sent(name: str) -> list[tuple[Any, frozenset[tuple[str, str]], float]]:
    own = ("session.id", "user.id", "gt.run_id", "gt.role")
    return [
        (
            metric,
            frozenset(
                (pair.key, pair.value.string_value) for pair in point.attributes if pair.key not in own
            ),
            point.as_double,
        )
        for request in requests()
        for group in request.resource_metrics
        for part in group.scope_metrics
        for metric in part.metrics
        if metric.name == name
        for point in metric.sum.data_points
    ]


def labels_of(point: Point) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in point.labels.items()]


def test_of_a_real_town_nothing_is_left_out_but_what_gt_counts_itself(town: Added) -> None:
    """bd's gauges and Claude Code's counters are there, gt's own are derived, nothing is unreadable."""
    names = {point.metric for point in town.arrived().points}
    assert {"bd.db.pool_open", "bd.db.pool_in_use", "claude_code.session.count"} <= names
    assert not [name for name in names if name.startswith("gastown.")]
    assert town.sums.dropped.keys() == {"derived"}
    assert town.sums.skipped == 0
    for point in town.arrived().points:
        assert not [name for name in (*point.labels, *point.source.resource) if "process" in name]
