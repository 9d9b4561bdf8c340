"""What we ask of tmux, and how a session is spawned there."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gastown_tracing.config import RECEIVER
from gastown_tracing.sessions import processes, roles
from propagation import environ, tmux

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Seconds that a tmux server has for an answer; a stopped one never gives any.
ANSWER_SECONDS = 5

#: tmux refuses a command line of about 16,300 bytes; we stop well before.
ARGUMENT_LIMIT = 15_000

#: The answer to new-session, in this order (tmux's FORMATS).
_SPAWNED = ("#{pid}", "#{session_id}", "#{pane_id}", "#{pane_pid}", "#{socket_path}")

#: What tmux says on stderr when no server listens at a socket.
_NO_SERVER = ("no server running", "No such file or directory", "Connection refused")


class TmuxError(Exception):
    """tmux could not do what it was asked; the text is one line for the user."""


class SessionExists(TmuxError):  # noqa: N818  # it says what is the case, as FileExistsError does
    """There is a session of this name."""


class TooLong(TmuxError):  # noqa: N818  # the same
    """The command line has more bytes than tmux takes."""


@dataclass(frozen=True)
class Answer:
    """What a tmux server said: its process id, its sessions' ids by name; or why it said nothing."""

    server_pid: str = ""
    sessions: Mapping[str, str] | None = None
    refusal: str = ""

    @property
    def absent(self) -> bool:
        """Return whether it is certain that no server listens there."""
        return any(text in self.refusal for text in _NO_SERVER)


def server(socket: str) -> list[str]:
    """Return tmux and the option that names a server: a path, a name for -L, or "" for the default one."""
    return ["tmux"] if not socket else ["tmux", "-S" if "/" in socket else "-L", socket]


def run(command: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a tmux command that answers at once. Never raises: failure is an exit code and stderr."""
    try:
        return subprocess.run(
            command,
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
    """Ask the tmux server at a socket for its process id and its sessions. Starts none, never raises."""
    question = [*server(socket), "display-message", "-p", "#{pid}", ";"]
    said = run([*question, "list-sessions", "-F", "#{session_id} #{session_name}"], env)
    lines = said.stdout.splitlines()
    if said.returncode or not lines:
        return Answer(refusal=said.stderr.strip() or "it says nothing")
    pairs = [line.partition(" ") for line in lines[1:]]
    return Answer(lines[0], {name: session_id for session_id, _, name in pairs})


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
    fields = said.stdout.split(None, len(_SPAWNED) - 1)
    if said.returncode or len(fields) < len(_SPAWNED):
        reason = said.stderr.strip() or "tmux says nothing"
        raise (SessionExists if "duplicate session" in reason else TmuxError)(reason)
    server_pid, session_id, pane, pane_pid, path = (text.strip() for text in fields)
    return {
        "socket": path,
        "server_pid": server_pid,
        "server_start": processes.start_time(int(server_pid)),
        "session": session,
        "session_id": session_id,
        "pane": pane,
        "pane_pid": pane_pid,
        "pane_start": processes.start_time(int(pane_pid)),
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
