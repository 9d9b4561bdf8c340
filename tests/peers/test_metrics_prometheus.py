"""The real Prometheus, which keeps exemplars: from a count or a bucket to the span it came from."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing.journal.layout import create
from tests.peers.programs import answers, get_json, needs, running
from tests.peers.rotel import free_port
from tests.processes import wait_until
from tests.relay.metrics_kit import RUN, append, bd_call, config, worker

pytestmark = [pytest.mark.peer, needs("prometheus", "prometheus.io/download")]

_CONFIG = """\
storage:
  exemplars:
    max_exemplars: 1000
otlp:
  promote_resource_attributes: [gt.role, gt.rig, gt.actor, gt.agent, service.instance.id]
"""


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    """Run Prometheus and return its address."""
    file = tmp_path / "prometheus.yaml"
    file.write_text(_CONFIG)
    url = f"http://127.0.0.1:{free_port()}"
    words = [
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={tmp_path / 'prometheus'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--web.enable-otlp-receiver",
        "--enable-feature=exemplar-storage",
    ]
    with running(words, tmp_path, lambda: answers(f"{url}/-/ready")):
        yield url


def get(url: str, path: str, **parameters: object) -> Any:
    answer = get_json(f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
    assert answer["status"] == "success", answer
    return answer["data"]


def test_a_counter_and_each_bucket_lead_to_a_span(prometheus: str, tmp_path: Path) -> None:
    """The last span of the counter, and one of each bucket that got a value; and the total is exact."""
    journal = create(str(tmp_path / "journal"))
    config(journal, f"{prometheus}/api/v1/otlp/v1/metrics")
    now = time.time_ns()
    spans = {20.0: "b7ad6b7169203331", 200.0: "b7ad6b7169203332"}
    for milliseconds, span in spans.items():
        append(journal, bd_call(milliseconds=milliseconds, span_id=span, time_ns=now))
    query = "sum(gastown_bd_calls_total)"
    with worker(journal):
        wait_until(
            lambda: [found["value"][1] for found in get(prometheus, "query", query=query)["result"]] == ["2"],
            "the records",
        )

    def kept(name: str) -> set[tuple[str, str]]:
        found = get(prometheus, "query_exemplars", query=name, start=now / 1e9 - 60, end=now / 1e9 + 60)
        labels = [exemplar["labels"] for series in found for exemplar in series["exemplars"]]
        return {(label["trace_id"], label["span_id"]) for label in labels}

    assert kept("gastown_bd_calls_total") == {(RUN, spans[200.0])}
    assert kept("gastown_bd_duration_ms_bucket") == {(RUN, span) for span in spans.values()}
