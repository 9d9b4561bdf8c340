"""The docs are tested: what they show runs, what is generated is fresh, what they name exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gastown_tracing.cli.root import COMMANDS
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
GtTrace = Callable[..., "subprocess.CompletedProcess[str]"]


def test_generated_docs_are_fresh() -> None:
    """The table of settings and the command reference say what the code says."""
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_python_example_runs(env: dict[str, str], tmp_path: Path) -> None:
    """The README's Python program runs as it stands and records its spans."""
    (source,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "bd").write_text("#!/bin/sh\nexit 0\n")
    (binaries / "bd").chmod(0o755)
    env = {**env, "PATH": f"{binaries}:{env['PATH']}"}
    subprocess.run([sys.executable, "-c", source], env=env, check=True, timeout=60)
    shown = subprocess.run(
        [sys.executable, "-m", "gastown_tracing.cli", "view", "--width", "100"],
        env=env, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in ("gt.session", "sling", "merge", "bd close"):
        assert name in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, gt_trace: GtTrace) -> None:
    """`gt-trace NAME --help` says what it does and exits 0."""
    done = gt_trace(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) > 3


def test_the_commands_of_the_readme_parse(gt_trace: GtTrace) -> None:
    """Every gt-trace line of the README names a command, and options that it has."""
    lines = re.findall(r"^(?:\$ )?(gt-trace .*)$", README, re.MULTILINE)
    assert len(lines) > 5
    for line in lines:
        words = shlex.split(re.split(r" -- |;", line)[0], comments=True)[1:]
        options = [word for word in words if word.startswith("--")]
        command = words[: {"session": 2, "relay": 2, "shims": 2, "hook": 3}.get(words[0], 1)]
        text = gt_trace(*command, "--help").stdout
        assert all(option in text for option in options), line


def test_unknown_commands_and_options_are_one_line(gt_trace: GtTrace) -> None:
    """A mistake exits 2 and says what was meant to be there; never a traceback."""
    for words in (["nonsense"], ["view", "--nonsense"], ["session", "nonsense"]):
        done = gt_trace(*words)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "nonsense" in done.stderr


def test_links_between_the_docs_lead_somewhere() -> None:
    """Every relative link of the Markdown files names a file that is there."""
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
