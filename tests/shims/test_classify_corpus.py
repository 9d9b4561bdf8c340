"""Every command line of a real town, by counts; and what holds for any words at all."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gastown_tracing.events.registry import EVENTS
from gastown_tracing.journal.index import KINDS
from gastown_tracing.masking import command_words, subcommand
from gastown_tracing.shims.exec import TELLING
from gastown_tracing.shims.lines import bd_table, git_table, gt_table
from gastown_tracing.shims.lines.classify import classify
from gastown_tracing.shims.lines.seen import BD, SLING, UNREAD, Seen
from gastown_tracing.words import SUBCOMMANDS
from tests.corpus import command_lines

#: How many of a town's distinct command lines are which event: counted by reading them.
COUNTS = {
    "bd": {
        "bd.call": 125,
        "bead.create": 5,  # a merge request, a crew member's bead, an escalation, a human's, one refused
        "convoy.create": 1,
        "mail": 5,  # two questions, a reply, one more, an escalation's
        "mol.cook": 1,
        "mol.wisp": 1,
        "polecat.spawn": 1,
    },
    "gt": {
        "crew.session": 1,
        "done": 1,
        "gt.command": 39,
        "mail": 4,  # check, inbox twice, read; send and reply are bd's
        "nudge": 2,
        "polecat.remove": 2,
        "prime": 1,
        "sling": 2,
    },
    "git": {"git.operation": 9, None: 51},
    "tmux": {None: 189},
}
OPERATIONS = {"fetch": 3, "checkout": 1, "ls-remote": 1, "push": 1, "clone": 1, "worktree": 2}
#: What is no span is the second record of a span of these.
BASES = {"bd": "bd.call", "gt": "gt.command", "git": "git.operation"}
PROGRAMS = ("bd", "gt", "git")
TABLES = {"bd": bd_table, "gt": gt_table}


@cache
def words() -> tuple[str, ...]:
    """Return every word of every command line of the town, and the forms of flags."""
    known = {word for program in PROGRAMS for line in command_lines(program) for word in line}
    tables = {
        word for table in TABLES.values() for names in table.COMMANDS.values() for word in names.split()
    }
    git = {*git_table.OPERATIONS, *git_table.GLOBAL_VALUES.split(), *git_table.GLOBAL_ENDS.split()}
    flags = {
        "--",
        "-",
        "--=",
        "-=",
        "---",
        "-d",
        "-dx",
        "-d=x",
        "--label",
        "-l",
        "gt:message,",
        "\ud800",
        "\0",
    }
    return tuple(sorted(known | tables | git | flags))


LINES = st.lists(st.one_of(st.sampled_from(words()), st.text(max_size=12)), max_size=8)


@pytest.mark.parametrize("program", COUNTS)
def test_a_towns_command_lines_are_these_events(program: str) -> None:
    """One line, one event; each once."""
    found = Counter(None if seen is None else seen.event for seen in map_lines(program))
    assert found == COUNTS[program]


def test_gits_operations_are_these() -> None:
    """Of a whole sling, and of a clone and a removal beside it."""
    found = Counter(seen.attributes["operation"] for seen in map_lines("git") if seen is not None)
    assert found == OPERATIONS


def test_a_town_says_whose_hook_a_bead_is_on() -> None:
    """Bonded, hooked, described, closed: the commands of one sling and its end, in their order."""
    hooks = [seen.hook for seen in map_lines("bd") if seen is not None and seen.hook]
    assert [hook for hook in hooks if hook["bead"] == "de-1tr"] == [
        {"bead": "de-1tr", "mol": "de-wisp-bjtd"},
        {"bead": "de-1tr", "actor": "demo/polecats/rust"},
        {"bead": "de-1tr", "mol": "de-wisp-bjtd"},
        {"bead": "de-1tr", "actor": ""},
    ]


def map_lines(program: str) -> list[Seen | None]:
    """Return what each of the town's command lines of a program is."""
    return [classify(program, line) for line in command_lines(program)]


def sound(program: str, seen: Seen | None) -> None:
    """Check that an answer is one that the rest of a shim can work by."""
    if seen is None:
        assert program not in ("bd", "gt")
        return
    event = EVENTS[seen.event]
    assert set(seen.attributes) <= {attribute.name for attribute in event.attributes}
    assert "" not in seen.attributes.values()
    assert seen.reads in (UNREAD, BD, SLING)
    assert {kind for kind, _ in (*seen.causes, *seen.makes)} <= set(KINDS)
    assert all(key for _, key in seen.causes)
    assert not seen.hook or (seen.hook["bead"] and set(seen.hook) <= {"bead", "actor", "mol"})
    assert event.is_span or EVENTS[BASES[program]].is_span


