"""Marks at both ends of each link of a picture, and how long which effect waited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gastown_tracing.view import titles
from gastown_tracing.view.model import Link, Node, Trace
from gastown_tracing.view.parts import Block, Edge

#: What one takes for all.
_TAKEN = ("mail", "bd.call")


@dataclass(frozen=True, slots=True)
class Wait:
    """The longest time between a cause and the first of its effects in another trace."""

    link: Link
    cause: str
    block: str


def put_marks(blocks: list[Block], edges: list[Edge]) -> Wait | None:
    """Put on both ends of each link the mark of its cause and what is known of the other end.

    Returns the longest wait. Links to what is not here stay as they are.
    """
    _forget_later(edges)
    _take_off(blocks, edges)
    marks = _marks(blocks, edges)
    groups: dict[tuple[int, str, str], Link] = {}
    longest: Wait | None = None
    for edge in edges:
        mark = marks[id(edge.cause)]
        cause = _link(edge.cause, edge.cause_block, mark, edge.wait)
        effect = _link(edge.effect, edge.effect_block, mark, edge.wait, effect=True)
        edge.effect.links.append(cause)
        first = groups.setdefault((id(edge.cause), effect.block, effect.title), effect)
        if first is effect:
            edge.cause.links.append(effect)
        else:
            first.count += 1
        if edge.first and edge.wait[1] and (longest is None or _length(effect) > _length(longest.link)):
            longest = Wait(effect, cause.title, effect.block)
    return longest


def _forget_later(edges: list[Edge]) -> None:
    """Let nothing wait for who came later: another trace, drawn or not, took the message or request first."""
    for edge in edges:
        name, began = edge.effect.name, edge.effect.start_ns
        if name not in _TAKEN:
            continue
        others = (link for link in edge.cause.links if link.effect and link.name == name)
        if any(
            link.trace_id != edge.effect_block.trace.trace_id and 0 < link.start_ns < began for link in others
        ):
            edge.first = False
            subcommand = edge.effect.span and edge.effect.span.attributes.get("subcommand")
            edge.last = edge.last and subcommand in ("update", "close")


def _take_off(blocks: list[Block], edges: list[Edge]) -> None:
    """Take off all nodes the links of which both ends are here."""
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


def _length(link: Link) -> int:
    return link.until_ns - link.since_ns


def _marks(blocks: list[Block], edges: list[Edge]) -> dict[int, str]:
    """Return the mark of each cause: its block's label and its number there, in order of time."""
    marks: dict[int, str] = {}
    numbers = dict.fromkeys((block.label for block in blocks), 0)
    for edge in sorted(edges, key=lambda edge: (edge.cause.start_ns, edge.cause.span_id)):
        if id(edge.cause) not in marks:
            numbers[edge.cause_block.label] += 1
            marks[id(edge.cause)] = f"{edge.cause_block.label}{numbers[edge.cause_block.label]}"
    return marks


def _link(node: Node, block: Block, mark: str, wait: tuple[int, int], *, effect: bool = False) -> Link:
    link = Link(block.trace.trace_id, node.span_id, effect, called(node), name(block.trace))
    link.mark, link.block, (link.since_ns, link.until_ns) = mark, block.label, wait
    return link


def called(node: Node) -> str:
    """Return what a node is called where a link names it."""
    return titles.far(node.name, node.span.attributes) if node.span else node.title


def name(trace: Trace) -> str:
    """Return what a trace is called: its session, else its agent or role, else nothing."""
    names = (titles.text(trace.info.get(key)) for key in ("session", "agent_name", "role"))
    return next(filter(None, names), "")


def hoist(trace: Trace, limit: int) -> None:
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
