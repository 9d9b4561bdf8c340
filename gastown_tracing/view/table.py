"""Tables in a terminal: columns as wide as what they hold, the least important dropped for want of room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gastown_tracing.view import text
from gastown_tracing.view.theme import Paint, Style


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading, its rank (0 stays, the highest is dropped first), its cells at most, its side."""

    heading: str
    rank: int = 0
    most: int = 40
    right: bool = False


#: A cell: what it says and its style.
Cell = tuple[str, str]


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], style: Style) -> str:
    """Return the table as lines of at most `style.width` cells."""
    heads = [(column.heading, "dim") for column in columns]
    clean = [
        [(text.clean(said, ascii_only=style.ascii), mood) for said, mood in row] for row in [heads, *rows]
    ]
    # A column that is empty in every row tells nothing.
    kept = [index for index in range(len(columns)) if any(row[index][0] for row in clean[1:])]
    sizes = [max(text.width(row[index][0]) for row in clean) for index in range(len(columns))]
    sizes = [min(size, column.most) for size, column in zip(sizes, columns, strict=True)]
    while sum(sizes[index] + 2 for index in kept) - 2 > style.width:
        worst = max(kept, key=lambda index: columns[index].rank)
        if columns[worst].rank == 0:
            break
        kept.remove(worst)
    _shrink(kept, sizes, style.width)
    chosen = [(columns[index], sizes[index]) for index in kept]
    return "".join(_line([row[index] for index in kept], chosen, style) for row in clean)


def _shrink(kept: list[int], sizes: list[int], width: int) -> None:
    """Narrow the widest columns, in place, until the line fits."""
    over = sum(sizes[index] + 2 for index in kept) - 2 - width
    while over > 0:
        widest = max(kept, key=lambda index: sizes[index])
        if sizes[widest] <= 1:
            return
        sizes[widest] -= 1
        over -= 1


def _line(cells: Sequence[Cell], columns: Sequence[tuple[Column, int]], style: Style) -> str:
    """Return one line of the table; each column comes with its size."""
    paint = Paint(style.colour)
    parts = []
    for (said, mood), (column, size) in zip(cells, columns, strict=True):
        short = text.cut(said, size, "..." if style.ascii else "…")
        space = " " * (size - text.width(short))
        parts.append(space + paint(short, mood) if column.right else paint(short, mood) + space)
    return "  ".join(parts).rstrip() + "\n"
