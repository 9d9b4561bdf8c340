"""The work of a run with the commands that an unmodified gt runs: what is hooked, primed and recorded.

gt and bd are stand-ins here; nobody sets GT_WORK_*, as gt 1.0.1 does not.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import shims_kit

from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.reader import RunData, list_runs, read_run
from tests.conftest import clean_environ
from tests.processes import wait_until

RUN = "3f2504e04f8941d39a0c0305e82c3301"
ACTOR = "demo/polecats/rust"
AGENT = {
    "GT_RUN": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "GT_ROLE": ACTOR,
    "BD_ACTOR": ACTOR,
    "GT_RIG": "demo",
    "GT_POLECAT": "rust",
    "GT_SESSION": "gt-demo-rust",
}
#: bd notes what it is asked, waits where it is told to, and lists what is in a file.
BD = """\
echo "$*" >>"$TOWN/asked"
case "$1" in list) cat "$TOWN/hooked" ;; ready) while [ ! -e "$TOWN/$2" ]; do sleep 0.02; done ;; esac"""


class Town:
    """A town with stand-ins for gt and bd behind shims; `answer` is what bd lists."""

    def __init__(self, base: Path) -> None:
        self.root = shims_kit.town(base / "my 'town'")
        (self.root / ".beads").mkdir()
        routes = (
            {"prefix": "hq-", "path": "."},
            {"prefix": "de-", "path": "demo"},
            {"prefix": "ot-", "path": "other/x"},
        )
        lines = ["# prefixes", *map(json.dumps, routes), '{"prefix": 7}']
        (self.root / ".beads" / "routes.jsonl").write_text("\n".join(lines) + "\n")
        self.journal = Journal(str(base / "journal"))
        self.real = base / "real"
        self.gt("exit 0")
        shims_kit.script(self.real / "bd", BD)
        self.answer([])
        self.shims = shims_kit.shims(base / "shims", "bd", "gt")
        plain = {**clean_environ(), "GT_OTEL_JOURNAL": self.journal.root, "GT_ROOT": str(self.root)}
        self.env = {**plain, "TOWN": str(self.root), "PATH": f"{self.shims}:{self.real}:{plain['PATH']}"}

    def gt(self, script: str) -> None:
        """Let gt do this."""
        shims_kit.script(self.real / "gt", script)

    def answer(self, beads: object) -> None:
        """Let bd list these."""
        (self.root / "hooked").write_text(json.dumps(beads))

    def asked(self) -> list[str]:
        """Return what bd was asked, and forget it."""
        file = self.root / "asked"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def run(self, *words: str, **env: str) -> None:
        """Run a command of the mayor's, in no run."""
        done = subprocess.run(words, env={**self.env, **env}, cwd=self.root, timeout=60, check=False)
        assert done.returncode == 0

    def agent(self, *words: str) -> None:
        """Run a command of the agent's."""
        self.run(*words, **AGENT)

    @contextmanager
    def spanning(self, name: str) -> Iterator[None]:
        """Let a command of the agent's begin before, and end after."""
        waiting = subprocess.Popen(["bd", "ready", name], env={**self.env, **AGENT}, cwd=self.root)
        asked = self.root / "asked"
        wait_until(lambda: asked.exists() and f"ready {name}\n" in asked.read_text(), "it has begun")
        try:
            yield
        finally:
            (self.root / name).touch()
            assert waiting.wait(30) == 0

    def sling(self, bead: str, mol: str = "", actor: str = ACTOR) -> None:
        """Put a bead on an agent's hook, with gt's own commands of a sling."""
        if mol:
            self.run("bd", "mol", "bond", mol, bead, "--json")
        self.run("bd", "update", bead, "--status=hooked", f"--assignee={actor}")

    def data(self, run_id: str = RUN) -> RunData:
        """Return what is recorded of a run."""
        return read_run(self.journal, run_id)

    def works(self, event: str) -> list[tuple[str, str, str]]:
        """Return (rig, bead, molecule) of an event's spans, by their start; the log records say the same."""
        spans = sorted(
            (span for span in self.data().spans if span.name == event), key=lambda span: span.start_ns
        )
        by_id = {log.span_id: log for log in self.data().logs if log.event_name == event}
        found = []
        for span in spans:
            work = [str(span.attributes.get(f"work_{key}", "")) for key in ("rig", "bead", "mol")]
            assert work == [
                str(by_id[span.span_id].attributes.get(f"work_{key}", "")) for key in ("rig", "bead", "mol")
            ]
            found.append((work[0], work[1], work[2]))
        return found


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """Return a town."""
    return Town(tmp_path)


NOTHING = ("", "", "")
FIRST, SECOND = ("demo", "de-1", "de-wisp-1"), ("other", "ot-5", "")


