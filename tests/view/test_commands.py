"""`gt-trace ls`, `view`, `stats` and `purge` as whole processes: what they print, how they fail."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from view_kit import OTHER, RUN, Book, a_day, at

from gastown_tracing.hooks import agents
from gastown_tracing.journal import otlp, writer
from gastown_tracing.journal.layout import create, default_root
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
    failed(gt_trace("view", "--journal", str(tmp_path / "none")), 1, f"{tmp_path / 'none'} is no journal")
    failed(gt_trace("ls", "--since", "yesterday"), 2, "yesterday", "2h")
    failed(gt_trace("view", "--json", "--follow"), 2, "--json")
    failed(gt_trace("view", "--html", "/nowhere/x.html"), 1, "cannot write", "--html")
    failed(gt_trace("stats", "nobody"), 1, "nobody")
    failed(gt_trace("purge", "nobody", "--yes"), 1, "nobody")
    failed(gt_trace("view", "--depth", "-1"), 2, "depth")


def test_without_a_journal_the_hint_makes_one(gt_trace: Run, journal_root: Path, env: dict[str, str]) -> None:
    """What the one line says, done in a shell, is all that it takes."""
    done = gt_trace("ls")
    failed(done, 1, f"no journal at {journal_root}: ")
    (hint,) = re.findall("`(.*)`", done.stderr)
    words = hint.replace("gt-trace", f"{sys.executable} -m gastown_tracing.cli")
    subprocess.run(["sh", "-c", words], env=env, check=True, timeout=60, capture_output=True)
    assert gt_trace("ls").returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        ["view", "--html", "--logs"],
        ["view", "--html", ""],
        ["view", "--journal", "--json"],
        ["ls", "--journal", ""],
        ["ls", "--agent", "--all"],
        ["stats", "--since", "--json"],
    ],
)
def test_an_option_is_no_value(book: Book, gt_trace: Run, words: list[str], tmp_path: Path) -> None:
    """What stands where a value is missing is not taken for one; nothing is written."""
    failed(
        gt_trace(*words, cwd=tmp_path), 2, f"gt-trace {words[0]}: ", words[1], f"gt-trace {words[0]} --help"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


def test_ls_lists_no_run_that_only_a_hook_has_noted(gt_trace: Run, journal_root: Path) -> None:
    """It comes with its first span, though nobody saw it begin; until then only --all lists it."""
    journal = create(str(journal_root))
    agents.begins(journal, RUN, "an-agents-session", {})
    done = gt_trace("ls")
    assert (done.stdout, "no session has been recorded yet" in done.stderr) == ("", True)
    assert len(json.loads(gt_trace("ls", "--all", "--json").stdout)) == 1
    resource = otlp.encode_resource({"service.name": "bd"})
    line = otlp.spans_line(resource, [otlp.Span(RUN, "1" * 16, name="bd.call", start_ns=1, end_ns=2)])
    writer.append(journal.run_dir(RUN), "traces", line)
    assert [row["run_id"] for row in json.loads(gt_trace("ls", "--json").stdout)] == [RUN]


def test_outside_a_town_the_journals_of_towns_are_named(
    gt_trace: Run, env: dict[str, str], tmp_path: Path
) -> None:
    """At most three of those beside the one that is not there, with their towns where they are known."""
    here = {**env, "GT_OTEL_JOURNAL": "", "HOME": str(tmp_path)}
    failed(gt_trace("ls", env=here, cwd=tmp_path), 1, "gt-trace env")
    town = str(tmp_path / "gt")
    journal = create(default_root(here, town))
    agents.begins(journal, RUN, "an-agents-session", {})
    Path(journal.run_dir(RUN), "run.json").write_text(json.dumps({"town_root": town}))
    failed(
        gt_trace("ls", env=here, cwd=tmp_path), 1, f"journals here: {Path(journal.root).name} ({town}): cd"
    )
    for number in range(4):
        create(f"{Path(journal.root).parent}/other-{number}")
    failed(gt_trace("view", env=here, cwd=tmp_path), 1, ", 2 more: cd there, or --journal DIR")


def test_stats_says_that_there_is_more_outside_sessions(
    book: Book, gt_trace: Run, journal_root: Path
) -> None:
    """Where commands outside any session were recorded in the time asked for, and only there."""
    loose = gt_trace("stats", "--since", "1h").stderr + gt_trace("stats", "--loose").stderr
    assert "without the commands" not in loose
    journal = create(str(journal_root))
    now = time.time_ns()
    span = otlp.Span("f" * 32, "1" * 16, name="sling", start_ns=now, end_ns=now + 1)
    line = otlp.spans_line(otlp.encode_resource({"service.name": "gt"}), [span])
    writer.append(journal.loose_dir(now), "traces", line)
    assert "--loose counts them" in gt_trace("stats").stderr
    assert "--loose counts them" not in gt_trace("stats", "--loose").stderr
    assert gt_trace("stats", "--json").stderr == ""


@pytest.mark.parametrize("command", ["stats", "view", "ls"])
def test_a_missing_value_names_its_command(gt_trace: Run, command: str) -> None:
    """The one line says which command's help to read."""
    option = "--html" if command == "view" else "--since"
    failed(gt_trace(command, option), 2, f"gt-trace {command}: ", option, f"see gt-trace {command} --help")
    failed(gt_trace("session", "start", "--role"), 2, "gt-trace session start: ")


