"""The checks as a person reads them: by group, with marks that need no colour."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from gastown_tracing.view import text
from gastown_tracing.view.theme import Paint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gastown_tracing.doctor.check import Check
    from gastown_tracing.view.theme import Style

_MARKS = {"ok": "✓", "warning": "!", "problem": "✗", "skipped": "-"}
_ASCII_MARKS = {"ok": "+", "warning": "!", "problem": "x", "skipped": "-"}
_STYLES = {"ok": "live", "warning": "bead", "problem": "error", "skipped": "dim"}

#: Cells that the names of checks may take, and at least as many for what was found.
_WIDEST, _ROOM = 34, 24


def report(checks: Sequence[tuple[str, Check]], style: Style) -> str:
    """Return the text: a paragraph a group, and how many problems there are."""
    lines: list[str] = []
    for group, found in groupby(checks, key=lambda item: item[0]):
        lines += [Paint(style.colour)(group, "bold"), *_group([check for _, check in found], style), ""]
    states = [check.state for _, check in checks]
    counts = [
        text.counted(states.count("problem"), "problem"),
        text.counted(states.count("warning"), "warning"),
    ]
    return "\n".join([*lines, f"{', '.join(counts)} in {text.counted(len(states), 'check')}"]) + "\n"


def _group(checks: Sequence[Check], style: Style) -> Iterator[str]:
    names = min(max(text.width(check.name) for check in checks), _WIDEST)
    indent = " " * (names + 6)
    room = max(style.width - len(indent), _ROOM)
    arrow = "->" if style.ascii else "→"
    for check in checks:
        paint, name = Paint(style.colour), _clean(check.name, style)
        mark = paint((_ASCII_MARKS if style.ascii else _MARKS)[check.state], _STYLES[check.state])
        first, *more = _lines(check.found, room, style)
        yield f"  {mark} {name}{' ' * (names - text.width(name))}  {first}".rstrip()
        yield from (f"{indent}{line}" for line in more)
        if check.advice:
            first, *more = _lines(check.advice, room - 3, style)
            yield f"{indent}{arrow} {first}"
            yield from (f"{indent}{' ' * (len(arrow) + 1)}{line}" for line in more)


def _lines(said: str, room: int, style: Style) -> list[str]:
    """Return a text in lines, broken at spaces: a path or URL is too long for one rather than cut.

    It may hold what others wrote: nothing in it may move the cursor.
    """
    lines = [""]
    for word in _clean(said, style).split():
        if lines[-1] and text.width(lines[-1]) + 1 + text.width(word) > room:
            lines.append(word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return lines


def _clean(said: str, style: Style) -> str:
    return text.clean(said, ascii_only=style.ascii)
