"""tmux command lines as tmux reads them: which server, which commands, with which flags and words.

Sequences (`;`), aliases, unambiguous prefixes and clusters of flags are understood (tmux(1), "PARSING
SYNTAX"). Only the commands that are seen are taken apart; what is not understood is no line at all.
"""

from gastown_tracing.shims.tmux.table import ALIASES, DEFAULT, GLOBAL_ENDS, GLOBAL_VALUES, UNALIASED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The flags of the commands that are seen, as getopt(3) has them: `:` behind one that takes a value.
FLAGS = {
    "capture-pane": "ab:CeE:JMNpPqS:Tt:",
    "kill-server": "",
    "kill-session": "aCt:",
    "new-session": "Ac:dDe:EF:f:n:Ps:t:x:Xy:",
    "respawn-pane": "c:e:kt:",
    "send-keys": "c:FHKlMN:Rt:X",
    "set-environment": "Fghrt:u",
    "set-hook": "agpRt:uw",
    "start-server": "",
}

#: tmux's options before the command (main in tmux.c).
_GLOBAL = "2CDdlNquUv"
_NAMES = sorted({*ALIASES.values(), *UNALIASED.split()})


class Command:
    """One command of a line. `at` is where its arguments begin in the line's own words.

    `flags` has the values of each flag in their order, "" for one that takes none; `words` is what follows.
    Both are empty for a command that is not seen.
    """

    __slots__ = ("at", "flags", "name", "words")

    def __init__(self, name: str, at: int, flags: "Mapping[str, list[str]]", words: "Sequence[str]") -> None:
        self.name = name
        self.at = at
        self.flags = flags
        self.words = words

    def value(self, flag: str) -> str:
        """Return the value of a flag, the last one where it comes twice, "" where it does not come."""
        return (self.flags.get(flag) or [""])[-1]


class Line:
    """A command line: `server` are the options that name the server, `commands` what it is told."""

    __slots__ = ("commands", "server")

    def __init__(self, server: "Sequence[str]", commands: "Sequence[Command]") -> None:
        self.server = server
        self.commands = commands

    def socket(self, env: "Mapping[str, str]", uid: int) -> str:
        """Return the path of the server's socket, as far as it can be told without asking anybody.

        It is tmux's own rule (tmux(1), -L, -S and TMUX_TMPDIR), but for symbolic links on the way.
        """
        named = ""
        for option, value in zip(self.server[::2], self.server[1::2], strict=True):
            if option == "-S":
                return value
            named = value
        inside = env.get("TMUX", "").partition(",")[0]
        if inside and not named:
            return inside
        return f"{env.get('TMUX_TMPDIR') or '/tmp'}/tmux-{uid}/{named or 'default'}"  # noqa: S108  # tmux's


def parse(arguments: "Sequence[str]") -> Line | None:
    """Return a line, given the words behind `tmux`; None where it is not understood. Never raises."""
    server, index = _global(arguments)
    if index < 0:
        return None
    if index == len(arguments):
        return Line(server, [Command(DEFAULT, index, {}, ())])
    commands = []
    for start, words in _sequence(arguments, index):
        name = resolve(words[0])
        flags, rest = _flags(FLAGS[name], words[1:]) if name in FLAGS else ({}, [])
        if not name or rest is None:
            return None
        commands.append(Command(name, start + 1, flags, rest))
    return Line(server, commands) if commands else None


def resolve(word: str) -> str:
    """Return the name of the command that a word means, "" where it means none, or more than one."""
    if word in ALIASES:
        return ALIASES[word]
    found = [name for name in _NAMES if name.startswith(word)]
    return word if word in found else found[0] if len(found) == 1 and word else ""


def _global(arguments: "Sequence[str]") -> tuple[list[str], int]:
    """Return the options that name the server, and where the commands begin; -1 where there are none."""
    server: list[str] = []
    index = 0
    while index < len(arguments):
        word = arguments[index]
        if word == "--":
            index += 1
            break
        if word[:1] != "-" or word == "-":
            break
        index += 1
        for place, letter in enumerate(word[1:], 2):
            if letter in GLOBAL_ENDS.split():
                return server, -1
            if letter not in GLOBAL_VALUES.split():
                if letter not in _GLOBAL:
                    return server, -1
                continue
            value = word[place:]
            if not value:
                if index == len(arguments):
                    return server, -1
                value, index = arguments[index], index + 1
            if letter in "LS":
                # Of several of one kind the last one counts, and -S beats -L.
                server = [*server, f"-{letter}", value]
            break
    named = dict(zip(server[::2], server[1::2], strict=True))
    return next(([flag, named[flag]] for flag in ("-S", "-L") if flag in named), []), index


def _sequence(arguments: "Sequence[str]", index: int) -> "list[tuple[int, list[str]]]":
    r"""Return each command of a line with its place: a `;` ends one at a word's end, a `\;` does not."""
    found: list[tuple[int, list[str]]] = []
    words: list[str] = []
    start = index
    for place, word in enumerate(arguments[index:], index):
        ends = word[-1:] == ";" and word[-2:] != "\\;"
        text = word[:-1] if ends else f"{word[:-2]};" if word[-1:] == ";" else word
        if text or not ends:
            words.append(text)
        if ends:
            if words:
                found.append((start, words))
            words, start = [], place + 1
    if words:
        found.append((start, words))
    return found


def _flags(known: str, words: "Sequence[str]") -> "tuple[dict[str, list[str]], Sequence[str] | None]":
    """Return the flags and the words behind them, None for those where a flag is not known."""
    flags: dict[str, list[str]] = {}
    index = 0
    while index < len(words):
        word = words[index]
        if word[:1] != "-" or word == "-":
            break
        index += 1
        if word == "--":
            break
        for place, letter in enumerate(word[1:], 2):
            at = known.find(letter)
            if at < 0 or letter == ":":
                return flags, None
            if known[at + 1 : at + 2] != ":":
                flags.setdefault(letter, []).append("")
                continue
            value = word[place:]
            if not value:
                if index == len(words):
                    return flags, None
                value, index = words[index], index + 1
            flags.setdefault(letter, []).append(value)
            break
    return flags, words[index:]


def target(text: str) -> tuple[str, str]:
    """Return (session's name, the rest) of a target, as gt writes them; "" for a name that it does not say.

    The rest is "" for the session's own first pane: of `NAME`, `=NAME`, `NAME:`, `NAME:^` and `NAME:0.0`. A
    pane's id (`%7`) is all rest.
    """
    if text[:1] in "%@$":
        return "", text
    name, _, rest = text.removeprefix("=").partition(":")
    name, _, pane = name.partition(".")
    rest = rest or (f".{pane}" if pane else "")
    if not name or (any(sign in name for sign in "*?[{+-!") and name[0] in "{+-!*?["):
        return "", text
    return name, "" if rest in ("^", "0", "0.0", "^.0", ".0") else rest
