"""Several linked traces as one picture on one time axis. Pure: from a story and a clock to plain data.

Traces that were asked for are drawn whole. Of one that links lead to, its part in the story is drawn: the
ends of its links, the way to them, and what it did from the first to the last effect of one cause. The axis
shows that.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gastown_tracing.view import model, shape, text, titles
from gastown_tracing.view.model import Link, Node, Trace

if TYPE_CHECKING:
    from gastown_tracing.view.linked import Story

#: A shorter time between a cause's end and its effect's start tells nothing.
TELLING_NS = 1_000_000_000

#: What a session did while something waited for it.
MEANWHILE = "meanwhile"

#: How many traces without room, or that are gone, are named; the rest are counted.
_NAMED = 3

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

#: (trace id, span id)
_Key = tuple[str, str]


@dataclass(slots=True)
class Block:
    """One trace of a picture: `label` begins its marks, `whole` says that all of it has a part in the story.

    `spans` and `errors` count what of it does, `began_ns` is when that began. `meanwhile` is what a session
    did while something waited for it.
    """

    label: str
    trace: Trace
    whole: bool
    spans: int = 0
    errors: int = 0
    began_ns: int = 0
    meanwhile: list[Node] = field(default_factory=list)

    def count(self) -> None:
        """Count what is in the tree now, and what was done meanwhile."""
        nodes = [node for node, _ in self.trace.walk()]
        self.spans = len(nodes) + sum(node.spans for node in self.meanwhile)
        self.errors = sum(node.state == "error" for node in nodes) + sum(
            node.errors for node in self.meanwhile
        )

    @property
    def left(self) -> tuple[int, int]:
        """How many spans have no part in the story, and how many of those failed."""
        return self.trace.spans - self.spans, self.trace.errors - self.errors


@dataclass(frozen=True, slots=True)
class Wait:
    """The longest time between a cause and the first of its effects in another trace."""

    link: Link
    cause: str
    block: str


@dataclass(slots=True)
class Picture:
    """Blocks in the order of the screen; `all` is what they share, as a trace: axis, idle time, counts."""

    blocks: list[Block]
    all: Trace
    bead: str = ""
    longest: Wait | None = None


@dataclass(slots=True)
class _Edge:
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


def build(
    story: Story,
    now_ns: int,
    *,
    every: bool = False,
    failed: bool = False,
    slow: int | None = None,
    levels: int | None = None,
) -> Picture:
    """Return the picture of a story as the options of `gt-trace view` choose it. Never raises."""
    blocks = [
        Block(
            "",
            model.build(source, now_ns),
            every or (place < story.asked and _of_all(source.info, story.bead)),
        )
        for place, source in enumerate(story.sources)
    ]
    edges = _edges(blocks)
    for place, block in enumerate(blocks):
        _take_part(block, edges, story, every=every, asked=place < story.asked)
        block.count()
    if story.bead:
        blocks.sort(key=lambda block: block.began_ns)
    for number, block in enumerate(blocks):
        block.label = _label(number)
    longest = _mark(blocks, edges)
    window = _window(blocks)
    gaps = model.gaps([node for block in blocks for node in _drawn(block)], *window)
    linked = {id(node) for edge in edges for node in (edge.cause, edge.effect)}
    _choose(blocks, linked, failed=failed, slow=slow)
    for block in blocks:
        if not every and slow is None:
            shape.fold(block.trace)
            block.trace.folded = sum(len(node.members) for node, _ in block.trace.walk())
            _put_in(block, failed=failed)
        if levels is not None:
            _hoist(block.trace, levels)
            shape.depth(block.trace, levels)
    whole = _as_one(blocks, window, gaps)
    whole.chosen = failed or slow is not None or levels is not None
    whole.notes += _notes(story)
    if any(node.title == MEANWHILE and node.members for node, _ in whole.walk()):
        whole.notes.insert(
            0, f"{MEANWHILE}: what else a session did while something waited for it; --all shows it."
        )
    return Picture(blocks, whole, story.bead, longest)


def _of_all(info: object, bead: str) -> bool:
    """Say whether what was asked for is drawn whole: a run that had other work than the bead is not."""
    return not bead or (isinstance(info, dict) and titles.text(info.get("issue_id")) == bead)


def _label(number: int) -> str:
    """Return the label of a block: A, B … Z, AA, AB and so on."""
    label = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        label = _LETTERS[letter] + label
    return label


def _edges(blocks: list[Block]) -> list[_Edge]:
    """Return the links of which both ends are here, each once, in order of time."""
    homes: dict[_Key, tuple[Node, Block]] = {}
    for block in blocks:
        for node, _ in block.trace.walk():
            homes.setdefault((block.trace.trace_id, node.span_id), (node, block))
    found: dict[tuple[int, int], _Edge] = {}
    for block in blocks:
        for node, _ in block.trace.walk():
            for link in node.links:
                cause = None if link.effect else homes.get((link.trace_id, link.span_id))
                if cause is not None and cause[1] is not block:
                    found.setdefault((id(cause[0]), id(node)), _Edge(*cause, node, block))
    edges = sorted(found.values(), key=lambda edge: (edge.effect.start_ns, edge.effect.end_ns))
    _find_ends(edges)
    return edges


def _find_ends(edges: list[_Edge]) -> None:
    """Say which effect of a cause is the first in its trace, and which the last; edges are ordered."""
    for backwards in (False, True):
        seen: set[tuple[int, int]] = set()
        for edge in reversed(edges) if backwards else edges:
            key = (id(edge.cause), id(edge.effect_block))
            if key not in seen:
                seen.add(key)
                edge.last, edge.first = edge.last or backwards, edge.first or not backwards


def _take_part(block: Block, edges: list[_Edge], story: Story, *, every: bool, asked: bool) -> None:
    """Say when a trace's part in the story began, and unless it is drawn whole keep only that, in place."""
    part = _part(block, edges, story)
    roots = block.trace.roots
    tops = roots[0].children if block.trace.run else []
    if block.whole and (asked or not every):
        block.began_ns = block.trace.axis_start_ns
        return
    starts = [node.start_ns for node, _ in block.trace.walk() if part(node)]
    block.began_ns = min(starts, default=block.trace.axis_start_ns)
    if block.whole:
        return
    shape.keep(block.trace, part)
    if not block.trace.roots:
        block.trace.roots = roots
        shape.depth(block.trace, 0)
    for root in block.trace.roots:
        if root.faded:
            root.hidden = 0  # the line above the block says it
    kept = {id(node) for root in block.trace.roots for node in root.children}
    block.meanwhile = list(_meanwhile([node for node in tops if id(node) not in kept], block, edges))


