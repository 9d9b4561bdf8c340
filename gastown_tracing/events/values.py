"""From what somebody says about an event to what may be recorded of it.

Every way to record (the Python helpers, `gt-trace exec`, `gt-trace event`) goes through here: attributes get
the names and types of the registry, content stays out without its opt-in, text is cut at its limit.
"""

import time

from gastown_tracing.events.schema import FLAG, FLOAT, INTEGER, TEXT, WORDS
from gastown_tracing.journal.otlp import cut_text
from propagation.run import to_uuid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    from gastown_tracing.config import Config
    from gastown_tracing.events.schema import Attribute, Event, Value

    _N = TypeVar("_N", int, float)

#: What opts in to command lines as they are.
UNMASKED = "GT_LOG_BD_OUTPUT"
#: Bytes of a text that has no limit of its own: what is no content should be short.
ORDINARY_LIMIT = 4096

#: What a record says by itself, whoever records; nobody gives it as an attribute.
RESERVED = frozenset(
    (
        *("run.id", "run_id", "run.uuid", "run_uuid", "trace_id", "span_id", "body", "status", "error"),
        *("log.record.uid", "instance", "town_root", "agent_type", "role", "agent_name", "session_id", "rig"),
        *("work_rig", "work_bead", "work_mol", "work_build"),
    )
)

#: Characters of what somebody typed that a message repeats.
_QUOTED = 80
_INFINITY = float("inf")
#: Digits, and a sign, with which a number can be one of 64 bits.
_LONGEST_NUMBER = 40
_BEYOND = "beyond 64 bits"
#: Characters that never are more bytes than ORDINARY_LIMIT.
_SHORT = ORDINARY_LIMIT // 4
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


class EventError(ValueError):
    """What is said about an event makes no sense; the message is the line to show."""


def recordable(
    event: "Event", given: "Mapping[str, object]", settings: "Config", note: "Callable[[str], None]"
) -> "dict[str, Value]":
    """Return the attributes of an event as they may be recorded. Never raises.

    `given` has them by name or by Python keyword; None is unknown. What the registry does not know is kept as
    it is; a value of another type than the registry's is left out, and `note` is told.
    """
    found: dict[str, Value] = {}
    known = event.by_key
    for key, value in given.items():
        if value is None:
            continue
        try:
            attribute = known.get(key)
            if attribute is not None and attribute.ordinary and type(value) is str and len(value) < _SHORT:
                # Nearly all of them, in a quarter of the time.
                if value or attribute.empty:  # one that says nothing is unknown, as in the shell
                    found[attribute.name] = value if value.isascii() else _text(value)
            elif attribute is None:
                name = _text(key)
                found[name] = _custom(name, value)
            elif (not attribute.gate or settings.flag(attribute.gate)) and (
                value != "" or attribute.type != TEXT
            ):
                found[attribute.name] = _value(attribute, value, settings)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the value's own methods may do anything
            why = str(error) if type(error) is EventError else type(error).__name__
            note(f"{event.name}: {_shown(key)} left out: {why}")
    return found


def parse(event: "Event", pairs: "Sequence[tuple[str, str]]") -> "dict[str, Value]":
    """Return attributes from text as a user types it: KEY=VALUE. Raises EventError.

    A key is an attribute's name, with `_` for `.` if the user likes. Every required attribute has to be
    there.
    """
    found: dict[str, Value] = {}
    for key, text in pairs:
        attribute = event.by_key.get(key)
        if attribute is None and key in ("error", "status"):
            raise EventError(f"{key} is no attribute to give; --error TEXT says that it failed")
        if attribute is None:
            names = ", ".join([known.name for known in event.attributes])
            raise EventError(f"{event.name} has no attribute {quoted(key)}; it has: {names}")
        if attribute.name in found:
            raise EventError(f"{attribute.name} is given twice")
        found[attribute.name] = parse_value(attribute, text)
    missing = [name for name in event.required if name not in found]
    if missing:
        raise EventError(f"{', '.join(missing)} is missing; give {missing[0]}=VALUE")
    return found


