"""A look at a pane, tmux capture-pane, as its record."""

import time

from gastown_tracing.events.panes import PANES
from gastown_tracing.events.values import recordable
from gastown_tracing.journal.layout import read_text
from gastown_tracing.sessions.records import common_attributes, plain_log, write_records
from propagation.work import in_force

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gastown_tracing.shims.tmux.line import Command
    from gastown_tracing.shims.tmux.place import Call, Place


def lines_requested(command: "Command") -> int | None:
    """Return how many lines of its history a capture-pane asks for, None where it names no number."""
    text = command.value("S")
    return int(text[1:]) if text[:1] == "-" and text[1:].isascii() and text[1:].isdigit() else None


def looked(call: "Call", place: "Place", command: "Command", error: str) -> None:
    """Record a look at a run's pane: in the caller's own run, where it has none in that of the pane.

    Raises OSError.
    """
    event = PANES["pane.read"]
    given = {"session": place.session, "lines_requested": lines_requested(command)}
    own = recordable(event, given, call.plan.telemetry.config, call.note)
    if call.plan.resolution.run_id:
        from gastown_tracing.shims.entry import Entry  # who has no run records in the pane's

        entry = Entry(event, own, call.plan, start_ns=call.start_ns, span_id="")
        entry.finish(time.time_ns(), error)
        entry.write(*entry.lines())
        return
    now = time.time_ns()
    work = in_force(read_text(f"{place.directory}/work.jsonl") or "", now)
    attributes = {
        **common_attributes(place.info),
        **(work.attributes() if work else {}),
        **own,
        "status": "error" if error else "ok",
        "error": error,
    }
    write_records(place.directory, place.info, [], [plain_log(event.name, place.info, now, attributes)])
