"""The receiver's HTTP: OTLP/HTTP on a socket of loopback, an asyncio loop, h11.

It knows nothing of OTLP: a request that may come in is handed to `take`, in a thread of its own, one after
the other. Everything that a client can make us keep is bounded: connections, headers, bodies, and how long
each may take.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import h11

from gastown_tracing.relay.receiver.answers import Answer, refused
from gastown_tracing.relay.receiver.bodies import JSON, PROTOBUF, Refused, is_packed, media_type
from gastown_tracing.relay.receiver.limits import Bucket, Limits

_READ = 65536
#: Bytes, and seconds, that are read of a request that was refused, so that its sender sees why.
_LINGER, _LINGER_SECONDS = 16 << 20, 2.0
#: Seconds that requests under way have at the end.
_GRACE = 2.0


@dataclass(frozen=True, slots=True)
class Received:
    """A request whole: the last part of its path, its media type, its body as it came."""

    signal: str
    kind: str
    packed: bool
    body: bytes


#: Answers a request. Never raises.
Take = Callable[[Received], Awaitable[Answer]]


class Server:
    """Serves one listening socket. `token` begins every path, `signals` may end it.

    `note` is told of each request that was not taken: why, in one word.
    """

    def __init__(
        self, token: str, signals: frozenset[str], limits: Limits, take: Take, note: Callable[[str], None]
    ) -> None:
        self._prefix = f"/{token}/v1/".encode()
        self._signals = signals
        self._take = take
        self.limits = limits
        self.note = note
        self.bytes = Bucket(limits.byte_rate, limits.byte_burst)
        self.requests = Bucket(limits.request_rate, limits.request_burst)
        self.in_flight = 0
        #: Whether no connection may stay for another request.
        self.ending = False
        self._connections: dict[asyncio.Task[None], _Connection] = {}

    @property
    def open(self) -> int:
        """Return how many connections there are."""
        return len(self._connections)

    async def serve(self, bound: socket.socket) -> None:
        """Accept connections until cancelled; then close all of them."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    accepted, _ = await loop.sock_accept(bound)
                except OSError:  # a client that went away, or no descriptors are left
                    await asyncio.sleep(0.1)
                    continue
                self._admit(accepted)
        finally:
            await self._end()

    async def _end(self) -> None:
        """Close all connections, those where a request is under way when it has been answered."""
        self.ending = True
        for task, connection in list(self._connections.items()):
            if connection.idle:
                task.cancel()
        tasks = list(self._connections)
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _admit(self, accepted: socket.socket) -> None:
        """Serve a connection; where there are too many the one that has been idle longest goes."""
        if len(self._connections) >= self.limits.connections:
            idle = next((task for task, known in self._connections.items() if known.idle), None)
            if idle is None:
                self.note("connections")
                accepted.close()
                return
            idle.cancel()
            self._connections.pop(idle)
        connection = _Connection(self, accepted)
        task = asyncio.ensure_future(connection.run())
        self._connections[task] = connection
        task.add_done_callback(lambda done: self._connections.pop(done, None))

    def touched(self) -> None:
        """Put the connection of the current task last: of those that are idle the first one goes first."""
        task = asyncio.current_task()
        if task is not None and task in self._connections:
            self._connections[task] = self._connections.pop(task)

    def signal(self, request: h11.Request) -> str:
        """Return the signal that a request is about. Raises Refused.

        The path is compared in constant time, so that nobody finds out the token by trying.
        """
        path = bytes(request.target).partition(b"?")[0]
        given, _, signal = path.rpartition(b"/")
        known = hmac.compare_digest(given + b"/", self._prefix)
        if not known or signal.decode("ascii", "replace") not in self._signals:
            raise Refused(404, "there is nothing here")
        if request.method != b"POST":
            raise Refused(405, "only POST is taken here", allow="POST")
        return signal.decode()

    async def answer(self, received: Received) -> Answer:
        """Return the answer to a request."""
        return await self._take(received)


