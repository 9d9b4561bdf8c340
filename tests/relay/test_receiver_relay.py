"""The receiver within the relay: what real programs sent, at a backend, also after a kill and sent again."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from gastown_tracing.config import RECEIVER
from gastown_tracing.journal.layout import create
from tests.conftest import clean_environ
from tests.processes import wait_until

from .otlp_server import OtlpServer
from .receiver_kit import PROTOBUF, ask, corpus


@contextlib.contextmanager
def relay(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the real relay on a journal; it is killed in the end."""
    words = [sys.executable, "-m", "gastown_tracing.cli", "relay", "run", "--journal", str(root)]
    with subprocess.Popen(words, env=clean_environ(), stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def address(root: Path) -> str:
    """Return the receiver's address, "" while there is none or nobody listens."""
    url = json.loads((root / "config.json").read_text()).get(RECEIVER, "")
    with contextlib.suppress(OSError):
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port or 1)
        connection.connect()
        connection.close()
        return str(url)
    return ""


def deliver(url: str) -> None:
    """Send all real requests."""
    where = urlsplit(url)
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", where.port or 0, timeout=30)
    ) as connection:
        for one in corpus():
            path = f"{where.path}/v1/{one.signal}"
            assert ask(connection, path, one.body, {"Content-Type": PROTOBUF}).status == 200


def sent_dollars() -> float:
    """Return what Claude Code said that it has cost, all in all."""
    total = 0.0
    for one in corpus():
        if one.signal == "metrics":
            request = ExportMetricsServiceRequest.FromString(one.body)
            for group in request.resource_metrics:
                for part in group.scope_metrics:
                    for metric in part.metrics:
                        if metric.name == "claude_code.cost.usage":
                            total += sum(point.as_double for point in metric.sum.data_points)
    return total


def value(point: dict[str, Any]) -> float:
    """Return a counter's value."""
    return float(point["asDouble"] if "asDouble" in point else point["asInt"])


def totals(server: OtlpServer) -> dict[str, float]:
    """Return the sums of all series of each counter that the backend has."""
    found: dict[str, float] = {}
    series: list[dict[str, Any]] = server.metrics()["series"]
    for one in series:
        if one["kind"] == "sum":
            found[one["name"]] = found.get(one["name"], 0.0) + value(one["point"])
    return found


def read_up(root: Path, pid: int) -> bool:
    """Return whether this relay has received everything and its metrics worker has read all of it."""
    status = json.loads((root / "relay" / "status.json").read_text())
    received = status["pid"] == pid and status["receiver"]["requests"] == len(corpus())
    return received and status["workers"]["metrics"]["pending_bytes"] == 0


def test_everything_arrives_once_though_the_relay_is_killed(tmp_path: Path) -> None:
    """The backend has each span in one content, and sums that do not change when all is sent again."""
    root = tmp_path / "journal"
    with OtlpServer(tmp_path / "server") as server:
        urls = {
            f"GT_OTEL_{signal.upper()}_URL": server.url(signal) for signal in ("traces", "logs", "metrics")
        }
        create(str(root), {**urls, "OTEL_METRIC_EXPORT_INTERVAL": "200"})
        with relay(root):
            wait_until(lambda: address(root), "it listens")
            url = address(root)
            deliver(url)
            wait_until(lambda: len(server.spans()) == 90, "the spans arrive")
            wait_until(lambda: len(server.logs()) == 412, "the log records arrive")
            cost = sent_dollars()
            wait_until(
                lambda: abs(totals(server).get("claude_code.cost.usage", 0) - cost) < 1e-9,
                "the cost is right",
            )
            wait_until(lambda: totals(server).get("gastown.bd.calls.total") == 118, "so are the calls")
            before = totals(server)
        with relay(root) as again:
            wait_until(lambda: address(root), "it listens again")
            assert address(root) == url
            deliver(url)
            wait_until(lambda: server.stats()["logs.records"] >= 2 * 412, "it has sent all of it again")
            wait_until(lambda: read_up(root, again.pid), "it has added up all of it")
            again.terminate()  # what it has not exported goes with its end
            assert again.wait(30) == 0
        assert len(server.logs()) == 412
        assert {len(contents) for contents in server.spans().values()} == {1}
        after = totals(server)
        assert after == {
            **before,
            **{name: after[name] for name in after if name.startswith("gastown.relay.")},
        }
