"""The worker for metrics, as a process: however it ends, totals are exact and no backend sees one go down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing.journal.layout import Journal, create
from gastown_tracing.relay import checkpoint
from gastown_tracing.relay.files import Files
from tests.processes import wait_until
from tests.relay.metrics_kit import RUN, append, bd_call, config, kill_again_and_again, worker, writers
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
        wait_until(lambda: len(series(server, CALLS)) == 2, "the new instance")
    assert {found["point"]["asInt"] for found in series(server, CALLS)} == {1}


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
