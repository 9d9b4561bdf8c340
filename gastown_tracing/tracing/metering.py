"""What a process measures of itself: its totals, for its own root span, and pauses for garbage collection.

Nothing of OpenTelemetry is loaded here.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from bisect import bisect_left

from gastown_tracing.events.metrics import METRICS
from gastown_tracing.tracing.operation import LONG_NS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Seconds after which a process is long-lived. What lives shorter says less of itself: a series with a single
#: point tells nothing, and thousands of them cost a backend much.
LONG_LIVED = LONG_NS / 1e9

PAUSES = METRICS["gastown.runtime.gc_pause_ms"]
GENERATIONS = 3
_KIBIBYTE = 1024


class GcPauses:
    """The pauses for garbage collection since `start()`, in milliseconds: a histogram for each generation.

    They are counted here, not by an instrument: a collection can begin anywhere, also where this thread holds
    the lock of an instrument, and would wait for itself.
    """

    def __init__(self) -> None:
        self._began = 0
        self.clear()

    def start(self) -> None:
        """Begin to measure."""
        self.clear()
        gc.callbacks.append(self._observe)

    def stop(self) -> None:
        """Measure no more. A second call does nothing."""
        if self._observe in gc.callbacks:
            gc.callbacks.remove(self._observe)

    def clear(self) -> None:
        """Forget what has been measured."""
        #: When measuring began, in nanoseconds of the Unix epoch.
        self.started_ns = time.time_ns()
        #: By generation: how many pauses came up to each bound and not to the one before, the rest last.
        self.counts = [[0] * (len(PAUSES.buckets) + 1) for _ in range(GENERATIONS)]
        self.sums = [0.0] * GENERATIONS
        self.shortest = [float("inf")] * GENERATIONS
        self.longest = [0.0] * GENERATIONS

    def _observe(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter_ns()
        elif self._began:
            pause, self._began = (time.perf_counter_ns() - self._began) / 1e6, 0
            generation = min(info["generation"], GENERATIONS - 1)
            self.counts[generation][bisect_left(PAUSES.buckets, pause)] += 1
            self.sums[generation] += pause
            self.shortest[generation] = min(pause, self.shortest[generation])
            self.longest[generation] = max(pause, self.longest[generation])


#: The pauses that are being measured; None where nobody asked for it.
pauses: GcPauses | None = None

_collections_before = 0


def root_totals(span: Any, elapsed_ns: int) -> dict[str, float | int]:
    """Return the totals of this process for a span of the SDK that ends after `elapsed_ns`.

    Nothing unless it is the process's own root: it has no parent, or one in another process.
    """
    parent = getattr(span, "parent", None)
    return process_totals(elapsed_ns) if parent is None or parent.is_remote else {}


def process_totals(elapsed_ns: int) -> dict[str, float | int]:
    """Return processor time, memory and garbage collections of this process by now, as attributes.

    Nothing where what took `elapsed_ns` was not long-lived.
    """
    if elapsed_ns < LONG_NS:
        return {}
    import resource  # for the few spans that are roots

    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * _KIBIBYTE
    found: dict[str, float | int] = {
        "gastown.process.cpu_seconds": used.ru_utime + used.ru_stime,
        "gastown.process.memory_peak_bytes": peak,
        "gastown.process.gc_collections": _collections() - _collections_before,
    }
    if pauses is not None:
        found["gastown.process.gc_pause_ms"] = sum(pauses.sums)
    return found


def _collections() -> int:
    return sum([generation["collections"] for generation in gc.get_stats()])


def _after_fork() -> None:
    global _collections_before  # noqa: PLW0603 # what its parent collected is not a child's
    _collections_before = _collections()
    if pauses is not None:
        pauses.clear()


os.register_at_fork(after_in_child=_after_fork)
