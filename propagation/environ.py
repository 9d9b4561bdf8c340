"""Context in environment variables: read it from one environment, write it into a copy for a child.

After the OpenTelemetry specification "Environment Variables as Context Propagation Carriers": fixed
upper-case names, a child gets its own copy, the input is never modified, and what is not understood is left
as it is.
"""

from propagation import baggage as _baggage
from propagation import resource as _resource
from propagation.run import parse_run_id
from propagation.traceparent import (
    SpanContext,
    format_traceparent,
    format_tracestate,
    parse_traceparent,
    parse_tracestate,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

TRACEPARENT = "TRACEPARENT"
TRACESTATE = "TRACESTATE"
BAGGAGE = "BAGGAGE"
RESOURCE_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"
RUN = "GT_RUN"

_NAME = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
#: What every later session of a tmux server or daemon would inherit if its starter had it.
_CONTEXT = (TRACEPARENT, TRACESTATE, BAGGAGE, RUN, "GT_SESSION")


def normalise(name: str) -> str:
    """Return the name of the variable that holds a propagation field: `uber-trace-id` → `UBER_TRACE_ID`.

    Upper case, `_` for all that is no ASCII letter or digit, and `_` before a first digit.
    """
    text = "".join([char.upper() if char in _NAME else "_" for char in name]) or "_"
    return f"_{text}" if text[0] in "0123456789" else text


class Carrier:
    """What an environment says about its process's place in a trace.

    span_context: what TRACEPARENT and TRACESTATE name, None when absent or invalid. tracestate_text: the
    valid TRACESTATE, "" if none. baggage: the members of BAGGAGE. run_id: the run that GT_RUN names;
    gt_run_text: GT_RUN as found. notes: what was ignored and why, for debug output; values are not repeated
    in it.
    """

    __slots__ = ("baggage", "gt_run_text", "notes", "run_id", "span_context", "tracestate_text")

    def __init__(self) -> None:
        self.span_context: SpanContext | None = None
        self.tracestate_text = ""
        self.baggage: dict[str, _baggage.Member] = {}
        self.run_id: str | None = None
        self.gt_run_text = ""
        self.notes: list[str] = []


def read(env: "Mapping[str, str]") -> Carrier:
    """Return what `env` carries. Never raises: what is broken is left out, with a note."""
    carrier = Carrier()
    _read_span(carrier, env.get(TRACEPARENT, ""), env.get(TRACESTATE, ""))
    text = env.get(BAGGAGE, "")
    carrier.baggage = _baggage.parse(text)
    if text and not carrier.baggage:
        carrier.notes.append("BAGGAGE ignored: no valid member")
    carrier.gt_run_text = env.get(RUN, "")
    carrier.run_id = parse_run_id(carrier.gt_run_text)
    if carrier.gt_run_text and not carrier.run_id:
        carrier.notes.append("GT_RUN ignored: not a UUID")
    return carrier


def _read_span(carrier: Carrier, traceparent: str, tracestate: str) -> None:
    span = carrier.span_context = parse_traceparent(traceparent)
    if span is None:
        if traceparent:
            carrier.notes.append("TRACEPARENT ignored: not valid")
        if tracestate:
            carrier.notes.append("TRACESTATE ignored: no valid TRACEPARENT")
        return
    span.tracestate = parse_tracestate(tracestate)
    carrier.tracestate_text = ",".join([f"{key}={value}" for key, value in span.tracestate])
    if tracestate and not span.tracestate:
        carrier.notes.append("TRACESTATE ignored: empty or not valid")


def child_env(
    env: "Mapping[str, str]",
    span: SpanContext,
    *,
    baggage: "Mapping[str, _baggage.Member | str | None] | None" = None,
    resource: "Mapping[str, str | None] | None" = None,
    extra: "Mapping[str, str | None] | None" = None,
) -> dict[str, str]:
    """Return the environment of a child whose parent span is `span`: a copy of `env` with the context.

    TRACEPARENT is the span's; TRACESTATE too, and absent when the span has none, because another's belongs to
    another trace. `baggage` members are set in BAGGAGE (`baggage.merge`) and `resource` attributes in
    OTEL_RESOURCE_ATTRIBUTES (`resource.merge`), beside what is there. `extra` sets further variables, None
    removes one. GT_RUN and everything else stay as found. Raises `PropagationError` for values that cannot be
    written.
    """
    child = dict(env)
    child[TRACEPARENT] = format_traceparent(span.trace_id, span.span_id, span.flags)
    _set(child, TRACESTATE, format_tracestate(span.tracestate))
    if baggage:
        _set(child, BAGGAGE, _baggage.merge(child.get(BAGGAGE), baggage))
    if resource:
        _set(child, RESOURCE_ATTRIBUTES, _resource.merge(child.get(RESOURCE_ATTRIBUTES), resource))
    for name, value in (extra or {}).items():
        if value is None:
            child.pop(name, None)
        else:
            child[name] = value
    return child


def _set(env: dict[str, str], name: str, text: str) -> None:
    if text:
        env[name] = text
    else:
        env.pop(name, None)


def without_context(env: "Mapping[str, str]") -> dict[str, str]:
    """Return a copy of `env` without any session's context, for starting a tmux server or a daemon.

    Left out are TRACEPARENT, TRACESTATE, BAGGAGE, GT_RUN, GT_SESSION, GT_WORK_* and the gt.* members of
    OTEL_RESOURCE_ATTRIBUTES: what starts such a process hands its environment to every later session.
    """
    clean = {
        name: value for name, value in env.items() if name not in _CONTEXT and not name.startswith("GT_WORK_")
    }
    text = clean.get(RESOURCE_ATTRIBUTES)
    if text:
        ours: dict[str, str | None] = {key: None for key in _resource.parse(text) if key.startswith("gt.")}
        _set(clean, RESOURCE_ATTRIBUTES, _resource.merge(text, ours))
    return clean
