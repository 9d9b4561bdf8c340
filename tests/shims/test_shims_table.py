"""The shell's table lets through whatever somebody wants to see, and hardly anything else."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gastown_tracing.shims import table
from gastown_tracing.shims.lines import git_table
from gastown_tracing.shims.lines.classify import classify
from gastown_tracing.shims.tmux import table as tmux_table
from gastown_tracing.shims.tmux.line import parse
from tests.corpus import command_lines

Line = Sequence[str]
SHELLS = ("bash", "sh")


def through(program: str, lines: Iterable[Line], shell: str = "bash") -> list[bool]:
    """Return what the table says of each command line, in one process."""
    calls = "\n".join(f"decide {shlex.join(line)}" for line in lines)
    body = table.decide(program)
    text = f'decide() {{\n{body}echo "<$_gt_trace_wanted>"\n}}\n{calls}\n'
    done = subprocess.run([shell], input=text, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return [said == "<1>" for said in done.stdout.splitlines()]


def git_wanted(line: Line) -> bool:
    return classify("git", line) is not None


def tmux_wanted(line: Line) -> bool:
    """Say whether the tmux shim has anything to do with a line."""
    found = parse(line)
    for command in found.commands if found else ():
        begins = tmux_table.BEHIND.get(command.name)
        of_server = command.name == "set-environment" and "g" in command.flags
        if (
            command.name in tmux_table.WANTED.split()
            and not of_server
            and (begins is None or any(word.startswith(begins) for word in command.words))
        ):
            return True
    return False


WANTED: dict[str, Callable[[Line], bool]] = {"git": git_wanted, "tmux": tmux_wanted}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("program", WANTED)
def test_the_table_agrees_over_the_whole_corpus(program: str, shell: str) -> None:
    """Nothing that is seen is held back, and of the rest at most one line in a hundred is let through."""
    lines = command_lines(program)
    said = through(program, lines, shell)
    wanted = [WANTED[program](line) for line in lines]
    assert any(wanted)
    missed = [line for line, lets, wants in zip(lines, said, wanted, strict=True) if wants and not lets]
    assert not missed
    assert sum(said) - sum(wanted) <= len(lines) / 100


@pytest.mark.parametrize("program", ["bd", "gt"])
def test_every_command_of_bd_and_gt_is_wanted(program: str) -> None:
    """There is no table for them, and none is needed: each of the corpus is an event."""
    assert table.decide(program) == ""
    assert all(classify(program, line) is not None for line in command_lines(program))


GIT = st.sampled_from(
    [
        *git_table.OPERATIONS,
        *" ".join(git_table.OPERATIONS.values()).split(),
        *git_table.GLOBAL_VALUES.split(),
        *git_table.GLOBAL_ENDS.split(),
        *("--git-dir=x", "-p", "--no-pager", "rev-parse", "status", "--", "-", "", "a b", "\n", "*", "-Cx"),
    ]
)
TMUX = st.sampled_from(
    [
        *(
            "-u",
            "-L",
            "x",
            "-Lx",
            "-uL",
            "-uLx",
            "-S",
            "-f",
            "-2",
            "-V",
            "-h",
            "-c",
            "--",
            "-",
            "",
            "a b",
            "\n",
        ),
        *(
            ";",
            r"\;",
            "x;",
            r"x\;",
            "-t",
            "-g",
            "-gu",
            "-ug",
            "GT_WORK_BEAD",
            "GT_AGENT_READY",
            "has-session",
            "has",
            "display",
        ),
        *tmux_table.WANTED.split(),
        *(f"{name};" for name in tmux_table.WANTED.split()),
        *(name[:-2] for name in tmux_table.WANTED.split()),
        *(
            "new",
            "new-s",
            "send",
            "setenv",
            "capturep",
            "respawnp",
            "start",
            "kill-s",
            "kill-ses",
            "ca",
            "st",
        ),
    ]
)


@pytest.mark.parametrize(("program", "words"), [("git", GIT), ("tmux", TMUX)])
def test_whatever_is_seen_is_let_through(program: str, words: st.SearchStrategy[str]) -> None:
    """Whatever order options, values, commands and separators come in."""

    @settings(max_examples=60)
    @given(st.lists(st.lists(words, max_size=7), min_size=20, max_size=40))
    def holds(lines: list[list[str]]) -> None:
        for line, lets in zip(lines, through(program, lines), strict=True):
            assert lets or not WANTED[program](line), line

    holds()


@pytest.mark.parametrize(
    ("program", "line", "expected"),
    [
        ("git", "rev-parse --git-dir", False),
        ("git", "-C x -c a=b --git-dir=y --no-pager fetch", True),
        ("git", "-C fetch status", False),
        ("git", "--git-dir fetch rev-parse", False),
        ("git", "commit -m push", False),
        ("git", "remote get-url origin", False),
        ("git", "remote -v update", True),
        ("git", "worktree list", False),
        ("git", "worktree add x", True),
        ("git", "--version", False),
        ("git", "", False),
        ("tmux", "", True),
        ("tmux", "-L x", True),
        ("tmux", "-V", False),
        ("tmux", "-u -L town has-session -t =x", False),
        ("tmux", "-u -L new-session has-session", False),
        ("tmux", "-Lnew new", True),
        ("tmux", r"set-option x y ';' kill-session -t x", True),
        ("tmux", r"set-option x 'y;' kill-ses", True),
        ("tmux", r"set-option x 'y\;' kill-session", False),
        ("tmux", "display-message kill-session", False),
        ("tmux", "set-environment -t x GT_AGENT_READY 1", False),
        ("tmux", "setenv -t x GT_WORK_BEAD de-1", True),
        ("tmux", "-u -L town set-environment -g -u GT_WORK_BEAD", False),
        ("tmux", "set-environment -gu GT_WORK_BEAD ';' setenv -t -g GT_WORK_BEAD de-1", True),
        ("tmux", "setenv '-g;' setenv GT_WORK_BEAD de-1", True),
        ("tmux", "setenv -t -g GT_WORK_BEAD de-1", True),
    ],
)
@pytest.mark.parametrize("shell", SHELLS)
def test_single_lines(program: str, line: str, expected: bool, shell: str) -> None:
    """What nobody wants to see does not start Python, however much it looks like what somebody does."""
    assert through(program, [shlex.split(line)], shell) == [expected]
