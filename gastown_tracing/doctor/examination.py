"""All that `gt-trace doctor` looks at, in the order of its report."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gastown_tracing.config import NO_ENDPOINT, Config
from gastown_tracing.doctor import running
from gastown_tracing.doctor.check import Deadline
from gastown_tracing.doctor.clock import clock
from gastown_tracing.doctor.endpoints import endpoint
from gastown_tracing.doctor.journal import journal
from gastown_tracing.doctor.receiver import receiver
from gastown_tracing.doctor.relay import relay
from gastown_tracing.doctor.settings import settings
from gastown_tracing.doctor.tools import tools
from gastown_tracing.relay.settings import URLS, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.config import Telemetry
    from gastown_tracing.doctor.check import Check, Part


def examine(
    telemetry: Telemetry, env: Mapping[str, str], queries: Mapping[str, str] | None, seconds: float
) -> list[tuple[str, Check]]:
    """Return all checks, each with its group.

    `queries` are the bases of the query APIs by signal, "" to guess one; None: open no connection. What takes
    longer than `seconds` is given up.
    """
    deadline = Deadline(seconds)
    parts: list[tuple[str, Part]] = [
        ("settings", partial(settings, telemetry, env)),
        ("journal", partial(journal, telemetry)),
        ("clock", clock),
        ("relay", partial(relay, telemetry)),
    ]
    if queries is not None:
        parts.append(("receiver", partial(receiver, telemetry, deadline)))
        sent, kept = _endpoints(telemetry, env)
        for signal, name in URLS.items():
            off = sent.get(name).strip().lower() == NO_ENDPOINT
            given, query = sent.endpoint(signal), queries[signal]
            parts.append((signal, partial(endpoint, signal, given, query, deadline, said=kept, off=off)))
    parts += tools(telemetry.journal, env)
    return running.examine(parts, deadline)


def _endpoints(telemetry: Telemetry, env: Mapping[str, str]) -> tuple[Settings, bool]:
    """Return what the relay goes by, and True; where config.json names no endpoint, this environment's."""
    relays = Settings.read(telemetry.journal)
    if any(relays.endpoint(signal) for signal in URLS):
        return relays, True
    return Settings(Config(env)), False
