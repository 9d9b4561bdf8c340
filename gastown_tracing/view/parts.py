"""What of several traces belongs to one story: the links between them, and what each did that matters.

What was asked for is drawn whole. Of a trace that links lead to, its part in the story is drawn: the ends of
its links, the way to them, and what it did from the first to the last effect of one cause.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gastown_tracing.view import shape, titles
from gastown_tracing.view.model import Node, Trace

if TYPE_CHECKING:
    from gastown_tracing.view.linked import Story

#: A shorter time between a cause's end and its effect's start tells nothing.
TELLING_NS = 1_000_000_000

#: What a session did while something waited for it.
MEANWHILE = "meanwhile"

#: Families of what goes on around a part in a story, for hours maybe: sessions and an agent's turns.
_LASTING = ("session", "agent")

#: (trace id, span id)
_Key = tuple[str, str]


@dataclass(slots=True)
class Block:
    """One trace of a picture: `label` begins its marks, `whole` says that all of it is drawn.

    `spans`, `errors` and `live` count what of it does, `began_ns` is when that began. `meanwhile` is what a
    session did while something waited for it.
    """

    label: str
    trace: Trace
    whole: bool
    asked: bool = False
    spans: int = 0
    errors: int = 0
    live: int = 0
    began_ns: int = 0
    meanwhile: list[Node] = field(default_factory=list)

    def count(self) -> None:
        """Count what is in the tree now, and what was done meanwhile."""
        nodes = [node for node, _ in self.trace.walk()]
        self.live = sum(node.state == "live" for node in drawn(self))
        self.spans = len(nodes) + sum(node.spans for node in self.meanwhile)
        self.errors = sum(node.state == "error" for node in nodes) + sum(
            node.errors for node in self.meanwhile
        )

    @property
    def left(self) -> tuple[int, int]:
        """How many spans have no part in the story, and how many of those failed."""
        return self.trace.spans - self.spans, self.trace.errors - self.errors


@dataclass(slots=True)
class Edge:
    """A link of which both ends are here."""

    cause: Node
    cause_block: Block
    effect: Node
    effect_block: Block
    first: bool = False
    last: bool = False

    @property
    def wait(self) -> tuple[int, int]:
        """From when until when the effect waited; (0, 0) where that tells nothing."""
        since, until = self.cause.end_ns, self.effect.start_ns
        telling = self.cause.state != "live" and until - since >= TELLING_NS
        return (since, until) if telling and (self.first or self.last) else (0, 0)


def find_edges(blocks: list[Block]) -> list[Edge]:
    """Return the links of which both ends are here, each once, in order of time."""
    homes: dict[_Key, tuple[Node, Block]] = {}
    for block in blocks:
        for node, _ in block.trace.walk():
            homes.setdefault((block.trace.trace_id, node.span_id), (node, block))
    found: dict[tuple[int, int], Edge] = {}
    for block in blocks:
        for node, _ in block.trace.walk():
            for link in node.links:
                cause = None if link.effect else homes.get((link.trace_id, link.span_id))
                if cause is not None and cause[1] is not block:
                    found.setdefault((id(cause[0]), id(node)), Edge(*cause, node, block))
    edges = sorted(found.values(), key=lambda edge: (edge.effect.start_ns, edge.effect.end_ns))
    _find_ends(edges)
    return edges


def _find_ends(edges: list[Edge]) -> None:
    """Say which effect of a cause is the first in its trace, and which the last; edges are ordered."""
    for backwards in (False, True):
        seen: set[tuple[int, int]] = set()
        for edge in reversed(edges) if backwards else edges:
            key = (id(edge.cause), id(edge.effect_block))
            if key not in seen:
                seen.add(key)
                edge.last, edge.first = edge.last or backwards, edge.first or not backwards


def take_part(block: Block, edges: list[Edge], story: Story) -> None:
    """Say when a trace's part in the story began, and unless it is drawn whole keep only that, in place."""
    part = _part(block, edges, story)
    starts = [node.start_ns for node, _ in block.trace.walk() if (block.whole and block.asked) or part(node)]
    block.began_ns = min(starts, default=block.trace.axis_start_ns)
    if not block.whole:
        _keep(block, part, edges)
    block.count()


def _keep(block: Block, part: Callable[[Node], bool], edges: list[Edge]) -> None:
    """Keep the part of a trace, at least its roots, and what it did meanwhile, in place."""
    roots = block.trace.roots
    tops = roots[0].children if block.trace.run else []
    shape.keep(block.trace, part)
    if not block.trace.roots:
        block.trace.roots = roots
        shape.depth(block.trace, 0)
    for root in block.trace.roots:
        if root.faded:
            root.hidden = 0  # the line above the block says it
    kept = {id(node) for root in block.trace.roots for node in root.children}
    block.meanwhile = list(_meanwhile([node for node in tops if id(node) not in kept], block, edges))


