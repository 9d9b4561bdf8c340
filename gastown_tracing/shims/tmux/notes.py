"""What is noted of a tmux set-environment: GT_WORK_*, which says what a session works on."""

import time

from gastown_tracing.journal.layout import read_text
from propagation.work import WorkContext, format_line, in_force

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gastown_tracing.shims.tmux.line import Command
    from gastown_tracing.shims.tmux.place import Place

#: The variables that say what is worked on, and the field of the work context that each one is.
WORK = {"GT_WORK_RIG": "rig", "GT_WORK_BEAD": "bead", "GT_WORK_MOL": "mol", "GT_WORK_BUILD": "build"}

#: What a work.jsonl says where a line of ours is from.
SOURCE = "tmux"


def changes(command: "Command") -> dict[str, str]:
    """Return the fields of the work context that a set-environment sets, "" for one that it unsets."""
    if not command.words or "g" in command.flags or "F" in command.flags or "h" in command.flags:
        return {}  # the server's, or a value that only tmux knows
    field = WORK.get(command.words[0])
    if field is None:
        return {}
    unset = "u" in command.flags or "r" in command.flags
    return {field: "" if unset else "".join(command.words[1:2])}


def works_on(place: "Place", changed: "dict[str, str]") -> None:
    """Say in a run's work.jsonl that this is what it works on from now on. Raises OSError.

    Nothing is said of work that is in force already: a prime tells tmux, too.
    """
    now = time.time_ns()
    before = in_force(read_text(f"{place.directory}/work.jsonl") or "", now) or WorkContext()
    fields = {field: changed.get(field, getattr(before, field)) for field in WORK.values()}
    work = WorkContext(**fields)
    if work != before:
        from gastown_tracing.journal import writer  # nothing else needs it before tmux runs

        writer.append(place.directory, "work", format_line(now, work, SOURCE).encode())


def merged(commands: "Sequence[Command]") -> dict[str, str]:
    """Return the changes of several set-environment, the later ones over the earlier."""
    found: dict[str, str] = {}
    for command in commands:
        found.update(changes(command))
    return found
