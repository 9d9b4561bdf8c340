"""OpenTelemetry's names for what an event says: its span's kind, and attributes of the semantic conventions.

These stand on the span alone, beside the data model's own ("Events", below the table).
"""

from gastown_tracing.events.schema import CONSUMER, PRODUCER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.events.schema import Event, Value

#: The kind of a mail's span by its operation ("Messaging spans"); any other operation is internal.
MAIL_KINDS = {"send": PRODUCER, "read": CONSUMER}
#: What `messaging.*` is taken from.
MESSAGING = {
    "messaging.operation.name": "operation",
    "messaging.destination.name": "msg.to",
    "messaging.message.id": "msg.id",
    "messaging.message.conversation_id": "msg.thread_id",
}
#: The events that are a command, and its program.
PROGRAMS = {"bd.call": "bd", "git.operation": "git"}
#: The events whose spans have a name, a kind or attributes that do not stand in the registry.
PARTICULAR = frozenset({"mail", "exec", *PROGRAMS})
#: The `error.type` of a program that failed nobody knows how.
OTHER = "_OTHER"


def span_name(event: "Event", own: "Mapping[str, object]") -> str:
    """Return the name of an event's span: its own, but for `exec` that of the command."""
    return str(own["name"]) if event.name == "exec" and own.get("name") else event.name


def span_kind(event: "Event", own: "Mapping[str, Value]") -> str:
    """Return the kind of an event's span, one of events.schema's, by the event's own attributes."""
    if event.name == "mail":
        return MAIL_KINDS.get(str(own.get("operation")), event.kind)
    return event.kind


def span_attributes(event: "Event", own: "Mapping[str, Value]") -> "dict[str, Value]":
    """Return the attributes that only the event's span has, by the event's own attributes."""
    if event.name == "mail":
        found = {theirs: own[ours] for theirs, ours in MESSAGING.items() if own.get(ours)}
        return {"messaging.system": "gastown", **found}
    if event.name in PROGRAMS:
        code = {"process.exit.code": own["exit_code"]} if "exit_code" in own else {}
        return {"process.executable.name": PROGRAMS[event.name], **code}
    return {}
