"""What joins a command with others in other traces: links to what led to it, notes for what it leads to."""

from gastown_tracing.journal.hooks import take
from gastown_tracing.journal.index import look, note, span_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.shims.lines.seen import Seen
    from gastown_tracing.shims.plan import Plan
    from propagation.rules import Resolution

    #: A link as `otlp.Span` has it.
    Link = tuple[str, str, str, Mapping[str, object]]


def links(plan: "Plan", causes: "Iterable[tuple[str, str]]") -> "list[Link]":
    """Return the links of a span to what led to it: those of its context, and what the index knows.

    They go to other traces only, and from no span that begins a trace of its own: backends take a root with a
    link for one that lacks its parent. Never raises.
    """
    place: Resolution = plan.resolution
    found = [(link.trace_id, link.span_id) for link in place.links]
    if place.parent_id:
        for kind, key in causes:
            span = span_of(look(plan.telemetry.journal, kind, key))
            if span is not None and span[0] != place.trace_id and span not in found:
                found.append(span)
    return [(trace_id, span_id, "", {}) for trace_id, span_id in found]


def keep(journal: "Journal", seen: "Seen", made: "Iterable[str]", span: tuple[str, str]) -> None:
    """Note what a command that has succeeded made, and what it did to a hook. Raises OSError.

    `made` are the ids that its output names, `span` is its (trace ID, span id).
    """
    trace_id, span_id = span
    for kind, key in seen.makes:
        for name in (key,) if key else made:
            note(journal, kind, name, {"trace_id": trace_id, "span_id": span_id})
    if seen.hook:
        take(journal, seen.hook, trace_id, span_id)
