"""Sending metrics: what the instruments of this process add up to, every minute and at its end."""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING

from opentelemetry import metrics
from opentelemetry.metrics._internal import _ProxyMeterProvider  # nothing public tells that none is set
from opentelemetry.sdk.metrics import (
    AlwaysOffExemplarFilter,
    AlwaysOnExemplarFilter,
    MeterProvider,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.resources import Resource

from gastown_tracing.setup import SHUTDOWN_TIMEOUT
from gastown_tracing.tracing import forking
from gastown_tracing.tracing.endpoints import METRICS, Endpoint
from gastown_tracing.tracing.exporting import programs_turn
from gastown_tracing.tracing.runtime_metrics import RuntimeMetrics, wanted
from gastown_tracing.tracing.sending import Sender, positive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk.metrics import ExemplarFilter
    from opentelemetry.sdk.metrics.export import Metric
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from gastown_tracing.tracing.exporting import Note


class Collector(MetricReader):
    """Reads the instruments of one provider, cumulatively, when it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self._found: list[ResourceMetrics] = []
        #: What a flush of the provider does; given by whoever sends.
        self.flush: Callable[[float], bool] = lambda _: True

    def read(self, timeout: float) -> list[ResourceMetrics]:
        """Return what the instruments say now. Raises what the SDK raises when `timeout` seconds are over."""
        self._found = []
        self.collect(timeout * 1000)
        return self._found

    def _receive_metrics(self, metrics_data: MetricsData, *_: object, **__: object) -> None:
        self._found = list(metrics_data.resource_metrics)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Send now; return whether that was done in time."""
        return self.flush(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000, **_: object) -> None:
        """Do nothing: whoever sends has an end of its own."""


class TownMeterProvider(MeterProvider):
    """The SDK's provider, which goes on from one `init()` to the next, because the global one is set once.

    What its instruments have added up is forgotten when it begins anew, and in a forked child.
    """

    def __init__(self, resource: Resource, exemplars: ExemplarFilter) -> None:
        super().__init__((), resource, exemplars, shutdown_on_exit=False)
        self._collector: Collector | None = None
        forking.tell(self)

    def begin(self, resource: Resource) -> Collector:
        """Return what reads the instruments from now on, as this resource's."""
        self.end()
        self._sdk_config.resource = resource  # the SDK has no public way to describe a process anew
        self._collector = Collector()
        self.add_metric_reader(self._collector)
        return self._collector

    def end(self) -> None:
        """Let the instruments add up nothing more."""
        collector, self._collector = self._collector, None
        if collector is not None:
            self.remove_metric_reader(collector)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Send now; return whether that was done in time."""
        return self._collector is None or self._collector.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = SHUTDOWN_TIMEOUT * 1000) -> None:
        """Send now: the program may end us, and `init()` may begin anew."""
        self.force_flush(timeout_millis)

    def _handle_fork(self) -> None:
        # The SDK renews service.instance.id here, and has no public way to renew more.
        super()._handle_fork()
        self._update_resource(Resource({"process.pid": os.getpid()}))

    def after_fork(self) -> None:
        """Forget what the parent has added up, before a thread of the child reads it."""
        consumer = self._measurement_consumer
        consumer._lock = Lock()  # noqa: SLF001 # a thread of the parent may have held it
        if self._collector is not None:
            consumer.remove_metric_reader(self._collector)
            consumer.add_metric_reader(self._collector)  # with a storage that is empty, and its locks free


class Measurements(Sender):
    """Sends what collectors read, and what the runtime measures of itself, to the endpoint for metrics.

    `collector` reads our instruments, `program` those of the program: in a request of its own afterwards, so
    that a callback of the program's that takes long, or for ever, keeps only its own metrics from being sent.
    `theirs`: the program's are on a provider that it has set up. They are read only here, not in a forked
    child, because that provider goes on adding to what its parent had.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        env: Mapping[str, str],
        note: Note,
        collector: Collector,
        resource: Callable[[], Resource],
    ) -> None:
        self.runtime: RuntimeMetrics | None = None
        self.program: Collector | None = None
        self.theirs = False
        self._collector = collector
        self._resource = resource
        self._timeout = positive(env, "OTEL_METRIC_EXPORT_TIMEOUT", 30_000, note) / 1000
        interval = positive(env, "OTEL_METRIC_EXPORT_INTERVAL", 60_000, note) / 1000
        super().__init__("metrics", interval, endpoint, note)

    def send(self) -> bool:
        """Send what has been measured until now."""
        sent = self._send(self._collector.read(self._timeout) + self._of_runtime())
        if self.program is not None:
            with programs_turn():
                found = self.program.read(self._timeout)
            sent = self._send(found) and sent
        return sent

    def _send(self, found: list[ResourceMetrics]) -> bool:
        return not found or self._endpoint.send(merged(found), "metrics")

    def _of_runtime(self) -> list[ResourceMetrics]:
        try:
            own = self.runtime.collect() if self.runtime else []
        except Exception as error:  # the program's own metrics do not depend on it
            self._note(f"the process does not measure itself: {error!r}")
            self.runtime, own = None, []
        return [ResourceMetrics(self._resource(), own, "")] if own else []

    def after_fork(self) -> None:
        """Read what is this process's own alone."""
        if self.theirs:
            self.program = None
        super().after_fork()


