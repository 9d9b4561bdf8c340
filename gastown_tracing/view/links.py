"""Links in words: what the other end is, where it is, and how long it was waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gastown_tracing.view import text
from gastown_tracing.view.model import OUTSIDE

if TYPE_CHECKING:
    from gastown_tracing.view.model import Link


def said(link: Link) -> str:
    """Return a link in words, its arrow apart.

    `caused by sling gt-abc in run 1a2b3c4d · mayor`; where the other end stands in the same picture `B1 sling
    gt-abc · mayor`, and at the cause `B1 session.start in A, 4.8 s later`.
    """
    what = link.title or f"span {link.span_id[:8]}"
    if not link.mark:
        verb = "caused" if link.effect else "caused by"
        return f"{verb} {what} {_where(link)}" + (f": {link.lost}" if link.lost else "")
    if not link.effect:
        return f"{link.mark} {what}" + (f" · {link.run}" if link.run else "")
    times = f" ×{link.count}" if link.count > 1 else ""  # noqa: RUF001 - the sign itself
    later = f", {waited(link)} later" if link.until_ns else ""
    return f"{link.mark} {what}{times} in {link.block}{later}"


def waited(link: Link) -> str:
    """Return how long an effect waited, empty where that tells nothing."""
    return text.duration(link.until_ns - link.since_ns) if link.until_ns else ""


def _where(link: Link) -> str:
    if link.run == OUTSIDE:
        return f"in trace {link.trace_id[:8]} · {OUTSIDE}"
    return f"in run {link.trace_id[:8]}" + (f" · {link.run}" if link.run else "")