def _part(block: Block, edges: list[_Edge], story: Story) -> Callable[[Node], bool]:
    """Return what says of a node of a trace whether it has a part in the story."""
    wanted: set[int] = set()
    stretches = []
    firsts: dict[int, Node] = {}
    for edge in edges:
        if edge.cause_block is block:
            wanted.add(id(edge.cause))
        if edge.effect_block is block:
            wanted.add(id(edge.effect))
            first = firsts.setdefault(id(edge.cause), edge.effect)
            if first is not edge.effect and _acts(edge.effect):
                stretches.append((first.start_ns, edge.effect.end_ns))
    inside = _Within(stretches)
    made = story.made[1] if story.made[0] == block.trace.trace_id else ""

    def has_part(node: Node) -> bool:
        return (
            id(node) in wanted
            or (node.span_id == made and bool(made))
            or (bool(story.bead) and node.work == story.bead)
            or (node.start_ns, node.end_ns) in inside
        )

    return has_part


def _meanwhile(others: list[Node], block: Block, edges: list[_Edge]) -> Iterator[Node]:
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
        yield node


def _put_in(block: Block, *, failed: bool) -> None:
    """Hang what was done meanwhile, or what of it failed, under the session, in place."""
    nodes = [node for node in block.meanwhile if node.errors or not failed]
    if nodes and block.trace.roots:
        root = block.trace.roots[0]
        root.children = sorted([*root.children, *nodes], key=lambda node: (node.start_ns, node.end_ns))


