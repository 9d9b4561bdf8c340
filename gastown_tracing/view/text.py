"""Text that is safe and measured: what a terminal shows of names and content nobody here chose."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime, tzinfo

#: Sub-second units, largest first: (nanoseconds, name).
_SMALL = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"))

#: Whole units above a minute, largest first: (seconds of the unit, its name, seconds of the next, its name).
_LARGE = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s"))

#: What looks the same, or nearly, in ASCII.
_PLAIN = (
    *(("·", "-"), ("‹", "<"), ("›", ">"), ("…", "..."), ("µ", "u"), ("→", "->"), ("≥", ">="), ("Σ", "sum")),
    ("×", "x"),  # noqa: RUF001 - the sign itself
)

#: Text of which every character takes one cell: Latin, and what our own glyphs are made of.
_NARROW = re.compile(
    r"[ -\u02ff\u2010-\u2027\u2039\u203a\u2190-\u21ff\u2265\u22ef\u2400-\u2421\u2500-\u25fc\u2717]*"
)

#: In the year 9999, in every time zone.
_LAST_SECOND = 253_402_000_000

#: Emoji variation selectors: terminals disagree about the width they ask for, so none is written.
_VARIATION = dict.fromkeys((0xFE0E, 0xFE0F))

#: What `folded` keeps together: a word or a command, and the dot that ends it.
_WORD = re.compile(r"(?:[^\s`]*`[^`]*`\S*|\S+)(?: ·(?=\s))?")


def clean(text: str, *, ascii_only: bool = False) -> str:
    """Return `text` as one line that holds nothing a terminal obeys.

    Control characters become visible pictures (U+2400), format characters (bidirectional overrides, joiners)
    and variation selectors are left out, line breaks become spaces, and what cannot be encoded becomes
    U+FFFD. With `ascii_only` everything outside printable ASCII becomes `?`.
    """
    if text.isascii():
        if text.isprintable():
            return text
    elif text.isprintable():
        text = text.translate(_VARIATION)
    if not text.isprintable():
        text = "".join(_shown(character) for character in text)
    if ascii_only:
        return _to_ascii(text)
    return text if _NARROW.fullmatch(text) else _with_few_marks(text)


def _with_few_marks(text: str) -> str:
    """Return `text` with at most three combining marks on a character: a heap of them covers other lines."""
    kept = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if marks <= 3:
            kept.append(character)
    return "".join(kept)


def _to_ascii(text: str) -> str:
    """Return `text` in ASCII: punctuation spelled out, letters without accents, the rest as `?`."""
    for fancy, simple in _PLAIN:
        text = text.replace(fancy, simple)
    plain = unicodedata.normalize("NFD", text)
    return "".join(
        character if " " <= character <= "~" else "?"
        for character in plain
        if not unicodedata.category(character).startswith("M")
    )


def _shown(character: str) -> str:
    """Return what stands for one character: itself, a picture, a space, or nothing."""
    if character.isprintable():
        return "" if ord(character) in _VARIATION else character
    category = unicodedata.category(character)
    if category == "Cc":
        code = ord(character)
        if character in "\t\n\r":
            return " "
        return "␡" if code == 0x7F else chr(0x2400 + code) if code < 0x20 else "\ufffd"
    if category.startswith("Z"):
        return " "
    return "" if category == "Cf" else "\ufffd"


def width(text: str) -> int:
    """Return how many terminal cells `text` (already cleaned) takes."""
    if text.isascii() or _NARROW.fullmatch(text):
        return len(text)
    from wcwidth import wcswidth

    measured = wcswidth(text)
    return measured if measured >= 0 else len(text)


def cut(text: str, cells: int, mark: str) -> str:
    """Return `text`, or as much of its beginning as fits into `cells` together with `mark`."""
    if len(text) <= cells and (text.isascii() or width(text) <= cells):
        return text
    if cells <= 0:
        return ""
    text = text[: cells * 4]  # marks that take no cell are no way to write without end
    if width(text) <= cells:
        return text
    if len(mark) > cells:
        mark = mark[:cells]
    room = cells - len(mark)
    text = text[:room] if text.isascii() else _fitting(text, room)
    return text + mark


def _fitting(text: str, room: int) -> str:
    """Return the longest beginning of `text` that takes at most `room` cells."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if width(text[:middle]) <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low]


