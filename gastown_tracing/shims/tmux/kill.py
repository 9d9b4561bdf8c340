"""Sessions that gt ends in tmux: kill-session and kill-server.

gt ends an agent's processes first, whose end takes the session with it, and then the session: what it said
before all that (`tmux_stop`) tells that from a session that ended by itself long ago.
"""

import time

from gastown_tracing.journal.layout import list_directory, path_exists
from gastown_tracing.sessions.documents import pane_of, run_info
from gastown_tracing.sessions.stops import stop_meant
from gastown_tracing.shims.tmux.line import target as parse_target
from gastown_tracing.shims.tmux.place import same_file, start_of
from gastown_tracing.shims.tmux.running import PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gastown_tracing.shims.tmux.line import Command
    from gastown_tracing.shims.tmux.place import Call, Place
    from gastown_tracing.shims.tmux.running import Job


def kill(call: "Call", command: "Command") -> "Job | None":
    """Return the job of a command that ends sessions, None for one that does not."""
    return None if "C" in command.flags else Kill(call, command)


class Kill:
    """A kill-session or kill-server: `_before` are the runs that it may end, by directory, and who lived."""

    def __init__(self, call: "Call", command: "Command") -> None:
        self._call, self._command = call, command
        self._before: dict[str, bool] = {}
        self._place: Place | None = None

    def before(self) -> "Sequence[str]":
        """Look who lives: tmux does not know it afterwards."""
        for directory in self._meant():
            meant = stop_meant(directory, time.time_ns()) is not None
            self._before[directory] = meant or self._place is not None or _lives(pane_of(directory))
        return ()

    def load(self) -> None:
        """Load what closes runs."""
        if self._before:
            import gastown_tracing.shims.tmux.killed  # noqa: F401  # loaded is all that it has to be

    def after(self, error: str) -> None:
        """Close the runs that have ended, and say of those that are about to end who told them."""
        if not self._before:
            return
        from gastown_tracing.shims.tmux.killed import Killed
        from gastown_tracing.shims.waking import wake  # nothing needs these before tmux runs

        killed = Killed(self._call, error)
        for directory, lived in self._before.items():
            info = run_info(directory)
            if lived and info is not None:
                killed.close(directory, info)
        wake(self._call.plan.telemetry, PROGRAM)

    def _meant(self) -> list[str]:
        """Return the directories of the open runs that this command may end."""
        named = self._command.value("t")
        name, _ = parse_target(named) if named else ("", "")
        if self._command.name == "kill-server" or "a" in self._command.flags:
            spared = self._call.find(named) if "a" in self._command.flags else None
            return [found for found in self._here() if spared is None or found != spared.directory]
        self._place = self._call.find(named)
        if self._place is not None:
            return [self._place.directory]
        # gt has ended its processes already, and tmux has let go of it.
        infos = [(found, run_info(found)) for found in self._here()]
        return [found for found, info in infos if name and info and info.get("session") == name]

    def _here(self) -> list[str]:
        """Return the directories of all open runs in sessions of this server."""
        journal, socket = self._call.journal, self._call.tmux.socket
        places = [journal.run_dir(name) for name in list_directory(f"{journal.root}/runs")]
        return [
            place
            for place in places
            if not path_exists(f"{place}/close.json") and same_file(pane_of(place).get("socket", ""), socket)
        ]


def _lives(pane: dict[str, str]) -> bool:
    return bool(pane.get("pane_start")) and start_of(pane["pane_pid"]) == pane["pane_start"]
