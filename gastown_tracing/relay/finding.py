"""Finding in tmux what no shim saw: sessions of this journal's town, and agents that were started again.

Whose a session is: that journal's which its own commands would write to (`Towns`). It gets a run: the one
that GT_RUN names, else one of its own, which the registry then knows by its panes. Whatever a shim has noted,
or may just be noting, is left to it; each step is made once, whoever else makes it, and one that was
interrupted is gone on with at the next look.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gastown_tracing.config import JOURNAL
from gastown_tracing.journal import hooks
from gastown_tracing.journal.layout import Journal, PaneRegistry, default_root, find_town_root, path_exists
from gastown_tracing.sessions import answers, documents, ending, processes, roles, run, sockets, terminal
from gastown_tracing.sessions.liveness import STARTING_NS
from gastown_tracing.sessions.reaping import adopt
from propagation.run import new_run_id, parse_run_id

if TYPE_CHECKING:
    from gastown_tracing.journal.reader import Run
    from gastown_tracing.sessions.liveness import Inspector
    from gastown_tracing.sessions.reaping import Found

#: Who found a session, in its run.json.
RELAY = "relay"

#: Seconds for which a server that gave no answer is left alone, where no run stands on it.
SILENT = 300.0

_SECOND = 1_000_000_000

#: What of a session's environment says who it is, beside its role, rig and agent.
_GIVEN = ("BD_ACTOR", *roles.NAME_VARIABLES.values())


class Towns:
    """Which town's journal this is, and so whose sessions are to be found.

    A session is the journal's when its own commands would write there: GT_OTEL_JOURNAL names it, or it is the
    default one of the session's town, which its name says: a hash of the town's root. A journal elsewhere
    knows its towns by the sessions that were registered in it; one of such a town is its own, too, unless the
    town's default journal is there, or GT_OTEL_JOURNAL names another. Outside any town nothing is looked for.
    """

    def __init__(self, journal: Journal, roots: Iterable[str]) -> None:
        self._root = os.path.realpath(journal.root)
        self._roots = frozenset(roots)

    def has(self, env: Mapping[str, str], path: str) -> bool:
        """Say whether a session with this environment, started in this directory, is the journal's."""
        town = find_town_root(env, path)
        if not town or env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return False
        named = env.get(JOURNAL, "")
        if named:
            return os.path.realpath(named) == self._root
        default = default_root(env, town)
        if os.path.realpath(default) == self._root:
            return True
        return town in self._roots and not Journal(default).exists()


@dataclass(frozen=True)
class _Sighting:
    """A session as it was seen: its server, what tmux knows of it, and its first pane that runs something."""

    socket: str
    server_pid: str
    session: answers.Session
    pane: answers.Pane
    env: Mapping[str, str]

    @property
    def run_id(self) -> str | None:
        """Return the run that the session's processes carry."""
        return parse_run_id(self.env.get("GT_RUN", ""))

    def described(self) -> dict[str, str]:
        """Return what pane.json holds of it."""
        return processes.describe_pane(
            {
                "socket": self.socket,
                "server_pid": self.server_pid,
                "session": self.session.name,
                "session_id": self.session.id,
                "pane": self.pane.id,
                "pane_pid": self.pane.pid,
            }
        )


