"""What a `tmux send-keys` sends: text, the names of keys, and Enter, which sends the text off."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gastown_tracing.shims.tmux.line import Command

ENTER = ("enter", "kpenter", "c-m", "^m")
#: The names of keys beside those of letters with a modifier (key-string.c).
_KEYS = frozenset(
    [
        "bspace",
        "btab",
        "c-space",
        "dc",
        "delete",
        "down",
        "end",
        "escape",
        "home",
        "ic",
        "insert",
        "left",
        "npage",
        "pagedown",
        "pageup",
        "pgdn",
        "pgup",
        "ppage",
        "right",
        "tab",
        "up",
        "kp/",
        "kp*",
        "kp-",
        "kp7",
        "kp8",
        "kp9",
        "kp+",
        "kp4",
        "kp5",
        "kp6",
        "kp1",
        "kp2",
        "kp3",
        "kp0",
        "kp.",
    ]
)
_SHORTEST, _LONGEST = 3, 7

TEXT, KEY, SENDING = "text", "key", "sending"


def read(command: "Command") -> "list[tuple[str, str]]":
    """Return what a send-keys sends, in its order: (TEXT, characters), (KEY, ""), (SENDING, "").

    Nothing for a command of the copy mode.
    """
    if "X" in command.flags:
        return []
    if "H" in command.flags:
        return [
            (SENDING, "") if word.lower().lstrip("0") == "d" else (TEXT, _of_hex(word))
            for word in command.words
        ]
    if "l" in command.flags:
        text = "".join(command.words)
        return [(TEXT, text)] if text else []
    return [_key(word) for word in command.words if word]


def _of_hex(word: str) -> str:
    try:
        return chr(int(word, 16))
    except (ValueError, OverflowError):
        return "?"


def _key(word: str) -> tuple[str, str]:
    name = word.lower()
    if name in ENTER:
        return SENDING, ""
    if name == "space":
        return TEXT, " "
    modified = _SHORTEST <= len(name) <= _LONGEST and name[1] == "-" and name[0] in "cms"
    function = name[:1] == "f" and name[1:].isdecimal()
    return (KEY, "") if name in _KEYS or modified or function else (TEXT, word)
