"""`gt-trace session`: start, stop and list agent sessions."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
from typing import TYPE_CHECKING

import click

from gastown_tracing import config
from gastown_tracing.cli.paths import absolute
from gastown_tracing.cli.reading import (
    Failure,
    WrongUse,
    journal_option,
    json_option,
    look_options,
    open_journal,
    say,
    say_list,
)
from gastown_tracing.sessions import roles, terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gastown_tracing.cli.reading import Looks
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.sessions.reaping import Found
    from gastown_tracing.sessions.start import Started

#: Agents that say by their command who they are; others are named with --agent.
KNOWN_AGENTS = ("claude", "codex", "opencode", "gemini", "amp", "cursor-agent")


class NameTaken(Failure):
    """A session of this name exists."""

    exit_code = 3


class NoTmux(Failure):
    """tmux is missing."""

    exit_code = 4


class NoSuchSession(Failure):
    """No session is meant by what was given."""

    exit_code = 5


class NobodyKnows(Failure):
    """Nobody can say whether the session lives."""

    exit_code = 6


class NotExecutable(Failure):
    """The command cannot be run."""

    exit_code = 126


class CommandNotFound(Failure):
    """There is no such command."""

    exit_code = 127


def environment(journal: str | None) -> dict[str, str]:
    """Return our environment, with the full path of the journal that an option or a variable names."""
    named = journal or os.environ.get(config.JOURNAL, "")
    return {**os.environ, **({config.JOURNAL: absolute(named)} if named else {})}


@click.group()
def command() -> None:
    """Start, stop and list agent sessions.

    \b
    Exit codes: 0 done; 1 it failed; 2 the options make no sense; 3 a session of this name exists;
    4 tmux is missing; 5 no such session, or none of ours; 6 nobody can say whether the session lives;
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
    "--session",
    "name_of_session",
    default="",
    metavar="NAME",
    help=f"The tmux session; default, by role: {', '.join(roles.session_forms())}.",
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
    from gastown_tracing.sessions import foreground
    from gastown_tracing.sessions import start as starting

    try:
        agent = roles.parse(role, name, rig)
    except roles.RoleError as error:
        raise WrongUse(str(error)) from error
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
    try:
        if here:
            foreground.run(request, telemetry, {**os.environb, **_encoded(env)}, _warn)
        server = _socket(socket, label)
        _runnable(words[0], request.work_dir)
        started = starting.in_tmux(request, telemetry, server, env)
    except terminal.SessionExists as error:
        hint = (
            f"--session NAME takes another name, `gt-trace session stop {request.session_name}` ends that one"
        )
        raise NameTaken(f"{error}; {hint}") from error
    except terminal.TmuxError as error:
        raise Failure(f"tmux: {error}") from error
    except OSError as error:
        raise _failed(words[0], error) from error
    if started.note:
        _warn(started.note)
    _say_started(started, journal, as_json)


def _warn(note: str) -> None:
    click.echo(f"gt-trace: {note}", err=True)


def _directory(path: str) -> str:
    full = absolute(path)
    if not os.path.isdir(full):
        raise WrongUse(f"no such directory: {path}")
    return full


def _session_name(name: str) -> str:
    refused = sorted({sign for sign in name if sign in ".:" or not sign.isprintable()})
    if refused:
        found = " and ".join(map(repr, refused))
        rule = "in the name of a tmux session `.`, `:` and what cannot be printed cannot be used"
        raise WrongUse(f"--session {name!r} has {found}: {rule}")
    return name


def _agent_of(word: str) -> str:
    program = os.path.basename(word)
    return program if program in KNOWN_AGENTS else ""


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs = dict(text.split("=", 1) for text in given if "=" in text)
    if len(pairs) < len(given) or "" in pairs:
        raise WrongUse("--env takes NAME=VALUE, each name once")
    return pairs


