"""The one way from an event of the data model to what is recorded of it: span, log record, metrics.

Nothing in here raises into the host, and while telemetry is off nothing is loaded or done. What is wrong with
an event (an unknown name, a value of another type than the registry's) is a line of `Provider.errors`.
"""

from __future__ import annotations

from gastown_tracing import context as place
from gastown_tracing.events.metrics import METRICS
from gastown_tracing.events.outcomes import completion, exit_meaning
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.semconv import OTHER, PARTICULAR, PROGRAMS, span_attributes, span_kind, span_name
from gastown_tracing.events.values import derived, filled, recordable
from gastown_tracing.tracing.operation import text_of
from propagation.work import ATTRIBUTES, WorkContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link

    from gastown_tracing.events.schema import Event, Value
    from gastown_tracing.tracing.otel import Run, Runtime

_BD_CALL = EVENTS["bd.call"]
#: The keyword of an attribute that no event has: it is for spans alone.
PID = "process_pid"
#: Nanoseconds that an event lasts at most, so that its end is a time that OTLP can say: 146 years.
_LONGEST = float(1 << 62)


def record(name: str, /, *, error: str = "", **attributes: object) -> None:
    """Record one event at once, as the package's `record` does, which is this where telemetry is on."""
    active = place.runtime
    if active is None:
        return
    try:
        event = EVENTS.get(name)
        if event is None:
            active.note(f"unknown event: {name}")
        elif not event.gate or active.settings.flag(event.gate):
            _record(active, event, attributes, _failure(active, event, error))
    except Exception as broken:  # the host must not notice
        active.note(f"event {name} not recorded: {broken!r}")


def measure(metric: str, value: float, /, **labels: str) -> None:
    """Measure one of the metrics that no event feeds (`registry.METRICS`), in the current span's context.

    For probes and the relay. A label that is "" is left out.
    """
    active = place.runtime
    if active is None:
        return
    try:
        found = METRICS.get(metric)
        if found is None:
            active.note(f"unknown metric: {metric}")
            return
        unknown = sorted(labels.keys() - set(found.label_names()))
        if unknown:
            active.note(f"{metric} has no label {unknown[0]}")
        _, where, _ = active.placed(active.get_current(), ())
        known = {label: labels[label] for label in found.labels if labels.get(label)}
        active.outlet.measure(found, value, known, where)
    except Exception as broken:  # the host must not notice
        active.note(f"{metric} not measured: {broken!r}")


def emit(
    active: Runtime,
    event: Event,
    attributes: dict[str, Value],
    *,
    context: Context,
    time_ns: int,
    failed: bool,
) -> None:
    """Write the log record of an event and measure its metrics, in the context of the span it belongs to.

    `attributes` is the whole record, common ones included, and is taken over.
    """
    active.outlet.emit(event, attributes, context, time_ns, failed)


def record_span(
    active: Runtime,
    event: Event,
    attributes: Mapping[str, object],
    *,
    links: Sequence[Link] = (),
    start_ns: int | None = None,
    end_ns: int | None = None,
    error: str = "",
) -> None:
    """Record an event that is a span at once, where it belongs in the current context. Never raises.

    `attributes` are as the caller has them, by name or keyword. The span ends now unless `end_ns` says when,
    and begins at `start_ns`, else as much earlier as the event lasted, else when it ends.
    """
    try:
        said = _failure(active, event, error)
        _record_span(active, event, attributes, links=links, times=(start_ns, end_ns), error=said)
    except Exception as broken:  # the host must not notice
        active.note(f"event {event.name} not recorded: {broken!r}")


def prepared(active: Runtime, event: Event, given: Mapping[str, object]) -> dict[str, Value]:
    """Return what is recorded of an event's own attributes, `given` by name or keyword."""
    own = recordable(event, given, active.settings, active.note)
    return derived(event, own, given) if event is _BD_CALL else own


def of_span(event: Event, own: dict[str, Value]) -> dict[str, Value]:
    """Return what only the span of an event has, and take it out of `own`."""
    only = span_attributes(event, own) if event.name in PARTICULAR else {}
    if PID in own:
        only["process.pid"] = own.pop(PID)
    return only


