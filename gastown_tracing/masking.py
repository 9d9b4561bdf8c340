"""What of a command line may be recorded: the subcommand and the names of flags, by allow-list.

Every other value, positional arguments included, becomes `‹n bytes›` ("Secrets" in the data model).
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: Options that stand before the subcommand and take their value from the next argument.
GLOBAL_OPTIONS_WITH_VALUE = {
    "bd": ("--actor", "--db", "--directory", "--dolt-auto-commit", "-C"),
    "git": ("-C", "-c", "--exec-path", "--git-dir", "--namespace", "--super-prefix", "--work-tree"),
    "gt": (),
}


def subcommand(program: str, arguments: "Sequence[str]") -> tuple[int, str]:
    """Return (index, text) of the subcommand: the first argument that is no option of the program itself.

    (-1, "") where there is none, or where that argument is content and no name.
    """
    with_value = GLOBAL_OPTIONS_WITH_VALUE.get(program, ())
    index = 0
    while index < len(arguments):
        argument = arguments[index]
        if not argument.startswith("-"):
            return (index, argument) if is_name(argument) else (-1, "")
        index += 2 if argument in with_value else 1
    return -1, ""


def mask_arguments(program: str, arguments: "Sequence[str]") -> str:
    """Return a command's arguments as one string that shows nothing but the subcommand and flag names."""
    kept, name = subcommand(program, arguments)
    words = []
    literal = False
    for index, argument in enumerate(arguments):
        if index == kept:
            words.append(name)
        elif argument == "--" and not literal:
            literal = True
            words.append(argument)
        elif argument.startswith("-") and not literal:
            words.append(_mask_option(argument))
        else:
            words.append(mask(argument))
    return " ".join(words)


def mask(value: str) -> str:
    """Return what stands for a value: its length in UTF-8 bytes."""
    return f"‹{len(value.encode('utf-8', 'surrogatepass'))} bytes›"


def _mask_option(argument: str) -> str:
    name, equals, value = argument.partition("=")
    if not is_name(name.lstrip("-")):
        return mask(argument)
    if not name.startswith("--") and len(name) > 2:
        return f"{name[:2]}{mask(argument[2:])}"  # `-dSECRET` is a value glued to its flag
    return f"{name}={mask(value)}" if equals else name


def is_name(text: str) -> bool:
    """Return whether a text can be the name of a flag or subcommand rather than content."""
    return len(text) <= 40 and text.isascii() and text.replace("-", "").replace("_", "").isalnum()
