"""W3C Trace Context, Level 2: `traceparent` and `tracestate`, read and written as text.

Reading never raises: what the specification calls invalid is None or empty. Writing raises
`PropagationError`, a `ValueError` and the only error of this package, instead of handing an invalid text to
another process. Specification: https://www.w3.org/TR/trace-context-2/, cited here by its headings.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: The bit of `SpanContext.flags` that says: the caller may have recorded this trace ("Sampled flag").
SAMPLED = 0x01
#: The bit that says: at least the trace ID's last seven bytes are random ("Random Trace ID Flag").
RANDOM = 0x02
#: The most members a tracestate may have ("tracestate Header Field Values").
MAX_TRACESTATE_MEMBERS = 32
#: The optional whitespace of RFC 9110, section 5.6.3; `str.strip()` without it would take more.
OWS = " \t"

_HEX = "0123456789abcdef"
_KNOWN_FLAGS = SAMPLED | RANDOM
_KEY_START = "abcdefghijklmnopqrstuvwxyz0123456789"
_KEY = _KEY_START + "_-*/@"
_VALUE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")


class PropagationError(ValueError):
    """A value cannot be written in the format that was asked for; the message says which and why."""


class SpanContext:
    """What one process tells another about a span. Not to be modified.

    trace_id: 32 lowercase hex digits. span_id: 16. flags: the bits `SAMPLED` and `RANDOM`.
    tracestate: the vendors' (key, value) pairs, the most recent first.
    """

    __slots__ = ("flags", "span_id", "trace_id", "tracestate")

    def __init__(
        self, trace_id: str, span_id: str, flags: int = SAMPLED, tracestate: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self.tracestate = tracestate

    @property
    def sampled(self) -> bool:
        """Whether the caller may have recorded this trace."""
        return bool(self.flags & SAMPLED)

    def _key(self) -> tuple[object, ...]:
        return (self.trace_id, self.span_id, self.flags, self.tracestate)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SpanContext) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"SpanContext({self.trace_id!r}, {self.span_id!r}, {self.flags!r}, {self.tracestate!r})"


def is_hex(text: object, length: int) -> bool:
    """Return whether `text` is exactly `length` lowercase hex digits."""
    return isinstance(text, str) and len(text) == length and not text.strip(_HEX)


def is_id(text: object, length: int) -> bool:
    """Return whether `text` is an id: `length` lowercase hex digits that are not all zero."""
    return isinstance(text, str) and is_hex(text, length) and bool(text.strip("0"))


def parse_traceparent(text: str | None) -> SpanContext | None:
    """Return the span that a traceparent names, without tracestate, or None when it is absent or invalid.

    A version above 00 is read as "Versioning of traceparent" says: the fields of version 00, then the end or
    a dash; ff is forbidden. Of the flags the two bits that Level 2 defines are kept.
    """
    text = (text or "").strip(OWS)
    version, trace_id, span_id, flags = text[:2], text[3:35], text[36:52], text[53:55]
    if text[2:3] != "-" or text[35:36] != "-" or text[52:53] != "-" or (len(text) > 55 and text[55] != "-"):
        return None
    if not is_hex(version, 2) or version == "ff" or (version == "00" and len(text) != 55):
        return None
    if not (is_id(trace_id, 32) and is_id(span_id, 16) and is_hex(flags, 2)):
        return None
    return SpanContext(trace_id, span_id, int(flags, 16) & _KNOWN_FLAGS)


def format_traceparent(trace_id: str, span_id: str, flags: int = SAMPLED) -> str:
    """Return a traceparent of version 00.

    Flags that Level 2 does not define are written as zero ("Other Flags"). Raises `PropagationError` for
    an id that is not lowercase hex of its length or is all zero, and for flags beyond a byte.
    """
    if not is_id(trace_id, 32):
        raise PropagationError(f"not a trace ID: {trace_id!r}")
    if not is_id(span_id, 16):
        raise PropagationError(f"not a span id: {span_id!r}")
    if not isinstance(flags, int) or not 0 <= flags <= 0xFF:
        raise PropagationError(f"not trace flags: {flags!r}")
    return f"00-{trace_id}-{span_id}-{flags & _KNOWN_FLAGS:02x}"


def _is_member(key: object, value: object) -> bool:
    """Return whether a tracestate may hold this key and value (Level 2, "list-members")."""
    return (
        isinstance(key, str)
        and 0 < len(key) <= 256
        and key[0] in _KEY_START
        and not key.strip(_KEY)
        and isinstance(value, str)
        and 0 < len(value) <= 256
        and value[-1] != " "
        and not value.strip(_VALUE)
    )


def parse_tracestate(text: str | None) -> tuple[tuple[str, str], ...]:
    """Return a tracestate's (key, value) pairs in their order; () when it is absent or any member is invalid.

    Empty members are allowed, more than 32 others are not. Of a key that comes twice the
    first is kept: the leftmost is the most recent. The length is not limited: 512 characters are the least
    that must be carried.
    """
    entries: dict[str, str] = {}
    count = 0
    for member in (text or "").split(","):
        stripped = member.strip(OWS)
        if not stripped:
            continue
        key, _, value = stripped.partition("=")
        count += 1
        if count > MAX_TRACESTATE_MEMBERS or not _is_member(key, value):
            return ()
        entries.setdefault(key, value)
    return tuple(entries.items())


def format_tracestate(entries: "Iterable[tuple[str, str]]") -> str:
    """Return the tracestate of (key, value) pairs, "" for none.

    Raises `PropagationError` for a key or value outside the grammar, for a key that comes twice and for more
    than 32 pairs.
    """
    members: dict[str, str] = {}
    for key, value in entries:
        if not _is_member(key, value):
            raise PropagationError(f"not a tracestate member: {key!r}={value!r}")
        if key in members:
            raise PropagationError(f"the tracestate key {key!r} comes twice")
        members[key] = f"{key}={value}"
    if len(members) > MAX_TRACESTATE_MEMBERS:
        raise PropagationError(f"a tracestate holds {MAX_TRACESTATE_MEMBERS} members, not {len(members)}")
    return ",".join(members.values())
