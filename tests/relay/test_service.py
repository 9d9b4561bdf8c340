"""The relay's own life: its settings, its journal, its parts, its end. Real processes, real endpoints."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import textwrap
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

import gastown_tracing
import propagation
from tests.processes import is_alive, wait_until
from tests.relay.otlp_server import OtlpServer
from tests.relay.service_kit import Town

TRACES, LOGS = "GT_OTEL_TRACES_URL", "GT_OTEL_LOGS_URL"
NOWHERE = {TRACES: "none", LOGS: "none", "GT_OTEL_METRICS_URL": "none"}


@pytest.fixture
def town(journal_root: Path, env: dict[str, str]) -> Iterator[Town]:
    found = Town(journal_root, env)
    yield found
    found.end()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OtlpServer]:
    with OtlpServer(tmp_path / "server") as found:
        yield found


def _state(town: Town, worker: str) -> object:
    return town.status().get("workers", {}).get(worker, {}).get("state")


def test_what_was_recorded_before_and_while_it_runs_arrives(town: Town, server: OtlpServer) -> None:
    """The whole way: a command, the journal, the relay, a backend."""
    town.make(**{**NOWHERE, TRACES: server.url("traces"), LOGS: server.url("logs")})
    town("exec", "--", "true")
    town.running()
    town("exec", "--", "true")
    server.wait_for("traces", 3)
    server.wait_for("logs", 3)
    assert server.stats()["traces.resent"] == 0


def test_settings_that_are_edited_hold_a_moment_later(town: Town, server: OtlpServer) -> None:
    """An endpoint is added, changed and removed while it runs."""
    town.make()
    town("exec", "--", "true")
    pid = town.running()
    assert _state(town, "traces") == "off"
    town.configure(**{**NOWHERE, TRACES: server.url("traces")})
    server.wait_for("traces", 2)
    town.configure(**{TRACES: server.url("traces") + "?again"})
    town("exec", "--", "true")
    server.wait_for("traces", 3)
    town.configure(**NOWHERE)
    wait_until(lambda: _state(town, "traces") == "off", "traces to be switched off")
    assert town.pid() == pid


def test_a_broken_config_changes_nothing_until_it_is_put_right(town: Town, server: OtlpServer) -> None:
    """Half an edit is no setting: what was read before goes on, and the status says so."""
    town.make(**{**NOWHERE, TRACES: server.url("traces")})
    town("exec", "--", "true")
    town.running()
    config = town.root / "config.json"
    whole = config.read_text()
    for broken in (whole[: len(whole) // 2], "", "[]", "\0\0"):
        config.write_text(broken)
        wait_until(lambda: town.status().get("problems"), "the status to say so")
        before = server.stats()["traces.records"]
        town("exec", "--", "true")
        wait_until(lambda n=before: server.stats()["traces.records"] > n, "a span to arrive")  # type: ignore[misc]
        config.write_text(whole)
        wait_until(lambda: not town.status().get("problems"), "the problem to be over")
    assert "config.json is no JSON" in town.log()
    assert "is all right again" in town.log()


def test_a_config_that_is_broken_from_the_start_lets_it_wait(town: Town, server: OtlpServer) -> None:
    """Not knowing where data goes is not the same as that it goes nowhere."""
    town.make()
    (town.root / "config.json").write_text("{")
    town("exec", "--", "true")
    wait_until(lambda: town.status().get("state") == "waiting", "a relay that waits")
    assert town("relay", "status").returncode == 3
    (town.root / "config.json").write_text(json.dumps({**NOWHERE, TRACES: server.url("traces")}))
    server.wait_for("traces", 2)


def test_sighup_reads_the_settings_again(town: Town) -> None:
    """And the relay says so, and goes on."""
    town.make(**NOWHERE)
    town("relay", "start")
    pid = town.running()
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: "reading config.json again" in town.log(), "the reading")
    assert town.running() == pid


def test_with_tracing_switched_off_it_goes_on_shipping(town: Town, server: OtlpServer) -> None:
    """The operator removes `on`: nothing is recorded, what is there still arrives."""
    town.make(**NOWHERE)
    town("exec", "--", "true")
    pid = town.running()
    (town.root / "on").unlink()
    town.configure(**{TRACES: server.url("traces")})
    town("exec", "--", "true")
    server.wait_for("traces", 2)
    wait_until(lambda: town.status().get("on") is False, "the status to say so")
    assert town.pid() == pid
    assert server.stats()["traces.records"] == 2


@pytest.mark.parametrize("how", ["removed", "renamed", "made anew", "only VERSION"])
def test_it_ends_when_its_journal_is_gone(town: Town, how: str, tmp_path: Path) -> None:
    """By itself, and it makes nothing again; a journal in the old one's place gets a relay of its own."""
    town.make(**NOWHERE)
    town("relay", "start")
    pid = town.running()
    if how == "only VERSION":
        (town.root / "VERSION").unlink()
    elif how == "removed":
        _remove(town.root)
    else:
        town.root.rename(tmp_path / "elsewhere")
    if how == "made anew":
        town.make()
    wait_until(lambda: not is_alive(pid), "the relay to end")
    if how == "made anew":
        town.outdate()
        town("exec", "--", "true")
        assert town.running() != pid
    elif how != "only VERSION":
        assert not town.root.exists()


