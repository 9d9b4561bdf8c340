"""From a command line to the event that it is; None for one that nobody wants to see.

Arguments are the words behind the program's name. Nothing is run and nothing looked up here; attributes are
what the words say. A program's own rules and tables are loaded when it is asked for.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gastown_tracing.shims.lines.seen import Seen


def classify(program: str, arguments: "Sequence[str]") -> "Seen | None":
    """Return what a command line of `program` is, None where nobody wants to see it. Never raises.

    A command line of tmux can be several events, for other runs than the caller's: its own half of the shim
    reads it.
    """
    if program == "bd":
        from gastown_tracing.shims.lines.bd import classify as of_bd

        return of_bd(arguments)
    if program == "gt":
        from gastown_tracing.shims.lines.gt import classify as of_gt

        return of_gt(arguments)
    if program == "git":
        from gastown_tracing.shims.lines.git import classify as of_git

        return of_git(arguments)
    return None
