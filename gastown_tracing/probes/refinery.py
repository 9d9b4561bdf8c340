"""The probe `refinery`: what waits in the merge queue of each rig, and what was taken from it.

A merge request is a bead with the label `gt:merge-request`. It is enqueued when it is made (`created_at`),
waits while it is open and has no assignee, and is dispatched when it gets one; `updated_at` says when, as
long as it is not closed. `gt refinery status --json` is not asked: it says 0 where it fails.

All rigs are read at one poll, because those of a town can share a database and then list the same beads.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gastown_tracing.probes.probe import Happened, Measured, ProbeError, Reading, Unread
from gastown_tracing.probes.queue import Item, Known, Memory, after, elapsed_ms, waited_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gastown_tracing.events.schema import Value
    from gastown_tracing.probes.bd import Bd
    from gastown_tracing.probes.probe import State
    from gastown_tracing.probes.rigs import Place

_LABEL = ("--label=gt:merge-request", "--limit=0", "--flat")
#: What is in the queue, taken or not.
QUEUE = ("list", "--json", "--status=open", *_LABEL)
#: What has changed lately, whatever has become of it: items that were taken and merged between two polls.
CHANGED = ("list", "--json", "--all", *_LABEL)
#: What has become of single items. `bd show` would do, but changes which bead bd takes for the last touched.
NAMED = ("list", "--json", "--all", "--limit=0", "--flat")

#: How much longer than since the last poll "lately" is: clocks step, and differ between machines.
WINDOW = timedelta(hours=1)
#: Items that one command line names.
_AT_ONCE = 100
#: What a bead's id looks like; others do not get onto a command line.
_BEAD_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")


def _no_cause(bead_id: str) -> tuple[str, str] | None:  # noqa: ARG001 # what a caller gives takes it
    return None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Refinery:
    """The merge queues of rigs, read in `places` by `bd`.

    `cause` returns the span (trace ID, span id) that enqueued a bead, None where it is not known; `now` the
    time, with a time zone.
    """

    name = "refinery"

    def __init__(
        self,
        places: Sequence[Place],
        bd: Bd,
        *,
        cause: Callable[[str], tuple[str, str] | None] = _no_cause,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._places = places
        self._names = {place.rig.casefold(): place.rig for place in places}
        self._bd = bd
        self._cause = cause
        self._now = now

    def poll(self, state: State | None) -> Reading:
        """Read every queue once. The first reading is a baseline: what was taken before is not reported."""
        poll = _Poll(Memory.of(state), self._now())
        unread = []
        for place in self._places:
            try:
                found = self._found(place, poll)
            except ProbeError as error:
                unread.append(Unread(place.rig or place.directory, error.reason, error.hint))
                poll.keep(place)
            else:
                poll.looked(place)
                for item in found:
                    poll.see(item, self._rig(item, place), place)
        queues = poll.queues()
        return Reading(
            gauges=tuple(_depth(rig, items) for rig, items in queues.items()),
            values=tuple(age for rig, items in queues.items() for age in _ages(rig, items, poll.now)),
            events=tuple(self._dispatch(poll, item, queues) for item in poll.dispatched),
            unread=tuple(unread),
            state=poll.now_known.data(),
        )

    def _found(self, place: Place, poll: _Poll) -> list[Item]:
        """Return all items of a place that matter. Raises ProbeError."""
        since = poll.since(place).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = {item.id: item for item in self._ask(place, *QUEUE)}
        found |= {item.id: item for item in self._ask(place, *CHANGED, f"--updated-after={since}")}
        vanished = [one for one in poll.expected(place) if one not in found and _BEAD_ID.fullmatch(one)]
        for first in range(0, len(vanished), _AT_ONCE):
            ids = vanished[first : first + _AT_ONCE]
            items = self._ask(place, *NAMED, f"--id={','.join(ids)}")
            found |= {item.id: item for item in items if item.id in ids}
        return list(found.values())

    def _ask(self, place: Place, *arguments: str) -> list[Item]:
        return [Item.of(bead) for bead in self._bd.items(place.directory, *arguments)]

    def _rig(self, item: Item, place: Place) -> str:
        """Return an item's rig, spelled as the rigs that are looked at; gt does not mind the case."""
        return self._names.get(item.rig.casefold(), item.rig) if item.rig else place.rig

    def _dispatch(self, poll: _Poll, item: Item, queues: Mapping[str, list[Item]]) -> Happened:
        rig = poll.now_known.items[item.id].rig
        attributes: dict[str, Value] = {"bead_id": item.id}
        if rig in queues:
            attributes["queue_depth"] = len(queues[rig])
        waited = waited_ms(poll.before.items.get(item.id), item, poll.now)
        if waited is not None:
            attributes["wait_ms"] = waited
        if rig:
            attributes["rig"] = rig
        cause = self._cause(item.id)
        return Happened("refinery.dispatch", attributes, (cause,) if cause else ())


