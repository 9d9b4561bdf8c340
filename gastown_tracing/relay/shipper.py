"""The worker that ships a signal: whole lines of the journal in, OTLP/HTTP requests out, at least once each.

Take, send, took, save the checkpoint: in this order, before the next batch. So a relay that is killed sends
at most one batch again, with the same bytes a record. Where the checkpoint cannot be written (a full disk) it
goes on from what it remembers, and writes it as soon as there is room; killed before that, it sends again all
that it has sent since the last one that was written. Nothing is lost either way.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gastown_tracing.masking import without_credentials
from gastown_tracing.relay import checkpoint
from gastown_tracing.relay.addresses import shown
from gastown_tracing.relay.backoff import delay
from gastown_tracing.relay.deadletters import DeadLetters
from gastown_tracing.relay.encodings import Encodings
from gastown_tracing.relay.feed import Feed, Piece
from gastown_tracing.relay.http import JSON, PROTOBUF, Answer, Client, Kind
from gastown_tracing.relay.lines import Damage, beginning, last_line
from gastown_tracing.relay.logfile import iso
from gastown_tracing.relay.protobuf import Encoder
from gastown_tracing.relay.resending import remove_taken
from gastown_tracing.relay.sources import CLOSE, LOGS, RECEIVED, TRACES
from gastown_tracing.relay.splice import Splicer
from gastown_tracing.relay.tally import Tally, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.files import Files
    from gastown_tracing.relay.settings import Settings

#: Bytes and lines in a batch at most.
BATCH_BYTES, BATCH_LINES = 2 << 20, 4000
#: Bytes of a batch below which the next one waits until this many seconds have gone since it. One file's
#: share of a batch comes to more: a run that is busy alone does not wait.
_SMALL, _INTERVAL = 64 << 10, 0.25
#: Bytes that a batch is never cut below because an endpoint says it is too large.
_LEAST = 64 << 10
#: Seconds between two attempts to write a checkpoint that could not be written.
_AGAIN = 2.0
_TOO_LARGE = 413
#: Parts of a batch that are tried where everything was refused so far: enough to come down to its first
#: records one by one, and to find one that is taken if most are fine.
_PATIENCE = 24

#: What the files of dead letters that are sent again begin with.
_RESENT = "relay/resend/"

_FILES = {"traces": (TRACES, CLOSE), "logs": (LOGS,)}


@dataclass(frozen=True, slots=True)
class _Batch:
    """What became of a request with so many records."""

    answer: Answer
    records: int
    damage: list[Damage]


class Shipper:
    """Ships `traces` or `logs`. `log` takes a line of text. Its thread has the signal's name."""

    def __init__(
        self, signal: str, journal: Journal, files: Files, settings: Settings, log: Callable[[str], None]
    ) -> None:
        self._name = signal
        self._log: Callable[[str], None] = lambda text: log(f"{signal}: {text}")
        self._journal, self._files = journal, files
        self._path = files.checkpoint(signal)
        wanted = _FILES[signal]
        state, self._feed = self._restore(
            lambda offsets: Feed(journal, lambda kind, name: kind != RECEIVED and name in wanted, offsets)
        )
        self._encodings = Encodings(signal, state["endpoints"])
        self._tally = Tally(state["totals"], state["last_dead_letter"])
        self._letters = DeadLetters(files.dead_letters, signal)
        self._builders: dict[str, Splicer | Encoder] = {JSON: Splicer(signal), PROTOBUF: Encoder(signal)}
        self._endpoint = settings.endpoint(signal)
        self._client: Client | None = None
        self._limit = BATCH_BYTES
        self._failures = 0
        #: Since when it fails, or has had an endpoint that cannot be used; as ISO 8601 has it.
        self._failing_since = iso(time.time())
        self._retry_at = 0.0
        self._sent_at, self._sent_bytes = -_INTERVAL, 0
        self._owes = False
        self._trouble, self._partial, self._disk = (Trouble(self._log) for _ in range(3))
        self._stopping = False
        self._changed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=signal, daemon=True)

    @property
    def name(self) -> str:
        """Return `traces` or `logs`."""
        return self._name

    @property
    def feed(self) -> Feed:
        """Return what it reads of the journal."""
        return self._feed

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, deadline: float) -> None:
        """End within `deadline` seconds: at once, or when the request that is under way is answered."""
        self._stopping = True
        self._changed.set()
        self._feed.wake()
        end = time.monotonic() + deadline
        if self._thread.ident is None:
            return
        self._thread.join(deadline * 0.8)
        client = self._client
        if self._thread.is_alive() and client is not None:
            client.abort()
            self._thread.join(max(0.0, end - time.monotonic()))

    def reconfigure(self, settings: Settings) -> None:
        """Take these settings from now on: what waits to be tried again is tried now."""
        endpoint, client = settings.endpoint(self._name), self._client
        if endpoint != self._endpoint:
            self._failing_since = iso(time.time())
            self._endpoint = endpoint
            if client is not None and client.endpoint != endpoint:
                client.abort()
        self._changed.set()
        self._feed.wake()

    def status(self) -> dict[str, object]:
        """Return how it is, as JSON has it."""
        now, endpoint, pending = time.monotonic(), self._endpoint, self._feed.pending()
        client = self._client
        lag = (time.time_ns() - pending.oldest_ns) / 1e6 if pending.oldest_ns else 0.0
        wait = self._retry_at - now
        problem = endpoint.problem if endpoint else ""
        failing = endpoint is not None and bool(self._failures or problem)
        found: dict[str, object] = {
            "endpoint": shown(endpoint.url) if endpoint else "",
            "state": "off" if endpoint is None else "failing" if failing else "ok",
            "failing_since": self._failing_since if failing else None,
            "protocol": self._encodings.of(endpoint) if endpoint else "",
            "pending_bytes": pending.bytes,
            "lag_ms": round(max(0.0, lag), 1) if endpoint else None,
            "retry_in_s": round(wait, 1) if endpoint and self._failures and wait > 0 else None,
            "waiting_since": client.waiting_since if endpoint and client is not None else None,
            **self._tally.status(now),
        }
        found["skipped_lines"] = self._tally.totals().get("skipped_lines", 0) + self._feed.skipped
        if problem:
            found["last_error"] = {"time": self._failing_since, "message": problem}
        return found

    def _restore(self, make: Callable[[Any], Feed]) -> tuple[dict[str, Any], Feed]:
        """Return what the checkpoint says; one that cannot be understood is set aside. Raises OSError."""
        try:
            state = checkpoint.load(self._path)
            known = {url: dict(each) for url, each in state.get("endpoints", {}).items()}
            totals = {name: int(count) for name, count in state.get("totals", {}).items()}
            letter = state.get("last_dead_letter")
            said = {"endpoints": known, "totals": totals, "last_dead_letter": letter}
            return said, make(state.get("offsets"))
        except (checkpoint.Damaged, ValueError, TypeError, AttributeError) as error:
            aside = f"{self._path}.damaged"
            with contextlib.suppress(OSError):
                os.rename(self._path, aside)
            self._log(f"the checkpoint is damaged, is set aside as {aside}, and all is sent again: {error}")
            return {"endpoints": {}, "totals": {}, "last_dead_letter": None}, make(None)

    def _run(self) -> None:
        self._remove_resent()
        while not self._stopping:
            self._changed.clear()
            if not self._stopping:  # set before the event was
                self._turn()
        if self._owes:
            self._save()
        if self._client is not None:
            self._client.close()

    def _turn(self) -> None:
        """Send a batch, or wait for one."""
        if self._endpoint is None or self._endpoint.problem:
            if self._connected() is None:
                self._changed.wait()
            return
        pause = self._sent_at + _INTERVAL - time.monotonic()
        if self._sent_bytes < _SMALL and pause > 0 and self._changed.wait(pause):
            return
        pieces = self._take()
        if pieces:
            self._deliver(pieces)
            return
        if self._owes:
            self._save()
        if not self._changed.is_set():
            self._feed.wait(_AGAIN if self._owes else 60.0)

    def _take(self) -> list[Piece]:
        """Take a batch: no more lines than one may have."""
        left, pieces, spare = BATCH_LINES, [], []
        for piece in self._feed.take(self._limit):
            lines = piece.data.count(b"\n")
            if lines > left:
                spare.append(piece)
                piece = beginning(piece, left)  # noqa: PLW2901 - a part of the same
            if piece.data:
                pieces.append(piece)
            left -= min(lines, left)
        self._feed.give_back(spare)
        return pieces

    def _deliver(self, pieces: list[Piece]) -> None:
        """Send a batch, halving what is refused until a record stands alone, which is set aside.

        But where nothing was ever taken, this may be the wrong place, and what is refused is no record's
        fault: until one is taken, what came before it waits with it.
        """
        waiting: list[Sequence[Piece]] = [pieces]
        held: list[tuple[Sequence[Piece], _Batch]] = []
        refusals = 0
        while waiting:
            part = waiting.pop()
            batch = self._send(part)
            if batch is None:
                self._give_back([*(before for before, _ in held), part, *waiting])
                return
            proven = self._is_proven()
            if batch.answer.refused:
                self._shrink(part, batch.answer)
                halves = self._builders[JSON].lines.halves(part)
                refusals += not proven
                if halves is not None and refusals <= _PATIENCE:
                    waiting += reversed(halves)
                    continue
            held.append((part, batch))
            if proven:
                self._settle(held)
                held, refusals = [], 0
            elif refusals > _PATIENCE:
                break
        if any(batch.answer.refused for _, batch in held):
            self._doubt(held, waiting)
        else:
            self._settle(held)

    def _is_proven(self) -> bool:
        return self._endpoint is not None and self._encodings.proven(self._endpoint)

    def _shrink(self, part: Sequence[Piece], answer: Answer) -> None:
        """Make the next batches smaller where this one was too large."""
        if answer.status == _TOO_LARGE and len(part) + part[0].data.count(b"\n") > 2:
            self._limit = max(_LEAST, sum(len(piece.data) for piece in part) // 2)

    def _settle(self, held: Sequence[tuple[Sequence[Piece], _Batch]]) -> None:
        """Be done with what was taken, and with each single record that was refused."""
        for part, batch in held:
            if batch.answer.refused:
                self._set_aside(part[0], batch.answer)
            self._done(part, batch)

    def _doubt(
        self, held: Sequence[tuple[Sequence[Piece], _Batch]], waiting: Sequence[Sequence[Piece]]
    ) -> None:
        """Keep all that was refused where nothing was ever taken, and try it later with what is newer then.

        What waits was not tried record by record. If its newest is taken, this is the right place: then all
        comes again at once.
        """
        self._give_back([*(part for part, _ in held), *waiting])
        if waiting:
            self._send([last_line(waiting[0][-1])])
        client = self._client
        if client is None or client.aborted or self._is_proven():
            return
        self._limit = BATCH_BYTES  # what is too large for it is not known, either
        answer = next(batch.answer for _, batch in reversed(held) if batch.answer.refused)
        never = f"it has never taken anything, so all is kept: is it for {self._name}?"
        self._back_off(client, replace(answer, message=f"{answer.message}; {never}"))

    def _give_back(self, parts: Sequence[Sequence[Piece]]) -> None:
        self._feed.give_back([piece for part in parts for piece in part])

    def _send(self, pieces: Sequence[Piece]) -> _Batch | None:
        """Send these until they are taken or refused; None where there is nowhere to send them any more."""
        built: dict[str, tuple[bytes, int, list[Damage]]] = {}
        while (client := self._connected()) is not None:
            encoding, answer = self._encodings.find(client)
            if answer is None:
                if encoding not in built:
                    built = {encoding: self._builders[encoding].build(pieces)}
                body, records, damage = built[encoding]
                if not records:
                    return _Batch(Answer(Kind.TAKEN), 0, damage)
                answer = self._post(client, body, encoding)
                if answer.kind is not Kind.RETRY:
                    return _Batch(answer, records, damage)
            if not client.aborted:
                self._back_off(client, answer)
        return None

    def _connected(self) -> Client | None:
        """Return the client of the endpoint as it is set now.

        None where there is none or it cannot be used, and at the end.
        """
        self._changed.clear()
        endpoint, client = self._endpoint, self._client
        if client is not None and (client.aborted or client.endpoint != endpoint or self._stopping):
            client.close()
            client = None
        if client is None and endpoint is not None and not endpoint.problem and not self._stopping:
            client = Client(endpoint)
            self._failures, self._limit = 0, BATCH_BYTES
        self._client = client
        return client

    def _post(self, client: Client, body: bytes, encoding: str) -> Answer:
        self._sent_at, self._sent_bytes = time.monotonic(), len(body)
        answer = client.post(body, encoding)
        if answer.taken:
            self._encodings.taken(client.endpoint, encoding)
        elif answer.refused:
            answer = self._encodings.refused(client, encoding, answer)
        if answer.taken or (answer.refused and self._encodings.proven(client.endpoint)):
            self._failures = 0
            self._trouble.over("goes on")
        return answer

    def _back_off(self, client: Client, answer: Answer) -> None:
        """Wait before the next attempt, or until the settings change."""
        if not self._failures:
            self._failing_since = iso(time.time())
        self._failures += 1
        message = f"{without_credentials(client.endpoint.url)}: {answer.message}"
        self._trouble.again(message)
        self._tally.failed(message)
        self._tally.count("retries")
        pause = delay(self._failures, random.random(), answer.retry_after)  # noqa: S311 # jitter is no secret
        self._retry_at = time.monotonic() + pause
        self._changed.wait(pause)

    def _done(self, pieces: Sequence[Piece], batch: _Batch) -> None:
        """Take note of what was taken or set aside, for good."""
        answer = batch.answer
        self._feed.took(pieces)
        if answer.taken and batch.records:
            self._tally.sent(batch.records - min(answer.rejected, batch.records), time.monotonic())
        if answer.rejected or (answer.taken and answer.message):
            self._rejected(pieces[0], answer)
        if batch.damage:
            first = batch.damage[0]
            self._tally.count("skipped_lines", len(batch.damage))
            self._log(
                f"{len(batch.damage)} damaged parts of lines are left out, the first in {first.file} "
                f"at byte {first.offset}: {first.reason}"
            )
        self._save()
        if any(piece.file.startswith(_RESENT) for piece in pieces):
            self._remove_resent()

    def _remove_resent(self) -> None:
        remove_taken(self._journal, self._files, self._name, self._feed)

    def _rejected(self, piece: Piece, answer: Answer) -> None:
        """Take note of records that an endpoint did not take of a request that it did (Partial Success)."""
        message = f"{answer.rejected} records of a request were rejected: {answer.message}"
        self._partial.again(message)
        if answer.rejected:
            self._tally.count("rejected", answer.rejected)
            self._tally.failed(message)
            self._write_letter(
                lambda: self._letters.note(self._url(), answer.status, message, piece, answer.rejected)
            )

    def _set_aside(self, piece: Piece, answer: Answer) -> None:
        """Make a dead letter of a record that is refused by itself."""
        message = f"refused and set aside: a record of {piece.file}, byte {piece.start}: {answer.message}"
        self._tally.dead_letter(message)
        self._log(message)
        self._write_letter(lambda: self._letters.add(piece, self._url(), answer.status, answer.message))

    def _write_letter(self, write: Callable[[], None]) -> None:
        """Write a dead letter; where there is no room for it, log and journal have to do."""
        try:
            write()
        except OSError as error:
            self._disk.again(f"a dead letter cannot be written: {error.strerror or error}")

    def _url(self) -> str:
        return without_credentials(self._endpoint.url) if self._endpoint else ""

    def _save(self) -> None:
        """Write the checkpoint; where that fails it is owed."""
        state = {
            "offsets": self._feed.offsets(),
            "endpoints": self._encodings.known,
            "totals": self._tally.totals(),
            "last_dead_letter": self._tally.last_dead_letter,
        }
        try:
            checkpoint.save(self._path, state)
        except OSError as error:
            self._owes = True
            self._disk.again(f"the checkpoint cannot be written: {error.strerror or error}")
        else:
            self._owes = False
            self._disk.over("the checkpoint can be written again")
