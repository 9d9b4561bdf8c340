"""The command line `gt-trace`. `exec` takes the fast path; every other command is loaded when it is run."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> "NoReturn":
    """Run `gt-trace` with the arguments of this process and exit."""
    if sys.argv[1:2] == ["exec"]:
        from gastown_tracing.shims import child  # the fast path loads nothing else

        caller = child.Caller(child.block_signals())
        from gastown_tracing.shims.exec import run  # the signals first

        run(sys.argv[2:], caller)
    from gastown_tracing.cli import root  # click, for all the others

    sys.exit(root.run())
