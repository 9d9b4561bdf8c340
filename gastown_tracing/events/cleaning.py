"""Command lines, and the words of programs, as a record may show them.

Loaded with the list of known words, for the few attributes that need it.
"""

from gastown_tracing.events.shell import BLANKS, split
from gastown_tracing.masking import command_words, mask, masked, opened, subcommand

#: The last bd command and what `masked` said about it.
_last: dict[tuple[str, ...], tuple[str, str]] = {}


def shown(line: "str | list[str]", whole: bool) -> str:
    """Return a bd command line, as text or as words, as it may be shown: masked unless `whole`."""
    words, rest = parts(line)
    text = opened(words) if whole else _asked_and_shown(words)[1]
    return " ".join([part for part in (text, mask(rest) if rest else "") if part])


def asked(line: "str | list[str]") -> str:
    """Return the subcommand of a bd command line, "" for none."""
    return _asked_and_shown(parts(line)[0])[0]


def _asked_and_shown(words: list[str]) -> tuple[str, str]:
    """Return the subcommand and the masked form of a bd command: the last one is often asked for again."""
    key = tuple(words)
    found = _last.get(key)
    if found is None:
        _last.clear()
        found = _last[key] = masked("bd", words)
    return found


def known(program: str, text: str) -> str:
    """Return what of a text is a command of `bd`, `git` or `gt`; "" for nothing. gt has two words."""
    words = parts(text)[0]
    return command_words(program, words) if program == "gt" else subcommand(program, words)[1]


def parts(line: "str | list[str]") -> tuple[list[str], str]:
    """Return a command line's words, and what of a text cannot be taken apart, "" for nothing.

    A text is split as a shell does. Where a quote in it is never closed, nobody can tell what behind the
    subcommand is a word, and nothing there is.
    """
    if not isinstance(line, str):
        return line, ""
    words: list[str] = []
    ends: list[int] = []
    for word, end in split(line):
        words.append(word)
        ends.append(end)
    if not ends or ends[-1] >= 0:
        return words, ""
    first, _ = subcommand("bd", words[:-1])
    return words[: first + 1], line[ends[first] :].strip(BLANKS) if first >= 0 else line