@pytest.mark.parametrize("program", PROGRAMS)
@given(line=LINES)
def test_any_words_have_an_answer(program: str, line: list[str]) -> None:
    """Whatever an agent types: no exception, and nothing that the registry does not know."""
    sound(program, classify(program, line))
    assert classify("tmux", line) is None


@given(line=LINES)
def test_what_matters_before_bd_runs_is_told_by_a_word(line: list[str]) -> None:
    """A command line without any of the telling words is looked at only once it runs: nothing is missed."""
    assume(TELLING.isdisjoint(line))
    seen = classify("bd", line)
    assert seen is not None
    assert (seen.reads, seen.daemon) == (UNREAD, False)


def test_the_telling_words_have_all_names_of_their_commands() -> None:
    """Those of commands that leave a daemon, or whose output is read, by whatever name they are called."""
    assert {command.split()[0] for command in bd_table.DAEMONS} <= TELLING
    assert {alias for alias, name in bd_table.ALIASES.items() if name in TELLING} <= TELLING
    assert {"create", "close", "show", "update", "mol"} <= TELLING


@given(
    line=st.sampled_from(command_lines("bd")),
    before=st.lists(st.sampled_from(["-q", "--json=false", "--actor=close", "--db /x", "-qv"]), max_size=3),
)
def test_flags_before_a_command_of_bd_do_not_change_it(line: tuple[str, ...], before: list[str]) -> None:
    """Global flags stand where one likes; a value of theirs is no command."""
    first, second = classify("bd", line), classify("bd", [*" ".join(before).split(), *line])
    assert first is not None
    assert second is not None
    assert (second.event, second.hook, second.makes) == (first.event, first.hook, first.makes)


@given(
    line=st.sampled_from(command_lines("git")),
    before=st.lists(
        st.sampled_from(["-C /x", "-c push=fetch", "--no-pager", "--git-dir=/r", "-p"]), max_size=3
    ),
)
def test_options_before_a_command_of_git_do_not_change_it(line: tuple[str, ...], before: list[str]) -> None:
    """An operation stays one, with its branch; what is none stays none."""
    first, second = classify("git", line), classify("git", [*" ".join(before).split(), *line])
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        same = ("operation", "branch")
        assert [first.attributes.get(name) for name in same] == [second.attributes.get(name) for name in same]


@pytest.mark.parametrize("program", ["bd", "gt"])
def test_tables_and_known_words_agree(program: str) -> None:
    """A command of a table can be shown; an alias, a flag and a daemon belong to a command that is there."""
    table = TABLES[program]
    commands = {
        f"{above} {word}".strip() for above, names in table.COMMANDS.items() for word in names.split()
    }
    top = set(table.COMMANDS[""].split())
    assert {word for word in top if word not in SUBCOMMANDS[program].split()} == set()
    assert set(table.COMMANDS) - {""} <= commands
    for alias, name in table.ALIASES.items():
        assert alias not in commands
        assert f"{alias.rpartition(' ')[0]} {name}".strip() in commands
    assert set(table.SWITCHES) | set(table.LETTERS) | set(table.DAEMONS) <= commands
    for command, letters in table.LETTERS.items():
        assert all(len(pair.partition("=")[0]) == 1 for pair in letters.split()), command


def test_a_command_of_gt_is_shown_as_it_is_classified() -> None:
    """The registry shows known words alone, and these are known."""
    for above, names in gt_table.COMMANDS.items():
        for word in names.split():
            command = " ".join(f"{above} {word}".split()[:2])
            assert command_words("gt", command.split()) == command


def test_an_operation_of_git_is_a_command_that_is_known() -> None:
    """The same for git."""
    for operation in git_table.OPERATIONS:
        assert subcommand("git", [operation])[1] == operation
    assert set(git_table.VALUES) <= set(git_table.OPERATIONS)


def test_nothing_slow_is_loaded() -> None:
    """The tables are data, and what reads them imports no more than the fast path has."""
    here = Path(classify.__code__.co_filename).parent
    names = ["classify", "bd", "gt", "git", "cobra", "saying"]
    imports = [
        line.split()[1]
        for name in names
        for line in (here / f"{name}.py").read_text(encoding="utf-8").splitlines()
        if line.startswith(("import ", "from "))
    ]
    assert {name for name in imports if not name.startswith("gastown_tracing.shims")} == set()
