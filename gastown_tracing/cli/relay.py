"""`gt-trace relay`: the one process a journal that ships what was recorded."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gastown_tracing import config
from gastown_tracing.cli import reading, relay_resend
from gastown_tracing.cli.reading import Failure, journal_option, json_option

if TYPE_CHECKING:
    from gastown_tracing.cli.reading import Looks
    from gastown_tracing.cli.relay_report import Report
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.lock import Holder
    from gastown_tracing.view.theme import Style

T = TypeVar("T")

#: Seconds that a relay has to begin, and to end.
BEGIN, END = 20.0, 20.0
_PAUSE = 0.02

#: Exit codes of `status`.
ABSENT, UNWELL = 1, 3


@click.group()
def command() -> None:
    """Ship what is recorded: one process a journal, started on demand.

    \b
    The first command that records starts it, at most once a minute, and each `session start` does where
    none runs. GT_OTEL_RELAY=false, in the
    environment or in the journal's config.json, leaves that to `relay start` and `relay run`.
    It reads config.json alone: what changes there holds a second later.
    """  # noqa: D301  # click's \b


command.add_command(relay_resend.command, "resend")


@command.command()
@journal_option
def run(journal: str | None) -> None:
    """Be the relay, in the foreground: for a service manager.

    \b
    Its log goes to standard error too. SIGTERM and SIGINT end it, SIGHUP lets it read config.json again.
    Exit codes: 0 told to end, or there is a relay already; 1 it cannot run; 2 wrong options.
    """  # noqa: D301  # click's \b
    from gastown_tracing.relay.files import Files
    from gastown_tracing.relay.lock import Lock
    from gastown_tracing.relay.surroundings import settle

    where = _own(journal)
    os.closerange(3, 65536)  # what a service manager left open
    settle()
    lock = Lock(Files(where).lock)
    taken = lock.take()
    if taken is not None:
        reading.say(f"there is a relay already: {taken}\n")
        return
    from gastown_tracing.relay import service  # the rest is for the one relay that there is

    service.run(where, lock, aloud=True)


@command.command()
@journal_option
def start(journal: str | None) -> None:
    """Start it in the background, and return when it runs.

    \b
    Exit codes: 0 it runs, or did so already; 1 it does not begin; 2 wrong options.
    """  # noqa: D301  # click's \b
    from gastown_tracing.relay import daemon
    from gastown_tracing.relay.files import Files
    from gastown_tracing.relay.lock import Lock

    where = _own(journal)
    files = Files(where)
    present = _holder(where)
    if present is not None:
        reading.say(f"there is a relay already: {present}\n")
        return
    lock = Lock(files.lock)
    if lock.take(0) is None:  # a journal that cannot be written is said at once
        lock.release()
    with contextlib.suppress(OSError):  # a full disk is the relay's own affair
        daemon.note(files.asked)
    try:
        daemon.start(where.root)
    except OSError as error:
        raise Failure(f"no relay can be started: {error.strerror}") from error
    found = _until(lambda: _begun(where), BEGIN)
    if found is None:
        hint = "`gt-trace relay run` says why"
        raise Failure(f"the relay did not begin within {BEGIN:g} s; {hint}; its log: {files.log}")
    reading.say(f"started the relay: {found} · log {files.log}\n")


@command.command()
@journal_option
def stop(journal: str | None) -> None:
    """End it, and return when it has ended. What it has not sent it sends next time.

    \b
    The next `session start` starts another one, and so does the next command that records, a minute later
    at the earliest, unless config.json sets GT_OTEL_RELAY to false.
    Exit codes: 0 it has ended, or did not run; 1 it does not end; 2 wrong options.
    """  # noqa: D301  # click's \b
    from gastown_tracing.relay import daemon
    from gastown_tracing.relay.files import Files

    root = _without_journal(journal)
    if root:
        reading.say(f"no relay runs: there is no journal at {root}\n")
        return
    where = _own(journal)
    with contextlib.suppress(OSError):  # the same
        daemon.note(Files(where).asked)
    present = _holder(where)
    if present is None:
        reading.say("no relay runs\n")
        return
    if not present.pid or not present.here:
        raise Failure(f"the relay is not to be reached from here: {present}")
    try:
        os.kill(present.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except OSError as error:
        raise Failure(f"the relay cannot be ended: {present}: {error.strerror}") from error
    if _until(lambda: _is_over(where, present), END) is None:
        hint = f"`kill -9 {present.pid}` ends it, and nothing is lost by that"
        raise Failure(f"the relay did not end within {END:g} s: {present}; {hint}")
    with contextlib.suppress(OSError):  # once more: the relay may have made the note older meanwhile
        daemon.note(Files(where).asked)
    reading.say(f"stopped the relay: {present}\n")


@command.command()
@journal_option
@json_option
@reading.look_options
def status(journal: str | None, as_json: bool, looks: Looks) -> None:
    """Say how it is: a line for each endpoint, the receiver, the sessions, and what to do.

    \b
    Exit codes: 0 it runs and all is well; 1 it does not run, or there is no journal; 2 wrong options;
    3 it runs, and something is not well: an endpoint that does not take what there is, a setting that
    cannot be used, records that were lost or refused in the last 24 hours.
    """  # noqa: D301  # click's \b
    from gastown_tracing.cli.relay_report import Report
    from gastown_tracing.relay import losses, starting
    from gastown_tracing.relay import status as said
    from gastown_tracing.relay.files import Files

    where = reading.open_journal(journal)
    files, settings = Files(where), config.Config(os.environ, where.config_path)
    present, found = _holder(where), said.read(files)
    if present is not None and str(found.get("pid")) != str(present.pid):
        found = {}  # of the relay before this one
    own = config.Config({}, where.config_path)  # the relay knows no environment
    report = Report(found, own, losses.given_up(files, found), losses.dead_letters(files, found))
    troubles = report.troubles() if present is not None else []
    if as_json:
        reading.say(json.dumps(_facts(where, present, report, troubles)) + "\n")
    elif present is None:
        reading.say(_absent(where, report, starting.outlook(where, settings, files), looks.style()))
    else:
        lines = report.lines(str(present), files.log, looks.style(), starting.switched_off(settings))
        reading.say("".join(f"{line}\n" for line in lines))
    if present is None or troubles:
        raise SystemExit(ABSENT if present is None else UNWELL)


def _absent(journal: Journal, report: Report, outlook: str, style: Style) -> str:
    """Return what is said while no relay runs."""
    from gastown_tracing.cli.relay_report import ended, row

    last = ended(report.found)
    rows = [
        ("relay", f"no relay runs for {journal.root}{f': the last one {last}' if last else ''}"),
        ("", outlook),
        *report.losses(),
    ]
    return "".join(f"{line}\n" for name, words in rows for line in row(name, words, style))


def _facts(journal: Journal, present: Holder | None, report: Report, troubles: list[str]) -> dict[str, Any]:
    """Return what --json prints; of a relay that does not run, `state` says how it ended."""
    return {
        "running": present is not None,
        "well": present is not None and not troubles,
        "troubles": troubles,
        "journal": journal.root,
        **report.found,
        "pid": (present.pid or None) if present is not None else None,
        "lost": asdict(report.lost) if report.lost else None,
        "dead_letters": {
            signal: {"records": loss.records, "last": loss.last or None}
            for signal, loss in report.dead.items()
        },
    }


def _without_journal(given: str | None) -> str:
    """Return the directory that has no journal, "" where there is one."""
    from gastown_tracing.cli.paths import absolute
    from gastown_tracing.journal.layout import Journal

    journal = Journal(absolute(given)) if given else config.load(os.environ).journal
    return "" if journal.exists() else journal.root


def _own(given: str | None) -> Journal:
    """Return the journal, which must be this user's."""
    journal = reading.open_journal(given)
    if not journal.owned():
        raise Failure(f"the journal {journal.root} belongs to another user, and so does its relay")
    return journal


def _holder(journal: Journal) -> Holder | None:
    from gastown_tracing.relay.files import Files
    from gastown_tracing.relay.lock import holder

    try:
        return holder(Files(journal).lock)
    except OSError as error:
        raise Failure(f"{Files(journal).lock}: {error.strerror}") from error


def _begun(journal: Journal) -> Holder | None:
    """Return who holds the lock, once he has said that he runs."""
    from gastown_tracing.relay import status as said
    from gastown_tracing.relay.files import Files

    present = _holder(journal)
    found = said.read(Files(journal))
    return present if present is not None and str(found.get("pid")) == str(present.pid) else None


def _is_over(journal: Journal, before: Holder) -> bool | None:
    present = _holder(journal)
    return True if present is None or (present.pid and present != before) else None


def _until(found: Callable[[], T | None], seconds: float) -> T | None:
    """Return what `found` returns as soon as that is something; None when the time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = found()
        if result is not None:
            return result
        time.sleep(_PAUSE)
    return None
