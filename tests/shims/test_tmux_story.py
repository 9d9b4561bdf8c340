"""What gt told a real tmux about one agent, from its spawn to its end: it sees the same, and we have all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from shims_kit import script
from tmux_kit import Town

from tests.corpus import command_lines
from tests.processes import wait_until

RUN = "34a8928c4cea45be8a212668bedba5a7"
NAME = "de-rust"
HOME, AGENT = "/home/op/town", "/usr/local/bin/claude"


@pytest.fixture
def towns(tmp_path: Path) -> Iterator[tuple[Town, Town]]:
    """Return a town whose gt finds the shim first, and one like it without any."""
    both = Town(tmp_path / "a"), Town(tmp_path / "b")
    both[1].env = both[1].plain
    for town in both:
        script(town.root / "claude", "echo ready; exec cat")
        (town.root / "demo" / "polecats" / "rust" / "demo").mkdir(parents=True)
    yield both
    for town in both:
        town.end()


def story() -> list[tuple[str, ...]]:
    """Return what gt told tmux about one polecat, from its session's start to its end.

    The corpus has each line once: the Escape and Enter that follow every text are put back.
    """
    lines = [line[3:] for line in command_lines("tmux") if line[:2] == ("-u", "-L") and line[2] != "default"]
    own = [line for line in lines if any(NAME in word or word == "%2" for word in line)]
    begin = next(place for place, line in enumerate(own) if line[0] == "new-session")
    told: list[tuple[str, ...]] = []
    for line in own[begin:]:
        words = tuple(word.replace("%2", "%0") for word in line)
        if words[0] == "send-keys" and "-l" in words:
            told += [words, (*words[:3], "Escape"), (*words[:3], "Enter")]
        elif words[0] not in ("send-keys", "kill-session"):
            told.append(words)
    return [*told, ("kill-session", "-t", NAME)]


def replayed(town: Town, line: tuple[str, ...]) -> tuple[int, str, str]:
    """Run one line in a town; return its exit code and what it printed, without what no two runs share."""
    if line[0] == "capture-pane":
        wait_until(lambda: "ready" in town.asked("capture-pane", "-p", "-t", NAME), "the agent has begun")
    words = [word.replace(AGENT, f"{town.root}/claude").replace(HOME, str(town.root)) for word in line]
    done = town.tmux(*words)
    out = done.stdout.replace(str(town.root), HOME)
    if line[0] == "capture-pane":
        out = "".join(out.split("\n")[:1])  # what it was sent comes when it comes
    return done.returncode, re.sub(r"\d{3,}", "N", out), done.stderr


def test_gt_sees_the_same_and_the_run_has_the_story(towns: tuple[Town, Town]) -> None:
    """Byte for byte what tmux says, in the same order; the run is whole, and over with its session."""
    seen, plain = towns
    lines = story()
    assert {"new-session", "respawn-pane", "send-keys", "capture-pane", "set-hook"} <= {
        line[0] for line in lines
    }
    for line in lines:
        assert replayed(seen, line) == replayed(plain, line), line
    seen.over(RUN)
    texts = [line[-1] for line in lines if line[0] == "send-keys" and "-l" in line]
    prompts = seen.spans("prompt.send", RUN)
    assert len(prompts) == len(texts)
    assert [span.attributes["keys_len"] for span in prompts] == [len(text) for text in texts]
    looks = [line for line in lines if line[0] == "capture-pane"]
    asked = [log.attributes["lines_requested"] for log in seen.logs("pane.read", RUN)]
    assert asked == [int(line[-1][1:]) for line in looks]
    once = ("session.start", "agent.instantiate", "session.stop")
    assert [len(seen.logs(event, RUN)) for event in once] == [1, 1, 1]
    assert seen.data(RUN).run.closed
    assert {log.event_name for log in seen.data(RUN).logs} == {*once, "pane.read", "prompt.send"}
