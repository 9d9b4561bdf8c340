"""What tests of commands that record events share: a shell in a session, and what it left in the journal."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from gastown_tracing.journal.layout import Journal, create
from gastown_tracing.journal.parse import ReadLog, ReadSpan
from gastown_tracing.journal.reader import list_runs, read_loose, read_run
from propagation.work import WorkContext, format_line

GT_TRACE = [sys.executable, "-m", "gastown_tracing.cli"]
Done = subprocess.CompletedProcess[str]

RUN, ROOT = "3f2504e04f8941d39a0c0305e82c3301", "9a0c0305e82c3301"
SESSION = {
    "GT_RUN": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "GT_ROLE": "demo/polecats/rust",
    "GT_RIG": "demo",
    "GT_POLECAT": "rust",
    "GT_SESSION": "de-rust",
    "GT_AGENT": "claude",
    "GT_ROOT": "/home/op/town",
    "GT_WORK_BEAD": "de-1tr",
    "GT_WORK_RIG": "other",
}


class Shell:
    """Runs `gt-trace` with a journal of the test's own, in the session SESSION or outside any."""

    def __init__(self, run: Callable[..., Done], env: dict[str, str], journal: Journal) -> None:
        self._run = run
        self.env = env
        self.journal = journal
        self.directory = Path(journal.run_dir(RUN))

    def outside(self, *words: str, **env: str) -> Done:
        """Run `gt-trace WORDS` outside any run."""
        return self._run(*words, env={**self.env, **env})

    def __call__(self, *words: str, **env: str) -> Done:
        """Run `gt-trace WORDS` in the session; it must succeed without a word."""
        done = self.outside(*words, **{**SESSION, **env})
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        return done

    def run_as(self, words: list[str], **env: str) -> Done:
        """Run a command line whatever its program; `gt-trace` in it is ours."""
        found = [part for word in words for part in (GT_TRACE if word == "gt-trace" else [word])]
        env = {**self.env, **env}
        return subprocess.run(found, env=env, capture_output=True, text=True, timeout=60, check=False)

    def written(self) -> tuple[list[ReadSpan], list[ReadLog]]:
        """Return every span and log record of the journal; all of it is whole."""
        found = [read_run(self.journal, run.trace_id) for run in list_runs(self.journal)]
        found.append(read_loose(self.journal))
        assert not [skip for data in found for skip in data.skipped]
        return [span for data in found for span in data.spans], [log for data in found for log in data.logs]

    def note_work(self, *entries: tuple[int, str]) -> None:
        """Write the run's work.jsonl: (time in ns, bead) a line."""
        create(self.journal.root)
        self.directory.mkdir(parents=True, exist_ok=True)
        lines = [format_line(when, WorkContext("r", bead), "prime") for when, bead in entries]
        (self.directory / "work.jsonl").write_text("".join(lines))
