"""What the words behind `gt-trace event`, `gt-trace mail`, … say: an event, its attributes, how it ended.

All of it is checked here, before anything is looked at or written.
"""

from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.values import EventError, parse_attr, quoted
from gastown_tracing.events.values import parse as parse_pairs
from gastown_tracing.shims.plan import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gastown_tracing.events.schema import Event, Value

#: What the beginning of a key may be left out of, where the command names the event.
PREFIXES = {"mail": "msg.", "prime": "work_"}
#: Keys that a command which names its event also takes, as the others do.
SHORT = {("done", "bead"): "bead_id"}
#: What a command that names its event takes where the user says nothing.
DEFAULTS = {"done": {"exit_type": "COMPLETED"}}
#: What the user asks for instead of a record.
HELP, LIST = "help", "list"
#: What names all events.
ALL = "gt-trace event --list"


class Request:
    """What to record: `attributes` of `event`, and why it failed (`error`, "" for not at all).

    `asks` is HELP or LIST where something is to be shown instead; then `event` is the one asked about, None
    for none.
    """

    __slots__ = ("asks", "attributes", "error", "event")

    def __init__(
        self,
        event: "Event | None",
        attributes: "dict[str, Value] | None" = None,
        error: str = "",
        asks: str = "",
    ) -> None:
        self.event = event
        self.attributes = attributes or {}
        self.error = error
        self.asks = asks


class _Words:
    """A command line taken apart: `pairs` and `attrs` are KEY=VALUE, `plain` all that is no option either."""

    __slots__ = ("asks", "attrs", "error", "pairs", "plain")

    def __init__(self, arguments: "Sequence[str]") -> None:
        self.pairs: list[tuple[str, str]] = []
        self.attrs: list[str] = []
        self.plain: list[str] = []
        self.error = self.asks = ""
        rest = list(arguments)
        while rest:
            word = rest.pop(0)
            if word == "--":
                self.plain += rest
                break
            if word in ("-h", "--help", "--list"):
                self.asks = LIST if word == "--list" else HELP
            elif word[:1] == "-" and word != "-":
                self._option(word, rest)
            elif "=" in word:
                key, _, text = word.partition("=")
                self.pairs.append((key, text))
            else:
                self.plain.append(word)

    def _option(self, word: str, rest: list[str]) -> None:
        option, has_value, value = word.partition("=")
        if option not in ("--error", "--attr"):
            raise UsageError(f"unknown option {quoted(option)}; words that begin with - go behind --")
        if not has_value:
            if not rest:
                raise UsageError(f"{option} needs a value")
            value = rest.pop(0)
        if option == "--attr":
            self.attrs.append(value)
        else:
            self.error = value


def parse(command: str, arguments: "Sequence[str]") -> Request:
    """Return what a command line asks for. Raises UsageError.

    `command` is `event`, whose first plain word names the event, or an event's own name.
    """
    words = _Words(arguments)
    if command != "event":
        return _of_event(EVENTS[command], words, named=True)
    if words.asks == LIST or not (words.plain or words.asks):
        if words.pairs or words.attrs or words.error:
            raise UsageError("the event's name is missing", see=ALL)
        return Request(None, asks=LIST)
    if not words.plain:
        return Request(None, asks=HELP)
    name = words.plain.pop(0)
    event = EVENTS.get(name)
    if event is None:
        raise UsageError(f"unknown event {quoted(name)}{_nearest(name)}", see=ALL)
    try:
        return _of_event(event, words, named=False)
    except UsageError as error:
        raise UsageError(str(error), program=f"gt-trace event {name}") from None


def _of_event(event: "Event", words: _Words, *, named: bool) -> Request:
    if words.asks == HELP:
        return Request(event, asks=HELP)
    if words.asks:
        raise UsageError("only `gt-trace event` has --list")
    pairs = [(_key(event, key) if named else key, text) for key, text in words.pairs]
    positional = event.positional if named else ()
    if len(words.plain) > len(positional):
        raise UsageError(f"{quoted(words.plain[len(positional)])} is no KEY=VALUE")
    pairs += zip(positional, words.plain, strict=False)
    custom = []
    for pair in words.attrs:
        key, equals, text = pair.partition("=")
        if equals and key in event.by_key:
            pairs.append((key, text))
        else:
            custom.append(pair)
    try:
        return _checked(event, pairs, custom, words.error, named=named)
    except EventError as error:
        raise UsageError(str(error)) from None


def _checked(
    event: "Event", pairs: list[tuple[str, str]], custom: list[str], error: str, *, named: bool
) -> Request:
    if error and not event.outcome:
        raise EventError("it cannot fail: leave --error out")
    given = {event.by_key[key].name for key, _ in pairs if key in event.by_key}
    defaults = DEFAULTS.get(event.name, {}) if named else {}
    attributes = parse_pairs(event, [*pairs, *[pair for pair in defaults.items() if pair[0] not in given]])
    for pair in custom:
        name, value = parse_attr(event, pair)
        if name in attributes:
            raise EventError(f"{name if name in event.by_key else quoted(name)} is given twice")
        attributes[name] = value
    return Request(event, attributes, error)


def _key(event: "Event", key: str) -> str:
    """Return a key of a command that names its event in full."""
    full = SHORT.get((event.name, key)) or PREFIXES.get(event.name, "") + key
    return full if full in event.by_key and key not in event.by_key else key


def _nearest(name: str) -> str:
    from difflib import get_close_matches  # 10 ms, for a mistake

    found = get_close_matches(name[:80], EVENTS, 1)
    return f" (did you mean {found[0]}?)" if found else ""
