"""The command line `gt-trace`. What scripts call takes the fast path; all other commands load click."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

#: The commands of the fast path beside `exec`: they record an event.
EVENT_COMMANDS = ("event", "mail", "sling", "nudge", "done", "prime")


def main() -> "NoReturn":
    """Run `gt-trace` with the arguments of this process and exit."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "exec":
        from gastown_tracing.shims import child  # the fast path loads nothing else

        caller = child.Caller(child.block_signals())
        from gastown_tracing.shims.exec import run  # the signals first

        run(sys.argv[2:], caller)
    if command in EVENT_COMMANDS:
        from gastown_tracing.shims import event  # the fast path, too

        event.run(command, sys.argv[2:])
    from gastown_tracing.cli import root  # click, for all the others

    sys.exit(root.run())
