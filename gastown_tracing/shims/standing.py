"""Which programs a PATH lets us see: where their shims stand on it, and which real programs those run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gastown_tracing.shims import install, launcher
from gastown_tracing.shims.main import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator

State = Literal["seen", "hidden", "off PATH", "none"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One program on one PATH.

    `seen`: its shim comes first. `hidden`: the real program `real` comes before `shim`. `off PATH`: the shim
    is installed, and no PATH leads there. `none`: no shim. `real` is what runs in the end, "" for nothing.
    `stale` is why the shim has to be written again, "" for not.
    """

    program: str
    state: State
    shim: str = ""
    real: str = ""
    stale: str = ""


def look(program: str, path: str | None, directory: str) -> Standing:
    """Return how a program stands on a PATH; `directory` is where its shim is installed, if it is."""
    shim = real = ""
    state: State = "none"
    for file in candidates(program, path):
        if install.facts(file) is None:
            real = real or file
        elif not shim:
            shim, state = file, "hidden" if real else "seen"
    if not shim and install.facts(install.path(directory, program)) is not None:
        shim, state = install.path(directory, program), "off PATH"
    return Standing(program, state, shim, real, staleness(shim) if shim else "")


def candidates(program: str, path: str | None) -> Iterator[str]:
    """Yield the executables of this name on a PATH, in its order; an empty entry is where we are."""
    for place in dict.fromkeys((os.defpath if path is None else path).split(":")):
        file = f"{place or '.'}/{program}"
        if os.path.isfile(file) and os.access(file, os.X_OK):
            yield file


def staleness(shim: str) -> str:
    """Return why a shim does not do what one that is written now would do; "" where it does."""
    said = install.facts(shim) or {}
    python, package = said.get("python", ""), said.get("package", "")
    if not os.access(python, os.X_OK):
        return f"its Python is gone: {python}" if python else "it does not say what it runs"
    if not os.access(f"{package}/{PROGRAM}", os.R_OK):
        return f"its package is gone: {package}"
    ours = launcher.facts(said.get("program", ""))
    if said != ours:
        return f"it is of another installation: {said.get('version', '')} in {package}"
    shell = install.shell(shim)
    if not install.is_current(shim, said["program"], shell):
        return "it was written by an older version"
    warning = launcher.warning(shell)
    return f"its shell warns before every command: {warning}" if warning else ""
