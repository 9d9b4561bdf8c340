"""The SDK's OTLP/HTTP exporters, set up from an environment that need not be the process's own."""

from __future__ import annotations

import math
import netrc  # noqa: F401 # requests loads it with the first request, and a fork meanwhile would leave it locked
import os
import warnings
from typing import TYPE_CHECKING, Any, Protocol

with warnings.catch_warnings():
    # What it says at its import about versions that are newer than itself is not the host's.
    warnings.filterwarnings("ignore", "urllib3 .* doesn't match a supported version", module="requests")
    import requests

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.util.re import parse_env_headers

from gastown_tracing import config
from gastown_tracing.tracing.exporting import exporting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gastown_tracing.tracing.exporting import Note

TRACES, METRICS, LOGS = "TRACES", "METRICS", "LOGS"
#: The setting that says where a signal goes.
URLS = {TRACES: config.TRACES_URL, METRICS: config.METRICS_URL, LOGS: config.LOGS_URL}

#: Seconds that a request may take, all its attempts together.
DEFAULT_TIMEOUT = 10.0
_COMPRESSIONS = {found.value: found for found in Compression}


class _Exporter(Protocol):
    """What the exporters of the three signals have in common."""

    def export(self, batch: Any, /) -> Any: ...

    def shutdown(self) -> None: ...


class Endpoint:
    """Where one signal goes. What fails becomes a line: how much did not get where.

    A forked child opens connections of its own: the bytes of two processes on one connection are nobody's
    request.
    """

    def __init__(self, signal: str, url: str, env: Mapping[str, str], note: Note) -> None:
        self.closed = False
        self._make = _maker(signal, url, options(env, signal, note), env)
        self._exporter = self._make()
        self._pid = os.getpid()
        # An exporter that was inherited is left alone: closing it takes locks that the fork may have found
        # taken.
        self._inherited: list[_Exporter] = []
        self._name = URLS[signal]
        self._note = note

    def send(self, data: Any, amount: str) -> bool:
        """Export a batch; return whether it got there. `amount` says in words what it is."""
        if self._pid != os.getpid():
            self._inherited.append(self._exporter)
            self._exporter, self._pid = self._make(), os.getpid()
        with exporting():
            result: str = self._exporter.export(data).name  # of an enumeration of each signal's own
        if result != "SUCCESS" and not self.closed:
            self._note(f"{amount} not sent to {self._name}")
        return result == "SUCCESS"

    def close(self) -> None:
        """Send nothing more, and give up what is waiting for another attempt. A second call does nothing."""
        if not self.closed and self._pid == os.getpid():
            with exporting():
                self._exporter.shutdown()
        self.closed = True


def options(env: Mapping[str, str], signal: str, note: Note) -> dict[str, Any]:
    """Return the keywords of an exporter of one signal that OTEL_EXPORTER_OTLP_* of `env` stand for.

    The variables of the signal (OTEL_EXPORTER_OTLP_LOGS_HEADERS) go before the general ones (OpenTelemetry
    Protocol Exporter, "Configuration Options"). Each keyword has a value where there is one to fall back to,
    so that the exporter does not look into `os.environ`.
    """

    def given(name: str) -> str:
        prefix = config.EXPORTER_PREFIX
        return (env.get(f"{prefix}{signal}_{name}") or env.get(f"{prefix}{name}") or "").strip()

    return {
        "headers": dict(parse_env_headers(given("HEADERS"), liberal=True)),
        "timeout": _timeout(given("TIMEOUT"), note),
        "compression": _compression(given("COMPRESSION"), note),
        "certificate_file": given("CERTIFICATE") or None,
        "client_key_file": given("CLIENT_KEY") or None,
        "client_certificate_file": given("CLIENT_CERTIFICATE") or None,
    }


def _timeout(text: str, note: Note) -> float:
    # In seconds, as the SDK for Python has it.
    try:
        seconds = float(text or DEFAULT_TIMEOUT)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        note(f"no usable timeout of OTLP in seconds: {text!r}")
        return DEFAULT_TIMEOUT
    return seconds


def _compression(text: str, note: Note) -> Compression:
    found = _COMPRESSIONS.get(text.lower() or Compression.NoCompression.value)
    if found is None:
        note(f"no usable compression of OTLP: {text!r}")
    return found or Compression.NoCompression


def _maker(
    signal: str, url: str, keywords: dict[str, Any], env: Mapping[str, str]
) -> Callable[[], _Exporter]:
    exporter = _exporter_of(signal)
    names = [f"{config.EXPORTER_PREFIX}{part}HEADERS" for part in ("", f"{signal}_")]
    strangers = any(os.environ.get(name) not in {None, env.get(name)} for name in names)

    def make() -> _Exporter:
        session = _Session() if keywords["certificate_file"] and not _has_credentials() else None
        made: _Exporter = exporter(url, **keywords, session=session)
        if strangers:
            # The exporter adds the headers of `os.environ` to those it is given, and nothing public takes
            # them away: another endpoint's keys, where `init(env=…)` is not the process's environment.
            client = made._client  # type: ignore[attr-defined]  # noqa: SLF001 # see above
            ours = keywords["headers"].keys() | {"content-type", "user-agent", "content-encoding"}
            kept = {name: value for name, value in client._headers.items() if name.lower() in ours}  # noqa: SLF001
            client._headers = kept  # noqa: SLF001
        return made

    return make


class _Session(requests.Session):
    """A session whose certificate goes before REQUESTS_CA_BUNDLE, which otherwise beats a session's own."""

    def merge_environment_settings(self, *args: Any) -> Any:
        """Return the settings of one request."""
        return {**super().merge_environment_settings(*args), "verify": self.verify}


def _has_credentials() -> bool:
    """Return whether a package is named that makes sessions with credentials for the exporters."""
    prefix, suffix = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_", "CREDENTIAL_PROVIDER"
    return any(name.startswith(prefix) and name.endswith(suffix) for name in os.environ)


def _exporter_of(signal: str) -> type[Any]:
    """Return the SDK's exporter. Loaded here, because those who have a journal do without."""
    if signal == TRACES:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter
    if signal == METRICS:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    return OTLPLogExporter
