"""W3C Baggage: read, write, and set some members while the others stay as they came.

Specification: https://www.w3.org/TR/baggage/. `+` is a plus there; because some readers take it for a space,
we write `%2B`. The percent-encoding here serves OTEL_RESOURCE_ATTRIBUTES too, which borrows baggage's format.
"""

from propagation.traceparent import OWS, PropagationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: What every participant has to carry (W3C Baggage, "Limits"): ours is added only within it, theirs never
#: cut.
MAX_MEMBERS = 64
MAX_BYTES = 8192

_ALNUM = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_TOKEN = _ALNUM + "!#$%&'*+-.^_`|~"
_OCTETS = _ALNUM + "!#$%&'()*+-./:<=>?@[]^_`{|}~"
_PROPERTIES = _OCTETS + '";\\' + OWS
#: Written as they are. `=` and `+` would be legal too, but not every reader takes them for themselves.
_PLAIN = "".join([char for char in _OCTETS if char not in "%=+"])


class Member:
    """A baggage member's value, decoded, and its properties: the raw text after the first `;`, "" if none."""

    __slots__ = ("properties", "value")

    def __init__(self, value: str, properties: str = "") -> None:
        self.value = value
        self.properties = properties

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Member) and (self.value, self.properties) == (other.value, other.properties)

    def __hash__(self) -> int:
        return hash((self.value, self.properties))

    def __repr__(self) -> str:
        return f"Member({self.value!r}, {self.properties!r})"


def quote(text: str) -> str:
    """Return `text` percent-encoded as UTF-8; a lone surrogate becomes bytes that readers show as U+FFFD."""
    if not text.strip(_PLAIN):
        return text
    data = text.encode("utf-8", "surrogatepass")
    return "".join([chr(byte) if chr(byte) in _PLAIN else f"%{byte:02X}" for byte in data])


def unquote(text: str) -> str:
    """Return `text` percent-decoded; `%` without two hex digits stays, what is not UTF-8 becomes U+FFFD."""
    if "%" not in text:
        return text
    first, *rest = text.encode("utf-8", "surrogatepass").split(b"%")
    parts = [first]
    for part in rest:
        try:
            parts.append(_unhex(part[:2]) + part[2:])
        except ValueError:
            parts.append(b"%" + part)
    return b"".join(parts).decode("utf-8", "replace")


def _unhex(digits: bytes) -> bytes:
    """Return the byte of two hex digits, and of nothing else: fromhex alone would take "" and skip spaces."""
    if len(digits) != 2 or not digits.isalnum():
        raise ValueError(digits)
    return bytes.fromhex(digits.decode())


def parse(text: str | None) -> dict[str, Member]:
    """Return the members by key, in order; malformed ones are skipped.

    Of a key that comes twice the last one counts, as in the OpenTelemetry SDK.
    """
    members: dict[str, Member] = {}
    for entry in (text or "").split(","):
        pair, _, properties = entry.partition(";")
        key, equals, encoded = pair.partition("=")
        key, encoded = key.strip(OWS), encoded.strip(OWS)
        malformed = key.strip(_TOKEN) or encoded.strip(_OCTETS) or properties.strip(_PROPERTIES)
        if key and equals and not malformed:
            members[key] = Member(unquote(encoded), properties)
    return members


def format(members: "Mapping[str, Member | str]") -> str:  # noqa: A001 # used as baggage.format
    """Return the baggage of these members, "" for none.

    Raises `PropagationError` for a key that is no token (RFC 9110), and for a value or properties that
    baggage cannot hold.
    """
    return ",".join([_format_member(key, content) for key, content in members.items()])


def _format_member(key: str, content: "Member | str") -> str:
    if not isinstance(key, str) or not key or key.strip(_TOKEN):
        raise PropagationError(f"not a baggage key: {key!r}")
    member = content if isinstance(content, Member) else Member(content)
    if not isinstance(member.value, str):
        raise PropagationError(f"not a baggage value: {content!r}")
    if not isinstance(member.properties, str) or member.properties.strip(_PROPERTIES):
        raise PropagationError(f"not baggage properties: {content!r}")
    text = f"{key}={quote(member.value)}"
    return f"{text};{member.properties}" if member.properties else text


def value(source: "str | Mapping[str, Member] | None", name: str) -> str:
    """Return one member's decoded value from a baggage, as text or as `parse` returned it; "" when absent."""
    members = parse(source) if source is None or isinstance(source, str) else source
    member = members.get(name)
    return member.value if member else ""


def merge(text: str | None, updates: "Mapping[str, Member | str | None]") -> str:
    """Return the baggage `text` with members of ours set, None removes.

    Theirs stay byte for byte, properties and malformed ones included, and are never cut, however many they
    are. A member of ours replaces the one with its key. A new one is added at the end, as long as the whole
    stays within what every participant has to carry (64 members, 8,192 bytes): some readers drop all of a
    larger one. Raises `PropagationError` as `format` does.
    """
    ours = {key: "" if content is None else _format_member(key, content) for key, content in updates.items()}
    members, added = replace_members(text or "", ours, str)
    size = len(",".join(members).encode("utf-8", "surrogatepass"))
    for member in added:
        size += len(member) + bool(members)
        if len(members) >= MAX_MEMBERS or size > MAX_BYTES:
            break
        members.append(member)
    return ",".join(members)


def replace_members(
    text: str, ours: "Mapping[str, str]", decode_key: "Callable[[str], str]"
) -> tuple[list[str], list[str]]:
    """Return (the raw members of `text`, those whose key is in `ours` replaced; the rest of `ours`).

    "" in `ours` removes. Of a replaced key that comes twice one member is left. Empty members are dropped,
    everything else stays as it is.
    """
    members = []
    rest = dict(ours)
    for entry in text.split(","):
        key = decode_key(entry.partition(";")[0].partition("=")[0].strip(OWS))
        member = rest.pop(key, "") if key in ours else entry
        if member.strip(OWS):
            members.append(member)
    return members, [member for member in rest.values() if member]
