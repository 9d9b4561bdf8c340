"""The command lines of a real town, and hostile ones: with shims they do what they do without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from differential_kit import FILE, MERGED, PIPES, Case, common, environment, play, stand_ins, within
from shims_kit import BASH, SH, shims, town

CORPUS = Path(__file__).parent.parent / "data" / "town-commands.jsonl"
#: Parts that can run at the same time.
PARTS = 4
TOWN = "/home/op/town"
RUN = {"GT_RUN": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "GT_ROLE": "demo/polecats/rust"}


def corpus() -> Iterator[Case]:
    """Yield the corpus' command lines; what it does not say of their output is made up."""
    for number, text in enumerate(CORPUS.read_text(encoding="utf-8").splitlines()):
        line = json.loads(text)
        program, *words = line["argv"]
        out = line.get("stdout", f"line {number}\n" * (number % 3)).encode("utf-8", "surrogateescape")
        err = line.get("stderr", f"warning {number}\n" * (number % 5 == 0)).encode("utf-8", "surrogateescape")
        yield Case(
            program,
            tuple(word.encode("utf-8", "surrogateescape") for word in words),
            line["env"],
            streams=(PIPES, PIPES, FILE, MERGED)[number % 4],
            out=out,
            err=err,
            code=line["exit"],
        )


#: Command lines that are wanted, and that are not, of each program.
LINES = {
    "bd": [b"create", b"list --json", b"close x"],
    "gt": [b"mail inbox", b"status", b"sling de-1 demo"],
    "git": [b"fetch", b"rev-parse", b"-C / worktree add"],
    "tmux": [b"-L x send-keys -t y", b"-u has-session", b"display-message -p"],
}
WORDS: list[tuple[bytes, ...]] = [
    (b"",),
    (b"a\nb", b"\n"),
    (b";", b"a;", b"\\;", b"&", b"|"),
    (b"'", b'"', b"`id`", b"$(id)", b"$HOME", b"${_gt_trace_real}", b"\\", b"\\\\"),
    (b"\xff\xfe\x80", "é🗝".encode(), b"\x01\x7f\x1b[2J"),
    (b"*", b"?", b"[a-z]", b"~", b"{a,b}", b"!"),
    (b"--", b"-", b"--", b"--event", b"--name=x", b"--file", b"--shim"),
    (b" ", b"  leading", b"trailing ", b"\t"),
    (b"x=y", b"=", b"-e", b"K=V"),
    tuple(b"word%d" % number for number in range(1000)),
    (b"x" * 100_000,),
]
VARIABLES: list[dict[str, str]] = [
    RUN,
    {**RUN, "TRACEPARENT": "garbage", "BAGGAGE": "a=b,,=;", "TRACESTATE": "x=1"},
    {"GT_RUN": "", "GT_ROOT": "", "HOME": ""},
    {
        "OPTS": "-x",
        "ENV": "/nonexistent",
        "BASH_ENV": "/nonexistent",
        "CDPATH": "/",
        "GLOBIGNORE": "*",
    },
    {"OTEL_SDK_DISABLED": "true"},
    {"LC_ALL": "C"},
    {"POSIXLY_CORRECT": "1", "_gt_trace": "mine"},
]


def hostile() -> Iterator[Case]:
    """Yield command lines that nobody should write, and callers that nobody should be."""
    for program, lines in LINES.items():
        for number, line in enumerate(lines):
            first = tuple(line.split())
            for index, words in enumerate(WORDS):
                yield Case(
                    program,
                    (*first, *words),
                    RUN if index % 2 else {},
                    out=b"out\n",
                    err=b"err\n" * (index % 3),
                )
            yield Case(program, (*WORDS[number], *first), RUN, code=3)
            yield Case(program, first, RUN, stdin=b"\0\xffin\n" * 5000, out=b"\0\xff" * 70_000)
            yield Case(program, first, RUN, streams=FILE, out=b"a\n" * 50, err=b"b\n" * 50, code=1)
        for variables in VARIABLES:
            yield Case(program, (*lines[0].split(), b"x"), variables, out=b"ok\n")
        for closed in ((0,), (1,), (2,), (0, 1, 2)):
            yield Case(program, tuple(lines[0].split()), RUN, closed=closed, err=b"said\n")
            yield Case(program, tuple(lines[1].split()), RUN, closed=closed, out=b"said\n")
        for signal in (1, 2, 9, 15):
            yield Case(program, tuple(lines[0].split()), RUN, out=b"before\n", code=-signal)
        yield Case(program, (), RUN, code=255)


CASES = {"town": [*corpus()], "hostile": [*hostile()]}


def test_there_are_enough_of_them() -> None:
    """All of the corpus, and two hundred more."""
    assert len(CASES["town"]) == 440
    assert len(CASES["hostile"]) >= 200


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", CASES)
def test_nobody_can_tell_the_difference(kind: str, part: int, env: dict[str, str], tmp_path: Path) -> None:
    """Output, exit code, words, environment, directory, input and open descriptors, with bash and with sh."""
    programs = stand_ins(tmp_path / "real")
    rest = f"{programs}:/usr/bin:/bin"
    here = town(tmp_path / "home" / "town")
    paths = {
        shell: f"{shims(tmp_path / name, shell=shell)}:{rest}" for name, shell in (("b", BASH), ("s", SH))
    }
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for case in CASES[kind][part::PARTS]:
        plain = play(case, scratch, environment(env, rest), here)
        (words, environ, place, given) = plain.calls[0]
        for shell, path in paths.items():
            ours = play(case, scratch, environment(env, path), here)
            what = (shell, case)
            assert (ours.code, ours.out, ours.err) == (plain.code, plain.out, plain.err), what
            # A prime asks bd, and tmux is asked which session is meant: they are other calls.
            calls = [call for call in ours.calls if call[0][:1] == words[:1] and within(words, call[0])]
            assert len(calls) == 1, what
            said, seen, *others = calls[0]
            assert case.program == "tmux" or said == words, what
            assert tuple(others) == (place, given), what
            sh = shell == SH
            expected = {**common(environ, identifiers=sh), b"PATH": path.encode()}
            if case.program != "bd" or b"version" not in words:
                assert common(seen, identifiers=sh) == expected, what
    journal = Path(env["GT_OTEL_JOURNAL"])
    assert sum(file.read_bytes().count(b"\n") for file in journal.rglob("traces.jsonl")) > len(paths) * 10
