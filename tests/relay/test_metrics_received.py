"""From what real programs sent to the receiver, over its files, to one series each at a backend."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gastown_tracing.relay.files import Files
from gastown_tracing.relay.http import Client
from gastown_tracing.relay.metrics import MetricsWorker
from gastown_tracing.relay.settings import Settings
from gastown_tracing.relay.sources import Sources
from tests.api.sink import sink
from tests.events.arrived import from_sink
from tests.relay.metrics_kit import config
from tests.relay.receiver_kit import corpus, receiving
from tests.relay.test_metrics_sums import labels_of, sent

COUNTERS = (
    "claude_code.token.usage",
    "claude_code.cost.usage",
    "claude_code.active_time.total",
    "claude_code.session.count",
)


def test_what_a_real_town_exported_adds_up_at_the_backend(tmp_path: Path) -> None:
    """Tokens, cost, time and sessions are the sums of what was sent, though each request came twice."""
    with sink() as server, receiving(tmp_path / "journal") as receiver:
        journal = receiver.journal
        metrics = [request for request in corpus() if request.signal == "metrics"]
        for request in (*metrics, *metrics):
            assert receiver.post("metrics", request.body).status == 200
        config(journal, server.url_of("metrics"))
        sources = Sources(journal)
        worker = MetricsWorker(journal, Files(journal), Settings.read(journal), print, connect=Client)
        sources.add(worker.feed)
        sources.scan(time.monotonic())
        worker.start()
        worker.stop(10)
        found = from_sink(server)
    assert not [point for point in found.points if point.metric.startswith("gastown.")]
    assert found.points_of("bd.db.pool_open")
    for name in COUNTERS:
        wanted: dict[frozenset[tuple[str, str]], float] = {}
        for _, labels, value in sent(name):
            wanted[labels] = wanted.get(labels, 0) + value
        came = {frozenset(labels_of(point)): point.value for point in found.points_of(name)}
        assert came == pytest.approx(wanted), name
