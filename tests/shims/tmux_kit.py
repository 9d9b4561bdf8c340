"""What tests of the tmux shim share: a town whose gt reaches tmux through the shim, on servers of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import shims_kit

from gastown_tracing.journal import reader
from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.parse import ReadLog, ReadSpan
from gastown_tracing.sessions.liveness import Inspector
from gastown_tracing.sessions.reaping import reap
from tests.conftest import clean_environ
from tests.processes import wait_until

RUN = "3332b129af154f719ecd9b5c2fe437ee"
#: The run of another agent.
OTHER = "4bf92f3577b34da6a3ce929d0e0e4736"
UUID = "3332b129-af15-4f71-9ecd-9b5c2fe437ee"
#: The span that gt runs in, of a trace of its own: a sling's, say.
CAUSE = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
TRACEPARENT = {"TRACEPARENT": f"00-{CAUSE[0]}-{CAUSE[1]}-03"}

#: What Claude Code is for most tests: it stays, and shows what it is sent.
AGENT = "cat"


class Town:
    """A town below `base`, its journal, and its tmux server `label`; `env` is gt's environment."""

    def __init__(self, base: Path, name: str = "town", label: str = "town-1") -> None:
        self.root = shims_kit.town(base / name)
        self.label = label
        self.journal = Journal(str(base / f"{name} journal"))
        (base / "home").mkdir(exist_ok=True)
        plain = {**clean_environ(), "HOME": str(base / "home"), "TMUX_TMPDIR": str(base / "home")}
        self.plain = {**plain, "GT_ROOT": str(self.root), "GT_OTEL_JOURNAL": self.journal.root}
        first = shims_kit.shims(base / "shims", "tmux")
        self.env = {**self.plain, "PATH": f"{first}:{self.plain['PATH']}"}

    def tmux(
        self, *words: str, env: Mapping[str, str] | None = None, more: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run tmux as gt does, through the shim; `more` are variables that gt's own process has beside."""
        argv = ["tmux", "-u", "-L", self.label, *words]
        return subprocess.run(
            argv,
            env={**(self.env if env is None else env), **(more or {})},
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def asked(self, *words: str) -> str:
        """Return what the real tmux answers."""
        done = self.tmux(*words, env=self.plain)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def spawn(
        self,
        name: str = "de-rust",
        variables: Mapping[str, str] | None = None,
        *,
        agent: str = AGENT,
        more: Mapping[str, str] | None = None,
    ) -> None:
        """Start an agent as gt does: a session with a shell, then the agent in the shell's place."""
        given = identity(name, str(self.root)) if variables is None else variables
        done = self.tmux("new-session", "-d", "-s", name, "-c", str(self.root), *options(given), more=more)
        assert done.returncode == 0, done.stderr
        if agent:
            words = ["respawn-pane", "-k", "-t", name, "-c", str(self.root), f"exec env A=B {agent}"]
            assert self.tmux(*words, more=more).returncode == 0

    def data(self, run_id: str = RUN) -> reader.RunData:
        """Return what the journal holds of a run."""
        return reader.read_run(self.journal, run_id)

    def runs(self) -> dict[str, reader.RunData]:
        """Return what the journal holds of each run, by its session's name."""
        found = [self.data(run.trace_id) for run in reader.list_runs(self.journal)]
        return {str(data.run.info.get("session")): data for data in found}

    def spans(self, name: str, run_id: str = RUN) -> list[ReadSpan]:
        """Return a run's spans of this name, in the order of their start."""
        found = [span for span in self.data(run_id).spans if span.name == name]
        return sorted(found, key=lambda span: span.start_ns)

    def logs(self, event: str, run_id: str = RUN) -> list[ReadLog]:
        """Return a run's log records of this event, in their order."""
        return sorted([log for log in self.data(run_id).logs if log.event_name == event], key=_time)

    def variables(self, name: str) -> dict[str, str]:
        """Return the environment that tmux gives a session's panes."""
        found: dict[str, str] = {}
        for scope in (("-g",), ("-t", f"={name}")):
            for line in self.asked("show-environment", *scope).splitlines():
                variable, equals, value = line.partition("=")
                if equals:
                    found[variable] = value
                else:
                    found.pop(line.removeprefix("-"), None)
        return found

    def pane(self, run_id: str = RUN) -> dict[str, str]:
        """Return a run's pane.json."""
        found: dict[str, str] = json.loads(Path(self.journal.run_dir(run_id), "pane.json").read_text())
        return found

    def over(self, *runs: str) -> None:
        """Wait until runs that were ended are closed, by the shim or the relay: an agent takes its time."""

        def closed() -> bool:
            reap(self.journal, self.plain, Inspector(self.plain))
            return all(self.data(run).run.closed for run in runs)

        wait_until(closed, "the runs are closed")

    def end(self) -> None:
        """End the town's tmux server."""
        self.tmux("kill-server", env=self.plain)


def _time(log: ReadLog) -> int:
    return log.time_ns


def identity(name: str, root: str, run: str = UUID) -> dict[str, str]:
    """Return the variables that gt gives a polecat's session; without `run` none of its run."""
    found = {
        "BD_ACTOR": f"demo/polecats/{name}",
        "GT_AGENT": "claude",
        "GT_POLECAT": name,
        "GT_RIG": "demo",
        "GT_ROLE": f"demo/polecats/{name}",
        "GT_ROOT": root,
        "GT_SESSION": name,
    }
    return {**found, "GT_RUN": run} if run else found


def options(variables: Mapping[str, str]) -> list[str]:
    """Return variables as options of new-session."""
    return [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
