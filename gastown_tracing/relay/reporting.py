"""The relay's metrics of itself, from what its parts say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gastown_tracing.relay.metrics import MetricsWorker

#: By what a worker's status calls it: the counter of what it has counted since it began.
_COUNTERS = {
    "sent": "gastown.relay.sent.total",
    "retries": "gastown.relay.retries.total",
    "rejected": "gastown.relay.rejected.total",
    "dead_letters": "gastown.relay.dead_letters.total",
    "repeated": "gastown.relay.duplicates_dropped.total",
    "skipped_lines": "gastown.relay.skipped_lines.total",
}
_BYTES, _LOST = "gastown.relay.journal_bytes", "gastown.relay.lost.total"


class Reporter:
    """Hands `metrics` what `status` says: {workers: {name: …}, receiver: …, keeper: …}, as each part has it.

    An endpoint is called by its signal. Of one that is not set nothing is said. `counted` keeps what was said
    before, for whoever takes this one's place.
    """

    def __init__(
        self,
        metrics: MetricsWorker,
        status: Callable[[], Mapping[str, Any]],
        counted: dict[tuple[str, str], float],
    ) -> None:
        self._metrics = metrics
        self._status = status
        self._counted = counted

    def __call__(self) -> None:
        """Say how it is now."""
        found = self._status()
        for name, told in found.get("workers", {}).items():
            self._worker(name, told)
        records = (found.get("receiver") or {}).get("records", {})
        for signal, count in records.items():
            self._count("gastown.relay.received.total", count, signal=signal)
        self._keeper(found.get("keeper") or {})

    def _keeper(self, told: Mapping[str, Any]) -> None:
        if told.get("journal_bytes") is not None:  # not measured yet
            self._metrics.gauge(_BYTES, told["journal_bytes"])
        self._reach(_LOST, told.get("lost_records"))

    def _worker(self, name: str, told: Mapping[str, Any]) -> None:
        if told.get("state") not in ("off", None) and "pending_bytes" in told:
            self._metrics.gauge("gastown.relay.pending", told["pending_bytes"], endpoint=name)
            self._metrics.gauge("gastown.relay.lag_ms", told.get("lag_ms") or 0, endpoint=name)
        for key, metric in _COUNTERS.items():
            if name != self._metrics.name:
                self._reach(metric, told.get(key), endpoint=name)
            elif key != "sent":  # to say it would be sent, too, and so on for ever
                self._count(metric, told.get(key), endpoint=name)
        for reason, count in told.get("dropped", {}).items():
            self._count("gastown.relay.left_out.total", count, reason=reason)

    def _reach(self, metric: str, count: object, **labels: str) -> None:
        """Let a counter be what was counted over the journal's whole life, as the series is."""
        if isinstance(count, int):
            more = count - self._metrics.counted(metric, **labels)
            if more > 0:
                self._metrics.count(metric, more, **labels)

    def _count(self, metric: str, count: object, **labels: str) -> None:
        """Add what has been counted since the last call; a part that began anew begins at 0."""
        if not isinstance(count, int):
            return
        (label,) = labels.values()
        key = metric, label
        before = self._counted.get(key, 0)
        self._counted[key] = count
        more = count - before if count >= before else count
        if more:
            self._metrics.count(metric, more, **labels)
