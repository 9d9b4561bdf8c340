"""Several linked traces as one picture on one time axis. Pure: from a story and a clock to plain data."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gastown_tracing.view import model, shape, text, titles
from gastown_tracing.view.marks import Wait, called, hoist, put_marks
from gastown_tracing.view.model import Trace
from gastown_tracing.view.parts import MEANWHILE, Block, drawn, find_edges, fold, shown, take_part

if TYPE_CHECKING:
    from gastown_tracing.view.linked import Story

#: How many traces without room, or that are gone, are named; the rest are counted.
_NAMED = 3

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(slots=True)
class Picture:
    """Blocks in the order of the screen; `all` is what they share, as a trace: axis, idle time, counts.

    `longest` and `pending` are the longest waits, of what was taken in the end and of what was not.
    """

    blocks: list[Block]
    all: Trace
    bead: str = ""
    longest: Wait | None = None
    pending: Pending | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """What was handed over longest ago and has not been taken: for how long, what, where, in words."""

    age_ns: int
    title: str
    block: str
    words: str


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
    blocks = []
    for place, source in enumerate(story.sources):
        asked = place < story.asked
        whole = every or (asked and _of_all(source.info, story.bead))
        blocks.append(Block("", model.build(source, now_ns), whole, asked))
    edges = find_edges(blocks)
    for block in blocks:
        take_part(block, edges, story)
    if story.bead:
        blocks.sort(key=lambda block: block.began_ns)
    for number, block in enumerate(blocks):
        block.label = _label(number)
    longest, pending = put_marks(blocks, edges), _pending(blocks, now_ns)
    window = _window(blocks)
    gaps = model.gaps([node for block in blocks for node in drawn(block)], *window)
    linked = {id(node) for edge in edges for node in (edge.cause, edge.effect)}
    _choose(blocks, linked, failed=failed, slow=slow)
    for block in blocks:
        if not every and slow is None:
            fold(block, failed=failed)
        if levels is not None:
            hoist(block.trace, levels)
            shape.depth(block.trace, levels)
    picture = Picture(blocks, _as_one(blocks, window, gaps), story.bead, longest, pending)
    picture.all.chosen = failed or slow is not None or levels is not None
    picture.all.notes += _notes(story, picture.all)
    return picture


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


def _pending(blocks: list[Block], now_ns: int) -> Pending | None:
    """Return what has been waiting longest."""
    waiting = [(node, block) for block in blocks for node, _ in block.trace.walk() if node.waits]
    if not waiting:
        return None
    node, block = min(waiting, key=lambda found: found[0].end_ns)
    return Pending(max(now_ns - node.end_ns, 0), called(node), block.label, node.waits)


def _window(blocks: list[Block]) -> tuple[int, int]:
    """Return the start and end of the axis."""
    times = [(node.start_ns, node.end_ns) for block in blocks for node in shown(block)]
    if not times:
        times = [(block.trace.axis_start_ns, block.trace.axis_end_ns) for block in blocks] or [(0, 0)]
    return min(begin for begin, _ in times), max(until for _, until in times)


def _choose(blocks: list[Block], linked: set[int], *, failed: bool, slow: int | None) -> None:
    """Keep what failed, or the slowest spans of all blocks together, and the ends of links, in place."""
    if failed:
        nodes = [node for block in blocks for node, _ in block.trace.walk()]
        _keep(blocks, linked, {id(node) for node in nodes if node.state == "error"})
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
        sum(block.live for block in blocks),
        list(dict.fromkeys(skip for trace in traces for skip in trace.skipped)),
        gaps,
        folded=sum(trace.folded for trace in traces),
        notes=list(dict.fromkeys(note for trace in traces for note in trace.notes)),
    )


def _notes(story: Story, whole: Trace) -> Iterator[str]:
    """Yield what one row stands for, and which linked traces are not in the picture, and why."""
    if any(node.title == MEANWHILE and node.members for node, _ in whole.walk()):
        yield f"{MEANWHILE}: what else a session did while something waited for it; --all shows it."
    if story.left_out:
        most = len(story.sources) + len(story.left_out)
        count = text.counted(len(story.left_out), "linked trace")
        verb, whom = ("is", "it") if len(story.left_out) == 1 else ("are", "them")
        names = _some(_named(story.left_out))
        yield f"{count} {verb} not drawn: {names}; --follow-links={most} draws {whom}."
    if story.aside:
        said = text.counted(len(story.aside), "more trace")
        yield f"These sessions' other work links to {said}, not drawn: {_some(_named(story.aside))}."
    if story.gone:
        count = text.counted(len(story.gone), "linked trace")
        yield f"Of {count} nothing is in this journal: {_some([trace_id[:8] for trace_id in story.gone])}."


def _named(traces: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{called} ({trace_id[:8]})" if called else trace_id[:8] for trace_id, called in traces]


def _some(names: Sequence[str]) -> str:
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*names[:_NAMED], *more])
