"""What `gt-trace shims status` finds, and how it says it."""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gastown_tracing import config
from gastown_tracing.doctor.towns import elsewhere
from gastown_tracing.shims import around, install, launcher, standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gastown_tracing.config import Telemetry
    from gastown_tracing.shims.around import Older, Way
    from gastown_tracing.shims.standing import Standing


@dataclass(frozen=True)
class Found:
    """All that was found. `lost` are the variables that a plain sh loses here; none with bash."""

    directory: str
    telemetry: Telemetry
    programs: tuple[Standing, ...]
    ways: tuple[Way, ...]
    older: tuple[Older, ...]
    shell: str
    lost: tuple[str, ...]
    #: Why tracing is off, "" where it is on.
    why: str

    @property
    def installed(self) -> list[Standing]:
        """Return the programs that have a shim."""
        return [one for one in self.programs if one.shim]

    @property
    def well(self) -> bool:
        """Whether there are shims, and each is first on this PATH and what it should be."""
        return bool(self.installed) and all(one.state == "seen" and not one.stale for one in self.installed)

    def as_dict(self) -> dict[str, object]:
        """Return it all for JSON."""
        return {
            "directory": self.directory,
            "tracing": {"on": self.telemetry.on, "why": self.telemetry.why},
            "town": self.telemetry.town_root,
            "journal": self.telemetry.journal.root,
            "shell": self.shell,
            "programs": [asdict(one) for one in self.programs],
            "around": [asdict(way) for way in self.ways],
            "started_without": [asdict(process) for process in self.older],
            "lost_variables": list(self.lost),
            "advice": list(advice(self)),
        }


def examine(directory: str, env: Mapping[str, str]) -> Found:
    """Look at this PATH, Claude's settings and the town's processes. Starts nothing."""
    telemetry = config.load(env)
    programs = tuple(standing.look(name, env.get("PATH"), directory) for name in install.PROGRAMS)
    names = [one.program for one in programs if one.shim]
    town = telemetry.town_root
    shell = next((install.shell(one.shim) for one in programs if one.shim), launcher.found_shell())
    return Found(
        directory,
        telemetry,
        programs,
        tuple(around.hooks(env, town)) if names else (),
        tuple(around.older(names, town)) if names and town else (),
        shell,
        () if "bash" in shell else tuple(around.lost(env)),
        "" if telemetry.on else _why(telemetry),
    )


def text(found: Found) -> str:
    """Return the report: the programs, then what goes around them, then what to do."""
    lines = [f"shims     {found.directory}, run by {found.shell}"]
    switch = f"on, {found.telemetry.journal.root}" if found.telemetry.on else f"off: {found.why}"
    lines += [f"tracing   {switch}", ""]
    lines += [f"{one.program:<9} {_standing(one)}" for one in found.programs]
    sections = {
        "around the shims": [_way(way) for way in found.ways],
        "started without them": [_older(process) for process in found.older],
        "lost with sh": list(found.lost),
    }
    for title, entries in sections.items():
        if entries:
            lines += ["", title, *(f"  {entry}" for entry in entries)]
    todo = list(advice(found))
    if todo:
        lines += ["", "what to do", *(f"  {entry}" for entry in todo)]
    return "\n".join(lines) + "\n"


def _why(telemetry: Telemetry) -> str:
    others = elsewhere(telemetry)
    return f"this is no town; journals here: {others}: cd there" if others else telemetry.why


def _standing(one: Standing) -> str:
    real = one.real or "no real program on this PATH"
    said = {
        "seen": f"seen · {one.shim} → {real}",
        "hidden": f"not seen: {real} comes before {one.shim}",
        "off PATH": f"not seen: {one.shim} is not on this PATH · {real}",
        "none": f"no shim · {real}",
    }[one.state]
    return f"{said} · to be written again: {one.stale}" if one.stale else said


def _way(way: Way) -> str:
    return f"{way.where}: {way.what}{f': {way.note}' if way.note else ''}"


def _older(process: Older) -> str:
    name = f" {process.name}" if process.name else ""
    return f"{process.kind}{name}, process {process.pid}: does not see {', '.join(process.unseen)}"


def advice(found: Found) -> Iterator[str]:
    """Yield what to do, a line each; nothing where all is well."""
    where = (
        ""
        if found.directory == install.default_directory(os.environ)
        else f" --dir {shlex.quote(found.directory)}"
    )
    if not found.installed:
        yield f'eval "$(gt-trace shims install{where})" installs them'
        return
    if any(one.stale for one in found.installed):
        yield f"gt-trace shims install{where}: writes them again, for this Python"
    if any(one.state != "seen" for one in found.installed):
        yield f'eval "$(gt-trace shims install{where})", and that line at the end of the shell\'s profile'
    if not found.telemetry.on:
        yield f"tracing is off: {found.why}"
    yield from dict.fromkeys(way.todo for way in found.ways if way.todo)
    if found.older:
        yield "gt down && gt up: agents and daemons get this PATH"
    if found.lost:
        why = "sh drops variables whose names are no identifiers, bash does not"
        yield f"{why}: install it, or set LC_ALL to a locale that is here; then install the shims again"