def test_the_page_goes_to_standard_output_on_request(book: Book, gt_trace: Run, tmp_path: Path) -> None:
    """`--html -` prints the page and nothing else."""
    done = gt_trace("view", RUN, "--html", "-", cwd=tmp_path)
    assert done.stdout.startswith("<!doctype html>")
    assert done.stdout.rstrip().endswith("</html>")
    assert done.stderr == ""
    assert not (tmp_path / "-").exists()


def test_the_beginning_of_an_id_takes_four_digits_and_one_meaning(book: Book, gt_trace: Run) -> None:
    """Fewer digits, and digits that begin several ids, are said to be that, with which there are."""
    Book(Path(book.journal.root), RUN[:8] + "f" * 24, {"session": "gt-other"})
    failed(gt_trace("view", RUN[:3]), 1, f"'{RUN[:3]}'", "at least 4 digits")
    several = gt_trace("view", RUN[:6])
    failed(several, 1, f"'{RUN[:6]}' begins 2 runs", "gt-gastown-toast", "gt-other", "more digits")
    assert RUN[:9] in several.stderr
    assert "at least 4" in gt_trace("view", "--help").stdout


def test_two_traces_outside_any_session_can_begin_alike(journal_root: Path, gt_trace: Run) -> None:
    """Then more digits are asked for."""
    book = Book(journal_root, "")
    for last in "12":
        book.append("traces.jsonl", book.line("exec", 0, 1, "", trace_id="c0ffee" + last * 26))
    failed(gt_trace("view", "c0ffee"), 1, "begins 2 traces", "more digits")


def test_an_empty_choice_says_what_left_nothing(book: Book, gt_trace: Run) -> None:
    """Filters are named as they were given; without one nothing has been recorded."""
    assert gt_trace("ls", "--agent", "Nobody", "--since", "1h").stderr == (
        "gt-trace: none of 2 sessions matches --agent Nobody --since 1h; "
        "--loose lists commands outside any session\n"
    )
    assert (
        gt_trace("stats", "--rig", "x").stderr
        == "gt-trace: no call that has ended matches --rig x; --loose counts commands outside any session\n"
    )
    later = gt_trace("stats", "hq-mayor", "--since", "2999-01-01").stderr
    assert later == "gt-trace: no call of hq-mayor that has ended matches --since 2999-01-01\n"
    for command in ("ls", "stats"):
        assert gt_trace(command, "--rig", "x", "--json").stdout == "[]\n"


def test_an_empty_journal_says_so(journal_root: Path, gt_trace: Run) -> None:
    """No session, no call, one line each."""
    Book(journal_root, "")
    loose = "commands outside any session\n"
    assert gt_trace("ls").stderr == f"gt-trace: no session has been recorded yet; --loose lists {loose}"
    assert gt_trace("stats").stderr == (
        f"gt-trace: no call that has ended has been recorded yet; --loose counts {loose}"
    )


