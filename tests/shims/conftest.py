"""The two ways to run a command through us, and what they recorded."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shell_kit import RUN, Done, Shell
from shim_kit import Shims, marking
from tmux_kit import Town

from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.otlp import Span
from gastown_tracing.journal.reader import list_runs, read_loose, read_run
from gastown_tracing.shims import install, launcher


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Return a town with one agent."""
    town = Town(tmp_path)
    town.spawn()
    yield town
    town.end()


@pytest.fixture(scope="session")
def launcher_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the shell launcher."""
    file = tmp_path_factory.mktemp("launcher") / "run it"
    launcher.write(str(file))
    return file


#: A shim in front of any command: whatever bd prints is read, so its pipes are teed.
ANY_SHIM = """\
#!/bin/bash -p
[ /dev/fd/2 -ef "$0" ] && exec 2>&-
file=$1
case $1 in */* | "") ;; *) file=$(type -P -- "$1") || file=/nowhere/$1 ;; esac
export GT_LOG_BD_OUTPUT=true GT_ROOT=/town
exec "{launcher}" --shim bd --file "$file" -- "$@"
"""


@pytest.fixture(scope="session")
def any_shim(launcher_file: Path) -> Path:
    """Return a script that runs any command as bd's shim runs bd."""
    file = launcher_file.parent / "any shim"
    file.write_text(ANY_SHIM.format(launcher=launcher_file))
    file.chmod(0o755)
    return file


#: The shim of a bd that runs any command, and has run one before: it is started ahead of Python.
ANY_AHEAD = """\
#!/bin/bash -p
[ /dev/fd/2 -ef "$0" ] && exec 2>&-
export GT_RUN={run} GT_ROOT=/town PATH="{shims}:{real}:$PATH"
# The first command makes the journal, which is news to the second. Their output are two pipes.
[ ! -e "${{GT_OTEL_JOURNAL%/*}}" ] || [ -e "$GT_OTEL_JOURNAL/runs/{run}" ] ||
  {{
    {{ "{shims}/bd" true; touch -d @1 "$GT_OTEL_JOURNAL/config.json"; "{shims}/bd" true; }} | cat
  }} </dev/null 2>&1 | cat >/dev/null
exec "{shims}/bd" "$@"
"""


@pytest.fixture(scope="session")
def any_ahead_written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the one whose command writes to its caller."""
    return run_ahead(tmp_path_factory.mktemp("ahead"), reads=False)


@pytest.fixture(scope="session")
def any_ahead_read(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the one whose output is read."""
    return run_ahead(tmp_path_factory.mktemp("ahead"), reads=True)


def run_ahead(folder: Path, *, reads: bool) -> Path:
    """Write a script that runs any command as bd's shim runs bd for the second time."""
    real, file = folder / "real", folder / "any ahead"
    real.mkdir()
    shutil.copy("/usr/bin/env", real / "bd")
    install.write(str(folder / "shims"), ["bd"])
    shim = folder / "shims" / "bd" / "bd"
    text, unread = marking(shim.read_text(), folder / "mark"), "_gt_trace_reads=\n"
    assert unread in text
    shim.write_text(text.replace(unread, "_gt_trace_reads=1\n") if reads else text)
    file.write_text(ANY_AHEAD.format(run=RUN, real=real, shims=folder / "shims" / "bd"))
    file.chmod(0o755)
    return file


@pytest.fixture(params=["launcher", "gt-trace"])
def runner(request: pytest.FixtureRequest, launcher_file: Path) -> list[str]:
    """Return the words before a command that has to be recorded: by the launcher, and by the console
    script."""
    return words_before(request.param, launcher_file)


#: The fixtures of scripts that run any command as a shim does.
AS_SHIM = {"tee": "any_shim", "ahead": "any_ahead_written", "ahead, read": "any_ahead_read"}


@pytest.fixture(params=["launcher", "gt-trace", *AS_SHIM])
def any_runner(request: pytest.FixtureRequest, launcher_file: Path) -> list[str]:
    """Return the same, and what runs a command as shims that read its output, or start it ahead of Python."""
    if request.param in AS_SHIM:
        return [str(request.getfixturevalue(AS_SHIM[request.param]))]
    return words_before(request.param, launcher_file)


def words_before(kind: str, launcher_file: Path) -> list[str]:
    """Return the words before a command by one of these ways."""
    if kind == "launcher":
        return [str(launcher_file), "--"]
    script = shutil.which("gt-trace", path=str(Path(sys.executable).parent))
    return [*([script] if script else [sys.executable, "-m", "gastown_tracing.cli"]), "exec", "--"]


@pytest.fixture
def spans(journal_root: Path) -> Callable[[], list[Span]]:
    """Return a function that reads every span of the test's journal."""

    def read() -> list[Span]:
        journal = Journal(str(journal_root))
        runs = [read_run(journal, run.trace_id).spans for run in list_runs(journal)]
        return [span for found in [*runs, read_loose(journal).spans] for span in found]

    return read


@pytest.fixture
def shell(gt_trace: Callable[..., Done], env: dict[str, str], journal_root: Path) -> Shell:
    """Return a shell that records events, and reads what it has recorded."""
    return Shell(gt_trace, env, Journal(str(journal_root)))


@pytest.fixture
def shims(tmp_path: Path, env: dict[str, str]) -> Shims:
    """Return shims in front of stand-ins."""
    return Shims(tmp_path, env)
