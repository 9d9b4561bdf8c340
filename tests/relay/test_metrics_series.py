"""What log records count, without a process: series, limits, clocks, gauges, what is saved and comes back."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gastown_tracing.journal import otlp
from gastown_tracing.journal.layout import Journal, create
from gastown_tracing.relay.derive import REMEMBERED, Deriver, Remembered
from gastown_tracing.relay.encode_metrics import encode
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.http import Client
from gastown_tracing.relay.metrics import MetricsWorker
from gastown_tracing.relay.reporting import Reporter
from gastown_tracing.relay.series import SERIES, STEP_NS, Book, Histogram, Named, Sum
from gastown_tracing.relay.settings import Settings
from gastown_tracing.relay.sources import Sources
from tests.api.sink import sink
from tests.events.arrived import Arrived
from tests.processes import wait_until
from tests.relay.metrics_kit import (
    BASE,
    NOW,
    POLECAT,
    RUN,
    append,
    arrived,
    bd_call,
    config,
    exported,
    log_line,
)
from tests.relay.otlp_server import OtlpServer
from tests.relay.test_metrics_sums import DELTA, line, number, total

CALLS, DURATION = "gastown.bd.calls.total", "gastown.bd.duration_ms"
SECOND = 1_000_000_000


class Derived:
    def __init__(self) -> None:
        self.book = Book()
        self.deriver = Deriver(self.book, BASE, Remembered(), lambda: NOW + SECOND)

    def take(self, *lines: bytes) -> Arrived:
        self.deriver.take("logs.jsonl", b"".join(lines))
        return exported(self.book, NOW + SECOND)

    def calls(self, *lines: bytes) -> object:
        points = self.take(*lines).points_of(CALLS)
        return points[0].value if points else 0


def test_a_record_that_comes_twice_counts_once() -> None:
    """A sweeper's or a receiver's repeat: the id of the record tells."""
    derived = Derived()
    assert derived.calls(bd_call("ab" * 16), bd_call("cd" * 16), bd_call("ab" * 16)) == 2
    derived.deriver.remembered = Remembered(orjson.loads(orjson.dumps(derived.deriver.remembered.state())))
    assert derived.calls(bd_call("cd" * 16), bd_call("ef" * 16)) == 3
    assert derived.deriver.repeated == 2


def test_what_is_remembered_of_records_is_bounded() -> None:
    remembered = Remembered()
    assert all(remembered.add(f"{count:032x}") for count in range(REMEMBERED + 1))
    assert len(remembered.state()) == REMEMBERED
    assert remembered.add(f"{0:032x}")
    assert not remembered.add(f"{REMEMBERED:032x}")


def test_a_damaged_line_costs_itself_alone() -> None:
    """Torn, joined with the next one, no JSON, lone surrogates: what is whole counts, the rest is told."""
    derived = Derived()
    odd = bd_call("01" * 16).replace(b'"create"', b'"cre\\ud800ate"')
    lines = [bd_call()[:300], bd_call(), b"{}\n", b"[1]\n", b"\xff\n", odd, bd_call()]
    assert derived.take(*lines).points_of(DURATION)
    assert sum(point.value for point in derived.take().points_of(CALLS)) == 3  # type: ignore[misc]  # counts
    assert derived.deriver.skipped == 4


@given(st.binary(max_size=200).map(lambda data: data.replace(b"\n", b"")), st.integers(0, 1200), st.data())
def test_no_line_breaks_it(junk: bytes, cut: int, data: st.DataObject) -> None:
    derived = Derived()
    whole = bd_call("ab" * 16)
    broken = whole[:cut] + junk + whole[data.draw(st.integers(cut, 1200)) :].rstrip(b"\n") + b"\n"
    derived.take(broken, bd_call("cd" * 16))
    assert "cdcdcdcdcdcdcdcd" in [f"{uid:016x}" for uid in derived.deriver.remembered.state()]


def test_records_of_others_feed_nothing() -> None:
    """A program's own logger, an event that nobody knows, and what only looks like ours."""
    derived = Derived()
    other = otlp.encode_scope("their.logger", "1")
    lines = [bd_call(scope=other), log_line("my.event", {}), log_line("exec", {"name": "make"})]
    assert derived.take(*lines).points == []


def test_a_record_without_a_time_begins_a_series_now() -> None:
    """To OTLP 0 is no time: nobody would know when the series began."""
    derived = Derived()
    derived.take(bd_call().replace(b"imeUnixNano", b"imeNobodyKnows"))
    (series, *_) = [series for *_, series in derived.book.snapshot(0)[1]]
    assert (series.start_ns, series.exemplars) == (NOW + SECOND - STEP_NS, {})


