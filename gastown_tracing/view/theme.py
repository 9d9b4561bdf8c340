"""Glyphs and colours of the terminal view: one set for UTF-8, one for ASCII, colour on or off."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of one charset; each takes one cell, `dot`, `times` and the bars' ends included."""

    branch: str
    last: str
    down: str
    blank: str
    deep: str
    dot: str
    times: str
    total: str
    least: str
    more: str
    error: str
    live: str
    orphan: str
    bead: str
    cause: str
    effect: str
    log: str
    tick: str
    idle: str
    wait: str
    head: str
    leaf: tuple[
        str, str, str, str, str
    ]  # both halves of a cell, the right one, the left one, less than half at the left, at the right
    line: tuple[str, str, str, str, str]  # the same for a span that has children
    arrow: str
    levels: str  # how much of a cell a fold's members fill, from little to all


UTF8 = Glyphs(
    branch="├╴",
    last="└╴",
    down="│ ",
    blank="  ",
    deep="⋯ ",
    dot=" · ",
    times="×",  # noqa: RUF001 - the sign itself
    total="Σ",
    least="≥",
    more="…",
    error="✗",
    live="●",
    orphan="⇡",
    bead="◆",
    cause="⇠",
    effect="⇢",
    log="·",
    tick="╷",
    idle="┄",
    wait="┈",
    head="▸",
    leaf=("█", "▐", "▌", "▏", "▕"),
    line=("━", "╺", "╸", "╸", "╺"),
    arrow="▶",
    levels="▁▂▃▄▅▆▇█",
)

ASCII = Glyphs(
    branch="|-",
    last="`-",
    down="| ",
    blank="  ",
    deep="~ ",
    dot=" - ",
    times="x",
    total="sum",
    least=">=",
    more="...",
    error="!",
    live="*",
    orphan="^",
    bead="bead",
    cause="<-",
    effect="->",
    log="-",
    tick="|",
    idle=".",
    wait=".",
    head=">",
    leaf=("=", "=", "=", "|", "|"),
    line=("-", "-", "-", "|", "|"),
    arrow=">",
    levels=".:=#",
)

#: SGR parameters (ECMA-48) by style. Sixteen colours only: they follow the terminal's own theme.
STYLES = {
    "bold": "1",
    "dim": "2",
    "error": "1;31",
    "live": "1;32",
    "link": "35",
    "bead": "33",
    "bd": "36",
    "git": "33",
    "gt": "34",
    "mail": "35",
    "agent": "32",
    "session": "1",
    "other": "",
}


@dataclass(frozen=True, slots=True)
class Style:
    """How to print: cells a line, ASCII only, colour."""

    width: int = 80
    ascii: bool = False
    colour: bool = False


class Paint:
    """Styles text; does nothing where colour is off."""

    def __init__(self, colour: bool) -> None:
        self.codes = STYLES if colour else {}

    def __call__(self, text: str, style: str) -> str:
        """Return `text` in `style`, a key of STYLES."""
        code = self.codes.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if code and text else text
