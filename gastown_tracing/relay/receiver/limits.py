"""How much the receiver takes: sizes, times and rates, so that no client fills memory or disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bytes, seconds and counts.

    `wire` and `unpacked` are a body's bytes as it comes and without its compression, `values` its records,
    attributes and whatever else takes memory of its own; one body is unpacked at a time. `in_flight` is what
    all bodies together may have that are being read. `idle` is how long a connection may wait for its next
    request, `head` how long a request's line and headers may take from their first byte, `body` its body. A
    rate is what comes back a second, a burst what may come at once.
    """

    wire: int = 8 << 20
    unpacked: int = 16 << 20
    values: int = 300_000
    in_flight: int = 16 << 20
    headers: int = 16 << 10
    connections: int = 256
    idle: float = 120.0
    head: float = 10.0
    body: float = 30.0
    byte_rate: float = 16 << 20
    byte_burst: float = 128 << 20
    request_rate: float = 500.0
    request_burst: float = 4000.0


class Bucket:
    """A token bucket: `burst` tokens at most, `rate` of them come back a second."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens, self._filled = burst, clock()

    def take(self, tokens: float) -> float:
        """Take tokens and return 0, or return the seconds until they are there and take none."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled) * self._rate)
        self._filled = now
        wanted = min(tokens, self._burst)
        if wanted > self._tokens:
            return (wanted - self._tokens) / self._rate
        self._tokens -= wanted
        return 0.0

    def give(self, tokens: float) -> None:
        """Put back tokens that were taken for nothing."""
        self._tokens = min(self._burst, self._tokens + tokens)
