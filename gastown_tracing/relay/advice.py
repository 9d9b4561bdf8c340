"""What to do about an endpoint, by what it answered: for `gt-trace relay status` and the doctor."""

from __future__ import annotations

import re

#: By what stands in an error; the first that fits.
_ADVICE = (
    (
        ("wrong version number", "wrong_version_number", "record layer failure", "packet length too long"),
        "the endpoint speaks http: use http:// in {variable}",
    ),
    (("http request to an https",), "the endpoint speaks https: use https:// in {variable}"),
    (("401", "403"), "check OTEL_EXPORTER_OTLP_HEADERS in config.json"),
    (("404", "405", "web page", "moved to"), "check the path of {variable} in config.json"),
    (("429",), "the backend takes less than there is; it is tried again"),
    (("certificate", "ssl", "tls"), "check OTEL_EXPORTER_OTLP_CERTIFICATE in config.json"),
    (("refused", "errno 111"), "nothing listens there: start the backend, or set {variable} in config.json"),
    (("resolve", "resolution", "not known", "unreachable"), "check the host of {variable} in config.json"),
    (("no answer", "timed out"), "the backend does not answer in time: look at its own log"),
    (("500", "502", "503", "504"), "the backend is not well: look at its own log"),
)
#: Ports and paths are no status.
_URL = re.compile(r"https?://\S+")


def advice(message: str, variable: str) -> str:
    """Return what to do about an error, "" where nothing is known; `variable` sets the endpoint."""
    said = _URL.sub("", message).lower()
    found = next((advice for signs, advice in _ADVICE if any(sign in said for sign in signs)), "")
    return found.format(variable=variable)
