"""The tmux shim is of the fast path: what each of its commands loads, from before tmux runs to its record."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tmux_kit import OTHER, RUN, TRACEPARENT, Town, identity, options

from gastown_tracing.shims.main import GROUPS
from tests.conftest import ROOT

OTHER_UUID = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"

#: Runs tmux as the shim does, and says what was loaded for that, each with its file ("" for a built-in one).
PROGRAM = """\
import sys
before = set(sys.modules)
root, told, *words = sys.argv[1:]
sys.path.insert(0, root)
from gastown_tracing.shims import child, exec, waiting
ends = waiting.exit_as
def say(status):
    files = {name: getattr(sys.modules[name], "__file__", None) or "" for name in set(sys.modules) - before}
    with open(told, "w") as stream:
        stream.writelines(f"{name} {file}\\n" for name, file in files.items())
    ends(status)
waiting.exit_as = say
exec.run_launched("-", ["--shim", "tmux", "--file", *words], child.block_signals(), "")
"""

#: What the real town asks of tmux, and a record that each leaves.
COMMANDS = {
    "new-session": "session.start",
    "respawn-pane": "agent.instantiate",
    "send-keys": "prompt.send",
    "capture-pane": "pane.read",
    "set-environment": "",
    "set-hook": "",
    "kill-session": "session.stop",
}


BUNDLED = {name for part in GROUPS.values() for name in part}


def line(town: Town, command: str, agent: str) -> list[str]:
    """Return the words of a command as gt writes them."""
    rest = {
        "new-session": ["-d", "-s", "two", "-c", str(town.root), *options(identity("two", "", OTHER_UUID))],
        "respawn-pane": [
            "-k",
            "-t",
            agent,
            "-c",
            str(town.root),
            f"exec env GT_ROLE=demo/polecats/{agent} cat",
        ],
        "send-keys": ["-t", agent, "-l", "hello", ";", "send-keys", "-t", agent, "Enter"],
        "capture-pane": ["-p", "-t", agent, "-S", "-30"],
        "set-environment": ["-t", agent, "GT_WORK_BEAD", "de-1"],
        "set-hook": ["-t", agent, "-u", "pane-died"],
        "kill-session": ["-t", agent],
    }
    return [command, *rest[command]]


@pytest.mark.parametrize("setting", [{}, {"GT_LOG_PANE_OUTPUT": "true", "GT_LOG_PROMPT_KEYS": "true"}])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_loads_what_is_bundled_or_built_in(
    town: Town, tmp_path: Path, command: str, setting: dict[str, str]
) -> None:
    """And no module besides that is written in Python: one takes as long as a dozen of ours together."""
    tmux = shutil.which("tmux", path=town.plain["PATH"])
    assert tmux is not None
    told = tmp_path / "told"
    argv = [sys.executable, "-I", "-S", "-E", "-c", PROGRAM, str(ROOT), str(told), tmux, "--", "tmux"]
    words = ["-u", "-L", town.label, *line(town, command, "de-rust")]
    env = {**town.plain, **setting, **TRACEPARENT, "BD_ACTOR": "mayor"}
    subprocess.run([*argv, *words], env=env, cwd=town.root, check=True, stdout=subprocess.DEVNULL, timeout=60)
    loaded = dict(text.split(" ", 1) for text in told.read_text().splitlines())
    assert "gastown_tracing.shims.tmux.running" in loaded
    slow = {name for name, file in loaded.items() if file.endswith(".py") and name not in BUNDLED}
    assert slow == set()
    if command == "kill-session":
        town.over(RUN)
    if COMMANDS[command]:
        assert town.logs(COMMANDS[command], OTHER if command == "new-session" else RUN)


def test_every_module_of_the_bundle_is_there() -> None:
    """A name that is wrong would leave everybody without a bundle."""
    for name in BUNDLED:
        place = ROOT / name.replace(".", "/")
        assert place.with_suffix(".py").is_file() or (place / "__init__.py").is_file(), name
