"""Small programs that use the API in processes of their own, and what they leave in a journal."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from gastown_tracing.journal import reader
from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.parse import ReadSpan
from tests.api.sink import Sink
from tests.conftest import clean_environ

RUN_UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
RUN_ID = "3f2504e04f8941d39a0c0305e82c3301"
ROOT_ID = "9a0c0305e82c3301"


def python(source: str, env: Mapping[str, str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said; warnings are errors there, too."""
    return _run(["-c", textwrap.dedent(source)], env, check=check)


def run_file(program: Path, env: Mapping[str, str]) -> None:
    """Run a program that is a file, as workers that import it need it."""
    _run([str(program)], env, check=True)


def _run(what: list[str], env: Mapping[str, str], *, check: bool) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", *what]
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, timeout=60, check=False)
    assert not check or (done.returncode, done.stderr) == (0, ""), done.stderr
    return done


@contextlib.contextmanager
def running(source: str, env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a program that may wait for a line on its standard input; it is killed if it is still there."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(source)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=dict(env), text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def ends(process: subprocess.Popen[str], code: int = 0) -> str:
    """Let a program go on, wait for its end, and return what else it said; it must end with this code."""
    said, complaints = process.communicate("\n", timeout=60)
    assert (process.returncode, complaints) == (code, "")
    return said


def direct(server: Sink, **more: str) -> dict[str, str]:
    """Return an environment without a journal that sends everything to `server`, from inside a run."""
    return {**clean_environ(), "HOME": "/nonexistent", **server.env(), "GT_RUN": RUN_UUID, **more}


def spans_of(journal_root: Path, trace_id: str = RUN_ID) -> list[ReadSpan]:
    """Return the spans of a run in the journal; nothing may have been skipped."""
    data = reader.read_run(Journal(str(journal_root)), trace_id)
    assert not data.skipped
    return data.spans


def loose_spans(journal_root: Path) -> list[ReadSpan]:
    """Return the spans outside any run."""
    data = reader.read_loose(Journal(str(journal_root)))
    assert not data.skipped
    return data.spans