def test_each_record_has_the_work_that_was_primed_last_when_it_began(town: Town) -> None:
    """Prime, work, a bead of another rig, prime, work: also for commands that began before a prime."""
    town.agent("bd", "show", "x")
    town.sling("de-1", "de-wisp-1")
    with town.spanning("one"):
        town.agent("gt", "prime", "--hook")
        with town.spanning("two"):
            town.agent("bd", "show", "x")
            town.agent("bd", "close", "de-1")
            town.sling("ot-5")
            town.agent("bd", "show", "x")
            town.agent("gt", "prime")
            town.agent("bd", "show", "x")
    assert not any(line.startswith("list") for line in town.asked())
    town.agent("bd", "show", "x")
    shown = town.works("bd.call")
    assert shown == [NOTHING, NOTHING, FIRST, FIRST, FIRST, FIRST, SECOND, SECOND]
    assert town.works("prime") == [FIRST, SECOND]
    modes = [log.attributes["hook_mode"] for log in town.data().logs if log.event_name == "prime"]
    assert modes == [True, False]
    assert [source for _, _, source in town.data().work] == ["prime", "prime"]


def test_work_that_is_done_is_worked_on_until_the_next_prime(town: Town) -> None:
    """Closed it leaves the hook; that prime asks bd, which may have more, and else there is no work."""
    town.sling("de-1")
    town.agent("gt", "prime")
    town.agent("bd", "close", "de-1")
    town.agent("bd", "show", "x")
    town.asked()
    town.answer([{"id": "hq-7", "description": "attached_molecule: hq-wisp-2"}])
    town.agent("gt", "prime")
    wanted = f"list --json --status=hooked --assignee={ACTOR} --limit=0 --flat"
    assert town.asked() == [wanted]
    town.answer([])
    town.agent("gt", "prime")
    shutil.copy("/bin/false", town.real / "bd")
    town.agent("gt", "prime")
    assert town.works("bd.call") == [("demo", "de-1", ""), ("demo", "de-1", "")]
    assert town.works("prime") == [("demo", "de-1", ""), ("demo", "hq-7", "hq-wisp-2"), NOTHING, NOTHING]


def test_a_hook_that_nobody_saw_is_bds_to_tell(town: Town) -> None:
    """It was filled past the shims: the one that asks is us, and that is no call of the agent's."""
    town.answer({"schema_version": 1, "data": [{"id": "de-3"}]})
    town.agent("gt", "prime")
    assert town.works("prime") == [("demo", "de-3", "")]
    assert [span.name for span in town.data().spans] == ["prime"]


def test_another_agents_hook_is_not_ours(town: Town) -> None:
    """A bead that moves to another agent leaves the first one's hook."""
    town.sling("de-1")
    town.sling("de-1", actor="demo/polecats/nux")
    town.agent("gt", "prime")
    assert town.works("prime") == [NOTHING]


def test_bd_is_asked_while_the_command_that_primes_runs(town: Town) -> None:
    """The stand-in ends once bd has been asked: who waits for gt does not wait for bd behind it."""
    town.answer([{"id": "de-3"}])
    town.gt('while [ ! -e "$TOWN/asked" ]; do sleep 0.02; done')
    town.agent("gt", "prime")
    assert town.works("prime") == [("demo", "de-3", "")]


def test_a_prime_that_fails_sets_no_work(town: Town) -> None:
    """Whatever hangs on the hook, and whatever bd would say."""
    town.sling("de-1")
    town.agent("gt", "prime")
    town.sling("ot-5")
    town.gt("exit 1")
    failed = subprocess.run(["gt", "prime"], env={**town.env, **AGENT}, cwd=town.root, check=False)
    assert failed.returncode == 1
    town.agent("bd", "show", "x")
    assert town.works("bd.call") == [("demo", "de-1", "")]


def test_work_on_no_run_is_nobodys(town: Town) -> None:
    """A prime outside any run is recorded with its work, and tells nobody."""
    town.sling("de-1")
    town.run("gt", "prime", BD_ACTOR=ACTOR)
    town.run("bd", "show", "x", BD_ACTOR=ACTOR)
    assert list_runs(town.journal) == []
    assert not list(Path(town.journal.root).rglob("work.jsonl"))


def test_a_session_in_tmux_is_told_and_nobody_waits_for_that(
    town: Town, tmp_path: Path, tmux_socket: str
) -> None:
    """New panes get GT_WORK_*; a tmux that takes its time keeps no prime waiting."""
    real = shutil.which("tmux")
    slow = f'while [ ! -e "$TOWN/go" ]; do sleep 0.02; done; exec {real} "$@"'
    start = [
        "session",
        "start",
        "--role",
        "polecat",
        "--name",
        "rust",
        "--rig",
        "demo",
        "--socket",
        tmux_socket,
    ]
    words = [sys.executable, "-m", "gastown_tracing.cli", *start, "--json", "--", "sleep", "1000"]
    said = subprocess.run(words, env=town.env, capture_output=True, text=True, check=True).stdout
    run_id = json.loads(said)["run_id"]
    shims_kit.script(town.real / "tmux", slow)
    town.sling("de-1", "de-wisp-1")
    town.run("gt", "prime", **{**AGENT, "GT_RUN": run_id})
    assert [work.bead for _, work, _ in town.data(run_id).work] == ["de-1"]

    def told() -> set[str]:
        shown = [str(real), "-S", tmux_socket, "show-environment", "-t", "=gt-demo-rust"]
        lines = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.splitlines()
        return {line for line in lines if "GT_WORK_" in line}

    assert told() == set()
    (town.root / "go").touch()
    everything = {"GT_WORK_RIG=demo", "GT_WORK_BEAD=de-1", "GT_WORK_MOL=de-wisp-1", "-GT_WORK_BUILD"}
    wait_until(lambda: told() == everything, "tmux has been told")
