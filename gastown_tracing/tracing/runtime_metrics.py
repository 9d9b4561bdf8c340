"""Metrics of the process and of Python's runtime, from the moment that the process is long-lived.

They are those of opentelemetry-instrumentation-system-metrics, and `gastown.runtime.gc_pause_ms`. They have
a provider of their own: the program's instruments, and its own use of that instrumentation, are not touched.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from gastown_tracing.tracing import forking, metering
from gastown_tracing.tracing.metering import LONG_LIVED, PAUSES, GcPauses
from gastown_tracing.tracing.signals import SCOPE

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What is measured of the process. Its share of the processor is left out: it follows from the time, and the
#: first value is always 0.
_PROCESS: dict[str, list[str] | None] = {
    "process.context_switches": ["involuntary", "voluntary"],
    "process.cpu.time": ["user", "system"],
    "process.disk.io": ["read", "write"],
    "process.memory.usage": None,
    "process.memory.virtual": None,
    "process.open_file_descriptor.count": None,
    "process.thread.count": None,
}
#: What is measured of the interpreter, which counts on in a forked child: there nobody knows what is its own.
_INTERPRETER: dict[str, list[str] | None] = {
    "cpython.gc.collections": None,
    "cpython.gc.collected_objects": None,
    "cpython.gc.uncollectable_objects": None,
}

# A fork waits while modules are being loaded: the locks on them would stay taken in the child.
_loading = threading.RLock()
os.register_at_fork(
    before=_loading.acquire, after_in_parent=_loading.release, after_in_child=_loading.release
)


def wanted(env: Mapping[str, str]) -> bool:
    """Return whether OTEL_PYTHON_DISABLED_INSTRUMENTATIONS leaves these metrics on."""
    named = env.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    return not {"*", "system_metrics"} & {name.strip() for name in named}


class RuntimeMetrics:
    """The metrics of this process, between its making and `end()`.

    The instrumentation is loaded when the process has become long-lived: that takes half as long as loading
    the SDK.
    """

    _instrumentation: _Instrumentation | None = None

    def __init__(self) -> None:
        self._pauses = metering.pauses = GcPauses()
        self._pauses.start()
        self._begin({**_PROCESS, **_INTERPRETER})
        forking.tell(self)

    def collect(self) -> list[ScopeMetrics]:
        """Return what is measured now: nothing in a process that is not long-lived."""
        if time.monotonic() < self._due:
            return []
        found = [_of_pauses(self._pauses)] if any(map(any, self._pauses.counts)) else []
        if _is_done_by_program():
            return found
        if self._instrumentation is None:
            with _loading:
                self._instrumentation = _Instrumentation(self._metrics)
        return [*found, *self._instrumentation.collect()]

    def end(self) -> None:
        """Measure no more."""
        self._pauses.stop()
        if metering.pauses is self._pauses:
            metering.pauses = None
        if self._instrumentation is not None:
            self._instrumentation.end()

    def _begin(self, metrics: dict[str, list[str] | None]) -> None:
        self._due = time.monotonic() + LONG_LIVED
        self._metrics = metrics
        self._instrumentation = None

    def after_fork(self) -> None:
        """Measure anew what is the child's own."""
        self._begin(_PROCESS)


class _Instrumentation:
    """opentelemetry-instrumentation-system-metrics, measuring these metrics of this process."""

    def __init__(self, metrics: dict[str, list[str] | None]) -> None:
        from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor

        class Instrumentor(SystemMetricsInstrumentor):
            # An instrumentor is the only one of its class, and the class's own is the program's.
            _instance = None

        self._reader = InMemoryMetricReader()
        provider = MeterProvider((self._reader,), Resource.get_empty(), shutdown_on_exit=False)
        self._instrumentor = Instrumentor(config=metrics)
        self._instrumentor.instrument(meter_provider=provider, skip_dep_check=True)

    def collect(self) -> list[ScopeMetrics]:
        """Return what it measures now."""
        data = self._reader.get_metrics_data()
        return [scope for found in data.resource_metrics for scope in found.scope_metrics] if data else []

    def end(self) -> None:
        """Undo it."""
        self._instrumentor.uninstrument()


def _is_done_by_program() -> bool:
    """Return whether the program uses the instrumentation itself: its metrics would come twice."""
    module = sys.modules.get("opentelemetry.instrumentation.system_metrics")
    # Asking the class for its instance would make one, and so reset the program's.
    theirs = vars(module.SystemMetricsInstrumentor).get("_instance") if module else None
    return bool(theirs and theirs.is_instrumented_by_opentelemetry)


def _of_pauses(pauses: GcPauses) -> ScopeMetrics:
    now = time.time_ns()
    points = [
        HistogramDataPoint(
            attributes={"generation": str(generation)},
            start_time_unix_nano=pauses.started_ns,
            time_unix_nano=now,
            count=sum(counts),
            sum=pauses.sums[generation],
            bucket_counts=list(counts),
            explicit_bounds=PAUSES.buckets,
            min=pauses.shortest[generation],
            max=pauses.longest[generation],
        )
        for generation, counts in enumerate(pauses.counts)
        if any(counts)
    ]
    histogram = Histogram(points, AggregationTemporality.CUMULATIVE)
    return ScopeMetrics(
        InstrumentationScope(*SCOPE), [Metric(PAUSES.name, PAUSES.doc, "", histogram)], schema_url=""
    )
