"""Sessions of Claude Code itself in a town of a test's own: its bd a stand-in, everything around it real."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from gastown_tracing.journal import reader
from gastown_tracing.journal.layout import create
from gastown_tracing.journal.parse import ReadSpan
from propagation.run import root_span_id, to_uuid
from tests.peers import claude
from tests.processes import wait_until

#: A bd that takes a while, as bd does.
BD = "#!/bin/sh\nsleep 0.05\necho '[]'\n"
#: A gt whose prime says what gt's says: something for the agent to read.
GT = "#!/bin/sh\necho 'You are a polecat.'\n"
GT_TRACE = [sys.executable, "-m", "gastown_tracing.cli"]
#: Seconds for what Claude Code needs for an answer, on a machine that is busy.
DEADLINE = 60.0


class Town:
    """A town in which agents are started: `env` is the operator's, `work` the directory that they work in."""

    def __init__(self, directory: Path, env: dict[str, str], model: claude.Model, socket: str) -> None:
        self.directory, self.model, self.socket = directory, model, socket
        self.home, self.work = directory / "home", directory / "town" / "demo"
        (directory / "town" / "mayor").mkdir(parents=True)
        (directory / "town" / "mayor" / "town.json").write_text("{}")
        self.work.mkdir()
        claude.at_home(self.home, self.work)
        self.gt = self._program("go/gt", GT)
        bd = self._program("bin/bd", BD)
        self.journal = create(str(directory / "journal"))
        self.env = claude.environment(env, self.home, model)
        self.env |= {"GT_OTEL_JOURNAL": self.journal.root, "PATH": f"{bd.parent}:{env['PATH']}"}
        self.run("shims", "install", "--dir", str(directory / "shims"), "bd", "tmux")
        self.see("bd")

    def _program(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def see(self, program: str) -> None:
        """Put a program's shim first on PATH."""
        self.env["PATH"] = f"{self.directory}/shims/{program}:{self.env['PATH']}"

    def run(self, *words: str) -> str:
        """Run `gt-trace WORDS`, which must succeed; return what it prints."""
        done = subprocess.run([*GT_TRACE, *words], env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def settings(self) -> str:
        """Write settings as gt does for its agents; return their path."""
        path = self.directory / "settings.json"
        hook = {"type": "command", "command": f"{self.gt} prime --hook"}
        path.write_text(json.dumps({"hooks": {"SessionStart": [{"matcher": "", "hooks": [hook]}]}}))
        return str(path)

    def start(self, name: str, *words: str, asking: bool = False) -> Agent:
        """Start Claude Code with these words by `gt-trace session start`; `asking` before it runs a tool."""
        free = () if asking else ("--dangerously-skip-permissions",)
        said = self.run(
            *("session", "start", "--role", "polecat", "--name", name, "--rig", "demo", "--json"),
            *("--work-dir", str(self.work), "--socket", self.socket, "--", "claude"),
            *(*free, *words),
        )
        found = json.loads(said)
        return Agent(self, found["run_id"], found["session"])

    def spawn(self, name: str, run_id: str, *words: str) -> Agent:
        """Start Claude Code as gt does: a session, and then the agent in its pane."""
        session = f"de-{name}"
        actor = f"demo/polecats/{name}"
        who = {"GT_RUN": to_uuid(run_id), "GT_ROLE": actor, "GT_RIG": "demo", "GT_POLECAT": name,
               "GT_SESSION": session, "GT_AGENT": "claude", "GT_ROOT": str(self.work.parent),
               "BD_ACTOR": actor}  # fmt: skip
        given = [word for key, value in who.items() for word in ("-e", f"{key}={value}")]
        self.tmux("new-session", "-d", "-s", session, "-c", str(self.work), *given)
        line = shlex.join(["claude", "--dangerously-skip-permissions", *words])
        self.tmux("respawn-pane", "-k", "-t", session, "-c", str(self.work), f"exec env {line}")
        return Agent(self, run_id, session)

    def tmux(self, *words: str) -> str:
        """Run tmux on the town's server, from the town; return what it prints."""
        command = ["tmux", "-S", self.socket, *words]
        done = subprocess.run(
            command, env=self.env, cwd=self.work, capture_output=True, text=True, check=True
        )
        return done.stdout


class Agent:
    """One session of Claude Code in a pane."""

    def __init__(self, town: Town, run_id: str, session: str) -> None:
        self.town, self.run_id, self.session = town, run_id, session

    def screen(self) -> str:
        """Return what its pane shows."""
        return self.town.tmux("capture-pane", "-p", "-t", self.session)

    def type(self, words: str) -> None:
        """Type a line at its prompt."""
        self.town.tmux("send-keys", "-t", self.session, "-l", words)
        wait_until(lambda: words in self.screen(), f"{words!r} stands at the prompt", DEADLINE)
        self.town.tmux("send-keys", "-t", self.session, "Enter")

    def data(self) -> reader.RunData:
        """Return what the journal holds of its run."""
        return reader.read_run(self.town.journal, self.run_id)

    def states(self) -> list[object]:
        """Return the states that it has had, in their order."""
        found = [log for log in self.data().logs if log.event_name == "agent.state_change"]
        return [log.attributes["new_state"] for log in sorted(found, key=lambda log: log.time_ns)]

    def sessions(self) -> list[dict[str, str]]:
        """Return the lines of its run's agents.jsonl."""
        path = Path(self.town.journal.run_dir(self.run_id), "agents.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def call(self, subcommand: str) -> ReadSpan:
        """Return the one call of `bd SUBCOMMAND`, once it is there and all above it up to the root."""
        wait_until(lambda: self._whole(subcommand), f"bd {subcommand} and what it hangs on", DEADLINE)
        (found,) = self._calls(subcommand)
        return found

    def above(self, span: ReadSpan) -> list[str]:
        """Return the names of the spans above a span, the root last."""
        spans = {found.span_id: found for found in self.data().spans}
        names = []
        while span.parent_id in spans:
            span = spans[span.parent_id]
            names.append(span.name)
        if span.parent_id == self.root:
            names.append("gt.session")
        return names

    @property
    def root(self) -> str:
        """Return the id of its root span."""
        return root_span_id(self.run_id)

    def _calls(self, subcommand: str) -> list[ReadSpan]:
        calls = [span for span in self.data().spans if span.name == "bd.call"]
        return [span for span in calls if span.attributes["subcommand"] == subcommand]

    def _whole(self, subcommand: str) -> bool:
        return any(self.above(span)[-1:] == ["gt.session"] for span in self._calls(subcommand))


@contextlib.contextmanager
def a_town(directory: Path, env: dict[str, str], socket: str) -> Iterator[Town]:
    """Run a town's model and relay until the block ends."""
    with claude.a_model() as model:
        town = Town(directory, {**env, "GT_OTEL_RELAY": "true"}, model, socket)
        try:
            town.run("relay", "start")
            yield town
        finally:
            subprocess.run(["tmux", "-S", socket, "kill-server"], capture_output=True, check=False)
            town.run("relay", "stop")