def _part(block: Block, edges: list[Edge], story: Story) -> Callable[[Node], bool]:
    """Return what says of a node of a trace whether it has a part in the story."""
    wanted = {id(edge.cause) for edge in edges if edge.cause_block is block}
    mine = [edge for edge in edges if edge.effect_block is block]
    wanted |= {id(edge.effect) for edge in mine}
    inside = _Within(_stretches(mine, block.trace.axis_end_ns))
    made = story.made[1] if story.made[0] == block.trace.trace_id else ""

    def has_part(node: Node) -> bool:
        return (
            id(node) in wanted
            or (node.span_id == made and bool(made))
            or (bool(story.bead) and node.work == story.bead)
            or (node.start_ns, node.end_ns) in inside
        )

    return has_part


def _stretches(edges: list[Edge], end_ns: int) -> Iterator[tuple[int, int]]:
    """Yield the times in which a session dealt with a cause: from its first effect there to its last.

    Looks alone are no dealing. A merge that was taken is dealt with until it is closed, or till now.
    """
    effects: dict[int, list[Edge]] = {}
    for edge in edges:
        effects.setdefault(id(edge.cause), []).append(edge)
    for found in effects.values():
        acts = [edge.effect for edge in found if _said(edge.effect, "subcommand") != "show"]
        acts = [node for node in acts if _said(node, "operation") != "read"]
        begin = found[0].effect.start_ns
        if titles.MERGE_REQUEST in _said(found[0].cause, "args") and acts:
            closed = [node.end_ns for node in acts if _said(node, "subcommand") == "close"]
            yield begin, max(closed, default=end_ns)
        elif acts and acts[-1] is not found[0].effect:
            yield begin, max(node.end_ns for node in acts)


def _said(node: Node, name: str) -> str:
    return titles.text(node.span.attributes.get(name)) if node.span else ""


class _Within:
    """Stretches of time, joined; answers whether another one lies in one of them."""

    def __init__(self, stretches: Iterable[tuple[int, int]]) -> None:
        self.joined: list[tuple[int, int]] = []
        for begin, until in sorted(stretches):
            if self.joined and begin <= self.joined[-1][1]:
                self.joined[-1] = (self.joined[-1][0], max(until, self.joined[-1][1]))
            else:
                self.joined.append((begin, until))

    def __contains__(self, times: tuple[int, int]) -> bool:
        place = bisect_right(self.joined, (times[0], math.inf)) - 1
        return place >= 0 and times[1] <= self.joined[place][1]


def _meanwhile(others: list[Node], block: Block, edges: list[Edge]) -> Iterator[Node]:
    """Yield what else a session did while something waited for it, as one node each time if it is much."""
    waits = _Within(edge.wait for edge in edges if edge.effect_block is block and edge.first and edge.wait[1])
    for begin, until in waits.joined:
        members = [node for node in others if node.start_ns < until and node.end_ns > begin]
        others = [node for node in others if node.start_ns >= until]
        if len(members) < shape.FOLD_FROM:
            yield from members
            continue
        node = shape.folded(members, 1, len(members))
        node.title, node.family, node.work = MEANWHILE, "other", ""
        node.links, node.waits = [], ""
        yield node


def fold(block: Block, *, failed: bool) -> None:
    """Fold like siblings, and hang what was done meanwhile, or what of it failed, under the session."""
    shape.fold(block.trace)
    block.trace.folded = sum(len(node.members) for node, _ in block.trace.walk())
    nodes = [node for node in block.meanwhile if node.errors or not failed]
    if nodes and block.trace.roots:
        root = block.trace.roots[0]
        root.children = sorted([*root.children, *nodes], key=lambda node: (node.start_ns, node.end_ns))


def drawn(block: Block) -> Iterator[Node]:
    """Yield what of a block is drawn, each thing that was done meanwhile for itself."""
    yield from (node for node, _ in block.trace.walk())
    yield from (member for node in block.meanwhile for member in node.members or [node])


def shown(block: Block) -> Iterator[Node]:
    """Yield the nodes that say when a block's part in the story was: no session or turn around it."""
    for node, depth in block.trace.walk():
        above = (node.faded and node.family in _LASTING) or (not depth and block.trace.run and node.children)
        if block.whole or not above:
            yield node
