"""What docs/backends.md says of VictoriaLogs' streams: a header keeps them as few as there are agents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.conftest import ROOT
from tests.peers.programs import PROTOBUF, fetch, get_json
from tests.peers.victoria import needs_victoria_logs, running_victoria_logs

from . import fill
from .kit import STACK, load

pytestmark = [pytest.mark.peer, needs_victoria_logs]

PROCESSES = 20


def _told() -> str:
    page = (ROOT / "docs/backends.md").read_text(encoding="utf-8")
    (value,) = re.findall(r"`VL-Stream-Fields: ([^`]+)`", page)
    return str(value)


def _processes() -> bytes:
    """Return one record each of many processes of one agent."""
    request = ExportLogsServiceRequest()
    for pid in range(PROCESSES):
        group = request.resource_logs.add()
        for name, value in {
            **fill.TOAST.resource,
            "service.name": "gastown",
            "process.pid": str(pid),
        }.items():
            group.resource.attributes.add(key=name).value.string_value = value
        group.scope_logs.add().log_records.add(time_unix_nano=1).body.string_value = "bd.call"
    return request.SerializeToString()


@pytest.mark.parametrize(("told", "streams"), [(True, 1), (False, PROCESSES)], ids=["with", "without"])
def test_processes_share_a_stream_with_the_header(tmp_path: Path, told: bool, streams: int) -> None:
    """With the header an agent is one stream, without it each process is one; no field is lost."""
    headers = {"Content-Type": PROTOBUF, **({"VL-Stream-Fields": _told()} if told else {})}
    with running_victoria_logs(tmp_path, "-retentionPeriod=100y") as victoria:
        assert fetch(victoria.logs_url, _processes(), headers)[0] == 200
        records = victoria.query("* | limit 100")
        assert {record["process.pid"] for record in records} == set(map(str, range(PROCESSES)))
        found = get_json(f"{victoria.url}/select/logsql/streams?query=*")["values"]
    assert len(found) == streams


def test_the_collector_sends_what_is_told() -> None:
    """The Collector's header is the one of the docs."""
    headers = load(STACK / "collector.yaml")["exporters"]["otlp_http/logs"]["headers"]
    assert headers == {"VL-Stream-Fields": _told()}
