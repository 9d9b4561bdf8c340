"""A real OTLP/HTTP server for tests, a process of its own: it keeps what comes, and is as bad as asked.

The process has two ports. One speaks OTLP, in JSON or protobuf, over TLS where it is given a certificate; the
other one, always plain HTTP, is how a test asks what has come (`/_spans`, `/_logs`, `/_metrics`, `/_stats`)
and says how the first is to behave from now on (`/_answer`). Use it through `OtlpServer`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import hashlib
import http.client
import json
import os
import ssl
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.conftest import ROOT, clean_environ
from tests.processes import wait_until
from tests.relay.otlp_json import Series, points, to_json

#: Where each signal is posted, in OTLP/HTTP's own paths.
PATHS = {"traces": "/v1/traces", "logs": "/v1/logs", "metrics": "/v1/metrics"}
MESSAGES: dict[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
JSON, PROTOBUF = "application/json", "application/x-protobuf"

#: What `answer` may ask for. `ok` takes everything; `status` answers that status; `hang` never answers;
#: `drip` sends an endless header a byte at a time; `endless` never ends its headers, and fast; `garbage`
#: answers what is not HTTP; `close` closes without an answer; `html` answers 200 with somebody's page; `lost`
#: takes the request and closes without an answer; `refuse` does not even listen.
MODES = ("ok", "status", "hang", "drip", "endless", "garbage", "close", "html", "lost", "refuse")


class Store:
    """What has come: content hashes by span id and by log record, the last points of each series."""

    def __init__(self) -> None:
        self.spans: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.logs: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.series = Series()
        self.stats: Counter[str] = Counter()

    def add(self, signal: str, kind: str, body: bytes) -> None:
        """Keep a request. Raises ValueError and its like where it is none."""
        if kind == PROTOBUF:
            request = MESSAGES[signal].FromString(body)
            if signal == "metrics":
                self.series.add(points(to_json(request)))
                return
            self._add(signal, _from_protobuf(signal, request))
            return
        data = orjson.loads(body)
        if signal == "metrics":
            self.series.add(points(data))
            return
        self._add(signal, _from_json(signal, data))

    def _add(self, signal: str, records: Iterator[tuple[str, str, int]]) -> None:
        found = list(records)
        kept = self.spans if signal == "traces" else self.logs
        resent = 0
        for name, content, _ in found:
            resent += name in kept
            kept[name][content] += 1
        self.stats[f"{signal}.records"] += len(found)
        self.stats[f"{signal}.resent"] += resent
        self.stats[f"{signal}.resources"] += len({group for _, _, group in found})
        self.stats[f"{signal}.most_resent"] = max(resent, self.stats[f"{signal}.most_resent"])
        self.stats[f"{signal}.largest_batch"] = max(len(found), self.stats[f"{signal}.largest_batch"])


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _from_json(signal: str, data: Any) -> Iterator[tuple[str, str, int]]:
    """Return (id, hash of the content, number of the resource element) of each record of a request."""
    outer, middle, inner = (
        ("resourceSpans", "scopeSpans", "spans")
        if signal == "traces"
        else ("resourceLogs", "scopeLogs", "logRecords")
    )
    for number, group in enumerate(data[outer]):
        for part in group[middle]:
            for record in part[inner]:
                content = _hash(orjson.dumps(record))
                yield record["spanId"] if signal == "traces" else _uid_json(record, content), content, number


def _uid_json(record: Any, content: str) -> str:
    for pair in record.get("attributes", ()):
        if pair["key"] == "log.record.uid":
            return str(pair["value"]["stringValue"])
    return content


def _from_protobuf(signal: str, request: Any) -> Iterator[tuple[str, str, int]]:
    traces = signal == "traces"
    for number, group in enumerate(request.resource_spans if traces else request.resource_logs):
        for part in group.scope_spans if traces else group.scope_logs:
            for record in part.spans if traces else part.log_records:
                content = _hash(record.SerializeToString(deterministic=True))
                yield record.span_id.hex() if traces else _uid_protobuf(record, content), content, number


def _uid_protobuf(record: Any, content: str) -> str:
    for pair in record.attributes:
        if pair.key == "log.record.uid":
            return str(pair.value.string_value)
    return content


class Server:
    """The process: the OTLP port, how it behaves, and the control port."""

    def __init__(self, directory: Path, accept: str, tls: ssl.SSLContext | None, *, keep: bool) -> None:
        self._directory, self._accept, self._tls, self._keep = directory, accept, tls, keep
        self._store = Store()
        self._answers: dict[str, dict[str, Any]] = {}
        self._listener: asyncio.Server | None = None
        self._port = 0
        self._kept = 0
        self._again = asyncio.Event()
        self._connected: set[asyncio.StreamWriter] = set()

    async def listen(self) -> int:
        """Open the OTLP port, the same one every time."""
        self._listener = await asyncio.start_server(
            self._serve, "127.0.0.1", self._port, ssl=self._tls, limit=1 << 22
        )
        self._port = int(self._listener.sockets[0].getsockname()[1])
        return self._port

    async def control(self) -> int:
        """Open the control port."""
        listener = await asyncio.start_server(self._control, "127.0.0.1", 0, limit=1 << 22)
        return int(listener.sockets[0].getsockname()[1])

    async def _control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            _, path, _, body = await _request(reader, writer)
            answer = orjson.dumps(await self._asked(path, orjson.loads(body or b"{}")))
            writer.write(_response(200, JSON, answer, close=True))
            await writer.drain()
            writer.close()

    async def _asked(self, path: str, asked: Any) -> object:
        if path == "/_answer":
            await self._behave(asked)
        elif path == "/_stats":
            return dict(self._store.stats)
        elif path == "/_spans":
            return {name: list(found) for name, found in self._store.spans.items()}
        elif path == "/_logs":
            return {name: list(found) for name, found in self._store.logs.items()}
        elif path == "/_metrics":
            return {"series": self._store.series.last(), "violations": self._store.series.violations}
        return {}

    async def _behave(self, asked: dict[str, Any]) -> None:
        for signal in [asked.pop("signal")] if asked.get("signal") else PATHS:
            self._answers[signal] = dict(asked)
        refused = asked.get("mode") == "refuse"
        if refused and self._listener is not None:
            self._listener.close()
            self._listener = None
            for writer in self._connected:
                writer.close()
        elif not refused and self._listener is None:
            await self.listen()
        self._again.set()
        self._again = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._store.stats["connections"] += 1
        self._connected.add(writer)
        try:
            while not writer.is_closing():
                await self._one(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._connected.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, path, headers, raw = await _request(reader, writer)
        signal = next((name for name, known in PATHS.items() if path.split("?")[0].endswith(known)), "")
        if not signal or method != "POST":
            writer.write(_response(404 if not signal else 405, "text/plain", b"no such thing\n"))
            return
        self._store.stats[f"{signal}.requests"] += 1
        self._store.stats[f"{signal}.bytes"] += len(raw)
        body = gzip.decompress(raw) if headers.get("content-encoding") == "gzip" else raw
        answer = self._answer(signal)
        self._store.stats[f"{signal}.{answer.get('mode', 'ok')}"] += 1
        if not await self._misbehave(answer, reader, writer):
            response = self._response(signal, answer, path, headers, body)
            if answer.get("mode") == "lost":
                writer.close()
                return
            writer.write(response)
        await writer.drain()

    def _answer(self, signal: str) -> dict[str, Any]:
        answer = self._answers.get(signal, {})
        if "times" in answer:
            answer["times"] -= 1
            if answer["times"] < 0:
                return self._answers.pop(signal) and {}
        return answer

    async def _misbehave(
        self, answer: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        mode = answer.get("mode", "ok")
        if mode == "hang":
            await self._until_gone(reader)
        elif mode == "drip":
            writer.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            while not await self._until_gone(reader, 0.05):
                writer.write(b"x")
                await writer.drain()
        elif mode == "endless":
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while not writer.is_closing():
                writer.write(b"X-Endless: " + b"x" * 4000 + b"\r\n")
                await writer.drain()
        elif mode == "garbage":
            writer.write(b"\x16\x03\x01\x00 this is no HTTP\r\n\r\n")
        elif mode == "html":
            writer.write(_response(200, "text/html; charset=utf-8", b"<html>Welcome</html>"))
            return True
        elif mode != "close":
            return False
        writer.close()
        return True

    async def _until_gone(self, reader: asyncio.StreamReader, timeout: float | None = None) -> bool:
        """Wait until the client has gone, or until the server is told to behave in another way."""
        waits = [asyncio.ensure_future(reader.read(1)), asyncio.ensure_future(self._again.wait())]
        done, _ = await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return bool(done)

    def _response(
        self, signal: str, answer: dict[str, Any], path: str, headers: dict[str, str], body: bytes
    ) -> bytes:
        kind = headers.get("content-type", "").split(";")[0]
        refusal = self._refusal(answer, kind, headers, body)
        if refusal is not None:
            status, text = refusal
            extra = {"Retry-After": str(answer["retry_after"])} if "retry_after" in answer else {}
            return _response(status, "text/plain", f"{text}\n".encode(), extra)
        try:
            self._store.add(signal, kind, body)
        except Exception as error:
            self._store.stats[f"{signal}.unreadable"] += 1
            return _response(400, "text/plain", f"{type(error).__name__}: {error}\n".encode())
        self._save(signal, path, kind, headers, body)
        self._store.stats[f"{signal}.taken"] += 1
        if kind == PROTOBUF:
            return _response(200, PROTOBUF, _partial_protobuf(answer.get("partial")))
        return _response(200, JSON, _partial_json(signal, answer.get("partial")))

    def _refusal(
        self, answer: dict[str, Any], kind: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, str] | None:
        wanted = answer.get("require", {})
        if any(headers.get(name.lower()) != value for name, value in wanted.items()):
            return 401, "who are you?"
        if answer.get("mode") == "status":
            return int(answer["status"]), str(answer.get("text", "as you asked"))
        if self._accept != "both" and kind != {"json": JSON, "protobuf": PROTOBUF}[self._accept]:
            return int(answer.get("unsupported", 415)), "not in this encoding"
        if answer.get("poison") and answer["poison"].encode() in body:
            return int(answer.get("status", 400)), "a record is not to my liking"
        return None

    def _save(self, signal: str, path: str, kind: str, headers: dict[str, str], body: bytes) -> None:
        if not self._keep:
            return
        self._kept += 1
        stem = self._directory / f"{signal}-{self._kept:06}"
        stem.with_suffix(".body").write_bytes(body)
        stem.with_suffix(".new").write_bytes(orjson.dumps({"path": path, "kind": kind, "headers": headers}))
        stem.with_suffix(".new").rename(stem.with_suffix(".json"))


def _partial_json(signal: str, partial: dict[str, Any] | None) -> bytes:
    if not partial:
        return b"{}"
    name = {"traces": "rejectedSpans", "logs": "rejectedLogRecords", "metrics": "rejectedDataPoints"}[signal]
    return orjson.dumps(
        {"partialSuccess": {name: str(partial["rejected"]), "errorMessage": partial["message"]}}
    )


def _partial_protobuf(partial: dict[str, Any] | None) -> bytes:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    response = ExportTraceServiceResponse()  # the three signals' have the same wire format
    if partial:
        response.partial_success.rejected_spans = partial["rejected"]
        response.partial_success.error_message = partial["message"]
    return response.SerializeToString()


async def _request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[str, str, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
    }
    if headers.get("expect") == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return method, path, headers, await reader.readexactly(int(headers.get("content-length", 0)))
    chunks = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        chunks.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return method, path, headers, b"".join(chunks)


def _response(
    status: int, kind: str, body: bytes, extra: dict[str, str] | None = None, *, close: bool = False
) -> bytes:
    fields = {"Content-Type": kind, "Content-Length": str(len(body)), **(extra or {})}
    if close:
        fields["Connection"] = "close"
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    reason = http.client.responses.get(status, "Unknown")
    return f"HTTP/1.1 {status} {reason}\r\n{head}\r\n".encode() + body


class Request:
    """A request as it came, its body without gzip. `path` may hold a query."""

    def __init__(self, file: Path) -> None:
        head = orjson.loads(file.read_bytes())
        self.path, self.kind, self.headers = head["path"], head["kind"], head["headers"]
        self.body = file.with_suffix(".body").read_bytes()
        self._signal = file.name.partition("-")[0]

    def json(self) -> Any:
        """Return it as OTLP JSON has it, whichever its encoding."""
        return (
            orjson.loads(self.body)
            if self.kind == JSON
            else to_json(MESSAGES[self._signal].FromString(self.body))
        )


class OtlpServer:
    """An OTLP/HTTP server on loopback, which takes JSON, protobuf or `both`.

    With `keep` it keeps whole requests, in `directory`. `tls` is (certificate, key) or (certificate, key,
    authority of the clients' certificates), paths of PEM files.
    """

    def __init__(
        self, directory: Path, *, accept: str = "both", keep: bool = False, tls: tuple[Path, ...] = ()
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._tls = directory, tls
        self._words = [
            f"--accept={accept}",
            *(["--keep"] if keep else []),
            *[f"--tls={path}" for path in tls],
        ]

    def __enter__(self) -> Self:
        portfile = self._directory / "ports"
        portfile.unlink(missing_ok=True)
        argv = [
            sys.executable,
            "-m",
            "tests.relay.otlp_server",
            str(portfile),
            f"--directory={self._directory}",
        ]
        self._process = subprocess.Popen([*argv, *self._words], cwd=ROOT, env=clean_environ())
        wait_until(lambda: portfile.exists() or self._process.poll() is not None, "an OTLP server")
        self._port, self._control = (int(port) for port in portfile.read_text().split())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def url(self, signal: str) -> str:
        """Return where `traces`, `logs` or `metrics` are posted to."""
        scheme, host = ("https", "localhost") if self._tls else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self._port}{PATHS[signal]}"

    def answer(self, mode: str = "ok", signal: str = "", **how: object) -> None:
        """Behave so from now on (see MODES), for one signal or all of them.

        `status`, `retry_after` and `text` go with mode `status`; `times` is for how many requests it holds.
        With mode `ok`: `partial` ({rejected, message}), `require` (headers, else 401), `poison` (a text that
        makes a request that holds it a 400, or `status`), `unsupported` (instead of 415).
        """
        assert mode in MODES
        self._ask("/_answer", {"mode": mode, "signal": signal, **how})

    def spans(self) -> dict[str, list[str]]:
        """Return the hashes of each span's different contents, by span id."""
        return self._ask("/_spans")  # type: ignore[no-any-return]  # that is what it answers

    def logs(self) -> dict[str, list[str]]:
        """Return the hashes of each log record's different contents, by log.record.uid."""
        return self._ask("/_logs")  # type: ignore[no-any-return]  # that is what it answers

    def metrics(self) -> dict[str, Any]:
        """Return `series` and `violations`.

        Each series is {resource, scope, name, unit, kind, temporality, monotonic, attributes, point}: the
        last point as OTLP JSON has it, its numbers as numbers. A violation is a sentence: a cumulative point
        that went down, or whose time went back, while its start stayed.
        """
        return self._ask("/_metrics")  # type: ignore[no-any-return]  # that is what it answers

    def stats(self) -> Counter[str]:
        """Return counts: `connections`, and for each signal `traces.requests`, `.taken`, `.records`, …

        `.resent` are records that had come before, `.most_resent` those of one request, `.largest_batch` the
        records of one, `.resources` the resource elements, `.bytes` the bytes of bodies as sent,
        `.unreadable` the requests that made no sense, and `.MODE` those answered in that mode.
        """
        return Counter(self._ask("/_stats"))

    def requests(self, signal: str) -> list[Request]:
        """Return the requests that were taken, in order; needs `keep`."""
        return [Request(file) for file in sorted(self._directory.glob(f"{signal}-*.json"))]

    def wait_for(self, signal: str, count: int, deadline: float = 30.0) -> None:
        """Wait until `count` different records of a signal (traces or logs) have come."""

        def arrived() -> bool:
            stats = self.stats()
            return stats[f"{signal}.records"] - stats[f"{signal}.resent"] >= count

        wait_until(arrived, f"{count} records of {signal}", deadline)

    def _ask(self, path: str, asked: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._control, timeout=60)
        try:
            connection.request("POST", path, json.dumps(asked or {}))
            return orjson.loads(connection.getresponse().read())
        finally:
            connection.close()


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("portfile", type=Path)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--accept", choices=("both", "json", "protobuf"), default="both")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--tls", action="append", default=[])
    asked = parser.parse_args()
    context = None
    if asked.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*asked.tls[:2])
        if len(asked.tls) > 2:
            context.load_verify_locations(asked.tls[2])
            context.verify_mode = ssl.CERT_REQUIRED
    server = Server(asked.directory, asked.accept, context, keep=asked.keep)
    ports = f"{await server.listen()} {await server.control()}"
    new = asked.portfile.with_suffix(".new")
    new.write_text(ports)
    os.rename(new, asked.portfile)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
