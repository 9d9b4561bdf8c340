"""The traces that links lead to from one, or from a bead, nearest first, as far as there is room. Reads only.

Links are followed both ways. Near is what few links lead to; going on by a link that belongs to other work of
the same session, another command of it, counts as one link more. A bead's story does not go on by those, and
in it what was slung, worked on and merged has room before mail, and mail before nudges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from gastown_tracing.journal import index
from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.reader import newest_first
from gastown_tracing.view import load
from gastown_tracing.view.choice import beads
from gastown_tracing.view.model import Source
from gastown_tracing.view.neighbours import GONE, Neighbours

#: How many traces are drawn together unless somebody says how many.
MOST = 12

#: What of a story has room after slings, sessions and merges: mail, then nudges and other prompts.
_LATER = {"mail": 1, "prompt.send": 2, "nudge": 2}


@dataclass(slots=True)
class Story:
    """Traces that belong together: those asked for first, then nearest first.

    `bead` is what was asked for where it is a bead, `made` (trace id, span id) of the span that made it;
    `asked` says how many of `sources` were asked for. `left_out` has (trace id, its name or "") of traces
    that links lead to and that had no room, `aside` has the same of those that only links of other work lead
    to, `gone` the ids of those of which nothing is in the journal.
    """

    sources: list[Source]
    bead: str = ""
    asked: int = 1
    made: tuple[str, str] = ("", "")
    left_out: list[tuple[str, str]] = field(default_factory=list)
    aside: list[tuple[str, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


class _Found(NamedTuple):
    """A trace that is still to be read; the least comes first."""

    order: tuple[int, int]
    apart_ns: int
    trace_id: str
    distance: int
    weight: int


class Stories:
    """Gathers one story, again and again for whoever follows it: only what has grown is searched."""

    def __init__(self, journal: Journal, what: str, most: int = MOST) -> None:
        """Find what `what` means. Raises LookupFailed, with one line for the user."""
        self._journal = journal
        self._what = what
        self._most = most
        self._around: dict[str, Neighbours] = {}
        self.bead, self.seeds = _asked(journal, what)
        self._made = (index.bead_span(journal, what) if self.bead else None) or ("", "")

    def gather(self, look: load.Look = load.presumed_live) -> Story:
        """Return the story as it stands."""
        queue = [_Found((0, 0), place, trace_id, 0, 0) for place, trace_id in enumerate(self.seeds)]
        story = Story([], self.bead, 0, self._made)
        names: dict[str, str] = {}
        seen: set[str] = set()
        aside: list[str] = []
        origin = 0
        while queue:
            found = heappop(queue)
            if found.trace_id in seen:
                continue
            seen.add(found.trace_id)
            if len(story.sources) >= self._most:
                story.left_out.append((found.trace_id, names.get(found.trace_id, "")))
                continue
            source = self._load(found.trace_id, look)
            if found.distance and not (source.spans or source.in_progress or source.root_id):
                story.gone.append(found.trace_id)
                continue
            story.sources.append(source)
            story.asked += not found.distance
            origin = origin or _began(source)
            for link in _links(source):
                names[link.trace_id] = names.get(link.trace_id) or link.run
            for end, other in _onward(source, self._near(source, found.distance, seen)):
                if other and self.bead:
                    aside.append(end.trace_id)
                else:
                    heappush(queue, self._found(end, found, other, abs(end.time_ns - origin)))
            story.gone += sorted({key[0] for key, why in source.lost.items() if why == GONE} - seen)
        story.gone = list(dict.fromkeys(story.gone))
        story.aside = [
            (trace_id, names.get(trace_id, "")) for trace_id in dict.fromkeys(aside) if trace_id not in seen
        ]
        return story

    def _found(self, end: _End, before: _Found, other: bool, apart_ns: int) -> _Found:
        """Return the other end of a link: of a bead what matters comes before what is near."""
        distance = before.distance + 1 + other
        weight = max(before.weight, _LATER.get(end.effect, 0))
        order = (weight, distance) if self.bead else (distance, weight)
        return _Found(order, apart_ns, end.trace_id, distance, weight)

    def stamp(self) -> tuple[object, ...]:
        """Return something that changes whenever the story may: any open run can come to link to it.

        Costs a stat a file.
        """
        return (
            *(load.stamp(self._journal, trace_id) for trace_id in self._around),
            load.stamp_of_others(self._journal),
        )

    def _near(self, source: Source, distance: int, seen: set[str]) -> set[str] | None:
        """Return the spans of a trace that are about what was asked for; None where all of them are."""
        if not distance and (not self.bead or source.info.get("issue_id") == self.bead):
            return None
        near = {end.span_id for end in _links(source) if end.trace_id in seen}
        if self.bead:
            spans = (*source.spans, *source.in_progress)
            near |= {span.span_id for span in spans if span.attributes.get("work_bead") == self.bead}
        if self._made[0] == source.trace_id:
            near.add(self._made[1])
        return near

    def _load(self, trace_id: str, look: load.Look) -> Source:
        around = self._around.setdefault(trace_id, Neighbours(self._journal, trace_id))
        return load.load(self._journal, trace_id, look, around)


def _asked(journal: Journal, what: str) -> tuple[str, list[str]]:
    """Return the bead that is meant ("" if none is) and the traces: all runs of a bead, the newest first.

    The trace that made the bead comes after them.
    """
    trace_id = load.find(journal, what)
    runs = [run.trace_id for run in newest_first(journal, wanted=[what]) if what in beads(run)]
    made = index.bead_span(journal, what)
    if not runs and made is None:
        return "", [trace_id]
    if runs and trace_id not in runs:  # a session's name goes before a bead's
        return "", [trace_id]
    return what, list(dict.fromkeys([*runs, *([made[0]] if made else [])]))


class _End(NamedTuple):
    """One end of a link, seen from a trace: its span here, the other trace, its name, the effect's name."""

    span_id: str
    trace_id: str
    run: str
    time_ns: int
    effect: str


