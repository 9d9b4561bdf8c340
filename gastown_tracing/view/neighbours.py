"""What other traces of the journal have to do with one: the far ends of its links, and what links to it.

A link points from effect to cause. Causes are named from the trace that the link gives; effects are found by
looking for this trace's id in what other runs, and commands outside any, wrote after it began.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import UTC

from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.parse import ReadSpan, parse_spans
from gastown_tracing.journal.reader import Run, list_runs
from gastown_tracing.view import text, titles
from gastown_tracing.view.model import Link, Source

#: Bytes of other runs that are searched for effects, the newest first.
SEARCHED = 64 << 20

#: How far before its effect a cause outside any session is looked for.
_EARLIER_NS = 3_600 * 10**9


def add(journal: Journal, source: Source) -> None:
    """Fill in `source.names` and `source.effects`. What cannot be read stays unknown."""
    began = source.start_ns or min((span.start_ns for span in source.spans), default=0)
    runs = {run.trace_id: run for run in list_runs(journal) if run.trace_id != source.trace_id}
    wanted = {(link[0], link[1]) for span in (*source.spans, *source.in_progress) for link in span.links}
    names: dict[tuple[str, str], tuple[str, str]] = {}
    for trace_id in {trace_id for trace_id, _ in wanted}:
        found = runs.get(trace_id)
        directories = found.directories if found else list(_hours(journal, began - _EARLIER_NS))
        for span in _mentioning(directories, trace_id):
            if (trace_id, span.span_id) in wanted and span.trace_id == trace_id:
                names[trace_id, span.span_id] = (_name(span), run_name(found))
        if found:
            names.update({key: ("", run_name(found)) for key in wanted - names.keys() if key[0] == trace_id})
    source.names = names
    source.effects = _effects(journal, source.trace_id, began, runs)


def run_name(run: Run | None) -> str:
    """Return what a run is called: its session, else its agent or role."""
    if run is None:
        return ""
    return next(
        (said for key in ("session", "agent_name", "role") if (said := titles.text(run.info.get(key)))), ""
    )


def _name(span: ReadSpan) -> str:
    return titles.title(span.name, span.attributes)[0]


def _effects(journal: Journal, trace_id: str, began: int, runs: dict[str, Run]) -> dict[str, list[Link]]:
    """Return, by the span of this trace, the spans elsewhere that name it as their cause."""
    effects: dict[str, list[Link]] = {}
    later = sorted(
        (run for run in runs.values() if run.last_activity_ns >= began), key=lambda run: -run.start_ns
    )
    directories = [directory for run in later for directory in run.directories]
    directories += _hours(journal, began)
    for span in _mentioning(directories, trace_id):
        for link in span.links:
            if link[0] == trace_id and span.trace_id != trace_id:
                effect = Link(
                    span.trace_id, span.span_id, True, _name(span), run_name(runs.get(span.trace_id))
                )
                effects.setdefault(link[1], []).append(effect)
    return effects


def _hours(journal: Journal, since_ns: int) -> Iterator[str]:
    """Yield the directories of commands outside any session since then, the newest first."""
    first = text.moment(since_ns, UTC).strftime("%Y-%m-%dT%H")
    try:
        hours = sorted(os.listdir(f"{journal.root}/loose"), reverse=True)
    except OSError:
        return
    yield from (f"{journal.root}/loose/{hour}" for hour in hours if hour >= first)


def _mentioning(directories: Iterable[str], needle: str) -> Iterator[ReadSpan]:
    """Yield the spans on those lines that hold `needle`; most files are only searched, not parsed."""
    mark = needle.encode()
    left = SEARCHED
    for directory in directories:
        path = f"{directory}/traces.jsonl"
        try:
            if (left := left - os.stat(path).st_size) < 0:
                return
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            continue
        if mark in data:
            lines = b"\n".join(line for line in data.split(b"\n") if mark in line) + b"\n"
            yield from parse_spans(lines.decode("utf-8", "replace"), path, [])
