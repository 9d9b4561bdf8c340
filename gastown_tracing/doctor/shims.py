"""What the doctor says of the shims: which programs are seen here, and whether something goes around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gastown_tracing import config
from gastown_tracing.doctor.check import ok, problem, skipped, warning
from gastown_tracing.shims import around, install, standing
from gastown_tracing.view.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.config import Telemetry
    from gastown_tracing.doctor.check import Check, Checks
    from gastown_tracing.shims.standing import Standing

_INSTALL = 'eval "$(gt-trace shims install)"'
_STATUS = "`gt-trace shims status` says which, and what to do"


def adoption(telemetry: Telemetry) -> str:
    """Return what adopts a town that has no journal yet, "" where this is none, or gt is not on PATH."""
    env = telemetry.config.env
    if telemetry.journal.exists() or not telemetry.town_root or not env.get("PATH"):
        return ""
    return _INSTALL if standing.look("gt", env["PATH"], "").real else ""


def shims(env: Mapping[str, str]) -> Checks:
    """Yield how each program stands on this PATH, then what goes around the shims that are there."""
    directory = install.default_directory(env)
    found = [standing.look(program, env.get("PATH"), directory) for program in install.PROGRAMS]
    installed = [one.program for one in found if one.shim]
    for one in found:
        if one.shim or (one.real and one.program in ("bd", "gt")):
            yield _program(one)
    if installed:
        yield from _around(env, installed)


def _program(one: Standing) -> Check:
    if one.state == "none":
        said = f"{one.real} is called as it is: what other programs do with it is not recorded"
        return skipped(one.program, said, f"{_INSTALL} puts a shim before it")
    if one.stale:
        return warning(one.program, f"{one.shim}: {one.stale}", "`gt-trace shims install` writes it again")
    if one.state == "seen" and not one.real:
        said = f"{one.shim} stands for a program that is not on this PATH"
        return warning(one.program, said, f"`gt-trace shims remove {one.program}`, or install {one.program}")
    if one.state == "seen":
        return ok(one.program, f"seen: {one.shim} → {one.real}")
    if one.state == "hidden":
        return problem(one.program, f"not seen: {one.real} comes before {one.shim}", _LAST_LINE)
    return warning(one.program, f"not seen: {one.shim} is not on this PATH", _LAST_LINE)


_LAST_LINE = f"{_INSTALL}, and the line that it prints at the end of the shell's profile"


def _around(env: Mapping[str, str], installed: list[str]) -> Checks:
    town = config.load(env).town_root
    ways = around.hooks(env, town)
    lossy = [way for way in ways if way.todo]
    if lossy:
        said = f"{counted(len(lossy), 'way')} around the shims in hooks of Claude's"
        yield warning("hooks", said, _STATUS)
    elif ways:
        meaning = " and ".join(dict.fromkeys(way.note for way in ways))
        yield ok("hooks", f"Claude's call gt past the shims: {meaning}")
    older = around.older(installed, town) if town else []
    if older:
        said = f"agents and daemons of the town that were started without the shims: {len(older)}"
        yield warning("processes", said, "gt down && gt up")
    if not ways and not older:
        yield ok("around", "nothing is known that goes around the shims")