def test_events_that_gt_recorded_itself_count() -> None:
    """What the receiver kept: scope `gastown`, the event's name in the body, no duration."""
    record = otlp.Log(NOW, body="polecat.spawn", attributes={"name": "rust", "status": "error"})
    text = otlp.logs_line(otlp.encode_resource(POLECAT), [record], otlp.encode_scope("gastown", ""))
    (point,) = Derived().take(text).points
    assert (point.metric, point.labels) == ("gastown.polecat.spawns.total", {"status": "error"})


def test_an_amount_that_is_no_number_of_64_bits_is_left_out() -> None:
    derived = Derived()
    for value in ("twenty", True, -5):
        facts = {"input_tokens": value, "model": "opus"}
        derived.take(log_line("agent.usage", facts))
    huge = log_line("agent.usage", {"input_tokens": 5}).replace(
        b'"intValue":"5"', b'"intValue":"%d"' % 10**30
    )
    names = {point.metric for point in derived.take(huge).points}
    assert names == {"gastown.agent.events.total"}


def test_a_sum_that_outgrows_64_bits_is_a_double() -> None:
    found = Sum(NOW)
    assert found.add((1 << 63) - 1)
    assert found.add(10)
    assert found.value == float(1 << 63)
    assert not found.add(float("inf"))
    assert not Histogram(NOW, ()).record(float("nan"))


def test_beyond_the_limit_one_series_stands_for_the_others() -> None:
    derived = Derived()
    lines = [
        log_line("bd.call", {"subcommand": f"s{number}", "status": "ok"}) for number in range(SERIES + 20)
    ]
    points = derived.take(*lines).points_of(CALLS)
    assert len(points) == SERIES
    (overflow,) = [point for point in points if "otel.metric.overflow" in point.labels]
    assert (overflow.labels, overflow.value) == ({"otel.metric.overflow": True}, 21)


def test_exemplars_are_the_last_of_a_counter_and_of_each_bucket() -> None:
    derived = Derived()
    spans = [f"{number:016x}" for number in range(1, 5)]
    times = (1.0, 7.0, 7.5, 1.5)
    lines = [bd_call(milliseconds=value, span_id=span) for value, span in zip(times, spans, strict=True)]
    found = derived.take(*lines, bd_call(span_id="no span"))
    (calls,), (durations,) = found.points_of(CALLS), found.points_of(DURATION)
    assert calls.exemplars == [(RUN, spans[3], 1.0)]
    assert sorted(durations.exemplars) == [(RUN, spans[2], 7.5), (RUN, spans[3], 1.5)]


_values = st.integers(0, 1 << 62) | st.floats(0, 1e300)
_labels = st.dictionaries(
    st.text(max_size=3), st.text(max_size=3) | st.booleans() | st.integers(2, 9), max_size=2
)


@given(st.lists(st.tuples(st.sampled_from(["counter", "histogram", "gauge"]), _labels, _values), max_size=20))
def test_what_is_saved_comes_back_as_it_was(measured: list[tuple[str, dict[str, Any], float]]) -> None:
    """To the last bit of each number, in every kind of series."""
    book = Book()
    for count, (kind, labels, value) in enumerate(measured, 1):
        family = book.family(Named("scope", f"m.{kind}", kind), "doc", "1")
        series = family.get(BASE, tuple(sorted(labels.items())), NOW, (1.0, 2.5))
        if isinstance(series, Sum):
            series.add(value)
        elif isinstance(series, Histogram):
            series.record(value)
        else:
            series.set(value, NOW + count)
    state = orjson.dumps(book.state())
    assert orjson.dumps(Book.restored(orjson.loads(state)).state()) == state


def test_requests_are_split_at_their_limit() -> None:
    """No request is larger, and together they say everything once."""
    derived = Derived()
    derived.take(*[log_line("bd.call", {"subcommand": f"s{n}", "duration_ms": 1.5}) for n in range(500)])
    _, entries = derived.book.snapshot(0)
    requests = list(encode(entries, NOW + SECOND, BASE, 20_000))
    assert len(requests) > 5
    assert max(len(request.body()) for request in requests) <= 20_000
    assert len(arrived(requests).series) == len(entries) == 1000


class Stepping:
    """A clock that somebody sets."""

    def __init__(self) -> None:
        self.time_ns = time.time_ns()

    def __call__(self) -> int:
        return self.time_ns


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return create(str(tmp_path / "journal"))