def _drawn(block: Block) -> Iterator[Node]:
    """Yield what of a block is drawn, each thing that was done meanwhile for itself."""
    yield from (node for node, _ in block.trace.walk())
    yield from (member for node in block.meanwhile for member in node.members or [node])


def _acts(node: Node) -> bool:
    """Say whether an effect is more than a look at what its cause had made."""
    facts = node.span.attributes if node.span else {}
    return facts.get("subcommand") != "show" and facts.get("operation") != "read"


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


def _shown(block: Block) -> Iterator[Node]:
    """Yield the nodes that say when a block's part in the story was: none shown for what is below it."""
    for node, depth in block.trace.walk():
        if block.whole or not (node.faded or (depth == 0 and block.trace.run and node.children)):
            yield node


def _window(blocks: list[Block]) -> tuple[int, int]:
    """Return the start and end of the axis."""
    times = [(node.start_ns, node.end_ns) for block in blocks for node in _shown(block)]
    if not times:
        times = [(block.trace.axis_start_ns, block.trace.axis_end_ns) for block in blocks] or [(0, 0)]
    return min(begin for begin, _ in times), max(until for _, until in times)


def _mark(blocks: list[Block], edges: list[_Edge]) -> Wait | None:
    """Put on both ends of each link the mark of its cause and what is known of the other end.

    Returns the longest wait. Links to what is not here stay as they are.
    """
    here = {block.trace.trace_id for block in blocks}
    ends = {(edge.effect_block.trace.trace_id, edge.effect.span_id) for edge in edges}
    known = {(edge.cause_block.trace.trace_id, edge.cause.span_id, id(edge.effect)) for edge in edges}
    for block in blocks:
        for node, _ in block.trace.walk():
            node.links = [
                link
                for link in node.links
                if (link.trace_id, link.span_id, id(node)) not in known
                and not (link.effect and link.trace_id in here and (link.trace_id, link.span_id) in ends)
            ]
    marks = _marks(blocks, edges)
    groups: dict[tuple[int, str, str], Link] = {}
    longest: Wait | None = None
    for edge in edges:
        mark, (since, until) = marks[id(edge.cause)], edge.wait
        cause, block = _link(edge.cause, edge.cause_block), edge.cause_block
        cause.mark, cause.block, cause.since_ns, cause.until_ns = mark, block.label, since, until
        edge.effect.links.append(cause)
        effect = _link(edge.effect, edge.effect_block, effect=True)
        effect.mark, effect.block = mark, edge.effect_block.label
        effect.since_ns, effect.until_ns = since, until
        group = (id(edge.cause), effect.block, effect.title)
        if group in groups:
            groups[group].count += 1
        else:
            groups[group] = effect
            edge.cause.links.append(effect)
        if edge.first and until and (longest is None or until - since > _length(longest)):
            longest = Wait(effect, cause.title, edge.effect_block.label)
    return longest


def _length(wait: Wait) -> int:
    return wait.link.until_ns - wait.link.since_ns


def _marks(blocks: list[Block], edges: list[_Edge]) -> dict[int, str]:
    """Return the mark of each cause: its block's label and its number there, in order of time."""
    marks: dict[int, str] = {}
    numbers = dict.fromkeys((block.label for block in blocks), 0)
    for edge in sorted(edges, key=lambda edge: (edge.cause.start_ns, edge.cause.span_id)):
        if id(edge.cause) not in marks:
            numbers[edge.cause_block.label] += 1
            marks[id(edge.cause)] = f"{edge.cause_block.label}{numbers[edge.cause_block.label]}"
    return marks


