"""Whoever else is at a session, and wherever anybody is interrupted: it has one run, and that begins once."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gastown_tracing.relay import finding
from gastown_tracing.sessions import processes, reaping, run, terminal
from gastown_tracing.sessions.documents import pane_of
from tests.processes import wait_until
from tests.relay.find_kit import CREW, RUN, UUID, Town, events, towns
from tests.relay.keep_kit import House
from tests.relay.test_finding import POLECAT
from tests.shims import shims_kit

make = towns
BEGUN = ["session.start", "agent.instantiate"]


@pytest.fixture
def town(make: Callable[..., Town]) -> Town:
    """Return a town."""
    return make()


@pytest.mark.parametrize("variables", [POLECAT, CREW], ids=["polecat", "crew"])
def test_a_shim_that_was_killed_once_tmux_had_the_session(
    town: Town, tmp_path: Path, variables: dict[str, str]
) -> None:
    """kill -9 between new-session and its records: the run that the shim had drawn is found, and whole."""
    real = shutil.which("tmux")
    kill = 'case " $* " in *" new-session "*) kill -9 $PPID ;; esac'
    shims_kit.script(tmp_path / "killer" / "tmux", f'{real} "$@"\n{kill}')
    first = shims_kit.shims(tmp_path / "shims", "tmux")
    env = {**town.env, "PATH": f"{first}:{tmp_path}/killer:{town.env['PATH']}", "GT_ROOT": town.root}
    given = [word for pair in {"GT_ROOT": town.root, **variables}.items() for word in ("-e", "=".join(pair))]
    words = ["tmux", "-L", town.label, "new-session", "-d", "-s", "a", "-c", town.root, *given, "sleep 1000"]
    assert subprocess.run(words, env=env, cwd=town.root, check=False).returncode == -9
    assert os.listdir(f"{town.journal.root}/runs") == []
    carried = town.tmux("show-environment", "-t", "=a", "GT_RUN").partition("=")[2].replace("-", "")
    assert (town.look(), town.look()) == (1, 0)
    (data,) = town.runs().values()
    assert (data.run.trace_id, events(data)) == (carried, BEGUN)


@pytest.mark.parametrize("stage", ["run.json", "pane.json"])
def test_a_start_that_was_interrupted_later_is_gone_on_with(town: Town, stage: str) -> None:
    """Its run.json is there, or its pane.json as well, but no session.start: the rest is made, once."""
    town.spawn("gt-demo-rust", POLECAT)
    env = {"GT_ROOT": town.root}
    handle = run.create_run(town.journal, role="polecat", rig="demo", env=env, work_dir="/", run_id=RUN)
    if stage == "pane.json":
        session_id = town.tmux("display", "-p", "-t", "gt-demo-rust", "#{session_id}")
        socket = town.tmux("display", "-p", "-t", "gt-demo-rust", "#{socket_path}")
        pane = terminal.describe(socket, "gt-demo-rust", session_id, town.env)
        assert pane
        run.write_pane(handle, pane)
    assert (town.look(), town.look()) == (0, 0)
    (data,) = town.runs().values()
    assert (events(data), data.run.pane is not None, "found" in data.run.info) == (BEGUN, True, False)


@pytest.mark.parametrize("variables", [POLECAT, CREW], ids=["polecat", "crew"])
@pytest.mark.parametrize("step", ["write_run", "write_pane", "record_start"])
def test_a_relay_that_dies_while_it_finds_goes_on_later(
    town: Town, monkeypatch: pytest.MonkeyPatch, step: str, variables: dict[str, str]
) -> None:
    """Before run.json, pane.json or session.start: the next relay makes the same run whole."""
    town.spawn("gt-demo-a", variables)

    def die(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        for module in (run, reaping):
            if hasattr(module, step):
                patch.setattr(module, step, die)
        with pytest.raises(MemoryError):
            town.look()
    town.use(town.journal)
    town.look()
    assert town.look() == 0
    (data,) = town.runs().values()
    assert (events(data), len(os.listdir(f"{town.journal.root}/runs"))) == (BEGUN, 1)


def test_a_shim_and_two_relays_at_the_same_moment(town: Town) -> None:
    """Whoever links run.json first records the session; the others leave it, twenty times out of twenty."""
    ids = [f"{number:032x}" for number in range(1, 21)]
    for number, run_id in enumerate(ids):
        town.spawn(f"s{number}", {**POLECAT, "GT_RUN": run_id})
    patience = 1_000_000_000
    wait_until(lambda: _youngest(town) > 1, "each session is a second old")
    relays = [finding.Finder(town.journal, town.log.append, started_ns=patience) for _ in range(2)]
    barrier = threading.Barrier(3)
    won: list[str] = []

    def spawned() -> None:
        barrier.wait()
        for run_id in ids:
            try:
                handle = run.create_run(
                    town.journal,
                    role="polecat",
                    rig="demo",
                    env={"GT_ROOT": town.root},
                    work_dir="/",
                    run_id=run_id,
                )
            except FileExistsError:
                continue
            won.append(run_id)
            run.write_pane(handle, {"socket": "", "server_pid": "1", "pane": f"%{run_id}"})
            run.record_start(handle)

    def looks(finder: finding.Finder) -> None:
        barrier.wait()
        town.look(finder)

    threads = [threading.Thread(target=spawned)]
    threads += [threading.Thread(target=looks, args=(finder,)) for finder in relays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [events(data) for data in town.runs_by_id().values()]
    assert found == [BEGUN] * len(ids)
    assert len(won) + sum("found session" in line for line in town.log) == len(ids)


def _youngest(town: Town) -> float:
    now = time.time()
    sessions = town.tmux("list-panes", "-a", "-F", "#{session_created} #{pane_pid}").splitlines()
    ages = [(now - int(created), processes.age(int(pid)) or 0.0) for created, pid in map(str.split, sessions)]
    return min(map(min, ages))


def test_the_relay_looks_with_the_settings_of_its_journal(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """config.json says where sockets are; what is found is said and counted; `on` gone, nothing is."""
    town.spawn("gt-demo-rust", POLECAT)
    monkeypatch.setattr(finding, "Finder", functools.partial(finding.Finder, started_ns=0))
    on = Path(town.journal.on_path)
    on.unlink()
    house = House(town.journal, TMUX_TMPDIR=town.env["TMUX_TMPDIR"])
    house.keeper._env = {**house.keeper._env, "HOME": town.env["HOME"]}
    house.keeper._look_at_sessions()
    assert house.keeper.status()["found_sessions"] == 0
    on.touch()
    house.keeper._look_at_sessions()
    assert (house.keeper.status()["found_sessions"], house.keeper.status()["problem"]) == (1, None)
    assert house.log == [f"found session gt-demo-rust in tmux: run {RUN}"]
    house.keeper._look_at_sessions()
    assert house.keeper.status()["live_sessions"] == 1
    assert town.runs()["gt-demo-rust"].run.info["run_uuid"] == UUID


def test_an_agent_that_was_put_in_a_shells_place_past_the_shim_is_the_first(town: Town) -> None:
    """The shim saw the session, which began with a shell, and not the agent: no restart, one agent."""
    town.spawn("gt-demo-rust", POLECAT)
    handle = run.create_run(town.journal, role="polecat", rig="demo", env={}, work_dir="/", run_id=RUN)
    socket, session_id = town.tmux(
        "display", "-p", "-t", "gt-demo-rust", "#{socket_path} #{session_id}"
    ).split()
    pane = terminal.describe(socket, "gt-demo-rust", session_id, town.env)
    assert pane
    run.write_pane(handle, {**pane, "pane_pid": "1", "agents": "0"})
    run.record_start(handle, instantiated=False)
    assert (town.look(), town.look()) == (0, 0)
    (data,) = town.runs().values()
    assert (events(data), [span.name for span in data.spans]) == (BEGUN, ["session.start"])
    assert pane_of(handle.directory)["agents"] == "1"