def lifted(journal: Journal, clock: Stepping) -> tuple[MetricsWorker, Sources]:
    sources = Sources(journal)
    worker = MetricsWorker(journal, Files(journal), Settings.read(journal), print, connect=Client, now=clock)
    sources.add(worker.feed)
    sources.scan(time.monotonic())
    return worker, sources


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_a_clock_that_steps_back_makes_no_older_points(journal: Journal, restart: bool) -> None:
    """Each point is later than the one before, no start is after its point; also over a restart."""
    clock = Stepping()
    with sink() as server:
        config(journal, server.url_of("metrics"))
        worker, sources = lifted(journal, clock)
        worker.start()
        for seen, step in enumerate((0, -3600, 10, -7200, 1, 86_400, -86_400), 1):
            clock.time_ns += step * SECOND
            append(journal, bd_call(time_ns=clock.time_ns))
            sources.scan(time.monotonic() + 60)
            wait_until(lambda: [point.as_int for point in server.points(CALLS)] == [seen], "the record")  # noqa: B023
            if restart:
                worker.stop(10)
                worker, sources = lifted(journal, clock)
                worker.start()
        worker.stop(10)
        points = [
            point for metric in server.metrics() if metric.name == CALLS for point in metric.sum.data_points
        ]
    times = [point.time_unix_nano for point in points]
    assert times == sorted(set(times))
    assert {point.start_time_unix_nano <= point.time_unix_nano for point in points} == {True}
    assert len({point.start_time_unix_nano for point in points}) == 1


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_a_clock_that_was_a_year_ahead_is_left_behind(journal: Journal, restart: bool) -> None:
    """No backend takes points of then: counters and gauges go on at the time that it is, and count on."""
    clock = Stepping()
    now, ahead = clock.time_ns, clock.time_ns + 365 * 86_400 * SECOND
    with sink() as server:
        config(journal, server.url_of("metrics"))
        worker, sources = lifted(journal, clock)
        worker.start()
        for seen, clock.time_ns in enumerate((ahead, now, now + 60 * SECOND), 1):
            worker.gauge("gastown.relay.journal_bytes", seen)
            append(journal, bd_call(time_ns=clock.time_ns))
            sources.scan(time.monotonic() + 60)
            wait_until(lambda: [point.as_int for point in server.points(CALLS)] == [seen], "the record")  # noqa: B023
            wait_until(
                lambda: [point.as_int for point in server.points("gastown.relay.journal_bytes")] == [seen],  # noqa: B023
                "the gauge",
            )
            if restart:
                worker.stop(10)
                worker, sources = lifted(journal, clock)
                worker.start()
        worker.stop(10)
        points = [
            point for metric in server.metrics() if metric.name == CALLS for point in metric.sum.data_points
        ]
    later = [point for point in points if point.time_unix_nano < ahead - SECOND]
    assert {point.start_time_unix_nano for point in later} == {now}
    assert later[-1].time_unix_nano < now + 120 * SECOND


@pytest.fixture
def running(journal: Journal) -> Iterator[tuple[MetricsWorker, Any, Stepping]]:
    """Give a worker that runs, the receiver it exports to, and its clock."""
    clock = Stepping()
    with sink() as server:
        config(journal, server.url_of("metrics"))
        worker, _ = lifted(journal, clock)
        worker.start()
        yield worker, server, clock
        worker.stop(10)


def test_a_gauge_that_is_not_set_again_is_sent_once(running: tuple[MetricsWorker, Any, Stepping]) -> None:
    worker, server, clock = running
    worker.gauge("gastown.relay.lag_ms", 5, endpoint="traces")
    wait_until(lambda: server.points("gastown.relay.lag_ms"), "the gauge")
    worker.count("gastown.relay.retries.total", 2, endpoint="traces")
    wait_until(lambda: server.points("gastown.relay.retries.total"), "the counter")
    worker.reconfigure(worker_settings(worker))  # everything is exported again, but for gauges
    clock.time_ns += SECOND
    worker.count("gastown.relay.retries.total", 3, endpoint="traces")
    wait_until(lambda: server.points("gastown.relay.retries.total")[0].as_int == 5, "the counter")
    assert len([metric for metric in server.metrics() if metric.name == "gastown.relay.lag_ms"]) == 1
    (group, *_) = server.resource_metrics()
    assert {pair.key for pair in group.resource.attributes} == {
        "host.name",
        "service.instance.id",
        "service.name",
    }


def worker_settings(worker: MetricsWorker) -> Settings:
    return Settings.read(Journal(worker._root))


