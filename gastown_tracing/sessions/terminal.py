"""What we ask of tmux, and how a session is spawned there."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gastown_tracing.config import RECEIVER
from gastown_tracing.sessions import processes, roles
from gastown_tracing.shims.real import real
from propagation import environ, tmux

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Seconds that a tmux server has for an answer; a stopped one never gives any.
ANSWER_SECONDS = 5

#: Seconds that a tmux server has to learn how a command ended.
SETTLING_SECONDS = 0.5

#: tmux refuses a command line of about 16,300 bytes; we stop well before.
ARGUMENT_LIMIT = 15_000

#: The answer to new-session, in this order (tmux's FORMATS).
_SPAWNED = ("#{pid}", "#{session_id}", "#{pane_id}", "#{pane_pid}", "#{socket_path}")

#: A line a pane: what it is, whether its command has ended and how (tmux keeps it with remain-on-exit),
#: whether a hook is told of that, and its process. What an older tmux does not know is empty.
_PANES = (
    *("pane", "#{session_id}", "#{pane_id}", "#{?pane_dead,1,0}"),
    *("#{pane_dead_status}", "#{pane_dead_signal}", "#{pane_dead_time}"),
    *("#{?pane-died[0],1,0}", "#{pane_pid}"),
)

#: What a session says of itself by its environment, or by the server's.
VARIABLES = ("GT_RUN", "GT_ROOT", "GT_OTEL_JOURNAL")

#: Some lines a session, each with at most one text that may hold anything, at its end.
_SESSIONS = (
    "name #{session_id} #{session_created} #{session_name}",
    "path #{session_id} #{session_path}",
    *(f"{name} #{{session_id}} #{{{name}}}" for name in VARIABLES),
)

#: What tmux says on stderr when no server listens at a socket.
_NO_SERVER = ("no server running", "No such file or directory", "Connection refused")


class TmuxError(Exception):
    """tmux could not do what it was asked; the text is one line for the user."""


class SessionExists(TmuxError):  # noqa: N818  # it says what is the case, as FileExistsError does
    """There is a session of this name."""


class TooLong(TmuxError):  # noqa: N818  # the same
    """The command line has more bytes than tmux takes."""


@dataclass(frozen=True)
class Pane:
    """A pane: its id, whether its command has ended, and what tmux knows of that.

    `status` is the exit code, `signal` the signal's number, `time` seconds since the Unix epoch; None where
    tmux does not say. `hooked`: a hook of the operator's is told, and may start the command again. `pid` is
    the process that it was made with, or respawned with last, "" for none.
    """

    id: str
    dead: bool
    status: int | None
    signal: int | None
    time: int | None
    hooked: bool
    pid: str = ""

    @property
    def settling(self) -> bool:
        """Return whether the command's end is all that tmux knows."""
        return self.dead and self.status is None and self.signal is None and self.time is None


@dataclass
class Session:
    """A session as tmux knows it: when it was created (seconds since the Unix epoch), and where.

    `variables` are those of VARIABLES that its panes get from tmux, "" for what is not set.
    """

    id: str
    name: str
    created: int
    path: str = ""
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a tmux server said; or why it said nothing.

    Its process id, its sessions' ids by name, the panes and what else is known by the session's id.
    """

    server_pid: str = ""
    sessions: Mapping[str, str] | None = None
    panes: Mapping[str, Sequence[Pane]] = field(default_factory=dict)
    known: Mapping[str, Session] = field(default_factory=dict)
    refusal: str = ""

    @property
    def absent(self) -> bool:
        """Return whether it is certain that no server listens there."""
        return any(text in self.refusal for text in _NO_SERVER)


def server(socket: str) -> list[str]:
    """Return tmux and the option that names a server: a path, a name for -L, or "" for the default one."""
    return ["tmux"] if not socket else ["tmux", "-S" if "/" in socket else "-L", socket]


def socket_path(socket: str, env: Mapping[str, str]) -> str:
    """Return the path of the socket that `server(socket)` means in this environment.

    It is tmux's own rule (tmux(1), -L, -S and TMUX_TMPDIR): who asks later may have another environment.
    """
    if "/" in socket:
        return socket
    inside = env.get("TMUX", "").partition(",")[0]
    if inside and not socket:
        return inside
    places = [place for place in (env.get("TMUX_TMPDIR"), "/tmp") if place and os.path.isdir(place)]  # noqa: S108  # tmux's
    return f"{os.path.realpath(places[0])}/tmux-{os.getuid()}/{socket or 'default'}"


def run(command: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a tmux command that answers at once. Never raises: failure is an exit code and stderr.

    It is the real tmux, and no shim: what we ask and do ourselves is not seen.
    """
    program = command[0]
    if "/" not in program:
        program = real(program, os.fsencode(env["PATH"]) if "PATH" in env else None)
    try:
        return subprocess.run(
            [program, *command[1:]],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", "tmux is not installed")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer within {ANSWER_SECONDS} s")
    except OSError as error:
        return subprocess.CompletedProcess(command, 126, "", str(error))


def ask(socket: str, env: Mapping[str, str]) -> Answer:
    """Ask the tmux server at a socket for its process id and its sessions. Starts none, never raises.

    tmux sees a pane's terminal closed before it learns how the command ended: it is asked again until it
    knows. An old one never does for a command that died of a signal.
    """
    deadline = time.monotonic() + SETTLING_SECONDS
    answer = _ask(socket, env)
    while any(pane.settling for panes in answer.panes.values() for pane in panes):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
        answer = _ask(socket, env)
    return answer


