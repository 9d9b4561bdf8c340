"""An endpoint that is not what it was meant to be: nothing is lost, and it is said what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gastown_tracing.journal.layout import Journal
from tests.processes import wait_until
from tests.relay.otlp_server import OtlpServer
from tests.relay.relay_kit import (
    Ship,
    append,
    fill,
    new_journal,
    run_id,
    shipping,
    span_id,
    span_line,
    towards,
)
from tests.relay.service_kit import Town

RUN = run_id(0)
#: What every span holds and no empty request does.
ANY = "spanId"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return new_journal(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OtlpServer]:
    with OtlpServer(tmp_path / "server") as running:
        yield running


def letters(ship: Ship) -> bytes:
    """Return the dead letters of traces."""
    path = Path(ship.files.dead_letters, "traces.jsonl")
    return path.read_bytes() if path.exists() else b""


@pytest.mark.parametrize(("encoding", "poison"), [("json", ANY), ("protobuf", "bd.call")])
@pytest.mark.parametrize("status", [400, 413, 422])
def test_an_endpoint_that_never_took_anything_makes_no_dead_letters(
    journal: Journal, server: OtlpServer, encoding: str, poison: str, status: int
) -> None:
    """It takes an empty request as another signal's endpoint does, and refuses whatever holds a record."""
    server.answer("ok", poison=poison, status=status)
    fill(journal, 3000, runs=3)
    settings = towards(server, OTEL_EXPORTER_OTLP_PROTOCOL=f"http/{encoding}")
    with shipping(journal, settings) as ship:
        wait_until(lambda: int(str(ship.shipper.status()["retries"])) >= 2, "a second attempt")
        status_now = ship.shipper.status()
        assert status_now["state"] == "failing"
        assert status_now["failing_since"]
        said = str(status_now["last_error"])
        assert f"{status} " in said
        assert "not to my liking" in said
        assert "never taken anything" in said
        assert (status_now["dead_letters"], letters(ship)) == (0, b"")
        assert server.stats()["traces.requests"] < 250
        server.answer("ok")
        ship.reconfigure(settings)
        server.wait_for("traces", 3000)
        wait_until(lambda: ship.shipper.status()["state"] == "ok", "health")
        assert ship.shipper.status()["failing_since"] is None
        assert letters(ship) == b""


def test_after_a_restart_it_still_has_never_taken_anything(journal: Journal, server: OtlpServer) -> None:
    server.answer("ok", poison=ANY)
    fill(journal, 20)
    for _ in range(2):
        with shipping(journal, towards(server)) as ship:
            wait_until(lambda: ship.shipper.status()["state"] == "failing", "a refusal")  # at once
            assert ship.shipper.status()["dead_letters"] == 0


def test_another_url_has_to_take_something_itself(
    journal: Journal, server: OtlpServer, tmp_path: Path
) -> None:
    """That one URL took records says nothing of the next one."""
    fill(journal, 10)
    with shipping(journal, towards(server)) as ship, OtlpServer(tmp_path / "other") as other:
        server.wait_for("traces", 10)
        other.answer("ok", poison=ANY)
        ship.reconfigure(towards(other))
        fill(journal, 10, first=10)
        wait_until(lambda: ship.shipper.status()["state"] == "failing", "a refusal")
        ship.reconfigure(towards(server))
        server.wait_for("traces", 20)
        assert ship.shipper.status()["dead_letters"] == 0


def test_a_first_record_that_is_refused_is_set_aside_once_another_is_taken(
    journal: Journal, server: OtlpServer
) -> None:
    server.answer("ok", poison="poison")
    poisoned = span_line(RUN, 0, name="poison")
    append(journal, f"runs/{RUN}", poisoned)
    with shipping(journal, towards(server)) as ship:
        wait_until(lambda: ship.shipper.status()["state"] == "failing", "a refusal")
        assert letters(ship) == b""
        append(journal, f"runs/{RUN}", span_line(RUN, 1))
        server.wait_for("traces", 1)
        wait_until(lambda: ship.shipper.status()["pending_bytes"] == 0, "the end")
        status = ship.shipper.status()
        assert (status["state"], status["sent"], status["dead_letters"]) == ("ok", 1, 1)
        assert letters(ship) == poisoned
        when = str(status["last_dead_letter"])
    assert server.stats()["traces.resent"] == 0
    with shipping(journal, towards(server)) as again:
        assert again.shipper.status()["last_dead_letter"] == when


