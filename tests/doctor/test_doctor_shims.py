"""What the doctor says of the shims: which programs are seen, and what goes around them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from gastown_tracing.shims import install

from .conftest import Doctor
from .test_doctor_tools import program

REST = "/usr/bin:/bin"


def test_without_shims_it_says_how_to_get_them(doctor: Doctor, tmp_path: Path) -> None:
    """A program without a shim is no problem."""
    real = program(tmp_path / "real" / "bd", "echo bd version 1.0.2")
    found = doctor("--offline", PATH=f"{tmp_path}/real:{REST}")
    assert found.state("shims", "bd") == "skipped"
    assert str(real) in found["shims", "bd"]["found"]
    assert "gt-trace shims install" in found["shims", "bd"]["advice"]


def test_a_town_that_was_never_adopted_is_told_how(doctor: Doctor, tmp_path: Path) -> None:
    """In it, with gt on PATH, the shims come first; elsewhere the journal alone."""
    program(tmp_path / "real" / "gt", "echo gt version 1")
    (tmp_path / "town" / "mayor").mkdir(parents=True)
    (tmp_path / "town" / "mayor" / "town.json").write_text("{}")
    here = {"PATH": f"{tmp_path}/real:{REST}", "GT_OTEL_JOURNAL": "", "HOME": str(tmp_path)}
    for root, first in (str(tmp_path / "town"), "shims install"), ("", "env"):
        found = doctor("--offline", GT_ROOT=root, **here)
        for check in (("settings", "telemetry"), ("journal", "directory")):
            assert f'eval "$(gt-trace {first})"' in found[check]["advice"]


def test_each_program_is_seen_hidden_or_stale(doctor: Doctor, tmp_path: Path) -> None:
    """The first on PATH, one behind the real program, one of an interpreter that is gone, one of nothing."""
    directory = tmp_path / "shims"
    install.write(str(directory))
    for name in ("bd", "gt", "git"):
        program(tmp_path / "real" / name, f"echo {name} version 1")
    stale = directory / "git" / "git"
    stale.write_text(stale.read_text().replace('"version": "', '"version": "0.'))
    path = f"{directory}/bd:{directory}/git:{directory}/tmux:{tmp_path}/real:{directory}/gt"
    found = doctor("--offline", PATH=path)
    states = {name: found.state("shims", name) for name in ("bd", "gt", "git", "tmux")}
    assert states == {"bd": "ok", "gt": "problem", "git": "warning", "tmux": "warning"}
    assert f"→ {tmp_path}/real/bd" in found["shims", "bd"]["found"]
    assert "another installation" in found["shims", "git"]["found"]
    assert "not on this PATH" in found["shims", "tmux"]["found"]
    # A program is asked itself, not through its shim, and its shim is no second one of its name.
    assert found["programs", "bd"]["found"].endswith(f"{tmp_path}/real/bd")
    assert not [row for row in found.rows if row["check"] == "bd twice"]


def test_ways_around_are_a_warning_until_our_hook_is_there(
    doctor: Doctor, gt_trace: Callable[..., CompletedProcess[str]], env: dict[str, str], tmp_path: Path
) -> None:
    """A hook of Claude's that primes by gt's full path goes around the shims; ours records that."""
    install.write(str(tmp_path / "shims"), ["gt"])
    real = program(tmp_path / "real" / "gt", "echo gt version 1")
    settings = tmp_path / "claude" / "settings.json"
    settings.parent.mkdir()
    hook = {"hooks": [{"type": "command", "command": f"{real} prime --hook"}]}
    settings.write_text(json.dumps({"hooks": {"SessionStart": [hook]}}))
    path = f"{tmp_path}/shims/gt:{tmp_path}/real:{REST}"
    found = doctor("--offline", PATH=path, CLAUDE_CONFIG_DIR=str(settings.parent))
    assert found.state("shims", "hooks") == "warning"
    assert found.state("shims", "gt") == "ok"
    here = {"PATH": path, "CLAUDE_CONFIG_DIR": str(settings.parent), "XDG_DATA_HOME": str(tmp_path / "data")}
    assert gt_trace("hook", "claude", "install", env={**env, **here}).returncode == 0
    found = doctor("--offline", **here)
    assert found.state("shims", "hooks") == "ok"
    assert "our own hook records its prime" in found["shims", "hooks"]["found"]
