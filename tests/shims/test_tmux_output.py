"""What panes show is recorded where that is asked for, beside what gt does with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tmux_kit import RUN, Town

from tests.processes import wait_until

WANTED = {"GT_LOG_PANE_OUTPUT": "true"}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Return a town."""
    town = Town(tmp_path, "50% #{town}")
    yield town
    town.end()


def shown(town: Town) -> str:
    """Return all that was recorded of the pane."""
    return "".join(str(log.attributes["content"]) for log in town.logs("pane.output"))


def piped(town: Town) -> str:
    """Return whether tmux gives the pane's output to a program."""
    return town.asked("display-message", "-p", "-t", "=de-rust:", "#{pane_pipe}")


def test_nothing_is_recorded_unasked(town: Town) -> None:
    """No pipe, no process, no record."""
    town.spawn()
    assert piped(town) == "0"


def test_output_is_recorded_without_what_steers_a_terminal(town: Town) -> None:
    """From the agent's start to its end, also over a restart; the reader ends with the pane."""
    town.spawn(agent=r"sh -c 'printf \"\033[31mgrüße\033[0m\n\"; exec cat'", more=WANTED)
    wait_until(lambda: "grüße" in shown(town), "the output is recorded")
    assert "\x1b" not in shown(town)
    assert town.logs("pane.output")[0].attributes["session"] == "de-rust"
    town.tmux("respawn-pane", "-k", "-t", "de-rust", "echo again; exec cat", more=WANTED)
    wait_until(lambda: "again" in shown(town), "what the next agent shows is recorded")
    town.tmux("kill-session", "-t", "de-rust")
    wait_until(lambda: not _readers(town), "the reader has ended")


def test_a_pipe_that_is_there_stays(town: Town, tmp_path: Path) -> None:
    """Somebody's own pipe-pane is not replaced."""
    file = tmp_path / "own"
    town.spawn(agent="", more={})
    town.asked("pipe-pane", "-t", "=de-rust:", f"cat >'{file}'")
    town.tmux("respawn-pane", "-k", "-t", "de-rust", "echo hello; exec cat", more=WANTED)
    wait_until(lambda: file.exists() and "hello" in file.read_text(), "the operator's own pipe has it")
    assert town.logs("pane.output") == []


def test_nothing_is_recorded_once_the_journal_is_switched_off(town: Town) -> None:
    """The operator removes `on`: what is shown from then on is nobody's."""
    town.spawn(more=WANTED)
    town.asked("send-keys", "-t", "de-rust", "before", "Enter")
    wait_until(lambda: "before" in shown(town), "it is recorded")
    Path(town.journal.on_path).unlink()
    town.asked("send-keys", "-t", "de-rust", "after", "Enter")
    town.asked("kill-session", "-t", "=de-rust")
    wait_until(lambda: not _readers(town), "the reader has ended")
    assert "after" not in shown(town)


def _readers(town: Town) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if town.journal.root.encode() in words and RUN.encode() in words:
            found.append(process.name)
    return found
