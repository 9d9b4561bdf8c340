"""One endpoint's HTTP: a request, an answer, and what the answer means for what was sent.

One connection is kept alive. A request has one deadline for all of it, because a server that sends a byte now
and then would outlast any limit on a single read. No redirect is followed, since headers may hold secrets,
and no proxy is taken from anywhere.
"""

from __future__ import annotations

import contextlib
import enum
import gzip
import http.client
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

import orjson
import urllib3
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from urllib3.connection import HTTPConnection, HTTPSConnection

from gastown_tracing._version import VERSION
from gastown_tracing.relay.backoff import parse_retry_after
from gastown_tracing.relay.logfile import iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3.util import Url

    from gastown_tracing.relay.settings import Endpoint

JSON, PROTOBUF = "json", "protobuf"
CONTENT_TYPES = {JSON: "application/json", PROTOBUF: "application/x-protobuf"}
#: Bytes of an answer that are read; an OTLP response is far shorter.
_ANSWER_LIMIT = 1 << 16
#: Characters of a refusal that are shown.
_SHOWN = 200
#: Seconds within which an answer is no news.
_AWAITED = 1.0
#: Statuses that say of the request itself that it will never be taken. All others an operator can put right.
_REFUSED = (400, 413, 415, 422)
#: Headers that follow from the body.
_OURS = frozenset(("content-type", "content-encoding", "content-length", "transfer-encoding"))
#: The fields of partialSuccess that count what was rejected, one a signal.
_REJECTED = ("rejectedSpans", "rejectedLogRecords", "rejectedDataPoints")


class Kind(enum.Enum):
    """What became of a request: taken, refused for what it holds, or to be tried again."""

    TAKEN = "taken"
    REFUSED = "refused"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `status` 0 stands for no HTTP answer at all, `retry_after` is in seconds.

    `rejected` records of a request that was taken were not; `message` says why. `media_type` is that of the
    answer.
    """

    kind: Kind
    status: int = 0
    message: str = ""
    retry_after: float | None = None
    rejected: int = 0
    media_type: str = ""

    @property
    def taken(self) -> bool:
        """Say whether the endpoint has what was sent."""
        return self.kind is Kind.TAKEN

    @property
    def refused(self) -> bool:
        """Say whether the endpoint will never take just this."""
        return self.kind is Kind.REFUSED


class Client:
    """Sends to one endpoint, from one thread; `abort` may come from any."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._guard = _Guard()
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._kept = False
        self._posted: float | None = None

    @property
    def waiting_since(self) -> str | None:
        """Return since when a request has had no answer, None unless that is longer than an answer takes."""
        posted = self._posted
        return iso(posted) if posted is not None and time.time() - posted > _AWAITED else None

    def post(self, body: bytes, encoding: str = PROTOBUF) -> Answer:
        """Send a request in `json` or `protobuf`; never raises for what the world does."""
        headers = {"Content-Type": CONTENT_TYPES[encoding]}
        if self.endpoint.compression:
            body = gzip.compress(body, 6, mtime=0)
            headers["Content-Encoding"] = "gzip"
        self._guard.arm()
        timer = threading.Timer(self.endpoint.timeout, self._guard.expire)
        timer.daemon = True
        timer.start()
        self._posted = time.time()
        try:
            return self._attempt(body, headers)
        finally:
            self._posted = None
            timer.cancel()

    def abort(self) -> None:
        """End the request that is under way, and every later one: nothing is sent any more."""
        self._guard.forbid()

    @property
    def aborted(self) -> bool:
        """Say whether `abort` was called."""
        return self._guard.forbidden

    def close(self) -> None:
        """Let go of the connection; the next request opens another."""
        self._guard.release()
        pool, self._pool, self._kept = self._pool, None, False
        if pool is not None:
            pool.close()

    def _attempt(self, body: bytes, headers: dict[str, str]) -> Answer:
        kept = self._kept
        try:
            answer = self._once(body, headers)
            if not self._guard.expired:
                return answer
            error: Exception = TimeoutError()  # what was cut off may look like a whole answer
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as caught:
            error = caught
        self.close()
        if kept and _was_closed(error) and not self._guard.expired:
            return self._attempt(body, headers)  # just when we used it again
        return Answer(Kind.RETRY, message=self._reason(error))

    def _once(self, body: bytes, headers: dict[str, str]) -> Answer:
        url = urllib3.util.parse_url(self.endpoint.url)
        if self._pool is None:
            self._pool = _pool(self.endpoint, url, self._guard)
        headers = {**_headers(self.endpoint, url.auth), **headers}
        response = self._pool.urlopen(
            "POST", url.request_uri, body, headers, retries=False, redirect=False, preload_content=False
        )
        text = response.read(_ANSWER_LIMIT, decode_content=False)
        answer = classify(response.status, response.headers, text)
        if len(text) < _ANSWER_LIMIT:
            response.release_conn()
            self._kept = True
        else:
            response.close()
            self.close()
        return answer

    def _reason(self, error: Exception) -> str:
        refused = isinstance(error, urllib3.exceptions.NewConnectionError)  # to urllib3 a timeout, too
        late = isinstance(error, (urllib3.exceptions.TimeoutError, TimeoutError)) and not refused
        if self._guard.expired or late:
            return f"no answer within {self.endpoint.timeout:g} s"
        if isinstance(error, ValueError) and not isinstance(error, urllib3.exceptions.HTTPError):
            return "the URL or the headers that are set cannot be sent"  # its text may hold a header's value
        cause = error.__cause__ or error.__context__ or error
        return clean(getattr(cause, "strerror", None) or str(cause)) or type(cause).__name__


