"""Which span made a bead: what lets a later event, in another trace, be linked to its cause.

One small file a bead below the journal's index/, made at once and whole, so that processes need no lock; who
wrote last is right. A shim calls this, so only what every interpreter has built in is used.
"""

import posix
import time

from gastown_tracing.journal.layout import (
    Journal,
    file_name,
    list_directory,
    load_json,
    mkdirs,
    quote_json,
    read_text,
    write_atomic,
)
from propagation.traceparent import is_id

#: Seconds after which nobody asks where a bead came from: 30 days.
KEPT = 30 * 86_400.0


def note_bead(journal: Journal, bead_id: str, trace_id: str, span_id: str) -> None:
    """Say that the span with these ids (lowercase hex) made a bead. Without a bead's id nothing is noted.

    The journal itself is not made. Raises OSError. Whether this process may write there (`Journal.owned`) is
    the caller's to know.
    """
    if not bead_id:
        return
    fields = {"bead_id": bead_id, "trace_id": trace_id, "span_id": span_id}
    pairs = ",".join([f"{quote_json(name)}:{quote_json(value)}" for name, value in fields.items()])
    mkdirs(_directory(journal), levels=2)
    write_atomic(_path(journal, bead_id), f"{{{pairs}}}\n")


def bead_span(journal: Journal, bead_id: str) -> "tuple[str, str] | None":
    """Return (trace ID, span id) of the span that made a bead, None if unknown. Never raises."""
    entry = load_json(read_text(_path(journal, bead_id)) or "")
    if not isinstance(entry, dict) or entry.get("bead_id") != bead_id:  # long names can share a file
        return None
    trace_id, span_id = entry.get("trace_id"), entry.get("span_id")
    if not (is_id(trace_id, 32) and is_id(span_id, 16)):
        return None
    return str(trace_id), str(span_id)


def forget_beads(journal: Journal, kept: float = KEPT) -> int:
    """Remove what was noted more than `kept` seconds ago; return how many beads that were. Never raises."""
    directory, oldest, removed = _directory(journal), time.time() - kept, 0
    for name in list_directory(directory):
        try:
            if posix.lstat(f"{directory}/{name}").st_mtime < oldest:
                posix.unlink(f"{directory}/{name}")
                removed += 1
        except OSError:  # somebody else has removed it
            continue
    return removed


def _directory(journal: Journal) -> str:
    return journal.root + "/index/beads"


def _path(journal: Journal, bead_id: str) -> str:
    return f"{_directory(journal)}/{file_name(bead_id)}"
