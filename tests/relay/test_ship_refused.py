"""What an endpoint refuses: a record is set aside, the encoding changed, or who refuses all waited for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.otlp import Span, encode_resource, spans_line
from tests.processes import wait_until
from tests.relay.otlp_server import OtlpServer
from tests.relay.relay_kit import append, fill, new_journal, run_id, shipping, span_id, span_line, towards

RUN = run_id(0)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return new_journal(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OtlpServer]:
    with OtlpServer(tmp_path / "server") as running:
        yield running


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
@pytest.mark.parametrize("status", [400, 422, 413])
def test_one_record_among_500_is_set_aside_and_the_others_arrive(
    journal: Journal, server: OtlpServer, encoding: str, status: int
) -> None:
    server.answer("ok", poison="poison", status=status)
    fill(journal, 250)
    poisoned = span_line(RUN, 250, name="poison")
    append(journal, f"runs/{RUN}", poisoned)
    fill(journal, 249, first=251)
    settings = towards(server, OTEL_EXPORTER_OTLP_PROTOCOL=f"http/{encoding}")
    with shipping(journal, settings) as ship:
        server.wait_for("traces", 499)
        wait_until(lambda: ship.shipper.status()["pending_bytes"] == 0, "the end")
        assert ship.shipper.status()["dead_letters"] == 1
        assert ship.shipper.status()["sent"] == 499
        letters = Path(ship.files.dead_letters)
    assert set(server.spans()) == {span_id(number) for number in range(500) if number != 250}
    assert server.stats()["traces.resent"] == 0
    assert (letters / "traces.jsonl").read_bytes() == poisoned
    reason = orjson.loads((letters / "reasons.jsonl").read_bytes())
    assert (reason["status"], reason["count"], reason["signal"]) == (status, 1, "traces")
    assert "not to my liking" in reason["message"]
    file = Path(journal.root, reason["file"]).read_bytes()
    assert file[reason["start"] : reason["end"]] == poisoned


def test_of_a_line_with_many_records_only_the_bad_one_is_set_aside(
    journal: Journal, server: OtlpServer
) -> None:
    server.answer("ok", poison="poison")
    spans = [Span(RUN, span_id(number), name="poison" if number == 3 else "fine") for number in range(7)]
    append(
        journal, f"runs/{RUN}", spans_line(encode_resource({"service.name": "x"}), spans) + span_line(RUN, 9)
    )
    with shipping(journal, towards(server)) as ship:
        server.wait_for("traces", 7)
        wait_until(lambda: ship.shipper.status()["pending_bytes"] == 0, "the end")
        letter = Path(ship.files.dead_letters, "traces.jsonl").read_bytes()
    assert letter.count(b"spanId") == 1
    assert span_id(3).encode() in letter


def test_an_endpoint_that_refuses_everything_costs_no_record(journal: Journal, server: OtlpServer) -> None:
    """A wrong URL is for its operator to put right: nothing is set aside."""
    server.answer("status", status=400, text="wrong tenant")
    fill(journal, 20)
    settings = towards(server)
    with shipping(journal, settings) as ship:
        wait_until(lambda: ship.shipper.status()["state"] == "failing", "a failure")
        assert "wrong tenant" in str(ship.shipper.status()["last_error"])
        server.answer("ok")
        ship.reconfigure(settings)
        server.wait_for("traces", 20)
        assert ship.shipper.status()["dead_letters"] == 0


@pytest.mark.parametrize("unsupported", [415, 400, 500])
def test_an_endpoint_that_takes_protobuf_alone_gets_it(
    journal: Journal, tmp_path: Path, unsupported: int
) -> None:
    with OtlpServer(tmp_path / "protobuf", accept="protobuf") as server:
        server.answer("ok", unsupported=unsupported)
        fill(journal, 20)
        with shipping(journal, towards(server)) as ship:
            server.wait_for("traces", 20)
            wait_until(lambda: ship.shipper.status()["protocol"] == "protobuf", "a note of it")
        fill(journal, 20, first=20)
        before = server.stats()["traces.requests"]
        with shipping(journal, towards(server)) as ship:
            server.wait_for("traces", 40)
        assert server.stats()["traces.requests"] == before + 1  # found out once, and kept


def test_an_endpoint_that_takes_json_alone_gets_it(journal: Journal, tmp_path: Path) -> None:
    with OtlpServer(tmp_path / "json", accept="json") as server:
        fill(journal, 20)
        with shipping(journal, towards(server)) as ship:
            server.wait_for("traces", 20)
            assert ship.log == []


def test_an_endpoint_that_ceases_to_take_json_gets_protobuf(journal: Journal, server: OtlpServer) -> None:
    fill(journal, 20)
    with shipping(journal, towards(server)) as ship:
        server.wait_for("traces", 20)
        wait_until(lambda: ship.shipper.status()["protocol"] == "json", "JSON")
        server.answer("ok", poison='"spanId"', status=415)  # what only JSON says
        fill(journal, 20, first=20)
        server.wait_for("traces", 40)
        wait_until(lambda: ship.shipper.status()["protocol"] == "protobuf", "protobuf")
        assert ship.shipper.status()["dead_letters"] == 0
