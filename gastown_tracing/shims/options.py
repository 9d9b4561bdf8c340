"""The command line of `gt-trace exec`: what to run, as what event, with which attributes."""

from gastown_tracing.shims.exec import COMMANDS, Request
from gastown_tracing.shims.plan import UsageError, encode, readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gastown_tracing.events.schema import Value

USAGE = "usage: gt-trace exec [--event EVENT] [--name NAME] [--attr KEY=VALUE]… -- COMMAND [ARGUMENT]…"
HELP = f"""\
{USAGE}

Run COMMAND with the trace's context in its environment, and record it as one span and
one log record. It behaves as it would without us, and we end as it ends: with its exit
code, or dead of the same signal.
127: command not found; 126: it cannot be executed; 2: these options cannot be understood.

  --event EVENT     what the command is, of the data model's events (default: exec)
  --name NAME       the span's name (default: the event's; for exec the command's)
  --attr KEY=VALUE  an attribute of the event, or one of your own; may be repeated"""


def parse(arguments: "Sequence[str]") -> Request:
    """Return the request that a command line makes. Raises UsageError."""
    event, name, pairs = "exec", "", []
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-h", "--help"):
            raise UsageError("", see=HELP)
        if option == "--":
            break
        option, has_value, value = option.partition("=")
        if option not in ("--event", "--name", "--attr"):
            raise UsageError(f"unknown option {_quoted(option)}; {USAGE}")
        if not has_value:
            if not rest or rest[0] == "--":
                raise UsageError(f"{option} needs a value; {USAGE}")
            value = rest.pop(0)
        value = readable(value)
        if option == "--event":
            event = value
        elif option == "--name":
            name = value
        else:
            pairs.append(value)
    attributes = _checked(event, pairs) if pairs or event not in COMMANDS else {}
    if not rest:
        raise UsageError(f"no command given; {USAGE}")
    return Request([encode(argument) for argument in rest], event, name, attributes)


def _quoted(text: str) -> str:
    from gastown_tracing.events.values import quoted  # for a mistake

    return quoted(text)


def _checked(event: str, pairs: list[str]) -> "dict[str, Value]":
    """Return the attributes of the event, and others, from each KEY=VALUE. Raises UsageError."""
    try:
        from gastown_tracing.events.registry import EVENTS  # nobody else pays for it before the command runs
        from gastown_tracing.events.values import EventError, parse_attr, quoted
    except Exception:  # in the middle of an upgrade, say: the command runs
        return {}
    found = EVENTS.get(event)
    if found is None or not found.is_span:
        wrong = f"unknown event {quoted(event)}" if found is None else f"{event} is no event of a command"
        names = ", ".join([known.name for known in EVENTS.values() if known.is_span])
        raise UsageError(f"{wrong}; one of: {names}")
    attributes: dict[str, Value] = {}
    for pair in pairs:
        try:
            name, value = parse_attr(found, pair)
        except EventError as error:
            raise UsageError(str(error)) from None
        if name in attributes:
            raise UsageError(f"{name if name in found.by_key else quoted(name)} is given twice")
        attributes[name] = value
    return attributes
