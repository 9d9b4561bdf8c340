"""The ways around the shims that exist here: what runs the real programs past PATH, or by another.

Claude Code's hooks may name a program by its full path or put other folders first; what was started before
the shims were installed keeps the PATH that it has.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gastown_tracing.hooks import install as claude
from gastown_tracing.hooks import launcher, primes
from gastown_tracing.hooks.settings import Unusable
from gastown_tracing.journal.layout import list_directory, load_json, read_text
from gastown_tracing.sessions import processes
from gastown_tracing.shims import install, standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: How far below a town's root gt keeps settings of Claude's.
_DEPTH = 5
#: An assignment of PATH at a command's beginning or behind `;`, `&` or a blank.
_PATH = re.compile(r"""(?:^|[\s;&])PATH=(?:"([^"]*)"|'([^']*)'|([^\s;&]*))""")
_HOME = re.compile(r"\$\{HOME\}|\$HOME|^~(?=/)|(?<=:)~(?=/)")

#: The processes that matter: each hands its PATH on. A tmux server does not: a pane has its client's.
DAEMON, AGENT = "gt daemon", "agent"

#: What a way around means where nothing has to be done about it.
PRIMED, CHILDREN = "our own hook records its prime", "what it starts is seen"
#: What is to be done about the others.
INSTALL_HOOKS = "gt-trace hook claude install: records the prime that Claude's hook runs past the shims"
NO_FOLDER = "in those hooks, take the folder out of PATH; what they call with it is not seen"
BY_NAME = "in those hooks, call the program by its name alone: by its full path it is not seen"


@dataclass(frozen=True, slots=True)
class Way:
    """One way around: `where` it is, `what` goes around.

    `todo` is what to do about it; "" where that is nothing, and `note` says why.
    """

    where: str
    what: str
    note: str = ""
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Older:
    """A process that was started without the shims: it runs `unseen` as they are."""

    pid: int
    kind: str
    name: str
    unseen: tuple[str, ...]


def hooks(env: Mapping[str, str], town_root: str) -> list[Way]:
    """Return the ways around in the hooks of Claude's settings, the user's and the town's."""
    found: dict[Way, None] = {}
    ours = is_hooked(env)
    for file in settings_files(env, town_root):
        for event, command in _commands(load_json(read_text(file) or "")):
            primed = event == "SessionStart" and primes.is_past(command, env)
            for what, programs, todo in _around(command, env):
                way = Way(file, what, "", todo)
                if programs == {"gt"}:  # its children find bd by PATH
                    note = PRIMED if primed else CHILDREN
                    way = Way(file, what, "", INSTALL_HOOKS) if primed and not ours else Way(file, what, note)
                found[way] = None
    return list(found)


def is_hooked(env: Mapping[str, str]) -> bool:
    """Say whether our own hooks are in the user's settings of Claude Code, and whole."""
    try:
        return claude.look(claude.default_settings(env), launcher.place(env)).word == "installed"
    except (Unusable, OSError):
        return False


def settings_files(env: Mapping[str, str], town_root: str) -> list[str]:
    """Return the settings files of Claude Code that are there."""
    home = env.get("CLAUDE_CONFIG_DIR") or os.path.expanduser("~/.claude")
    files = [f"{home}/settings.json", f"{home}/settings.local.json"]
    if town_root:
        base = glob.escape(town_root)
        for depth in range(_DEPTH):
            files += sorted(glob.glob(base + "/*" * depth + "/.claude/settings*.json"))
    return [file for file in files if os.path.isfile(file)]


def _commands(settings: object) -> Iterator[tuple[str, str]]:
    """Yield each `command` of the hooks with its event, wherever it is: broken settings hold none."""
    hooks = settings.get("hooks") if isinstance(settings, dict) else None
    for event, groups in hooks.items() if isinstance(hooks, dict) else ():
        stack: list[object] = [groups]
        while stack:
            value = stack.pop()
            if isinstance(value, dict):
                command = value.get("command")
                if isinstance(command, str):
                    yield event, command
                stack += value.values()
            elif isinstance(value, list):
                stack += value