def wrap(parts: list[str], cells: int, separator: str) -> list[list[int]]:
    """Return which parts (by index) go on which line when they are joined by `separator` within `cells`."""
    lines: list[list[int]] = []
    used = 0
    for index, part in enumerate(parts):
        needed = width(part)
        if lines and used + len(separator) + needed <= cells:
            lines[-1].append(index)
            used += len(separator) + needed
        else:
            lines.append([index])
            used = needed
    return lines


def paragraph(words: str, cells: int, mark: str) -> Iterator[str]:
    """Yield `words` broken at spaces into lines of at most `cells`; `mark` ends a word that is cut."""
    line = ""
    for word in words.split(" "):
        piece = cut(word, cells, mark)
        if line and width(line) + 1 + width(piece) > cells:
            yield line
            line = piece
        else:
            line = f"{line} {piece}" if line else piece
    yield line


def folded(words: str, cells: int) -> list[str]:
    """Return `words` in lines, broken at spaces: a path or URL is too long for one rather than cut.

    A command in backticks stays whole, and a ` · ` ends a line rather than that it begins one.
    """
    lines = [""]
    for word in _WORD.findall(words):
        if not lines[-1] or width(lines[-1]) + 1 + width(word) <= cells:
            lines[-1] += f" {word}" if lines[-1] else word
        else:
            lines.append(word)
    return lines


def within(time_ns: int) -> int:
    """Return a time as OTLP's unsigned 64 bits can have it, whatever a file says."""
    return min(max(time_ns, 0), 2**64 - 1)


def moment(time_ns: int, zone: tzinfo | None = None) -> datetime:
    """Return a time of the Unix epoch in a zone (None: local), at most that of the last year there is."""
    seconds = min(within(time_ns) / 1e9, _LAST_SECOND)
    return datetime.fromtimestamp(seconds, zone).astimezone(zone)


def duration(nanoseconds: int) -> str:
    """Return a length of time in at most eight cells: `12 ms`, `6.7 s`, `2m 05s`, `3h 20m`, `999d 23h`."""
    nanoseconds = within(nanoseconds)
    if nanoseconds < 59_950_000_000:
        return _short_duration(nanoseconds)
    seconds = round(nanoseconds / 1e9)
    if seconds >= 1000 * 86_400:
        return f"{seconds // 86_400}d"
    for unit, name, small, small_name in _LARGE:
        if seconds >= unit:
            whole, rest = divmod(seconds, unit)
            return f"{whole}{name} {rest // small:02d}{small_name}"
    return f"{seconds} s"


def took(nanoseconds: int, *, minimum: bool = False) -> str:
    """Return how long something took; where only a minimum is known `≥ 12 ms`, or `?` for a minimum of 0."""
    if not minimum:
        return duration(nanoseconds)
    return f"≥ {duration(nanoseconds)}" if nanoseconds > 0 else "?"


def _short_duration(nanoseconds: int) -> str:
    """Return a length of time below a minute."""
    for unit, name in _SMALL:
        value = nanoseconds / unit
        if value >= 0.9995:
            return (
                f"{value:.1f} {name}"
                if value < 9.95
                else f"{value:.0f} {name}"
                if unit < 10**9
                else f"{value:.1f} s"
            )
    return f"{nanoseconds} ns" if nanoseconds else "0 s"


def tick(nanoseconds: int) -> str:
    """Return a moment on the axis, as short as it can be said exactly: `250ms`, `10s`, `2m30s`, `1h05m`."""
    if nanoseconds == 0:
        return "0"
    seconds, rest = divmod(nanoseconds, 10**9)
    if seconds < 60:
        unit, name = next(((u, n) for u, n in _SMALL if nanoseconds >= u), (1, "ns"))
        return f"{nanoseconds / unit:g}{name}"
    for unit, name, small, small_name in _LARGE:
        if seconds >= unit:
            whole, remainder = divmod(seconds, unit)
            text = (
                f"{whole}{name}"
                if remainder < small
                else f"{whole}{name}{remainder // small:02d}{small_name}"
            )
            return text if rest == 0 or unit > 60 else f"{text}.{rest // 10**8}"
    return ""


def size(count: int) -> str:
    """Return a number of bytes in words: `812 bytes`, `3.4 kB`, `1.2 MB`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return counted(count, "byte")


def counted(number: int, noun: str) -> str:
    """Return `1 span`, `2 spans`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
