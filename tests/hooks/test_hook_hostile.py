"""A hook says nothing and ends with 0, whatever it is told and wherever it is. Each is a real process."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from gastown_tracing.hooks import launcher
from gastown_tracing.journal.layout import create, default_root
from tests.hooks.hook_kit import INPUTS, RUN, SESSION, Hooks
from tests.processes import wait_until
from tests.session.session_kit import fill


@pytest.mark.parametrize("event", [*INPUTS, "NoSuchHook", ""])
@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"no JSON", b"[]", b"null", b'{"session_id": 7}', b'{"session_id": "../../x"}',
     b"\xff\xfe{}", b"{" * 100_000, b'{"session_id":"\\ud800"}', b'{"session_id":"' + b"s" * 300 + b'"}'],
    ids=["nothing", "line", "words", "array", "null", "number", "path",
         "bytes", "deep", "surrogate", "long"],
)  # fmt: skip
def test_an_input_that_is_none_leaves_nothing(hooks: Hooks, event: str, data: bytes) -> None:
    """What is no input of Claude Code's is passed over."""
    hooks.raw(event, data)
    assert hooks.files() == []


def test_a_megabyte_is_an_input_as_any(hooks: Hooks) -> None:
    """The result of a tool may be long; with the opt-in its beginning is recorded."""
    result = {"tool_response": {"stdout": "x" * (1 << 20)}}
    hooks("PostToolUse", env={**hooks.env, "GT_LOG_AGENT_OUTPUT": "true"}, **result)
    (step,) = [log for log in hooks.data().logs if log.event_name == "agent.event"]
    assert len(str(step.attributes["content"]).encode()) <= 600


def test_a_closed_input_is_none(hooks: Hooks) -> None:
    """With standard input closed a hook ends as quietly."""
    command = f"({launcher.command(str(hooks.launcher), 'SessionStart')}) <&-"
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=hooks.env, capture_output=True, timeout=30, check=True
    )
    assert (done.stdout, done.stderr, hooks.files()) == (b"", b"", [])


def test_an_input_that_never_ends_holds_nobody_up(hooks: Hooks) -> None:
    """A hook whose input stays open ends by itself."""
    reader, writer = os.pipe()
    try:
        os.write(writer, b'{"session_id": "s1"')
        command = ["/bin/sh", "-c", launcher.command(str(hooks.launcher), "Stop")]
        done = subprocess.run(
            command, stdin=reader, env=hooks.env, capture_output=True, timeout=30, check=True
        )
        assert (done.stdout, done.stderr, hooks.files()) == (b"", b"", [])
    finally:
        os.close(reader)
        os.close(writer)


def test_a_switch_that_is_off_is_obeyed(hooks: Hooks) -> None:
    """Without the file `on`, nothing is recorded."""
    Path(hooks.journal.on_path).unlink()
    for event in INPUTS:
        hooks(event)
    assert hooks.files() == []


def test_an_agent_with_telemetry_off_is_not_recorded(hooks: Hooks) -> None:
    """OTEL_SDK_DISABLED is read in the agent's own environment: Claude Code keeps it from its hooks."""
    told = json.dumps(INPUTS["SessionStart"])
    words = ["/bin/sh", "-c", launcher.command(str(hooks.launcher), "SessionStart")]
    program = (
        "import os, subprocess; del os.environ['OTEL_SDK_DISABLED']; "
        f"subprocess.run({words!r}, input={told!r}, text=True, check=True)"
    )
    env = {**hooks.env, "OTEL_SDK_DISABLED": "true"}
    subprocess.run(["python3", "-c", program], env=env, check=True)
    assert hooks.files() == []
    hooks("SessionStart", env=env)  # and in its own
    assert hooks.files() == []


def test_outside_a_town_and_a_run_nothing_is_recorded(hooks: Hooks) -> None:
    """The operator's own Claude Code, in a directory of his own, is nobody's business."""
    outside = {
        name: value for name, value in hooks.env.items() if not name.startswith(("GT_R", "GT_S", "BD_"))
    }
    for event in INPUTS:
        hooks(event, env=outside)
    assert hooks.files() == []


