"""What lets a later event, in another process or trace, find what it belongs to.

One small file a key below the journal's index/, made at once and whole, so that processes need no lock; who
wrote last is right. A shim calls this, so only what every interpreter has built in is used.

| kind      | key                          | what is noted                                              |
|-----------|------------------------------|------------------------------------------------------------|
| `beads`   | a bead, a message is one too | trace_id, span_id of the span that made it                 |
| `hooks`   | an agent, as in BD_ACTOR     | bead, mol; trace_id, span_id of what put it there          |
| `work`    | a bead                       | actor, on whose hook it is, "" for none; mol, its molecule |
| `merges`  | a merge request, by its bead | trace_id, span_id of the span that asked for the merge     |
| `agents`  | an agent program's session   | run_id of its run; transcript, its file                    |
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

BEADS, HOOKS, WORK, MERGES, AGENTS = "beads", "hooks", "work", "merges", "agents"
KINDS = (BEADS, HOOKS, WORK, MERGES, AGENTS)

#: Seconds after which nobody asks any more: 30 days.
KEPT = 30 * 86_400.0


def note(journal: Journal, kind: str, key: str, fields: "Mapping[str, str]") -> None:
    """Say what is known of a key. Without a key nothing is noted.

    The journal itself is not made. Raises OSError. Whether this process may write there (`Journal.owned`) is
    the caller's to know.
    """
    if not key:
        return
    pairs = ",".join([f"{quote_json(name)}:{quote_json(value)}" for name, value in _keyed(key, fields)])
    mkdirs(f"{journal.root}/index/{kind}", levels=2)
    write_atomic(_path(journal, kind, key), f"{{{pairs}}}\n")


def look(journal: Journal, kind: str, key: str) -> dict[str, str] | None:
    """Return what was noted last of a key, None if nothing was. Never raises."""
    entry = load_json(read_text(_path(journal, kind, key)) or "") if key else None
    if not isinstance(entry, dict) or entry.get("key") != key:  # long names can share a file
        return None
    return {name: value for name, value in entry.items() if isinstance(value, str) and name != "key"}


def note_bead(journal: Journal, bead_id: str, trace_id: str, span_id: str) -> None:
    """Say that the span with these ids (lowercase hex) made a bead. Raises OSError, as `note` does."""
    note(journal, BEADS, bead_id, {"trace_id": trace_id, "span_id": span_id})


def bead_span(journal: Journal, bead_id: str) -> "tuple[str, str] | None":
    """Return (trace ID, span id) of the span that made a bead, None if unknown. Never raises."""
    return span_of(look(journal, BEADS, bead_id))


def span_of(entry: "Mapping[str, str] | None") -> "tuple[str, str] | None":
    """Return (trace ID, span id) that an entry names, None where it names none."""
    trace_id, span_id = (entry or {}).get("trace_id"), (entry or {}).get("span_id")
    if not (is_id(trace_id, 32) and is_id(span_id, 16)):
        return None
    return str(trace_id), str(span_id)


def forget(journal: Journal, kept: float = KEPT) -> int:
    """Remove what was noted more than `kept` seconds ago; return how many keys that were. Never raises."""
    oldest, removed = time.time() - kept, 0
    for kind in KINDS:
        directory = f"{journal.root}/index/{kind}"
        for name in list_directory(directory):
            try:
                if posix.lstat(f"{directory}/{name}").st_mtime < oldest:
                    posix.unlink(f"{directory}/{name}")
                    removed += 1
            except OSError:  # somebody else has removed it
                continue
    return removed


def _keyed(key: str, fields: "Mapping[str, str]") -> "list[tuple[str, str]]":
    return [("key", key), *fields.items()]


def _path(journal: Journal, kind: str, key: str) -> str:
    return f"{journal.root}/index/{kind}/{file_name(key)}"
