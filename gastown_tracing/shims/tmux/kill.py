"""Sessions that gt ends in tmux: kill-session and kill-server.

gt ends an agent's processes first, whose end takes the session with it, and then the session: what it said
before all that (`tmux_stop`) tells that from a session that ended by itself long ago.
"""

import time

from gastown_tracing.journal.layout import list_directory, path_exists
from gastown_tracing.sessions import answers
from gastown_tracing.sessions.documents import pane_of
from gastown_tracing.sessions.ending import alone, close, run_info
from gastown_tracing.sessions.liveness import Inspector
from gastown_tracing.sessions.run import now_ns
from gastown_tracing.sessions.stops import note_stop, stop_meant
from gastown_tracing.shims.asking import ask
from gastown_tracing.shims.tmux.line import target as parse_target
from gastown_tracing.shims.tmux.place import SECONDS, same_file, start_of
from gastown_tracing.shims.tmux.running import PROGRAM
from gastown_tracing.shims.tmux.stop import stop_of
from gastown_tracing.shims.waking import wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gastown_tracing.shims.tmux.line import Command
    from gastown_tracing.shims.tmux.place import Call, Place
    from gastown_tracing.shims.tmux.running import Job

#: Seconds that agents have to end once they are hung up on; who does not is closed by the relay when it ends.
_ENDING, _PAUSE = 0.15, 0.002


def kill(call: "Call", command: "Command") -> "Job | None":
    """Return the job of a command that ends sessions, None for one that does not."""
    return None if "C" in command.flags else Kill(call, command)


class Kill:
    """A kill-session or kill-server: `_before` are the runs that it may end, by directory, and who lived."""

    def __init__(self, call: "Call", command: "Command") -> None:
        self._call, self._command = call, command
        self._before: dict[str, bool] = {}
        self._deadline = 0.0
        self._place: Place | None = None

    def before(self) -> "Sequence[str]":
        """Look who lives: tmux does not know it afterwards."""
        for directory in self._meant():
            meant = stop_meant(directory, time.time_ns()) is not None
            self._before[directory] = meant or self._place is not None or _lives(pane_of(directory))
        return ()

    def load(self) -> None:
        """Do nothing: all is loaded."""

    def after(self, error: str) -> None:
        """Close the runs that have ended, and say of those that are about to end who told them."""
        self._deadline = time.monotonic() + _ENDING  # for all together: somebody waits for tmux
        for directory, lived in self._before.items():
            info = run_info(directory)
            if lived and info is not None:
                self._close(directory, info, error)
        if self._before:
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

    def _close(self, directory: str, info: dict[str, object], error: str) -> None:
        call, pane = self._call, pane_of(directory)
        stop = stop_of(call)
        meant = stop_meant(directory, now_ns(info))
        # Whoever ends the session that it runs in is a part of what has to end: nothing to wait for.
        inside = not error and call.plan.resolution.run_id == info["trace_id"]
        if not (inside or self._has_ended(info, pane)):
            if not error:
                note_stop(directory, stop)  # whoever finds it gone knows who told it
            return
        with alone(directory):
            close(
                call.journal,
                str(info["trace_id"]),
                reason=stop.reason,
                stopped_by=stop.by,
                stop_ns=meant.time_ns if meant else stop.time_ns,
                killer=stop.killer,
            )

    def _has_ended(self, info: dict[str, object], pane: dict[str, str]) -> bool:
        """Return whether a session is gone, and its agent with it; both have a moment for that."""
        while True:
            if start_of(pane.get("pane_pid", "")) != pane.get("pane_start"):
                liveness = Inspector(self._call.tmux.env, asks=self._asks).look(info, pane)
                if liveness.state != "unknown":  # a server that is ending does not answer
                    return liveness.state == "dead"
            if time.monotonic() >= self._deadline:
                return False
            time.sleep(_PAUSE)

    def _asks(self, socket: str) -> answers.Answer:
        return answers.ask(lambda words: self._asked(["-S", socket, *words]))

    def _asked(self, words: list[str]) -> tuple[int, str, str]:
        code, said = ask([self._call.tmux.file, *words], SECONDS)
        return code, said.decode("utf-8", "replace"), ""


def _lives(pane: dict[str, str]) -> bool:
    return bool(pane.get("pane_start")) and start_of(pane["pane_pid"]) == pane["pane_start"]
