"""Into the trace of a run: spans and log records of programs that know their run, but not its trace.

A record keeps its span's id. Its trace id becomes the run's, and what it was stays as an attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gastown_tracing.relay.receiver.attributes import set_text, texts
from gastown_tracing.relay.receiver.requests import Group
from gastown_tracing.relay.receiver.transcode import Json, Unusable
from propagation.run import parse_run_id, root_span_id
from propagation.traceparent import is_id

#: Where the trace id stands that a record came with.
ORIGINAL = "gastown.original_trace_id"
#: What names a run, on a resource or a record; gt writes the second.
RUN_KEYS = ("gt.run_id", "run.id")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record belongs: the run whose directory it goes to, "" for loose/; whether it was moved."""

    run_id: str
    moved: bool = False


def named_run(attributes: Mapping[str, str]) -> str:
    """Return the run that attributes name, in any form of a UUID; "" for none."""
    for key in RUN_KEYS:
        found = parse_run_id(attributes.get(key))
        if found:
            return found
    return ""


class Moves:
    """Which traces of a request move into which run, so that links to them follow."""

    def __init__(self, groups: list[Group]) -> None:
        self._groups = groups
        self._runs: dict[str, str] | None = None

    def run_of(self, trace_id: str) -> str:
        """Return the run that a trace of this request moves into, "" for none or more than one."""
        if self._runs is None:  # few requests have links
            self._runs = {}
            for group in self._groups:
                run = named_run(texts(group.resource))
                for record in group.raw if run else ():
                    trace = group.trace_id(record)
                    known = self._runs.setdefault(trace, run)
                    self._runs[trace] = run if known == run else ""
        return self._runs.get(trace_id, "")


def place_span(span: Json, run: str, known: Callable[[str], bool], moves: Moves) -> Place:
    """Put a span into the trace of the `run` that its resource names, "" for none. Raises Unusable.

    `known` says of a trace id whether the journal has a run of it.
    """
    trace = _required(span, "traceId", 32)
    own = _required(span, "spanId", 16)
    parent = _optional(span, "parentSpanId", 16)
    for link in span.get("links", ()):
        _required(link, "traceId", 32)
        _required(link, "spanId", 16)
        target = moves.run_of(link["traceId"])
        if target:
            link["traceId"] = target
    if not run or run == trace:
        return Place(run or (trace if known(trace) else ""))
    span["traceId"] = run
    root = root_span_id(run)
    if not parent and own != root:
        span["parentSpanId"] = root
    set_text(span, ORIGINAL, trace)
    return Place(run, moved=True)


def place_log(record: Json, resource: Mapping[str, str], known: Callable[[str], bool]) -> Place:
    """Give a log record its span and its run. Raises Unusable.

    Its span is the one it names; else the one that its resource does, which only our shims put there, for
    their own child; else the root of the run that the record names, or its resource.
    """
    run = named_run(texts(record)) or named_run(resource)
    trace, span = _optional(record, "traceId", 32), _optional(record, "spanId", 16)
    if trace and span:
        if run and run != trace:
            record["traceId"] = run
            set_text(record, ORIGINAL, trace)
            return Place(run, moved=True)
        return Place(run or (trace if known(trace) else ""))
    given = resource.get("gt.trace_id", ""), resource.get("gt.span_id", "")
    if is_id(given[0], 32) and is_id(given[1], 16):
        record["traceId"], record["spanId"] = given
        of_run = given[0] in (run, named_run(resource)) or known(given[0])
        return Place(given[0] if of_run else "")
    if run:
        record["traceId"], record["spanId"] = run, root_span_id(run)
        if trace and trace != run:
            set_text(record, ORIGINAL, trace)
        return Place(run, moved=bool(trace) and trace != run)
    return Place(trace if trace and known(trace) else "")


def _required(holder: Json, name: str, digits: int) -> str:
    found = holder.get(name, "")
    if not is_id(found, digits):
        raise Unusable(f"{name} is no id of {digits} digits")
    return str(found)


def _optional(holder: Json, name: str, digits: int) -> str:
    """Return an id, "" for one that is absent or all zero, which is the same; that is taken out."""
    found = str(holder.get(name, ""))
    if not found.strip("0") and len(found) in (0, digits):
        holder.pop(name, None)
        return ""
    return _required(holder, name, digits)
