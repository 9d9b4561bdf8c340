"""Log records as lines under their span."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import TYPE_CHECKING

from gastown_tracing.view import text, titles

if TYPE_CHECKING:
    from gastown_tracing.journal.parse import ReadLog
    from gastown_tracing.view.console import Screen

#: What every record carries (the data model's "Every record"): said once in the header, not on each line.
COMMON = frozenset(
    "run.id run.uuid instance town_root agent_type role agent_name session_id rig "  # noqa: SIM905 - reads as it is
    "work_rig work_bead work_mol work_build log.record.uid".split()
)

#: What makes a value more than one word.
_MANY = re.compile(r'[\s"=]')


def log_line(screen: Screen, log: ReadLog) -> tuple[str, str]:
    """Return a log record as one line and its style: moment, severity, event, body, attributes of its own."""
    error = log.severity_number >= 17
    body = titles.text(log.body)
    event = log.event_name or body
    words = [
        screen.glyphs.log,
        f"+{text.duration(log.time_ns - screen.trace.axis_start_ns)}",
        log.severity_text or ("ERROR" if error else "INFO"),
        event,
    ]
    if body != event:
        words.append(body)
    words += [f"{name}={said(value)}" for name, value in log.attributes.items() if own(name, value)]
    return " ".join(screen.clean(word) for word in words if word), "error" if error else "dim"


def said(value: object) -> str:
    """Return an attribute's value as one word: quoted where it is several, a float in 4 digits or whole."""
    if isinstance(value, float) and isfinite(value):
        return f"{value:.0f}" if 1e3 <= abs(value) < 1e15 else f"{value:.4g}"
    word = titles.text(value)
    return json.dumps(word, ensure_ascii=False) if _MANY.search(word) else word


def own(name: str, value: object) -> str:
    """Return an attribute's value where it says something about this record, else an empty text."""
    said = titles.text(value)
    return "" if name in COMMON or (name == "status" and said == "ok") else said
