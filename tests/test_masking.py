"""What a record may show of a command line: words of a known list, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gastown_tracing.masking import BD_FLAGS, SUBCOMMANDS, command_words, masked, subcommand

CANARIES = [
    "CANARY",
    "--CANARY",
    "-pCANARY",
    "--title=CANARY",
    "-p=CANARY",
    "--CANARY=list",
    "x\nCANARY",
    "‹CANARY›",
]
COMMANDS = [
    ["create", "--json", "--title=Merge: x", "--labels=gt:merge-request", "-d", "body", "--", "subject"],
    ["--allow-stale", "update", "de-1tr", "--status=hooked", "--assignee=demo/polecats/rust"],
    ["list", "--json", "--status=open", "--limit=0", "--flat"],
    ["--actor", "demo/witness", "close", "de-1tr", "--reason", "done"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command)[:20])
@pytest.mark.parametrize("canary", CANARIES)
def test_a_canary_in_any_position_is_not_shown(canary: str, command: list[str]) -> None:
    """Put before, behind and in the place of every word, in every form of an argument."""
    for index in range(len(command) + 1):
        for line in (
            [*command[:index], canary, *command[index:]],
            [*command[:index], canary, *command[index + 1 :]],
        ):
            assert "CANARY" not in "".join(masked("bd", line))
            for program in ("bd", "git", "gt", "sh"):
                assert "CANARY" not in command_words(program, line) + subcommand(program, line)[1]


def test_what_is_shown() -> None:
    """The subcommand and known flags stand as they are, every other word as its length in bytes."""
    line = ["--actor", "é", "update", "--status=open", "-p", "2", "--unknown", "-dtext", "--", "list"]
    shown = "--actor ‹2 bytes› update --status=‹4 bytes› -p ‹1 bytes› ‹9 bytes› -d‹4 bytes› -- ‹4 bytes›"
    assert masked("bd", line) == ("update", shown)


@pytest.mark.parametrize(
    ("program", "line", "words"),
    [
        ("gt", ["mail", "send", "mayor/", "-s", "x"], "mail send"),
        ("gt", ["nudge", "hunter", "wake up"], "nudge"),
        ("gt", ["--token", "s3cret", "mail", "inbox"], "mail inbox"),
        ("git", ["-C", "/home", "push", "origin"], "push"),
        ("gt", [], ""),
        ("sh", ["list"], ""),
    ],
)
def test_the_words_of_a_command(program: str, line: list[str], words: str) -> None:
    """The program's own words, however options stand before them, and no argument."""
    assert command_words(program, line) == words


@given(st.lists(st.text()))
def test_only_known_words_survive(line: list[str]) -> None:
    """Whatever the arguments are: each shown word is known, one letter of a flag, or a length."""
    known = SUBCOMMANDS["bd"] | {f"--{flag}" for flag in BD_FLAGS} | {"--"}
    for word in masked("bd", line)[1].split(" ") if line else []:
        name = word.partition("=")[0].partition("‹")[0]
        assert name in known or word == "bytes›" or len(name) <= 2
