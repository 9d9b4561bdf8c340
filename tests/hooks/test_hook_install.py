"""`gt-trace hook claude`: what it does to files."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gastown_tracing.hooks.install import BACKUP
from gastown_tracing.hooks.settings import EVENTS
from tests.hooks.test_hook_settings import GT

Run = Callable[..., subprocess.CompletedProcess[str]]
TEXT = json.dumps(GT, indent=2) + "\n"


class Command:
    """Runs `gt-trace hook claude …` in a home of the test's own."""

    def __init__(self, run: Run, env: dict[str, str], home: Path) -> None:
        self._run = run
        self.env = {**env, "HOME": str(home)}
        self.home = home
        self.settings = home / ".claude" / "settings.json"
        self.launcher = home / ".local" / "share" / "gastown-tracing" / "hooks" / "claude"

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run the command; return its one line, on the stream that fits its exit code."""
        done = self._run("hook", "claude", *words, env=self.env)
        assert done.returncode == code, done.stderr
        if words[0] == "status":
            assert done.stderr == ""
            return done.stdout
        said = done.stderr if code else done.stdout
        assert (len(said.splitlines()), done.stdout if code else done.stderr) == (1, "")
        return said

    def write(self, text: str) -> None:
        """Write the user's settings."""
        self.settings.parent.mkdir(exist_ok=True)
        self.settings.write_bytes(text.encode())


@pytest.fixture
def command(gt_trace: Run, env: dict[str, str], tmp_path: Path) -> Command:
    """Return the command in a home with a blank and a quote in its name."""
    home = tmp_path / "o'p home"
    home.mkdir()
    return Command(gt_trace, env, home)


def test_install_and_remove(command: Command) -> None:
    """Installed, settings keep their mode and have a backup; removed, they are what they were."""
    command.write(TEXT)
    command.settings.chmod(0o640)
    assert command("install") == (
        f"the hooks are installed in {command.settings}; what was there is in settings.json{BACKUP}\n"
    )
    assert command.settings.stat().st_mode & 0o777 == 0o640
    backup = Path(f"{command.settings}{BACKUP}")
    assert (backup.read_text(), backup.stat().st_mode & 0o777) == (TEXT, 0o640)
    assert command("status").endswith(": installed\n")
    before = command.settings.stat().st_ino
    assert "already" in command("install")
    assert command.settings.stat().st_ino == before  # nothing is written
    assert "removed" in command("remove")
    assert command.settings.read_text() == TEXT
    assert not backup.exists()
    assert not command.launcher.parent.exists()
    assert command("status", code=1).startswith(f"{command.settings}: not installed")
    assert "no hooks of ours" in command("remove")


def test_a_home_without_claude_code(command: Command) -> None:
    """Where there are no settings they are made, for the user alone, and go with the hooks."""
    command("install")
    assert command.settings.stat().st_mode & 0o777 == 0o600
    command("remove")
    assert not command.settings.exists()


@pytest.mark.parametrize("text", ["", "{}", '{"hooks": {}}', '{ "hooks" : { "Stop":[ ] } }', "\ufeff{}\r\n"])
def test_what_is_nearly_nothing_comes_back_too(command: Command, text: str) -> None:
    """Removing restores empty objects and blanks that nothing else remembers, from the backup."""
    command.write(text)
    command("install")
    json.loads(command.settings.read_text(encoding="utf-8-sig"))
    command("remove")
    assert command.settings.read_bytes() == text.encode()


def test_what_was_changed_since_stays(command: Command) -> None:
    """What somebody writes into the settings afterwards is still there without our hooks."""
    command.write('{\n  "a": 1\n}\n')
    command("install")
    command.write(command.settings.read_text().replace('"a": 1', '"a": 2'))
    command("remove")
    assert command.settings.read_text() == '{\n  "a": 2\n}\n'


