"""The real bd says what hangs on a hook, and a prime understands it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from propagation.work import parse_line
from tests.probes.scenario import Demo

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("bd") is None, reason="bd (beads) is not on PATH"),
]
RUN = "3f2504e04f8941d39a0c0305e82c3301"


def test_the_hooked_bead_of_a_real_bd_is_the_work(tmp_path: Path) -> None:
    """Hooked, with a molecule attached to it; where bd has no database it stays; then nothing is hooked."""
    demo = Demo(tmp_path / "demo")
    made = demo.bd("create", "A", "-t", "task", "-d", "attached_molecule: demo-wisp-1\nmore", "--json")
    bead = json.loads(made)["id"]
    journal = tmp_path / "journal"
    env = {**demo.env, "GT_OTEL_JOURNAL": str(journal), "GT_RUN": RUN, "GT_RIG": "demo"}
    for status, directory in (("hooked", demo.directory), ("hooked", tmp_path), ("open", demo.directory)):
        demo.bd("update", bead, f"--status={status}", "--assignee=demo/polecats/Toast")
        command = [sys.executable, "-m", "gastown_tracing.cli", "prime"]
        done = subprocess.run(
            command, cwd=directory, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    entries = [parse_line(line) for line in (journal / "runs" / RUN / "work.jsonl").read_text().splitlines()]
    assert [entry[1].astuple() for entry in entries if entry] == [
        ("demo", bead, "demo-wisp-1", ""),
        ("", "", "", ""),
    ]
