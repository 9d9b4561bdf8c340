"""The relay's receiver, as config.json names it: whether it listens, and takes what it should."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gastown_tracing import config
from gastown_tracing.doctor import web
from gastown_tracing.doctor.canary import JSON, empty
from gastown_tracing.doctor.check import ok, problem, skipped, warning
from gastown_tracing.doctor.settings import receiver_shown
from gastown_tracing.relay import lock, status
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.starting import START as _START

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.config import Telemetry
    from gastown_tracing.doctor.check import Check, Checks, Deadline
    from gastown_tracing.journal.layout import Journal

_SECONDS = 3.0
_STARTS = f"{_START} starts it; until then agents' own telemetry is lost"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def receiver(telemetry: Telemetry, deadline: Deadline) -> Checks:
    """Yield how the receiver is."""
    address = telemetry.config.file.get(config.RECEIVER, "").rstrip("/")
    if not address:
        yield skipped("address", "none in config.json: the relay draws one when it first runs")
        return
    yield ok("address", receiver_shown(address))
    holder, found = _relay(telemetry.journal)
    try:
        site = web.Site(f"{address}/v1/traces")
        if site.host not in _LOOPBACK:
            advice = f"remove {config.RECEIVER} from config.json: the relay draws one"
            yield warning("loopback", f"it is at {site.host}, which others may reach", advice)
        if holder and found.get("state") == "waiting":
            yield _taken(site, found)
        else:
            yield _answers(site, deadline, running=holder)
    except web.Failed as error:
        advice = f"look into {Files(telemetry.journal).log}: the relay runs" if holder else _STARTS
        yield problem("answer", f"{error.step}: {error}", advice)


def _relay(journal: Journal) -> tuple[bool, Mapping[str, Any]]:
    """Return whether a relay runs, and what it says of its receiver."""
    files = Files(journal)
    try:
        running = lock.holder(files.lock) is not None
    except OSError:
        running = False
    found = status.read(files).get("receiver")
    return running, found if isinstance(found, dict) else {}


def _taken(site: web.Site, found: Mapping[str, Any]) -> Check:
    """Return why a relay that runs does not listen."""
    error = found.get("last_error")
    message = error.get("message", "") if isinstance(error, dict) else ""
    advice = (
        f"another program has port {site.port} (`ss -ltnp` shows which): end it, and the relay listens soon; "
        f"or remove {config.RECEIVER} from config.json, and sessions that start from then on get another"
    )
    return problem("answer", f"the relay cannot listen: {message}", advice)


def _answers(site: web.Site, deadline: Deadline, *, running: bool) -> Check:
    """Return whether it takes what it should. Raises Failed.

    Nothing goes there that it would count as refused.
    """
    posted = web.request(site, deadline.left(_SECONDS), empty("traces", JSON), {"Content-Type": JSON})
    if not running:
        said = f"no relay runs, and something at port {site.port} answers with {posted.status}"
        return problem("answer", said, f"end what listens there, then {_START}")
    if posted.status == 404:
        said = f"another program has port {site.port}, or the relay is about to read another address"
        return problem("answer", said, "look again in a second; then end what listens there")
    if posted.status != 200:
        said = f"an empty POST is answered with {posted.status}"
        advice = "wait: it is busy" if posted.status in (429, 503) else "look into the relay's log"
        return warning("answer", f"{said}: {posted.text}" if posted.text else said, advice)
    return ok("answer", "takes OTLP")
