"""What of a command line may be recorded, by allow-list: known words, and values harmless by themselves.

Shown are subcommands, the names of flags, and of their values and the positional arguments an enumeration's
known word, a short number, a bead's id and a known label, each where bd takes one. No value is shown for its
place alone: it is matched as well, so that a secret is not shown where it does not belong. Every other word
becomes `‹n bytes›` ("Secrets" in the data model).
"""

from gastown_tracing.words import (
    DEPENDENCIES,
    DONE,
    ENUMERATIONS,
    FLAGS,
    LABEL_KEYS,
    LABELS,
    NESTED,
    PLACES,
    SUBCOMMANDS,
    VARIABLES,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    #: Returns a value as it may be shown.
    Kind = Callable[[str], str]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ALPHABET = f"{_LETTERS}0123456789"
#: What may stand between a bead's prefix and its random part: `hq-cv-mqruw`, `de-wisp-bjtd`.
INFIXES = ("cv", "mol", "mr", "wisp")


def subcommand(program: str, arguments: "Sequence[str]") -> tuple[int, str]:
    """Return (index, text) of the subcommand of `bd`, `git` or `gt`; (-1, "") where there is none.

    It is the first word that the program knows, so that the value of a flag before it is never taken for it.
    """
    known = _subcommands(program)
    for index, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument in known:
            return index, argument
    return -1, ""


def command_words(program: str, arguments: "Sequence[str]") -> str:
    """Return the subcommand and, where the program knows it as well, the word behind it: `mail send`."""
    index, name = subcommand(program, arguments)
    following = arguments[index + 1 : index + 2] if index >= 0 else ()
    return " ".join([name, *(word for word in following if word in _subcommands(program))])


def _subcommands(program: str) -> frozenset[str]:
    known = _SUBCOMMANDS.get(program)
    if known is None:
        known = _SUBCOMMANDS[program] = frozenset(SUBCOMMANDS.get(program, "").split())
    return known


def masked(program: str, arguments: "Sequence[str]") -> tuple[str, str]:
    """Return a bd command's subcommand ("" for none), and its arguments with nothing but what is harmless."""
    first, name = subcommand(program, arguments)
    command, behind = name, first + 1
    while behind < len(arguments) and arguments[behind] in NESTED.get(command, "").split():
        command = f"{command} {arguments[behind]}"
        behind += 1
    places = _PLACES.get(command, ("text",))
    flags, expected, words = _FLAGS, "", []
    for index, argument in enumerate(arguments):
        if first <= index < behind:
            words.append(argument)
            expected = ""
        elif kind := flags.get(argument):
            words.append(argument)
            expected = kind if kind != "switch" else ""
        elif expected:
            words.append(_kind(expected)(argument))
            expected = ""
        elif argument[:1] == "-" and flags:
            words.append(_flag(argument))
            flags = flags if argument != "--" else {}  # no flags behind it
        elif index < first:
            words.append(mask(argument))
        else:
            words.append(_kind(places[0])(argument))
            places = places[1:] or places
    return name, " ".join(words)


def opened(arguments: "Sequence[str]") -> str:
    """Return a command line of which everything may be shown but credentials ("Secrets" in the data model).

    Of `-e NAME=VALUE` and `--env NAME=VALUE` the name is left; URLs lose userinfo and query wherever they
    are.
    """
    words, variable = [], False
    for argument in arguments:
        letter, flag, value = argument[:2], *argument.partition("=")[::2]
        if variable or (letter == "-e" and argument[2:].strip("=")):
            glued = "" if variable else "-e=" if argument[2] == "=" else "-e"
            words.append(glued + _variable_name(argument.removeprefix(glued)))
        elif flag == "--env" and value:
            words.append(f"--env={_variable_name(value)}")
        else:
            words.append(_without_urls(argument) if "://" in argument else argument)
        variable = not variable and argument in ("-e", "--env")
    return " ".join(words)


def _variable_name(text: str) -> str:
    name, equals, value = text.partition("=")
    return f"{name}={mask(value)}" if equals else _without_urls(text)


def _without_urls(text: str) -> str:
    """Return a text with each URL in it, also behind a `=`, without credentials."""
    lines = [[_without_url(word) for word in line.split(" ")] for line in text.split("\n")]
    return "\n".join([" ".join(line) for line in lines])


def _without_url(word: str) -> str:
    colon = word.find("://")
    start = word.rfind("=", 0, colon) + 1
    return word[:start] + without_credentials(word[start:]) if colon >= 0 else word


def mask(value: str) -> str:
    """Return what stands for a value: its length in UTF-8 bytes."""
    length = len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    return f"‹{length} bytes›"


def is_id(text: str) -> bool:
    """Return whether a text can be a bead's id and little else: `de-1tr`, `hq-cv-mqruw`, `de-wisp-bjtd.2`.

    That is a prefix of two or three letters and digits, perhaps a known infix, three to six random characters
    or a number as short, and the numbers of up to three levels of children.
    """
    root, dot, children = text.partition(".")
    prefix, _, random = root.partition("-")
    if "-" in random:
        infix, _, random = random.partition("-")
        if infix not in INFIXES:
            return False
    return (
        2 <= len(prefix) <= 3
        and prefix[0] in _LETTERS
        and not (prefix + random).strip(_ALPHABET)
        and (3 if not random.isdigit() else 1) <= len(random) <= 6
        and (not dot or _are_children(children.split(".")))
    )


def _are_children(numbers: list[str]) -> bool:
    return len(numbers) <= 3 and all(_is_number(number, 3) for number in numbers)


def without_credentials(url: str) -> str:
    """Return a URL, path or git remote without userinfo, query and fragment; never raises.

    The user of an scp-like address stays where it is `git`: `git@host:path`. What is none of these and may
    hold userinfo, or ends it in no clear place (a password with a `/` or `?` in it), is masked whole.
    """
    scheme, found, rest = url.partition("://")
    if found:
        return _url(scheme, rest) or mask(url)
    helper, found, _ = url.partition("::")
    if found and _is_name(helper):  # `ext::sh -c …` is a command (gitremote-helpers(7))
        return mask(url)
    if "@" not in url or (url[:1] in ("/", ".", "~") and url[:2] != "//"):
        return url
    host, _, path = url.partition(":")
    user, _, host = host.rpartition("@")
    if not path or "@" in path or "/" in user or not _is_host(host):
        return mask(url)
    return f"git@{host}:{path}" if user == "git" else f"{host}:{path}"


def _url(scheme: str, rest: str) -> str:
    """Return a URL of its parts without credentials; "" where it is not clear where they end."""
    end = min([index for index in map(rest.find, "/?#") if index >= 0], default=len(rest))
    host, behind = rest[:end].rpartition("@")[2], rest[end:]
    if not _is_name(scheme.replace("+", "")):
        return ""
    if ("@" in behind or not _is_host(host)) and (scheme != "file" or host):
        return ""
    return f"{scheme}://{host}{behind.partition('?')[0].partition('#')[0]}"


def _is_host(text: str) -> bool:
    """Return whether a text is a host's name, or an address in brackets, perhaps with a port."""
    if text[:1] == "[":
        name, _, port = text[1:].partition("]")
        return _is_name(name.replace(":", "")) and (not port or _is_number(port[1:], 5))
    name, colon, port = text.partition(":")
    return _is_name(name) and (not colon or _is_number(port, 5))


def _is_name(text: str) -> bool:
    return text.isascii() and text.replace(".", "").replace("-", "").replace("_", "").isalnum()


def _is_number(text: str, digits: int) -> bool:
    return len(text) <= digits and text.isascii() and text.isdigit()


def _id(value: str) -> str:
    return value if is_id(value) else mask(value)


def _number(value: str) -> str:
    return value if _is_number(value, 9) else mask(value)


def _age(value: str) -> str:
    """Show a number with a unit of time behind it, or none."""
    return value if value and _is_number(value[:-1] if value[-1] in "smhdw" else value, 9) else mask(value)


def _environment(value: str) -> str:
    """Show the name of NAME=VALUE, in capitals as few passwords are; or the number that `-e` takes in bd."""
    name, equals, text = value.partition("=")
    if equals and len(name) <= 40 and name.isascii() and name.isidentifier() and name.isupper():
        return f"{name}={mask(text)}"
    return _number(value)


def _flag(argument: str) -> str:
    """Return `--flag=value`, a value glued to its letter as in `-p1`, or an unknown flag."""
    name, equals, value = argument.partition("=")
    kind = _FLAGS.get(name) if equals else None
    if kind:
        return f"{name}={_kind(kind)(value)}"
    letter, value = argument[:2], argument[2:]
    if letter[1:].isalpha() and letter.isascii():
        return letter + (_kind(_FLAGS.get(letter, "text"))(value) if value else "")
    return argument if argument == "--" else mask(argument)


def _kind(name: str) -> "Kind":
    """Return what shows the values of a kind; an enumeration is made of its words when it is needed first."""
    kind = _KINDS.get(name)
    if kind is None:
        kind = _KINDS[name] = _listed(_one_of(ENUMERATIONS[name]))
    return kind


def _one_of(words: str) -> "Kind":
    known = frozenset(words.split())
    return lambda value: value if value in known else mask(value)


def _keyed(separator: str, keys: "Mapping[str, str]", other: "Kind" = mask) -> "Kind":
    """Return the kind of `key:value` with known keys; what has none of them is of the kind `other`."""

    def shown(text: str) -> str:
        key, found, value = text.partition(separator)
        kind = keys.get(key) if found else None
        return f"{key}{separator}{_kind(kind)(value)}" if kind else other(text)

    return shown


def _listed(kind: "Kind") -> "Kind":
    """Return the kind of lists with commas."""
    return lambda value: ",".join([kind(one) for one in value.split(",")]) if "," in value else kind(value)


def _by_name(table: "Mapping[str, str]") -> dict[str, str]:
    """Return the kind of each name, of a table by kind."""
    return {name: kind for kind, names in table.items() for name in names.split()}


_SUBCOMMANDS: dict[str, frozenset[str]] = {}
_PLACES = {command: kinds for kinds, commands in PLACES.items() for command in commands.split(", ")}
_FLAGS = _by_name(FLAGS)
_KINDS: "dict[str, Kind]" = {
    "text": mask,
    "id": _listed(_id),
    "number": _number,
    "age": _age,
    "environment": _environment,
    "dependency": _listed(_keyed(":", dict.fromkeys(DEPENDENCIES.split(), "id"), _id)),
    "done": _keyed(":", dict.fromkeys(DONE.split(), "text")),
    "label": _listed(_keyed(":", _by_name(LABEL_KEYS), _one_of(LABELS))),
    "variable": _keyed("=", _by_name(VARIABLES)),
}
