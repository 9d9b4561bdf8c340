"""The sessions of a town that live, and the disks they fill: what the relay's gauges of them say."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gastown_tracing.relay.sources import LOGS, TRACES

if TYPE_CHECKING:
    from gastown_tracing.journal.reader import Run
    from gastown_tracing.relay.metrics import MetricsWorker
    from gastown_tracing.relay.sources import Place, Sources

_LIVE, _IDLE, _FREE = "gastown.sessions.live", "gastown.session.idle_ms", "gastown.town.disk_free_bytes"


class Living(NamedTuple):
    """A session that lives: its run, what it is called, the root of its town; "" where that is unknown."""

    trace_id: str
    session: str
    role: str
    rig: str
    town: str


def living(run: Run) -> Living:
    """Return what is said of the session of a run."""
    names = ("session", "role", "rig", "town_root")
    return Living(run.trace_id, *(str(run.info.get(name) or "") for name in names))


class Census:
    """Sets `metrics`' gauges of the sessions that `live` returns; None: nobody has looked yet.

    `sources` knows when a run's files last changed. `root` is the journal's. `now` is the clock, in ns of the
    Unix epoch.
    """

    def __init__(
        self,
        metrics: MetricsWorker,
        live: Callable[[], Sequence[Living] | None],
        sources: Sources,
        root: str,
        now: Callable[[], int],
    ) -> None:
        self._metrics = metrics
        self._live = live
        self._sources = sources
        self._root = root
        self._now = now
        #: What has been said to live: where none of it is left that is 0, not unknown.
        self._kinds: set[tuple[str, str]] = set()
        self._towns: set[str] = set()

    def __call__(self) -> None:
        """Say how it is now."""
        found = self._live()
        if found is not None:
            self._count(found)
            for one in found:
                self._idle(one)
            self._towns.update(one.town for one in found if one.town)
        for path in (self._root, *self._towns):
            with contextlib.suppress(OSError):
                disk = os.statvfs(path)
                self._metrics.gauge(_FREE, disk.f_bavail * disk.f_frsize, path=path)

    def _count(self, found: Sequence[Living]) -> None:
        counts = Counter((one.role, one.rig) for one in found)
        self._kinds.update(counts)
        for role, rig in self._kinds:
            self._metrics.gauge(_LIVE, counts[role, rig], role=role, rig=rig)

    def _idle(self, one: Living) -> None:
        place = self._sources.place(f"runs/{one.trace_id}")
        last = _last(place) if place is not None else 0
        if last:
            idle = max(0.0, (self._now() - last) / 1e6)
            self._metrics.gauge(_IDLE, idle, session=one.session, role=one.role, rig=one.rig)


def _last(place: Place) -> int:
    """Return when the last record was written, in ns of the Unix epoch; 0 where there is none."""
    files = place.files.copy()  # another thread changes it
    return max((files[name][2] for name in (TRACES, LOGS) if name in files), default=0)
