"""What the gateways keep: errors, and whole work items; and that an agent hands them whole traces."""

from __future__ import annotations

import contextlib
import itertools
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.api.sink import Sink, sink
from tests.conftest import clean_environ
from tests.peers.collector import needs_collector
from tests.peers.programs import PROTOBUF, answers, post
from tests.peers.rotel import free_port
from tests.processes import wait_until

from .kit import STACK

pytestmark = [pytest.mark.peer, needs_collector]

DIES, WORKS, PATROLS, STARTS = (f"{number}" * 32 for number in range(1, 5))


def _request(*spans: tuple[str, dict[str, str], bool]) -> bytes:
    """Return spans of (trace, attributes, whether it failed) as a request."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number, (trace, attributes, failed) in enumerate(spans, 1):
        span = scope.spans.add(
            trace_id=bytes.fromhex(trace), span_id=bytes([number] * 8), name="bd.call", start_time_unix_nano=1
        )
        for name, value in attributes.items():
            span.attributes.add(key=name).value.string_value = value
        if failed:
            span.status.code = Status.STATUS_CODE_ERROR
    return request.SerializeToString()


@contextlib.contextmanager
def _gateway(directory: Path, target: Sink, **settings: str) -> Iterator[str]:
    """Run a gateway as it is but for its end: no Kafka, no waiting. Give the address that takes spans."""
    health, http = free_port(), free_port()
    instead = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{http}"}}}},
        "processors": {"tail_sampling": {"decision_wait": "200ms"}},
        "exporters": {"otlp_http": {"traces_endpoint": target.url, "compression": "none"}},
        "service": {"pipelines": {"traces": {"exporters": ["otlp_http"]}}},
    }
    (directory / "instead.yaml").write_text(yaml.safe_dump(instead))
    environment = {
        **clean_environ(),
        "COLLECTOR_HEALTH_PORT": str(health),
        "OTLP_GRPC_PORT": str(free_port()),
    }
    words = ["otelcol-contrib", f"--config={STACK / 'scale-out/gateway.yaml'}"]
    with open(directory / "gateway.out", "wb") as output:
        process = subprocess.Popen(
            [*words, f"--config={directory / 'instead.yaml'}"],
            env={**environment, **settings},
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{health}/"), "the gateway is there")
        yield f"http://127.0.0.1:{http}/v1/traces"
        process.send_signal(signal.SIGTERM)  # it hands on what it holds
        process.wait(30)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _agent(directory: Path, target: Sink, port: int) -> Iterator[None]:
    """Run an agent as it is, with a gateway at `port` of this machine; log records go to `target`."""
    health = free_port()
    environment = {
        **clean_environ(),
        "JOURNAL": str(directory / "journal"),
        "COLLECTOR_STATE": str(directory / "state"),
        "COLLECTOR_HEALTH_PORT": str(health),
        "LOGS_URL": target.url_of("logs"),
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
    }
    words = [
        "otelcol-contrib",
        *(f"--config={STACK / name}" for name in ("collector.yaml", "scale-out/agent.yaml")),
    ]
    with open(directory / "agent.out", "wb") as output:
        process = subprocess.Popen(words, env=environment, stdout=output, stderr=output)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{health}/"), "the agent is there")
        yield
    finally:
        process.kill()
        process.wait()


def _line(number: int) -> str:
    worked = '{"key":"work_bead","value":{"stringValue":"sg-1"}}'
    span = f'{{"traceId":"{WORKS}","spanId":"{number:016x}","name":"bd.call","attributes":[{worked}]}}'
    return f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}\n'


def test_an_agent_hands_a_journal_to_a_gateway(tmp_path: Path) -> None:
    """What a journal holds comes through agent and gateway, once, in the end."""
    run = tmp_path / "journal/runs" / WORKS
    run.mkdir(parents=True)
    (run / "traces.jsonl").write_text("".join(map(_line, range(1, 101))))
    port = free_port()
    with sink() as target, _agent(tmp_path, target, port):
        with _gateway(tmp_path, target, OTLP_GRPC_PORT=str(port)):
            wait_until(lambda: len(target.spans()) >= 100, "all came")
        assert sorted(int(one.span_id.hex(), 16) for one in target.spans()) == list(range(1, 101))


def _kept(target: Sink) -> list[str]:
    return sorted({span.trace_id.hex() for span in target.spans()})


def test_errors_work_items_and_workers_are_kept_and_the_rest_is_not(tmp_path: Path) -> None:
    """The patrol alone is dropped, where nothing of the rest is kept; and it is kept once it fails."""
    first = _request(
        (DIES, {"role": "deacon"}, True),
        (WORKS, {"role": "refinery", "work_bead": "sg-1"}, False),
        (PATROLS, {"role": "witness"}, False),
        (STARTS, {"role": "polecat"}, False),
    )
    with sink() as target, _gateway(tmp_path, target, OTHERS_KEPT_PERCENT="0") as url:
        assert post(url, first, PROTOBUF) == 200
        wait_until(lambda: _kept(target) == [DIES, WORKS, STARTS], "these are kept")
        assert post(url, _request((DIES, {"role": "deacon"}, False)), PROTOBUF) == 200
        wait_until(lambda: len(target.spans()) == 4, "what follows in a kept trace is kept")
        fresh = (f"{number:032x}" for number in itertools.count(1))
        fails, idles = (PATROLS, {"role": "witness"}, True), {"role": "witness"}

        def kept() -> bool:
            return PATROLS in _kept(target) or not post(
                url, _request(fails, (next(fresh), idles, False)), PROTOBUF
            )

        wait_until(kept, "what was dropped is kept once it fails, and others have been dropped since")


def test_a_share_of_the_work_items_is_kept_whole(tmp_path: Path) -> None:
    """With a quarter kept, the sessions of one bead are all kept, or none: its hash decides."""
    beads = {
        bead: (f"{number:032x}", f"{number + 100:032x}")
        for number, bead in enumerate(map("sg-{}".format, range(40)), 1)
    }
    spans = [
        (trace, {"role": "polecat", "work_bead": bead}, False)
        for bead, both in beads.items()
        for trace in both
    ]
    settings = {"OTHERS_KEPT_PERCENT": "0", "WORKERS_KEPT": "^never", "WORK_ITEMS_KEPT": "^[0-3]"}
    with sink() as target, _gateway(tmp_path, target, **settings) as url:
        assert post(url, _request(*spans), PROTOBUF) == 200
        wait_until(lambda: _kept(target), "some are kept")
    kept = set(_kept(target))
    whole = [bead for bead, both in beads.items() if kept >= set(both)]
    assert sorted(kept) == sorted(trace for bead in whole for trace in beads[bead])
    assert 0 < len(whole) < len(beads) / 2
