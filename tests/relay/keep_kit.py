"""What tests of keeping have in common: runs of a journal, and a small relay whose clock the test moves."""

from __future__ import annotations

import os
from pathlib import Path

from gastown_tracing.journal import closed, otlp, writer
from gastown_tracing.journal.layout import Journal, mkdirs, write_atomic
from gastown_tracing.relay import checkpoint
from gastown_tracing.relay.feed import Feed
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.keeping import Keeper
from gastown_tracing.relay.moving import Mover
from gastown_tracing.relay.retention import Retention
from gastown_tracing.relay.settings import Settings
from gastown_tracing.relay.sources import Sources
from propagation.run import root_span_id

RESOURCE = otlp.encode_resource({"service.name": "gastown"})
SECOND = 10**9
DAY = 86_400 * SECOND
#: 2026-11-20, 12:00 UTC.
NOON = 1_795_176_000 * SECOND


def trace_id(number: int) -> str:
    """Return the trace id of a test's run."""
    return f"4bf92f3577b34da6a3ce929d{number:08x}"


def span_line(run: str, number: int, name: str = "work", at: int = NOON, *, failed: bool = False) -> bytes:
    """Return the line of a span, numbered from 1."""
    code = otlp.ERROR if failed else otlp.UNSET
    span = otlp.Span(
        run,
        f"{number + (1 << 60):016x}",
        root_span_id(run),
        name,
        start_ns=at,
        end_ns=at + SECOND,
        status_code=code,
    )
    return otlp.spans_line(RESOURCE, [span])


def log_line(run: str, uid: str, at: int = NOON) -> bytes:
    """Return the line of a log record."""
    log = otlp.Log(at, attributes={"log.record.uid": uid}, trace_id=run)
    return otlp.logs_line(RESOURCE, [log])


def begin_run(journal: Journal, run: str, start: int = NOON - SECOND, **info: str) -> str:
    """Make a run's directory with its run.json; return it."""
    directory = journal.run_dir(run)
    mkdirs(directory)
    facts = {"trace_id": run, "start_time_unix_nano": str(start), "root_span_id": root_span_id(run), **info}
    text = ",".join(f'"{name}":"{value}"' for name, value in facts.items())
    write_atomic(f"{directory}/run.json", f"{{{text}}}\n")
    return directory


def close_run(
    journal: Journal, run: str, start: int = NOON - SECOND, end: int = NOON, **facts: object
) -> None:
    """Give a run its root span."""
    attributes = {"reason": "done", **facts}
    root = otlp.Span(
        run, root_span_id(run), name="gt.session", start_ns=start, end_ns=end, attributes=attributes
    )
    assert writer.link_close(journal.run_dir(run), otlp.spans_line(RESOURCE, [root]))


def closed_run(journal: Journal, number: int, end: int = NOON, spans: int = 2, **info: str) -> str:
    """Make a run that has ended, with some spans and a log record; return its trace id."""
    run = trace_id(number)
    directory = begin_run(journal, run, end - 60 * SECOND, **info)
    for span in range(1, spans + 1):
        writer.append(directory, "traces", span_line(run, span, at=end - 30 * SECOND))
    writer.append(directory, "logs", log_line(run, f"{number}-a", end - 30 * SECOND))
    close_run(journal, run, end - 60 * SECOND, end)
    return run


def shelved(journal: Journal, number: int, end: int = NOON, spans: int = 2, **info: str) -> str:
    """Make a run that was moved to closed/ already, with its line in the index; return its trace id."""
    run = closed_run(journal, number, end, spans, **info)
    date = closed.date_of(end)
    directory = f"{journal.root}/closed/{date}/{run}"
    mkdirs(f"{journal.root}/closed/{date}")
    os.rename(journal.run_dir(run), directory)
    closed.append(journal, date, closed.describe(journal, closed.whole(journal, run, directory), run))
    return run


class House:
    """A relay's sources, feeds and keeper, whose seconds the test counts.

    What is shipped goes to the file `shipped` beside the journal, a line each. `ships` says whether there is
    an endpoint, `backend` whether it answers.
    """

    def __init__(self, journal: Journal, *, ships: bool = True, **settings: str) -> None:
        self.journal = journal
        self.files = Files(journal)
        self.sources = Sources(journal)
        self.now = 1_000.0
        self.backend = True
        self.log: list[str] = []
        self.shipped_file = Path(f"{journal.root}.shipped")
        saved = {name: checkpoint.load(self.files.checkpoint(name)) for name in ("traces", "logs")}
        self.feeds = {
            "traces": Feed(journal, lambda _, name: name in ("traces.jsonl", "close.json"), saved["traces"]),
            "logs": Feed(journal, lambda _, name: name == "logs.jsonl", saved["logs"]),
        }
        self.used = list(self.feeds.values()) if ships else []
        for feed in self.used:
            self.sources.add(feed)
        journal.write_config(settings)
        self.settings = Settings.read(journal)
        self.keeper = Keeper(
            journal,
            self.files,
            self.sources,
            settings=self.settings,
            feeds=lambda: self.used,
            env={"PATH": os.environ["PATH"]},
            log=self.log.append,
        )
        self.mover: Mover = self.keeper._mover
        self.retention: Retention = self.keeper._retention
        self.mover.restore(self.now)

    def ship(self) -> None:
        """Send all that is there, as a worker does: take, send, took, checkpoint."""
        for name, feed in self.feeds.items() if self.used and self.backend else ():
            while pieces := feed.take(1 << 20):
                descriptor = os.open(self.shipped_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                os.write(descriptor, b"".join(piece.data for piece in pieces))
                os.close(descriptor)
                feed.took(pieces)
                checkpoint.save(self.files.checkpoint(name), dict(feed.offsets()))

    def spend(self, seconds: float) -> None:
        """Let time pass, in which the journal is looked at, shipped, and runs are moved."""
        self.now += seconds
        self.sources.scan(self.now)
        self.ship()
        while self.mover.tick(self.now):
            pass

    def retain(self) -> None:
        """Do what retention does once a minute."""
        while self.retention.tick(self.now, self.settings):
            pass

    def shipped(self) -> list[bytes]:
        """Return the lines that were shipped."""
        try:
            return self.shipped_file.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []

    def moves(self) -> dict[str, object]:
        """Return moves.json."""
        return checkpoint.load(self.files.moves)


def tree(journal: Journal, under: str = "") -> set[str]:
    """Return the directories of runs and hours, relative to the journal."""
    found = set()
    for parent in ("runs", "loose", *(f"closed/{date}" for date in os.listdir(f"{journal.root}/closed"))):
        for name in os.listdir(f"{journal.root}/{parent}"):
            if name != closed.INDEX:
                found.add(f"{parent}/{name}")
    return {path for path in found if path.startswith(under)}
