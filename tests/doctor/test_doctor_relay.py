"""What the doctor says of the real relay and its receiver: while they run, and when they do not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gastown_tracing.journal import otlp, writer
from gastown_tracing.journal.layout import Journal
from gastown_tracing.relay import status
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.logfile import iso
from tests.api.sink import refusing
from tests.processes import DEADLINE, wait_until
from tests.relay.otlp_server import OtlpServer

from .conftest import Doctor

TRACE, ROOT = "4bf92f3577b34da6a3ce929d0e0e4736", "a3ce929d0e0e4736"


@contextlib.contextmanager
def relay(journal: Journal, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the relay of a journal until the block ends, once it has said how it is."""
    words = [sys.executable, "-m", "gastown_tracing.cli", "relay", "run", "--journal", journal.root]
    with subprocess.Popen(words, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: status.read(Files(journal)).get("workers"), "the relay says how it is")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE)


def record(journal: Journal) -> None:
    span = otlp.Span(TRACE, "b" * 16, ROOT, "bd.call", start_ns=1, end_ns=2)
    writer.append(journal.run_dir(TRACE), "traces", otlp.spans_line(otlp.encode_resource({}), [span]))


def test_a_relay_that_runs_is_well(
    doctor: Doctor, journal: Journal, env: dict[str, str], tmp_path: Path
) -> None:
    """Each worker is named with its count, and the receiver takes OTLP at its own path only."""
    with OtlpServer(tmp_path / "server") as server:
        urls = {f"GT_OTEL_{name.upper()}_URL": server.url(name) for name in ("traces", "metrics", "logs")}
        journal.write_config(urls)
        with relay(journal, env) as process:
            record(journal)
            server.wait_for("traces", 1)
            wait_until(lambda: status.read(Files(journal))["workers"]["traces"]["sent"] == 1, "it says so")
            found = doctor()
    said = f"runs: pid {process.pid}; commands start none: GT_OTEL_RELAY=false in the environment"
    assert found["relay", "process"]["found"] == said
    assert found["relay", "traces"]["found"].startswith("ok, 1 sent")
    assert not status.read(Files(journal))["receiver"]["refused"], "the doctor is nobody who was refused"
    assert found.state("relay", "lost") == "ok"
    assert found["receiver", "answer"]["found"] == "takes OTLP"
    assert found.code == 0


def test_an_endpoint_that_is_down_is_said_with_the_log(
    doctor: Doctor, journal: Journal, env: dict[str, str]
) -> None:
    with refusing() as url:
        journal.write_config(
            {"GT_OTEL_TRACES_URL": url, "GT_OTEL_METRICS_URL": "none", "GT_OTEL_LOGS_URL": "none"}
        )
        with relay(journal, env):
            record(journal)
            failing = lambda: status.read(Files(journal))["workers"]["traces"]["state"] == "failing"  # noqa: E731 # waited for below
            wait_until(failing, "it fails")
            found = doctor("--offline")
    assert found.state("relay", "traces") == "problem"
    assert "failing" in found["relay", "traces"]["found"]
    assert found["relay", "log"]["found"]
    assert found.code == 1


def test_a_relay_that_was_killed_is_missed(doctor: Doctor, journal: Journal, env: dict[str, str]) -> None:
    """Where something waits. Where nothing can be sent, or no relay is wanted, all is well."""
    with refusing() as url:
        journal.write_config(
            {"GT_OTEL_TRACES_URL": url, "GT_OTEL_METRICS_URL": "none", "GT_OTEL_LOGS_URL": "none"}
        )
        with relay(journal, env) as process:
            record(journal)
            wait_until(
                lambda: status.read(Files(journal))["workers"]["traces"]["pending_bytes"], "something waits"
            )
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        row = doctor("--offline", GT_OTEL_RELAY="true")["relay", "process"]
        assert "was killed, or the machine went down: its log has no end" in row["found"]
        assert "wait to be sent" in row["found"]
        assert row["advice"].startswith("the next command that records starts one")
        Path(Files(journal).asked).touch()
        row = doctor("--offline", GT_OTEL_RELAY="true")["relay", "process"]
        assert "one at once, the next command that records in " in row["advice"]
        row = doctor("--offline", GT_OTEL_RELAY="false")["relay", "process"]
        assert "switched off (GT_OTEL_RELAY=false in the environment)" in row["advice"]
        journal.write_config({})
        assert doctor("--offline", GT_OTEL_RELAY="true").state("relay", "process") == "skipped"


def test_what_was_given_up_unsent_is_a_problem(doctor: Doctor, journal: Journal, env: dict[str, str]) -> None:
    """As the relay's own status says it."""
    with relay(journal, env) as process:
        process.send_signal(signal.SIGSTOP)  # so that what is written here stays
        try:
            said = status.read(Files(journal))
            keeper = {**said["keeper"], "lost_records": 7, "problem": "No space left on device"}
            Path(Files(journal).status).write_text(json.dumps({**said, "keeper": keeper}))
            found = doctor("--offline")
        finally:
            process.send_signal(signal.SIGCONT)
    assert (found.state("relay", "lost"), found.state("relay", "keeping")) == ("problem", "warning")
    assert found["relay", "lost"]["found"].startswith("7 records given up unsent")


@pytest.mark.parametrize(("days", "state"), [(0, "problem"), (2, "ok")])
def test_what_was_lost_is_said_without_a_relay_too(
    days: int, state: str, doctor: Doctor, journal: Journal
) -> None:
    """By relay/lost.json and the dead letters, with the time; after a day it is a fact."""
    files, when = Files(journal), iso(time.time() - days * 86_400)
    Path(files.dead_letters).mkdir(parents=True)
    Path(files.lost).write_text(json.dumps({"records": 7, "bytes": 70, "last": when}))
    Path(files.dead_letters, "logs.jsonl").write_text("{}\n")
    Path(files.dead_letters, "reasons.jsonl").write_text(json.dumps({"signal": "logs", "time": when}) + "\n")
    found = doctor("--offline")
    assert (found.state("relay", "lost"), found.state("relay", "refused logs")) == (state, state)
    assert found["relay", "lost"]["found"].startswith(f"7 records, the last at {when}, given up unsent")
    assert found["relay", "refused logs"]["found"].startswith(f"1 record, the last at {when}, refused")
    assert found.code == (1 if state == "problem" else 0)


def test_a_port_that_another_has_is_named(doctor: Doctor, journal: Journal, env: dict[str, str]) -> None:
    """The relay runs, so nobody is told to start it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        journal.write_config({"GT_OTEL_RECEIVER": f"http://127.0.0.1:{port}/{'t' * 22}"})
        with relay(journal, env):
            waits = lambda: status.read(Files(journal))["receiver"]["state"] == "waiting"  # noqa: E731 # waited for below
            wait_until(waits, "it cannot listen")
            row = doctor()["receiver", "answer"]
    assert row["state"] == "problem"
    assert row["found"] == f"the relay cannot listen: port {port}: Address already in use"
    assert f"another program has port {port}" in row["advice"]
    assert "relay start" not in row["advice"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"written": "now", "workers": []}', '{"workers": {"traces": 7}}']
)
def test_a_status_that_makes_no_sense_is_no_traceback(text: str, doctor: Doctor, journal: Journal) -> None:
    Path(Files(journal).status).write_text(text)
    found = doctor("--offline")
    assert found.state("relay", "process") in ("skipped", "warning")
    assert not [row for row in found.rows if row["found"].startswith("it failed")]
