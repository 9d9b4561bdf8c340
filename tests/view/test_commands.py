"""`gt-trace ls`, `view`, `stats` and `purge` as whole processes: what they print, how they fail."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from view_kit import OTHER, RUN, Book, a_day

from tests.conftest import clean_environ

Run = Callable[..., subprocess.CompletedProcess[str]]
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def book(journal_root: Path) -> Book:
    """A journal with one whole session and the mayor's, which is open."""
    return a_day(journal_root)


def contents(root: Path) -> dict[str, tuple[int, int]]:
    """Return every file and directory under a journal with its size and time of change."""
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in root.rglob("*")}


def failed(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check that a command failed with one line on stderr that says why and what next."""
    assert done.returncode == code
    assert done.stdout == ""
    line = done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    "name", [RUN, RUN[:6], "3F2504E0-4F89-41D3-9A0C-0305E82C3301", "gt-gastown-toast", "gt-abc", "latest"]
)
def test_view_finds_a_session_by_whatever_names_it(book: Book, gt_trace: Run, name: str) -> None:
    """A run id in any form or its first digits, a session, a bead, latest."""
    done = gt_trace("view", name, "--width", "80", "--color", "never")
    assert done.returncode == 0, done.stderr
    assert f"run {RUN}" in done.stdout


def test_view_prints_what_the_golden_file_has(book: Book, gt_trace: Run, env: dict[str, str]) -> None:
    """The command draws what the renderer draws; without a terminal there is no colour."""
    done = gt_trace("view", RUN, "--width", "160", env={**env, "TZ": "UTC"})
    assert done.stdout == (GOLDEN / "day-160-utf8.txt").read_text()


@pytest.mark.parametrize(
    ("settings", "options", "coloured"),
    [
        ({}, [], False),
        ({}, ["--color", "always"], True),
        ({"FORCE_COLOR": "1"}, [], True),
        ({"FORCE_COLOR": "0"}, [], False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, [], False),
        ({"NO_COLOR": "1"}, ["--color", "always"], True),
        ({"FORCE_COLOR": "1"}, ["--color", "never"], False),
    ],
)
def test_colour_obeys_option_then_environment(
    *,
    book: Book,
    gt_trace: Run,
    env: dict[str, str],
    settings: dict[str, str],
    options: list[str],
    coloured: bool,
) -> None:
    """--color goes before NO_COLOR, NO_COLOR before FORCE_COLOR, that before the terminal."""
    done = gt_trace("view", *options, env={**env, **settings})
    assert ("\x1b[" in done.stdout) is coloured


@pytest.mark.parametrize(
    ("locale", "options", "ascii_only"),
    [
        ({"LC_ALL": "C.UTF-8"}, [], False),
        ({"LC_ALL": "C"}, [], True),
        ({"LC_ALL": "", "LC_CTYPE": "", "LANG": "C"}, [], True),
        ({"LC_ALL": "C.UTF-8"}, ["--ascii"], True),
        ({"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "latin-1"}, [], True),
    ],
)
def test_charset_obeys_option_and_locale(
    *,
    book: Book,
    gt_trace: Run,
    env: dict[str, str],
    locale: dict[str, str],
    options: list[str],
    ascii_only: bool,
) -> None:
    """Where the locale is not UTF-8, or --ascii says so, only ASCII is printed."""
    done = gt_trace("view", *options, env={**env, **locale})
    assert done.returncode == 0
    assert done.stdout.isascii() is ascii_only


def test_reading_never_writes_into_the_journal(book: Book, gt_trace: Run, tmp_path: Path) -> None:
    """ls, view in all its forms and stats leave every file as it was."""
    book.marker("bd.call", 2, live=False, died=3)
    root = Path(book.journal.root)
    before = contents(root)
    for command in (
        ["ls", "--loose"],
        ["view"],
        ["view", "--json", "--logs"],
        ["stats"],
        ["view", "--html", str(tmp_path / "x.html")],
    ):
        assert gt_trace(*command).returncode == 0
    assert contents(root) == before


def test_a_pipe_that_is_closed_early_ends_quietly(book: Book, env: dict[str, str]) -> None:
    """`gt-trace view | head -1` prints its line, says nothing on stderr and ends with 141."""
    for number in range(3_000):
        book.span("exec", 2, 3, attributes={"name": f"step {number}"})
    command = [sys.executable, "-m", "gastown_tracing.cli", "view", RUN, "--all"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"gt-gastown-toast")
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


def test_a_full_disk_is_one_line(book: Book, env: dict[str, str]) -> None:
    """Output that cannot be written is said once, with no traceback."""
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "gastown_tracing.cli", "view", RUN]
        done = subprocess.run(
            command, env=env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "gt-trace: cannot write: No space left on device\n"


def test_mistakes_are_one_line_that_says_what_next(book: Book, gt_trace: Run, tmp_path: Path) -> None:
    """Nothing by that name, no journal, an impossible time, options that exclude each other."""
    failed(gt_trace("view", "nobody"), 1, "nobody", "gt-trace ls")
    failed(gt_trace("view", "--journal", str(tmp_path / "none")), 1, "no journal", "gt-trace demo")
    failed(gt_trace("ls", "--since", "yesterday"), 2, "yesterday", "2h")
    failed(gt_trace("view", "--json", "--follow"), 2, "--json")
    failed(gt_trace("view", "--html", "/nowhere/x.html"), 1, "cannot write", "--html")
    failed(gt_trace("stats", "nobody"), 1, "nobody")
    failed(gt_trace("purge", "nobody", "--yes"), 1, "nobody")
    failed(gt_trace("view", "--depth", "-1"), 2, "depth")


def test_ls_lists_the_newest_first_in_words(book: Book, gt_trace: Run) -> None:
    """State, session, role, rig, bead, spans, errors and run of each session."""
    done = gt_trace("ls")
    lines = done.stdout.splitlines()
    assert lines[0].split() == [
        "STATE",
        "SESSION",
        "ROLE",
        "RIG",
        "AGENT",
        "BEAD",
        "STARTED",
        "TOOK",
        "SPANS",
        "ERRORS",
        "RUN",
        "REASON",
    ]
    assert re.fullmatch(
        r"ended +gt-gastown-toast +polecat +gastown +toast +gt-abc +.* 12m 42s +96 +3 +3f2504e0 +done",
        lines[1],
    )
    assert re.fullmatch(r"unknown +hq-mayor +mayor .*1b4e28ba", lines[2])


def test_ls_fits_80_columns_and_says_everything_in_json(book: Book, gt_trace: Run) -> None:
    """Narrow, the least important columns go; --json has all of it, the whole run id too."""
    lines = gt_trace("ls", "--width", "80").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "ERRORS" in lines[0]
    rows = [json.loads(line) for line in gt_trace("ls", "--json").stdout.splitlines()]
    assert [row["run_id"] for row in rows] == [RUN, OTHER]
    assert rows[0]["bead"] == "gt-abc"
    assert rows[0]["errors"] == 3


def test_ls_and_stats_choose_by_agent_rig_bead_and_time(book: Book, gt_trace: Run) -> None:
    """--agent, --rig, --bead and --since keep what they name; a bead of a later prime counts too."""
    (book.directory / "work.jsonl").write_text(
        '{"time_unix_nano":"1795000001000000000","rig":"gastown","bead":"gt-xyz","mol":"","build":"","source":"prime"}\n'
    )

    def runs(*options: str) -> list[str]:
        return [
            json.loads(line)["session"] for line in gt_trace("ls", "--json", *options).stdout.splitlines()
        ]

    assert (
        runs("--agent", "toast")
        == runs("--rig", "gastown")
        == runs("--bead", "gt-abc")
        == ["gt-gastown-toast"]
    )
    assert runs("--agent", "mayor") == ["hq-mayor"]
    assert runs("--since", "1h") == ["gt-gastown-toast", "hq-mayor"]
    assert runs("--rig", "elsewhere") == runs("--since", "2999-01-01") == []
    assert '"bd.call list"' not in gt_trace("stats", "--json", "--agent", "mayor").stdout


def test_ls_shows_commands_outside_any_session_on_request(journal_root: Path, gt_trace: Run) -> None:
    """--loose adds them, with the id by which view shows them."""
    book = Book(journal_root, "")
    trace = "c0ffee" + "1" * 26
    book.append(
        "traces.jsonl",
        book.line(
            "gt.command", 0, 2, "", error="no such rig", attributes={"command": "sling"}, trace_id=trace
        ),
    )
    assert "sling" not in gt_trace("ls").stdout
    listed = gt_trace("ls", "--loose").stdout
    assert re.search(r"gt sling +\S+ \S+ +2\.0 s +1 +1 +c0ffee11", listed)
    shown = gt_trace("view", "c0ffee11").stdout
    assert shown.startswith("outside any session")
    assert "no such rig" in shown


def test_ls_keeps_to_the_newest_unless_all_are_asked_for(journal_root: Path, gt_trace: Run) -> None:
    """Thirty sessions are listed and the rest counted; --all lists them all."""
    for number in range(35):
        Book(journal_root / "x", f"{number + 1:032x}")
        os.makedirs(journal_root / "runs", exist_ok=True)
        os.rename(
            journal_root / "x" / "runs" / f"{number + 1:032x}", journal_root / "runs" / f"{number + 1:032x}"
        )
        for name in ("VERSION", "on"):
            os.replace(journal_root / "x" / name, journal_root / name)
        os.rmdir(journal_root / "x" / "runs")
        os.rmdir(journal_root / "x")
    done = gt_trace("ls")
    assert len(done.stdout.splitlines()) == 31
    assert "5 older" in done.stderr
    assert len(gt_trace("ls", "--all").stdout.splitlines()) == 36


def test_stats_counts_and_takes_nearest_rank_percentiles(journal_root: Path, gt_trace: Run) -> None:
    """Of 1, 2, … 100 ms, P50 is 50, P95 is 95 and P99 is 99 ms, and the total 5,050."""
    book = Book(journal_root)
    for number in range(1, 101):
        book.span(
            "bd.call", 1, 1 + number / 1000, error="exit 1" if number % 10 == 0 else None, subcommand="list"
        )
    book.span("git.operation", 1, 1.5, operation="push")
    found = json.loads(gt_trace("stats", "--json").stdout)
    assert found[0] == {
        "operation": "bd.call list", "count": 100, "errors": 10,
        "p50_ns": 50_000_000, "p95_ns": 95_000_000, "p99_ns": 99_000_000, "total_ns": 5_050_000_000,
    }  # fmt: skip
    lines = gt_trace("stats", "latest").stdout.splitlines()
    assert lines[1].split() == [
        "bd.call",
        "list",
        "100",
        "10",
        "50",
        "ms",
        "95",
        "ms",
        "99",
        "ms",
        "5.0",
        "s",
    ]
    assert lines[2].split()[:2] == ["git.operation", "1"]


def test_purge_removes_a_run_wherever_it_lies(book: Book, gt_trace: Run) -> None:
    """runs/ and closed/ are emptied of it, and one line says so; nothing else is touched."""
    root = Path(book.journal.root)
    closed = root / "closed" / "2026-11-18" / RUN
    closed.mkdir(parents=True)
    (closed / "traces.jsonl").write_text("")
    done = gt_trace("purge", RUN[:8], "--yes")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"removed run 3f2504e0 \(gt-gastown-toast\): \d\.\d MB\n", done.stdout)
    assert not book.directory.exists()
    assert not closed.exists()
    assert (root / "runs" / OTHER).exists()


def test_purge_asks_first_and_takes_no_for_an_answer(book: Book, gt_trace: Run) -> None:
    """Without --yes it asks; anything but yes, and nobody there to ask, keeps the run."""
    for answer in ("n\n", ""):
        done = gt_trace("purge", RUN, input=answer)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert book.directory.exists()
    assert gt_trace("purge", RUN, input="y\n").returncode == 0
    assert not book.directory.exists()


def test_purge_keeps_what_may_still_live_unless_forced(book: Book, gt_trace: Run) -> None:
    """An open session that nobody can ask is not removed; --force removes it."""
    failed(gt_trace("purge", OTHER, "--yes"), 1, "has not ended", "--force")
    assert gt_trace("purge", OTHER, "--yes", "--force").returncode == 0
    assert not (Path(book.journal.root) / "runs" / OTHER).exists()


def test_purge_follows_no_symbolic_link_out_of_the_journal(book: Book, gt_trace: Run, tmp_path: Path) -> None:
    """A run, or a parent of it, that is a link elsewhere: what it points to stays as it is."""
    outside = tmp_path / "precious"
    (outside / RUN).mkdir(parents=True)
    (outside / RUN / "keep.txt").write_text("here")
    inner = book.directory / "open"
    inner.symlink_to(outside)
    closed = Path(book.journal.root) / "closed"
    closed.mkdir()
    (closed / "2026-11-18").symlink_to(outside)
    gt_trace("purge", RUN, "--yes")
    assert (outside / RUN / "keep.txt").read_text() == "here"
    (closed / "2026-11-18").unlink()
    if book.directory.exists():
        assert gt_trace("purge", RUN, "--yes").returncode == 0
    assert not book.directory.exists()
    assert (outside / RUN / "keep.txt").read_text() == "here"


def test_ten_thousand_spans_are_drawn_right(journal_root: Path, gt_trace: Run) -> None:
    """A run of 10,000 calls folds into a few lines; with --all each has its own."""
    book = Book(journal_root)
    lines = [
        book.line(
            "bd.call",
            number / 100,
            number / 100 + 0.005,
            "9a0c0305e82c3301",
            attributes={"subcommand": "list"},
        )
        for number in range(10_000)
    ]
    (book.directory / "traces.jsonl").write_text("\n".join(lines) + "\n")
    book.close(100)
    folded = gt_trace("view", "--width", "80").stdout
    assert "bd list \N{MULTIPLICATION SIGN}10000" in folded
    assert "10001 spans" in folded
    assert len(gt_trace("view", "--all").stdout.splitlines()) == 10_001 + 5


def test_the_help_of_each_command_documents_its_exit_codes() -> None:
    """--help of all four says what 0, 1 and 2 mean."""
    for name in ("ls", "view", "stats", "purge"):
        command = [sys.executable, "-m", "gastown_tracing.cli", name, "--help"]
        done = subprocess.run(
            command, env=clean_environ(), capture_output=True, text=True, timeout=60, check=True
        )
        assert "Exit codes: 0" in done.stdout
