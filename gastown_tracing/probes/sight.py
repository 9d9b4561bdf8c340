"""A reading of the merge queues as people and programs see it: one row a rig."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING

from gastown_tracing.view import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gastown_tracing.events.schema import Value
    from gastown_tracing.probes.probe import Reading

#: What stands for the rig of a town's own beads.
NO_RIG = "-"
_NANOSECONDS = 1_000_000


@dataclass(slots=True)
class Row:
    """What was seen of one rig at one time; None is what nobody knows.

    `depth` is how many items wait and `age_ms` how old the oldest is. `dispatched` are the attributes of the
    events. `error` says why the rig could not be read and `hint` what to do, both "" for one that was.
    """

    time_ns: int
    rig: str
    depth: int | None = None
    age_ms: float | None = None
    dispatched: list[Mapping[str, Value]] = field(default_factory=list)
    error: str = ""
    hint: str = ""

    def data(self) -> dict[str, object]:
        """Return the row as JSON can hold it, without what is not known."""
        when = text.moment(self.time_ns, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        found: dict[str, object] = {"time": when, "rig": self.rig}
        if self.error:
            return {**found, "error": self.error, "hint": self.hint}
        if self.depth is not None:
            found["queue_depth"] = self.depth
        if self.age_ms is not None:
            found["item_age_ms"] = self.age_ms
        return {**found, "dispatched": [_item(attributes) for attributes in self.dispatched]}


def rows(reading: Reading, time_ns: int) -> list[Row]:
    """Return what a reading says, a row for each rig that could be read and each that could not."""
    found: dict[str, Row] = {}

    def row(rig: object) -> Row:
        return found.setdefault(str(rig), Row(time_ns, str(rig)))

    for gauge in reading.gauges:
        row(gauge.labels["rig"]).depth = int(gauge.value)
    for value in reading.values:
        row(value.labels["rig"]).age_ms = value.value
    for event in reading.events:
        row(event.attributes.get("rig", "")).dispatched.append(event.attributes)
    failed = [Row(time_ns, one.source, error=one.reason, hint=one.hint) for one in reading.unread]
    return [*(found[rig] for rig in sorted(found)), *failed]


def lines(rows: Sequence[Row]) -> list[str]:
    """Return the rows as lines for a terminal, their columns aligned."""
    widest = max((text.width(_name(row)) for row in rows), default=0)
    return [_line(row, widest) for row in rows]


def _line(row: Row, widest: int) -> str:
    clock = f"{text.moment(row.time_ns):%H:%M:%S}"
    name = _name(row)
    parts = [clock, name + " " * (widest - text.width(name))]
    if row.error:
        parts.append(text.clean(f"cannot be read: {row.error}; {row.hint}".removesuffix("; ")))
        return "  ".join(parts)
    parts.append("" if row.depth is None else f"waiting {row.depth:<3}")
    age = "" if row.age_ms is None else f"oldest {_duration(row.age_ms)}"
    parts.append(f"{age:<15}")
    if row.dispatched:
        parts.append("dispatched " + ", ".join(map(_dispatch, row.dispatched)))
    return "  ".join(parts).rstrip()


def _name(row: Row) -> str:
    return text.clean(row.rig) or NO_RIG


def _dispatch(attributes: Mapping[str, Value]) -> str:
    waited = attributes.get("wait_ms")
    after = f" after {_duration(float(waited))}" if waited is not None else ""
    return text.clean(str(attributes["bead_id"])) + after


def _duration(milliseconds: float) -> str:
    return text.duration(round(milliseconds * _NANOSECONDS))


def _item(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if name != "rig"}
