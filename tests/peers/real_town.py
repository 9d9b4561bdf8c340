"""A real Gas Town in a directory of its own: gt, bd, dolt, git and tmux as they are, the agent a stand-in."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing.journal.layout import Journal
from gastown_tracing.shims import install
from tests.conftest import clean_environ
from tests.processes import CHILDREN, wait_until

#: What a town is made of; `claude` is ours.
PROGRAMS = ("gt", "bd", "dolt", "git", "tmux")

#: Seconds that one command of a town may take.
DEADLINE = 180.0

RIG = "demo"

needs_town = pytest.mark.skipif(
    any(shutil.which(program) is None for program in PROGRAMS),
    reason=f"not all of {', '.join(PROGRAMS)} are on PATH (a Gas Town: gt 1.0.1 with bd 1.0.2)",
)


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return what it said as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Call:
    """One process of a program: what it was handed, whose it was, and its arguments, with blanks between."""

    program: str
    traceparent: str
    actor: str
    arguments: str


@dataclass
class RealTown:
    """A town under `base`; `first` are folders that come first on everybody's PATH.

    Every process of a program in `counted` leaves a line in `calls`, whoever starts it by its name. `claude`
    is Claude Code itself, for the polecats; the others' agents are stand-ins. `settings` are variables more.
    """

    base: Path
    first: list[str] = field(default_factory=list)
    counted: tuple[str, ...] = ()
    claude: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root, self.home, self.agents = self.base / "town", self.base / "home", self.base / "agents"
        self.bin = self.base / "bin"
        self.places = {program: str(shutil.which(program)) for program in PROGRAMS}
        self._turns = 0

    @property
    def env(self) -> dict[str, str]:
        """Return the operator's environment: a home, a tmux and a database of this town's own."""
        # No virtual environment: what a town runs must not need one.
        kept = {name: value for name, value in clean_environ().items() if not name.startswith("VIRTUAL_ENV")}
        return {
            **kept,
            "PATH": ":".join([*self.first, str(self.bin), "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(self.home),
            "TMUX_TMPDIR": str(self.base / "tmux"),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "GT_DOLT_PORT": str(self.port),
            "IS_SANDBOX": "1",  # Claude Code's word for: root may skip permissions here
            "DISABLE_AUTOUPDATER": "1",  # nor may it replace itself on this machine
            **self.settings,
        }

    def run(self, *words: str, at: str = "", **variables: str) -> Done:
        """Run a command of the operator's in a directory of the town."""
        done = subprocess.run(
            words,
            cwd=self.root / at,
            env={**self.env, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def aside(self, *words: str, at: str = "") -> Done:
        """Run a command that is no part of what happens: nobody records or counts it."""
        path = self.env["PATH"].rpartition(f"{self.bin}:")[2]
        return self.ok(self.places[words[0]], *words[1:], at=at, PATH=f"{self.bin}/aside:{path}")

    def ok(self, *words: str, at: str = "", **variables: str) -> Done:
        """Run a command of the operator's, which has to succeed."""
        done = self.run(*words, at=at, **variables)
        assert done.code == 0, (words, done)
        return done

    def build(self) -> None:
        """Make the town, with one rig."""
        for name in ("home", "tmux", "bin", "agents"):
            (self.base / name).mkdir(parents=True)
        self.port = _free_port()
        self._write_agent()
        for program, place in self.places.items():
            (self.bin / "aside").mkdir(exist_ok=True)
            (self.bin / "aside" / program).symlink_to(place)
            if program in self.counted:
                self._write_counted(program, place)
            else:
                (self.bin / program).symlink_to(place)
        for name, value in (
            ("user.name", "Op"),
            ("user.email", "op@example.org"),
            ("init.defaultBranch", "main"),
        ):
            self._git("config", "--global", name, value)
        origin = self.base / "proj.git"
        self._git("init", "-q", "--bare", str(origin))
        self._git("clone", "-q", str(origin), "seed")
        # What gt puts into a working directory is no part of the project.
        (self.base / "seed" / ".gitignore").write_text(
            ".beads/\n.claude/\n.runtime/\n.logs/\n__pycache__/\nstate.json\nCLAUDE.md\nCLAUDE.local.md\n"
        )
        self._git("-C", "seed", "add", ".gitignore")
        self._git("-C", "seed", "commit", "-q", "-m", "first")
        self._git("-C", "seed", "push", "-q", "origin", "HEAD:main")
        self.root.mkdir()
        self.ok("gt", "install", str(self.root))
        self.ok("gt", "git-init")
        self.ok("gt", "rig", "add", RIG, f"file://{origin}")

    def _git(self, *words: str) -> None:
        subprocess.run(
            ["git", *words], cwd=self.base, env=self.env, check=True, capture_output=True, timeout=60
        )

    def _write_agent(self) -> None:
        """Write `claude`: tmux shows it by that name, and gt takes it for the agent that it waits for."""
        interpreter = self.base / "agents" / "claude"
        interpreter.symlink_to(os.path.realpath(sys.executable))
        words = [str(interpreter), "-I", "-S", str(CHILDREN / "agent.py"), str(self.agents), "claude"]
        script = self.base / "bin" / "claude"
        real = f'case $GT_ROLE in */polecats/*) exec {shlex.quote(self.claude)} "$@" ;; esac\n'
        script.write_text(f'#!/bin/sh\n{real if self.claude else ""}exec {shlex.join(words)} "$@"\n')
        script.chmod(0o755)

    def _write_counted(self, program: str, place: str) -> None:
        calls, file = shlex.quote(str(self.base / "calls")), self.bin / program
        line = f'"{program}|${{TRACEPARENT-}}|${{BD_ACTOR-}}|$*"'
        file.write_text(f"#!/bin/sh\nprintf '%s\\0' {line} >>{calls}\nexec {shlex.quote(place)} \"$@\"\n")
        file.chmod(0o755)

    def calls(self) -> list[Call]:
        """Return every process of the counted programs until now, but those run `aside`."""
        path = self.base / "calls"
        lines = path.read_text(errors="replace").split("\0")[:-1] if path.exists() else []
        return [Call(*line.split("|", 3)) for line in lines]

    def started(self, actor: str) -> dict[str, Any]:
        """Wait until an actor's agent shows its prompt; return how the last one was started."""
        starts = self.agents / actor.strip("/").replace("/", "-") / "starts"
        wait_until(starts.exists, f"the agent of {actor} starts", DEADLINE)
        return dict(json.loads(starts.read_text().splitlines()[-1]))

    def prompts(self, actor: str) -> list[str]:
        """Return what has been typed into an actor's agent."""
        path = self.agents / actor.strip("/").replace("/", "-") / "prompts"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def agent(self, actor: str, command: str) -> Done:
        """Let an actor's agent run a command with its Bash tool."""
        home = self.agents / actor.strip("/").replace("/", "-")
        self._turns += 1
        name = f"{self._turns:04}"
        new = home / f"{name}.sh"
        new.write_text(command)
        new.rename(home / "todo" / name)
        done = home / "done" / name
        wait_until(done.exists, f"{actor} has run {command}", DEADLINE)
        said = json.loads(done.read_text())
        return Done(said["code"], said["out"], said["err"])

    def tmux(self, *words: str) -> str:
        """Return what the town's tmux server answers."""
        (server,) = (self.base / "tmux").glob("tmux-*/*")
        return self.ok(self.places["tmux"], "-S", str(server), *words).out

    def end(self) -> None:
        """End the town, and every process that has its home, each by its id."""
        for server in (self.base / "tmux").glob("tmux-*/*"):
            subprocess.run(
                [self.places["tmux"], "-S", str(server), "kill-server"], capture_output=True, check=False
            )
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.processes():
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
            with contextlib.suppress(AssertionError):
                wait_until(lambda: not self.processes(), f"the processes of {self.base} end", 5)

    def processes(self) -> list[int]:
        """Return the processes that have this town's home."""
        mark = f"\0HOME={self.home}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if mark in b"\0" + (entry / "environ").read_bytes() + b"\0":
                        found.append(int(entry.name))
        return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def real_town(
    base: Path,
    first: list[str] | None = None,
    counted: tuple[str, ...] = (),
    claude: str = "",
    **settings: str,
) -> Iterator[RealTown]:
    """Build a town under `base`, and end it with the block."""
    town = RealTown(base, list(first or ()), counted, claude, settings)
    try:
        town.build()
        yield town
    finally:
        town.end()


def install_shims(town: RealTown) -> Journal:
    """Install shims as an operator does, and put them first on PATH; return the town's journal."""
    town.ok(sys.executable, "-m", "gastown_tracing.cli", "shims", "install")
    shims = town.home / ".local" / "share" / "gastown-tracing" / "shims"
    town.first = [str(shims / program) for program in install.PROGRAMS]
    (journal,) = (town.home / ".local" / "state" / "gastown-tracing").iterdir()
    return Journal(str(journal))
