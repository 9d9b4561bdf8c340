"""Does a session still live? Dead only on positive evidence (design: "The root span").

Its tmux server answers without it, the process it stands on is gone, or the machine was booted again: dead.
Whoever may not ask, asks from another machine or container, or finds a session that is just starting does not
know.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gastown_tracing.sessions import processes, terminal
from propagation import environ

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How long a session may take from run.json to pane.json before anyone doubts it.
STARTING_NS = 30 * 1_000_000_000

State = Literal["live", "dead", "unknown"]


@dataclass(frozen=True)
class Liveness:
    """What is known: the state, and in words how."""

    state: State
    evidence: str


class Inspector:
    """Looks at sessions; each tmux server is asked once, however many sessions it has.

    `env` is the environment for tmux. `boot_id` and `now_ns` are those of this moment unless a test says
    otherwise.
    """

    def __init__(
        self, env: Mapping[str, str], *, boot_id: str | None = None, now_ns: int | None = None
    ) -> None:
        self._env = environ.without_context(env)
        self._boot_id = processes.boot_id() if boot_id is None else boot_id
        self._now_ns = time.time_ns() if now_ns is None else now_ns
        self._host = processes.host()
        self._answers: dict[str, terminal.Answer] = {}

    def look(self, info: Mapping[str, object], pane: Mapping[str, str] | None) -> Liveness:
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

    def _starting(self, info: Mapping[str, object]) -> Liveness:
        if self._now_ns - int(str(info.get("start_time_unix_nano") or 0)) < STARTING_NS:
            return Liveness("unknown", "it is starting")
        spawner = info.get("spawner")
        if not isinstance(spawner, dict):
            return Liveness("unknown", "nothing says where it runs")
        if spawner.get("pid_namespace", "") != processes.pid_namespace():
            return Liveness("unknown", "it was started in another container")
        if _state(spawner, "pid", "pid_start") != "gone":
            return Liveness("unknown", "it is starting")
        return self._unregistered(info, str(spawner.get("socket", "")))

    def _unregistered(self, info: Mapping[str, object], socket: str) -> Liveness:
        """Judge a session whose spawner ended before it could say where the session is."""
        if not socket:
            return Liveness("dead", "the process that started it is gone")
        answer = self.ask(socket)
        session = str(info.get("session", ""))
        if answer.sessions is None and not answer.absent:
            return Liveness("unknown", f"its tmux server cannot be asked: {answer.refusal}")
        if session in (answer.sessions or {}) and self._run_of(socket, session) == info.get("run_uuid"):
            return Liveness("live", "tmux has it, though its start was interrupted")
        return Liveness("dead", "its start was interrupted, and tmux does not have it")

    def _run_of(self, socket: str, session: str) -> str:
        question = [*terminal.server(socket), "show-environment", "-t", f"={session}", "GT_RUN"]
        return terminal.run(question, self._env).stdout.strip().removeprefix("GT_RUN=")

    def _process(self, pane: Mapping[str, str]) -> Liveness:
        state = _state(pane, "pid", "pid_start")
        if state == "gone":
            return Liveness("dead", f"its process {pane.get('pid')} is gone")
        if state == "unknown":
            return Liveness("unknown", f"process {pane.get('pid')} belongs to another user")
        return Liveness("live", f"process {pane.get('pid')} runs")

    def _tmux_session(self, pane: Mapping[str, str]) -> Liveness:
        server = str(pane.get("server_pid", ""))
        if _state(pane, "server_pid", "server_start") == "gone":
            return Liveness("dead", f"its tmux server, process {server}, is gone")
        answer = self.ask(str(pane.get("socket", "")))
        if answer.sessions is None:
            return Liveness("unknown", f"its tmux server cannot be asked: {answer.refusal}")
        if answer.server_pid != server:
            return Liveness(
                "unknown", f"another tmux server, process {answer.server_pid}, answers at its socket"
            )
        if pane.get("session_id", "") in answer.sessions.values():
            return Liveness("live", f"tmux server {server} has it")
        return Liveness("dead", f"tmux server {server} answers without it")

    def ask(self, socket: str) -> terminal.Answer:
        """Return what the tmux server at a socket says about itself and its sessions. Starts no server."""
        if socket not in self._answers:
            self._answers[socket] = terminal.ask(socket, self._env)
        return self._answers[socket]


def _state(process: Mapping[str, object], pid: str, started: str) -> str:
    number = str(process.get(pid, ""))
    if not number.isdecimal():
        return "unknown"
    return processes.state(int(number), str(process.get(started, "")))