def test_a_journal_that_is_gone_stays_gone(hooks: Hooks) -> None:
    """A hook makes no journal."""
    env = {**hooks.env, "GT_OTEL_JOURNAL": hooks.journal.root + "/none"}
    for event in INPUTS:
        hooks(event, env=env)
    assert not Path(env["GT_OTEL_JOURNAL"]).exists()


def test_a_default_journal_is_found(hooks: Hooks, tmp_path: Path) -> None:
    """Without GT_OTEL_JOURNAL the journal is that of the town, found from the working directory."""
    town = tmp_path / "a town"
    (town / "mayor").mkdir(parents=True)
    (town / "mayor" / "town.json").write_text("{}")
    env = {**hooks.env, "XDG_STATE_HOME": str(tmp_path / "state")}
    del env["GT_OTEL_JOURNAL"], env["GT_ROOT"]
    hooks.cwd = town
    hooks("SessionStart", env=env)
    assert not (tmp_path / "state").exists()
    journal = create(default_root(env, str(town)))
    hooks("SessionStart", env=env)
    assert Path(journal.run_dir(RUN), "agents.jsonl").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a journal away")
def test_somebody_elses_journal_is_left_alone(hooks: Hooks) -> None:
    """An euid that is not the journal's owner writes nothing."""
    os.chown(hooks.journal.root, 4321, 4321)
    for event in INPUTS:
        hooks(event)
    assert hooks.files() == []


def test_a_full_disk_is_not_the_agents_trouble(hooks: Hooks, disk: Path) -> None:
    """Where there is no room nothing is recorded, and the agent does not notice; later it is."""
    journal = create(str(disk / "journal"))
    fill(disk)
    for event in INPUTS:
        hooks(event, env={**hooks.env, "GT_OTEL_JOURNAL": journal.root})
    lines = Path(journal.run_dir(RUN), "agents.jsonl")
    assert lines.read_bytes() == b""
    (disk / "filler").unlink()
    hooks("UserPromptSubmit", env={**hooks.env, "GT_OTEL_JOURNAL": journal.root})
    assert json.loads(lines.read_text())["session_id"] == SESSION


def test_without_python_there_is_no_word(hooks: Hooks) -> None:
    """With the interpreter gone, the package gone or the launcher gone, hooks are silent."""
    text = hooks.launcher.read_text()
    for gone in ("/nowhere/python", "/nowhere/gastown_tracing/shims/main.py"):
        lines = [
            line if not line.startswith("[ -x ") or "main.py" not in line else _moved(line, gone)
            for line in text.splitlines()
        ]
        hooks.launcher.write_text("\n".join(lines) + "\n")
        assert gone in hooks.launcher.read_text()
        for event in INPUTS:
            hooks(event)
    hooks.launcher.unlink()
    hooks("Stop")
    assert hooks.files() == []


def _moved(line: str, gone: str) -> str:
    words = line.split(" ")
    old = words[2] if gone.endswith("python") else next(word for word in words if word.endswith("/main.py"))
    return line.replace(old, gone)


def test_tools_of_a_working_agent_start_no_python(hooks: Hooks, tmp_path: Path) -> None:
    """Around a tool the shell alone sees that there is nothing to say: it takes no interpreter."""
    hooks("UserPromptSubmit")
    lines = hooks.launcher.read_text().splitlines()
    mark = tmp_path / "started"
    end = next(number for number, line in enumerate(lines) if "main.py" in line and line.startswith("[ -x "))
    lines.insert(end, f": >'{mark}'")
    hooks.launcher.write_text("\n".join(lines) + "\n")
    hooks("PreToolUse")
    hooks("PostToolUse")
    assert not mark.exists()
    hooks("Stop")
    wait_until(mark.exists, "Python is started")
    hooks("PreToolUse")
    logs = sorted(hooks.data().logs, key=lambda log: log.time_ns)
    assert [log.attributes["new_state"] for log in logs] == ["working", "idle", "working"]