def _encoded(env: dict[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in env.items()}


def _socket(socket: str, label: str) -> str:
    if shutil.which("tmux") is None:
        raise NoTmux("tmux is not installed; --here runs the command in the foreground")
    if socket and label:
        raise WrongUse("--socket or -L, not both")
    if "/" in label or label in (".", ".."):
        raise WrongUse(f"-L {label}: not a name of a tmux server; --socket takes a path")
    return _socket_path(socket) if socket else label


def _socket_path(socket: str) -> str:
    """Return the full path of a socket, which need not be there; tmux would replace any other file."""
    path = absolute(socket)
    try:
        known = stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return path
    if not known:
        raise WrongUse(f"--socket {socket}: there is a file of this name, and it is no socket")
    return path


def _runnable(word: str, work_dir: str) -> None:
    """Refuse a command that tmux could not run: it would say nothing, and the session would be gone."""
    from gastown_tracing.shims import child  # only here

    name = os.fsencode(word)
    name = os.path.join(os.fsencode(work_dir), name) if b"/" in name else name
    try:
        child.find(name, os.environb.get(b"PATH"))
    except OSError as error:
        raise _failed(word, error) from error


def _failed(word: str, error: OSError) -> Failure:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)) and not error.filename2:
        return CommandNotFound(f"{word}: command not found")
    if isinstance(error, PermissionError) and not error.filename:
        return NotExecutable(f"{word}: {os.strerror(error.errno or 0)}")
    return Failure(f"{error.filename or word}: {error.strerror}")


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
    else:
        ending = ["tmux", "-S", started.socket, "kill-session", "-t", f"={started.session}"]
        click.echo(f"  end it     {shlex.join(ending)}")


@command.command()
@click.argument("session")
@click.option("--reason", default="stopped", show_default=True, help="Why, for the record.")
@journal_option
@json_option
def stop(session: str, reason: str, journal: str | None, as_json: bool) -> None:
    """End a session, given by its name or run, and close its trace.

    Its tmux session is ended, and its agent hung up on; one in the foreground gets SIGTERM. An agent that
    still runs 3 s later is named with its process id, with exit code 1, and its trace stays open: a trace is
    closed when the work in it has ended. So it is with exit code 1 when the end cannot be recorded. Where
    telemetry has been switched off since its start the session is ended, and nothing is recorded. A session
    that was started without telemetry is none of ours: `tmux kill-session` ends it.
    """
    from gastown_tracing.journal.reader import LookupFailed  # only here
    from gastown_tracing.sessions import reaping, stopping  # only here

    env = environment(journal)
    where = open_journal(journal)
    try:
        run = stopping.find(where, session)
        stopped = stopping.stop(where, run, reason, env)
    except LookupFailed as error:
        _not_ours(where, session, env, "it has no run here")
        raise NoSuchSession(str(error)) from error
    except stopping.NotStoppable as error:
        raise NobodyKnows(f"{session} stays: {error}") from error
    except (stopping.StillRuns, stopping.NotRecorded) as error:
        raise Failure(f"{session}: {error}") from error
    except terminal.TmuxError as error:
        raise Failure(f"tmux: {error}") from error
    except OSError as error:
        raise Failure(f"{error.filename or session}: {error.strerror}") from error
    name = run.info.get("session") or run.trace_id
    if not stopped and session == name:
        _not_ours(where, session, env, f"its run {run.trace_id[:8]} had ended already")
    off = reaping.why_not_recorded(where, env)
    if off and not run.closed:
        _warn(f"not recorded: {off}")
    if as_json:
        click.echo(json.dumps({"session": name, "run_id": run.trace_id, "stopped": stopped}))
    else:
        click.echo(f"stopped {name}" if stopped else f"{name} had ended already")


def _not_ours(journal: Journal, session: str, env: dict[str, str], why: str) -> None:
    """Fail where tmux has a session of this name that no open run stands for."""
    from gastown_tracing.sessions import stopping  # only here

    ending = stopping.namesake(journal, session, env)
    if ending:
        raise NoSuchSession(f"tmux has a session {session}, but {why}: not ours to end; `{ending}` ends it")


@command.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Ended sessions too.")
@json_option
@look_options
@journal_option
def list_sessions(*, everything: bool, as_json: bool, looks: Looks, journal: str | None) -> None:
    """List the sessions that live, newest first, after closing those that ended unseen.

    Each of those is a line on stderr. A journal that cannot be written is one too, and no failure: what is
    there is listed, and the next list closes what this one could not.
    """
    from gastown_tracing.sessions import table  # only here
    from gastown_tracing.sessions.reaping import reap  # only here

    env = environment(journal)
    where = open_journal(journal)
    problems: list[OSError] = []
    found = reap(where, env, problems=problems)
    rows = table.rows(where, found, everything)
    _say_reaped(found)
    if problems:
        _warn(f"{where.root} cannot be written: {problems[0].strerror}; what ended unseen stays open in it")
    if as_json:
        say_list(rows)
        return
    say(table.text_of(rows, looks.style(elsewhere=1_000)) if rows else "no live sessions\n")


def _say_reaped(found: Sequence[Found]) -> None:
    from gastown_tracing.view.text import clean  # only here

    for item in found:
        if item.reaped:
            name = clean(str(item.run.info.get("session") or item.run.trace_id))
            click.echo(f"closed {name}, which ended unseen: {clean(item.liveness.evidence)}", err=True)
