"""Shims on disk: one folder a program, `DIRECTORY/git/git`, so that PATH names each program that is seen."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
from typing import TYPE_CHECKING

from gastown_tracing.shims import launcher, real

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The programs that can have a shim.
PROGRAMS = real.PROGRAMS
#: How much of a file is read to tell whether it is a shim.
_HEAD = 8192


def default_directory(env: Mapping[str, str]) -> str:
    """Return where shims are when nothing else is said: in XDG_DATA_HOME, which has to be absolute."""
    data = env.get("XDG_DATA_HOME", "")
    if not data.startswith("/"):
        data = os.path.expanduser("~") + "/.local/share"
    return f"{data.rstrip('/')}/gastown-tracing/shims"


def write(directory: str, programs: Iterable[str] = PROGRAMS, shell: str = "") -> list[str]:
    """Write the shims of these programs below `directory`; return those that were not there just so.

    Raises OSError, also where the directory holds anything that is no shim.
    """
    refuse_others(directory)
    changed = []
    for program in programs:
        file = path(directory, program)
        if is_current(file, program, shell):
            continue
        os.makedirs(os.path.dirname(file), mode=0o755, exist_ok=True)
        launcher.write(file, launcher.shim(program, shell))
        changed.append(program)
    return changed


def remove(directory: str, programs: Iterable[str] = PROGRAMS) -> list[str]:
    """Remove the shims of these programs, and folders that are empty then; return what was removed.

    What is no shim stays, and so does the folder that it is in. Raises OSError.
    """
    removed = []
    for program in programs:
        file = path(directory, program)
        if facts(file) is not None and not os.path.islink(file):
            os.unlink(file)
            removed.append(program)
        for left in glob.glob(f"{glob.escape(file)}.[0-9]*"):  # by a writer that was killed
            os.unlink(left)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(file))
    with contextlib.suppress(OSError):
        os.rmdir(directory)
    return removed


def path(directory: str, program: str) -> str:
    """Return the file of a program's shim."""
    return f"{directory}/{program}/{program}"


def is_current(file: str, program: str, shell: str = "") -> bool:
    """Say whether a file is just the shim that would be written now; `shell`: as `launcher.shim` has it."""
    return _read(file) == launcher.shim(program, shell) and os.access(file, os.X_OK)


def facts(file: str) -> dict[str, str] | None:
    """Return what a shim says of itself, as `launcher.facts` has it; None for a file that is no shim."""
    lines = _read(file, _HEAD).split("\n", 3)
    if len(lines) < 3 or not lines[0].startswith("#!") or not lines[1].startswith(launcher.MARK):
        return None
    try:
        said = json.loads(lines[2].removeprefix("# "))
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in said.items()} if isinstance(said, dict) else {}


def shell(file: str) -> str:
    """Return the shell that runs a shim, "" for none."""
    return _read(file, _HEAD).partition("\n")[0].removeprefix("#!")


def refuse_others(directory: str) -> None:
    """Raise OSError where a directory holds other things than shims."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        folder = f"{directory}/{name}"
        if name not in PROGRAMS or os.path.islink(folder) or not os.path.isdir(folder):
            raise OSError(errno.ENOTEMPTY, f"holds {name}, which is no shim", directory)
        for inside in os.listdir(folder):
            ours = inside == name and facts(f"{folder}/{inside}") is not None
            if not ours and not inside.startswith(f"{name}."):  # as above
                raise OSError(errno.ENOTEMPTY, f"holds {name}/{inside}, which is no shim", directory)


def _read(file: str, size: int = -1) -> str:
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read(size)
    except OSError:
        return ""
