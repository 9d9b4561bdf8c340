"""Bars on the time axis, cell by cell."""

from __future__ import annotations

from gastown_tracing.view.axis import Axis
from gastown_tracing.view.model import Node
from gastown_tracing.view.theme import Glyphs

#: Both halves of a cell, the right one, the left one, less than half at its left, at its right.
Shapes = tuple[str, str, str, str, str]


def bar(node: Node, axis: Axis, glyphs: Glyphs) -> tuple[int, str]:
    """Return where the node's bar begins and its cells; where it reaches beyond the axis it is marked."""
    if axis.cells <= 0:
        return 0, ""
    if node.members:
        return _rug(node, axis, glyphs)
    begin, end = axis.at(node.start_ns), axis.at(node.end_ns)
    first, cells = _solid(begin, end, axis.cells, glyphs.line if node.children else glyphs.leaf)
    if axis.idle and len(cells) > 2:
        cells = _with_idle(first, cells, axis, glyphs.idle)
    if node.state == "live":
        cells = cells[:-1] + glyphs.arrow
    elif node.end_ns > axis.end:
        cells = cells[:-1] + glyphs.deep[0]
    if node.start_ns < axis.start:
        cells = glyphs.deep[0] + cells[1:]
    return first, cells


def _solid(begin: float, end: float, room: int, shapes: Shapes) -> tuple[int, str]:
    """Return (first cell, cells) of [begin, end) in half cells; what is shorter than one is a sliver."""
    full, right, left, sliver, right_sliver = shapes
    first = min(int(begin), room - 1)
    if end - begin < 0.5:
        return first, sliver if begin - first < 0.5 or first == room - 1 > begin else right_sliver
    low, high = int(begin * 2), min(-int(-end * 2 // 1), room * 2)
    first, last = low // 2, (high + 1) // 2
    if last - first == 1:
        return first, full if high - low == 2 else right if low % 2 else left
    head = right if low % 2 else full
    tail = left if high % 2 else full
    return first, head + full * (last - first - 2) + tail


def _with_idle(first: int, cells: str, axis: Axis, idle: str) -> str:
    """Return a bar with the cells of shortened gaps drawn as idle."""
    for place, count, _, _ in axis.idle:
        low, high = max(place - first, 1), min(place + count - first, len(cells) - 1)
        if low < high:
            cells = cells[:low] + idle * (high - low) + cells[high:]
    return cells


def _rug(node: Node, axis: Axis, glyphs: Glyphs) -> tuple[int, str]:
    """Return a fold's bar: in each cell, how much of it the members fill."""
    filled: dict[int, float] = {}
    for member in node.members:
        begin, end = axis.at(member.start_ns), axis.at(member.end_ns)
        cell = min(int(begin), axis.cells - 1)
        filled.setdefault(cell, 0.0)
        while cell < end and cell < axis.cells:
            filled[cell] = filled.get(cell, 0.0) + min(end, cell + 1) - max(begin, cell)
            cell += 1
    first, last = min(filled), max(filled)
    top = len(glyphs.levels) - 1
    cells = (
        glyphs.levels[min(int(filled[cell] * len(glyphs.levels)), top)] if cell in filled else " "
        for cell in range(first, last + 1)
    )
    return first, "".join(cells)
