"""The receiver as a part of the relay: its thread, its address, its state."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gastown_tracing.config import RECEIVER, Config
from gastown_tracing.relay.receiver import address
from gastown_tracing.relay.receiver.address import Address
from gastown_tracing.relay.receiver.answers import Answer, refused, taken
from gastown_tracing.relay.receiver.bodies import JSON, Refused, unpacked
from gastown_tracing.relay.receiver.content import Gates
from gastown_tracing.relay.receiver.counts import Counts
from gastown_tracing.relay.receiver.intake import Intake
from gastown_tracing.relay.receiver.limits import Limits
from gastown_tracing.relay.receiver.requests import SIGNALS, BadBody, from_body
from gastown_tracing.relay.receiver.server import Received, Server

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.feed import Feed
    from gastown_tracing.relay.settings import Settings

#: Seconds after which a port that somebody else has is tried again, doubled up to the second number.
_RETRY, _LONGEST = 0.5, 10.0
#: Seconds after which a client is to try again while the journal cannot be written.
_FULL = 5.0
LISTENING, WAITING, OFF = "listening", "waiting", "off"


class Receiver:
    """Takes what other programs export by OTLP/HTTP and writes it into the journal.

    Its address is that of GT_OTEL_RECEIVER in config.json. Where none is there one is drawn, and kept there
    for the journal's life. While somebody else has the port it is tried again and again: sessions know no
    other.
    """

    name = "receiver"
    feed: Feed | None = None

    def __init__(self, journal: Journal, settings: Settings, limits: Limits | None = None) -> None:
        self._journal = journal
        self._limits = limits or Limits()
        self._counts = Counts()
        self._intake: Intake | None = None
        self._config = Config(settings.file)
        self._wanted = settings.file.get(RECEIVER, "")
        self._state, self._error, self._url = OFF, "", ""
        self._last: dict[str, str] | None = None
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed: asyncio.Event | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._taking = ThreadPoolExecutor(1, "receiver-intake")

    def start(self) -> None:
        """Begin to listen, as soon as the address is free."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self, deadline: float) -> None:
        """Close the connections; a request that is being written is written first."""
        end = time.monotonic() + deadline
        self._stopping.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(max(0.0, end - time.monotonic()))
        self._taking.shutdown(wait=False, cancel_futures=True)

    def reconfigure(self, settings: Settings) -> None:
        """Take the gates of these settings, and their address where the operator has set another one.

        Where the address is missing, because a config.json was written that had been read before it was
        there, it is put back.
        """
        self._config = Config(settings.file)
        self._wanted = settings.file.get(RECEIVER, "")
        self._wake()

    def status(self) -> dict[str, object]:
        """Return how it is. The secret path is not shown."""
        server = self._server
        return {
            "state": self._state,
            "endpoint": self._url.rpartition("/")[0],
            "connections": server.open if server else 0,
            "last_error": self._last,
            **self._counts.as_json(),
        }

    def _wake(self) -> None:
        loop, changed = self._loop, self._changed
        if loop is not None and changed is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(changed.set)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._listen())

    async def _listen(self) -> None:
        """Listen at the address that is wanted, until stopped; at another one when that changes."""
        self._loop, self._changed = asyncio.get_running_loop(), asyncio.Event()
        pause = _RETRY
        while not self._stopping.is_set():
            self._changed.clear()
            try:
                found = self._bound()
            except OSError as error:
                self._failed(WAITING, self._occupied(error))
                await self._pause(pause)
                pause = min(pause * 2, _LONGEST)
                continue
            pause = _RETRY
            if found is None:
                await self._pause(None)
            else:
                await self._serve(*found)
        self._state = OFF

    def _bound(self) -> tuple[Address, socket.socket] | None:
        """Return the address and its socket; None where the setting is no address of ours. Raises OSError."""
        if not self._wanted:
            drawn, bound = address.draw()
            try:
                self._wanted = address.keep(self._journal, drawn)
            except OSError:
                bound.close()
                raise
            if self._wanted == drawn.url:
                return drawn, bound
            bound.close()  # somebody else was first
        wanted = address.parse(self._wanted)
        if wanted is None:
            self._failed(OFF, f"{RECEIVER} in config.json is no address of ours: {_FORM}")
            return None
        return wanted, address.bind(wanted.port)

    def _occupied(self, error: OSError) -> str:
        wanted = address.parse(self._wanted)
        port = f"port {wanted.port}: " if wanted is not None else ""
        return f"{port}{error.strerror or error}"

    async def _serve(self, found: Address, bound: socket.socket) -> None:
        """Serve until the address changes or all ends."""
        if self._intake is None:
            self._intake = Intake(self._journal, self._config, self._counts, found.token.encode())
        server = self._server = Server(found.token, frozenset(SIGNALS), self._limits, self._take, self._note)
        self._state, self._url = LISTENING, found.url
        serving = asyncio.ensure_future(server.serve(bound))
        serving.add_done_callback(lambda _: self._wake())
        try:
            while not self._stopping.is_set() and not serving.done():
                await self._pause(None)
                if not self._wanted:  # lost from the file, not changed
                    with contextlib.suppress(OSError):
                        self._wanted = address.keep(self._journal, found)
                if self._wanted and address.parse(self._wanted) != found:
                    break
        finally:
            serving.cancel()
            (ended,) = await asyncio.gather(serving, return_exceptions=True)
            bound.close()
            self._server, self._url = None, ""
        if isinstance(ended, Exception):  # a mistake of ours: it begins anew
            self._failed(WAITING, f"it stopped listening: {ended!r}")
            await self._pause(_RETRY)

    async def _pause(self, seconds: float | None) -> None:
        """Wait until something changes, or for so many seconds."""
        assert self._changed is not None  # noqa: S101 # mypy
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()

    async def _take(self, received: Received) -> Answer:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._taking, self._answer, received)
        except RuntimeError:  # the thread pool has been shut down
            return refused(Refused(503, "the receiver is ending", retry_after=_FULL), received.kind)

    def _answer(self, received: Received) -> Answer:
        """Write a request into the journal and return the answer; in the intake's own thread."""
        assert self._intake is not None  # noqa: S101 # mypy
        signal = SIGNALS[received.signal]
        try:
            body = unpacked(received.body, self._limits.unpacked) if received.packed else received.body
            groups = from_body(signal, body, received.kind == JSON, self._limits.values)
            del body
            self._counts.requests += 1
            if self._intake.gates.settings is not self._config:
                self._intake.gates = Gates(self._config)
            return taken(signal, received.kind, self._intake.take(signal, groups))
        except BadBody as error:
            return self._refused(Refused(400, str(error)), received.kind)
        except Refused as error:
            return self._refused(error, received.kind)
        except OSError as error:
            reason = f"the journal cannot be written: {error.strerror or type(error).__name__}"
            self._failed(self._state, reason)
            return self._refused(Refused(503, reason, retry_after=_FULL), received.kind)
        except Exception as error:  # a mistake of ours costs this request, not the receiver
            place = traceback.extract_tb(error.__traceback__)[-1]
            # Never the error's text: it may show what was sent.
            self._failed(self._state, f"a request was not understood: {type(error).__name__} in {place.name}")
            return self._refused(Refused(500, "the request was not understood"), received.kind)

    def _refused(self, error: Refused, kind: str) -> Answer:
        self._note(str(error.status))
        return refused(error, kind)

    def _note(self, reason: str) -> None:
        self._counts.refused[reason] += 1

    def _failed(self, state: str, message: str) -> None:
        self._state = state
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._last = {"time": now, "message": message}


_FORM = "http://127.0.0.1:PORT/ and a path of 22 letters, digits, `-` and `_` or more"
