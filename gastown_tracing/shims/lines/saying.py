"""What words of a command line may stand for in an attribute.

An agent's command lines are often wrong: a message stands where a name should. So a name is taken for one
only where it can be one.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Characters of the longest name.
LONGEST = 128
#: What stands in names beside letters and digits: `demo/polecats/rust`, `hq-cv-1a2b`, `channel:x`, `a@b.c`.
_MARKS = "-_./:@+#"
#: What a bead's description calls its molecule, in gt's three spellings.
MOLECULE = ("attached_molecule", "attached-molecule", "attachedmolecule")


def name(word: "str | None") -> str:
    """Return a word that can be the name or the id of something, "" for any other."""
    if not word or len(word) > LONGEST or not (word[0].isalnum() or word[0] == "@"):
        return ""
    rest = word
    for mark in _MARKS:
        rest = rest.replace(mark, "")
    return word if rest.isalnum() else ""


def names(words: "Iterable[str]") -> str:
    """Return those of the words that can be names, as one text."""
    return ", ".join([word for word in words if name(word)])


def said(pairs: "Mapping[str, str | bool | None]") -> "dict[str, str | bool]":
    """Return the attributes that are known: those with a value."""
    return {key: value for key, value in pairs.items() if value is not None and value != ""}


def fields(text: "str | None") -> "dict[str, str]":
    """Return the `key: value` lines of a bead's description, keys in small letters.

    gt's null is no value.
    """
    found: dict[str, str] = {}
    for line in (text or "").split("\n"):
        key, colon, value = line.partition(":")
        if colon:
            value = value.strip()
            found[key.strip().lower()] = "" if value == "null" else value
    return found


def molecule(description: object) -> str:
    """Return the molecule that is attached to a bead, by a line of its description; "" for none."""
    found = ""
    for line in description.split("\n") if isinstance(description, str) else ():
        key, colon, value = line.partition(":")
        if colon and value.strip() and key.strip().lower() in MOLECULE:
            found = value.strip()
    return found if found.isprintable() else ""