def test_the_parts_of_the_relay_say_how_they_are(running: tuple[MetricsWorker, Any, Stepping]) -> None:
    """Counters from what a status has counted, also after a restart; nothing of an endpoint unset."""
    worker, server, _ = running
    status: dict[str, Any] = {
        "workers": {
            "traces": {"state": "ok", "pending_bytes": 7, "lag_ms": None, "sent": 5, "retries": 0},
            "logs": {"state": "off", "pending_bytes": 7, "lag_ms": 9, "sent": 0},
        },
        "receiver": {"records": {"traces": 3}},
        "keeper": {"journal_bytes": None, "lost_records": 4},
    }
    counted: dict[tuple[str, str], float] = {}
    worker.before_export.append(Reporter(worker, lambda: status, counted))
    sent = "gastown.relay.sent.total"
    wait_until(lambda: [point.as_int for point in server.points(sent)] == [5], "what was sent")
    assert server.points("gastown.relay.journal_bytes") == [], "nobody has measured it yet"
    status["keeper"]["journal_bytes"] = 9000
    worker.before_export[:] = [Reporter(worker, lambda: status, counted)]  # after a bug of this worker's
    status["workers"]["traces"]["sent"] = 7
    wait_until(lambda: [point.as_int for point in server.points(sent)] == [7], "what was sent since")
    assert [point.as_int for point in server.points("gastown.relay.pending")] == [7]
    assert [point.as_int for point in server.points("gastown.relay.lag_ms")] == [0]
    assert [point.as_int for point in server.points("gastown.relay.received.total")] == [3]
    assert [point.as_int for point in server.points("gastown.relay.journal_bytes")] == [9000]
    assert [point.as_int for point in server.points("gastown.relay.lost.total")] == [4]
    assert server.points("gastown.relay.retries.total") == []
    worker.before_export[0] = Reporter(worker, lambda: status, {})  # as after a restart
    worker.count("gastown.relay.retries.total")
    wait_until(lambda: server.points("gastown.relay.retries.total"), "the next export")
    assert [point.as_int for point in server.points("gastown.relay.lost.total")] == [4]


def test_files_of_the_receiver_are_removed_a_day_after_they_were_added_up(journal: Journal) -> None:
    clock = Stepping()
    file = append(journal, line(total(number(4, 2, 1), how=DELTA)), "relay/received", "2026-01-01T00.jsonl")
    old = time.time() - 90_000
    os.utime(file, (old, old))
    young = append(journal, line(total(number(3, 3, 2), how=DELTA)), "relay/received", "2026-01-02T00.jsonl")
    with sink() as server:
        config(journal, server.url_of("metrics"))
        worker, sources = lifted(journal, clock)
        worker.start()
        wait_until(
            lambda: [point.as_int for point in server.points("bd.db.retry_count")] == [7], "the metric"
        )
        worker._tidy_due = 0.0
        wait_until(lambda: not file.exists(), "the removal")
        sources.scan(time.monotonic() + 60)
        worker.stop(10)
    assert young.exists()
    assert list(worker.feed.offsets()) == ["relay/received/2026-01-02T00.jsonl"]


def test_what_cannot_be_saved_is_not_sent(journal: Journal) -> None:
    """Else a restart would go back behind what a backend has seen."""
    append(journal, bd_call())
    with sink() as server:
        config(journal, server.url_of("metrics"))
        said: list[str] = []
        blocker = Path(Files(journal).checkpoint("metrics") + ".new")
        blocker.mkdir()
        worker = MetricsWorker(journal, Files(journal), Settings.read(journal), said.append, connect=Client)
        sources = Sources(journal)
        sources.add(worker.feed)
        sources.scan(time.monotonic())
        worker.start()
        wait_until(lambda: said, "what is wrong")
        assert "cannot be saved" in said[0]
        assert server.metrics() == []
        blocker.rmdir()
        wait_until(lambda: server.points(CALLS), "the export")
        worker.stop(10)


def test_an_endpoint_that_is_set_later_gets_everything(journal: Journal) -> None:
    append(journal, bd_call())
    config(journal, "")
    clock = Stepping()
    worker, _ = lifted(journal, clock)
    worker.start()
    assert worker.status()["state"] == "off"
    with sink() as server:
        config(journal, server.url_of("metrics"))
        worker.reconfigure(Settings.read(journal))
        wait_until(lambda: server.points(CALLS), "the total")
        worker.stop(10)
        status = worker.status()
    assert (status["state"], status["pending_bytes"], status["dead_letters"]) == ("ok", 0, 0)


def test_answers_of_an_endpoint_are_told(journal: Journal, tmp_path: Path) -> None:
    """Points that it rejects are counted, not sent again at once; no protobuf at all is tried again."""
    append(journal, bd_call())
    with OtlpServer(tmp_path / "server") as server:
        server.answer(partial={"rejected": 1, "message": "one too many"}, times=1)
        config(journal, server.url("metrics"))
        worker, sources = lifted(journal, Stepping())
        worker.start()
        wait_until(lambda: worker.status()["rejected"] == 1, "the rejection")
        server.answer("status", status=415)
        append(journal, bd_call())
        sources.scan(time.monotonic() + 60)
        wait_until(lambda: worker.status()["state"] == "failing", "the failure")
        status = worker.status()
        worker.stop(10)
    assert (status["dead_letters"], status["endpoint"]) == (0, server.url("metrics"))
    assert "415" in str(status["last_error"])
