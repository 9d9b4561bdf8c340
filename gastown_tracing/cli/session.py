"""`gt-trace session`: start, stop and list agent sessions."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from typing import TYPE_CHECKING

import click

from gastown_tracing import config
from gastown_tracing.sessions import roles, terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.sessions.reaping import Found
    from gastown_tracing.sessions.start import Started

#: Agents that say by their command who they are; others are named with --agent.
KNOWN_AGENTS = ("claude", "codex", "opencode", "gemini", "amp", "cursor-agent")

FAILED, EXISTS, NO_TMUX, NOT_FOUND, UNKNOWN = 1, 3, 4, 5, 6


def failure(message: str, exit_code: int = FAILED) -> click.exceptions.Exit:
    """Say in one line on stderr what is wrong and what to do next; return what ends the command."""
    click.echo(f"gt-trace session: {message}", err=True)
    return click.exceptions.Exit(exit_code)


journal_option = click.option(
    "--journal", metavar="DIR", help="The journal; default: GT_OTEL_JOURNAL, else the town's own."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def environment(journal: str | None) -> dict[str, str]:
    """Return our environment, with the journal that an option names."""
    given = {config.JOURNAL: os.path.abspath(journal)} if journal else {}
    return {**os.environ, **given}


@click.group()
def command() -> None:
    """Start, stop and list agent sessions.

    \b
    Exit codes: 0 done; 1 it failed; 2 the options make no sense; 3 a session of this name exists;
    4 tmux is missing; 5 no such session; 6 nobody can say whether the session lives;
    126 and 127 the command cannot be run or found; `start --here` ends as its command ends.
    """  # noqa: D301  # click's \b


@command.command()
@click.option("--role", required=True, help=f"{', '.join(roles.FORMS)}; or as in GT_ROLE: RIG/crew/NAME.")
@click.option("--name", default="", help="The agent's name, for roles that have many.")
@click.option("--rig", default="", help="The rig, for roles that belong to one.")
@click.option("--issue", default="", metavar="BEAD", help="The bead that it is started for.")
@click.option("--agent", "agent_type", default="", help="GT_AGENT; default: what the command's name says.")
@click.option("--work-dir", default=".", metavar="DIR", help="Where it works; default: here.")
@click.option(
    "--session", "name_of_session", default="", metavar="NAME", help="Default: gt-RIG-NAME, hq-ROLE."
)
@click.option("--socket", default="", metavar="PATH", help="The tmux server, by its socket.")
@click.option("-L", "label", default="", metavar="NAME", help="The tmux server, by its name.")
@click.option(
    "--env", "given", multiple=True, metavar="NAME=VALUE", help="A further variable of the session."
)
@click.option("--here", is_flag=True, help="Run it in the foreground, without tmux.")
@journal_option
@json_option
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND [ARGUMENT]...", type=click.UNPROCESSED)
def start(
    *,
    role: str,
    name: str,
    rig: str,
    issue: str,
    agent_type: str,
    work_dir: str,
    name_of_session: str,
    socket: str,
    label: str,
    given: Sequence[str],
    here: bool,
    journal: str | None,
    as_json: bool,
    words: tuple[str, ...],
) -> None:
    """Start COMMAND as an agent's session: a run of its own, in a tmux pane of its own."""
    from gastown_tracing.sessions import start as starting  # noqa: PLC0415  # git, tmux and the journal

    try:
        agent = roles.parse(role, name, rig)
    except roles.RoleError as error:
        raise failure(str(error), 2) from error
    request = starting.Request(
        agent=agent,
        command=words,
        work_dir=_directory(work_dir),
        session=_session_name(name_of_session),
        agent_type=agent_type or _agent_of(words[0]),
        issue=issue,
        given=_pairs(given),
    )
    env = environment(journal)
    telemetry = config.load(env, request.work_dir)
    if not telemetry.on:
        hint = 'eval "$(gt-trace env)" switches it on'
        click.echo(f"gt-trace session: no trace: telemetry is off ({telemetry.why}); {hint}", err=True)
    try:
        if here:
            starting.here(request, telemetry, {**os.environb, **_encoded(env)})
        _runnable(words[0], request.work_dir)
        started = starting.in_tmux(request, telemetry, _socket(socket, label), env)
    except terminal.SessionExists as error:
        hint = (
            f"--session NAME takes another name, `gt-trace session stop {request.session_name}` ends that one"
        )
        raise failure(f"{error}; {hint}", EXISTS) from error
    except terminal.TmuxError as error:
        raise failure(f"tmux: {error}") from error
    except OSError as error:
        raise _failed(words[0], error) from error
    _say_started(started, journal, as_json)


def _directory(path: str) -> str:
    if not os.path.isdir(path):
        raise failure(f"no such directory: {path}", 2)
    return os.path.abspath(path)


def _session_name(name: str) -> str:
    if any(sign in name for sign in ".:") or not name.isprintable():
        raise failure(f"tmux cannot name a session {name!r}: neither `.` nor `:`", 2)
    return name


