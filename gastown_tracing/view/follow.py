"""A picture that is drawn again whenever the files behind it change."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

#: Seconds from one look at the files to the next: at least four a second.
POLL = 0.2

#: Seconds between two drawings of a live trace on a terminal, so that its bars grow though no file changes.
GROW = 1.0

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


class Terminal:
    """Draws in place, on the terminal's other screen; the last picture stays on the usual one."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last = ""

    def __enter__(self) -> Terminal:
        self._say(_ENTER)
        return self

    def __exit__(self, *_: object) -> None:
        self._say(_LEAVE + self._last)

    def draw(self, picture: str) -> None:
        """Put a picture in place of the last one, its end where it is taller than the screen."""
        self._last = picture
        height = shutil.get_terminal_size().lines
        lines = picture.rstrip("\n").split("\n")
        if len(lines) > height:
            top = min(5, height // 2)
            hidden = len(lines) - height + 1
            lines = [*lines[:top], f"({hidden} lines above)", *lines[len(lines) - (height - top - 1) :]]
        self._say("\x1b[H" + "\x1b[K\r\n".join(lines) + "\x1b[K\x1b[J")


class Printer:
    """Prints each picture after the other, a line between them: for what is no terminal."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._separator = ""

    def __enter__(self) -> Printer:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def draw(self, picture: str) -> None:
        """Print a picture."""
        self._say(self._separator + picture)
        self._separator = "\f\n"


def follow(
    picture: Callable[[], tuple[str, bool]],
    stamp: Callable[[], object],
    canvas: Terminal | Printer,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Draw `picture()`, which says too whether it may still change, until it says no.

    It is drawn again when `stamp()` changes and, on a terminal, every second. A slow picture is drawn at most
    half of the time.
    """
    seen: object = None
    due = 0.0
    while True:
        began = time.monotonic()
        now = stamp()
        if now != seen or (began >= due and isinstance(canvas, Terminal)):
            text, live = picture()
            canvas.draw(text)
            if not live:
                return
            cost = time.monotonic() - began
            due = began + max(GROW, 2 * cost)
            seen = now
            pause(max(POLL - cost, cost))
        else:
            pause(POLL)