def _remove(root: Path) -> None:
    """Remove a journal as `rm -rf` does, again where somebody has written meanwhile."""
    while root.exists():
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_with_its_checkpoints_saved(
    town: Town, server: OtlpServer, number: signal.Signals
) -> None:
    """The next one sends nothing again."""
    town.make(**{**NOWHERE, TRACES: server.url("traces"), LOGS: server.url("logs")})
    town("relay", "start")
    server.wait_for("traces", 1)
    server.wait_for("logs", 1)
    pid = town.running()
    os.kill(pid, number)
    wait_until(lambda: not is_alive(pid), "the relay to end")
    assert town.status()["state"] == "stopped"
    town("exec", "--", "true")
    town("relay", "start")
    server.wait_for("traces", 2)
    server.wait_for("logs", 2)
    assert (server.stats()["traces.resent"], server.stats()["logs.resent"]) == (0, 0)


def test_it_ends_when_told_while_an_endpoint_hangs(town: Town, server: OtlpServer) -> None:
    """What was under way comes again next time."""
    server.answer("hang")
    town.make(**{**NOWHERE, TRACES: server.url("traces")})
    town("relay", "start")
    pid = town.running()
    wait_until(lambda: server.stats()["traces.requests"] or server.stats()["connections"], "a request")
    done = town("relay", "stop")
    assert done.returncode == 0, done.stderr
    assert not is_alive(pid)
    server.answer("ok")
    town("relay", "start")
    server.wait_for("traces", 1)


def test_a_stopped_relay_loses_nothing(town: Town, server: OtlpServer) -> None:
    """kill -9 in the middle: all arrives, each span with one content."""
    town.make(**{**NOWHERE, TRACES: server.url("traces")})
    for _ in range(3):
        town.outdate()
        town("exec", "--", "true")
        town.running()
        town.kill()
    town.outdate()
    town("exec", "--", "true")
    server.wait_for("traces", 5)
    assert {len(contents) for contents in server.spans().values()} == {1}


