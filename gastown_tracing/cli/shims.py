"""`gt-trace shims`: what stands before bd, gt, git and tmux on PATH, so that an unmodified town is seen."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from typing import TYPE_CHECKING

import click

from gastown_tracing import config
from gastown_tracing.cli import env as shell
from gastown_tracing.cli import reading
from gastown_tracing.cli.paths import absolute
from gastown_tracing.cli.reading import Failure, WrongUse
from gastown_tracing.shims import install as shims

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What running agents and daemons need before they see the shims.
RESTART = "gt down && gt up"


@click.group()
def command() -> None:
    """See what an unmodified town does: small executables before bd, gt, git and tmux on PATH.

    \b
    A shim decides by itself what nobody wants to see and execs the next program of its name on PATH;
    the rest is recorded. Where nothing is recorded, or Python is gone, it just execs.
    """  # noqa: D301  # click's \b


_directory_option = click.option(
    "--dir",
    "directory",
    type=reading.Word(),
    metavar="DIR",
    help="The shims' directory; default: gastown-tracing/shims in XDG_DATA_HOME.",
)
_programs_argument = click.argument(
    "programs", nargs=-1, type=click.Choice(shims.PROGRAMS), metavar="[PROGRAM]..."
)


@command.command()
@_directory_option
@click.option("--shell", "syntax", type=click.Choice(["sh", "fish"]), help="Whose syntax; default: SHELL's.")
@_programs_argument
def install(directory: str | None, syntax: str | None, programs: tuple[str, ...]) -> None:
    """Write the shims, of bd, gt, git and tmux or of those named: eval "$(gt-trace shims install)".

    Prints the line that puts them first on PATH; it goes into the shell's profile, too. In a town its journal
    is made where there is none. What runs already keeps its PATH: gt down && gt up.
    """
    env = dict(os.environ)
    place = _place(directory)
    wanted = programs or shims.PROGRAMS
    try:
        written = shims.write(place, wanted)
    except OSError as error:
        raise Failure(f"{error.filename or place}: {error.strerror}; --dir DIR takes another") from error
    line = path_line(
        place, [name for name in shims.PROGRAMS if name in wanted], syntax or shell.shell_of(env)
    )
    _say(f"wrote {', '.join(written)} in {place}" if written else f"all is there already in {place}")
    _say(_journal(env))
    ours = _off_path(env)
    if ours:
        _say(f"gt-trace is not on PATH: it is {ours}")
    _say(f"agents and daemons that run already need: {RESTART}; then: gt-trace shims status")
    shown = "" if sys.stdout.isatty() else f"\n{line}"  # a terminal shows what is for the shell, too
    _say(f"put this line at the end of your shell's profile:{shown}")
    click.echo(line)


def _off_path(env: Mapping[str, str]) -> str:
    """Return the full path of gt-trace where PATH does not lead to one, "" where it does."""
    if shutil.which("gt-trace", path=env.get("PATH")):
        return ""
    file = os.path.join(os.path.dirname(os.path.abspath(sys.executable)), "gt-trace")
    return file if os.access(file, os.X_OK) else ""


def path_line(directory: str, programs: Sequence[str], syntax: str) -> str:
    """Return the line that puts these programs' folders first on PATH, in a shell's syntax (`sh`, `fish`)."""
    folders = [f"{directory}/{program}" for program in programs]
    if syntax == "fish":
        return f"set -gx PATH {' '.join(map(shell.quoted_for_fish, folders))} $PATH"
    return f'export PATH={shlex.quote(":".join(folders))}:"$PATH"'


def _journal(env: Mapping[str, str]) -> str:
    """Make the journal of the town that we are in, where there is none; return what to say of it."""
    telemetry = config.load(env)
    journal = telemetry.journal
    if not telemetry.town_root and not env.get(config.JOURNAL):
        return "no journal is made: this is no town; `gt-trace env` makes one, or this command in the town"
    if not journal.exists():
        try:
            shell.prepare(journal.root, config.for_journal(env), switch_on=False)
        except OSError as error:
            raise Failure(f"{error.filename or journal.root}: {error.strerror}") from error
        telemetry = config.load(env)
    town = telemetry.town_root or "GT_OTEL_JOURNAL"
    if not telemetry.on:
        return f"nothing will be recorded: {telemetry.why}"
    return f"the journal of {town} is {journal.root}"


@command.command()
@_directory_option
@click.option("--off", "switch_off", is_flag=True, help="Switch tracing off, too: remove the journal's `on`.")
@_programs_argument
def remove(directory: str | None, *, switch_off: bool, programs: tuple[str, ...]) -> None:
    """Remove the shims, all or those named, and nothing else: tracing stays on without --off.

    Says which lines in the shell's profiles still name their directory, and what still records.
    """
    from gastown_tracing.shims import around  # only here

    if switch_off and programs:
        raise WrongUse("--off goes with all programs, not with some")
    place = _place(directory)
    try:
        removed = shims.remove(place, programs or shims.PROGRAMS)
    except OSError as error:
        raise Failure(f"{error.filename or place}: {error.strerror}") from error
    _say(f"removed {', '.join(removed)} from {place}" if removed else f"no shims in {place}")
    if os.path.isdir(place) and not programs:
        _say(f"{place} stays: it holds other things")
    lines = [] if programs else around.profile_lines(place, os.environ)
    for line in lines:
        _say(f"{line} still names it: remove the line")
    if removed:
        _say("shells that remember where a program was need: hash -r")
    if not programs:
        _leave_off(config.load(os.environ), switch_off)
    if removed:
        _say(f"agents and daemons that run already keep what they were started with: {RESTART}")


def _leave_off(telemetry: config.Telemetry, switch_off: bool) -> None:
    """Say what of the journal in force still records, or switch that off. Fails in no town."""
    stop, journal = "`gt-trace relay stop` ends the relay", telemetry.journal
    if not journal.is_on():
        from gastown_tracing.doctor.towns import elsewhere  # for a mistake

        others = elsewhere(telemetry)
        if others and switch_off:
            raise Failure(f"this is no town, and nothing was switched off; journals here: {others}: cd there")
        if switch_off:
            _say(f"tracing is off already: there is no {journal.on_path}")
        return
    if not switch_off:
        off = f"removing {journal.on_path} (or --off) switches it off"
        _say(f"tracing is still on: {stop}, {off}; the journal stays at {journal.root}")
        return
    try:
        os.unlink(journal.on_path)
    except OSError as error:
        raise Failure(f"{journal.on_path}: {error.strerror}") from error
    _say(f"tracing is off: removed {journal.on_path}; {stop}; the journal stays at {journal.root}")


@command.command()
@_directory_option
@reading.json_option
def status(directory: str | None, as_json: bool) -> None:
    """Say which programs are seen on this PATH, and what goes around the shims here.

    \b
    Exit codes: 0 all that is installed is seen; 1 something is not, or nothing is installed; 2 wrong use.
    """  # noqa: D301  # click's \b
    from gastown_tracing.cli import shims_report  # only here

    found = shims_report.examine(_place(directory), dict(os.environ))
    if as_json:
        reading.say(json.dumps(found.as_dict()) + "\n")
    else:
        reading.say(shims_report.text(found))
    if not found.well:
        raise SystemExit(1)


def _place(given: str | None) -> str:
    """Return the shims' directory. Fails, as a wrong use, for one that cannot stand on PATH."""
    place = absolute(given) if given else shims.default_directory(os.environ)
    if ":" in place or "\n" in place:
        raise WrongUse(f"{place!r} cannot stand on PATH; --dir DIR takes another")
    return place


def _say(text: str) -> None:
    """Say something beside the line that the shell evaluates."""
    click.echo(f"gt-trace: {text}", err=True)