def outcome(event: Event, error: str) -> dict[str, Value]:
    """Return the attributes that say how an event ended, none for one that cannot fail."""
    return {"status": "error" if error else "ok", "error": error} if event.outcome else {}


def carried(event: Event, own: Mapping[str, Value], common: dict[str, str]) -> dict[str, str]:
    """Return the common attributes of an event's record; a prime that says what is worked on carries that."""
    if event.name != "prime" or own.keys().isdisjoint(ATTRIBUTES):
        return common
    rest = {name: value for name, value in common.items() if name not in ATTRIBUTES}
    return {**rest, **WorkContext.from_attributes(own).attributes()}


def take_work(active: Runtime, event: Event, own: Mapping[str, Value], run: Run, time_ns: int) -> None:
    """Make what a prime that has succeeded says the work of its run from `time_ns` on."""
    if event.name == "prime" and not own.keys().isdisjoint(ATTRIBUTES):
        active.set_work(run, WorkContext.from_attributes(own), time_ns)


def _failure(active: Runtime, event: Event, error: object) -> str:
    """Return why an event failed; "" for not at all, and for one that cannot fail."""
    if error and not event.outcome:
        active.note(f"{event.name}: error left out: it cannot fail")
        return ""
    return text_of(error, str) if error else ""


def _record(active: Runtime, event: Event, attributes: Mapping[str, object], error: str) -> None:
    if event.is_span:
        call = active.open_call(event.name)
        if call is not None:
            known = {name: value for name, value in attributes.items() if value is not None}
            if call.is_about(active, known, error):
                call.learn({**known, "error": error} if error else known)
                return
        _record_span(active, event, attributes, links=(), times=(None, None), error=error)
        return
    run, where, _ = active.placed(active.get_current(), ())
    if run.silent:
        return
    common = run.common()
    own = filled(event, recordable(event, attributes, active.settings, active.note), common)
    _note_missing(active, event, own)
    whole = {**common, **own, **outcome(event, error)}
    emit(active, event, whole, context=where, time_ns=active.now(), failed=bool(error))
    if event.name == "bead.create":
        active.note_bead(str(own.get("bead_id", "")), where)


def _record_span(
    active: Runtime,
    event: Event,
    attributes: Mapping[str, object],
    *,
    links: Sequence[Link],
    times: tuple[int | None, int | None],
    error: str,
) -> None:
    run, where, links = active.placed(active.get_current(), links)
    if run.silent:
        return
    own = prepared(active, event, attributes)
    start, end = _stretch(active, event, own, times)
    common = run.common_at(start)
    filled(event, own, common)
    _note_missing(active, event, own)
    meaning, error_type = exit_meaning(own, own)
    error = error or meaning
    own.update(completion(event, own, run.began, end))
    only = of_span(event, own)
    if error and not error_type and event.name in PROGRAMS:
        error_type = OTHER
    if error_type:
        only["error.type"] = error_type
    whole = {**carried(event, own, common), **own, **outcome(event, error)}
    kind = active.kinds[span_kind(event, own)]
    span = active.tracer.start_span(span_name(event, own), where, kind, {**whole, **only}, links, start)
    try:
        if error:
            active.fail(span, error)
        emit(active, event, whole, context=active.within(span, where), time_ns=end, failed=bool(error))
        if not error:
            take_work(active, event, own, run, end)
    finally:
        span.end(end)


def _stretch(
    active: Runtime, event: Event, own: dict[str, Value], times: tuple[int | None, int | None]
) -> tuple[int, int]:
    """Return when a span began and ended; where only that says how long it took, put it on the event."""
    start, end = times
    lasted = own.get(event.elapsed)
    nanoseconds = int(min(max(0.0, float(lasted) * 1e6), _LONGEST)) if lasted is not None else 0
    if end is None:
        end = active.now() if start is None or lasted is None else start + nanoseconds
    if start is None:
        start = max(0, end - nanoseconds)
    elif event.elapsed and lasted is None:
        own[event.elapsed] = max(0, end - start) / 1e6
    return start, max(start, end)


def _note_missing(active: Runtime, event: Event, own: Mapping[str, Value]) -> None:
    missing = [name for name in event.required if name not in own]
    if missing:
        active.note(f"{event.name} is recorded without {', '.join(missing)}")
