"""Does a session still live? Dead only on positive evidence (design: "The root span").

Its tmux server answers without it, the process it stands on is gone, or the machine was booted again: dead.
An agent whose process outlives its tmux session lives. Whoever may not ask, asks from another machine or
container, or finds a session that is just starting does not know.

A shim asks, so only what every interpreter has built in is used.
"""

import time

from gastown_tracing.sessions import processes
from propagation import environ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Literal

    from gastown_tracing.sessions.answers import Answer, Pane

    State = Literal["live", "dead", "unknown"]

#: How long a session may take from run.json to pane.json before anyone doubts it.
STARTING_NS = 30 * 1_000_000_000

#: How long a hook has to start a pane's command again before its end counts.
RESPAWN_NS = 30 * 1_000_000_000


class End:
    """How a session's command ended, as far as tmux knows: its exit code, and when.

    `second` is in whole seconds since the Unix epoch. `error` says which signal it died of.
    """

    __slots__ = ("error", "exit_code", "second")

    def __init__(self, second: int | None, exit_code: int | None, error: str = "") -> None:
        self.second = second
        self.exit_code = exit_code
        self.error = error


class Liveness:
    """What is known: the state, and in words how.

    `stray` is an agent that lives on without its tmux session. `end` is there where tmux saw the end. `pane`
    is what pane.json would hold of a session that lives and has none, because its start was interrupted.
    `reason` is why a session ended, as far as that is known: `exited`, its command ended; `server ended`, its
    tmux server did, with other sessions; `lost`, nobody knows.
    """

    __slots__ = ("end", "evidence", "pane", "reason", "state", "stray")

    def __init__(
        self,
        state: "State",
        evidence: str,
        *,
        stray: bool = False,
        end: End | None = None,
        pane: "Mapping[str, str] | None" = None,
        reason: str = "lost",
    ) -> None:
        self.state: State = state
        self.evidence = evidence
        self.stray = stray
        self.end = end
        self.pane = pane
        self.reason = reason


