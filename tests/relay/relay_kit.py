"""Journals full of lines as the shims write them, made fast, and a shipper that reads them."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from gastown_tracing.journal.layout import Journal, create
from gastown_tracing.journal.otlp import CLIENT, Log, Span, encode_resource, logs_line, spans_line
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.settings import Settings
from gastown_tracing.relay.shipper import Shipper
from gastown_tracing.relay.sources import Sources
from tests.relay.otlp_server import OtlpServer

VARIABLES = {"traces": "GT_OTEL_TRACES_URL", "logs": "GT_OTEL_LOGS_URL"}
FILES = {"traces": "traces.jsonl", "logs": "logs.jsonl"}


def resource(run: str, number: int = 0) -> str:
    """Return the resource of a short process in a session, as JSON; `number` makes it one of its own."""
    return encode_resource(
        {
            "service.name": "gastown",
            "service.version": "0.1.0",
            "host.name": "vm",
            "host.arch": "amd64",
            "os.type": "linux",
            "os.version": "6.18.44",
            "os.description": "Linux 6.18.44 #1 SMP PREEMPT_DYNAMIC",
            "host.id": "3d1219c7c4c5404aaa1f6d2a48adfda4",
            "gt.session": "gt-demo-rust",
            "gt.role": "demo/polecats/rust",
            "gt.rig": "demo",
            "gt.actor": "demo/polecats/rust",
            "gt.agent": "rust",
            "gt.run_id": run,
            "process.pid": 10_000 + number,
            "service.instance.id": f"3bcbd4db-a1c8-4047-9c69-{number:012x}",
        }
    )


def attributes(run: str, number: int = 0) -> dict[str, object]:
    """Return the attributes of a bd.call."""
    return {
        "run.id": run,
        "instance": "vm:town",
        "town_root": "/home/gas/town",
        "role": "polecat",
        "agent_name": "rust",
        "session_id": "gt-demo-rust",
        "rig": "demo",
        "work_rig": "demo",
        "work_bead": "de-abc",
        "subcommand": "update",
        "args": "update de-abc --status=hooked",
        "process.executable.name": "bd",
        "process.pid": 10_000 + number,
        "exit_code": 0,
        "duration_ms": 4.614178 + number,
        "status": "ok",
        "error": "",
        "process.exit.code": 0,
    }


def run_id(number: int) -> str:
    """Return the id of a run."""
    return f"{number + 1:08x}16cd43dd8448eb211c80319c"


def span_id(number: int) -> str:
    """Return a span's id."""
    return f"{number + 0x1000_0000_0000_0000:016x}"


def span_line(run: str, number: int, *, process: int | None = None, name: str = "bd.call") -> bytes:
    """Return the line of one span, of a process of its own unless said otherwise."""
    start = 1_795_242_725_091_318_441 + number * 1_000_000
    span = Span(
        run,
        span_id(number),
        run[16:],
        name,
        kind=CLIENT,
        start_ns=start,
        end_ns=start + 4_614_178,
        attributes=attributes(run, number),
        flags=3,
    )
    return spans_line(resource(run, number if process is None else process), [span])


def log_line(run: str, number: int) -> bytes:
    """Return the line of one log record, whose log.record.uid is its number."""
    log = Log(
        1_795_242_725_091_318_441 + number,
        event_name="bd.call",
        body="bd.call",
        attributes={**attributes(run, number), "log.record.uid": str(number)},
        trace_id=run,
        span_id=span_id(number),
    )
    return logs_line(resource(run, number), [log])


def append(journal: Journal, place: str, data: bytes, name: str = "traces.jsonl") -> None:
    """Append lines to a file of a place, such as runs/TRACE_ID."""
    directory = Path(journal.root, place)
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / name, "ab") as file:
        file.write(data)


def fill(journal: Journal, count: int, *, runs: int = 1, first: int = 0, signal: str = "traces") -> None:
    """Write so many spans or log records, one a line, over so many runs."""
    make = span_line if signal == "traces" else log_line
    for number in range(runs):
        run = run_id(number)
        lines = b"".join(make(run, each) for each in range(first + number, first + count, runs))
        append(journal, f"runs/{run}", lines, FILES[signal])


class Ship:
    """A shipper at work in this process, with somebody who looks at the journal. `log` is what it said."""

    def __init__(self, journal: Journal, settings: Mapping[str, str], signal: str = "traces") -> None:
        self.log: list[str] = []
        self.journal, self.files = journal, Files(journal)
        self._sources = Sources(journal)
        self.configure(settings, None)
        self.shipper = Shipper(signal, journal, self.files, Settings.read(journal), self.log.append)
        self._sources.add(self.shipper.feed)
        self._ended = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)

    def configure(self, settings: Mapping[str, str], shipper: Shipper | None) -> None:
        """Write config.json and let the shipper have it."""
        self.journal.write_config(settings)
        if shipper is not None:
            shipper.reconfigure(Settings.read(self.journal))

    def reconfigure(self, settings: Mapping[str, str]) -> None:
        """Change config.json under it."""
        self.configure(settings, self.shipper)

    def start(self) -> None:
        """Begin."""
        self.shipper.start()
        self._looking.start()

    def stop(self, deadline: float = 5.0) -> None:
        """End."""
        self.shipper.stop(deadline)
        self._ended.set()
        self._looking.join()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            self._sources.scan(time.monotonic())


@contextlib.contextmanager
def shipping(journal: Journal, settings: Mapping[str, str], signal: str = "traces") -> Iterator[Ship]:
    """Ship a journal as long as this lasts."""
    ship = Ship(journal, settings, signal)
    ship.start()
    try:
        yield ship
    finally:
        ship.stop()


def towards(server: OtlpServer, signal: str = "traces", **more: str) -> dict[str, str]:
    """Return the settings that send a signal to a server, and nothing elsewhere."""
    urls = {"GT_OTEL_TRACES_URL": "none", "GT_OTEL_LOGS_URL": "none", "GT_OTEL_METRICS_URL": "none"}
    return {**urls, VARIABLES[signal]: server.url(signal), **more}


def new_journal(directory: Path) -> Journal:
    """Make a journal."""
    return create(os.fspath(directory / "journal"))
