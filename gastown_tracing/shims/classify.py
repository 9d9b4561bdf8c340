"""From a command line of bd, gt or git to the event that it is; None for one that nobody wants to see.

Arguments are the words behind the program's name. Nothing is run and nothing looked up here.
"""

from gastown_tracing.masking import command_words, subcommand
from gastown_tracing.shims.seen import Seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: git's operations on a network, a branch or a working directory.
GIT = frozenset(("checkout", "clone", "fetch", "ls-remote", "pull", "push", "switch", "worktree"))


def classify(program: str, arguments: "Sequence[str]") -> Seen | None:
    """Return what a command line of `program` is, None where nobody wants to see it. Never raises."""
    if program == "bd":
        return Seen("bd.call")
    if program == "gt":
        return Seen("gt.command", {"command": command_words("gt", arguments) or "help"})
    if program == "git":
        operation = subcommand("git", arguments)[1]
        return Seen("git.operation", {"operation": operation}) if operation in GIT else None
    return None
