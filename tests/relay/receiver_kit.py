"""A running receiver, a client of it, and the requests that Claude Code, gt and bd really sent."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gastown_tracing.config import RECEIVER
from gastown_tracing.journal.layout import Journal, create
from gastown_tracing.relay.receiver.limits import Limits
from gastown_tracing.relay.receiver.worker import Receiver
from gastown_tracing.relay.settings import Settings
from tests.processes import wait_until

_FILE = Path(__file__).parent.parent / "data" / "otlp-requests.jsonl.gz"
JSON, PROTOBUF = "application/json", "application/x-protobuf"
#: The run of the scene `claude`.
RUN = "4bf92f3577b34da6a3ce929d0e0e4736"
ROOT_SPAN = "a3ce929d0e0e4736"
#: What every request of the scene `claude` is part of: a prompt typed, or `-p`.
INTERACTIVE, PRINT = "tok123", "tokprint"


@dataclass(frozen=True)
class Sent:
    """A request as a program sent it: its scene, its signal, whether it was chunked, its body in protobuf."""

    scene: str
    mode: str
    signal: str
    chunked: bool
    body: bytes


@cache
def corpus(scene: str = "") -> tuple[Sent, ...]:
    """Return the requests of a scene, or all, in the order in which they were sent."""
    with gzip.open(_FILE, "rt", encoding="utf-8") as file:
        found = [json.loads(line) for line in file]
    return tuple(
        Sent(
            one["scene"],
            one["path"].split("/")[1],
            one["path"].rpartition("/")[2],
            one["chunked"],
            b64decode(one["body"]),
        )
        for one in found
        if scene in ("", one["scene"])
    )


@dataclass(frozen=True)
class Answered:
    """An answer: its status, its headers by name in lower case, its body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return what its JSON says."""
        return json.loads(self.body)


class Receiving:
    """A receiver that runs in this process, on a real socket, and its journal."""

    def __init__(self, journal: Journal, limits: Limits | None = None) -> None:
        self.journal = journal
        self.receiver = Receiver(journal, Settings.read(journal), limits)

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.receiver.start()
        wait_until(lambda: self.status["state"] == "listening", "the receiver listens")

    @property
    def status(self) -> dict[str, Any]:
        """Return its status."""
        return self.receiver.status()

    @property
    def url(self) -> str:
        """Return its address, as sessions get it."""
        found: str = json.loads(Path(self.journal.config_path).read_text())[RECEIVER]
        return found

    @property
    def port(self) -> int:
        """Return its port."""
        return urlsplit(self.url).port or 0

    def path(self, signal: str) -> str:
        """Return the path that a signal is sent to."""
        return f"{urlsplit(self.url).path}/v1/{signal}"

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def post(self, signal: str, body: object, headers: Mapping[str, str] | None = None) -> Answered:
        """Send a request on a connection of its own: bytes are protobuf, anything else becomes JSON."""
        kind = PROTOBUF if isinstance(body, bytes) else JSON
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with contextlib.closing(self.connect()) as connection:
            return ask(connection, self.path(signal), data, {"Content-Type": kind, **(headers or {})})

    def records(self, kind: str, where: str = "*/*") -> list[dict[str, Any]]:
        """Return the records of a kind that the journal has, each with its `resource` and `scope`."""
        outer, middle, inner = {
            "traces": ("resourceSpans", "scopeSpans", "spans"),
            "logs": ("resourceLogs", "scopeLogs", "logRecords"),
            "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
        }[kind]
        pattern = "relay/received/*.jsonl" if kind == "metrics" else f"{where}/{kind}.jsonl"
        return [
            {**record, "resource": group["resource"], "scope": part["scope"], "file": str(path)}
            for path in sorted(Path(self.journal.root).glob(pattern))
            for line in path.read_text(encoding="utf-8").splitlines()
            for group in json.loads(line)[outer]
            for part in group[middle]
            for record in part[inner]
        ]

    def text(self) -> str:
        """Return everything that was written."""
        paths = sorted(Path(self.journal.root).glob("*/**/*.jsonl"))
        return "".join(path.read_text(encoding="utf-8") for path in paths)


def ask(connection: http.client.HTTPConnection, path: str, body: Any, headers: Mapping[str, str]) -> Answered:
    """Send one request on a connection and return the answer; an iterator is sent in chunks."""
    connection.request("POST", path, body, dict(headers), encode_chunked=not isinstance(body, bytes))
    answer = connection.getresponse()
    return Answered(
        answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    )


@contextlib.contextmanager
def receiving(
    root: Path, config: Mapping[str, str] | None = None, limits: Limits | None = None
) -> Iterator[Receiving]:
    """Run a receiver on a journal, made where it is missing, with these settings."""
    journal = create(str(root), config or {})
    found = Receiving(journal, limits)
    found.start()
    try:
        yield found
    finally:
        found.receiver.stop(10)


def attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's attributes: text, numbers and flags as they are, the rest as OTLP has it."""
    found: dict[str, Any] = {}
    for pair in record.get("attributes", ()):
        ((kind, value),) = pair["value"].items()
        found[pair["key"]] = int(value) if kind == "intValue" else value
    return found


def pairs(**values: object) -> list[dict[str, Any]]:
    """Return attributes as OTLP has them; `__` in a name stands for a dot."""
    return [
        {"key": key.replace("__", "."), "value": {"stringValue": str(value)}} for key, value in values.items()
    ]


def spans(*found: Mapping[str, Any], scope: str = "a.program", **resource: object) -> dict[str, Any]:
    """Return a request with spans of one resource."""
    group = {
        "resource": {"attributes": pairs(**resource)},
        "scopeSpans": [{"scope": {"name": scope}, "spans": found}],
    }
    return {"resourceSpans": [group]}


def logs(*found: Mapping[str, Any], scope: str = "a.program", **resource: object) -> dict[str, Any]:
    """Return a request with log records of one resource."""
    group = {
        "resource": {"attributes": pairs(**resource)},
        "scopeLogs": [{"scope": {"name": scope}, "logRecords": found}],
    }
    return {"resourceLogs": [group]}


def span(trace_id: str, span_id: str, **fields: Any) -> dict[str, Any]:
    """Return a span of one second."""
    times = {"startTimeUnixNano": "1000000000", "endTimeUnixNano": "2000000000"}
    return {"traceId": trace_id, "spanId": span_id, "name": "work", "kind": 1, **times, **fields}


def log(body: str, **fields: Any) -> dict[str, Any]:
    """Return a log record."""
    return {"timeUnixNano": "1000000000", "body": {"stringValue": body}, **fields}
