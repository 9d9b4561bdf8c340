"""HTTP with a deadline and a limit: one request, one connection, and in words where it failed."""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import threading
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gastown_tracing.relay.settings import Endpoint

#: Bytes of an answer that are read.
_LIMIT = 4 << 20


class Failed(Exception):  # noqa: N818  # it says what is the case
    """A request that got no answer. `step` says how far it came: `URL`, `DNS`, `TCP`, `TLS` or `HTTP`."""

    def __init__(self, step: str, message: str) -> None:
        super().__init__(message)
        self.step = step


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint said; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def type(self) -> str:
        """Return the media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """Return the beginning of the body as one line."""
        return " ".join(self.body[:300].decode("utf-8", "replace").split())[:200]


class Site:
    """A URL taken apart, and the certificates to reach it with. Raises Failed where it is none."""

    def __init__(self, url: str, endpoint: Endpoint | None = None) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
            self.host = parts.hostname or ""
            self.secure = parts.scheme == "https"
            self.port = parts.port or (443 if self.secure else 80)
            self.user = urllib.parse.unquote(parts.netloc.rpartition("@")[0])
        except ValueError as error:
            raise Failed("URL", f"no usable URL: {error}") from error
        if parts.scheme not in ("http", "https") or not self.host:
            raise Failed("URL", "no usable URL")
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._endpoint = endpoint

    @property
    def origin(self) -> str:
        """Return scheme, host and port."""
        return self.at(self.port)

    def at(self, port: int) -> str:
        """Return the same host's origin at another port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{port}"

    def connect(self, seconds: float) -> http.client.HTTPConnection:
        """Return a connection that is open; each step has `seconds`. Raises Failed."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Failed("DNS", f"{self.host} cannot be resolved: {_words(error)}") from error
        connection = http.client.HTTPConnection(self.host, self.port, timeout=seconds)
        channel = self._channel(found, seconds)
        try:
            connection.sock = (
                self._context().wrap_socket(channel, server_hostname=self.host) if self.secure else channel
            )
        except (OSError, ValueError) as error:
            channel.close()
            raise Failed("TLS", f"no TLS: {_words(error)}") from error
        return connection

    def _channel(self, found: Sequence[tuple[Any, ...]], seconds: float) -> socket.socket:
        """Return a socket to the first address that answers."""
        reason: OSError = OSError("no address")
        for family, kind, protocol, _, address in found:
            channel = socket.socket(family, kind, protocol)
            channel.settimeout(seconds)
            try:
                channel.connect(address)
            except OSError as error:
                channel.close()
                reason = error
            else:
                return channel
        raise Failed("TCP", f"{self.host} port {self.port}: {_words(reason)}") from reason

    def _context(self) -> ssl.SSLContext:
        """Return how to speak TLS. Raises OSError for certificates that cannot be used."""
        given = self._endpoint
        context = ssl.create_default_context(cafile=(given.certificate or None) if given else None)
        if given and given.client_certificate:
            context.load_cert_chain(given.client_certificate, given.client_key or None)
        return context


def request(
    site: Site,
    seconds: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    path: str = "",
) -> Answer:
    """Return what a GET, or a POST of `body`, is answered with; `path` stands for the site's own.

    To connect and to answer it has `seconds` each. Raises Failed.
    """
    sent = {"User-Agent": "gastown-doctor", "Connection": "close", **(headers or {})}
    if site.user:
        sent.setdefault("Authorization", f"Basic {base64.b64encode(site.user.encode()).decode()}")
    connection = site.connect(seconds)
    late = threading.Event()
    # A socket's timeout is for each read; who sends a byte a second would never end.
    alarm = threading.Timer(seconds, _hang_up, (connection.sock, late))
    alarm.daemon = True
    alarm.start()
    try:
        connection.request("GET" if body is None else "POST", path or site.path, body, sent)
        answer = connection.getresponse()
        data = answer.read(_LIMIT)
    except (OSError, ValueError, AttributeError, http.client.HTTPException) as error:
        words = "no answer in time" if late.is_set() else _words(error)
        raise Failed("HTTP", f"no HTTP answer: {words}") from error
    finally:
        alarm.cancel()
        connection.close()
    if late.is_set():  # an answer that was cut short may look like a whole one
        raise Failed("HTTP", "no HTTP answer: no answer in time")
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, data)


def _hang_up(channel: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        channel.shutdown(socket.SHUT_RDWR)


def _words(error: Exception) -> str:
    """Return an error in a few words, without what was sent."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, (ValueError, http.client.InvalidURL)):
        return "its path or headers hold what HTTP cannot"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
