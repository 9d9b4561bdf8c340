"""tmux command lines as lists for exec, and what the variable TMUX says. Nothing here starts a process."""

from propagation.traceparent import PropagationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def _argv(socket: str, *arguments: str) -> list[str]:
    """Return the command line for the server at `socket`: a path (-S), a name (-L), "" for the caller's own.

    tmux takes a `;` at the end of any argument for the end of a command; escaped, it is a character.
    """
    server = [] if not socket else ["-S" if "/" in socket else "-L", socket]
    for argument in (socket, *arguments):
        if not isinstance(argument, str) or "\0" in argument:
            raise PropagationError(f"not an argument: {argument!r}")
    return ["tmux", *server, *[f"{text[:-1]}\\;" if text[-1:] == ";" else text for text in arguments]]


def _literal(text: str) -> str:
    """Return what tmux expands to `text` where it expands formats (FORMATS in tmux(1)): `##` is a `#`.

    Before a `[`, where a style begins, it leaves every `#` as it is.
    """
    pieces = text.split("[")
    for number, piece in enumerate(pieces):
        doubled = piece.rstrip("#") if number < len(pieces) - 1 else piece
        pieces[number] = doubled.replace("#", "##") + piece[len(doubled) :]
    return "[".join(pieces)


def new_session(
    socket: str, name: str, cwd: str, env: "Mapping[str, str]", command: "Sequence[str]"
) -> list[str]:
    """Return the command that starts a detached session: its pane runs `command` itself, `env` comes by -e.

    The first new-session starts the server too, which keeps its starter's environment: hand it one without
    context (`environ.without_context`). Raises `PropagationError` for an empty command, a variable's name
    that cannot be one, and NUL.
    """
    if not command:
        raise PropagationError("a session needs a command")
    variables = []
    for variable, value in env.items():
        if not variable or "=" in variable:
            raise PropagationError(f"not a variable's name: {variable!r}")
        variables += ["-e", f"{variable}={value}"]
    # A single word would be handed to a shell; behind env it is run as it is, and env is gone when it runs.
    words = ["env", "--", *command] if len(command) == 1 else command
    # tmux expands formats in these two, and in no other argument.
    place = ["-s", _literal(name), "-c", _literal(cwd)]
    return _argv(socket, "new-session", "-d", *place, *variables, "--", *words)


def kill_session(socket: str, name: str) -> list[str]:
    """Return the command that ends the session of exactly this name."""
    return _argv(socket, "kill-session", "-t", f"={name}")


def has_session(socket: str, name: str) -> list[str]:
    """Return the command that exits with 0 when there is a session of exactly this name."""
    return _argv(socket, "has-session", "-t", f"={name}")


def set_environment(socket: str, name: str, variables: "Mapping[str, str | None]") -> list[str]:
    """Return the command that sets variables for a session's future panes.

    `name` is the session's, or the id of a pane of it (`%7`), whose session is meant. With None they do not
    get the variable even from the server's own environment. Raises `PropagationError` for no variables.
    """
    if not variables:
        raise PropagationError("no variables to set")
    target = name if name[:1] == "%" and name[1:].isdecimal() else f"={name}"
    command = server = _argv(socket)
    for variable, value in variables.items():
        said = ["-r", variable] if value is None else [variable, value]
        words = _argv(socket, "set-environment", "-t", target, *said)
        command = [*command, ";", *words[len(server) :]] if command is not server else words
    return command


def list_panes(socket: str, line_format: str, name: str = "") -> list[str]:
    """Return the command that prints one line a pane, in the words of tmux's FORMATS.

    Without `name` it prints the panes of all the server's sessions.
    """
    scope = ["-s", "-t", f"={name}"] if name else ["-a"]
    return _argv(socket, "list-panes", *scope, "-F", line_format)


def parse_tmux_variable(text: str | None) -> tuple[str, str, str] | None:
    """Return (socket path, server pid, session id) of TMUX, or None when it is absent or no such thing.

    The session id goes stale when a window moves; socket, pid and TMUX_PANE are what counts.
    """
    parts = (text or "").rsplit(",", 2)
    if len(parts) != 3 or not parts[0] or not parts[1] or parts[1].strip("0123456789"):
        return None
    return parts[0], parts[1], parts[2]
