"""`gt-trace purge`: remove what was recorded of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gastown_tracing.cli import reading

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal


@click.command()
@click.argument("what", metavar="RUN|SESSION|BEAD|latest")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Remove it even if its session is not known to have ended.")
@reading.journal_option
def command(what: str, yes: bool, force: bool, journal: str | None) -> None:
    """Remove a run from the journal: its spans, log records and everything else recorded of it.

    It is asked for first, unless --yes says so. A run whose session is not known to have ended is kept unless
    --force says otherwise: its processes would write on. What was sent elsewhere already stays there.

    Exit codes: 0 removed, 1 no such run, still alive, not removed, or no to the question; 2 wrong options.
    """
    from gastown_tracing.journal import closed
    from gastown_tracing.journal.reader import LookupFailed, find, resolve
    from gastown_tracing.view import text

    place = reading.open_journal(journal)
    try:
        trace_id = resolve(place, what)
    except LookupFailed as error:
        raise reading.Failure(f"{error}; only runs can be purged, not commands outside any") from error
    run = find(place, trace_id)
    name = f"run {trace_id[:8]} ({run.info.get('session') or 'no session'})"
    state = "ended" if run.closed else reading.looker()(run)
    if state in ("live", "unknown") and not force:
        hint = (
            f"`gt-trace session stop {run.info.get('session') or trace_id[:8]}` ends it, --force removes it"
        )
        raise reading.Failure(f"{name} has not ended: {hint}")
    if not yes and not _agreed(f"Remove {name}?"):
        raise reading.Failure(f"{name} was kept; --yes removes it without asking")
    size = sum(_remove(place, directory) for directory in run.directories)
    closed.forget(run.directories)
    click.echo(f"removed {name}: {text.size(size)}")


def _agreed(question: str) -> bool:
    """Ask; where nobody is there to answer, the answer is no."""
    try:
        return click.confirm(question, err=True)
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):
            raise
        click.echo(err=True)
        return False


def _remove(journal: Journal, directory: str) -> int:
    """Remove one of a run's directories and return how many bytes it held."""
    from gastown_tracing.journal.removing import remove

    try:
        return remove(journal, directory)
    except OSError as error:
        raise reading.Failure(f"cannot remove {directory}: {error.strerror}") from error
