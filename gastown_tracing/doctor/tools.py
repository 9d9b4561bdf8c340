"""The programs beside us: tmux, bd, gt, Claude Code, and what a tmux server hands to its sessions."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from functools import partial
from typing import TYPE_CHECKING

from gastown_tracing.doctor.check import ok, problem, skipped, warning
from gastown_tracing.doctor.shims import shims
from gastown_tracing.journal.layout import list_directory, load_json, read_text
from gastown_tracing.sessions import answers, sockets, terminal
from gastown_tracing.shims import install, standing
from propagation import environ

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.doctor.check import Check, Checks, Part
    from gastown_tracing.journal.layout import Journal

#: Seconds that a program has to say its version.
_SECONDS = 3.0
#: How many tmux servers are asked.
_SERVERS = 8

#: How each says its version.
_VERSIONS = {
    "tmux": ("tmux", "-V"),
    "bd": ("bd", "version"),
    "gt": ("gt", "version"),
    "claude": ("claude", "--version"),
}
#: What is lost without them.
_WITHOUT = {
    "tmux": ("problem", "no sessions: `gt-trace session start` needs it, `--here` does not", "install tmux"),
    "bd": ("skipped", "not on PATH: nothing of bd to record", ""),
    "gt": ("skipped", "not on PATH: nothing of gt to record", ""),
    "claude": ("skipped", "not on PATH", ""),
}


def tools(journal: Journal, env: Mapping[str, str]) -> list[tuple[str, Part]]:
    """Return the parts, each with its group: they start programs, so they run side by side."""
    return [
        *(("programs", partial(_program, name, env)) for name in _VERSIONS),
        ("tmux", partial(_servers, journal, env)),
        ("shims", partial(shims, env)),
    ]


def _program(name: str, env: Mapping[str, str]) -> Checks:
    places = on_path(name, env)
    if not places:
        state, said, advice = _WITHOUT[name]
        yield problem(name, f"not on PATH: {said}", advice) if state == "problem" else skipped(name, said)
        return
    yield _version(name, places[0], env)
    others = [place for place in places[1:] if os.path.realpath(place) != os.path.realpath(places[0])]
    if others:
        said = f"{places[0]} hides {', '.join(others)}"
        yield warning(f"{name} twice", said, "remove one: which one runs depends on who calls it")


def on_path(name: str, env: Mapping[str, str]) -> list[str]:
    """Return all executables of this name on PATH, in its order, but for our shims."""
    return [file for file in standing.candidates(name, env.get("PATH")) if install.facts(file) is None]


def _version(name: str, path: str, env: Mapping[str, str]) -> Check:
    try:
        code, said = _answer([path, *_VERSIONS[name][1:]], _quiet(env))
    except subprocess.TimeoutExpired:
        return warning(name, f"{path} does not say its version within {_SECONDS:g} s", "run it by hand")
    except OSError as error:
        return problem(name, f"{path}: {error.strerror}", "install it again")
    first = said.strip().partition("\n")[0]
    if code:
        return warning(name, f"{path}: exit code {code}: {first}", "run it by hand")
    return ok(name, f"{first} · {path}")


def _answer(command: list[str], env: Mapping[str, str]) -> tuple[int, str]:
    """Return the exit code and output of a program that has a few seconds. Raises OSError, TimeoutExpired."""
    process = subprocess.Popen(
        command,
        env=env,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    with process:
        try:
            said, complaint = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)  # with what it has started
            raise
    return process.returncode, said.strip() or complaint


def _quiet(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which nobody exports or records anything."""
    exporters = ("OTEL_", "GT_OTEL_", "BD_OTEL_", "CLAUDE_CODE_ENABLE_TELEMETRY")
    plain = environ.without_context(env)
    return {name: value for name, value in plain.items() if not name.startswith(exporters)}


def _servers(journal: Journal, env: Mapping[str, str]) -> Checks:
    """Yield whether each tmux server answers, and what its global environment hands to every session."""
    if not on_path("tmux", env):
        yield skipped("server", "no tmux")
        return
    places = _sockets(journal, env)
    for name, socket in places.items():
        said = terminal.run([*terminal.server(socket), "show-environment", "-g"], env)
        if said.returncode:
            if not socket and len(places) > 1 and answers.Answer(refusal=said.stderr.strip()).absent:
                continue  # the journal's sessions live elsewhere
            yield _silent(name, said.stderr.strip())
            continue
        variables = dict(line.partition("=")[::2] for line in said.stdout.splitlines() if "=" in line)
        leaks = sorted(variables.keys() - terminal.without_identity(variables).keys())
        if leaks:
            command = " ".join(terminal.server(socket))
            advice = f"`{command} set-environment -gu NAME` for each; it was started inside a session"
            yield warning(name, f"every session of it inherits {', '.join(leaks)}", advice)
        else:
            yield ok(name, "answers; its environment hands no session's context to others")


def _silent(name: str, reason: str) -> Check:
    if answers.Answer(refusal=reason).absent:
        return ok(name, "no server runs there")
    return warning(
        name, f"cannot be asked: {reason}", "whether its sessions live is not known until it answers"
    )


def _sockets(journal: Journal, env: Mapping[str, str]) -> dict[str, str]:
    """Return the servers to ask, by what they are called here: the default one, and those the journal knows.

    Those are the servers of open runs, and of sessions that were registered, where the socket is there.
    """
    found = {"default server": ""}
    default = terminal.socket_path("", env)
    for known in sorted(sockets.Places(journal).look()[0]):
        if known != default and len(found) < _SERVERS and os.path.exists(known):
            found[f"server {known}"] = known
    for run in list_directory(f"{journal.root}/runs"):
        place = f"{journal.root}/runs/{run}"
        pane = load_json(read_text(f"{place}/pane.json") or "")
        socket = (
            pane.get("socket") if isinstance(pane, dict) and not os.path.exists(f"{place}/close.json") else ""
        )
        if isinstance(socket, str) and socket.startswith("/") and socket != default and len(found) < _SERVERS:
            found[f"server {socket}"] = socket
    return found