class Inspector:
    """Looks at sessions; each tmux server is asked once, however many sessions it has.

    `env` is the environment for tmux. `boot_id` and `now_ns` are those of this moment unless a test says
    otherwise. `asks` asks the server at a socket, by default as `terminal.ask` does.
    """

    def __init__(
        self,
        env: "Mapping[str, str]",
        *,
        boot_id: str | None = None,
        now_ns: int | None = None,
        asks: "Callable[[str], Answer] | None" = None,
    ) -> None:
        self._asks = asks
        self._env = environ.without_context(env)
        self._boot_id = processes.boot_id() if boot_id is None else boot_id
        self._now_ns = time.time_ns() if now_ns is None else now_ns
        self._host = processes.host()
        self._answers: dict[str, Answer] = {}
        #: How many sessions are known to stand on a server, by its process id and start.
        self._standing: dict[tuple[str, str], int] = {}

    def count(self, panes: "Iterable[Mapping[str, str] | None]") -> None:
        """Take note of all sessions that nobody has closed, by their pane.json."""
        for server in [_server(pane) for pane in panes if pane and pane.get("server_pid")]:
            self._standing[server] = self._standing.get(server, 0) + 1

    def look(self, info: "Mapping[str, object]", pane: "Mapping[str, str] | None") -> Liveness:
        """Return whether the session of a run.json and pane.json lives. Never raises for what they hold."""
        host = str(info.get("host", ""))
        if host != self._host:
            return Liveness("unknown", f"it runs on another host, {host}")
        booted = str((pane or info).get("boot_id", ""))
        if booted and self._boot_id and booted != self._boot_id:
            return Liveness("dead", "the machine was booted again since it started")
        if not pane:
            return self._starting(info)
        if pane.get("pid_namespace", "") != processes.pid_namespace():
            return Liveness("unknown", "it runs in another container")
        return self._tmux_session(pane) if pane.get("server_pid") else self._process(pane)

    def _starting(self, info: "Mapping[str, object]") -> Liveness:
        if self._now_ns - int(str(info.get("start_time_unix_nano") or 0)) < STARTING_NS:
            return Liveness("unknown", "it is starting")
        spawner = info.get("spawner")
        if not isinstance(spawner, dict):
            return Liveness("unknown", "nothing says where it runs")
        if spawner.get("pid_namespace", "") != processes.pid_namespace():
            return Liveness("unknown", "it was started in another container")
        if _state(spawner, "pid", "pid_start") != "gone":
            return Liveness("unknown", "it is starting")
        return self._unregistered(info, spawner)

    def _unregistered(self, info: "Mapping[str, object]", spawner: "Mapping[str, object]") -> Liveness:
        """Judge a session whose spawner ended before it could say where the session is."""
        if not spawner.get("tmux"):
            return Liveness("dead", "the process that started it is gone")
        socket, session = str(spawner.get("socket", "")), str(info.get("session", ""))
        answer = self.ask(socket)
        if answer.sessions is None and not answer.absent:
            return Liveness("unknown", f"its tmux server cannot be asked: {answer.refusal}")
        session_id = (answer.sessions or {}).get(session)
        if session_id is None or self._run_of(socket, session) != info.get("run_uuid"):
            return Liveness("dead", "its start was interrupted, and tmux does not have it")
        panes = answer.panes[session_id]
        if all(pane.dead for pane in panes):
            return self._ended(panes, "")
        from gastown_tracing.sessions import terminal  # no shim looks at what is only starting

        found = terminal.describe(socket, session, session_id, self._env)
        return Liveness("live", "tmux has it, though its start was interrupted", pane=found)

    def _run_of(self, socket: str, session: str) -> str:
        from gastown_tracing.sessions import terminal  # the same

        question = [*terminal.server(socket), "show-environment", "-t", f"={session}", "GT_RUN"]
        return terminal.run(question, self._env).stdout.strip().removeprefix("GT_RUN=")

    def _process(self, pane: "Mapping[str, str]") -> Liveness:
        state = _state(pane, "pid", "pid_start")
        if state == "gone":
            return Liveness("dead", f"its process {pane.get('pid')} is gone")
        if state == "unknown":
            return Liveness("unknown", f"process {pane.get('pid')} belongs to another user")
        return Liveness("live", f"process {pane.get('pid')} runs")

    def _tmux_session(self, pane: "Mapping[str, str]") -> Liveness:
        server = str(pane.get("server_pid", ""))
        if _state(pane, "server_pid", "server_start") == "gone":
            return self._without_tmux(pane, *self._of_server(pane))
        answer = self.ask(str(pane.get("socket", "")))
        if answer.sessions is None:
            return Liveness("unknown", f"its tmux server cannot be asked: {answer.refusal}")
        if answer.server_pid != server:
            return Liveness(
                "unknown", f"another tmux server, process {answer.server_pid}, answers at its socket"
            )
        panes = answer.panes.get(pane.get("session_id", "")) or _holding(answer, str(pane.get("pane", "")))
        if not panes:
            ended = f"tmux server {server} answers without it: its agent ended, or somebody ended its session"
            return self._without_tmux(pane, ended, "lost")
        if all(pane.dead for pane in panes):
            return self._ended(panes, str(pane.get("pane", "")))
        return Liveness("live", f"tmux server {server} has it")

    def _of_server(self, pane: "Mapping[str, str]") -> tuple[str, str]:
        """Return (evidence, reason) of an end with the tmux server, which leaves nothing to ask.

        It ends with its last session. Where several were open it is the server that ended: nobody has said
        that one of them did.
        """
        server, others = pane.get("server_pid"), self._standing.get(_server(pane), 0) - 1
        if others > 0:
            return f"tmux server {server} is gone, and {others} other known sessions with it", "server ended"
        evidence = f"its process {pane.get('pane_pid')} is gone, and so is tmux server {server}"
        if others == 0:
            return f"{evidence}, on which no other session was known", "exited"
        return evidence, "lost"

    def _without_tmux(self, pane: "Mapping[str, str]", evidence: str, reason: str) -> Liveness:
        """Judge a session that tmux does not have any more: an agent that ignored the hang-up lives on."""
        if _state(pane, "pane_pid", "pane_start") == "live":
            return Liveness("live", f"its process {pane['pane_pid']} runs on, without tmux", stray=True)
        return Liveness("dead", evidence, reason=reason)

    def _ended(self, panes: "Sequence[Pane]", own: str) -> Liveness:
        """Judge a session that tmux only keeps to be looked at (remain-on-exit).

        The session's `own` pane says how it ended, the last of all panes when.
        """
        last = max(panes, key=lambda pane: pane.time or 0)
        fresh = last.time is not None and self._now_ns - last.time * 1_000_000_000 < RESPAWN_NS
        if fresh and any(pane.hooked for pane in panes):
            return Liveness("unknown", "its command has ended, but a tmux hook may start it again")
        how = next((pane for pane in panes if pane.id == own), last)
        code, error = how.status, ""
        if how.signal:
            from gastown_tracing.events.outcomes import signal_name  # hardly any command ends like that

            code, error = 128 + how.signal, f"killed by {signal_name(how.signal)}"
        end = End(last.time, code, error)
        return Liveness("dead", "its command has ended; tmux keeps what it printed", end=end, reason="exited")

    def ask(self, socket: str) -> "Answer":
        """Return what the tmux server at a socket says about itself and its sessions. Starts no server."""
        if socket not in self._answers:
            self._answers[socket] = self._ask(socket)
        return self._answers[socket]

    def _ask(self, socket: str) -> "Answer":
        if self._asks is not None:
            return self._asks(socket)
        from gastown_tracing.sessions import terminal  # a shim asks without it

        return terminal.ask(socket, self._env)


def _server(pane: "Mapping[str, str]") -> tuple[str, str]:
    return str(pane.get("server_pid", "")), str(pane.get("server_start", ""))


def _holding(answer: "Answer", pane: str) -> "Sequence[Pane]":
    """Return the panes of the session that has a pane now: it may have been moved from its own."""
    return next((panes for panes in answer.panes.values() if any(one.id == pane for one in panes)), ())


def _state(process: "Mapping[str, object]", pid: str, started: str) -> str:
    number = str(process.get(pid, ""))
    if not number.isdecimal():
        return "unknown"
    return processes.state(int(number), str(process.get(started, "")))
