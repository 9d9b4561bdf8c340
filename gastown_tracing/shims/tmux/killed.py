"""Runs whose sessions tmux was told to end: closed where they have ended, else it is noted who told them."""

import time

from gastown_tracing.sessions import answers
from gastown_tracing.sessions.documents import pane_of
from gastown_tracing.sessions.ending import alone, close
from gastown_tracing.sessions.liveness import Inspector
from gastown_tracing.sessions.run import now_ns
from gastown_tracing.sessions.stops import note_stop, stop_meant
from gastown_tracing.shims.asking import ask
from gastown_tracing.shims.tmux.place import SECONDS, start_of
from gastown_tracing.shims.tmux.stop import stop_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gastown_tracing.shims.tmux.place import Call

#: Seconds that agents have to end once they are hung up on; who does not is closed by the relay when it ends.
_ENDING, _PAUSE = 0.15, 0.002


class Killed:
    """What a kill-session or kill-server has done; `error` is why tmux failed, "" for success."""

    def __init__(self, call: "Call", error: str) -> None:
        self._call, self._error = call, error
        self._deadline = time.monotonic() + _ENDING  # for all together: somebody waits for tmux

    def close(self, directory: str, info: dict[str, object]) -> None:
        """Close a run that has ended; of one that is about to end, say who told it. Raises OSError."""
        call, pane = self._call, pane_of(directory)
        stop = stop_of(call)
        meant = stop_meant(directory, now_ns(info))
        # Whoever ends the session that it runs in is a part of what has to end: nothing to wait for.
        inside = not self._error and call.plan.resolution.run_id == info["trace_id"]
        if not (inside or self._has_ended(info, pane)):
            if not self._error:
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
        """Ask a server what it has, without what asks in a long-lived process."""

        def asked(words: list[str]) -> tuple[int, str, str]:
            code, said = ask([self._call.tmux.file, "-S", socket, *words], SECONDS)
            return code, said.decode("utf-8", "replace"), ""

        return answers.ask(asked)
