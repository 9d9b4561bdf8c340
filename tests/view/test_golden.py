"""What the terminal shows, letter by letter; UPDATE_GOLDEN=1 in the environment writes the files anew."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from view_kit import ROOT, RUN, Book, a_day, at

from gastown_tracing.view import load, stats

GOLDEN = Path(__file__).parent / "golden"


def compare(name: str, text: str) -> None:
    """Fail unless `text` is what the golden file has."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("colour", [False, True], ids=["plain", "colour"])
@pytest.mark.parametrize("ascii", [False, True], ids=["utf8", "ascii"])
@pytest.mark.parametrize("width", [80, 160])
def test_a_whole_session_looks_as_it_should(tmp_path: Path, width: int, ascii: bool, colour: bool) -> None:  # noqa: A002
    """Folds, failures in words, links both ways, an orphan, idle time, at both widths, in both charsets."""
    drawn = a_day(tmp_path).draw(width, options={"ascii": ascii, "colour": colour})
    compare(f"day-{width}-{'ascii' if ascii else 'utf8'}{'-colour' if colour else ''}", drawn)


@pytest.mark.parametrize("width", [80, 160])
def test_log_records_stand_under_their_spans(tmp_path: Path, width: int) -> None:
    """--logs shows moment, severity, event and what is the record's own."""
    compare(f"logs-{width}", a_day(tmp_path).draw(width, options={"logs": True}))