def parse_value(attribute: "Attribute", text: str) -> "Value":
    """Return one attribute's value from its text. Raises EventError."""
    name = attribute.name
    if attribute.values and text not in attribute.values:
        raise EventError(f"{name} is one of {', '.join(attribute.values)}, not {quoted(text)}")
    if attribute.required and not text:
        raise EventError(f"{name} is empty")
    if attribute.type == FLAG:
        word = text.strip().lower()
        if word not in (*_TRUE, *_FALSE):
            raise EventError(f"{name} is true or false, not {quoted(text)}")
        return word in _TRUE
    if attribute.type in (INTEGER, FLOAT):
        return _parse_number(attribute, text)
    return text


def _parse_number(attribute: "Attribute", text: str) -> "int | float":
    name, whole = attribute.name, attribute.type == INTEGER
    # Underscores and other scripts' digits are numbers to Python alone.
    digits = text.strip() if text.isascii() and "_" not in text else ""
    if whole and len(digits) > _LONGEST_NUMBER and digits.lstrip("+-").isdigit():
        raise EventError(f"{name} is {_BEYOND}: {quoted(text)}")
    try:
        value = int(digits) if whole else float(digits)
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise EventError(f"{name} is {kind}, not {quoted(text)}") from None
    try:
        return _bounded(attribute, _whole(value) if whole else _finite(value))
    except EventError as error:
        raise EventError(f"{name} is {str(error).partition(':')[0]}: {quoted(text)}") from None


def quoted(text: str) -> str:
    """Return what somebody typed as a message repeats it: in quotes, and not all of a long one."""
    return repr(text) if len(text) <= _QUOTED else f"{text[:_QUOTED]!r}…"


def parse_attr(event: "Event", pair: str) -> "tuple[str, Value]":
    """Return (name, value) of an `--attr KEY=VALUE`; an attribute that the event does not have is text.

    Raises EventError.
    """
    key, equals, text = pair.partition("=")
    if not key or not equals:
        raise EventError(f"--attr wants KEY=VALUE, not {quoted(pair)}")
    attribute = event.by_key.get(key)
    if attribute is not None:
        return attribute.name, parse_value(attribute, text)
    if key in RESERVED:
        raise EventError(f"{key} is no attribute to give: a record says it by itself")
    if not _is_name(key):
        raise EventError(f"{quoted(key)} is no attribute's name: it has blanks or control characters")
    return key, text


def contradicts(attribute: "Attribute | None", known: object, value: object) -> bool:
    """Return whether two values of one attribute, as somebody gave them, are not the same. Never raises."""
    try:
        return (
            value is not None
            and value != ""
            and _comparable(attribute, known) != _comparable(attribute, value)
        )
    except KeyboardInterrupt:
        raise
    except BaseException:  # one of them is no value at all, and is left out when it is recorded
        return False


def _comparable(attribute: "Attribute | None", value: object) -> object:
    kind = attribute.type if attribute is not None else ""
    if kind == WORDS:
        line = command_line(value)
        return (line if isinstance(line, str) else " ".join(line)).split()
    if kind == TEXT:
        return _text(value)
    if kind in (INTEGER, FLOAT):
        return float(_number(value))
    return plain(value)


def filled(event: "Event", own: "dict[str, Value]", common: "Mapping[str, object]") -> "dict[str, Value]":
    """Return the attributes with what stands in for those that nobody gave, from the common ones."""
    for attribute in event.defaults:
        if attribute.name not in own:
            known = [common[name] for name in attribute.default if common.get(name)]
            if known:
                text = str(known[0])
                own[attribute.name] = to_uuid(text) if attribute.name == "run.uuid" else text
    return own


