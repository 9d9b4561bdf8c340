"""A merge queue from its first item to its last, step by step with the real bd, and what bd says at each.

`python -m tests.probes.scenario` records the answers anew, with the bd on PATH.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gastown_tracing.probes.refinery import CHANGED, NAMED, QUEUE
from tests.conftest import clean_environ

RECORDED = Path(__file__).parent / "data" / "queue.json"

Ask = Callable[..., str]
Answers = dict[str, Any]


class Demo:
    """A rig's beads, in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.env = {**clean_environ(), "HOME": str(directory.parent), "BD_ACTOR": "demo/polecats/Toast"}
        self.ids: dict[str, str] = {}
        directory.mkdir()
        for name, value in (("user.name", "Toast"), ("user.email", "toast@example.org")):
            self._run("git", "config", "--global", name, value)
        self._run("git", "init", "-q", ".")
        self.bd("init", "--non-interactive", "--quiet", "--prefix", "demo", "--skip-hooks", "--skip-agents")

    def bd(self, *arguments: str) -> str:
        """Run bd and return what it prints."""
        return self._run("bd", *arguments)

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            words, cwd=self.directory, env=self.env, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    def submit(self, name: str, *options: str, fields: str = "rig: demo") -> None:
        """Make a merge request, as `gt done` does."""
        said = f"branch: polecat/Toast/{name}\ntarget: main\nsource_issue: demo-1\n{fields}\nworker: Toast"
        title = f"--title=Merge: {name}"
        answer = self.bd(
            "create", "--json", title, f"--description={said}", "--labels=gt:merge-request", *options
        )
        self.ids[name] = json.loads(answer)["id"]


def stages(demo: Demo) -> Iterator[str]:
    """Yield the name of each stage when it has been reached."""
    yield "empty"
    demo.submit("wisp", "--ephemeral")
    demo.submit("plain")
    yield "waiting"
    demo.bd("update", demo.ids["wisp"], "--assignee=demo/refinery")
    yield "dispatched"
    demo.bd("update", demo.ids["wisp"], "--assignee=")
    yield "released"
    demo.bd("update", demo.ids["wisp"], "--assignee=demo/refinery")
    demo.bd("close", demo.ids["wisp"], "--reason=merged")
    demo.bd("update", demo.ids["plain"], "--claim")
    demo.submit("quick", "--ephemeral")
    demo.bd("update", demo.ids["quick"], "--assignee=demo/refinery")
    demo.bd("close", demo.ids["quick"], "--reason=merged")
    yield "merged"
    demo.bd("close", demo.ids["plain"], "--reason=merged")
    demo.bd("reopen", demo.ids["wisp"])
    yield "reopened"


def answers(demo: Demo, names: Sequence[str]) -> Answers:
    """Return what bd says to each of the probe's questions; `names` are the items that it asks for."""
    named = [*NAMED, f"--id={','.join(demo.ids[name] for name in names)}"]
    return {
        "queue": json.loads(demo.bd(*QUEUE)),
        "changed": json.loads(demo.bd(*CHANGED, "--updated-after=2020-01-01T00:00:00Z")),
        "named": json.loads(demo.bd(*named)) if names else [],
    }


def record(directory: Path) -> list[Answers]:
    """Return every stage's answers, and when they were given."""
    demo = Demo(directory)
    found = []
    for stage in stages(demo):
        said = answers(demo, list(demo.ids))
        found.append({"stage": stage, "now": datetime.now(UTC).isoformat(), "ids": dict(demo.ids), **said})
    return found


def recorded() -> dict[str, Answers]:
    """Return the recorded stages by name."""
    return {stage["stage"]: stage for stage in json.loads(RECORDED.read_text(encoding="utf-8"))}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        said = record(Path(scratch) / "demo")
    RECORDED.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{os.path.relpath(RECORDED)}: {len(said)} stages\n")
