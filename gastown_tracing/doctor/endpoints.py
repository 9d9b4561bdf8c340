"""The endpoints: whether they answer, what they take, and whether what is sent to them can be read back."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from gastown_tracing.doctor import backends, web
from gastown_tracing.doctor.canary import JSON, PROTOBUF, SERVICE, Canary, empty, rejected
from gastown_tracing.doctor.check import ok, problem, skipped, warning
from gastown_tracing.masking import without_credentials
from gastown_tracing.relay import addresses
from gastown_tracing.relay.settings import URLS

if TYPE_CHECKING:
    from gastown_tracing.doctor.check import Check, Checks, Deadline
    from gastown_tracing.doctor.web import Answer
    from gastown_tracing.relay.settings import Endpoint

#: Seconds for each step of a request, and for the canary to be seen.
_SECONDS, _SEEN = 3.0, 8.0
#: Seconds between two looks for the canary.
_PAUSE = 0.2
#: Seconds that the endpoint's clock may differ; its answer says only whole ones.
_APART = 5

_ADVICE = {
    "URL": "it begins with http:// or https:// and a host",
    "DNS": "correct the host's name, or set it up in the resolver",
    "TCP": "start the backend, or correct host and port; `none` switches the signal off",
    "TLS": "correct http:// or https://, or name its certificate in OTEL_EXPORTER_OTLP_CERTIFICATE",
    "HTTP": "look at what listens there: it takes connections and does not answer as HTTP does",
}
_STATUS = {
    401: "set OTEL_EXPORTER_OTLP_HEADERS in config.json (`gt-trace env` keeps it)",
    403: "give what OTEL_EXPORTER_OTLP_HEADERS names the right to write",
    404: "correct the path: most take /v1/{signal}",
    405: "correct the path: it is a page, no OTLP endpoint",
    429: "raise its limit if this stays",
}


def endpoint(
    signal: str,
    given: Endpoint | None,
    query: str,
    deadline: Deadline,
    *,
    said: bool = False,
    off: bool = False,
) -> Checks:
    """Yield how the endpoint of one signal is. `query` is the base of its query API, "" to guess it.

    `said` is whether the settings have said already what is wrong with its URL, `off` whether it is `none`.
    """
    if given is None:
        yield ok(
            "address", f"{'switched off on purpose, by `none`' if off else 'not set'}: no {signal} are sent"
        )
        return
    if given.problem and said:
        yield skipped("address", f"{URLS[signal]} cannot be used, as the settings say")
        return
    if given.problem:
        yield problem("address", given.problem, f"`gt-trace env --{signal}-url URL` puts it right")
        return
    yield ok("address", addresses.shown(given.url))
    began = time.monotonic()
    try:
        target = _Target(signal, given, deadline)
        answer = target.find_out()
    except web.Failed as error:
        yield problem("answer", f"{error.step}: {error}", _advice(error, signal, given, deadline))
        return
    yield _judged(target, answer, (time.monotonic() - began) * 1000)
    yield from _clock(answer)
    if answer.status // 100 == 2 and answer.type != "text/html":
        yield from _canary(target, query)


def _advice(error: web.Failed, signal: str, given: Endpoint, deadline: Deadline) -> str:
    """Return what to do about a request without an answer."""
    if error.step == "TLS" and _speaks_http(web.Site(given.url), deadline):
        return f"the endpoint speaks http: use http:// in {URLS[signal]}"
    return _ADVICE[error.step]


def _speaks_http(site: web.Site, deadline: Deadline) -> bool:
    """Say whether a port without TLS answers HTTP; neither headers nor credentials go there."""
    try:
        web.request(web.Site(site.origin.replace("https://", "http://", 1)), deadline.left(_SECONDS))
    except web.Failed:
        return False
    return True


class _Target:
    """An endpoint, and the media type that it takes. Raises Failed where its URL is none."""

    def __init__(self, signal: str, given: Endpoint, deadline: Deadline) -> None:
        self.signal = signal
        self.site = web.Site(given.url, given)
        self.given = given
        self.deadline = deadline
        self.media_type = ""

    def find_out(self) -> Answer:
        """Return the answer to an empty request, of the type it takes if there is one. Raises Failed."""
        wanted = {"http/json": (JSON,), "http/protobuf": (PROTOBUF,)}.get(
            self.given.protocol, (JSON, PROTOBUF)
        )
        for media_type in (PROTOBUF,) if self.signal == "metrics" else wanted:
            self.media_type = media_type
            answer = self.post(empty(self.signal, media_type))
            if answer.status // 100 == 2 and (media_type == PROTOBUF or answer.type == JSON):
                break
        return answer

    def post(self, body: bytes) -> Answer:
        """Return the answer to a request. Raises Failed."""
        seconds = self.deadline.left(min(_SECONDS, self.given.timeout))
        return web.request(self.site, seconds, body, {**self.given.headers, "Content-Type": self.media_type})


def _judged(target: _Target, answer: Answer, took: float) -> Check:
    if answer.status // 100 != 2:
        return _refused(target, "answer", f"refuses an empty request with {answer.status}", answer)
    if answer.type == "text/html":
        said = f"{answer.status}, but with a web page: no OTLP endpoint"
        remedy = f"correct port and path: OTLP/HTTP is port 4318, path /v1/{target.signal}"
        return problem("answer", said, remedy)
    form = "JSON" if target.media_type == JSON else "protobuf"
    return ok("answer", f"takes {form}, in {took:.0f} ms")


def _refused(target: _Target, name: str, said: str, answer: Answer) -> Check:
    said += f": {answer.text}" if answer.text else ""
    remedy = _STATUS.get(answer.status, "look into its log").format(signal=target.signal)
    if answer.status == 429 or answer.status >= 500:
        return warning(name, said, f"{remedy}; the relay waits and tries again")
    return problem(name, said, remedy)


def _clock(answer: Answer) -> Checks:
    """Yield how far the other machine's clock is from ours (RFC 9110, section 6.6.1)."""
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return
    apart = (theirs - datetime.now(theirs.tzinfo or UTC)).total_seconds() if theirs.tzinfo else 0.0
    if abs(apart) > _APART:
        said = f"the backend's clock is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} ours"
        yield warning("clock", said, "synchronise both: what is new seems to be old, or not there yet")