def test_a_worker_that_dies_of_a_bug_begins_anew_and_is_seen(town: Town, tmp_path: Path) -> None:
    """The bug is put in from outside: a relay whose receiver's thread raises the first time."""
    town.make(**NOWHERE)
    program = tmp_path / "relay.py"
    program.write_text(
        textwrap.dedent(f"""
        import sys, threading
        from gastown_tracing.relay.receiver import worker
        from gastown_tracing.relay.__main__ import main
        listen, died = worker.Receiver._run, threading.Event()
        def run(self):
            if not died.is_set():
                died.set()
                raise KeyError("a bug of ours, in https://user:secret@example/?token=secret")
            listen(self)
        worker.Receiver._run = run
        main([{str(town.root)!r}])
        """)
    )
    with subprocess.Popen([sys.executable, str(program)], env=town.env, stderr=subprocess.PIPE) as relay:
        try:
            wait_until(lambda: town.status().get("receiver", {}).get("state") == "listening", "a receiver")
            receiver = town.status()["receiver"]
            assert receiver["crashes"] == 1
            assert "a bug of ours" in receiver["last_crash"]["message"]
            assert "receiver died of a bug" in town.log()
            assert "Traceback" in town.log()
            assert "secret" not in town.log() + json.dumps(town.status())
        finally:
            relay.kill()


def test_replaced_code_is_what_runs_next(town: Town, tmp_path: Path) -> None:
    """An upgrade under a running relay: it becomes the new one, in the same process."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    site = next(tmp_path.glob("venv/lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for package in (Path(found.__file__ or "").parent for found in (gastown_tracing, propagation)):
        shutil.copytree(package, site / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    service = site / "gastown_tracing/relay/service.py"
    service.write_text(service.read_text().replace("_CODE = 1.0, 10.0, 30.0", "_CODE = 1.0, 10.0, 0.5"))
    town.make(**NOWHERE)
    words = [str(tmp_path / "venv/bin/python"), "-m", "gastown_tracing.relay", str(town.root)]
    with subprocess.Popen(words, env=town.env, cwd=tmp_path) as relay:
        try:
            assert town.running() == relay.pid
            version = site / "gastown_tracing/_version.py"
            version.write_text(version.read_text().replace('"0.', '"7.'))
            wait_until(lambda: "relay 7." in town.log(), "the new one")
            wait_until(lambda: str(town.status().get("version")).startswith("7."), "the new one to run")
            assert town.pid() == relay.pid
            assert "it has been upgraded" in town.log()
        finally:
            relay.kill()


def test_the_log_is_bounded_and_its_lines_are_whole(town: Town) -> None:
    """A megabyte, and two old files beside it."""
    from gastown_tracing.relay.logfile import Log

    town.make()
    log = Log(town.files.log)
    for number in range(1200):
        log.say(f"{number} " + "x" * 4000)
    directory = Path(town.files.directory)
    files = sorted(path.name for path in directory.glob("relay.log*"))
    assert files == ["relay.log", "relay.log.1", "relay.log.2"]
    assert all((directory / name).stat().st_size <= 1 << 20 for name in files)
    assert town.log().splitlines()[-1].split(" ")[1] == "1199"
    assert all(line.split(" ")[1].isdigit() for line in town.log().splitlines())


def test_its_own_counts_are_right_over_restarts(town: Town, server: OtlpServer) -> None:
    """What an endpoint took is counted once, though the worker's own count goes on where it was."""
    urls = {"GT_OTEL_METRICS_URL": server.url("metrics"), TRACES: server.url("traces")}
    town.make(**{**NOWHERE, **urls}, OTEL_METRIC_EXPORT_INTERVAL="200")
    for number in (1, 2, 3):
        town("relay", "start")
        server.wait_for("traces", number)
        wait_until(lambda n=number: _sent(server) == n, f"{number} to be reported")  # type: ignore[misc]
        wait_until(lambda n=number: town.status()["workers"]["traces"]["sent"] == n, "the status")  # type: ignore[misc]
        town("relay", "stop")
        town("exec", "--", "true")


def _sent(server: OtlpServer) -> int:
    """Return what the relay says that the endpoint of traces has taken."""
    found = [series for series in server.metrics()["series"] if series["name"] == "gastown.relay.sent.total"]
    points = [series["point"] for series in found if "traces" in str(series["attributes"])]
    return int(points[0]["asInt"]) if points else 0
