"""What is in a journal reaches its endpoint: whole, once, and whatever the endpoint does in between."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gastown_tracing.journal.layout import Journal
from tests.processes import wait_until
from tests.relay.otlp_server import OtlpServer
from tests.relay.relay_kit import (
    append,
    fill,
    log_line,
    new_journal,
    run_id,
    shipping,
    span_id,
    span_line,
    towards,
)

RUN = run_id(0)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return new_journal(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OtlpServer]:
    with OtlpServer(tmp_path / "server", keep=True) as running:
        yield running


def test_what_is_there_and_what_comes_arrives_once(journal: Journal, server: OtlpServer) -> None:
    fill(journal, 5000, runs=7)
    with shipping(journal, towards(server)) as ship:
        server.wait_for("traces", 5000)
        fill(journal, 500, runs=7, first=5000)
        server.wait_for("traces", 5500)
        wait_until(lambda: ship.shipper.status()["pending_bytes"] == 0, "the end")
        status = ship.shipper.status()
    assert server.stats()["traces.resent"] == 0
    assert set(server.spans()) == {span_id(number) for number in range(5500)}
    assert (status["state"], status["protocol"], status["sent"]) == ("ok", "json", 5500)
    assert status["lag_ms"] == 0.0
    assert status["last_error"] is None
    assert server.stats()["traces.largest_batch"] <= 4000
    assert ship.log == []


def test_a_restart_goes_on_where_it_was(journal: Journal, server: OtlpServer) -> None:
    fill(journal, 300)
    for first in (0, 300):
        with shipping(journal, towards(server)) as ship:
            server.wait_for("traces", 300 + first)
            wait_until(lambda: ship.shipper.status()["pending_bytes"] == 0, "the end")  # at once
        fill(journal, 300, first=300 + first)
    assert server.stats()["traces.resent"] == 0


def test_log_records_go_to_their_own_endpoint(journal: Journal, server: OtlpServer) -> None:
    fill(journal, 100, signal="logs")
    fill(journal, 100)
    with shipping(journal, towards(server, "logs"), "logs"):
        server.wait_for("logs", 100)
    assert set(server.logs()) == {str(number) for number in range(100)}
    assert server.stats()["traces.requests"] == 0


def test_the_root_span_is_shipped_and_open_calls_are_not(journal: Journal, server: OtlpServer) -> None:
    fill(journal, 1)
    append(journal, f"runs/{RUN}/open", span_line(RUN, 7), "00f067aa0ba902b7")
    append(journal, f"runs/{RUN}", span_line(RUN, 1, name="gt.session"), "close.json")
    append(journal, "loose/2026-01-01T00", span_line(run_id(1), 2))
    with shipping(journal, towards(server)):
        server.wait_for("traces", 3)
    assert set(server.spans()) == {span_id(0), span_id(1), span_id(2)}


def test_records_of_one_process_share_their_resource(journal: Journal, server: OtlpServer) -> None:
    for number in range(60):
        append(journal, f"runs/{RUN}", span_line(RUN, number, process=number % 3))
    with shipping(journal, towards(server)):
        server.wait_for("traces", 60)
    (request,) = [request for request in server.requests("traces") if b"spanId" in request.body]
    assert len(request.json()["resourceSpans"]) == 3
    assert server.stats()["traces.resources"] == 3


def test_spans_are_sent_as_they_were_written(journal: Journal, server: OtlpServer) -> None:
    line = span_line(RUN, 0, name='a "quoted" naïve\tname')
    append(journal, f"runs/{RUN}", line)
    with shipping(journal, towards(server)):
        server.wait_for("traces", 1)
    assert line.rstrip(b"\n") == server.requests("traces")[-1].body


@pytest.mark.parametrize(
    "mode",
    ["close", "garbage", "html", "lost", "refuse", "hang", "drip", "endless", "503", "429", "401", "404"],
)
def test_whatever_an_endpoint_does_it_gets_all_in_the_end(
    journal: Journal, server: OtlpServer, mode: str
) -> None:
    settings = towards(server, OTEL_EXPORTER_OTLP_TIMEOUT="300")
    with shipping(journal, settings) as ship:
        fill(journal, 50)
        server.wait_for("traces", 50)
        if mode.isdigit():
            server.answer("status", status=int(mode), retry_after=1)
        else:
            server.answer(mode)
        fill(journal, 50, first=50)
        wait_until(lambda: ship.shipper.status()["state"] == "failing", "a failure")
        status = ship.shipper.status()
        assert status["pending_bytes"]
        assert status["last_error"]
        server.answer("ok")
        ship.reconfigure(settings)
        server.wait_for("traces", 100)
        wait_until(lambda: ship.shipper.status()["state"] == "ok", "health")
    assert all(len(contents) == 1 for contents in server.spans().values())
    assert len(ship.log) == 2, ship.log
    assert "goes on" in ship.log[1]


def test_an_endpoint_is_not_asked_before_it_says(journal: Journal, server: OtlpServer) -> None:
    server.answer("status", status=429, retry_after=3600)
    fill(journal, 10)
    with shipping(journal, towards(server)) as ship:
        wait_until(lambda: ship.shipper.status()["retry_in_s"], "a pause")
        assert float(str(ship.shipper.status()["retry_in_s"])) > 3000
        asked = server.stats()["traces.requests"]
        server.answer("ok")
        began = time.monotonic()
        ship.stop()
        assert time.monotonic() - began < 2.0
    assert asked == server.stats()["traces.requests"] == 1


def test_an_operator_who_puts_the_settings_right_need_not_wait(journal: Journal, server: OtlpServer) -> None:
    server.answer("ok", require={"x-key": "right"})
    fill(journal, 10)
    headers = "OTEL_EXPORTER_OTLP_HEADERS"
    with shipping(journal, towards(server, **{headers: "x-key=wrong"})) as ship:
        wait_until(lambda: ship.shipper.status()["state"] == "failing", "a refusal")
        ship.reconfigure(towards(server, **{headers: "x-key=right"}))
        server.wait_for("traces", 10)
    assert "401" in ship.log[0]
    assert not any("wrong" in line for line in ship.log)


def test_settings_that_change_end_a_request_that_hangs(journal: Journal, server: OtlpServer) -> None:
    fill(journal, 10)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://user:secret@127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        settings = towards(server, GT_OTEL_TRACES_URL=url, OTEL_EXPORTER_OTLP_TIMEOUT="3600000")
        with shipping(journal, settings) as ship:
            accepted, _ = silent.accept()
            with accepted:
                assert "secret" not in str(ship.shipper.status()["endpoint"])
                ship.reconfigure(towards(server))
                server.wait_for("traces", 10)


def test_the_end_does_not_wait_for_a_request_that_hangs(journal: Journal, server: OtlpServer) -> None:
    server.answer("hang")
    fill(journal, 10)
    ship_settings = towards(server, OTEL_EXPORTER_OTLP_TIMEOUT="3600000")
    with shipping(journal, ship_settings) as ship:
        wait_until(lambda: server.stats()["traces.hang"], "a request")
        ship.stop(0.5)
        assert not ship.shipper._thread.is_alive()


def test_without_an_endpoint_nothing_is_taken_and_with_one_all_is_sent(
    journal: Journal, server: OtlpServer
) -> None:
    fill(journal, 10)
    with shipping(journal, towards(server, GT_OTEL_TRACES_URL="none")) as ship:
        wait_until(lambda: ship.shipper.status()["pending_bytes"], "a look at the journal")
        assert ship.shipper.status()["state"] == "off"
        ship.reconfigure(towards(server))
        server.wait_for("traces", 10)
        wait_until(lambda: ship.shipper.status()["pending_bytes"] == 0, "the end")
        ship.reconfigure(towards(server, GT_OTEL_TRACES_URL="none"))
        fill(journal, 10, first=10)
        wait_until(lambda: ship.shipper.status()["pending_bytes"], "another look")
        ship.reconfigure(towards(server))
        server.wait_for("traces", 20)
    assert server.stats()["traces.resent"] == 0


def test_a_dead_endpoint_holds_up_nobody_else(journal: Journal, server: OtlpServer) -> None:
    server.answer("hang", signal="logs")
    fill(journal, 100)
    fill(journal, 100, signal="logs")
    settings = towards(server, "logs", OTEL_EXPORTER_OTLP_TIMEOUT="1000")
    with shipping(journal, settings, "logs") as logs, shipping(journal, towards(server)):
        wait_until(lambda: server.stats()["logs.hang"], "a log request that hangs")
        server.wait_for("traces", 100)
        assert logs.shipper.status()["sent"] == 0


def test_damaged_lines_cost_themselves_alone(journal: Journal, server: OtlpServer) -> None:
    good = [span_line(RUN, number) for number in range(4)]
    torn = good[1][:900] + good[2] + b"what is this\n" + good[3].replace(b'"kind":3', b'"kind":99')
    append(journal, f"runs/{RUN}", good[0] + torn + b"\n\n" + span_line(RUN, 5))
    with shipping(journal, towards(server)) as ship:
        server.wait_for("traces", 3)
        wait_until(lambda: ship.shipper.status()["skipped_lines"] == 3, "a report")
    assert set(server.spans()) == {span_id(0), span_id(2), span_id(5)}
    (line,) = ship.log
    assert f"3 damaged parts of lines are left out, the first in runs/{RUN}/traces.jsonl at byte" in line
    assert str(len(good[0])) in line


def test_what_an_endpoint_rejects_of_a_request_is_counted_and_not_sent_again(
    journal: Journal, server: OtlpServer
) -> None:
    fill(journal, 10)
    server.answer("ok", partial={"rejected": 3, "message": "too old"})
    with shipping(journal, towards(server)) as ship:
        server.wait_for("traces", 10)
        wait_until(lambda: ship.shipper.status()["rejected"] == 3, "a count")
    assert "too old" in Path(ship.files.dead_letters, "reasons.jsonl").read_text()
    assert server.stats()["traces.resent"] == 0


def test_a_checkpoint_that_is_damaged_is_set_aside_and_all_is_sent_again(
    journal: Journal, server: OtlpServer
) -> None:
    fill(journal, 10)
    with shipping(journal, towards(server)) as ship:
        wait_until(lambda: ship.shipper.status()["sent"] == 10, "the first time")
    for content in (b"{", b'{"offsets": 7}', b'{"totals": {"sent": []}}'):
        Path(ship.files.checkpoint("traces")).write_bytes(content)
        with shipping(journal, towards(server)) as again:
            wait_until(lambda: again.shipper.status()["sent"] == 10, "all of it")  # at once
        assert "damaged" in again.log[0]
    assert Path(ship.files.checkpoint("traces") + ".damaged").exists()
    assert server.stats()["traces.resent"] == 30


def test_a_checkpoint_that_cannot_be_written_stops_nothing(journal: Journal, server: OtlpServer) -> None:
    with shipping(journal, towards(server)) as ship:
        directory = Path(ship.files.directory)
        os.rename(directory, f"{directory}.away")
        directory.write_bytes(b"")  # nothing can be made in a file
        for first in (0, 10):
            fill(journal, 10, first=first)
            server.wait_for("traces", first + 10)
        directory.unlink()
        os.rename(f"{directory}.away", directory)
        wait_until(lambda: Path(ship.files.checkpoint("traces")).exists(), "a checkpoint")
    assert server.stats()["traces.resent"] == 0
    assert [line.partition(" (")[0] for line in ship.log] == [
        "traces: the checkpoint cannot be written: Not a directory",
        "traces: the checkpoint can be written again",
    ]


def test_log_records_of_any_shape_arrive(journal: Journal, server: OtlpServer) -> None:
    """Also without a trace, and with several on a line."""
    line = log_line(RUN, 0)
    head, _, record = line.rstrip(b"\n").removesuffix(b"]}]}]}").partition(b'"logRecords":[')
    other = record.replace(
        b'"log.record.uid","value":{"stringValue":"0"', b'"log.record.uid","value":{"stringValue":"1"'
    )
    bare = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"bare"}}]}]}]}\n'
    append(
        journal,
        f"runs/{RUN}",
        head + b'"logRecords":[' + record + b"," + other + b"]}]}]}\n" + bare,
        "logs.jsonl",
    )
    with shipping(journal, towards(server, "logs"), "logs") as ship:
        server.wait_for("logs", 3)
    assert ship.log == []