def _ask(socket: str, env: Mapping[str, str]) -> Answer:
    question = ["display-message", "-p", "#{pid}", ";", "list-sessions", "-F", "\n".join(_SESSIONS)]
    panes = ["list-panes", "-a", "-F", " ".join(_PANES)]
    # -u: else tmux replaces what is no ASCII, where the locale says nothing of UTF-8.
    said = run([*server(socket), "-u", *question, ";", *panes], env)
    server_pid, *lines = said.stdout.splitlines() or [""]
    known = _sessions(lines)
    if not server_pid.isdecimal() or (said.returncode and known):  # without a session it has no panes to list
        return _refused(said)
    return Answer(server_pid, {session.name: session.id for session in known.values()}, _panes(lines), known)


def _sessions(lines: Sequence[str]) -> dict[str, Session]:
    found: dict[str, Session] = {}
    for line in lines:
        what, session_id, text = (*line.split(" ", 2), "", "")[:3]
        if what == "name" and session_id not in found:
            created, _, name = text.partition(" ")
            found[session_id] = Session(session_id, name, _number(created) or 0)
        elif what == "path" and session_id in found:
            found[session_id].path = text
        elif what in VARIABLES and session_id in found:
            found[session_id].variables[what] = text
    return found


def _panes(lines: Sequence[str]) -> dict[str, list[Pane]]:
    found: dict[str, list[Pane]] = {}
    for line in lines:
        fields = line.split(" ")
        if fields[0] != "pane" or len(fields) != len(_PANES):
            continue  # a session's, or what follows a line feed in somebody's variable
        _, session_id, pane, dead, status, killer, ended, hooked, pid = fields
        facts = Pane(pane, dead == "1", _number(status), _number(killer), _number(ended), hooked == "1", pid)
        found.setdefault(session_id, []).append(facts)
    return found


def _refused(said: subprocess.CompletedProcess[str]) -> Answer:
    return Answer(refusal=said.stderr.strip() or "it says nothing")


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def global_environment(socket: str, env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the server hands to every session, none when there is no server yet."""
    said = run([*server(socket), "show-environment", "-g"], env)
    pairs = [line.partition("=") for line in said.stdout.splitlines() if not line.startswith("-")]
    return {name: value for name, equals, value in pairs if equals and not said.returncode}


def spawn(
    socket: str,
    session: str,
    *,
    work_dir: str,
    variables: Mapping[str, str],
    command: Sequence[str],
    env: Mapping[str, str],
) -> dict[str, str]:
    """Start a session whose pane is `command` itself; return what pane.json holds of it.

    `variables` are all that it is given of ours. A server that starts now gets `env` without any session's
    context (design: "Rules of context", 8). Raises SessionExists or TmuxError; then nothing runs.
    """
    plain = without_identity(env)
    argv = tmux.new_session(socket, session, work_dir, variables, command)
    place = argv.index("new-session", len(server(socket))) + 1
    argv[place:place] = ["-P", "-F", " ".join(_SPAWNED)]
    size = sum(len(os.fsencode(argument)) + 1 for argument in argv)
    if size > ARGUMENT_LIMIT:
        raise TooLong(f"the command line is too long for tmux ({size} bytes): put it into a script")
    said = run(argv, plain)
    found = _described(session, said)
    if found is None:
        reason = said.stderr.strip() or "tmux says nothing"
        raise (SessionExists if "duplicate session" in reason else TmuxError)(reason)
    return found


def describe(socket: str, session: str, session_id: str, env: Mapping[str, str]) -> dict[str, str] | None:
    """Return what pane.json holds of a session that runs already: of its first pane. None if it is gone."""
    return _described(session, run(tmux.list_panes(socket, " ".join(_SPAWNED), session_id), env))


def _described(session: str, said: subprocess.CompletedProcess[str]) -> dict[str, str] | None:
    fields = said.stdout.partition("\n")[0].split(None, len(_SPAWNED) - 1)
    if said.returncode or len(fields) < len(_SPAWNED):
        return None
    names = ("server_pid", "session_id", "pane", "pane_pid", "socket")
    return pane_json({**dict(zip(names, map(str.strip, fields), strict=True)), "session": session})


def pane_json(found: Mapping[str, str]) -> dict[str, str]:
    """Return what pane.json holds of a pane, given what tmux says: its server, session, id and process."""
    return {
        "socket": found["socket"],
        "server_pid": found["server_pid"],
        "server_start": processes.start_time(int(found["server_pid"])),
        "session": found["session"],
        "session_id": found["session_id"],
        "pane": found["pane"],
        "pane_pid": found["pane_pid"],
        "pane_start": processes.start_time(int(found["pane_pid"])),
        "boot_id": processes.boot_id(),
        "pid_namespace": processes.pid_namespace(),
    }


def without_identity(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a tmux server: no session's context or identity for all later ones."""
    plain = environ.without_context(env)
    return {name: value for name, value in plain.items() if name not in (*roles.IDENTITY_VARIABLES, RECEIVER)}


def kill(pane: Mapping[str, str], env: Mapping[str, str]) -> None:
    """End the session of a pane.json: this one, by its id, not one of the same name. Raises TmuxError."""
    said = run(tmux.kill_session(pane["socket"], pane["session_id"]), env)
    if said.returncode:
        raise TmuxError(said.stderr.strip() or "tmux says nothing")