class _Connection:
    """One connection: requests one after the other, until somebody closes it."""

    def __init__(self, server: Server, accepted: socket.socket) -> None:
        self._server = server
        self._socket = accepted
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=server.limits.headers)
        self._loop = asyncio.get_running_loop()
        #: Whether it may be closed for another one: no request is under way whose sender knows the token.
        self.idle = True
        #: Whether the answer to the request that is may have no body.
        self._bodiless = False

    async def run(self) -> None:
        """Serve it. Whatever a client does ends here."""
        try:
            with contextlib.suppress(OSError, TimeoutError, h11.LocalProtocolError):
                while await self._serve_one():
                    self._server.touched()
        finally:
            self._socket.close()

    async def _serve_one(self) -> bool:
        """Take one request and answer it; say whether another one may follow."""
        kind = ""
        try:
            request = await self._head()
            if request is None:
                return False
            kind = _claimed(request)
            answer = await self._received(request)
        except h11.RemoteProtocolError as error:
            return await self._refuse(Refused(error.error_status_hint, "this is no HTTP that is taken"), kind)
        except TimeoutError:
            return await self._refuse(Refused(408, "the request took too long"), kind)
        except Refused as error:
            return await self._refuse(error, kind)
        return await self._send(answer)

    async def _head(self) -> h11.Request | None:
        """Return the next request's line and headers; None where there is none any more."""
        self.idle = True
        if not self._http.trailing_data[0]:
            try:
                async with asyncio.timeout(self._server.limits.idle):
                    data = await self._loop.sock_recv(self._socket, _READ)
            except TimeoutError:
                return None
            self._http.receive_data(data)
        async with asyncio.timeout(self._server.limits.head):
            event = await self._event()
        if not isinstance(event, h11.Request):
            return None
        self._bodiless = event.method == b"HEAD"
        return event

    async def _event(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            self._http.receive_data(await self._loop.sock_recv(self._socket, _READ))

    async def _received(self, request: h11.Request) -> Answer:
        """Read a request's body and return the answer. Raises Refused."""
        server, limits = self._server, self._server.limits
        signal = server.signal(request)
        self.idle = False
        headers = {bytes(name): bytes(value).decode("latin-1") for name, value in request.headers}
        kind = media_type(headers.get(b"content-type", ""))
        packed = is_packed(headers.get(b"content-encoding", ""))
        length = headers.get(b"content-length", "0")
        if len(length) > len(str(limits.wire)) or int(length) > limits.wire:
            raise Refused(413, f"the body is more than {limits.wire} bytes")
        _admit_rate(server.requests.take(1), "requests")
        _admit_rate(server.bytes.take(int(length)), "bytes")
        if self._http.they_are_waiting_for_100_continue:
            await self._write(h11.InformationalResponse(status_code=100, headers=[]))
        body = bytearray()
        try:
            async with asyncio.timeout(limits.body):
                await self._read(body, int(length))
            return await server.answer(Received(signal, kind, packed, bytes(body)))
        finally:
            server.in_flight -= len(body)

    async def _read(self, body: bytearray, paid: int) -> None:
        """Read a body; so many bytes of it have been admitted. Raises Refused.

        What is refused for its rate costs nothing of it: else those who try again would keep all out.
        """
        server, limits = self._server, self._server.limits
        while isinstance(event := await self._event(), h11.Data):
            more = len(event.data)
            size = len(body) + more
            if size > limits.wire:
                raise Refused(413, f"the body is more than {limits.wire} bytes")
            if server.in_flight + more > limits.in_flight:
                raise Refused(503, "too many requests are being read", retry_after=1)
            if size > paid:  # in chunks: nobody said how much comes
                seconds = server.bytes.take(size - paid)
                if seconds:
                    server.bytes.give(paid)
                _admit_rate(seconds, "bytes")
                paid = size
            body += event.data
            server.in_flight += more
        if not isinstance(event, h11.EndOfMessage):
            raise Refused(400, "the body is not whole")

    async def _refuse(self, error: Refused, kind: str) -> bool:
        """Answer that a request is not taken; what is left of it is read, so that the answer is seen."""
        self._server.note(str(error.status))
        self.idle = True
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return False
        return await self._send(refused(error, kind))

    async def _send(self, answer: Answer) -> bool:
        """Send an answer; say whether another request may follow."""
        whole = self._http.their_state is h11.DONE
        stays = whole and not self._server.ending
        headers = [*answer.headers, ("Content-Length", str(len(answer.body)))]
        if not stays:
            headers.append(("Connection", "close"))
        response = h11.Response(status_code=answer.status, headers=headers, reason=answer.phrase)
        data = self._http.send(response) or b""
        if answer.body and not self._bodiless:
            data += self._http.send(h11.Data(data=answer.body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        async with asyncio.timeout(self._server.limits.head):
            await self._loop.sock_sendall(self._socket, data)
        if self._http.our_state is h11.DONE and stays:
            self._http.start_next_cycle()
            return True
        if not whole:
            await self._linger()
        return False

    async def _linger(self) -> None:
        """Read on for a moment: a connection that is closed with data unread takes the answer with it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        left = _LINGER
        async with asyncio.timeout(_LINGER_SECONDS):
            while left > 0 and (data := await self._loop.sock_recv(self._socket, _READ)):
                left -= len(data)

    async def _write(self, event: h11.InformationalResponse) -> None:
        async with asyncio.timeout(self._server.limits.head):
            await self._loop.sock_sendall(self._socket, self._http.send(event) or b"")


def _admit_rate(seconds: float, what: str) -> None:
    if seconds:
        raise Refused(429, f"too many {what} a second", retry_after=seconds)


def _claimed(request: h11.Request) -> str:
    """Return the media type that a refusal is written in; "" for text."""
    for name, value in request.headers:
        found = bytes(value).partition(b";")[0].strip().lower().decode("latin-1")
        if name == b"content-type" and found in (JSON, PROTOBUF):
            return found
    return ""