def _link(node: Node, block: Block, *, effect: bool = False) -> Link:
    title = titles.far(node.name, node.span.attributes) if node.span else node.title
    return Link(block.trace.trace_id, node.span_id, effect, title, name(block.trace))


def name(trace: Trace) -> str:
    """Return what a trace is called: its session, else its agent or role, else nothing."""
    return next(
        filter(None, (titles.text(trace.info.get(key)) for key in ("session", "agent_name", "role"))), ""
    )


def _choose(blocks: list[Block], linked: set[int], *, failed: bool, slow: int | None) -> None:
    """Keep what failed, or the slowest spans of all blocks together, and the ends of links, in place."""
    if failed:
        _keep(
            blocks,
            linked,
            {id(node) for block in blocks for node, _ in block.trace.walk() if node.state == "error"},
        )
    if slow is not None:
        ranked = [
            node
            for block in blocks
            for node, depth in block.trace.walk()
            if not node.faded and (depth or not node.children)
        ]
        _keep(blocks, linked, {id(node) for node in heapq.nlargest(slow, ranked, key=shape.own_time)})


def _keep(blocks: list[Block], linked: set[int], chosen: set[int]) -> None:
    for block in blocks:
        shape.keep(block.trace, lambda node: id(node) in chosen or id(node) in linked)
        for node, _ in block.trace.walk():
            node.faded = id(node) not in chosen


def _hoist(trace: Trace, limit: int) -> None:
    """Hang the links of what is deeper than `limit` on what hides it, in place: marks stand at both ends."""
    for node, level in list(trace.walk()):
        if level != limit or not node.children:
            continue
        known = {_sameness(link) for link in node.links}
        for below in _under(node):
            for link in below.links:
                if link.mark and _sameness(link) not in known:
                    known.add(_sameness(link))
                    node.links.append(link)


def _under(node: Node) -> Iterator[Node]:
    """Yield what is under a node, in the order of the screen, folds' members too."""
    stack = [*reversed(node.members or node.children)]
    while stack:
        below = stack.pop()
        yield below
        stack.extend(reversed(below.members or below.children))


def _sameness(link: Link) -> tuple[str, bool, str]:
    return link.mark, link.effect, link.block


def _as_one(blocks: list[Block], window: tuple[int, int], gaps: list[tuple[int, int]]) -> Trace:
    """Return what the blocks share, as a trace."""
    traces = [block.trace for block in blocks]
    states = {trace.state for trace in traces}
    return Trace(
        traces[0].trace_id if traces else "",
        {},
        next((state for state in ("live", "unknown") if state in states), "ended"),
        "",
        *window,
        *window,
        [root for trace in traces for root in trace.roots],
        sum(block.spans for block in blocks),
        sum(block.errors for block in blocks),
        sum(trace.live for trace in traces),
        list(dict.fromkeys(skip for trace in traces for skip in trace.skipped)),
        gaps,
        folded=sum(trace.folded for trace in traces),
        notes=list(dict.fromkeys(note for trace in traces for note in trace.notes)),
    )


def _notes(story: Story) -> Iterator[str]:
    """Yield which linked traces are not in the picture, and why."""
    if story.left_out:
        names = [
            f"{called} ({trace_id[:8]})" if called else trace_id[:8] for trace_id, called in story.left_out
        ]
        most = len(story.sources) + len(names)
        said = f"{text.counted(len(names), 'linked trace')} had no room: {_some(names)}"
        yield f"{said}; --follow-links={most} has it for {'that one' if len(names) == 1 else 'them'}."
    if story.gone:
        names = [trace_id[:8] for trace_id in story.gone]
        yield f"Of {text.counted(len(names), 'linked trace')} nothing is in this journal: {_some(names)}."


def _some(names: Sequence[str]) -> str:
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*names[:_NAMED], *more])
