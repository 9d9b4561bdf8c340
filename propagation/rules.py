"""The rules of context: from an environment and a registry to a span's trace, parent and links."""

from propagation import baggage as _baggage
from propagation.environ import Carrier, read
from propagation.run import new_trace_id as _new_trace_id
from propagation.run import parse_run_id, root_span_id
from propagation.traceparent import RANDOM, SAMPLED, SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    class Registry(Protocol):
        """Who knows which run a tmux pane or a session belongs to."""

        def run_for_pane(self, socket: str, server_pid: str, pane: str) -> str | None:
            """Return the run.id of the pane (`%3`) of this server, or None."""

        def run_for_session(self, name: str, town_root: str) -> str | None:
            """Return the run.id of the session of this name in this town, or None."""


class Resolution:
    """Where a new span belongs.

    trace_id; parent_id: "" for none; run_id: None outside a run; links: contexts of other traces; flags: for
    the span and its children; tracestate, tracestate_text and baggage: what goes on to children; source: what
    decided the trace, one of GT_RUN, BAGGAGE, registry, TRACEPARENT, new; sampled: whether to record; notes:
    what was ignored and why.
    """

    __slots__ = (
        "baggage",
        "flags",
        "links",
        "notes",
        "parent_id",
        "run_id",
        "sampled",
        "source",
        "trace_id",
        "tracestate",
        "tracestate_text",
    )

    def __init__(self, source: str, trace_id: str, carrier: Carrier) -> None:
        inbound = carrier.span_context
        self.source = source
        self.trace_id = trace_id
        self.parent_id = inbound.span_id if inbound else ""
        self.run_id: str | None = None
        self.links: tuple[SpanContext, ...] = ()
        self.flags = inbound.flags if inbound else SAMPLED | RANDOM
        self.sampled = bool(self.flags & SAMPLED)
        self.tracestate = inbound.tracestate if inbound else ()
        self.tracestate_text = carrier.tracestate_text
        self.baggage = carrier.baggage
        self.notes = carrier.notes


def resolve(
    env: "Mapping[str, str]",
    registry: "Registry | None" = None,
    new_trace_id: "Callable[[], str]" = _new_trace_id,
) -> Resolution:
    """Return where a span belongs that starts now in a process with this environment. Never raises.

    The run R is the first of: GT_RUN; BAGGAGE's gt.run_id; the registry's for TMUX's socket and server pid
    and TMUX_PANE; the registry's for GT_SESSION within GT_ROOT. A value that is not a UUID counts as absent.

    | run  | TRACEPARENT      | GT_OTEL_RECEIVER | trace | parent   | link | recorded    | source          |
    |------|------------------|------------------|-------|----------|------|-------------|-----------------|
    | R    | none or invalid  | any              | R     | R's root | none | yes         | where R is from |
    | R    | in R             | any              | R     | its span | none | yes         | where R is from |
    | R    | in another trace | set              | R     | its span | none | yes         | where R is from |
    | R    | in another trace | not set          | R     | R's root | it   | yes         | where R is from |
    | none | valid            | any              | its   | its span | none | its sampled | TRACEPARENT     |
    | none | none or invalid  | any              | new   | none     | none | yes         | new             |

    Flags and tracestate are the valid TRACEPARENT's and go on to children, the sampled flag 00 inside a run
    included; without one the flags are 03 (sampled, random) and the tracestate is empty. A foreign
    TRACEPARENT is the parent where there is a receiver because its span will arrive in R under its own id.
    Where it is only linked, the trace restarts: its tracestate stays with the link (W3C Trace Context,
    "Mutating the traceparent Field").
    """
    carrier = read(env)
    inbound = carrier.span_context
    source, run_id = _find_run(carrier, env, registry)
    if run_id is None:
        if inbound:
            return Resolution("TRACEPARENT", inbound.trace_id, carrier)
        return Resolution("new", new_trace_id(), carrier)
    found = Resolution(source, run_id, carrier)
    found.run_id = run_id
    found.sampled = True
    if inbound is None:
        found.parent_id = root_span_id(run_id)
    elif inbound.trace_id != run_id and not env.get("GT_OTEL_RECEIVER"):
        found.parent_id = root_span_id(run_id)
        found.links = (inbound,)
        found.tracestate, found.tracestate_text = (), ""
    return found


def _find_run(
    carrier: Carrier, env: "Mapping[str, str]", registry: "Registry | None"
) -> tuple[str, str | None]:
    """Return (source, run.id) of the run that `env` belongs to; the run.id is None outside any run."""
    if carrier.run_id:
        return "GT_RUN", carrier.run_id
    text = _baggage.value(carrier.baggage, "gt.run_id")
    run_id = parse_run_id(text)
    if run_id:
        return "BAGGAGE", run_id
    if text:
        carrier.notes.append("BAGGAGE gt.run_id ignored: not a UUID")
    if registry is None:
        return "", None
    try:
        return "registry", _ask(registry, env)
    except Exception as error:  # a registry that fails must not break the host command
        carrier.notes.append(f"registry ignored: {type(error).__name__}")
        return "", None


def _ask(registry: "Registry", env: "Mapping[str, str]") -> str | None:
    """Return the run.id that the registry knows for the pane, else for the session within its town."""
    run_id = None
    pane, session, town_root = env.get("TMUX_PANE"), env.get("GT_SESSION"), env.get("GT_ROOT")
    if pane:
        from propagation.tmux import parse_tmux_variable  # few processes get here

        server = parse_tmux_variable(env.get("TMUX"))
        run_id = parse_run_id(registry.run_for_pane(server[0], server[1], pane)) if server else None
    if not run_id and session and town_root:
        run_id = parse_run_id(registry.run_for_session(session, town_root))
    return run_id