def _links(source: Source) -> Iterator[_End]:
    """Yield the links of a trace, both ways, but those to traces that are gone or were not found."""
    times: dict[str, int] = {}
    for span in (*source.spans, *source.in_progress):
        times[span.span_id] = span.start_ns
        for link in span.links:
            key = (link[0], link[1])
            if all(key) and link[0] != source.trace_id and source.lost.get(key) != GONE:
                yield _End(
                    span.span_id, link[0], source.names.get(key, ("", ""))[1], span.start_ns, span.name
                )
        for key in source.causes.get(span.span_id, ()):
            if source.lost.get(key) != GONE:
                yield _End(span.span_id, key[0], source.names.get(key, ("", ""))[1], span.start_ns, span.name)
    for span_id, effects in source.effects.items():
        for effect in effects:
            began = times.get(span_id, source.start_ns)
            yield _End(span_id, effect.trace_id, effect.run, began, effect.name)


def _onward(source: Source, near: set[str] | None) -> Iterator[tuple[_End, bool]]:
    """Yield the links of a trace, each with whether it belongs to other work than the spans in `near`.

    None stands for all of its spans.
    """
    parts = _parts(source)
    own = {parts.get(span_id) for span_id in near or ()}
    for end in _links(source):
        yield end, near is not None and parts.get(end.span_id) not in own


def _parts(source: Source) -> dict[str, str]:
    """Return, by span, the span under the root that it belongs to: one command or one call of a tool."""
    parents = {span.span_id: span.parent_id for span in (*source.spans, *source.in_progress)}
    parts: dict[str, str] = {}
    for span_id in parents:
        way: list[str] = []
        at = span_id
        while at not in parts and at not in way[-1:] and len(way) <= len(parents):
            way.append(at)
            above = parents.get(at, "")
            if not above or above == source.root_id or above not in parents:
                break
            at = above
        part = parts.get(at, at)
        parts.update(dict.fromkeys(way, part))
    return parts


def _began(source: Source) -> int:
    starts: Iterable[int] = (span.start_ns for span in (*source.spans, *source.in_progress))
    return source.start_ns or min(starts, default=0)