def _agent_of(word: str) -> str:
    program = os.path.basename(word)
    return program if program in KNOWN_AGENTS else ""


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs = dict(text.split("=", 1) for text in given if "=" in text)
    if len(pairs) < len(given):
        raise failure("--env takes NAME=VALUE, each name once", 2)
    return pairs


def _encoded(env: dict[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in env.items()}


def _socket(socket: str, label: str) -> str:
    if shutil.which("tmux") is None:
        raise failure("tmux is not installed; --here runs the command in the foreground", NO_TMUX)
    if socket and label:
        raise failure("--socket or -L, not both", 2)
    return os.path.abspath(socket) if socket else label


def _runnable(word: str, work_dir: str) -> None:
    """Refuse a command that tmux could not run: it would say nothing, and the session would be gone."""
    from gastown_tracing.shims import child  # noqa: PLC0415  # only here

    name = os.fsencode(word)
    name = os.path.join(os.fsencode(work_dir), name) if b"/" in name else name
    try:
        child.find(name, os.environb.get(b"PATH"))
    except OSError as error:
        raise _failed(word, error) from error


def _failed(word: str, error: OSError) -> click.exceptions.Exit:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)) and not error.filename2:
        return failure(f"{word}: command not found", 127)
    if isinstance(error, PermissionError) and not error.filename:
        return failure(f"{word}: {os.strerror(error.errno or 0)}", 126)
    return failure(f"{error.filename or word}: {error.strerror}")


def _say_started(started: Started, journal: str | None, as_json: bool) -> None:
    run = started.run
    if as_json:
        facts = {
            "session": started.session,
            "socket": started.socket,
            "run_id": run.trace_id if run else None,
        }
        facts["journal"] = run.journal.root if run else None
        click.echo(json.dumps(facts))
        return
    here = f" --journal {shlex.quote(journal)}" if journal else ""
    name = shlex.quote(started.session)
    click.echo(f"started {started.session}" + (f" · run {run.trace_id}" if run else ""))
    click.echo(f"  watch it   {shlex.join(['tmux', '-S', started.socket, 'attach', '-t', started.session])}")
    if run:
        click.echo(f"  its trace  gt-trace view {name}{here} --follow")
        click.echo(f"  end it     gt-trace session stop {name}{here}")


def _journal(env: dict[str, str]) -> Journal:
    telemetry = config.load(env)
    if not telemetry.journal.exists():
        raise failure(f"no journal at {telemetry.journal.root}: `gt-trace env` makes one", NOT_FOUND)
    return telemetry.journal


@command.command()
@click.argument("session")
@click.option("--reason", default="stopped", show_default=True, help="Why, for the record.")
@journal_option
@json_option
def stop(session: str, reason: str, journal: str | None, as_json: bool) -> None:
    """End a session, given by its name or run, and close its trace."""
    from gastown_tracing.journal.reader import LookupFailed  # noqa: PLC0415  # only here
    from gastown_tracing.sessions import stopping  # noqa: PLC0415  # only here

    env = environment(journal)
    where = _journal(env)
    try:
        run = stopping.find(where, session)
        stopped = stopping.stop(where, run, reason, env)
    except LookupFailed as error:
        raise failure(str(error), NOT_FOUND) from error
    except stopping.NotStoppable as error:
        raise failure(f"{session} stays: {error}", UNKNOWN) from error
    except terminal.TmuxError as error:
        raise failure(f"tmux: {error}") from error
    except OSError as error:
        raise failure(f"{error.filename or session}: {error.strerror}") from error
    name = run.info.get("session") or run.trace_id
    if as_json:
        click.echo(json.dumps({"session": name, "run_id": run.trace_id, "stopped": stopped}))
    else:
        click.echo(f"stopped {name}" if stopped else f"{name} had ended already")


@command.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Ended sessions too.")
@journal_option
@json_option
def list_sessions(everything: bool, journal: str | None, as_json: bool) -> None:
    """List the sessions that live, after closing those that ended unseen."""
    from gastown_tracing.sessions import table  # noqa: PLC0415  # only here
    from gastown_tracing.sessions.reaping import reap  # noqa: PLC0415  # only here

    env = environment(journal)
    where = _journal(env)
    try:
        found = reap(where, env)
    except OSError as error:
        raise failure(f"{error.filename or where.root}: {error.strerror}") from error
    rows = table.rows(where, found, everything)
    if as_json:
        click.echo(json.dumps({"sessions": rows}, indent=1))
        return
    _say_reaped(found)
    click.echo("\n".join(table.lines(rows)) if rows else "no live sessions")


def _say_reaped(found: Sequence[Found]) -> None:
    from gastown_tracing.view.text import clean  # noqa: PLC0415  # only here

    for item in found:
        if item.reaped:
            name = clean(str(item.run.info.get("session") or item.run.trace_id))
            click.echo(f"closed {name}: {clean(item.liveness.evidence)}", err=True)
