"""`gt-trace relay resend`: what was refused goes again, whether or not a relay runs, and counts once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.processes import wait_until
from tests.relay.otlp_server import OtlpServer
from tests.relay.relay_kit import append, fill, log_line, run_id, shipping, span_id, span_line, towards
from tests.relay.service_kit import Town

RUN = run_id(0)
NOTHING = {"GT_OTEL_TRACES_URL": "none", "GT_OTEL_LOGS_URL": "none", "GT_OTEL_METRICS_URL": "none"}


@pytest.fixture
def town(journal_root: Path, env: dict[str, str]) -> Iterator[Town]:
    found = Town(journal_root, env)
    found.make(**NOTHING)
    yield found
    found.end()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OtlpServer]:
    with OtlpServer(tmp_path / "server") as running:
        yield running


def letters(town: Town, signal: str = "traces") -> Path:
    return Path(town.files.dead_letters, f"{signal}.jsonl")


def sent_again(town: Town) -> list[str]:
    """Return the files that wait to be sent again."""
    return sorted(path.name for path in Path(town.files.resend).rglob("*.jsonl"))


def make_letters(town: Town, server: OtlpServer) -> None:
    """Let a relay that runs set the spans 3 and 4 aside, of ten."""
    server.answer("ok", poison="poison")
    town.configure(**{**NOTHING, "GT_OTEL_TRACES_URL": server.url("traces")})
    fill(town.journal, 3)
    append(town.journal, f"runs/{RUN}", b"".join(span_line(RUN, each, name="poison") for each in (3, 4)))
    fill(town.journal, 5, first=5)
    town("relay", "start")
    wait_until(lambda: letters(town).exists() and letters(town).read_bytes().count(b"\n") == 2, "two letters")


def test_the_relay_that_runs_sends_them_and_removes_what_is_taken(town: Town, server: OtlpServer) -> None:
    make_letters(town, server)
    server.answer("ok")
    done = town("relay", "resend")
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 records of traces: sent again now\n", "")
    everything = {span_id(number) for number in range(10)}
    wait_until(lambda: everything <= set(server.spans()), "all of them")
    wait_until(lambda: sent_again(town) == [], "the file to be removed")
    wait_until(lambda: os.listdir(town.files.resend) == [], "its directory to be removed")
    assert not letters(town).exists()
    assert server.stats()["traces.resent"] == 0
    *reasons, note = map(
        orjson.loads, Path(town.files.dead_letters, "reasons.jsonl").read_bytes().splitlines()
    )
    assert [reason["status"] for reason in reasons] == [400, 400]
    assert note["resent"] == {"traces": 2}
    again = town("relay", "resend", "traces")
    assert (again.returncode, again.stdout) == (
        0,
        f"there are no dead letters in {town.files.dead_letters}\n",
    )


def test_what_is_refused_again_is_a_dead_letter_again(town: Town, server: OtlpServer) -> None:
    make_letters(town, server)
    before = letters(town).read_bytes()
    town("relay", "resend", "all")
    wait_until(lambda: letters(town).exists() and letters(town).read_bytes() == before, "the same two again")
    wait_until(lambda: sent_again(town) == [], "the file to be removed")


def test_without_a_relay_they_wait_for_the_next_one(town: Town, server: OtlpServer) -> None:
    """Of both signals, of the file that was full, too; one whose signal goes nowhere is kept."""
    for path, line in (
        (letters(town), span_line(RUN, 0)),
        (Path(f"{letters(town)}.1"), span_line(RUN, 1)),
        (letters(town, "logs"), log_line(RUN, 0)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(line)
    done = town("relay", "resend")
    assert done.returncode == 0
    assert done.stdout.startswith("2 records of traces and 1 record of logs: sent again when a relay runs")
    assert sent_again(town) == ["logs.jsonl", "traces.jsonl", "traces.jsonl"]
    assert not letters(town).exists()
    town.configure(**{**NOTHING, "GT_OTEL_TRACES_URL": server.url("traces")})
    town("relay", "start")
    wait_until(lambda: {span_id(0), span_id(1)} <= set(server.spans()), "both")
    wait_until(lambda: sent_again(town) == ["logs.jsonl"], "the files to be removed")
    town.configure(GT_OTEL_LOGS_URL=server.url("logs"))
    wait_until(lambda: "0" in server.logs(), "the log record")
    wait_until(lambda: sent_again(town) == [], "the last one to be removed")


def test_a_relay_that_dies_before_it_removes_a_file_leaves_that_to_the_next(
    town: Town, server: OtlpServer
) -> None:
    """What its checkpoint has as taken is not sent again."""
    directory = Path(town.files.resend, "2026-01-01T00-00-00.000000000")
    append(town.journal, str(directory), span_line(RUN, 0))
    kept = directory / "kept"
    os.link(directory / "traces.jsonl", kept)
    with shipping(town.journal, towards(server)):
        server.wait_for("traces", 1)
        wait_until(lambda: sent_again(town) == [], "the file to be removed")
        offset = [kept.stat().st_ino, kept.stat().st_size]
    os.rename(kept, directory / "traces.jsonl")
    path = Path(town.files.checkpoint("traces"))
    state = orjson.loads(path.read_bytes())
    state["offsets"][f"relay/resend/{directory.name}/traces.jsonl"] = offset
    path.write_bytes(orjson.dumps(state))
    with shipping(town.journal, towards(server)):
        wait_until(lambda: not directory.exists(), "it to be removed")
    assert server.stats()["traces.resent"] == 0


def test_metrics_do_not_count_what_is_sent_again(town: Town, server: OtlpServer) -> None:
    town.configure(
        **{**NOTHING, "GT_OTEL_METRICS_URL": server.url("metrics")}, OTEL_METRIC_EXPORT_INTERVAL="50"
    )
    append(town.journal, f"runs/{RUN}", log_line(RUN, 0), "logs.jsonl")
    letters(town, "logs").parent.mkdir(parents=True, exist_ok=True)
    letters(town, "logs").write_bytes(log_line(RUN, 1))
    assert town("relay", "resend", "logs").stdout.startswith("1 record of logs: ")
    town("relay", "start")

    def calls() -> int:
        found = server.metrics()["series"]
        return sum(int(each["point"]["asInt"]) for each in found if each["name"] == "gastown.bd.calls.total")

    wait_until(lambda: calls() >= 1, "the record that is new")
    append(town.journal, f"runs/{RUN}", log_line(RUN, 2), "logs.jsonl")
    wait_until(lambda: calls() >= 2, "the next one")
    assert calls() == 2
    assert town.status()["workers"]["metrics"]["pending_bytes"] == 0


def test_wrong_words_are_refused(town: Town) -> None:
    done = town("relay", "resend", "metrics")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
