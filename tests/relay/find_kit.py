"""What tests of finding have in common: a town, sessions that no shim saw, and a relay that looks at once."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from gastown_tracing.journal import reader
from gastown_tracing.journal.layout import Journal, create, default_root
from gastown_tracing.relay.finding import Finder
from gastown_tracing.sessions.liveness import Inspector
from gastown_tracing.sessions.reaping import reap
from tests.conftest import clean_environ

RUN = "4bf92f3577b34da6a3ce929d0e0e4736"
UUID = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"
CREW = {
    "GT_ROLE": "demo/crew/max",
    "GT_RIG": "demo",
    "GT_CREW": "max",
    "BD_ACTOR": "demo/crew/max",
    "GT_AGENT": "claude",
}


class Town:
    """A town whose agents run on a tmux server, as gt starts them: nobody tells its journal."""

    def __init__(self, root: Path, home: Path, label: str = "town") -> None:
        (root / "mayor").mkdir(parents=True)
        (root / "mayor" / "town.json").write_text("{}\n")
        self.root, self.label = str(root), label
        self.env = {**clean_environ(), "HOME": str(home), "TMUX_TMPDIR": str(home)}
        self.log: list[str] = []
        self.use(create(default_root(self.env, self.root)))

    def use(self, journal: Journal, started_ns: int = 0) -> None:
        """Let the relay be that of this journal, and leave so long to whoever starts a session."""
        self.journal = journal
        self.finder = Finder(journal, self.log.append, started_ns=started_ns)

    def tmux(self, *words: str) -> str:
        """Run the real tmux on the town's server; return what it prints."""
        argv = ["tmux", "-L", self.label, *words]
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, check=True)
        return done.stdout.rstrip("\n")

    def spawn(
        self,
        name: str,
        variables: Mapping[str, str],
        *command: str,
        at: str = "",
        root: str | None = None,
    ) -> None:
        """Start a session as gt does: a shell, then the agent in its place."""
        pairs = {"GT_ROOT": self.root if root is None else root, **variables}
        given = [word for pair in pairs.items() for word in ("-e", "=".join(pair))]
        self.tmux("new-session", "-d", "-s", name, "-c", at or self.root, *given)
        agent = command or ("sleep", "1000")
        self.tmux("respawn-pane", "-k", "-t", f"={name}:", *agent)

    def panes(self, name: str) -> list[str]:
        """Return the ids of a session's panes."""
        return self.tmux("list-panes", "-s", "-t", f"={name}", "-F", "#{pane_id}").split()

    def look(self, finder: Finder | None = None) -> int:
        """Let the relay, or another one, look at the sessions; return how many it found."""
        env = {name: self.env[name] for name in ("PATH", "HOME", "TMUX_TMPDIR")}
        inspector = Inspector(env)
        return (finder or self.finder).look(inspector, reap(self.journal, env, inspector), env)

    def runs(self) -> dict[str, reader.RunData]:
        """Return what the journal holds of each run, by its session's name."""
        return {str(data.run.info.get("session")): data for data in self.runs_by_id().values()}

    def runs_by_id(self) -> dict[str, reader.RunData]:
        """Return what the journal holds of each run, by its id."""
        ids = [run.trace_id for run in reader.list_runs(self.journal)]
        return {run_id: reader.read_run(self.journal, run_id) for run_id in ids}


def events(data: reader.RunData) -> list[str]:
    """Return the names of a run's log records."""
    return [log.event_name for log in data.logs]


@pytest.fixture
def towns(tmp_path: Path) -> Iterator[Callable[..., Town]]:
    """Return a function that makes a town, on a tmux server that is ended afterwards."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    (tmp_path / "home").mkdir()
    made: list[Town] = []

    def make(name: str = "town", label: str = "town") -> Town:
        made.append(Town(tmp_path / name, tmp_path / "home", label))
        return made[-1]

    yield make
    for one in made:
        end = ["tmux", "-L", one.label, "kill-server"]
        subprocess.run(end, env=one.env, capture_output=True, check=False)
