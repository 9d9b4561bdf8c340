"""What a probe is: it looks at something outside, and says what it found as plain data.

A probe measures nothing and writes nothing itself: `running.Runner` does, with whatever it returned. So a
probe can be tested, printed and kept over a restart without any telemetry.

    ProbeError   a source cannot be read
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gastown_tracing.events.schema import Value

#: What a probe has to know of its earlier polls: values that JSON can hold. None before the first one.
State = Mapping[str, object]


class ProbeError(Exception):
    """A source cannot be read.

    `reason` says why in a few words, without anything that the source said, because that may be content.
    `hint` says what to do about it.
    """

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement: of a metric of `events.metrics.METRICS`, with its labels."""

    metric: str
    value: float
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of `events.registry.EVENTS` that a poll found out about.

    `causes` are the (trace ID, span id) of spans that led to it.
    """

    event: str
    attributes: Mapping[str, Value]
    causes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """A source that could not be read: which one (a rig's name, "" where the probe has but one), and why."""

    source: str
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one poll found.

    `gauges` hold until the next poll, and what is not among them is absent until then. `values` go into
    histograms. `unread` are the sources that failed; what is said comes from the others. `state` is what the
    next poll is given.
    """

    gauges: tuple[Measured, ...] = ()
    values: tuple[Measured, ...] = ()
    events: tuple[Happened, ...] = ()
    unread: tuple[Unread, ...] = ()
    state: State = field(default_factory=dict)


class Probe(Protocol):
    """Something that can be looked at."""

    @property
    def name(self) -> str:
        """Return what it is called: the span is `probe.NAME`."""
        ...

    def poll(self, state: State | None) -> Reading:
        """Look once. `state` is what the last reading said, also one of an earlier process; None: no last.

        Raises ProbeError where there is nothing at all to say.
        """
        ...