def plain(value: object) -> "Value":
    """Return any value as one that an attribute can have: text, a bool or a number."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float.__float__(value)  # of a subclass, too
    if isinstance(value, int):
        number = int.__int__(value)
        return number if -(1 << 63) <= number < 1 << 63 else str(number)
    return cut_text(_text(value), ORDINARY_LIMIT)


def _custom(name: str, value: object) -> "Value":
    if name in RESERVED:
        raise EventError("a record says it by itself")
    if not name:
        raise EventError("an attribute has a name")
    if not _is_name(name):
        raise EventError("a name has no blanks or control characters")
    return plain(value)


def _is_name(text: str) -> bool:
    return text.isprintable() and " " not in text


def _shown(key: object) -> str:
    return str.__str__(key) if isinstance(key, str) else f"a key of type {type(key).__name__}"


def _value(attribute: "Attribute", value: object, settings: "Config") -> "Value":
    kind = attribute.type
    if kind == TEXT:
        text = _limited(attribute, _text(value), settings)
        if attribute.values and text not in attribute.values:
            raise EventError(f"not one of {', '.join(attribute.values)}")
        return text
    if kind == FLOAT:
        return _bounded(attribute, _finite(float(_number(value))))
    if kind == INTEGER:
        return _bounded(attribute, _whole(_number(value)))
    if kind == FLAG:
        if not isinstance(value, bool):
            raise EventError(f"not true or false: {type(value).__name__}")
        return value
    return words(value, settings)


def words(value: object, settings: "Config") -> str:
    """Return a bd command line, given as words or as text, as it may be shown."""
    from gastown_tracing.events.cleaning import shown  # a long list of words

    return shown(command_line(value), settings.flag(UNMASKED))


def derived(event: "Event", own: "dict[str, Value]", given: "Mapping[str, object]") -> "dict[str, Value]":
    """Return the attributes of an event with what follows from them: what a command line asks of bd."""
    if event.name == "bd.call" and "args" in own and "subcommand" not in own:
        from gastown_tracing.events.cleaning import asked  # the same

        own["subcommand"] = asked(command_line(given["args"]))
    return own


def command_line(value: object) -> str | list[str]:
    """Return a command line, given as words or as text, as such. Raises EventError."""
    if isinstance(value, str):
        return _text(value)
    if not isinstance(value, (list, tuple)):
        raise EventError(f"not a command line: {type(value).__name__}")
    return [_text(word) for word in value]


def _cleaned(kind: str, text: str) -> str:
    """Return a text as its attribute has it (see `Attribute.clean`). Raises EventError."""
    if kind == "url":
        from gastown_tracing.masking import without_credentials

        return without_credentials(text)
    if kind == "screen":
        from gastown_tracing.events.screen import without_escapes

        return without_escapes(text)
    if kind == "program":
        return "".join(text.split()[:1]).rpartition("/")[2]
    from gastown_tracing.events.cleaning import known

    command = known(kind, text)
    if text and not command:
        raise EventError(f"no command of {kind} that is known")
    return command


def _limited(attribute: "Attribute", text: str, settings: "Config") -> str:
    if attribute.clean:
        text = _cleaned(attribute.clean, text)
    limit = attribute.limit
    if attribute.limit_setting:
        limit = settings.limit(attribute.limit_setting, limit)
    elif not limit and not attribute.gate:
        limit = ORDINARY_LIMIT
    return cut_text(text, limit) if limit else text


def _text(value: object) -> str:
    """Return a value as text that UTF-8 can hold; several are one text."""
    if type(value) is str:
        text = value
    elif isinstance(value, bytes):
        return bytes.decode(value, "utf-8", "replace")
    elif isinstance(value, (list, tuple)):
        return ", ".join([_text(part) for part in value])
    else:
        text = str.__str__(value if isinstance(value, str) else str(value))
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _number(value: object) -> "int | float":
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise EventError(f"not a number: {type(value).__name__}")
    return value


def _finite(value: float) -> float:
    if not -_INFINITY < value < _INFINITY:  # not a number is neither
        raise EventError(f"not a finite number: {value}")
    return value


def _bounded(attribute: "Attribute", value: "_N") -> "_N":
    if value < attribute.minimum:
        raise EventError(f"less than {attribute.minimum}: {value}")
    if attribute.elapsed and value > time.time() * 1e3:
        raise EventError(f"more than all the time since 1970: {value}")
    return value


def _whole(value: "int | float") -> int:
    if not -(1 << 63) <= value < 1 << 63:
        raise EventError(_BEYOND)
    whole = int(value)
    if whole != value:
        raise EventError(f"not a whole number: {value}")
    return whole
