"""What we ask of tmux, and how a session is spawned there."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from gastown_tracing.config import RECEIVER
from gastown_tracing.sessions import answers, processes, roles
from gastown_tracing.shims.real import real
from propagation import environ, tmux

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Seconds that a tmux server has for an answer; a stopped one never gives any.
ANSWER_SECONDS = 5

#: The answer to new-session, in this order (tmux's FORMATS).
_SPAWNED = ("#{pid}", "#{session_id}", "#{pane_id}", "#{pane_pid}", "#{socket_path}")


class TmuxError(Exception):
    """tmux could not do what it was asked; the text is one line for the user."""


class SessionExists(TmuxError):  # noqa: N818  # it says what is the case, as FileExistsError does
    """There is a session of this name."""


class TooLong(TmuxError):  # noqa: N818  # the same
    """The command line has more bytes than tmux takes."""


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


def ask(socket: str, env: Mapping[str, str]) -> answers.Answer:
    """Ask the tmux server at a socket for its process id and its sessions. Starts none, never raises."""

    def asked(words: list[str]) -> tuple[int, str, str]:
        said = run([*server(socket), *words], env)
        return said.returncode, said.stdout, said.stderr

    return answers.ask(asked)


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
    if size > answers.ARGUMENT_LIMIT:
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
    return processes.describe_pane(
        {**dict(zip(names, map(str.strip, fields), strict=True)), "session": session}
    )


def without_identity(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a tmux server: no session's context or identity for all later ones."""
    plain = environ.without_context(env)
    return {name: value for name, value in plain.items() if name not in (*roles.IDENTITY_VARIABLES, RECEIVER)}


def kill(pane: Mapping[str, str], env: Mapping[str, str]) -> None:
    """End the session of a pane.json: this one, by its id, not one of the same name. Raises TmuxError."""
    said = run(tmux.kill_session(pane["socket"], pane["session_id"]), env)
    if said.returncode:
        raise TmuxError(said.stderr.strip() or "tmux says nothing")
