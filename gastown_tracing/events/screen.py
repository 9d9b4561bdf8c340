"""What a terminal would show of a program's output: the text without the sequences that steer it."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ESCAPE, BELL = "\x1b", "\x07"
_CSI, _STRING_STARTS, _SKIPPED = "[", "]PX^_", " #%()*+-./"
#: Control characters that are part of a text.
_KEPT = "\n\t"


def without_escapes(text: str) -> str:
    """Return text without escape sequences and control characters, but for newlines and tabs.

    CSI, OSC, DCS, SOS, PM and APC sequences (ECMA-48, sections 5.4 and 5.6) go as a whole; so does one that
    the end of the text cuts off. The 8-bit forms of their beginnings go as control characters.
    """
    pieces = text.split(ESCAPE)
    kept = [pieces[0]]
    rest = iter(pieces[1:])
    for piece in rest:
        if piece[:1] and piece[0] in _STRING_STARTS:
            kept.append(_after_string(piece, rest))
        else:
            kept.append(_after_escape(piece))
    return "".join([sign for sign in "".join(kept) if sign in _KEPT or not _is_control(sign)])


def _is_control(sign: str) -> bool:
    return sign < " " or "\x7f" <= sign < "\xa0"


def _after_escape(piece: str) -> str:
    """Return what follows one escape sequence that is no string; `piece` begins behind its ESC."""
    index = 0
    if piece[:1] == _CSI:
        index = 1
        while index < len(piece) and " " <= piece[index] <= "?":  # parameters and intermediates
            index += 1
        return piece[index + 1 :] if piece[index : index + 1] >= "@" else piece[index:]
    while index < len(piece) and piece[index] in _SKIPPED:  # intermediates, as of `ESC ( B`
        index += 1
    return piece[index + 1 :]


def _after_string(piece: str, rest: "Iterator[str]") -> str:
    """Return what follows a string sequence, which BEL or ST ends; nothing where neither comes."""
    current: str | None = piece
    while current is not None:
        _, bell, after = current.partition(BELL)
        if bell:
            return after
        current = next(rest, None)
        if current is not None and current[:1] == "\\":
            return current[1:]
    return ""