def test_lists_in_json_are_arrays_of_a_line_an_object(book: Book, gt_trace: Run) -> None:
    """ls and stats print one JSON array, each object on a line of its own."""
    for command in ("ls", "stats"):
        said = gt_trace(command, "--json").stdout
        assert len(json.loads(said)) == len(said.splitlines()) > 1
        assert all(json.loads(line.strip("[],")) for line in said.splitlines())


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


def test_ls_and_view_count_alike(journal_root: Path, gt_trace: Run) -> None:
    """An open run's root, calls in progress or cut off, and failures that an agent's exporter spells."""
    run = Book(journal_root)
    run.span("claude_code.tool", 1, 2, error='"code" {1}')
    path = run.directory / "traces.jsonl"
    ours = json.dumps({"code": 2, "message": '"code" {1}'}, separators=(",", ":"))
    theirs = json.dumps({"message": '"code" {1}', "code": 2}, separators=(",", ":"))
    assert ours in path.read_text()
    path.write_text(path.read_text().replace(ours, theirs))
    run.marker("gt.command", 3, live=True, command="mail check")
    run.marker("bd.call", 4, live=False, died=5, subcommand="list")
    spans = len(path.read_text().splitlines()) + 3
    (row,) = json.loads(gt_trace("ls", "--json").stdout)
    assert (row["spans"], row["errors"]) == (spans, 2)
    assert f"· {spans} spans · 2 errors · 1 in progress" in gt_trace("view", RUN).stdout


def test_ls_fits_80_columns_and_says_everything_in_json(book: Book, gt_trace: Run) -> None:
    """Narrow, the least important columns go; --json has all of it, the whole run id too."""
    lines = gt_trace("ls", "--width", "80").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "ERRORS" in lines[0]
    rows = json.loads(gt_trace("ls", "--json").stdout)
    assert [row["run_id"] for row in rows] == [RUN, OTHER]
    assert rows[0]["bead"] == "gt-abc"
    assert rows[0]["errors"] == 3


