"""Sessions that die are closed by the relay, each once, and their roots are shipped once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from gastown_tracing.journal import reader
from gastown_tracing.journal.layout import Journal
from gastown_tracing.relay.keeping import REAPED
from gastown_tracing.sessions import processes, terminal
from gastown_tracing.sessions.answers import Answer
from propagation.run import root_span_id
from tests.processes import wait_until
from tests.relay.keep_kit import House, tree

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def session(
    gt_trace: Run, tmux_socket: str, journal_root: object
) -> Callable[[], tuple[str, dict[str, str]]]:
    """Return a function that starts a session and returns its run and its pane.json."""

    def start(name: str = "hq-mayor") -> tuple[str, dict[str, str]]:
        words = (
            "--role",
            "mayor",
            "--session",
            name,
            "--socket",
            tmux_socket,
            "--json",
            "--",
            "sleep",
            "1000",
        )
        done = gt_trace("session", "start", *words)
        assert done.returncode == 0, done.stderr
        run = str(json.loads(done.stdout)["run_id"])
        with open(f"{journal_root}/runs/{run}/pane.json") as file:
            return run, json.load(file)

    return start


def die(pane: dict[str, str]) -> None:
    """Kill a session's process, and wait until it is gone and tmux has noticed."""
    os.kill(int(pane["pane_pid"]), signal.SIGKILL)
    wait_until(lambda: processes.state(int(pane["pane_pid"]), pane["pane_start"]) == "gone", "it is gone")
    there = ["tmux", "-S", pane["socket"], "has-session", "-t", f"={pane['session']}"]
    wait_until(lambda: subprocess.run(there, capture_output=True, check=False).returncode, "tmux knows")


def looked(house: House) -> None:
    """Let the keeper look at the sessions, and wait until it has."""
    house.now += REAPED
    house.keeper.tick(house.now)
    house.keeper.stop(30)


def roots(house: House, run: str) -> int:
    """Return how often a run's root span was shipped."""
    return sum(f'"spanId":"{root_span_id(run)}"'.encode() in line for line in house.shipped())


def test_a_session_that_died_is_closed_shipped_and_moved_once(
    session: Callable[..., tuple[str, dict[str, str]]], journal_root: object, env: dict[str, str]
) -> None:
    """One of two sessions dies; while the relay and five lists look at it, it is closed once."""
    (run, pane), (alive, _) = session(), session("hq-boot")
    journal = Journal(str(journal_root))
    house = House(journal)
    looked(house)
    assert house.keeper.status()["live_sessions"] == 2
    die(pane)
    words = [sys.executable, "-m", "gastown_tracing.cli", "session", "list"]
    lists = [subprocess.Popen(words, env=env, stdout=-3, stderr=-1, text=True) for _ in range(5)]
    looked(house)
    said = [found.communicate()[1] for found in lists]
    closers = sum("closed hq-mayor" in text for text in said) + int(
        str(house.keeper.status()["closed_sessions"])
    )
    assert closers == 1
    data = reader.read_run(journal, run)
    assert data.run.closed
    assert [span.name for span in data.spans].count("session.stop") == 1
    assert house.keeper.status()["live_sessions"] == 1
    house.spend(0)
    house.spend(30)
    assert [path[-32:] for path in tree(journal, "closed")] == [run]
    looked(house)
    house.spend(90)
    assert roots(house, run) == 1
    assert tree(journal, "runs") == {f"runs/{alive}"}


def test_a_switched_off_journal_is_left_as_it_is(
    session: Callable[..., tuple[str, dict[str, str]]], journal_root: object
) -> None:
    """With `on` removed the relay closes nothing; what is closed already still moves."""
    run, pane = session()
    journal = Journal(str(journal_root))
    os.unlink(journal.on_path)
    die(pane)
    house = House(journal)
    looked(house)
    assert not os.path.exists(f"{journal.run_dir(run)}/close.json")
    assert house.keeper.status()["problem"] is None


def test_a_tmux_server_that_hangs_holds_nothing_else_up(
    session: Callable[..., tuple[str, dict[str, str]]], journal_root: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody waits for an answer the rounds go on, and nobody else begins to wait."""
    session()
    house = House(Journal(str(journal_root)))
    asked, answer = threading.Event(), threading.Event()
    count = []

    def hang(*_: object) -> Answer:
        count.append(1)
        asked.set()
        answer.wait(30)
        return Answer()

    monkeypatch.setattr(terminal, "ask", hang)
    try:
        house.keeper.tick(house.now)
        assert asked.wait(30)
        for _ in range(5):
            house.now += REAPED
            house.keeper.tick(house.now)
        assert len(count) == 1
    finally:
        answer.set()
        house.keeper.stop(30)


def test_a_run_of_nonsense_is_said_and_costs_the_others_nothing(
    session: Callable[..., tuple[str, dict[str, str]]], journal_root: object
) -> None:
    """A run.json that somebody else wrote, with anything in it: the session that died is closed."""
    run, pane = session()
    journal = Journal(str(journal_root))
    for number, text in enumerate(
        ['{"start_time_unix_nano": "1", "trace_id": 5, "root_span_id": []}', "[", "{}"]
    ):
        other = journal.run_dir(f"{number:032x}")
        os.mkdir(other)
        with open(f"{other}/run.json", "w") as file:
            file.write(text)
    die(pane)
    looked(house := House(journal))
    assert os.path.exists(f"{journal.run_dir(run)}/close.json"), house.log
