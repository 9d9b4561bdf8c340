"""`gt-trace relay`: the one process a journal that ships what was recorded."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gastown_tracing.cli import reading
from gastown_tracing.cli.reading import Failure, journal_option, json_option

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.lock import Holder

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
    The first command that records starts it, at most once a minute. GT_OTEL_RELAY=false, in the
    environment or in the journal's config.json, leaves that to `relay start` and `relay run`.
    It reads config.json alone: what changes there holds a second later.
    """  # noqa: D301  # click's \b


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
    The next command that records starts another one, a minute later at the earliest, unless config.json
    sets GT_OTEL_RELAY to false.
    Exit codes: 0 it has ended, or did not run; 1 it does not end; 2 wrong options.
    """  # noqa: D301  # click's \b
    from gastown_tracing.relay import daemon
    from gastown_tracing.relay.files import Files

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
    reading.say(f"stopped the relay: {present}\n")


@command.command()
@journal_option
@json_option
def status(journal: str | None, as_json: bool) -> None:
    """Say how it is: a line for each endpoint, the receiver, the sessions, and what to do.

    \b
    Exit codes: 0 it runs and all is well; 1 it does not run, or there is no journal; 2 wrong options;
    3 it runs, and something is not well, such as an endpoint that does not take what there is.
    """  # noqa: D301  # click's \b
    from gastown_tracing.cli import relay_report as report
    from gastown_tracing.relay import status as said
    from gastown_tracing.relay.files import Files

    where = reading.open_journal(journal)
    files = Files(where)
    present, found = _holder(where), said.read(files)
    if present is not None and str(found.get("pid")) != str(present.pid):
        found = {}  # of the relay before this one
    troubles = report.troubles(found) if present is not None else []
    if as_json:
        reading.say(json.dumps(_facts(where, present, found, troubles)) + "\n")
    elif present is None:
        last = report.ended(found)
        hint = "; `gt-trace relay start` starts it, and so does the next command that records"
        reading.say(f"no relay runs for {where.root}{f': the last one {last}' if last else ''}{hint}\n")
    else:
        lines = report.lines(found, str(present), files.log)
        reading.say("".join(f"{line}\n" for line in lines))
    if present is None or troubles:
        raise SystemExit(ABSENT if present is None else UNWELL)


def _facts(
    journal: Journal, present: Holder | None, found: dict[str, Any], troubles: list[str]
) -> dict[str, Any]:
    """Return what --json prints; of a relay that does not run, `state` says how it ended."""
    return {
        "running": present is not None,
        "well": present is not None and not troubles,
        "troubles": troubles,
        "journal": journal.root,
        **found,
        "pid": (present.pid or None) if present is not None else None,
    }


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
