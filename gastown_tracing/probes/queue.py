"""What is known of a merge queue from poll to poll: which items wait, which were taken, what is new.

Nothing here asks anybody: items come in, dispatches come out, and the memory goes into JSON and back.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, cast

from gastown_tracing.probes.rigs import is_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gastown_tracing.probes.probe import State

    #: waiting: nobody has taken it yet. taken: it has an assignee, or ended with one. released: it had one.
    Phase = Literal["waiting", "taken", "released"]

_PHASES = ("waiting", "taken", "released")
#: Rigs that are remembered: they are labels, and descriptions can say anything.
_RIGS_KEPT = 100
#: Items that are remembered after their end, for each directory, so that none is reported again.
_ENDED_KEPT = 500
#: The longest name that a directory can have, and so a rig.
_LONGEST_NAME = 255
#: What was before this was at no known time: Go's zero time, for instance.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Item:
    """A merge request as bd shows it. `rig` is what its description says, "" for nothing."""

    id: str
    rig: str
    status: str
    assignee: str
    created: datetime | None
    updated: datetime | None

    @classmethod
    def of(cls, bead: Mapping[str, object]) -> Item:
        """Return the item that one of bd's objects describes; what cannot be read in it is unknown."""
        return cls(
            id=str(bead["id"]),
            rig=_rig(_text(bead, "description")),
            status=_text(bead, "status"),
            assignee=_text(bead, "assignee"),
            created=parse_time(_text(bead, "created_at")),
            updated=parse_time(_text(bead, "updated_at")),
        )

    @property
    def waits(self) -> bool:
        """Whether it is in the queue and nobody has taken it."""
        return self.status == "open" and not self.assignee

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self.status == "closed"


@dataclass(slots=True)
class Known:
    """What is remembered of an item: its rig, the directory that it was read in, what has become of it."""

    rig: str
    directory: str
    phase: Phase
    closed: bool

    def data(self) -> dict[str, object]:
        """Return it as JSON can hold it."""
        return {"rig": self.rig, "dir": self.directory, "phase": self.phase, "closed": self.closed}

    @classmethod
    def of(cls, data: object) -> Known | None:
        """Return what `data()` gave, None for anything else."""
        if not isinstance(data, dict) or data.get("phase") not in _PHASES:
            return None
        phase = cast("Phase", data["phase"])
        return cls(str(data.get("rig", "")), str(data.get("dir", "")), phase, bool(data.get("closed")))


class Memory:
    """What is known from earlier polls.

    `looked` says when each directory was read last, `items` what is known by the bead's id, and `rigs` in
    which directory each rig was found, so that an empty queue is known to be empty.
    """

    def __init__(self) -> None:
        self.looked: dict[str, datetime] = {}
        self.items: dict[str, Known] = {}
        self.rigs: dict[str, str] = {}

    @classmethod
    def of(cls, state: State | None) -> Memory:
        """Return what `data()` gave; what cannot be read in it is not known."""
        memory = cls()
        for directory, text in _members(state, "looked"):
            when = parse_time(text) if isinstance(text, str) else None
            if when is not None:
                memory.looked[directory] = when
        for bead_id, data in _members(state, "items"):
            known = Known.of(data)
            if known is not None:
                memory.items[bead_id] = known
        memory.rigs = {rig: text for rig, text in _members(state, "rigs") if isinstance(text, str)}
        return memory

    def data(self) -> State:
        """Return it as JSON can hold it."""
        return {
            "looked": {directory: when.isoformat() for directory, when in self.looked.items()},
            "items": {bead_id: known.data() for bead_id, known in self.items.items()},
            "rigs": self.rigs,
        }

    def keep_ended(self, before: Memory, directory: str) -> None:
        """Take over the items of a directory that had ended before, the latest of them."""
        ended = [
            (bead_id, known)
            for bead_id, known in before.items.items()
            if known.closed and known.directory == directory
        ]
        self.items.update(ended[-_ENDED_KEPT:])

    def add(self, bead_id: str, known: Known) -> None:
        """Remember an item, as the latest."""
        self.items.pop(bead_id, None)
        self.items[bead_id] = known

    def add_rig(self, rig: str, directory: str) -> None:
        """Remember where a rig was found; the one that was found least lately is forgotten."""
        self.rigs.pop(rig, None)
        self.rigs[rig] = directory
        if len(self.rigs) > _RIGS_KEPT:
            del self.rigs[next(iter(self.rigs))]


def after(known: Known | None, item: Item) -> Phase:
    """Return what has become of an item, from what was known of it and what bd shows now."""
    if item.assignee:
        return "taken"
    return "waiting" if known is None or known.phase == "waiting" else "released"


def waited_ms(known: Known | None, item: Item, now: datetime) -> float | None:
    """Return how long an item that was taken has waited, in milliseconds, None where nobody knows.

    A closed item's last change is its end. One that was released and taken again has not waited all the time.
    """
    if item.closed or item.created is None or item.updated is None or (known and known.phase == "released"):
        return None
    if item.updated > now + timedelta(seconds=1):  # bd rounds to whole seconds
        return None
    return elapsed_ms(item.created, item.updated)


def elapsed_ms(start: datetime | None, end: datetime) -> float | None:
    """Return the milliseconds between two times; None where they are not known or in the wrong order."""
    if start is None or end < start:
        return None
    return (end - start) / _MILLISECOND


def parse_time(text: str) -> datetime | None:
    """Return a time as bd writes it: RFC 3339, with a fraction of any length; None where it is none."""
    found = None
    with contextlib.suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(text)
    if found is None or found.tzinfo is None or found < _EPOCH:
        return None
    return found


def _members(state: State | None, name: str) -> Iterable[tuple[str, object]]:
    members = (state or {}).get(name)
    return members.items() if isinstance(members, dict) else ()


def _text(bead: Mapping[str, object], name: str) -> str:
    value = bead.get(name)
    return value if isinstance(value, str) else ""


def _rig(description: str) -> str:
    """Return what the line `rig: NAME` says; of several the last one counts, as it does in gt."""
    found = ""
    for line in description.split("\n"):
        key, _, value = line.partition(":")
        if key.strip().lower() == "rig":
            found = value.strip() or found
    return found if len(found) <= _LONGEST_NAME and is_name(found) else ""
