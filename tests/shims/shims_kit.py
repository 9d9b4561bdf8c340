"""What tests of shims share: stand-in programs, folders of shims, a town, and what a process saw."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from gastown_tracing.shims import install, launcher

BASH, SH = "/bin/bash -p", "/bin/sh"
#: The interpreter that shims start.
PYTHON = launcher.interpreter()[0]

Done = subprocess.CompletedProcess[str]


def script(path: Path, text: str) -> Path:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def named(folder: Path, program: str = "git") -> Path:
    """Write a stand-in that says which one it is, and its arguments."""
    return script(folder / program, f'echo "{folder.name}/{program} $*"')


def shims(directory: Path, *programs: str, shell: str = BASH) -> str:
    """Install shims, and return their part of a PATH."""
    names = programs or install.PROGRAMS
    install.write(str(directory), names, shell)
    return ":".join(f"{directory}/{name}" for name in names)


def town(directory: Path) -> Path:
    """Make what makes a directory a town."""
    (directory / "mayor").mkdir(parents=True)
    (directory / "mayor" / "town.json").write_text("{}\n")
    return directory


def run(
    argv: Sequence[str | Path], env: Mapping[str, str], path: str, cwd: Path | None = None, **options: object
) -> Done:
    """Run a command with this PATH, itself sought there; it must end within a minute."""
    words = ["/usr/bin/env", *map(str, argv)] if "/" not in str(argv[0]) else list(map(str, argv))
    return subprocess.run(  # type: ignore[call-overload,no-any-return]  # options of any kind
        words,
        env={**env, "PATH": path},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def spy(shim: Path, mark: Path) -> None:
    """Let a shim start a stand-in for Python, which says so in `mark`."""
    stand_in = script(mark.parent / f"python {shim.name}", f"echo started >>{shlex.quote(str(mark))}")
    text = shim.read_text()
    assert f"{shlex.quote(PYTHON)} -I" in text
    shim.write_text(text.replace(f"{shlex.quote(PYTHON)} -I", f"{shlex.quote(str(stand_in))} -I"))
