"""Tracers whose spans land in the run, whoever asks for them, and the ids that spans get."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import get_current
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import NoOpTracer, SpanKind

from gastown_tracing import context as place
from gastown_tracing.tracing import forking
from propagation.run import root_span_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, Tracer
    from opentelemetry.util.types import Attributes

    from gastown_tracing.tracing.otel import Runtime


class TownTracer(NoOpTracer):
    """A tracer for code that uses OpenTelemetry's own API: its spans land in the run and carry its identity.

    It follows whatever `init()` has set up at the moment, and is the API's no-op while telemetry is off.
    """

    def __init__(self, *scope: Any) -> None:
        self._scope = scope
        self._followed: Runtime | None = None
        self._tracer: Tracer = self

    def start_span(  # noqa: PLR0917 # the API's signature
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """Begin a span, under the current one if no `context` is given (see `opentelemetry.trace.Tracer`)."""
        active = place.runtime
        if active is None:
            return super().start_span(name, context, kind, attributes, links, start_time)
        if active is not self._followed:
            self._tracer, self._followed = sdk_tracer(active.provider, *self._scope), active
        run, where, found = active.placed(get_current() if context is None else context, links or ())
        return self._tracer.start_span(
            name,
            where if context is None else context,
            kind,
            {**run.common(), **(attributes or {})},
            found if context is None else links,
            start_time,
            record_exception,
            set_status_on_exception,
        )


class TownTracerProvider(TracerProvider):
    """The SDK's provider, whose tracers are `TownTracer`s."""

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> Tracer:
        """Return a tracer (see `opentelemetry.trace.TracerProvider`)."""
        return TownTracer(instrumenting_module_name, instrumenting_library_version, schema_url, attributes)

    def _handle_fork(self) -> None:
        # The SDK renews service.instance.id here, and has no public way to renew more.
        super()._handle_fork()
        self._update_resource(Resource({"process.pid": os.getpid()}))


def sdk_tracer(provider: trace.TracerProvider, *scope: Any) -> Tracer:
    """Return the SDK's own tracer for an instrumentation scope (the arguments of `get_tracer`)."""
    if isinstance(provider, TownTracerProvider):
        return TracerProvider.get_tracer(provider, *scope)
    return provider.get_tracer(*scope)


class Describing(SpanProcessor):
    """Puts run.id, the identity and the work on the spans of a provider that is not ours, as they begin."""

    def __init__(self, active: Runtime, scope: str) -> None:
        self._active = active
        self._scope = scope

    def on_start(self, span: sdk.Span, parent_context: Context | None = None) -> None:
        """Describe the span, unless it is one of our helpers', which has it all. What it has stays."""
        scope = span.instrumentation_scope
        if place.runtime is self._active and (scope is None or scope.name != self._scope):
            common = self._active.current_run(parent_context).common()
            present = span.attributes or {}
            span.set_attributes({name: value for name, value in common.items() if name not in present})


class RunIds(IdGenerator):
    """Random ids that never begin with the digit 0, because some stores drop leading zeros.

    The generator is its own, so that a program's `random.seed()` does not make ids come again, and is seeded
    anew in a forked child, so that parent and child do not give out the same ones.
    """

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311 # ids are no secrets
        forking.tell(self)

    def generate_span_id(self) -> int:
        """Return 64 random bits, the first four of them not all zero."""
        number = 0
        while not number >> 60:
            number = self._random.getrandbits(64)
        return number

    def generate_trace_id(self) -> int:
        """Return 128 random bits, the first four of them not all zero."""
        number = 0
        while not number >> 124:
            number = self._random.getrandbits(128)
        return number

    def is_trace_id_random(self) -> bool:
        """Return True: the 56 bits that W3C Trace Context Level 2 asks for are."""
        return True

    def after_fork(self) -> None:
        """Give out other ids than the parent."""
        self._random.seed()


class OneId(IdGenerator):
    """The ids of one span that are known beforehand: a run's root."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id

    def generate_span_id(self) -> int:
        """Return the id of the run's root span."""
        return int(root_span_id(self._run_id), 16)

    def generate_trace_id(self) -> int:
        """Return the run's trace ID."""
        return int(self._run_id, 16)

    def is_trace_id_random(self) -> bool:
        """Return True: a v4 UUID's last seven bytes are random."""
        return True
