"""The worker that keeps a journal's metrics: what log records count, what others exported, how the relay is.

All of it is cumulative, so nothing is queued while an endpoint is away. What is exported has been saved
before, together with how far the files have been read: however the relay ends, the next one goes on there.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gastown_tracing.events.metrics import METRICS
from gastown_tracing.relay import checkpoint
from gastown_tracing.relay.derive import Deriver, Remembered, measure, total
from gastown_tracing.relay.encode_metrics import encode
from gastown_tracing.relay.feed import Feed
from gastown_tracing.relay.outbox import Delivery, Outbox
from gastown_tracing.relay.series import STEP_NS, Book, Gauge
from gastown_tracing.relay.sources import LOGS, RECEIVED, RESEND
from gastown_tracing.relay.sums import FORGOTTEN_NS, Sums

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.feed import Offsets
    from gastown_tracing.relay.files import Files
    from gastown_tracing.relay.outbox import Client
    from gastown_tracing.relay.series import Entry, Exemplar, Histogram, Items, Series, Sum
    from gastown_tracing.relay.settings import Endpoint, Settings

NAME = "metrics"
#: Milliseconds between two exports, and where that is set.
INTERVAL, INTERVAL_SETTING = 10_000, "OTEL_METRIC_EXPORT_INTERVAL"
#: Seconds between two looks at what is old, and after which a checkpoint is written though nothing is new.
TIDIED = SAVED = 60.0
#: Bytes of the journal that are taken in one go.
BATCH = 2 << 20

#: How old the point may be, in ns, at which a series began: Prometheus takes none older than an hour by
#: itself, and refuses the request.
_YOUNG_NS = 1800 * 1_000_000_000
#: How far ahead a clock is wrong, in ns: VictoriaMetrics takes two days, others less.
_AHEAD_NS = 2 * 24 * 3600 * 1_000_000_000
#: Seconds between two looks at the clock.
_SOON = 1.0
_BROKEN = (LookupError, TypeError, ValueError, AttributeError)

Note = Callable[[str], None]


class Clock:
    """The wall clock, but for its steps back: what it has said it does not take back.

    Unless it was so far ahead that no backend takes points of that time: then it was wrong.
    """

    def __init__(self, now: Callable[[], int], last_ns: int) -> None:
        self._now = now
        self.last_ns = last_ns
        #: Whether it has gone back, for who has to know.
        self.went_back = False

    def __call__(self) -> int:
        """Return the time in ns of the Unix epoch."""
        now = self._now()
        if self.last_ns - now > _AHEAD_NS:
            self.went_back = True
            self.last_ns = now
        self.last_ns = max(self.last_ns, now)
        return self.last_ns


def wanted(kind: str, name: str) -> bool:
    """Say whether a file of this name, in this kind of place, is one that metrics are made of.

    What is sent again has been counted.
    """
    return kind == RECEIVED or (name == LOGS and kind != RESEND)


class MetricsWorker:
    """Takes what is new in the journal within a second, and exports what it adds up to.

    `connect` makes the client of an endpoint. `log` takes a line for the relay's log. `now` is the wall clock
    in ns, for tests. The feed starts where the checkpoint says. Raises OSError where that cannot be read.
    """

    name = NAME

    def __init__(
        self,
        journal: Journal,
        files: Files,
        settings: Settings,
        log: Note,
        *,
        connect: Callable[[Endpoint], Client],
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._root = journal.root
        self._files = files
        self._path = files.checkpoint(NAME)
        self._log = log
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._gauges: dict[tuple[str, Items], float] = {}
        self._counts: dict[tuple[str, Items], float] = {}
        #: Called before each export, by the worker's thread: who has gauges sets them then.
        self.before_export: list[Callable[[], None]] = []
        self._now = now
        try:
            self._restore(journal, self._load())
        except _BROKEN as error:
            self._set_aside(f"{self._path}: not a checkpoint of metrics: {error!r}")
            self._restore(journal, {})
        self._saved: Offsets = {}
        self._exported = 0
        self._end = 0.0
        self._missing: set[str] = set()
        self._tidy_due = self._save_due = 0.0
        #: Whether there is something to save that no file of the journal has.
        self._unsaved = False
        self._outbox = Outbox(connect, log)
        self._endpoint: Endpoint | None = None
        self._interval = INTERVAL / 1000
        self.reconfigure(settings)

    def _restore(self, journal: Journal, state: Mapping[str, Any]) -> None:
        self._clock = Clock(self._now, int(state.get("clock_ns", 0)))
        self._instance = str(state.get("instance") or uuid.uuid4())
        self.base: Items = (
            ("host.name", os.uname().nodename),
            ("service.instance.id", self._instance),
            ("service.name", "gastown"),
        )
        self._book = Book.restored(state.get("book", {}))
        self._book.exported_ns = int(state.get("exported_ns", 0))
        remembered = Remembered(state.get("remembered", ()))
        self._deriver = Deriver(self._book, self.base, remembered, self._clock)
        since_ns = int(state.get("streams_since_ns", 0))
        self._sums = Sums(self._book, self.base, self._clock, state.get("streams"), since_ns)
        self.feed = Feed(journal, wanted, state.get("offsets"))
        self.feed.kept(self.feed.offsets())

    def _load(self) -> dict[str, Any]:
        try:
            return checkpoint.load(self._path)
        except checkpoint.Damaged as error:
            self._set_aside(str(error))
            return {}

    def _set_aside(self, why: str) -> None:
        aside = f"{self._path}.damaged"
        os.rename(self._path, aside)
        self._log(f"metrics begin anew from the oldest records: {why}; it is kept as {aside}")

    # What others do with it

    def start(self) -> None:
        """Begin."""
        self._outbox.start()
        self._thread.start()

    def stop(self, deadline: float) -> None:
        """Take and export a last time, within `deadline` seconds."""
        self._end = time.monotonic() + deadline
        self._stopping.set()
        self.feed.wake()
        self._thread.join(max(0.0, self._end - time.monotonic()))
        self._outbox.stop(max(0.0, self._end - time.monotonic()))

    def reconfigure(self, settings: Settings) -> None:
        """Take these settings from now on."""
        text = settings.get(INTERVAL_SETTING).strip()
        if text and not (text.isascii() and text.isdigit() and int(text) > 0):
            self._log(f"{INTERVAL_SETTING} is no number of milliseconds: {text!r}")
            text = ""
        self._interval = int(text or INTERVAL) / 1000
        self._endpoint = settings.endpoint(NAME)
        self._outbox.reconfigure(self._endpoint)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge of `events.metrics.METRICS`; one that is not set again is exported once."""
        with self._lock:
            self._gauges[METRICS[name].name, _items(labels)] = value

    def count(self, name: str, n: float = 1, **labels: str) -> None:
        """Add to a counter of `events.metrics.METRICS`."""
        with self._lock:
            key = METRICS[name].name, _items(labels)
            self._counts[key] = self._counts.get(key, 0) + n

    def counted(self, name: str, **labels: str) -> float:
        """Return what a counter of ours is, 0 where nothing was counted; for callbacks of `before_export`."""
        return total(self._book, METRICS[name], self.base, _items(labels))

    def status(self) -> dict[str, object]:
        """Return how it is, as JSON has it."""
        pending = self.feed.pending()
        lag = None if pending.oldest_ns is None else max(0.0, (self._now() - pending.oldest_ns) / 1e6)
        return {
            **self._outbox.status(),
            "pending_bytes": pending.bytes,
            "lag_ms": lag,
            "series": self._book.size(),
            "repeated": self._deriver.repeated + self._sums.repeated,
            "dropped": dict(self._sums.dropped),
            "skipped_lines": self._deriver.skipped + self._sums.skipped + self.feed.skipped,
        }

    # Its thread

    def _run(self) -> None:
        # A bug ends the thread: what is half done is forgotten, the next worker begins at the checkpoint.
        self._take_all()  # everything that was there before counts before the first export
        due = 0.0
        while not self._stopping.is_set():
            now = time.monotonic()
            begun = self._acknowledge()  # what has begun is worth something now, and that was not said yet
            if now >= due or begun:
                self._export(now)
                due = now + self._interval
            self.feed.wait(min(max(0.0, due - now), _SOON))
            self._take()
        self._take_all()
        self._outbox.wait_idle(self._end - time.monotonic())
        self._export(time.monotonic(), last=True)
        self._outbox.wait_idle(self._end - time.monotonic())
        if self._acknowledge():
            self._export(time.monotonic(), last=True)

    def _take_all(self) -> None:
        while self._take():
            pass

    def _take(self) -> bool:
        """Measure what is next in the files; say whether there was anything."""
        pieces = self.feed.take(BATCH)
        for piece in pieces:
            received = piece.file.startswith("relay/")
            (self._sums if received else self._deriver).take(piece.file, piece.data)
        self.feed.took(pieces)
        return bool(pieces)

    def _export(self, now: float, *, last: bool = False) -> None:
        """Save what there is and hand it to whoever sends it; what cannot be saved is not sent."""
        self._acknowledge()
        self._ask()
        if now >= self._tidy_due:
            self._tidy_due = now + TIDIED
            self._tidy()
        if not self._outbox.ready(now, last=last):
            self._save(now, force=last)
            return
        self._book.exported_ns = max(self._clock(), self._book.exported_ns + STEP_NS)
        self._unsaved = self._book.let_begin(self._book.exported_ns - _YOUNG_NS) or self._unsaved
        turn, entries = self._book.snapshot(self._exported)
        if not self._save(now, force=last):
            return
        if entries:
            requests = list(encode(entries, self._book.exported_ns, self.base))
            self._outbox.hand(Delivery(turn, requests, *_said(entries)))

    def _acknowledge(self) -> bool:
        """Take note of what the endpoint has: exemplars are sent once. Say whether a series has begun."""
        begun = False
        for delivery in self._outbox.delivered():
            self._exported = max(self._exported, delivery.turn)
            for series in delivery.begun:
                series.begun = begun = self._unsaved = True
            for told, exemplars in delivery.exemplars:
                for bucket, found in exemplars.items():
                    if told.exemplars.get(bucket) is found:
                        del told.exemplars[bucket]
        return begun

    def _ask(self) -> None:
        """Take what the other parts of the relay say of themselves."""
        for callback in self.before_export:
            callback()
        with self._lock:
            gauges, self._gauges = self._gauges, {}
            counts, self._counts = self._counts, {}
        now = self._clock()
        if self._clock.went_back:
            self._clock.went_back = False
            self._book.begin_by(now)
        for found in (gauges, counts):
            for (name, labels), value in found.items():
                measure(self._book, METRICS[name], self.base, labels, value, start_ns=now)
        self._unsaved = self._unsaved or bool(counts)

    def _save(self, now: float, *, force: bool) -> bool:
        """Save everything in one file; say whether what is exported now is safe.

        Where nothing is new but the time, that is done once a minute, or by `force`.
        """
        offsets = self.feed.offsets()
        if not (force or self._unsaved or now >= self._save_due or offsets != self._saved):
            return True
        state = {
            "instance": self._instance,
            "clock_ns": self._clock.last_ns,
            "exported_ns": self._book.exported_ns,
            "offsets": offsets,
            "remembered": self._deriver.remembered.state(),
            "streams": self._sums.state(),
            "streams_since_ns": self._sums.since_ns,
            "book": self._book.state(),
        }
        try:
            checkpoint.save(self._path, state)
        except OSError as error:
            self._log(f"metrics wait, because they cannot be saved: {self._path}: {error.strerror or error}")
            return False
        self._saved, self._unsaved, self._save_due = offsets, False, now + SAVED
        self.feed.kept(offsets)
        return True

    def _tidy(self) -> None:
        """Let go of what is old."""
        self._sums.forget()
        self._book.drop_gauges(self._clock() - FORGOTTEN_NS)
        self._remove_received()
        directories = {file.rpartition("/")[0] for file in self.feed.offsets()}
        missing = {path for path in directories if not os.path.isdir(f"{self._root}/{path}")}
        for path in missing & self._missing:  # one that has just been moved is told of in a moment
            self.feed.gone(path)
        self._missing = missing

    def _remove_received(self) -> None:
        """Remove the receiver's files that have been added up, as the checkpoint says, and are a day old."""
        before = (self._clock() - FORGOTTEN_NS) / 1e9
        taken = self._saved
        for path in _listed(self._files.received):
            file = path[len(self._root) + 1 :]
            with contextlib.suppress(OSError):
                status = os.stat(path)
                if status.st_mtime < before and taken.get(file) == [status.st_ino, status.st_size]:
                    os.unlink(path)
                    self.feed.forget(file)


def _said(entries: Iterable[Entry]) -> tuple[list[Sum | Histogram], list[tuple[Series, dict[int, Exemplar]]]]:
    """Return the series that a delivery begins, and the exemplars that it has."""
    begun: list[Sum | Histogram] = []
    exemplars = []
    for _, _, _, series in entries:
        if not isinstance(series, Gauge) and not series.begun:
            begun.append(series)
        elif series.exemplars:
            exemplars.append((series, dict(series.exemplars)))
    return begun, exemplars


def _listed(directory: str) -> Iterable[str]:
    try:
        return [f"{directory}/{name}" for name in os.listdir(directory)]
    except OSError:
        return []


def _items(labels: Mapping[str, str]) -> Items:
    return tuple(sorted((name, value) for name, value in labels.items() if value != ""))
