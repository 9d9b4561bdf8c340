"""The tables of commands and flags are those of the real bd and gt: as their own help has them."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from gastown_tracing.shims.lines import bd_table, gt_table
from gastown_tracing.shims.lines.bd import RULES as BD_RULES
from gastown_tracing.shims.lines.gt import GRAMMAR
from gastown_tracing.shims.lines.gt import RULES as GT_RULES
from tests.peers.programs import needs

TABLES = {"bd": bd_table, "gt": gt_table}
#: A flag in the help of cobra: its letter, its name, and the type of its value, "" for none.
_FLAG = re.compile(r"^ +(?:-(\w), )? *--([\w-]+)(?: (\S+))?(?:  .*)?$")
COMMANDS = [
    *[pytest.param("bd", command, marks=needs("bd", "beads")) for command in sorted(BD_RULES)],
    *[pytest.param("gt", command, marks=needs("gt", "Gas Town")) for command in sorted(GT_RULES)],
]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a program outside any town."""
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    return subprocess.run(words, check=False, capture_output=True, text=True, cwd="/", env=env, timeout=60)


@pytest.mark.parametrize(("program", "command"), COMMANDS)
def test_a_command_and_its_flags_are_the_programs_own(program: str, command: str) -> None:
    """The command is there under this name; each of its flags takes a value, or none, as the table says."""
    said = run(program, *command.split(), "--help").stdout
    # One that is deprecated does not say how it is used.
    assert f"{program} {command}" in said or command == "polecat add", said
    table = TABLES[program]
    switches = (
        f"{table.SWITCHES.get(command, '')} {getattr(table, 'GLOBAL_SWITCHES', 'help version')}".split()
    )
    letters = (
        f"{table.LETTERS.get(command, '')} {getattr(table, 'GLOBAL_LETTERS', 'h=help v=version')}".split()
    )
    known = dict(pair.split("=") for pair in letters)
    flags = [found.groups() for found in map(_FLAG.match, said.splitlines()) if found]
    assert flags
    for letter, name, kind in flags:
        optional = kind is not None and "[=" in kind
        assert (kind is None or optional) == (name in switches), name
        assert letter is None or known.get(letter) == name, name


@needs("gt", "Gas Town")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [("ref at", "refinery attach"), ("molecule bu", "mol burn"), ("nam th", "namepool themes")],
)
def test_a_command_of_gt_may_be_cut_short(typed: str, meant: str) -> None:
    """gt takes it for the one that begins so, as it is read here."""
    assert f"gt {meant}" in run("gt", *typed.split(), "--help").stdout
    assert GRAMMAR.read(typed.split()).command == meant


@needs("gt", "Gas Town")
def test_a_command_of_gt_that_could_be_several_is_none() -> None:
    """gt knows none of them, nor is one read here."""
    assert 'unknown command "ma"' in run("gt", "ma").stderr
    assert not GRAMMAR.read(["ma"]).command
