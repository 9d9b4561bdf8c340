"""A polecat that is Claude Code itself, slung by gt itself: one waterfall, from its tool calls to bd's."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gastown_tracing.journal import reader
from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.reader import RunData
from tests.peers import claude
from tests.peers.real_town import RIG, RealTown, install_shims, needs_town, real_town
from tests.processes import wait_until

pytestmark = [pytest.mark.peer, needs_town, claude.requires_claude]

GT_TRACE = [sys.executable, "-m", "gastown_tracing.cli"]
POLECAT = "demo/polecats/rust"
DEADLINE = 90.0

#: What hangs below a run's root when Claude Code runs a command of its own accord.
TOOL = ["claude_code.tool.execution", "claude_code.tool", "claude_code.interaction", "gt.session"]


@dataclass
class Slung:
    """A town in which a bead has been slung to a polecat."""

    town: RealTown
    journal: Journal
    bead: str

    def data(self) -> RunData:
        """Return what the journal holds of the polecat's run."""
        (run,) = [one for one in reader.list_runs(self.journal) if one.info.get("session") == "de-rust"]
        return reader.read_run(self.journal, run.trace_id)

    def state(self) -> object:
        """Return the state that the agent was in last."""
        found = [log for log in self.data().logs if log.event_name == "agent.state_change"]
        return max(found, key=lambda log: log.time_ns).attributes["new_state"] if found else ""

    def above(self, name: str, **attributes: str) -> list[str]:
        """Return the names of the spans above the one with this name and these attributes, the root last."""
        data = self.data()
        spans = {span.span_id: span for span in data.spans}
        found = [
            span
            for span in data.spans
            if span.name == name and attributes.items() <= span.attributes.items() and not span.links
        ]
        names: list[str] = []
        span = found[-1] if found else None
        while span is not None and span.parent_id:
            at_root = span.parent_id == data.run.info["root_span_id"]
            span = spans.get(span.parent_id)
            names.append("gt.session" if at_root else span.name if span else "?")
        return names


@pytest.fixture
def slung(tmp_path: Path) -> Iterator[Slung]:
    """Sling a bead in a town with shims, hooks, a relay and a model."""
    program = str(shutil.which("claude"))
    with claude.a_model() as model:
        settings = claude.environment({}, tmp_path / "t" / "home", model)
        settings = {**settings, "GT_OTEL_RELAY": "true"}
        with real_town(tmp_path / "t", claude=program, **settings) as town:
            claude.at_home(town.home, town.root / RIG / "polecats" / "rust" / RIG)
            journal = install_shims(town)
            town.ok(*GT_TRACE, "hook", "claude", "install")
            try:
                town.ok(*GT_TRACE, "relay", "start")
                bead = town.ok("bd", "create", "A task", "-t", "task", "--json", at=RIG).json()["id"]
                town.ok("gt", "sling", bead, RIG)
                yield Slung(town, journal, bead)
            finally:
                town.run(*GT_TRACE, "relay", "stop")


def test_a_polecat_of_claude_code_is_one_waterfall(slung: Slung) -> None:
    """What it runs hangs on its tool calls, in the run that the sling caused, and names the bead."""
    town, bead = slung.town, slung.bead
    # Its first prompt is gt's own, on the command line: `gt prime --hook`, and the model obeys.
    wait_until(lambda: slung.state() == "idle", "it has obeyed", DEADLINE)
    town.ok(
        "gt", "nudge", POLECAT, f"Now `bd show {bead}` and `bd comments add {bead} hello`", "--mode=immediate"
    )
    wait_until(lambda: slung.above("bd.call", subcommand="comments")[-1:] == ["gt.session"], "bd", DEADLINE)
    wait_until(lambda: slung.above("bd.call", subcommand="comments") == TOOL, "Claude's spans", DEADLINE)
    data = slung.data()
    assert not data.skipped
    call = next(span for span in data.spans if span.attributes.get("subcommand") == "comments")
    assert call.attributes["work_bead"] == bead
    assert [span.name for span in data.spans].count("session.start") == 1
    primes = [span for span in data.spans if span.name == "prime" and span.attributes["hook_mode"]]
    assert len(primes) >= 1
    assert {span.attributes.get("work_bead") for span in primes} == {bead}
    traces = {span.trace_id for span in data.spans}
    assert traces == {data.run.trace_id}