CHOICES: dict[str, dict[str, Any]] = {
    "all": {"every": True},
    "errors": {"failed": True},
    "errors-all": {"failed": True, "every": True},
    "slowest": {"slow": 3},
    "depth-0": {"levels": 0},
    "depth-1": {"levels": 1},
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_shows_what_it_says(tmp_path: Path, name: str) -> None:
    """--all, --errors, --slowest and --depth each leave what they promise and say what they hide."""
    compare(f"choice-{name}", a_day(tmp_path).draw(100, **CHOICES[name]))


def live(root: Path) -> Book:
    book = Book(root)
    book.span("session.start", 0.02, 0.1)
    book.span("bd.call", 3, 3.2, "feed" * 4, subcommand="list")
    book.marker("gt.command", 5, live=True, command="mail check")
    return book


def interrupted(root: Path) -> Book:
    """Found dead later: three calls of which nobody saw the end, one of them without any sign of life."""
    book = Book(root)
    book.marker("bd.call", 2, live=False, died=9, subcommand="ready")
    book.marker("bd.call", 9, live=False, died=9, subcommand="show")
    book.span("bd.call", 9.5, 10, error="", subcommand="list", **{"gastown.interrupted": True})
    evidence = "tmux server 4711 answers without it"
    book.close(10, "lost", **{"gastown.end_time.known": False, "gastown.evidence": evidence})
    return book


def undescribed(root: Path) -> Book:
    """A run without run.json, as a full disk leaves it, with a call in it."""
    book = Book(root)
    (book.directory / "run.json").unlink()
    book.span("bd.call", 3, 3.5, subcommand="list")
    os.utime(book.directory / "traces.jsonl", ns=(at(4), at(4)))
    return book


def stub(root: Path) -> Book:
    """A run with an empty run.json and nothing else."""
    book = Book(root)
    (book.directory / "run.json").write_text("")
    return book


def odd(root: Path) -> Book:
    """A circle of parents, a span under itself, one id twice, a second root, an end before its start."""
    book = Book(root)
    first = book.span("one", 1, 2, f"{0xA000000000000002:016x}")
    book.span("two", 1.5, 2, first)
    book.span("three", 3, 4, f"{0xA000000000000003:016x}")
    book.append("traces.jsonl", book.line("twin", 4, 5, ROOT, span_id=first))
    book.span("second root", 5, 6, "")
    book.span("backwards", 8, 7)
    book.append("traces.jsonl", '{"resourceSpans":[{"scopeSp')
    book.close(10)
    return book


def hostile(root: Path) -> Book:
    book = Book(root, info={"session": "evil\x1b]0;owned\x07", "rig": "\u202egir"})
    book.span("\x1b[31mred\x1b[0m\r\nsecond line\x00", 1, 2, error="\x1b[2J\x9b31m wiped \u2028 out")
    book.span(
        "bd.call",
        2,
        3,
        subcommand="取得して更新する",
        args="日本語のとても長い引数は切り詰められなければならないのです",
    )
    book.span(
        "exec",
        3,
        4,
        attributes={"name": "👩‍👩‍👧 ❤️ family", "process.executable.name": "a\tb", "process.pid": 1},
    )
    book.span("z" + "\u0301" * 4000, 4, 5)
    book.span("\ud800 half", 5, 6, work_bead="gt-\x1b[5m")
    book.span("", 6, 7)
    book.close(10, "\x1bc")
    return book


def patterns(root: Path) -> Book:
    """A poll of three commands, ten times; then one tree five times, once with a failure."""
    book = Book(root)
    for number in range(10):
        for step, subcommand in enumerate(("list", "show", "ready")):
            book.span("bd.call", number + step * 0.2, number + step * 0.2 + 0.1, subcommand=subcommand)
    for number in range(5):
        command = book.span("gt.command", 12 + number, 12.8 + number, command="mail check")
        error = "database is locked" if number == 3 else None
        book.span("bd.call", 12.1 + number, 12.4 + number, command, error=error, subcommand="list")
    book.close(18)
    return book


SCENES: dict[str, Callable[[Path], Book]] = {
    "live": live,
    "interrupted": interrupted,
    "undescribed": undescribed,
    "stub": stub,
    "odd": odd,
    "hostile": hostile,
    "patterns": patterns,
}


@pytest.mark.parametrize("ascii", [False, True], ids=["utf8", "ascii"])
@pytest.mark.parametrize("scene", SCENES)
def test_a_scene_looks_as_it_should(tmp_path: Path, scene: str, ascii: bool) -> None:  # noqa: A002
    """Sessions that live, that were cut off, that make no tree, that attack the terminal, that poll."""
    compare(
        f"{scene}-80-{'ascii' if ascii else 'utf8'}",
        SCENES[scene](tmp_path).draw(now=12.5, options={"ascii": ascii}),
    )


def test_log_values_are_words(tmp_path: Path) -> None:
    """In the picture of a log record values of several words are quoted and floats rounded."""
    book = Book(tmp_path)
    call = book.span("bd.call", 1, 2, subcommand="list")
    book.log("bd.call", 2, call, error='no "such" bead', duration_ms=403.512874, ratio=0.000123456,
             bytes=123456.789, count=7)  # fmt: skip
    drawn = book.draw(160, options={"logs": True})
    assert 'error="no \\"such\\" bead" duration_ms=403.5 ratio=0.0001235 bytes=123457 count=7' in drawn


def test_a_prompt_s_round_of_look_ups_is_one_line(tmp_path: Path) -> None:
    """Of what asks bd and succeeded; what failed, changed something or is alone keeps its own."""
    book = Book(tmp_path)
    for number, name in enumerate(["version", "list", "list", "sql", "sql", "create", "version", "list"]):
        book.span("bd.call", number, number + 0.5, subcommand=name, args=name)
    book.span("bd.call", 9, 9.5, error="exit 1", subcommand="sql", args="sql")
    drawn = book.draw(120)
    assert re.search(r"╴bd version, bd list, bd sql ×5 .* Σ 2\.5 s", drawn)  # noqa: RUF001 - the sign itself
    assert [line.split()[1] for line in re.findall(r"[├└]╴.*", drawn)[1:]] == [
        "create",
        "version",
        "list",
        "bd",
    ]
    assert book.draw(120, every=True).count("bd sql") == 3


def test_a_length_that_nobody_knows_is_none(tmp_path: Path) -> None:
    """A prime of which only the beginning was seen has a question mark, and stats leave it out."""
    book = Book(tmp_path)
    book.span("prime", 1, 1, hook_mode=True, **{"gastown.duration.known": False})
    book.span("prime", 2, 5, hook_mode=False)
    drawn = book.draw(100)
    assert re.search(r"╴prime .* \? gt\[", drawn)
    assert "nobody saw the end" not in drawn
    (found,) = stats.operations(load.read(book.journal, RUN).spans)
    assert (found.count, found.cut_off, found.total_ns) == (2, 1, 3 * 10**9)


def test_each_kind_of_remark_has_one_place(tmp_path: Path) -> None:
    """At 80 columns the process stands beside every row, its id whole, and the words of a failure below."""
    book = Book(tmp_path)
    for pid, name, error in (
        (7, "bd", "exit 1"),
        (123456, "a-very-long-executable", "exit 2"),
        (8, "bd", "it was not there"),
    ):
        facts = {"name": name, "process.executable.name": name, "process.pid": pid}
        book.span("exec", 1, 2, error=error, attributes=facts)
    lines = book.draw(80, every=True).splitlines()
    rows = [index for index, line in enumerate(lines) if "╴✗" in line]
    assert [lines[index].rsplit(maxsplit=1)[1] for index in rows] == ["bd[7]", "a-very-…[123456]", "bd[8]"]
    assert [lines[index + 1].split("✗ ")[1] for index in rows] == ["exit 1", "exit 2", "it was not there"]


def test_a_live_session_is_green_at_160(tmp_path: Path) -> None:
    """What runs is in colour, with an arrow at the end of its bar."""
    compare("live-160-utf8-colour", live(tmp_path).draw(160, now=12.5, options={"colour": True}))


def test_a_trace_outside_any_session_says_so(tmp_path: Path) -> None:
    """A loose trace has no run, no session and no state."""
    book = Book(tmp_path, "")
    trace = "c" * 32
    book.append(
        "traces.jsonl", book.line("gt.command", 0, 2, "", attributes={"command": "sling"}, trace_id=trace)
    )
    parent = book.last
    book.append(
        "traces.jsonl",
        book.line("bd.call", 1, 1.5, parent, error="", attributes={"subcommand": "list"}, trace_id=trace),
    )
    book.run = trace
    compare("loose-80", book.draw())


def test_growing_bars_follow_the_clock(tmp_path: Path) -> None:
    """What is in progress is as long as it has lasted until now."""
    book = live(tmp_path)
    lengths = [
        next(node.busy_ns for node, _ in book.trace(now).walk() if node.title == "gt mail check")
        for now in (6, 9)
    ]
    assert lengths == [10**9, 4 * 10**9]


def test_the_golden_files_are_all_in_use() -> None:
    """No golden file outlives its test."""
    names = {f"day-{w}-{c}{x}" for w in (80, 160) for c in ("utf8", "ascii") for x in ("", "-colour")}
    names |= {"logs-80", "logs-160", "loose-80", "live-160-utf8-colour"} | {
        f"choice-{name}" for name in CHOICES
    }
    names |= {f"{scene}-80-{charset}" for scene in SCENES for charset in ("utf8", "ascii")}
    assert {path.stem for path in GOLDEN.glob("*.txt")} == names
    assert RUN in (GOLDEN / "day-80-ascii.txt").read_text()
