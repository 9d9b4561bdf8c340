"""The tmux shim: what gt asks of tmux, as it was asked, and recorded."""

from gastown_tracing.shims import child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from gastown_tracing.shims.exec import Request


def run(request: "Request", caller: child.Caller) -> "NoReturn":
    """Run tmux as it was called."""
    child.replace(request.argv, request.environ, caller, request.file)
