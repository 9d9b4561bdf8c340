"""The command lines of a real town: each that its programs gave to bd, git, gt and tmux, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_FILE = Path(__file__).parent / "data" / "town-commands.jsonl"

#: Secrets in the forms of keys, tokens, passwords and words.
CANARIES = (
    "CANARY-secret",
    "canary-1a2b",
    "s3cr3t",
    "sk-abcdef0123456789",
    "ghp_0123456789abcdef",
    "hunter2",
    "p@ss:word",
    "clé-secrète-🗝",
    "xoxb-12",
)


@cache
def command_lines(program: str) -> tuple[tuple[str, ...], ...]:
    """Return the arguments, without the program, of each distinct command line of a program."""
    commands = [json.loads(line)["argv"] for line in _FILE.read_text(encoding="utf-8").splitlines()]
    return tuple(tuple(words[1:]) for words in commands if words[0] == program)


def with_canary(line: tuple[str, ...], canary: str) -> Iterator[tuple[str, ...]]:
    """Return a command line with a canary at every place and in every form that an argument can have."""
    for index in range(len(line) + 1):
        yield (*line[:index], canary, *line[index:])
        yield (*line[:index], f"-x{canary}", *line[index:])
    for index, word in enumerate(line):
        for changed in {canary, *_spoiled(word, canary)}:
            yield (*line[:index], changed, *line[index + 1 :])


def _spoiled(word: str, canary: str) -> Iterator[str]:
    """Return a word with a canary as, before, behind and inside of its value."""
    yield from (f"--{canary}", f"--{canary}={word}", f"{word}={canary}", f"{word[:2]}{canary}")
    yield from (f"{canary},{word}", f"{word},{canary}", f"{canary}:{word}", f"{word}:{canary}")
    yield from (f"{word}.{canary}", f"{word}{canary}", f"{canary}{word}", f"{word} {canary}")
    name, equals, value = word.rpartition("=")
    elements = value.split(",")
    for index, element in enumerate(elements):
        key, colon, _ = element.partition(":")
        for changed in (canary, f"{key}:{canary}" if colon else f"{canary}:{element}"):
            yield name + equals + ",".join([*elements[:index], changed, *elements[index + 1 :]])