class Finder:
    """Looks for what no shim saw. `log` takes one line.

    `started_ns` is for how long a session is left to whoever starts it, in nanoseconds.
    """

    def __init__(
        self, journal: Journal, log: Callable[[str], None], *, started_ns: int = STARTING_NS
    ) -> None:
        self._journal, self._log, self._started_ns = journal, log, started_ns
        self._env: Mapping[str, str] = {}
        self._registry, self._places = PaneRegistry(journal), sockets.Places(journal)
        #: Servers that gave no answer, and when.
        self._silent: dict[str, float] = {}
        #: The runs whose beginning is known to be recorded.
        self._whole: set[str] = set()

    def look(self, inspector: Inspector, reaped: Sequence[Found], env: Mapping[str, str]) -> int:
        """Find what is there now; return how many sessions that were. Raises OSError.

        `inspector` has asked the servers of the runs in `reaped`, which are all open ones. `env` is the
        environment for tmux.
        """
        self._env = env
        runs = [found.run for found in reaped]
        named, roots = self._places.look()
        towns = Towns(self._journal, roots | {str(run.info.get("town_root") or "") for run in runs})
        used = {str(run.pane.get("socket")) for run in runs if run.pane}
        found = 0
        for socket in self._sockets(named | used, used):
            answer = inspector.ask(socket)
            if answer.sessions is None and not answer.absent:
                self._silent[socket] = time.monotonic()
            found += self._look_at(socket, answer, runs, towns)
        return found

    def _sockets(self, named: Iterable[str], used: set[str]) -> Iterable[str]:
        """Yield where to ask: one that hangs is left alone for some time, where no run stands on it."""
        now = time.monotonic()
        self._silent = {path: since for path, since in self._silent.items() if now - since < SILENT}
        directories = dict.fromkeys(filter(None, (self._env.get("TMUX_TMPDIR"), sockets.USUAL)))
        return sockets.listening(named, directories, self._silent.keys() - used)

    def _look_at(self, socket: str, answer: answers.Answer, runs: Sequence[Run], towns: Towns) -> int:
        started = processes.start_time(int(answer.server_pid)) if answer.known else ""
        held = {
            str(run.pane.get("session_id")): run
            for run in runs
            if run.pane
            and (run.pane.get("server_pid"), run.pane.get("server_start")) == (answer.server_pid, started)
        }
        taken = {pane.id for session_id in held for pane in answer.panes.get(session_id, ())}
        found = 0
        for session_id, session in answer.known.items():
            panes = [
                pane for pane in answer.panes.get(session_id, ()) if not pane.dead and pane.pid.isdecimal()
            ]
            if session_id in held:
                self._watch(held[session_id], session, panes)
            elif panes and not any(pane.id in taken for pane in panes):  # one of a session group
                taken.update(pane.id for pane in panes)
                first = min(panes, key=lambda pane: int(pane.id.lstrip("%") or 0))
                env = {**_set(session.variables), **processes.environment(int(first.pid))}
                seen = _Sighting(socket, answer.server_pid, session, first, env)
                found += self._is_settled(seen) and towns.has(env, session.path) and self._take(seen, panes)
        return found

    def _is_settled(self, seen: _Sighting) -> bool:
        """Say whether nobody can be at it any more: neither the session nor its process has just begun."""
        age = processes.age(int(seen.pane.pid))
        if age is None or age * _SECOND < self._started_ns:
            return False
        return time.time_ns() - seen.session.created * _SECOND >= self._started_ns

    def _take(self, seen: _Sighting, panes: Sequence[answers.Pane]) -> bool:
        """Give a session its run, or leave it to whoever has; say whether it was found here."""
        run_id = seen.run_id
        if run_id is None:
            run_id = self._registered(seen)
            if run_id is None:
                return False
        directory = self._journal.run_dir(run_id)
        if ending.is_closed(self._journal, run_id) or path_exists(f"{directory}/pane.json"):
            return False  # it has ended, or lives elsewhere
        info = documents.run_info(directory)
        if info is not None and not self._is_left(info):
            return False
        found = info is None
        if info is None:
            try:
                info = self._create(seen, run_id).info
            except FileExistsError:
                return False  # whoever starts it has been slow
        with contextlib.suppress(OSError):
            self._register(run_id, info, seen, panes)
        adopt(self._journal, info, seen.described(), evidence=_evidence(info))
        if found:
            self._log(f"found session {seen.session.name} in tmux: run {run_id}")
        return found

    def _registered(self, seen: _Sighting) -> str | None:
        """Return the run of a session that carries none: a new one where there is none yet.

        The registry has it before anything else, so that the session has one run however often this is begun.
        None where its run has ended and nothing has been started since.
        """
        known = parse_run_id(self._registry.run_for_pane(seen.socket, seen.server_pid, seen.pane.id))
        if known and not ending.is_closed(self._journal, known):
            return known
        if known and not self._is_another(known, seen):
            return None
        run_id = new_run_id()
        self._registry.register(run_id, socket=seen.socket, server_pid=seen.server_pid, pane=seen.pane.id)
        return run_id

    def _is_another(self, run_id: str, seen: _Sighting) -> bool:
        """Say whether a pane runs something else than it did in a run that has ended."""
        for directory in self._journal.find_run(run_id):
            pane = documents.pane_of(directory)
            if pane:
                now = seen.described()
                return (pane.get("pane_pid"), pane.get("pane_start")) != (now["pane_pid"], now["pane_start"])
        return True

    def _is_left(self, info: Mapping[str, object]) -> bool:
        """Say whether whoever made a run.json has had time to say where the session is."""
        return time.time_ns() - int(str(info["start_time_unix_nano"])) >= self._started_ns

    def _create(self, seen: _Sighting, run_id: str) -> run.RunHandle:
        env = {**self._session_environment(seen), **seen.env}
        actor = env.get("BD_ACTOR", "")
        return run.create_run(
            self._journal,
            role=env.get("GT_ROLE", ""),
            rig=env.get("GT_RIG", ""),
            session=seen.session.name,
            agent=env.get("GT_AGENT", ""),
            issue=_hooked_before(self._journal, actor, seen.session.created * _SECOND),
            work_dir=seen.session.path,
            env=env,
            run_id=run_id,
            start_ns=seen.session.created * _SECOND,
            given={name: env[name] for name in _GIVEN if env.get(name)},
            found=RELAY,
        )

    def _session_environment(self, seen: _Sighting) -> dict[str, str]:
        words = [*terminal.server(seen.socket), "show-environment", "-t", seen.session.id]
        lines = terminal.run(words, self._env).stdout.splitlines()
        pairs = [line.partition("=") for line in lines]
        return {name: value for name, equals, value in pairs if equals}

    def _register(
        self, run_id: str, info: Mapping[str, object], seen: _Sighting, panes: Sequence[answers.Pane]
    ) -> None:
        """Let the registry know each pane of a session whose processes carry no run."""
        for pane in panes if seen.run_id is None else ():
            self._registry.register(
                run_id,
                socket=seen.socket,
                server_pid=seen.server_pid,
                pane=pane.id,
                town_root=str(info.get("town_root") or ""),
            )

    def _watch(self, found: Run, session: answers.Session, panes: Sequence[answers.Pane]) -> None:
        """See to a session whose run is known: what was started in it again, and its further panes."""
        place = found.pane or {}
        socket, server_pid = str(place.get("socket", "")), str(place.get("server_pid", ""))
        if not parse_run_id(session.variables.get("GT_RUN", "")):  # what runs in another pane carries none
            for pane in panes:
                if self._registry.run_for_pane(socket, server_pid, pane.id) is None:
                    self._registry.register(
                        found.trace_id, socket=socket, server_pid=server_pid, pane=pane.id
                    )
        self._complete(found)
        own = next((pane for pane in panes if pane.id == place.get("pane")), None)
        if own is not None and own.pid != place.get("pane_pid"):
            age = processes.age(int(own.pid))
            if age is not None and age * _SECOND >= self._started_ns:
                self._started_again(found, own, round(time.time_ns() - age * _SECOND))

    def _complete(self, found: Run) -> None:
        """Record the start of a session whose starter ended in the very middle of that. Asked once a run."""
        if found.trace_id not in self._whole and found.pane and self._is_left(found.info):
            self._whole.add(found.trace_id)
            adopt(self._journal, found.info, found.pane, _evidence(found.info))

    def _started_again(self, found: Run, pane: answers.Pane, time_ns: int) -> None:
        """Note that a run's pane runs another process than it did: one more agent, unless a shim said so."""
        handle = run.handle_of(self._journal, found.info)
        with ending.alone(handle.directory):
            place = documents.pane_of(handle.directory)
            if (
                not place
                or place.get("pane_pid") == pane.pid
                or not path_exists(f"{handle.directory}/run.json")
            ):
                return
            agents = int(place["agents"]) if place.get("agents", "").isdecimal() else 1
            now = {"pane_pid": pane.pid, "pane_start": processes.start_time(int(pane.pid))}
            run.write_pane(handle, {**place, **now, "agents": str(agents + 1)})
            evidence = _evidence({"found": RELAY})
            run.record_instantiation(handle, restart=agents, at_ns=time_ns, evidence=evidence)
        self._log(f"session {found.info.get('session')} was started again in its pane: run {found.trace_id}")


def _set(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if value}


def _evidence(info: Mapping[str, object]) -> dict[str, object]:
    """Return the attributes of what was found, and not seen: how, and when."""
    if info.get("found") != RELAY:
        return {}
    return {"gastown.evidence": "found in tmux by the relay", "gastown.found.time_unix_nano": time.time_ns()}


def _hooked_before(journal: Journal, actor: str, time_ns: int) -> str:
    """Return the bead that hung on an agent's hook when its session began, "" where nobody knows."""
    since = hooks.hooked_since(journal, actor)
    known = hooks.hooked(journal, actor)
    return known[0] if known and since is not None and since < time_ns else ""