def _canary(target: _Target, query: str) -> Checks:
    """Send a canary, and yield whether it can be read back."""
    signal = target.signal
    found = backends.find(signal, target.site, dict(target.given.headers), query, target.deadline)
    canary = Canary()
    try:
        answer = target.post(canary.request(signal, target.media_type))
    except web.Failed as error:
        yield problem("canary", f"{error.step}: {error}", _ADVICE[error.step])
        return
    if answer.status // 100 != 2:
        yield _refused(target, "canary", f"refused with {answer.status}", answer)
        return
    why = rejected(signal, target.media_type, answer.body)
    if why:
        yield problem("canary", f"not taken: {why}", "look into its log")
    elif found:
        yield from _read_back(signal, found, canary, target.deadline)
    elif query:
        said = f"sent as {SERVICE}; at {without_credentials(query)} no backend known to us answers"
        yield warning("canary", said, f"correct --{signal}-query")
    else:
        said = f"sent as {SERVICE}; no backend known to us answers queries there, so nobody looked"
        yield skipped("canary", said, f"--{signal}-query URL says where to ask")


def _read_back(signal: str, found: list[backends.Found], canary: Canary, deadline: Deadline) -> Checks:
    """Yield which of these backends shows the canary: one is enough."""
    began = time.monotonic()
    reasons: dict[str, str] = {}
    while time.monotonic() - began < _SEEN and not deadline.passed:
        for backend in found:
            name = f"{backend.backend.name} at {without_credentials(backend.base)}"
            try:
                shown = backend.shown(canary, deadline)
            except web.Failed as error:
                reasons[name], shown = f" ({error})", None
            else:
                reasons[name] = ""
            if shown:
                yield ok("canary", f"sent, and {name} shows it after {time.monotonic() - began:.1f} s")
                yield from backends.limits(backend, shown, deadline)
                return
        time.sleep(_PAUSE)
    asked = ", ".join(f"{name}{reason}" for name, reason in reasons.items())
    said = f"sent and taken, but not shown by {asked or 'anybody in time'}"
    other = f"--{signal}-query URL asks another; look into its log"
    yield warning("canary", said, f"is that the backend behind {URLS[signal]}? {other}")
