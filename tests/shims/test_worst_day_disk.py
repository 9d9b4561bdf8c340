"""Shims where disk or clock fail them: a journal that is slow or full, a clock that steps back, a flood."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from shims_kit import run, script, shims, town

from gastown_tracing.journal.layout import Journal, create
from gastown_tracing.journal.reader import RunData, list_runs, read_loose, read_run
from tests.processes import wait_until

Env = dict[str, str]
REST = "/usr/bin:/bin"
RUN, UUID = "3f2504e04f8941d39a0c0305e82c3301", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
CALLS = 500

#: A clock that is an hour behind once a file is there: what clock_gettime(2) says, to whoever asks libc.
CLOCK = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    const char *mark = getenv("TEST_CLOCK_BACK");
    if (result == 0 && clock == CLOCK_REALTIME && mark && access(mark, F_OK) == 0) now->tv_sec -= 3600;
    return result;
}
"""


@pytest.fixture
def session(env: Env, tmp_path: Path) -> Env:
    """Return the environment of a session in a town; `bd` is a stand-in behind its shim."""
    folder = script(tmp_path / "real" / "bd", 'echo "bd $*"; exit 3').parent
    first = shims(tmp_path / "shims")
    who = {"GT_RUN": UUID, "GT_ROLE": "demo/polecats/rust", "GT_ROOT": str(town(tmp_path / "town"))}
    return {**env, **who, "PATH": f"{first}:{folder}:{REST}"}


def whole(journal: Journal) -> list[RunData]:
    """Return all that a journal holds; none of it is damaged."""
    found = [*(read_run(journal, one.trace_id) for one in list_runs(journal)), read_loose(journal)]
    assert not [skip for data in found for skip in data.skipped]
    return found


def test_500_calls_at_once(session: Env) -> None:
    """None is lost, none is there twice, no id is used twice, and each says what it said without us."""
    flood = f"seq -w {CALLS} | xargs -P 16 -n 1 sh -c 'bd show \"de-$1x\"; [ $? = 3 ]' sh"
    done = run(["sh", "-c", flood], session, session["PATH"])
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == [f"bd show de-{n:03}x" for n in range(1, CALLS + 1)]
    (data, _) = whole(Journal(session["GT_OTEL_JOURNAL"]))
    seen = sorted(str(span.attributes["args"]) for span in data.spans)
    assert seen == [f"show de-{n:03}x" for n in range(1, CALLS + 1)]
    assert len({span.span_id for span in data.spans}) == CALLS
    assert sorted(log.span_id for log in data.logs) == sorted(span.span_id for span in data.spans)
    assert len({log.attributes["log.record.uid"] for log in data.logs}) == CALLS


