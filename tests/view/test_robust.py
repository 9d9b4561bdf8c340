"""Around `gt-trace` something is broken: a stream closed or full, a directory gone. One line says so."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from view_kit import Book, a_day

Run = Callable[..., subprocess.CompletedProcess[str]]
GT_TRACE = f"{shlex.quote(sys.executable)} -m gastown_tracing.cli"


@pytest.fixture
def shell(env: dict[str, str], journal_root: Path) -> Run:
    """Return a function that runs a shell line, `$GT` being `gt-trace`, over a journal with a session."""
    a_day(journal_root)

    def run(line: str) -> subprocess.CompletedProcess[str]:
        words = ["sh", "-c", line.replace("$GT", GT_TRACE)]
        return subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)

    return run


def one_line(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check that a command failed with nothing but one line on stderr, which holds `words`."""
    assert done.returncode == code, done
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("gt-trace")
    assert all(word in done.stderr for word in words), done.stderr


@pytest.mark.parametrize(
    "command", ["ls", "ls --json", "view", "view --json", "stats", "env", "--version", "--help"]
)
def test_a_closed_standard_output_is_one_line(shell: Run, command: str) -> None:
    """What was to be printed has nowhere to go: exit code 1."""
    one_line(shell(f"$GT {command} >&-"), 1, "Bad file descriptor")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("command", ["ls", "view", "stats", "env", "--version", "--help", "view --help"])
def test_a_full_standard_output_is_one_line(shell: Run, command: str) -> None:
    """The system's own words for it, exit code 1."""
    one_line(shell(f"$GT {command} >/dev/full"), 1, "No space left on device")


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_other_closed_streams_do_not_matter_to_what_is_printed(shell: Run, closed: str) -> None:
    """Without standard input, error or both, the sessions are listed."""
    done = shell(f"$GT ls {closed}")
    assert done.returncode == 0
    assert "gt-gastown-toast" in done.stdout


def test_with_every_stream_closed_no_file_takes_their_numbers(shell: Run, journal_root: Path) -> None:
    """Nothing is printed into a file of the journal that was opened meanwhile."""
    before = {path: path.read_bytes() for path in journal_root.rglob("*") if path.is_file()}
    assert shell("$GT view --logs <&- >&- 2>&-").returncode == 1
    assert before == {path: path.read_bytes() for path in journal_root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", ["ls", "view", "stats", "purge --yes latest", "env"])
def test_a_relative_journal_in_a_deleted_directory_is_one_line(
    shell: Run, tmp_path: Path, command: str
) -> None:
    """It says which path was meant, and what to do."""
    gone = tmp_path / "gone"
    done = shell(f"mkdir {gone} && cd {gone} && rmdir {gone} && $GT {command} --journal there")
    one_line(done, 2, "there", "working directory is gone", "full path")


@pytest.mark.parametrize("since", ["999999999w", "999999999d", "0001-01-02"])
@pytest.mark.parametrize("command", ["ls --loose", "stats --loose"])
def test_since_before_all_time_is_since_the_beginning(
    journal_root: Path, gt_trace: Run, command: str, since: str
) -> None:
    """However long ago, everything is meant."""
    book = Book(journal_root, run="")
    book.span("exec", 1, 2, parent="", attributes={"name": "make"})
    done = gt_trace(*command.split(), "--since", since)
    assert (done.returncode, done.stderr) == (0, "")
    assert "make" in done.stdout or "exec" in done.stdout


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["stats", "--since"], "gt-trace stats"),
        (["view", "--slowest"], "gt-trace view"),
        (["session", "start", "--role"], "gt-trace session start"),
        (["--nothing"], "gt-trace"),
    ],
)
def test_a_wrong_use_names_the_command_that_helps(gt_trace: Run, words: list[str], named: str) -> None:
    """A value that is missing too: click itself does not say of which command."""
    done = gt_trace(*words)
    one_line(done, 2, f"{named}: ", f"see {named} --help")
