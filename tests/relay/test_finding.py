"""The relay finds in tmux what no shim saw: once, with its own run, and nothing that is somebody else's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gastown_tracing.journal.layout import Journal, PaneRegistry
from gastown_tracing.sessions import run
from propagation.run import root_span_id
from tests.conftest import clean_environ
from tests.relay.find_kit import CREW, RUN, UUID, Town, events

Make = Callable[..., Town]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Return a function that makes a town, with a tmux server that is ended afterwards."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    towns: list[Town] = []

    def town(name: str = "town", label: str = "town") -> Town:
        (tmp_path / "home").mkdir(exist_ok=True)
        towns.append(Town(tmp_path / name, tmp_path / "home", label))
        return towns[-1]

    yield town
    for one in towns:
        subprocess.run(
            ["tmux", "-L", one.label, "kill-server"], env=one.env, capture_output=True, check=False
        )


@pytest.fixture
def town(make: Make) -> Town:
    """Return a town."""
    return make()


def test_a_session_with_a_run_is_found_once(town: Town) -> None:
    """Its start is when tmux made it; how and when it was found is said; a second look finds nothing new."""
    town.spawn("gt-demo-rust", {"GT_RUN": UUID, "GT_ROLE": "demo/polecats/rust", "GT_RIG": "demo"})
    assert (town.look(), town.look()) == (1, 0)
    data = town.runs()["gt-demo-rust"]
    created = int(town.tmux("display", "-p", "-t", "gt-demo-rust", "#{session_created}"))
    assert data.run.trace_id == RUN
    assert (data.run.info["found"], data.run.start_ns) == ("relay", created * 10**9)
    assert [span.name for span in data.spans] == ["session.start"]
    assert events(data) == ["session.start", "agent.instantiate"]
    for record in (*data.spans, *data.logs):
        assert record.attributes["gastown.evidence"] == "found in tmux by the relay"
        assert int(str(record.attributes["gastown.found.time_unix_nano"])) >= data.run.start_ns
        assert (record.attributes["role"], record.attributes["rig"]) == ("polecat", "demo")
    assert data.spans[0].parent_id == root_span_id(RUN)
    assert town.log == [f"found session gt-demo-rust in tmux: run {RUN}"]


def test_a_crew_session_gets_a_run_and_its_commands_belong_there(town: Town) -> None:
    """It has no GT_RUN: what runs in its panes is found by TMUX and TMUX_PANE, also in a pane made later."""
    town.spawn("gt-demo-crew-max", CREW)
    assert town.look() == 1
    data = town.runs()["gt-demo-crew-max"]
    words = [sys.executable, "-m", "gastown_tracing.cli", "exec", "--", "true"]
    done = f"{' '.join(words)}; tmux wait-for -S done"
    town.tmux("split-window", "-d", "-t", "=gt-demo-crew-max:", "sleep 1000")
    assert town.look() == 0
    for pane in town.tmux("list-panes", "-s", "-t", "=gt-demo-crew-max", "-F", "#{pane_id}").split():
        town.tmux("respawn-pane", "-k", "-c", town.root, "-t", pane, done)
        town.tmux("wait-for", "done")
        town.tmux("respawn-pane", "-k", "-t", pane, "sleep 1000") if False else None
    data = town.runs()["gt-demo-crew-max"]
    assert [span.name for span in data.spans if span.name == "true"] == ["true", "true"]
    assert {span.parent_id for span in data.spans} == {root_span_id(data.run.trace_id)}
