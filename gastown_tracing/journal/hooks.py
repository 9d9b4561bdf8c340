"""Which bead hangs on which agent's hook, as commands said it: two kinds of entries of the journal's index.

gt puts a bead on a hook with several commands, in any order: one bonds it with its molecule, one assigns it,
one writes the molecule into its description. So what is known of a bead waits there for its agent. Two
commands at the same instant can leave one of their halves out: whoever asks `hooked` then asks bd, or knows
no molecule.
"""

import time

from gastown_tracing.journal.index import HOOKS, WORK, look, note, span_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.journal.layout import Journal


def take(journal: "Journal", said: "Mapping[str, str]", trace_id: str, span_id: str) -> None:
    """Note what a command that succeeded said of a hook (`shims.seen.Seen.hook`), and its span.

    Raises OSError, as `index.note` does.
    """
    bead = said.get("bead", "")
    if not bead:
        return
    known = look(journal, WORK, bead) or {}
    before = known.get("actor", "")
    actor, mol = said.get("actor", before), said.get("mol", known.get("mol", ""))
    note(journal, WORK, bead, {"actor": actor, "mol": mol})
    if before and before != actor and _has(journal, before, bead):
        note(journal, HOOKS, before, {"bead": ""})
    if not actor:
        return
    fields = {"bead": bead, "mol": mol, "trace_id": trace_id, "span_id": span_id, "time": str(time.time_ns())}
    if "actor" not in said:  # it has been there before: what put it there stays
        if not _has(journal, actor, bead):
            return
        fields |= _since(look(journal, HOOKS, actor))
    note(journal, HOOKS, actor, fields)


def hooked(journal: "Journal", actor: str) -> "tuple[str, str] | None":
    """Return (bead, molecule) on an agent's hook, ("", "") once it is off; None if unknown. Never raises."""
    entry = look(journal, HOOKS, actor)
    bead = None if entry is None else entry.get("bead")
    if entry is None or bead is None or not bead.isprintable():
        return None
    mol = entry.get("mol", "")
    return bead, mol if mol.isprintable() else ""


def hooked_since(journal: "Journal", actor: str) -> int | None:
    """Return when that bead was put there, nanoseconds of the Unix epoch; None if unknown. Never raises."""
    said = (look(journal, HOOKS, actor) or {}).get("time", "")
    return int(said) if said.isascii() and said.isdigit() else None


def cause(journal: "Journal", actor: str) -> "tuple[str, str] | None":
    """Return (trace ID, span id) of what put the bead on the hook; None if unknown. Never raises."""
    return span_of(look(journal, HOOKS, actor))


def _has(journal: "Journal", actor: str, bead: str) -> bool:
    return (look(journal, HOOKS, actor) or {}).get("bead") == bead


def _since(entry: "Mapping[str, str] | None") -> dict[str, str]:
    return {name: (entry or {}).get(name, "") for name in ("trace_id", "span_id", "time")}