_FILTERS = {"always_on": AlwaysOnExemplarFilter, "always_off": AlwaysOffExemplarFilter}


def exemplar_filter(env: Mapping[str, str]) -> ExemplarFilter:
    """Return the filter that OTEL_METRICS_EXEMPLAR_FILTER names, by default `trace_based`."""
    named = env.get("OTEL_METRICS_EXEMPLAR_FILTER", "").strip().lower()
    return _FILTERS.get(named, TraceBasedExemplarFilter)()


def merged(found: Sequence[ResourceMetrics]) -> MetricsData:
    """Return the same metrics with each resource once, and in it each scope once.

    The SDK's encoder takes that for granted, and drops all but the last.
    """
    resources: dict[Resource, dict[InstrumentationScope, list[Metric]]] = {}
    for part in found:
        scopes = resources.setdefault(part.resource, {})
        for scope in part.scope_metrics:
            scopes.setdefault(scope.scope, []).extend(scope.metrics)
    return MetricsData(
        [
            ResourceMetrics(
                resource,
                [ScopeMetrics(scope, metrics, scope.schema_url or "") for scope, metrics in scopes.items()],
                resource.schema_url,
            )
            for resource, scopes in resources.items()
        ]
    )


class Metrics:
    """The metrics of this process: the provider of our instruments, and what sends them, until `shutdown()`.

    The program's instruments have a provider of their own: the one that it has set up, whose metrics go to
    our endpoint as well as to its own, else one of ours, which goes on from one `init()` to the next. The
    resource is the one of `tracers`.
    """

    def __init__(
        self,
        url: str,
        env: Mapping[str, str],
        note: Note,
        tracers: TracerProvider,
        *,
        runtime_metrics: bool,
    ) -> None:
        resource, exemplars = tracers.resource, exemplar_filter(env)
        self.provider = TownMeterProvider(resource, exemplars)
        present = metrics.get_meter_provider()
        if isinstance(present, _ProxyMeterProvider):
            present = TownMeterProvider(resource, exemplars)
            metrics.set_meter_provider(present)
        self._program = present if isinstance(present, MeterProvider) else None
        self._runtime = RuntimeMetrics() if runtime_metrics and wanted(env) else None
        # After all that it reads: so it is in a forked child, too.
        own = self.provider.begin(resource)
        self.sender = Measurements(
            Endpoint(METRICS, url, env, note),
            env,
            note,
            own,
            lambda: tracers.resource,
        )
        own.flush = self.sender.flush
        self.sender.runtime = self._runtime
        if isinstance(present, TownMeterProvider):
            self.sender.program = present.begin(resource)
            self.sender.program.flush = self.sender.flush
        elif self._program is not None:
            self._theirs = self.sender.program = Collector()
            self.sender.theirs = True
            self._program.add_metric_reader(self._theirs)

    def shutdown(self) -> None:
        """Measure nothing more."""
        if self._runtime is not None:
            self._runtime.end()
        if self.sender.late:
            return  # its thread may be reading for ever, with locks that taking a reader away would wait for
        self.provider.end()
        if isinstance(self._program, TownMeterProvider):
            self._program.end()
        elif self._program is not None and self.sender.program is not None:
            self._program.remove_metric_reader(self._theirs)
