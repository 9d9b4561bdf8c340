"""What tests of shims share: shims of bd, gt and git in front of stand-ins that do what a test tells them."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from shell_kit import SESSION
from shims_kit import PYTHON

from gastown_tracing.journal.layout import Journal, create
from gastown_tracing.journal.parse import ReadLog, ReadSpan
from gastown_tracing.journal.reader import list_runs, read_loose, read_run
from gastown_tracing.shims import install

PROGRAMS = ("bd", "gt", "git")
#: The variable with the shell script that a stand-in runs with its arguments.
SAYS = "STANDIN"
Done = subprocess.CompletedProcess[bytes]


class Shims:
    """Shims first on PATH, stand-ins behind them, and what was recorded."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        self.town = directory / "town"
        (self.town / "mayor").mkdir(parents=True)
        (self.town / "mayor" / "town.json").write_text("{}")
        programs = directory / "programs"
        programs.mkdir()
        for name in PROGRAMS:
            (programs / name).write_text(f'#!/bin/sh\nexec /bin/sh -c "${SAYS}" {name} "$@"\n')
            (programs / name).chmod(0o755)
        self.folder = directory / "the shims"
        install.write(str(self.folder), PROGRAMS)
        folders = [str(self.folder / name) for name in PROGRAMS]
        self.path = ":".join([*folders, str(programs), env["PATH"]])
        self.env = {**env, "PATH": self.path, SAYS: "true"}
        self.journal = Journal(env["GT_OTEL_JOURNAL"])

    def session(self, says: str = "true", **more: str) -> dict[str, str]:
        """Return the environment of a session in which the stand-ins run this script."""
        return {**self.env, **SESSION, "GT_ROOT": str(self.town), SAYS: says, **more}

    def run(self, *words: str, says: str = "true", **more: str) -> Done:
        """Run a command of the session; both its outputs are pipes."""
        return self.run_as(list(words), self.session(says, **more))

    def run_as(self, words: list[str], env: Mapping[str, str], **options: object) -> Done:
        """Run a command in an environment of one's own."""
        how = {"cwd": self.town, "capture_output": True, "timeout": 60, "check": False, **options}
        return subprocess.run(words, env=env, **how)  # type: ignore[call-overload,no-any-return]  # noqa: PLW1510  # in how

    def written(self) -> tuple[list[ReadSpan], list[ReadLog]]:
        """Return every span and log record of the journal; all of it is whole."""
        found = [read_run(self.journal, run.trace_id) for run in list_runs(self.journal)]
        found.append(read_loose(self.journal))
        assert not [skip for data in found for skip in data.skipped]
        return [span for data in found for span in data.spans], [log for data in found for log in data.logs]

    def span(self) -> ReadSpan:
        """Return the one span that there is."""
        (span,) = self.written()[0]
        return span

    def logs(self) -> dict[str, ReadLog]:
        """Return the log records by their event; no two are of one."""
        logs = self.written()[1]
        found = {log.event_name: log for log in logs}
        assert len(found) == len(logs)
        return found


#: Waits, and leaves its children alone, which a shell does not.
LATE = """\
#!{python} -ISE
import os, sys, time
while not os.path.exists({mark!r}):
    time.sleep(0.005)
os.execv({python!r}, [{python!r}, *sys.argv[1:]])
"""


#: What a shim does before it starts a command ahead of Python.
SAID = 'echo "$BASHPID $EPOCHREALTIME" || exit\n'


def marking(text: str, mark: Path) -> str:
    """Return the text of a shim that adds a line to `mark` for each command that it starts ahead."""
    assert SAID in text
    return text.replace(SAID, f"{SAID}echo >>{shlex.quote(str(mark))}\n")


class Ahead:
    """A shim of bd that notes when it starts its command ahead."""

    def __init__(self, shims: Shims, mark: Path) -> None:
        self.shims, self._mark = shims, mark
        # What is younger than the first command's start is news to the second.
        os.utime(create(shims.journal.root).config_path, (1, 1))
        self.file = shims.folder / "bd" / "bd"
        self.file.write_text(marking(self.file.read_text(), mark))

    @property
    def times(self) -> int:
        """Return how many commands have been started ahead."""
        return self._mark.read_text().count("\n") if self._mark.exists() else 0

    def forget(self) -> None:
        """Count from here on."""
        self._mark.unlink(missing_ok=True)

    def slowly(self, mark: Path) -> None:
        """Let Python begin only once `mark` exists."""
        late = mark.parent / "late-python"
        late.write_text(LATE.format(python=PYTHON, mark=str(mark)))
        late.chmod(0o755)
        text = self.file.read_text()
        assert f"{PYTHON} -I" in text
        self.file.write_text(text.replace(f"{PYTHON} -I", f"{shlex.quote(str(late))} -I"))
