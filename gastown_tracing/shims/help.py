"""What `gt-trace event`, `gt-trace mail`, … say about themselves; on attributes, in the registry's words."""

from gastown_tracing.events.registry import EVENTS
from gastown_tracing.shims.arguments import DEFAULTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gastown_tracing.events.schema import Attribute, Event

#: What the commands do beyond recording their event, and what they know by themselves.
MORE = {
    "mail": "Keys may be given without their `msg.`: to=mayor/ subject=Done",
    "done": """\
Unless told otherwise rig and bead are those of the work in force, and the time to complete
is what has passed since work on the bead began. Of `gt-trace done` EXIT_TYPE is COMPLETED
where it is left out, and bead= is short for bead_id=.""",
    "prime": """\
The work is what is given (rig=, bead=, mol=, build=, also with `work_` before them), else
GT_WORK_RIG, GT_WORK_BEAD, GT_WORK_MOL and GT_WORK_BUILD where no prime of the run has said
the same before, else the bead that bd says is on the hook of BD_ACTOR: only here bd is
asked. A bead without a rig is of GT_RIG. `bead=` alone, or an empty hook, is no work; where
bd does not answer the work stays what it was. From now on every record of the run carries
it, and the session's new panes in tmux get it as GT_WORK_*.""",
}

EVENT_USAGE = "usage: gt-trace event NAME [KEY=VALUE…] [--error TEXT] [--attr KEY=VALUE]…"

OPTIONS = """\
  --error TEXT      it failed, and why
  --attr KEY=VALUE  an attribute of your own; may be repeated
  --                what follows is no option and no KEY=VALUE"""

CODES = """\
Exit codes: 2 where the words are wrong; then one line says what, and nothing is recorded.
Else 0, also where telemetry is off and where the journal cannot be written, which is a
line on stderr: a script that records must go on."""


def usage(command: str) -> str:
    """Return the usage line of a command, `event` or an event's own name."""
    if command == "event":
        return EVENT_USAGE
    event = EVENTS[command]
    words = [_positional(event.by_key[name], command) for name in event.positional]
    return " ".join(["usage: gt-trace", command, *words, "[KEY=VALUE…] [--error TEXT] [--attr KEY=VALUE]…"])


def text(command: str, event: "Event | None" = None) -> str:
    """Return the whole help of a command; of `gt-trace event NAME` with the event."""
    if event is None and command == "event":
        return _of_events()
    found = event or EVENTS[command]
    first = usage(command) if command != "event" else EVENT_USAGE.replace("NAME", found.name)
    kind = "one span and one log record" if found.is_span else "one log record"
    parts = [first, f"{found.doc}\nWhat is recorded is {kind}, in the trace that the environment names."]
    if found.name in MORE:
        parts.append(MORE[found.name])
    if found.gate:
        parts.append(f"It is recorded only with {found.gate}=true.")
    parts += [_attributes(found), OPTIONS, CODES]
    return "\n\n".join(parts)


def listing() -> str:
    """Return every event with its sentence, one a line."""
    width = max([len(name) for name in EVENTS])
    return "\n".join([f"{event.name:<{width}}  {event.doc}" for event in EVENTS.values()])


def _of_events() -> str:
    return f"""\
{EVENT_USAGE}
       gt-trace event [--list]

Record an event of the data model: one log record and, where the event is one, one span,
in the trace that the environment names. Without a name, the events are listed.

  NAME       the event; --list names them all, and `gt-trace event NAME --help` its keys
  KEY=VALUE  its attributes. With duration_ms the span begins that much earlier

{OPTIONS}

{CODES}"""


def _positional(attribute: "Attribute", command: str) -> str:
    word = attribute.name.upper()
    needed = attribute.required and attribute.name not in DEFAULTS.get(command, {})
    return word if needed else f"[{word}]"


def _attributes(event: "Event") -> str:
    known = [(attribute.name, _sentence(attribute)) for attribute in event.attributes]
    width = max([len(name) for name, _ in known])
    return "\n".join([f"  {name:<{width}}  {sentence}" for name, sentence in known])


def _sentence(attribute: "Attribute") -> str:
    if attribute.values:
        return f"{attribute.doc} {', '.join(attribute.values)}"
    return f"{attribute.doc} Only with {attribute.gate}=true." if attribute.gate else attribute.doc
