"""The prime of gt's own hook: recorded by ours where it goes past the shims, and only there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gastown_tracing.hooks import primes
from gastown_tracing.journal import hooks as on_hooks
from gastown_tracing.journal.parse import ReadSpan
from gastown_tracing.shims.launcher import shim
from tests.hooks.hook_kit import AGENT, RUN, Hooks
from tests.processes import wait_until


class Town:
    """A gt, a shim of gt, and settings that prime in some way."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "home"
        self.gt = self._program(self.home / "go" / "bin" / "gt", "#!/bin/sh\n")
        self.shim = self._program(directory / "shims" / "gt" / "gt", shim("gt"))
        self.settings = directory / "rig" / "settings.json"
        self.settings.parent.mkdir()
        self.env = {"HOME": str(self.home), "PATH": f"{self.shim.parent}:{self.gt.parent}"}

    @staticmethod
    def _program(path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def write(self, command: str, matcher: str = "", path: Path | None = None) -> None:
        """Write settings with this command at a session's start."""
        group = {"matcher": matcher, "hooks": [{"type": "command", "command": command}]}
        (path or self.settings).parent.mkdir(parents=True, exist_ok=True)
        (path or self.settings).write_text(json.dumps({"hooks": {"SessionStart": [group]}}))

    def primes(self, *words: str, source: str = "startup", **env: str) -> bool:
        """Say whether Claude Code with these words primes past the shims."""
        given = words or ("--settings", str(self.settings))
        return primes.past_shims(source, ["claude", *given], {**self.env, **env})


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """Return a town."""
    return Town(tmp_path)


def test_an_absolute_path_goes_past_the_shims(town: Town) -> None:
    """gt writes its own path into the hooks of its agents."""
    town.write(f"{town.gt} prime --hook && {town.gt} mail check --inject")
    assert town.primes()
    assert town.primes(f"--settings={town.settings}")
    assert town.primes("--settings", town.settings.read_text())  # Claude Code takes JSON there, too
    assert not town.primes("--settings", "/nowhere.json")
    assert not town.primes("-p", "hello")


def test_a_path_before_path_goes_past_the_shims(town: Town) -> None:
    """What puts a directory before PATH is followed to the gt that the shell would find."""
    way = 'export PATH="$HOME/go/bin:$HOME/.local/bin:$PATH" && gt prime --hook'
    town.write(way)
    assert town.primes()
    town.gt.unlink()
    assert not town.primes()  # the shell finds the shim
    town.write(way.replace("go/bin", "nowhere"))
    assert not town.primes()


def test_a_shim_records_by_itself(town: Town) -> None:
    """A bare gt, or the shim by its path, is the shim's to record."""
    for command in ("gt prime --hook", f"{town.shim} prime --hook", "cd /x; gt prime --hook"):
        town.write(command)
        assert not town.primes()
    assert town.primes(PATH=str(town.gt.parent))  # without the shims on PATH it is not


@pytest.mark.parametrize(
    "command",
    ["", "gt", "echo {gt} prime", "/nowhere/gt prime --hook", "{gt} mail check", "{gt} 'prime", "{gt} hook"],
)
def test_other_commands_prime_nothing(town: Town, command: str) -> None:
    """What does not run gt's prime is no prime."""
    town.write(command.format(gt=town.gt))
    assert not town.primes()


def test_the_matcher_decides(town: Town) -> None:
    """A hook for some starts is one for those alone."""
    for matcher, sources in (("", "startup clear"), ("*", "startup"), ("startup|resume", "startup resume"),
                             ("start.*", "startup")):  # fmt: skip
        town.write(f"{town.gt} prime --hook", matcher)
        assert all(town.primes(source=source) for source in sources.split()), matcher
    town.write(f"{town.gt} prime --hook", "startup|resume")
    assert not town.primes(source="compact")
    town.write(f"{town.gt} prime --hook", "(")
    assert not town.primes()


def test_settings_are_read_where_claude_code_reads_them(town: Town, tmp_path: Path) -> None:
    """The user's, the project's and its local ones count as well as those of the command line."""
    way = f"{town.gt} prime --hook"
    project = tmp_path / "project"
    for path in (town.home / ".claude/settings.json", tmp_path / "own/settings.json",
                 project / ".claude/settings.json", project / ".claude/settings.local.json"):  # fmt: skip
        env = {"CLAUDE_PROJECT_DIR": str(project)}
        if path.parent.name == "own":
            env["CLAUDE_CONFIG_DIR"] = str(path.parent)
        assert not town.primes("-p", **env)
        town.write(way, path=path)
        assert town.primes("-p", **env)
        path.unlink()


@pytest.mark.parametrize(
    "text", ["", "prime", "[]", '{"hooks": "prime"}', '{"hooks": {"SessionStart": ["prime", {"hooks": 7}]}}']
)
def test_settings_of_any_kind_are_read(town: Town, text: str) -> None:
    """Settings that are none prime nothing."""
    town.settings.write_text(text)
    assert not town.primes()


def spans(hooks: Hooks) -> list[ReadSpan]:
    """Return the primes that are recorded."""
    return [span for span in hooks.data().spans if span.name == "prime"]


def test_a_prime_is_recorded_once_a_start(hooks: Hooks, town: Town) -> None:
    """At a session's start the prime is a span of the run, with the work that is on the hook."""
    way = f"{town.gt} prime --hook"
    town.write(way, path=town.home / ".claude" / "settings.json")
    said = {"actor": AGENT["BD_ACTOR"], "bead": "de-1tr", "mol": "de-wisp-1"}
    on_hooks.take(hooks.journal, said, "1" * 32, "2" * 16)
    env = {**hooks.env, **town.env, "PATH": f"{town.env['PATH']}:{hooks.env['PATH']}"}
    hooks("SessionStart", env=env)
    wait_until(lambda: spans(hooks), "the prime is recorded")
    (prime,) = spans(hooks)
    assert prime.attributes["hook_mode"] is True
    assert (prime.attributes["work_bead"], prime.attributes["work_mol"]) == ("de-1tr", "de-wisp-1")
    assert prime.trace_id == RUN
    assert prime.attributes["gastown.duration.known"] is False  # a point: nobody sees gt's own end
    assert prime.start_ns == prime.end_ns
    hooks("UserPromptSubmit", env=env)
    (change,) = [log for log in hooks.data().logs if log.event_name == "agent.state_change"]
    assert change.attributes["work_bead"] == "de-1tr"
    hooks("SessionStart", env=env, source="clear")
    wait_until(lambda: len(spans(hooks)) == 2, "the next one is recorded")
    assert [line["primed"] for line in hooks.lines()] == ["true", "true"]


def test_without_gts_hook_there_is_no_prime(hooks: Hooks) -> None:
    """Where nothing primes, none is recorded."""
    hooks("SessionStart")
    hooks("UserPromptSubmit")
    assert not spans(hooks)
    assert "primed" not in hooks.lines()[0]
