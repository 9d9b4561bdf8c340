"""The relay's settings: config.json alone, because the relay is no part of anybody's environment."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.util.re import parse_env_headers

from gastown_tracing import config
from gastown_tracing.relay import addresses
from gastown_tracing.relay.mistakes import mistakes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.journal.layout import Journal

# It logs a header that it cannot understand as it is: a secret that lacks its name, as often as not.
logging.getLogger(parse_env_headers.__module__).disabled = True

#: The setting that says where a signal goes.
URLS = addresses.URLS

#: Seconds that a request may take.
DEFAULT_TIMEOUT = 10.0
GZIP = "gzip"
#: The values of OTEL_EXPORTER_OTLP_PROTOCOL that stand for OTLP/HTTP.
PROTOCOLS = ("http/json", "http/protobuf")

#: Where nobody names the fields of VictoriaLogs' streams, each process is one.
_STREAM_FIELDS = "vl-stream-fields"
_STREAMS = ("service.name", "gt.role", "gt.rig", "gt.agent")


@dataclass(frozen=True)
class Endpoint:
    """Where a signal goes, and how.

    `timeout` is in seconds. `compression` is `gzip` or "". `protocol` is `http/json`, `http/protobuf`, or ""
    to find out what it takes. The next three are the paths of PEM files, or "".

    `problem` is why nothing can be sent there and what to do, "" where it can: what is recorded waits.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = DEFAULT_TIMEOUT
    compression: str = ""
    protocol: str = ""
    certificate: str = ""
    client_key: str = ""
    client_certificate: str = ""
    problem: str = ""


class Settings:
    """What config.json says. `problems` are its values that cannot be used, in words."""

    def __init__(self, found: config.Config) -> None:
        self._config = found
        self.problems: list[str] = []
        urls = {signal: found.endpoint(name) for signal, name in URLS.items()}
        unusable = addresses.problems(urls)
        self._endpoints = {signal: self._endpoint(signal, url, unusable) for signal, url in urls.items()}
        self.problems = list(dict.fromkeys((*self.problems, *mistakes(found))))

    @classmethod
    def read(cls, journal: Journal) -> Settings:
        """Return the settings of a journal. What cannot be read counts as empty."""
        return cls(config.Config({}, journal.config_path))

    @property
    def file(self) -> dict[str, str]:
        """Return all that config.json sets: text by name."""
        return self._config.file

    def endpoint(self, signal: str) -> Endpoint | None:
        """Return where `traces`, `metrics` or `logs` go; None where they go nowhere."""
        return self._endpoints[signal]

    def get(self, name: str) -> str:
        """Return a setting: what config.json says, else its default."""
        return self._config.get(name)

    def flag(self, name: str) -> bool:
        """Return whether a setting is switched on."""
        return self._config.flag(name)

    def limit(self, name: str, default: int = 0) -> int:
        """Return a setting that is a number; `default` where nothing usable is set."""
        return self._config.limit(name, default)

    def _endpoint(self, signal: str, url: str, unusable: Mapping[str, str]) -> Endpoint | None:
        if not url:
            return None
        if unusable[signal]:
            self.problems.append(unusable[signal])
        return Endpoint(
            url,
            self._headers(signal, url),
            self._timeout(signal),
            self._one_of(signal, "COMPRESSION", (GZIP,), "none"),
            self._one_of(signal, "PROTOCOL", PROTOCOLS, ""),
            self._path(signal, "CERTIFICATE"),
            self._path(signal, "CLIENT_KEY"),
            self._path(signal, "CLIENT_CERTIFICATE"),
            unusable[signal],
        )

    def _given(self, signal: str, name: str) -> tuple[str, str]:
        """Return what is set, and by which name.

        OTEL_EXPORTER_OTLP_SIGNAL_NAME goes before OTEL_EXPORTER_OTLP_NAME (OTLP specification).
        """
        prefix = config.EXPORTER_PREFIX
        own, general = f"{prefix}{signal.upper()}_{name}", f"{prefix}{name}"
        found = own if self._config.get(own) else general
        return found, self._config.get(found).strip()

    def _headers(self, signal: str, url: str) -> dict[str, str]:
        variable, given = self._given(signal, "HEADERS")
        found = dict(parse_env_headers(given, liberal=True))
        if len(found) < sum(bool(part.strip()) for part in given.split(",")):
            self.problems.append(f"{variable}: a header is given twice or is not NAME=VALUE")
        if addresses.VICTORIA_LOGS in url and _STREAM_FIELDS not in found:  # whose names are in lower case
            found[_STREAM_FIELDS] = ",".join(_STREAMS)
        return found

    def _timeout(self, signal: str) -> float:
        """Return seconds; the setting has milliseconds (OTLP exporter, "Configuration Options")."""
        variable, text = self._given(signal, "TIMEOUT")
        if not text:
            return DEFAULT_TIMEOUT
        if text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0:
            return int(text) / 1000
        self.problems.append(f"{variable} is no number of milliseconds: {text!r}")
        return DEFAULT_TIMEOUT

    def _one_of(self, signal: str, name: str, known: tuple[str, ...], nothing: str) -> str:
        variable, text = self._given(signal, name)
        text = text.lower()
        if text and text not in (*known, nothing):
            self.problems.append(f"{variable} is none of {', '.join(known)}: {text!r}")
        return text if text in known else ""

    def _path(self, signal: str, name: str) -> str:
        variable, path = self._given(signal, name)
        if path and not os.path.isfile(path):
            self.problems.append(f"{variable}: there is no file {path!r}")
        return path