def _around(command: str, env: Mapping[str, str]) -> Iterator[tuple[str, set[str], str]]:
    """Yield what a command of a hook goes around, of which programs, and what can be done about that."""
    home = env.get("HOME", "")
    for match in _PATH.finditer(command):
        path = next(filter(None, match.groups()), "")
        before = [_HOME.sub(lambda _: home, place) for place in path.partition("$PATH")[0].split(":")]
        first = [file for place in before if place for file in _real_programs(place)]
        if first:
            programs = {os.path.basename(file) for file in first}
            yield f"its PATH has {', '.join(first)} before the shims", programs, NO_FOLDER
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    for word in words:
        base = os.path.basename(word)
        if word.startswith(("/", "~/", "$HOME/", "${HOME}/")) and base in install.PROGRAMS:
            file = _HOME.sub(lambda _: home, word)
            if install.facts(file) is None:
                yield f"{file} is called by its full path", {base}, BY_NAME


def _real_programs(place: str) -> list[str]:
    found = [file for program in install.PROGRAMS for file in standing.candidates(program, place)]
    return [file for file in found if install.facts(file) is None]


def older(programs: Sequence[str], town_root: str) -> list[Older]:
    """Return this user's processes of a town that were started where these programs' shims were not first.

    Those that hand their PATH on: the daemon and agents. Linux only.
    """
    found = []
    for name in list_directory("/proc"):
        pid = int(name) if name.isdigit() else 0
        if pid in (0, os.getpid()):
            continue
        words = (read_text(f"/proc/{pid}/cmdline") or "").rstrip("\0").split("\0")
        environ = processes.environment(pid)
        kind = _kind(pid, words, environ)
        if not kind or not _of_town(pid, words, environ, town_root):
            continue
        path = environ.get("PATH")
        unseen = [one for one in programs if standing.look(one, path, "").state != "seen"]
        if unseen:
            found.append(Older(pid, kind, environ.get("GT_ROLE", ""), tuple(unseen)))
    return sorted(found, key=lambda process: (process.kind, process.pid))


def _kind(pid: int, words: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return what a process is of DAEMON and AGENT, "" for none of them."""
    comm = (read_text(f"/proc/{pid}/comm") or "").strip()
    if os.path.basename(words[0]) == "gt" and words[1:3] == ["daemon", "run"]:
        return DAEMON
    agents = {*environ.get("GT_PROCESS_NAMES", "").split(","), environ.get("GT_AGENT", "")} - {""}
    return AGENT if environ.get("GT_ROLE") and {comm, os.path.basename(words[0])} & agents else ""


def _of_town(pid: int, words: Sequence[str], environ: Mapping[str, str], town_root: str) -> bool:
    """Say whether a process is the town's: by its environment, its directory, or a path that it was given."""
    try:
        directory = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        directory = ""
    places = [environ.get("GT_ROOT", ""), environ.get("GT_TOWN_ROOT", ""), directory, *words]
    return any(f"{place}/".startswith(f"{town_root}/") for place in places)


def lost(env: Mapping[str, str]) -> list[str]:
    """Return the variables here that a plain sh would lose: their names are no identifiers."""
    return sorted(name for name in env if not (name.isascii() and name.isidentifier()))


def profile_lines(directory: str, env: Mapping[str, str]) -> list[str]:
    """Return `FILE:LINE` of each line in the user's shell profiles that names this directory."""
    home = env.get("HOME", "")
    names = ".profile .bash_profile .bash_login .bashrc .zshenv .zprofile .zshrc .config/fish/config.fish"
    found = []
    for file in [f"{home}/{name}" for name in names.split()]:
        for number, line in enumerate((read_text(file) or "").split("\n"), 1):
            if directory in _HOME.sub(lambda _: home, line):
                found.append(f"{file}:{number}")
    return found