def test_many_bad_records_before_the_first_good_one(journal: Journal, server: OtlpServer) -> None:
    """However many come first, they are set aside and the others arrive."""
    server.answer("ok", poison="poison")
    append(journal, f"runs/{RUN}", b"".join(span_line(RUN, number, name="poison") for number in range(100)))
    fill(journal, 20, first=100)
    with shipping(journal, towards(server)) as ship:
        wait_until(lambda: ship.shipper.status()["dead_letters"] == 100, "all of them")
        server.wait_for("traces", 20)
        wait_until(lambda: ship.shipper.status()["pending_bytes"] == 0, "the end")
    assert set(server.spans()) == {span_id(number) for number in range(100, 120)}
    assert server.stats()["traces.resent"] <= 1


def test_damaged_lines_alone_are_no_reason_to_doubt(journal: Journal, server: OtlpServer) -> None:
    append(journal, f"runs/{RUN}", b"what is this\n")
    with shipping(journal, towards(server)) as ship:
        wait_until(lambda: ship.shipper.status()["skipped_lines"] == 1, "a report")
        assert ship.shipper.status()["state"] == "ok"
        assert ship.shipper.status()["pending_bytes"] == 0


@pytest.mark.parametrize(
    "url", ["htp://127.0.0.1:1/v1/traces", "http://127.0.0.1:1/v1/logs", "localhost:4318"]
)
def test_a_url_that_cannot_be_meant_keeps_what_is_recorded(
    journal: Journal, server: OtlpServer, url: str
) -> None:
    """Nothing is sent there, its state says why, and all of it goes out once config.json is put right."""
    fill(journal, 10)
    with shipping(journal, towards(server, GT_OTEL_TRACES_URL=url)) as ship:
        wait_until(lambda: ship.shipper.status()["pending_bytes"], "a look at the journal")
        status = ship.shipper.status()
        assert (status["state"], status["sent"], status["batches"]) == ("failing", 0, 0)
        assert status["failing_since"]
        assert "GT_OTEL_TRACES_URL" in str(status["last_error"])
        assert not ship.shipper.feed.done_with(f"runs/{RUN}")
        ship.reconfigure(towards(server))
        server.wait_for("traces", 10)
        wait_until(lambda: ship.shipper.status()["pending_bytes"] == 0, "the end")
        assert (ship.shipper.status()["state"], ship.shipper.status()["last_error"]) == ("ok", None)
        ship.reconfigure(towards(server, GT_OTEL_TRACES_URL=url))
        wait_until(lambda: ship.shipper.status()["state"] == "failing", "the problem again")


def test_a_relay_with_a_url_that_cannot_be_meant(
    server: OtlpServer, journal_root: Path, env: dict[str, str]
) -> None:
    """Its status says so, and all of it goes out once config.json is put right."""
    town = Town(journal_root, env)
    try:
        town.make(GT_OTEL_TRACES_URL="localhost:4318", GT_OTEL_LOGS_URL="none", GT_OTEL_METRICS_URL="none")
        fill(town.journal, 5)
        append(town.journal, f"runs/{RUN}", span_line(RUN, 5, name="gt.session"), "close.json")
        town("relay", "start")
        wait_until(lambda: town.status().get("workers", {}).get("traces", {}).get("pending_bytes"), "a look")
        done = town("relay", "status")
        assert done.returncode == 3
        assert "GT_OTEL_TRACES_URL" in done.stdout
        town.configure(GT_OTEL_TRACES_URL=server.url("traces"))
        wait_until(lambda: {span_id(number) for number in range(6)} <= set(server.spans()), "all of them")
        wait_until(lambda: town.status()["workers"]["traces"]["state"] == "ok", "health")
    finally:
        town.end()
