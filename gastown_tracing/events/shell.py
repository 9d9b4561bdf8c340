"""A shell's command line: taken apart into its words, nothing expanded, and a word as it is written in one.

A shim does it, so only what every interpreter has built in is used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BLANKS = " \t\n"
#: What takes the signs away that need no quotes.
_UNQUOTED = dict.fromkeys(map(ord, "@%+=:,./-_"))


def split(text: str) -> "Iterator[tuple[str, int]]":
    """Yield each word of a shell's command line and where it ends; -1 for one that is not closed.

    (POSIX, Shell Command Language, 2.2 "Quoting"; nothing is expanded.)
    """
    word, quote, begun, index = "", "", False, 0
    while index < len(text):
        letter = text[index]
        following = text[index + 1 : index + 2]
        if letter == "\\" and quote != "'":
            if not following:
                break
            kept = "" if following == "\n" else following
            word += letter + kept if quote and following not in '$`"\\\n' else kept
            begun, index = True, index + 2
            continue
        if letter == quote:
            quote = ""
        elif not quote and letter in "'\"":
            quote, begun = letter, True
        elif quote or letter not in BLANKS:
            word, begun = word + letter, True
        elif begun:
            yield word, index
            word, begun = "", False
        index += 1
    if quote or index < len(text):
        yield word, -1
    elif begun:
        yield word, index


def quote(word: str) -> str:
    """Return a word as a shell reads it again, in quotes where it has to be: as `shlex.quote` does."""
    plain = word.translate(_UNQUOTED)
    if word and (not plain or (plain.isascii() and plain.isalnum())):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"