def test_a_length_whose_end_nobody_saw_is_a_minimum(
    book: Book, gt_trace: Run, env: dict[str, str], tmp_path: Path
) -> None:
    """A session found dead later took at least so long: in ls, in view and on the page, with the evidence."""
    book.close(20, "lost", **{"gastown.evidence": "its process 7 is gone"})
    line = gt_trace("ls").stdout.splitlines()[1]
    assert re.search(r"ended .* ≥ 20\.0 s .* lost", line)
    assert ">= 20.0 s" in gt_trace("ls", "--ascii").stdout
    row = json.loads(gt_trace("ls", "--json").stdout)[0]
    assert (row["duration_ns"], row["end_known"]) == (20 * 10**9, False)
    shown = gt_trace("view", RUN, "--width", "120").stdout
    assert "· found dead later: its process 7 is gone" in shown
    assert "· ≥ 20.0 s ·" in shown
    gt_trace("view", RUN, "--html", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    assert '["Took","\\u2265 20.0 s",""]' in page
    assert "Found dead later: its process 7 is gone." in page
    book.close(20, "lost", **{"gastown.end_time.known": True})
    assert "≥" not in gt_trace("ls").stdout.splitlines()[1]


def test_a_session_that_cannot_be_asked_has_lasted_to_its_last_sign_of_life(
    book: Book, gt_trace: Run
) -> None:
    """What is not known to live does not grow with the clock."""
    for path in Path(book.journal.root, "runs", OTHER).iterdir():
        os.utime(path, ns=(at(40), at(40)))
    assert re.search(r"unknown .* ≥ 1m 00s ", gt_trace("ls").stdout)
    shown = gt_trace("view", "hq-mayor").stdout
    assert "≥ 1m 00s" in shown
    assert " live" not in shown


def test_a_run_that_nothing_describes_has_no_made_up_times(journal_root: Path, gt_trace: Run) -> None:
    """Without run.json the start is that of the earliest record; without a record it is not known."""
    stub = Book(journal_root, "e" * 32)
    (stub.directory / "run.json").write_text("")
    empty = Book(journal_root, "d" * 32)
    (empty.directory / "run.json").unlink()
    for name, write in {
        "a" * 32: lambda book: book.span("exec", 5, 6),
        "b" * 32: lambda book: book.log("prime", 5, ""),
        "c" * 32: lambda book: book.marker("exec", 5, live=True),
    }.items():
        book = Book(journal_root, name)
        (book.directory / "run.json").unlink()
        write(book)
    rows = {row["run_id"][0]: row for row in json.loads(gt_trace("ls", "--all", "--json").stdout)}
    assert {name: row["start_ns"] for name, row in rows.items()} == {
        "a": at(5), "b": at(5), "c": at(5), "d": None, "e": None,
    }  # fmt: skip
    assert (rows["e"]["start"], rows["e"]["duration_ns"]) == (None, None)
    shown = gt_trace("ls", "--all").stdout.splitlines()
    lines = [line for line in shown if re.search("eeee|dddd", line)]
    assert [line.split()[:3] for line in lines] == [["unknown", "?", "?"]] * 2
    shown = gt_trace("view", "e" * 32).stdout
    assert shown.startswith("a session that nothing describes\n")
    assert "start not known · ? ·" in shown


def test_ls_and_stats_choose_by_agent_rig_bead_and_time(book: Book, gt_trace: Run) -> None:
    """--agent, --rig, --bead and --since keep what they name; a bead of a later prime counts too."""
    (book.directory / "work.jsonl").write_text(
        '{"time_unix_nano":"1795000001000000000","rig":"gastown","bead":"gt-xyz","mol":"","build":"","source":"prime"}\n'
    )

    def runs(*options: str) -> list[str]:
        return [row["session"] for row in json.loads(gt_trace("ls", "--json", *options).stdout)]

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
    for number in range(34):
        line = book.line(
            "bd.call", 3, 4, "", attributes={"subcommand": "list"}, trace_id=f"{number + 1:032x}"
        )
        book.append("traces.jsonl", line)
    listed = gt_trace("ls", "--loose")
    assert len(listed.stdout.splitlines()) == 31
    assert listed.stderr == "5 older outside any session: --all lists them\n"
    listed = gt_trace("ls", "--loose", "--all")
    assert (len(listed.stdout.splitlines()), listed.stderr) == (36, "")


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
        "operation": "bd.call list", "count": 100, "errors": 10, "cut_off": 0,
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
    assert len(lines) == 3


def test_stats_leave_out_durations_that_nobody_knows(journal_root: Path, gt_trace: Run) -> None:
    """Interrupted calls and lost sessions count, the calls as errors; no duration does, and it is said."""
    book = Book(journal_root)
    book.span("bd.call", 1, 1.2, subcommand="list")
    book.marker("bd.call", 2, live=False, died=900, subcommand="list")
    book.marker("bd.call", 3, live=False, died=900, subcommand="show")
    book.close(10, "lost")
    done = gt_trace("stats", "--width", "80").stdout
    rows = [re.split(r" {2,}", line) for line in done.splitlines()]
    assert rows[1] == ["bd.call list", "2", "1", "200 ms", "200 ms", "200 ms", "200 ms"]
    assert rows[2] == ["bd.call show", "1", "1", "?", "?", "?", "?"]
    assert rows[3] == ["gt.session", "1", "0", "?", "?", "?", "?"]
    assert done.endswith("\n\n3 spans whose end nobody saw: counted, but in no duration above.\n")
    found = json.loads(gt_trace("stats", "--json").stdout)
    assert [(one["operation"], one["cut_off"], one["p95_ns"]) for one in found] == [
        ("bd.call list", 1, 200_000_000),
        ("bd.call show", 1, None),
        ("gt.session", 1, None),
    ]


def test_purge_removes_a_run_wherever_it_lies(book: Book, gt_trace: Run) -> None:
    """runs/ and closed/ are emptied of it, and one line says so; nothing else is touched."""
    root = Path(book.journal.root)
    closed = root / "closed" / "2026-11-18" / RUN
    closed.mkdir(parents=True)
    (closed / "traces.jsonl").write_text("")
    done = gt_trace("purge", RUN[:8], "--yes")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"removed run 3f2504e0 \(gt-gastown-toast\): \d+\.\d kB\n", done.stdout)
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
