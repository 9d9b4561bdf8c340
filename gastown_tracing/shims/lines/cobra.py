"""Command lines of bd and gt as the libraries read them that both use: spf13/cobra and spf13/pflag.

Never raises: a command line that they would refuse is read as far as that makes sense.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FALSE = frozenset(("0", "F", "FALSE", "False", "f", "false"))


class Line:
    """A command line: the words of its `command`, without aliases, its `flags` and its other `words`.

    `command` is "" for the program itself. The values of a flag are in their order.
    """

    __slots__ = ("command", "flags", "words")

    def __init__(self, command: str, flags: "Mapping[str, list[str]]", words: "list[str]") -> None:
        self.command = command
        self.flags = flags
        self.words = words

    def value(self, *names: str) -> str | None:
        """Return the last value of the first of these flags that is given; None for none of them."""
        for name in names:
            if name in self.flags:
                return self.flags[name][-1]
        return None

    def has(self, name: str) -> bool:
        """Return whether a flag without a value is given, and not taken back with `=false`."""
        return name in self.flags and self.flags[name][-1] not in _FALSE

    def listed(self, *names: str) -> list[str]:
        """Return the elements of the lists that these flags have as values, which commas divide."""
        values = [value for name in names for value in self.flags.get(name, ())]
        return [part.strip().strip('"') for value in values for part in value.split(",")]


class Grammar:
    """A program's commands and flags. A command's key is its words, "" for the program itself.

    `commands` are the words below each command, `aliases` other names of commands; `switches` the flags
    without a value of each command, `letters` its flags of one letter as `f=force`; all others take a value.
    `prefixes`: a command may be cut short where it is still the only one (cobra.EnablePrefixMatching).
    """

    __slots__ = ("_aliases", "_commands", "_letters", "_prefixes", "_switches")

    def __init__(
        self,
        commands: "Mapping[str, str]",
        aliases: "Mapping[str, str]",
        switches: "Mapping[str, str]",
        letters: "Mapping[str, str]",
        *,
        prefixes: bool = False,
    ) -> None:
        self._commands = commands
        self._aliases = aliases
        self._switches = switches
        self._letters = letters
        self._prefixes = prefixes

    def read(self, arguments: "Sequence[str]") -> Line:
        """Return a command line, given the words behind the program."""
        command, rest = "", list(arguments)
        while command in self._commands:
            place = self._first_word(command, rest)
            below = self._below(command, rest[place]) if place >= 0 else ""
            if not below:
                break
            del rest[place]
            command = below
        flags, words = self._flags(command, rest)
        return Line(command, flags, words)

    def _first_word(self, command: str, rest: list[str]) -> int:
        """Return where the first word stands that is no flag or its value, -1 for nowhere (Command.Find)."""
        switches, letters = self._known(command)
        skip = False
        for place, word in enumerate(rest):
            if skip:
                skip = False
            elif word == "--":
                break
            elif word[:1] != "-":
                if word:
                    return place
            elif "=" not in word:
                name = word[2:] if word[:2] == "--" else letters.get(word[1:], "")
                skip = (word[:2] == "--" or len(word) == 2) and name not in switches
        return -1

    def _below(self, command: str, word: str) -> str:
        """Return the command that a word means below another, "" for none."""
        start = f"{command} " if command else ""
        names = self._commands[command].split()
        if word in names:
            return start + word
        if start + word in self._aliases:
            return start + self._aliases[start + word]
        if not self._prefixes:
            return ""
        found = {name for name in names if name.startswith(word)}
        for alias, name in self._aliases.items():
            before, _, last = alias.rpartition(" ")
            if before == command and last.startswith(word):
                found.add(name)
        return start + found.pop() if len(found) == 1 else ""

    def _known(self, command: str) -> tuple[frozenset[str], dict[str, str]]:
        """Return the names of the flags without a value, and the flags by their letters."""
        switches = f"{self._switches.get('', '')} {self._switches.get(command, '') if command else ''}"
        letters = f"{self._letters.get('', '')} {self._letters.get(command, '') if command else ''}"
        return frozenset(switches.split()), dict([pair.split("=") for pair in letters.split()])

    def _flags(self, command: str, rest: list[str]) -> tuple[dict[str, list[str]], list[str]]:
        """Return a command's flags and its other words (FlagSet.Parse)."""
        switches, letters = self._known(command)
        flags: dict[str, list[str]] = {}
        words: list[str] = []
        index = 0
        while index < len(rest):
            word = rest[index]
            index += 1
            if word == "--":
                words += rest[index:]
                break
            if word[:1] != "-" or word == "-":
                words.append(word)
                continue
            for name, value in _long(word, switches) if word[:2] == "--" else _short(word, switches, letters):
                if value is None:
                    if index == len(rest):
                        continue  # refused: a value is missing
                    value = rest[index]  # noqa: PLW2901  # it is the next word
                    index += 1
                flags.setdefault(name, []).append(value)
        return flags, words


def _long(word: str, switches: frozenset[str]) -> "list[tuple[str, str | None]]":
    """Return the name and value in `--name=value`; None is the next word."""
    name, equals, value = word[2:].partition("=")
    return [(name, value if equals else "true" if name in switches else None)]


def _short(
    word: str, switches: frozenset[str], letters: "Mapping[str, str]"
) -> "list[tuple[str, str | None]]":
    """Return the names and values in `-abc`, `-dvalue` or `-d=value`; None is the next word."""
    found: list[tuple[str, str | None]] = []
    rest = word[1:]
    while rest:
        letter, rest = rest[0], rest[1:]
        name = letters.get(letter, letter)
        if rest[:1] == "=":
            return [*found, (name, rest[1:])]
        if name not in switches:
            return [*found, (name, rest or None)]
        found.append((name, "true"))
    return found
