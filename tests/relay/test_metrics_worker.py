"""The worker for metrics, as a process: however it ends, totals are exact and no backend sees one go down."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing.journal.layout import Journal, create
from gastown_tracing.relay import checkpoint
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.series import STEP_NS
from tests.processes import wait_until
from tests.relay.metrics_kit import (
    RUN,
    append,
    bd_call,
    config,
    kill_again_and_again,
    log_line,
    worker,
    writers,
)
from tests.relay.otlp_json import points
from tests.relay.otlp_server import OtlpServer

CALLS, DURATION = "gastown.bd.calls.total", "gastown.bd.duration_ms"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return create(str(tmp_path / "journal"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OtlpServer]:
    with OtlpServer(tmp_path / "server") as found:
        yield found


def total(server: OtlpServer, name: str = CALLS) -> int:
    return sum(int(found["point"].get("asInt", 0)) for found in series(server, name))


def series(server: OtlpServer, name: str) -> list[dict[str, Any]]:
    return [found for found in server.metrics()["series"] if found["name"] == name]


def test_ten_thousand_records_are_ten_thousand_however_often_it_is_killed(
    journal: Journal, server: OtlpServer
) -> None:
    """8 processes write while it is killed 100 times: exactly 10,000, and nothing ever goes down."""
    config(journal, server.url("metrics"))
    running = writers(journal, 8, 1250, 0.004)
    kill_again_and_again(journal, 100, 0.12)
    assert [writer.wait() for writer in running] == [0] * 8
    with worker(journal) as process:
        wait_until(lambda: total(server) >= 10_000, "all records")
        assert process.stop() == 0
    assert total(server) == 10_000
    (histogram,) = series(server, DURATION)
    assert (histogram["point"]["count"], histogram["point"]["sum"]) == (10_000, 15_000.0)
    found = server.metrics()
    assert found["violations"] == []
    assert len({one["resource"]["service.instance.id"] for one in found["series"]}) == 1
    assert len({one["point"]["startTimeUnixNano"] for one in series(server, CALLS)}) == 1


def came(server: OtlpServer, name: str) -> list[dict[str, int]]:
    """Return the points of a metric that has one series, in the order in which they came."""
    requests = [request.json() for request in server.requests("metrics")]
    return [found["point"] for request in requests for found in points(request) if found["name"] == name]


def test_a_series_begins_at_nothing_however_often_it_is_killed(journal: Journal, tmp_path: Path) -> None:
    """First it is 0, at the time at which it began, then what it counts: a rate over it misses nothing.

    Never is it 0 after it was more, and each time it is 0 that is the same point.
    """
    with OtlpServer(tmp_path / "keeps", keep=True) as server:
        config(journal, server.url("metrics"))
        now = time.time_ns()
        for _ in range(3):
            append(journal, bd_call(time_ns=now))
        kill_again_and_again(journal, 20, 0.3)
        with worker(journal):
            wait_until(lambda: total(server) == 3, "the records")
        for name, count in ((CALLS, "asInt"), (DURATION, "count")):
            found = came(server, name)
            values = [point.get(count, 0) for point in found]
            assert values == sorted(values)
            assert set(values) == {0, 3}
            starts = {point["startTimeUnixNano"] for point in found}
            assert starts == {point["timeUnixNano"] for point in found if not point.get(count)}
            assert starts == {now - STEP_NS}
        assert server.metrics()["violations"] == []


def test_a_series_that_begins_later_was_nothing_at_the_last_export(journal: Journal, tmp_path: Path) -> None:
    """Its first record is an hour old: it began after what was exported without it, not before."""
    with OtlpServer(tmp_path / "keeps", keep=True) as server:
        config(journal, server.url("metrics"))
        append(journal, bd_call())
        with worker(journal):
            wait_until(lambda: total(server) == 1, "the record")
            before = came(server, CALLS)[-1]["timeUnixNano"]
            append(journal, log_line("nudge", {"status": "ok"}, time_ns=before - 3600 * 10**9))
            wait_until(lambda: total(server, "gastown.nudge.total") == 1, "the late one")
            first = came(server, "gastown.nudge.total")[0]
    assert not first.get("asInt")
    assert first["startTimeUnixNano"] == first["timeUnixNano"] >= before


def test_a_series_that_began_long_ago_does_not_begin_there(journal: Journal, tmp_path: Path) -> None:
    """Some backends refuse a request with a point of hours ago: it is told when it began, and no more."""
    with OtlpServer(tmp_path / "keeps", keep=True) as server:
        config(journal, server.url("metrics"))
        begun = time.time_ns() - 2 * 3600 * 10**9
        append(journal, bd_call(time_ns=begun))
        with worker(journal):
            wait_until(lambda: total(server) == 1, "the record")
        first = came(server, CALLS)[0]
    assert first["asInt"] == 1
    assert first["startTimeUnixNano"] == begun - STEP_NS
    assert first["timeUnixNano"] > begun + 3600 * 10**9


def test_what_has_not_changed_is_exported_again_but_not_saved(journal: Journal, tmp_path: Path) -> None:
    """A curve has a point at each interval; the checkpoint is written where there is something to write."""
    with OtlpServer(tmp_path / "keeps", keep=True) as server:
        config(journal, server.url("metrics"))
        append(journal, bd_call())
        with worker(journal):
            wait_until(lambda: total(server) == 1, "the record")
            wait_until(lambda: len(came(server, CALLS)) > 4, "more points")
            saved = Path(Files(journal).checkpoint("metrics")).read_bytes()
            so_far = len(came(server, CALLS))
            wait_until(lambda: len(came(server, CALLS)) > so_far + 4, "more points of what is as it was")
            assert Path(Files(journal).checkpoint("metrics")).read_bytes() == saved
        assert server.metrics()["violations"] == []


def test_an_endpoint_that_is_away_costs_nothing(journal: Journal, server: OtlpServer) -> None:
    """It takes, adds up and saves meanwhile, and then says the total once."""
    config(journal, server.url("metrics"))
    server.answer("refuse")
    append(journal, bd_call() * 1)
    with worker(journal) as process:
        wait_until(
            lambda: checkpoint.load(Files(journal).checkpoint("metrics")).get("offsets"), "a checkpoint"
        )
        process.kill()
    append(journal, bd_call())
    server.answer("ok")
    with worker(journal):
        wait_until(lambda: total(server) == 2, "both records")


@pytest.mark.parametrize("mode", ["hang", "close", "garbage", "status"])
def test_an_endpoint_that_behaves_badly_loses_nothing(
    journal: Journal, server: OtlpServer, mode: str
) -> None:
    """Hanging, closing, garbage and 503: records are taken meanwhile, and it goes on when it can."""
    config(journal, server.url("metrics"), OTEL_EXPORTER_OTLP_TIMEOUT="300")
    server.answer(mode, status=503)
    append(journal, bd_call())
    with worker(journal):
        wait_until(lambda: server.stats()[f"metrics.{mode}"], "an attempt")
        append(journal, bd_call())
        offsets = Path(journal.root, "runs", RUN, "logs.jsonl").stat().st_size
        wait_until(
            lambda: (
                checkpoint.load(Files(journal).checkpoint("metrics"))["offsets"].get(
                    f"runs/{RUN}/logs.jsonl", [0, 0]
                )[1]
                == offsets
            ),
            "that it takes what is new",
        )
        server.answer("ok")
        wait_until(lambda: total(server) == 2, "both records")
    assert server.metrics()["violations"] == []


def test_a_metric_that_is_refused_does_not_hold_up_the_others(journal: Journal, server: OtlpServer) -> None:
    """A request that is refused is halved until one metric stands alone; that one is left out for an hour."""
    config(journal, server.url("metrics"))
    server.answer(poison=DURATION)
    append(journal, bd_call())
    with worker(journal):
        wait_until(lambda: total(server) == 1, "the counter")
        append(journal, bd_call())
        wait_until(lambda: total(server) == 2, "the counter")
    assert series(server, DURATION) == []


def test_totals_outlive_the_files(journal: Journal, server: OtlpServer) -> None:
    """A run that is purged, or moved while no relay ran, leaves what it counted."""
    config(journal, server.url("metrics"))
    file = append(journal, bd_call())
    with worker(journal) as process:
        wait_until(lambda: total(server) == 1, "the record")
        file.unlink()
        file.parent.rmdir()
        assert process.stop() == 0
    append(journal, bd_call())
    with worker(journal):
        wait_until(lambda: total(server) == 2, "the next record")
    assert server.metrics()["violations"] == []


def test_a_checkpoint_that_is_damaged_is_set_aside(journal: Journal, server: OtlpServer) -> None:
    """It says so and counts anew what the journal has, as another instance: no series is taken up wrongly."""
    config(journal, server.url("metrics"))
    append(journal, bd_call())
    path = Path(Files(journal).checkpoint("metrics"))
    with worker(journal):
        wait_until(lambda: total(server) == 1, "the record")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(AssertionError), worker(journal):
        pass  # it says more than "ready"
    assert path.with_name("metrics.checkpoint.damaged").exists()
    with worker(journal):
        wait_until(
            lambda: [found["point"]["asInt"] for found in series(server, CALLS)] == [1, 1],
            "the new instance",
        )


def test_without_an_endpoint_it_adds_up_all_the_same(journal: Journal, server: OtlpServer) -> None:
    """What was recorded while there was no endpoint is in the total when there is one."""
    config(journal, "")
    append(journal, bd_call())
    with worker(journal) as process:
        assert process.stop() == 0
    assert checkpoint.load(Files(journal).checkpoint("metrics"))["offsets"]
    config(journal, server.url("metrics"))
    with worker(journal):
        wait_until(lambda: total(server) == 1, "the record")
