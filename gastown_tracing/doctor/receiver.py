"""The relay's receiver, as config.json names it: whether it listens, and lets in only whom it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gastown_tracing import config
from gastown_tracing.doctor import web
from gastown_tracing.doctor.canary import JSON, empty
from gastown_tracing.doctor.check import ok, problem, skipped, warning
from gastown_tracing.doctor.settings import receiver_shown

if TYPE_CHECKING:
    from gastown_tracing.config import Telemetry
    from gastown_tracing.doctor.check import Checks, Deadline

_SECONDS = 3.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def receiver(telemetry: Telemetry, deadline: Deadline) -> Checks:
    """Yield how the receiver is."""
    address = telemetry.config.file.get(config.RECEIVER, "").rstrip("/")
    if not address:
        yield skipped("address", "none in config.json: the relay draws one when it first runs")
        return
    yield ok("address", receiver_shown(address))
    try:
        site = web.Site(f"{address}/v1/traces")
        if site.host not in _LOOPBACK:
            advice = f"remove {config.RECEIVER} from config.json: the relay draws one"
            yield warning("loopback", f"it is at {site.host}, which others may reach", advice)
        yield from _answers(site, deadline)
    except web.Failed as error:
        advice = "`gt-trace relay start` starts it; until then agents' own telemetry is lost"
        yield problem("answer", f"{error.step}: {error}", advice)


def _answers(site: web.Site, deadline: Deadline) -> Checks:
    """Yield whether it takes what it should, and nothing at another path. Raises Failed."""
    seconds = deadline.left(_SECONDS)
    looked = web.request(site, seconds)
    posted = web.request(site, seconds, empty("traces", JSON), {"Content-Type": JSON})
    stranger = web.request(site, seconds, empty("traces", JSON), {"Content-Type": JSON}, path="/0/v1/traces")
    if stranger.status != 404:
        said = f"another path is answered with {stranger.status}: this is not our receiver"
        yield problem("answer", said, "stop what listens there, then `gt-trace relay start`")
    elif looked.status not in (404, 405) or posted.status != 200:
        said = f"GET is answered with {looked.status} and an empty POST with {posted.status}"
        advice = "wait: it is busy" if posted.status in (429, 503) else "look into the relay's log"
        yield warning("answer", f"{said}: {posted.text}" if posted.text else said, advice)
    else:
        yield ok("answer", "takes OTLP, and nothing at another path")
