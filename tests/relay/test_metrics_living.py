"""The gauges of sessions that live, and of disks: from a real session in tmux to a backend."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing.relay.living import Census
from gastown_tracing.relay.sources import Sources
from tests.processes import wait_until
from tests.relay.otlp_server import OtlpServer
from tests.relay.service_kit import Town

LIVE, IDLE, FREE = "gastown.sessions.live", "gastown.session.idle_ms", "gastown.town.disk_free_bytes"


@pytest.fixture
def town(journal_root: Path, env: dict[str, str]) -> Iterator[Town]:
    found = Town(journal_root, env)
    yield found
    found.end()


def gauges(server: OtlpServer, name: str) -> list[tuple[dict[str, Any], float]]:
    found = [one for one in server.metrics()["series"] if one["name"] == name]
    return [
        (one["attributes"], float(one["point"].get("asInt", one["point"].get("asDouble", 0))))
        for one in found
    ]


def test_a_session_that_lives_is_counted_and_how_long_it_said_nothing(
    town: Town, tmux_socket: str, tmp_path: Path
) -> None:
    """By role and rig while it lives, 0 afterwards; what it does not say has no label, and no value."""
    begun = time.time()
    words = ("--role", "polecat", "--name", "Toast", "--rig", "demo", "--socket", tmux_socket, "--json")
    with OtlpServer(tmp_path / "server") as server:
        urls = {"GT_OTEL_TRACES_URL": "none", "GT_OTEL_LOGS_URL": "none"}
        town.make(**urls, GT_OTEL_METRICS_URL=server.url("metrics"), OTEL_METRIC_EXPORT_INTERVAL="200")
        done = town("session", "start", *words, "--", "sleep", "1000")
        assert done.returncode == 0, done.stderr
        run = json.loads(done.stdout)["run_id"]
        who = {"role": "polecat", "rig": "demo"}
        wait_until(lambda: gauges(server, LIVE) == [(who, 1)], "the session")
        wait_until(lambda: gauges(server, IDLE), "how long it said nothing")
        ((labels, idle),) = gauges(server, IDLE)
        assert labels == {**who, "session": "gt-demo-Toast"}
        assert 0 <= idle <= (time.time() - begun) * 1000
        wait_until(lambda: gauges(server, IDLE)[0][1] > idle, "that it goes up")
        paths = {labels["path"] for labels, _ in gauges(server, FREE)}
        assert str(town.root) in paths
        assert all(free > 0 for _, free in gauges(server, FREE))
        pane = json.loads((town.root / "runs" / run / "pane.json").read_text())
        os.kill(int(pane["pane_pid"]), signal.SIGKILL)
        wait_until(lambda: gauges(server, LIVE) == [(who, 0)], "that it has ended")


class Said(dict[tuple[str, str], float]):
    """What a census says, by name and path."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self[name, labels.get("path", "")] = value


def test_what_is_not_known_is_not_said(town: Town) -> None:
    """Before anybody has looked there is no number of sessions; a disk that cannot be read is absent."""
    town.make()
    said = Said()
    sources = Sources(town.journal)
    Census(said, lambda: None, sources, str(town.root), time.time_ns)()  # type: ignore[arg-type]  # takes gauges
    assert set(said) == {(FREE, str(town.root))}
    said.clear()
    Census(said, list, sources, f"{town.root}/none", time.time_ns)()  # type: ignore[arg-type]  # as above
    assert not said
