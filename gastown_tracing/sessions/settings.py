"""What of an environment goes into a journal's config.json, for the relay, which reads nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gastown_tracing.config import URLS
from gastown_tracing.sessions.receiver import RECEIVER

if TYPE_CHECKING:
    from collections.abc import Mapping

EXPORTER_PREFIX = "OTEL_EXPORTER_OTLP_"


def copied(env: Mapping[str, str]) -> dict[str, str]:
    """Return GT_OTEL_*_URL and OTEL_EXPORTER_OTLP_* of an environment, but no way to the receiver.

    In a session these point to the receiver; copied, the relay would send to itself.
    """
    receiver = env.get(RECEIVER, "")
    found = {name: value for name, value in env.items() if name in URLS or name.startswith(EXPORTER_PREFIX)}
    if not receiver:
        return {name: value for name, value in found.items() if value}
    # The protocol and headers beside a receiver's address are the receiver's too.
    diverted = any(
        value.startswith(receiver) for name, value in found.items() if name.startswith(EXPORTER_PREFIX)
    )
    return {
        name: value
        for name, value in found.items()
        if value and not value.startswith(receiver) and not (diverted and name.startswith(EXPORTER_PREFIX))
    }
