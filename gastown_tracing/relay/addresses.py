"""Which URLs cannot be meant: no URL at all, another signal's path, one URL for two signals.

Most backends answer 200 to what they do not understand, so what is sent to the wrong place is lost without
anybody being told. Such a URL is found before anything is sent there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from gastown_tracing import config
from gastown_tracing.masking import mask, without_credentials

#: The setting that says where a signal goes.
URLS = {"traces": config.TRACES_URL, "metrics": config.METRICS_URL, "logs": config.LOGS_URL}

#: Where OTLP/HTTP has each signal (OTLP specification, "OTLP/HTTP Request").
PATHS = {signal: f"/v1/{signal}" for signal in URLS}
#: VictoriaMetrics takes metrics at this path, too, and VictoriaLogs log records below that one.
_VICTORIA_METRICS, VICTORIA_LOGS = "/opentelemetry/api/v1/push", "/insert/opentelemetry/"

_HOST = re.compile(r"[^\s\x00-\x1f\x7f]+")


def problems(urls: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with the URLs of signals and what to do, a line each; "" for what can be used.

    `urls` are by signal, "" where it goes nowhere.
    """
    return {signal: _alone(signal, url) or _shared(signal, urls) for signal, url in urls.items() if url}


def _alone(signal: str, url: str) -> str:
    named, path = f"{URLS[signal]} is {shown(url)}", PATHS[signal]
    reason = _malformed(url)
    if reason:
        return f"{named}: {reason}; it is to be like http://localhost:4318{path}"
    parts = urlsplit(url)
    if parts.path in ("", "/") and not parts.query:
        return f"{named}: the path is missing; OTLP has {signal} at {path}, so append that"
    owner = _owner(parts.path)
    if owner not in ("", signal):
        return f"{named}: that is where {owner} go; give the URL that takes {signal}, as …{path}, or `none`"
    return ""


def _shared(signal: str, urls: Mapping[str, str]) -> str:
    """Return what is wrong with a URL that another signal has, too, unless its path says whose it is."""
    url = urls[signal]
    same = [URLS[other] for other, its in urls.items() if its == url]
    if len(same) == 1 or _owner(urlsplit(url).path) == signal:
        return ""
    return f"{' and '.join(same)} are the same URL, {shown(url)}: give each signal its own, or `none`"


def _malformed(url: str) -> str:
    """Return why a text is no URL of an endpoint, "" if it is one."""
    if not url.lower().startswith(("http://", "https://")):
        return "it does not begin with http:// or https://"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, _port(parts)
    except ValueError:
        return "it is no URL"
    if not host or not _HOST.fullmatch(host):
        return "it names no host"
    if port is None:
        return "its port is no number from 1 to 65535"
    return ""


def _port(parts: SplitResult) -> int | None:
    """Return the port, 0 where none is given; None for what is none."""
    try:
        port = parts.port
    except ValueError:
        return None
    return 0 if port is None else port or None


def _owner(path: str) -> str:
    """Return the signal whose path this is, "" where it does not tell."""
    path = path.rstrip("/")
    for signal, its in PATHS.items():
        if path.endswith(its):
            return signal
    if VICTORIA_LOGS in f"{path}/":
        return "logs"
    return "metrics" if path.endswith(_VICTORIA_METRICS) else ""


def shown(url: str) -> str:
    """Return a URL as it may be shown; of what is none only how long it is: it may be a password, mislaid."""
    if not url.lower().startswith(("http://", "https://")):
        return mask(url)
    return without_credentials(url) if "@" in url else re.split("[?#]", url, maxsplit=1)[0]
