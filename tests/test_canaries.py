"""From end to end: what is secret in a command line or in what bd says is in no file of a journal."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest

from tests.api.programs import python
from tests.corpus import CANARIES, command_lines

Run = Callable[..., subprocess.CompletedProcess[str]]

#: Ask bd, as a program that imports the package would, and say what it answered.
PROGRAM = """
    import json, os
    import gastown_tracing

    provider = gastown_tracing.init()
    with open(os.environ["CALLS"]) as file:
        calls = json.load(file)
    for line, canary in calls:
        with gastown_tracing.bd_call(line) as call:
            call.set(exit_code=0, stdout=canary, stderr=canary)
    provider.shutdown()
"""


def spoiled(lines: tuple[tuple[str, ...], ...]) -> Iterator[tuple[list[str], str]]:
    """Return each line with a canary in the place, or behind the `=`, of each word; and that canary."""
    canaries = cycle(CANARIES)
    for line in lines:
        for index, word in enumerate(line):
            canary = next(canaries)
            flag, equals, _ = word.partition("=")
            yield [*line[:index], flag + equals + canary if equals else canary, *line[index + 1 :]], canary


def found(journal: Path, canaries: tuple[str, ...]) -> set[str]:
    """Return which canaries are in a file of the journal or in its name, as they are or as in JSON."""
    files = [path for path in journal.rglob("*") if path.is_file()]
    assert files
    text = "\n".join([*map(str, files), *(path.read_text(encoding="utf-8") for path in files)])
    return {canary for canary in canaries if canary in text or json.dumps(canary)[1:-1] in text}


@pytest.mark.parametrize("gate", ["", "true"])
def test_bd_calls_of_a_program(env: dict[str, str], tmp_path: Path, journal_root: Path, gate: str) -> None:
    """All bd calls of a town, a secret in each place of each: only GT_LOG_BD_OUTPUT lets it in."""
    calls = list(spoiled(command_lines("bd")))
    assert len(calls) > 500
    file = tmp_path / "calls.json"
    file.write_text(json.dumps(calls))
    python(PROGRAM, {**env, "GT_LOG_BD_OUTPUT": gate, "CALLS": str(file)})
    spans = [line for path in journal_root.rglob("traces.jsonl") for line in path.read_bytes().splitlines()]
    assert len(spans) == len(calls)
    assert found(journal_root, CANARIES) == (set(CANARIES) if gate else set())


#: Record bd's calls from their command lines as text.
TEXT_PROGRAM = """
    import json, os, shlex
    import gastown_tracing

    provider = gastown_tracing.init()
    with open(os.environ["CALLS"]) as file:
        calls = json.load(file)
    for line, canary in calls:
        gastown_tracing.record("bd.call", args=shlex.join(line))
        gastown_tracing.record("bd.call", args=" ".join(line) + " '", subcommand=canary)
        gastown_tracing.record("gt.command", command=" ".join(["mail", canary]))
        gastown_tracing.record("git.operation", operation=canary, path="https://u:" + canary + "@host/x")
    provider.shutdown()
"""


def test_command_lines_as_text(env: dict[str, str], tmp_path: Path, journal_root: Path) -> None:
    """The same, given as one text, whole or with a quote that is never closed; and where labels come from."""
    calls = list(spoiled(command_lines("bd")))[::7]
    file = tmp_path / "calls.json"
    file.write_text(json.dumps(calls))
    python(TEXT_PROGRAM, {**env, "CALLS": str(file)})
    spans = [line for path in journal_root.rglob("traces.jsonl") for line in path.read_bytes().splitlines()]
    assert len(spans) == 4 * len(calls)
    assert found(journal_root, CANARIES) == set()


def test_a_command_line_typed_as_text(gt_trace: Run, env: dict[str, str], journal_root: Path) -> None:
    """A reason in quotes is one value, and so no word of it stands where an id may."""
    line = 'close de-1 --reason "password is pw-hunt3r now"'
    assert gt_trace("event", "bd.call", f"args={line}", env=env).returncode == 0
    assert found(journal_root, ("pw-hunt3r", "close de-1 --reason ‹25 bytes›")) == {
        "close de-1 --reason ‹25 bytes›"
    }


def test_what_no_opt_in_lets_in(
    gt_trace: Run, env: dict[str, str], tmp_path: Path, journal_root: Path
) -> None:
    """The values of variables, and userinfo and query of URLs: from a shell and from a program."""
    bd = tmp_path / "bd"
    bd.write_text("#!/bin/sh\n")
    bd.chmod(0o755)
    line = ["list", "-e", "TOKEN=hunter2", "--url", "https://u:hunter2@host/x?t=hunter2", "and all else"]
    said = {**env, "GT_LOG_BD_OUTPUT": "true"}
    assert gt_trace("exec", "--event", "bd.call", "--", str(bd), *line, env=said).returncode == 0
    assert gt_trace("event", "bd.call", f"args={shlex.join(line)}", env=said).returncode == 0
    file = tmp_path / "calls.json"
    file.write_text(json.dumps([(line, "")]))
    python(PROGRAM, {**said, "CALLS": str(file)})
    shown = "list -e TOKEN=‹7 bytes› --url https://host/x and all else"
    assert found(journal_root, ("hunter2", shown)) == {shown}
    text = "".join([path.read_text() for path in journal_root.rglob("traces.jsonl")])
    assert text.count(shown) == 3


@pytest.mark.parametrize("gate", ["", "true"])
def test_traced_bd_commands(
    gt_trace: Run, env: dict[str, str], tmp_path: Path, journal_root: Path, gate: str
) -> None:
    """Real commands, secrets in their arguments, output and environment: the gate lets in arguments alone."""
    bd = tmp_path / "bd"
    bd.write_text('#!/bin/sh\necho "$OUTPUT" "$@"\necho "$OUTPUT" >&2\n')
    bd.chmod(0o755)
    said = {**env, "GT_LOG_BD_OUTPUT": gate, "OUTPUT": "CANARY of the output"}
    calls = list(spoiled(command_lines("bd")))[::23]  # no multiple of the canaries' number
    assert {canary for _, canary in calls} == set(CANARIES)
    for line, canary in calls:
        done = gt_trace("exec", "--event", "bd.call", "--", str(bd), *line, env=said)
        assert done.returncode == 0
        assert canary in done.stdout
    assert found(journal_root, (*CANARIES, said["OUTPUT"])) == (set(CANARIES) if gate else set())
    assert os.listdir(journal_root / "loose")