def test_a_disk_that_is_slow(session: Env, tmp_path: Path) -> None:
    """Every write to the journal takes a second: the command starts, speaks and ends before the first one.

    Who reads its output has all of it, and its end, while we still write.
    """
    if shutil.which("strace") is None:
        pytest.skip("strace, which makes a disk slow, is not installed")
    journal = create(session["GT_OTEL_JOURNAL"])
    directory = Path(journal.run_dir(RUN))
    directory.mkdir(parents=True)
    files = [directory / f"{kind}.jsonl" for kind in ("traces", "logs")]
    log = tmp_path / "strace"
    slow = ["-e", "trace=write,writev,execve", "-e", "inject=write,writev:delay_enter=1000000"]
    paths = [word for file in files for word in ("-P", str(file))]
    for file in files:
        file.touch()
    words = ["strace", "-f", "-qq", "-o", str(log), *slow, *paths, "--", "bd", "list"]
    if subprocess.run([*words[:-3], "--", "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here")
    began = time.monotonic_ns()
    with subprocess.Popen(words, env=session, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.read() == "bd list\n"
        assert (process.poll(), files[0].read_text(), files[1].read_text()) == (None, "", "")
        assert process.wait(60) == 3
    took = time.monotonic_ns() - began
    delayed = len(re.findall(r"write.*DELAYED", log.read_text()))
    assert delayed >= 2
    (data, _) = whole(journal)
    assert [span.name for span in data.spans] == [log.event_name for log in data.logs] == ["bd.call"]
    (span,) = data.spans
    assert span.end_ns - span.start_ns <= took - delayed * 10**9, "the writes' time is not the command's"


def test_a_disk_that_is_full_and_then_well_again(session: Env, disk: Path) -> None:
    """Commands are as they are without us; what was written before and comes after is whole."""
    session["GT_OTEL_JOURNAL"] = str(disk / "journal")
    bd = ["bd", "ready"]
    assert run([*bd, "1"], session, session["PATH"]).returncode == 3
    journal = Journal(session["GT_OTEL_JOURNAL"])
    filler = disk / "filler"
    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as stream:
        while True:
            stream.write(b"x" * 512)
    for number in range(2, 5):
        done = run([*bd, str(number)], session, session["PATH"])
        assert (done.returncode, done.stdout, done.stderr) == (3, f"bd ready {number}\n", "")
    filler.unlink()
    for number in range(5, 8):
        assert run([*bd, str(number)], session, session["PATH"]).returncode == 3
    found = [read_run(journal, one.trace_id) for one in list_runs(journal)]
    (data,) = found
    kept = sorted(span.start_ns for span in data.spans)
    assert 4 <= len(kept) <= 7
    assert len({span.span_id for span in data.spans}) == len(kept)
    assert [str(span.attributes["subcommand"]) for span in data.spans] == ["ready"] * len(kept)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a library that lets the clock step back for whoever loads it first."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler, and so no clock of our own")
    place = tmp_path_factory.mktemp("clock")
    (place / "clock.c").write_text(CLOCK)
    words = ["cc", "-shared", "-fPIC", "-o", str(place / "clock.so"), str(place / "clock.c")]
    subprocess.run(words, check=True, capture_output=True)
    return str(place / "clock.so")


def test_a_clock_that_steps_back(session: Env, clock: str, tmux_socket: str, tmp_path: Path) -> None:
    """An hour back within a command and within a session: no duration is negative, and nothing is lost."""
    mark = tmp_path / "back"
    script(tmp_path / "real" / "bd", f'[ "$1" != close ] || : >{mark}; exit 0')
    env = {**session, "LD_PRELOAD": clock, "TEST_CLOCK_BACK": str(mark)}
    del env["GT_RUN"]
    tmux = ["tmux", "-S", tmux_socket]
    begin = [*tmux, "new-session", "-d", "-s", "x", "-e", f"GT_RUN={UUID}", "-e", "GT_ROLE=mayor"]
    work = "bd list; bd close; bd ready; sleep 1000"
    assert run([*begin, work], env, env["PATH"]).returncode == 0
    journal = Journal(env["GT_OTEL_JOURNAL"])

    def done() -> list[str]:
        return [str(s.attributes["subcommand"]) for s in read_run(journal, RUN).spans if s.name == "bd.call"]

    wait_until(lambda: len(done()) == 3, "the session has worked")
    assert run([*tmux, "kill-session", "-t", "x"], env, env["PATH"]).returncode == 0
    wait_until(lambda: list_runs(journal)[0].closed, "the session is closed")
    data = read_run(journal, RUN)
    assert not data.skipped
    assert done() == ["list", "close", "ready"]
    spans = {str(span.attributes.get("subcommand") or span.name): span for span in data.spans}
    assert len(spans) == len(data.spans)
    hour = 3600 * 10**9
    for span in data.spans:
        assert 0 <= span.end_ns - span.start_ns < hour, span.name
    assert spans["ready"].start_ns < spans["list"].start_ns, "the clock did step back"
    for log in data.logs:
        assert float(str(log.attributes.get("duration_ms", 0))) >= 0, log.event_name
