"""The checks as a person reads them: what is wrong first, the rest by group; marks need no colour."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from gastown_tracing.doctor.check import ok
from gastown_tracing.view import text
from gastown_tracing.view.theme import Paint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gastown_tracing.doctor.check import Check, State
    from gastown_tracing.view.theme import Style

    Checks = Sequence[tuple[str, Check]]

_MARKS = {"ok": "✓", "warning": "!", "problem": "✗", "skipped": "-"}
_ASCII_MARKS = {"ok": "+", "warning": "!", "problem": "x", "skipped": "-"}
_STYLES = {"ok": "live", "warning": "bead", "problem": "error", "skipped": "dim"}

#: What stands first, and over it.
_WRONG: dict[State, str] = {"problem": "problems", "warning": "warnings"}

#: Cells that the names of checks may take, and at least as many for what was found.
_WIDEST, _ROOM = 34, 24


def report(checks: Checks, style: Style, *, whole: bool = False, quiet: bool = False) -> str:
    """Return the text: problems, warnings, a paragraph a group, and how many there are of them.

    Settings at their defaults are one line, unless it is the `whole` of it that is wanted. With `quiet` there
    is nothing but what is wrong: "" where all is well.
    """
    lines: list[str] = []
    for state, title in _WRONG.items():
        found = [(f"{group}: {check.name}", check) for group, check in checks if check.state == state]
        lines += _paragraph(title, found, style)
    if quiet and not lines:
        return ""
    rest = [(group, check) for group, check in checks if check.state not in _WRONG and not quiet]
    for group, members in groupby(rest, key=lambda item: item[0]):
        well = [check for _, check in members]
        lines += _paragraph(group, [(check.name, check) for check in _folded(well, whole)], style)
    states = [check.state for _, check in checks]
    counts = [text.counted(states.count(state), state) for state in _WRONG]
    defaults = 0 if whole or quiet else sum(check.default for _, check in rest)
    folded = f", {defaults} of them settings at their defaults" if defaults else ""
    return "\n".join([*lines, f"{', '.join(counts)} in {text.counted(len(states), 'check')}{folded}"]) + "\n"


def _folded(checks: list[Check], whole: bool) -> list[Check]:
    """Return the checks of a group, its settings at their defaults as one."""
    defaults = [check for check in checks if check.default]
    if whole or not defaults:
        return checks
    said = f"{text.counted(len(defaults), 'setting')} at their defaults; --all shows them"
    return [*(check for check in checks if not check.default), ok("others", said)]


def _paragraph(title: str, checks: Sequence[tuple[str, Check]], style: Style) -> list[str]:
    if not checks:
        return []
    return [Paint(style.colour)(title, "bold"), *_rows(checks, style), ""]


def _rows(checks: Sequence[tuple[str, Check]], style: Style) -> Iterator[str]:
    names = min(max(text.width(name) for name, _ in checks), _WIDEST, max(style.width - 6 - _ROOM, 0))
    indent = " " * (names + 6)
    room = max(style.width - len(indent), _ROOM)
    arrow = "->" if style.ascii else "→"
    for said, check in checks:
        paint, name = Paint(style.colour), _clean(said, style)
        mark = paint((_ASCII_MARKS if style.ascii else _MARKS)[check.state], _STYLES[check.state])
        lines = text.folded(_clean(check.found, style), room)
        if text.width(name) > names:  # a line of its own
            yield f"  {mark} {name}"
            yield from (f"{indent}{line}" for line in lines)
        else:
            yield f"  {mark} {name}{' ' * (names - text.width(name))}  {lines[0]}".rstrip()
            yield from (f"{indent}{line}" for line in lines[1:])
        if check.advice:
            first, *more = text.folded(_clean(check.advice, style), room - 3)
            yield f"{indent}{arrow} {first}"
            yield from (f"{indent}{' ' * (len(arrow) + 1)}{line}" for line in more)


def _clean(said: str, style: Style) -> str:
    """Return a text that may hold what others wrote: nothing in it may move the cursor."""
    return text.clean(said, ascii_only=style.ascii)