def test_other_settings_by_name(command: Command, tmp_path: Path) -> None:
    """--settings names another file; the launcher stays for whoever else calls it."""
    other = tmp_path / "settings.json"
    other.write_text(TEXT)
    command("install", "--settings", str(other))
    assert not command.settings.exists()
    command("remove", "--settings", str(other))
    assert (other.read_text(), command.launcher.exists()) == (TEXT, True)


def test_every_hook_runs_as_the_settings_say(command: Command) -> None:
    """The commands in the settings run in a shell, from a home with a blank and a quote in its name."""
    command("install")
    hooks = json.loads(command.settings.read_text())["hooks"]
    assert set(hooks) == set(EVENTS)
    for (group,) in hooks.values():
        (hook,) = group["hooks"]
        assert str(command.launcher) in shlex.split(hook["command"])
        done = subprocess.run(
            ["/bin/sh", "-c", hook["command"]],
            input=b"{}",
            env=command.env,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("text", ['{"a": 1,}', "[]", '{"hooks": {"Stop": 1}}', "\x00"])
def test_malformed_settings_are_one_line_and_untouched(command: Command, text: str) -> None:
    """What is no settings file is left as it is, and nothing is left beside it."""
    command.write(text)
    for word in ("install", "remove", "status"):
        said = command._run("hook", "claude", word, env=command.env)  # status fails here too
        assert (said.returncode, said.stdout, len(said.stderr.splitlines())) == (1, "", 1)
        assert "it is left as it is" in said.stderr
    assert command.settings.read_text() == text
    assert os.listdir(command.settings.parent) == ["settings.json"]
    assert not command.launcher.exists()


def test_a_link_is_not_replaced(command: Command, tmp_path: Path) -> None:
    """Settings that are a symbolic link belong to something that manages them: the line names the file."""
    real = tmp_path / "dotfiles.json"
    real.write_text(TEXT)
    command.settings.parent.mkdir()
    command.settings.symlink_to(real)
    assert f"--settings {real}" in command("install", code=1)
    assert (command.settings.is_symlink(), real.read_text()) == (True, TEXT)


def test_a_directory_or_a_missing_one(command: Command, tmp_path: Path) -> None:
    """Settings that are a directory, or in one that is not there, are one line."""
    (command.settings).mkdir(parents=True)
    assert "no regular file" in command("install", code=1)
    assert "No such file" in command("install", "--settings", str(tmp_path / "no" / "x.json"), code=1)
    assert "no hooks of ours" in command("remove", "--settings", str(tmp_path / "no" / "x.json"))


def test_status_says_what_is_wrong(command: Command) -> None:
    """A hook that is missing, hooks that are switched off and a launcher that is gone are named."""
    command("install")
    found = json.loads(command.settings.read_text())
    del found["hooks"]["Stop"]
    command.write(json.dumps({"disableAllHooks": True, **found}))
    command.launcher.unlink()
    said = json.loads(command("status", "--json", code=1))
    assert said["state"] == "not whole"
    assert set(said["hooks"]) == set(EVENTS) - {"Stop"}
    text = "\n".join(said["problems"])
    assert all(part in text for part in ("no hook for Stop", "disableAllHooks", "No such file"))
    command.write(json.dumps(found))
    command("install")
    assert command("status").endswith(": installed\n")


def test_installed_at_the_same_time_they_are_there_once(command: Command) -> None:
    """However many install and remove at once, the settings are whole; who installs last has them once."""
    command.write(TEXT)
    words = [sys.executable, "-m", "gastown_tracing.cli", "hook", "claude"]
    every = [
        subprocess.Popen([*words, word], env=command.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for word in ("install", "install", "remove", "install", "remove", "install")
    ]
    for process in every:
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, b"")
    command("install")
    found = json.loads(command.settings.read_text())["hooks"]
    assert [sum("gastown-tracing" in str(group) for group in found[event]) for event in EVENTS] == [1] * 7
    command("remove")
    assert command.settings.read_text() == TEXT
