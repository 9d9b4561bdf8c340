"""What others can make the relay remember: metrics, series, streams of processes, each up to a limit."""

from __future__ import annotations

import pytest

from gastown_tracing.events.registry import EVENTS
from gastown_tracing.relay.derive import measure
from gastown_tracing.relay.series import METRICS, OTHERS, SERIES, Book
from gastown_tracing.relay.sums import BUCKETS, FORGOTTEN_NS, STREAMS, Sums
from tests.relay.metrics_kit import BASE, NOW, exported
from tests.relay.test_metrics_sums import (
    DELTA,
    Added,
    Clock,
    at,
    histogram,
    line,
    number,
    process,
    spread,
    total,
)


def test_beyond_the_limit_one_series_stands_for_the_others() -> None:
    """OpenTelemetry's SDK specification, "Cardinality limits"; nothing is lost of the total."""
    added = Added()
    points = [number(1, 2, 1, subcommand=f"s{n}") for n in range(SERIES + 50)]
    added.take(line(total(*points, how=DELTA)))
    found = added.arrived().points
    assert len(found) == SERIES
    (overflow,) = [point for point in found if point.labels == {"otel.metric.overflow": True}]
    assert overflow.value == 51
    assert overflow.source.resource == dict(BASE)


def test_metrics_and_series_of_others_are_bounded_and_leave_room_for_ours() -> None:
    book = Book()
    sums = Sums(book, BASE, lambda: NOW)
    for count in range(METRICS + 10):
        sums.take("", line(total(number(1, 2, 1), how=DELTA), f"m{count}"))
    assert sums.dropped == {"limit": 10}
    measure(book, EVENTS["nudge"].metrics[0], BASE, (), 1, start_ns=NOW)
    assert book.size() == METRICS + 1
    for count in range(OTHERS // SERIES):
        points = [number(1, 2, 1, label=f"l{n}") for n in range(SERIES)]
        sums.take("", line(total(*points, how=DELTA), f"m{count}"))
    sums.take("", line(total(*[number(1, 2, 1, label=f"l{n}") for n in range(9)], how=DELTA), "m50"))
    assert book.size() <= METRICS + OTHERS


def test_streams_of_processes_that_ended_are_forgotten_after_a_day() -> None:
    added = Added()
    added.take(line(total(number(3, 2, 1)), resource=process(1)))
    added.clock.time_ns += FORGOTTEN_NS // 2
    added.take(line(total(number(4, 2, 1)), resource=process(2)))
    added.clock.time_ns += FORGOTTEN_NS // 2 + 1
    added.sums.forget()
    assert len(added.sums.state()) == 1
    assert added.value() == 7


def test_streams_are_bounded_whoever_sends_them() -> None:
    book = Book()
    sums = Sums(book, BASE, lambda: NOW)
    for who in range(2 * STREAMS + 10):
        sums.take("", line(total(number(1, 2, 1)), resource=process(who)))
        assert len(sums.state()) <= 2 * STREAMS
    sums.forget()
    assert len(sums.state()) == STREAMS


def test_a_process_that_was_forgotten_does_not_count_again() -> None:
    """It lives, and thousands came after it: what it says next is where it goes on, also after a restart."""
    clock = Clock()
    first = Sums(Book(), BASE, clock)
    first.take("", line(total(number(5, 2, 1)), resource=process(0)))
    for who in range(1, 2 * STREAMS + 1):
        clock.time_ns += 1
        point = {**number(1, 2000), "startTimeUnixNano": str(clock.time_ns)}
        first.take("", line(total(point), "others", resource=process(who)))
    book = Book()
    second = Sums(book, BASE, clock, first.state(), first.since_ns)
    second.take("", line(total(number(7, 3, 1)), resource=process(0)))
    second.take("", line(total(number(9, 4, 1)), resource=process(0)))
    (point,) = exported(book).points
    assert point.value == 2
    assert second.dropped == {"forgotten": 1}


@pytest.mark.parametrize(
    ("much", "reason"),
    [
        (line(total(number(1, 2, 1, label="x" * 5000))), "size"),
        (line(total(number(1, 2, 1)), resource={"team": "x" * 5000}), "size"),
        (line(total(number(1, 2, 1)), "n" * 5000), "limit"),
        (line(total(number(1, 2, 1)), unit="u" * 5000), "limit"),
        (line(total(number(1, 2, 1)), scope="s" * 5000), "limit"),
    ],
)
def test_what_is_too_long_to_be_kept_is_left_out_and_counted(much: bytes, reason: str) -> None:
    """The relay keeps series as long as it lives: twenty thousand of a megabyte would be too much."""
    added = Added()
    added.take(much, line(total(number(1, 2, 1))))
    assert added.sums.dropped == {reason: 1}
    assert added.value() == 1


def test_histograms_of_too_many_buckets_are_left_out_and_counted() -> None:
    added = Added()
    bounds = [float(bound) for bound in range(BUCKETS + 1)]
    added.take(line(spread(at(histogram([1] * (BUCKETS + 2), 2.0, bounds), 2, 1), DELTA), "bd.duration"))
    assert added.sums.dropped == {"size": 1}