class _Poll:
    """One poll under way: what was known `before`, what is `now_known`, and what is new."""

    def __init__(self, before: Memory, now: datetime) -> None:
        self.before = before
        self.now = now
        self.now_known = Memory()
        self.dispatched: list[Item] = []
        #: Rigs of which too little could be read to say how many items wait.
        self._unread: set[str] = set()
        self._seen: dict[str, Item] = {}

    def since(self, place: Place) -> datetime:
        """Return from when on changes are looked at: from before the last look, by this clock or that."""
        return min(self.now, self.before.looked.get(place.directory, self.now)) - WINDOW

    def expected(self, place: Place) -> list[str]:
        """Return the items that were in a place and had not ended."""
        items = self.before.items.items()
        return [
            bead_id for bead_id, known in items if known.directory == place.directory and not known.closed
        ]

    def looked(self, place: Place) -> None:
        """Note that a place could be read."""
        self.now_known.looked[place.directory] = self.now
        self.now_known.keep_ended(self.before, place.directory)
        for rig, directory in self.before.rigs.items():
            if directory == place.directory:
                self.now_known.add_rig(rig, directory)
        self.now_known.add_rig(place.rig, place.directory)

    def keep(self, place: Place) -> None:
        """Note that a place could not be read: what was known of it stays known."""
        self._unread.add(place.rig)
        if place.directory in self.before.looked:  # the clock may have stepped back since
            self.now_known.looked[place.directory] = min(self.now, self.before.looked[place.directory])
        for rig, directory in self.before.rigs.items():
            if directory == place.directory:
                self.now_known.add_rig(rig, directory)
                self._unread.add(rig)
        for bead_id, known in self.before.items.items():
            if known.directory == place.directory:
                self.now_known.items.setdefault(bead_id, known)
                self._unread.add(known.rig)

    def see(self, item: Item, rig: str, place: Place) -> None:
        """Take note of an item. Places that share a database list it twice."""
        if item.id in self._seen:
            return
        self._seen[item.id] = item
        known = self.before.items.get(item.id)
        phase = after(known, item)
        if phase == "taken" and self._is_new(known, item, place):
            self.dispatched.append(item)
        self.now_known.add(item.id, Known(rig, place.directory, phase, item.closed))
        self.now_known.add_rig(rig, place.directory)

    def _is_new(self, known: Known | None, item: Item, place: Place) -> bool:
        """Say whether an item with an assignee got it since the last poll.

        One that nobody knew was enqueued since, too; else it was there already, neither open nor changed.
        """
        if known is not None:
            return known.phase != "taken"
        if place.directory not in self.before.looked or item.created is None:
            return False
        return item.created > self.since(place)

    def queues(self) -> dict[str, list[Item]]:
        """Return the waiting items of each rig of which that is known."""
        found: dict[str, list[Item]] = {
            rig: [] for rig in sorted(self.now_known.rigs) if rig not in self._unread
        }
        for item in self._seen.values():
            queue = found.get(self.now_known.items[item.id].rig)
            if queue is not None and item.waits:
                queue.append(item)
        return found


def _depth(rig: str, waiting: Sequence[Item]) -> Measured:
    return Measured("gastown.refinery.queue_depth", len(waiting), {"rig": rig})


def _ages(rig: str, waiting: Sequence[Item], now: datetime) -> Iterator[Measured]:
    """Yield the age of the oldest waiting item, if there is one and it is known."""
    created = [item.created for item in waiting if item.created]
    age = elapsed_ms(min(created), now) if created else None
    if age is not None:
        yield Measured("gastown.refinery.item_age_ms", age, {"rig": rig})