class _Guard:
    """Ends a connection from another thread, whatever its owner waits for.

    It holds the socket a second time, because TLS takes the first one over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.expired = False
        self.forbidden = False

    def watch(self, connected: socket.socket) -> None:
        """Take note of a connection."""
        self.release()
        with self._lock:
            self._socket = connected.dup()
            if self.expired:
                self._shut()

    def arm(self) -> None:
        """Begin a request."""
        with self._lock:
            self.expired = self.forbidden

    def expire(self) -> None:
        """End the connection: the time of a request is up."""
        with self._lock:
            self.expired = True
            self._shut()

    def forbid(self) -> None:
        """End the connection, and every later one."""
        self.forbidden = True
        self.expire()

    def release(self) -> None:
        """Let go of the socket."""
        with self._lock:
            held, self._socket = self._socket, None
        if held is not None:
            held.close()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def _pool(endpoint: Endpoint, url: Url, guard: _Guard) -> urllib3.HTTPConnectionPool:
    """Return the connection to an endpoint, which `guard` can end."""
    timeout = urllib3.Timeout(connect=endpoint.timeout, read=endpoint.timeout)
    host = (url.host or "").strip("[]")
    if url.scheme != "https":
        pool = urllib3.HTTPConnectionPool(host, url.port or 80, timeout=timeout)
    else:
        pool = urllib3.HTTPSConnectionPool(
            host,
            url.port or 443,
            timeout=timeout,
            cert_reqs="CERT_REQUIRED",
            ca_certs=endpoint.certificate or None,
            cert_file=endpoint.client_certificate or None,
            key_file=endpoint.client_key or None,
        )
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection

    class Guarded(kind):  # type: ignore[misc, valid-type]  # one of two classes
        def _new_conn(self) -> socket.socket:
            connected: socket.socket = super()._new_conn()
            guard.watch(connected)
            return connected

    pool.ConnectionCls = Guarded
    return pool


def _headers(endpoint: Endpoint, auth: str | None) -> dict[str, str]:
    """Return the headers of every request; what describes the body is ours to say."""
    found = {"user-agent": f"gastown-tracing-relay/{VERSION}"}
    if auth:
        found |= urllib3.util.make_headers(basic_auth=unquote(auth))
    found |= {name.lower(): value for name, value in endpoint.headers.items()}
    return {name: value for name, value in found.items() if name not in _OURS}


def _was_closed(error: Exception) -> bool:
    return isinstance(error.__cause__ or error.__context__, (http.client.RemoteDisconnected, ConnectionError))


def classify(status: int, headers: Mapping[str, str], text: bytes) -> Answer:
    """Return what an answer means (OTLP specification, "OTLP/HTTP Response")."""
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    retry_after = parse_retry_after(headers.get("Retry-After"))
    if 200 <= status < 300:
        if media_type == "text/html":
            return Answer(
                Kind.RETRY, status, f"{status} with a web page: nothing there takes OTLP", retry_after
            )
        rejected, why = _partial_success(media_type, text)
        return Answer(Kind.TAKEN, status, why, rejected=rejected, media_type=media_type)
    said = f"moved to {headers.get('Location', '')}" if 300 <= status < 400 else _said(media_type, text)
    message = f"{status} {http.client.responses.get(status, '')}".strip() + (f": {said}" if said else "")
    kind = Kind.REFUSED if status in _REFUSED else Kind.RETRY
    return Answer(kind, status, clean(message), retry_after, media_type=media_type)


def _partial_success(media_type: str, text: bytes) -> tuple[int, str]:
    """Return how many records were rejected, and what was said to it."""
    try:
        if media_type == CONTENT_TYPES[PROTOBUF]:
            found = ExportTraceServiceResponse.FromString(
                text
            ).partial_success  # the wire format of all three
            return found.rejected_spans, clean(found.error_message)
        if media_type == CONTENT_TYPES[JSON]:
            partial = orjson.loads(text).get("partialSuccess") or {}
            count = next((int(partial[name]) for name in _REJECTED if name in partial), 0)
            return count, clean(str(partial.get("errorMessage", "")))
    except (DecodeError, ValueError, TypeError, AttributeError):
        pass  # it was taken, whatever else is said
    return 0, ""


def _said(media_type: str, text: bytes) -> str:
    """Return what a refusal says: the message of a google.rpc.Status, else its text."""
    if media_type == CONTENT_TYPES[JSON]:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            return str(orjson.loads(text)["message"])
    if media_type == "text/html":
        return ""
    return text.decode("utf-8", "replace")


def clean(text: str) -> str:
    """Return the beginning of somebody else's text, in one line that is safe to show."""
    shown = " ".join("".join(letter if letter.isprintable() else " " for letter in text[:1000]).split())
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
