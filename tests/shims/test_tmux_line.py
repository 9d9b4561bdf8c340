"""tmux command lines are read as tmux reads them."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gastown_tracing.shims.tmux import keys as tmux_keys
from gastown_tracing.shims.tmux import line as tmux_line
from gastown_tracing.shims.tmux.line import parse, resolve, target
from tests.conftest import clean_environ
from tests.corpus import command_lines


def test_every_line_of_a_real_town_is_understood() -> None:
    """None is left aside, and each that is seen names the command that stands there."""
    for words in command_lines("tmux"):
        line = parse(words)
        assert line is not None, words
        assert [command.name for command in line.commands if command.name in map(resolve, words)]


@pytest.mark.parametrize(
    ("words", "server", "commands"),
    [
        (("new-session", "-d"), [], ["new-session"]),
        ((), [], ["new-session"]),
        (("-u",), [], ["new-session"]),
        (("-uLname", "ls"), ["-L", "name"], ["list-sessions"]),
        (("-L", "one", "-S", "/s", "-f", "/dev/null", "new"), ["-S", "/s"], ["new-session"]),
        (("-L", "one", "-Ltwo", "--", "kill-ser"), ["-L", "two"], ["kill-server"]),
        (
            ("new-s", "-d", ";", "setenv", "A", "b;", "send", "x"),
            [],
            ["new-session", "set-environment", "send-keys"],
        ),
        (("send", "-l", r"a\;", ";", "kill-session"), [], ["send-keys", "kill-session"]),
    ],
)
def test_lines(words: tuple[str, ...], server: list[str], commands: list[str]) -> None:
    """Options of tmux itself, its own aliases and prefixes, and sequences."""
    line = parse(words)
    assert line is not None
    assert (list(line.server), [command.name for command in line.commands]) == (server, commands)


@pytest.mark.parametrize(
    "words",
    [
        ("-V",),
        ("-c", "ls"),
        ("-L",),
        ("-Z", "ls"),
        ("set-h", "-Q"),
        ("s",),
        ("new", "-s"),
        ("no-such",),
        (";",),
    ],
)
def test_what_is_not_understood_is_no_line(words: tuple[str, ...]) -> None:
    """Then tmux gets it as it came, and nothing is recorded."""
    assert parse(words) is None


def test_flags_have_the_values_that_tmux_gives_them() -> None:
    """In one word, in the next one, in clusters, and more than once."""
    line = parse(("new-session", "-dP", "-sname", "-e", "A=b", "-eC=d", "--", "-x", "y"))
    assert line is not None
    (command,) = line.commands
    assert command.flags == {"d": [""], "P": [""], "s": ["name"], "e": ["A=b", "C=d"]}
    assert (list(command.words), command.at) == (["-x", "y"], 1)


def test_prefixes_are_resolved_as_tmux_does(tmux_socket: str) -> None:
    """Each beginning of each command means to us what it means to the tmux that is installed."""
    tmux = ["tmux", "-S", tmux_socket, "-f", "/dev/null"]
    subprocess.run([*tmux, "new-session", "-d", "sleep", "60"], env=clean_environ(), check=True)
    names = {*tmux_line.FLAGS, "has-session", "list-keys", "show-options"}
    for word in sorted({name[:length] for name in names for length in range(1, len(name) + 1)}):
        done = subprocess.run(
            [*tmux, word, "-!"], env=clean_environ(), capture_output=True, text=True, check=False
        )
        said = done.stderr.split()  # `command NAME: unknown flag -!`, or `ambiguous command: …`
        assert resolve(word) == (said[1].rstrip(":") if said[0] == "command" else ""), (word, said)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("de-rust", ("de-rust", "")),
        ("=de-rust", ("de-rust", "")),
        ("de-rust:", ("de-rust", "")),
        ("de-rust:^", ("de-rust", "")),
        ("=de-rust:0.0", ("de-rust", "")),
        ("de-rust:0.1", ("de-rust", "0.1")),
        ("de-rust:2", ("de-rust", "2")),
        ("de-rust.1", ("de-rust", ".1")),
        ("%7", ("", "%7")),
        ("$3", ("", "$3")),
        ("@2", ("", "@2")),
        ("{last}", ("", "{last}")),
        (":1", ("", ":1")),
        ("!", ("", "!")),
        ("*", ("", "*")),
    ],
)
def test_targets(text: str, found: tuple[str, str]) -> None:
    """The forms that gt writes name a session; what only tmux can resolve is left to it."""
    assert target(text) == found


@given(st.lists(st.text(st.characters(exclude_characters="\0"), max_size=8), max_size=8))
def test_nothing_raises(words: list[str]) -> None:
    """Whatever an agent types."""
    for name in ("", *tmux_line.FLAGS):
        line = parse([name, *words] if name else words)
        for command in line.commands if line else ():
            target(command.value("t"))
            if command.name == "send-keys":
                tmux_keys.read(command)


@given(st.lists(st.sampled_from(["a", ";", "b;", r"c\;", r"\;", "-d", "-t", "x y", ""]), max_size=10))
def test_a_sequence_is_cut_where_tmux_cuts_it(words: list[str]) -> None:
    """Each command of a sequence begins where its words begin."""
    line = parse(("has-session", *words))
    if line is not None:
        for command in line.commands:
            begin = ("has-session", *words)[command.at - 1]
            assert resolve(begin.removesuffix(";")) == command.name


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (("-l", "Enter", " now"), [("text", "Enter now")]),
        (("Enter",), [("sending", "")]),
        (("C-m",), [("sending", "")]),
        (
            ("hello", "Space", "you", "enter"),
            [("text", "hello"), ("text", " "), ("text", "you"), ("sending", "")],
        ),
        (("Escape", "C-u", "M-x", "F12", "S-Up", "Down"), [("key", "")] * 6),
        (("-H", "68", "0d"), [("text", "h"), ("sending", "")]),
        (("-X", "cancel"), []),
    ],
)
def test_keys(words: tuple[str, ...], keys: list[tuple[str, str]]) -> None:
    """Text, the names of keys, and what sends the text off."""
    line = parse(("send-keys", *words))
    assert line is not None
    assert tmux_keys.read(line.commands[0]) == keys


@pytest.mark.parametrize(
    ("words", "env", "path"),
    [
        (("-S", "/a/b", "ls"), {"TMUX": "/t,1,0"}, "/a/b"),
        (("-L", "x", "ls"), {"TMUX": "/t,1,0", "TMUX_TMPDIR": "/var"}, "/var/tmux-7/x"),
        (("ls",), {"TMUX": "/t,1,0"}, "/t"),
        (("ls",), {"TMUX_TMPDIR": "/var"}, "/var/tmux-7/default"),
    ],
)
def test_the_socket_is_where_tmux_has_it(words: tuple[str, ...], env: dict[str, str], path: str) -> None:
    """By path, by name, by TMUX, or the default one."""
    line = parse(words)
    assert line is not None
    assert line.socket(env, 7) == path
