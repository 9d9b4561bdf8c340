"""Who is about to end a session: said when gt takes its hook pane-died away, before it ends any process."""

from gastown_tracing.journal.layout import load_json, read_text
from gastown_tracing.sessions.stops import Stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gastown_tracing.shims.tmux.line import Command
    from gastown_tracing.shims.tmux.place import Call

#: The hook that would start an agent again, or say that it died.
HOOK = "pane-died"


def disarms(command: "Command") -> bool:
    """Return whether a set-hook takes pane-died away: who kills a session as gt does begins with that."""
    return "u" in command.flags and HOOK in command.words


def stop_of(call: "Call") -> Stop:
    """Return what can be said of a session that our caller is about to end."""
    title = _title(call)
    by = ", with ".join(text for text in (call.actor, title) if text)
    return Stop(call.start_ns, "done" if title == "done" else "stopped", by, call.cause)


def _title(call: "Call") -> str:
    """Return what our caller is doing, by the mark of its call in progress: an event, or gt's own words."""
    cause = call.cause
    if cause is None:
        return ""
    journal = call.journal
    run_id = call.plan.resolution.run_id
    # A command that began before the hour's end has its mark in the hour before.
    hours = [journal.loose_dir(call.start_ns - back * 3600 * 10**9) for back in (0, 1)]
    for directory in [journal.run_dir(run_id)] if run_id else hours:
        text = read_text(f"{directory}/open/{cause.span_id}")
        if text:
            return _title_of(text.partition("\n")[0])
    return ""


def _title_of(line: str) -> str:
    found = load_json(line)
    try:
        span = found["resourceSpans"][0]["scopeSpans"][0]["spans"][0]  # type: ignore[index]  # as we wrote it
        known = {item["key"]: item["value"] for item in span["attributes"]}
    except (TypeError, KeyError, IndexError):
        return ""
    words = known.get("command", {}).get("stringValue", "")
    return f"gt {words}" if words else str(span.get("name", ""))
