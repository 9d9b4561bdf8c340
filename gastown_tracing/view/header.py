"""What stands above and below the waterfall: which session this is, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from typing import TYPE_CHECKING

from gastown_tracing.view import text, titles
from gastown_tracing.view.model import CIRCLE

if TYPE_CHECKING:
    from gastown_tracing.view.console import Screen
    from gastown_tracing.view.model import Trace

#: What a session's state is called, and its style.
STATES = {
    "live": ("live", "live"),
    "ended": ("ended", "dim"),
    "unknown": ("not known to be alive: it cannot be asked", "bead"),
    "dead": ("dead, not closed yet: `gt-trace session list` closes it", "error"),
}

#: What a trace without run.json is called: that of a session, and any other.
UNDESCRIBED, OUTSIDE = "a session that nothing describes", "outside any session"

#: What stands before the evidence that a session had ended.
FOUND = "found dead later: "

#: What a length with "at least" before it means.
MINIMUM = "nobody saw the end; it lasted at least so long, until the last sign of life"

#: How many skipped lines are named; the rest are counted.
_NAMED = 3


def header(screen: Screen) -> Iterator[str]:
    """Yield the lines above the axis: session, run, start and counts."""
    trace = screen.trace
    yield from joined(screen, list(who(trace)))
    kind = "run" if trace.run else "trace"
    yield from joined(screen, [(f"{kind} {trace.trace_id}", "dim"), *state(trace)])
    yield from joined(screen, list(counts(screen)))


def state(trace: Trace) -> Iterator[tuple[str, str]]:
    """Yield how a session is, and how anybody knows where nobody saw its end."""
    if not trace.run:
        return
    said, style = STATES.get(trace.state, (trace.state, "dim"))
    yield f"{said}: {trace.reason}" if trace.state == "ended" and trace.reason else said, style
    if trace.evidence:
        what, _, why = trace.evidence.partition(": ")
        yield f"{FOUND}{what}", "bead"
        if why:
            yield why, "bead"


def who(trace: Trace) -> Iterator[tuple[str, str]]:
    """Yield what is known of the session."""

    def info(name: str) -> str:
        return titles.text(trace.info.get(name))

    if not trace.info:
        yield UNDESCRIBED if trace.run else OUTSIDE, "bold"
        return
    yield info("session") or info("agent_name") or info("role") or "session", "bold"
    if info("role"):
        yield info("role"), "bold"
    for name, word in (("rig", "rig"), ("agent_name", "agent"), ("issue_id", "bead"), ("host", "host")):
        if (said := info(name)) and not (name == "agent_name" and said == info("role")):
            yield f"{word} {said}", "bead" if word == "bead" else ""


def counts(screen: Screen) -> Iterator[tuple[str, str]]:
    """Yield start, duration and how much there is."""
    trace = screen.trace
    yield started(trace, screen.options.zone), ""
    yield lasted(trace), "bold"
    yield text.counted(trace.spans, "span"), ""
    yield (text.counted(trace.errors, "error"), "error") if trace.errors else ("no errors", "")
    if trace.live:
        yield f"{trace.live} in progress", "live"
    if trace.skipped:
        yield f"{text.counted(len(trace.skipped), 'line')} skipped", "error"


def started(trace: Trace, zone: tzinfo | None) -> str:
    """Return when a trace began, in a zone (None: local)."""
    if not trace.start_ns:
        return "start not known"
    moment = text.moment(trace.start_ns, zone)
    offset = moment.strftime("%z")
    return f"{moment:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]}"


def lasted(trace: Trace) -> str:
    """Return how long a trace took, as far as anybody knows."""
    if not trace.start_ns:
        return "?"
    return text.took(trace.end_ns - trace.start_ns, minimum=trace.minimum)


def joined(screen: Screen, parts: list[tuple[str, str]]) -> Iterator[str]:
    """Yield parts joined by dots, on as many lines as they need."""
    dot = screen.glyphs.dot
    plain = [screen.cut(screen.clean(part), screen.width) for part, _ in parts]
    for line in text.wrap(plain, screen.width, dot):
        yield screen.paint(dot, "dim").join(screen.paint(plain[index], parts[index][1]) for index in line)


def footer(screen: Screen) -> Iterator[str]:
    """Yield what was shortened, folded, left out, misplaced or unreadable, each with what to do about it."""
    for note in _notes(screen):
        for line in text.paragraph(screen.clean(note), screen.width, screen.glyphs.more):
            yield screen.paint(line, "dim")


def _notes(screen: Screen) -> Iterator[str]:
    trace, glyphs = screen.trace, screen.glyphs
    if screen.axis.idle:
        total = text.duration(sum(gap[3] for gap in screen.axis.idle))
        yield f"Idle time is shortened on the axis: {total} in {text.counted(len(screen.axis.idle), 'gap')}."
    if any(node.minimum and node.busy_ns for node, _ in trace.walk()):
        yield f"{glyphs.least}: {MINIMUM}."
    if trace.folded:
        yield f"{trace.folded} like spans are folded, durations summed ({glyphs.total}); --all shows each."
    missing, circles = _orphans(trace)
    if missing:
        why = "has not ended or not arrived yet" if trace.state == "live" else "was never recorded"
        yield f"{glyphs.orphan} {text.counted(missing, 'span')} shown under the root: the parent {why}."
    if circles:
        yield f"{glyphs.orphan} {text.counted(circles, 'span')} shown under the root: a circle of parents."
    if not trace.roots and trace.spans:
        yield "No span of this trace is in this choice."
    yield from trace.notes
    for skip in trace.skipped[:_NAMED]:
        yield f"Skipped {skip}"
    if len(trace.skipped) > _NAMED:
        yield f"Skipped {text.counted(len(trace.skipped) - _NAMED, 'line')} more."


def _orphans(trace: Trace) -> tuple[int, int]:
    """Return how many shown spans hang under the root for want of a parent, and how many are in a circle."""
    missing = circles = 0
    for node, _ in trace.walk():
        number = len(node.members) or 1
        if node.orphan == CIRCLE:
            circles += number
        elif node.orphan:
            missing += number
    return missing, circles
