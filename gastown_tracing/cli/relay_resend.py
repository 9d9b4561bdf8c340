"""`gt-trace relay resend`: dead letters go again, once what was wrong is put right."""

from __future__ import annotations

import click

from gastown_tracing.cli import reading
from gastown_tracing.cli.reading import Failure, journal_option
from gastown_tracing.view import text


@click.command()
@click.argument(
    "what", type=click.Choice(["traces", "logs", "all"]), default="all", metavar="[traces|logs|all]"
)
@journal_option
def command(what: str, journal: str | None) -> None:
    """Send dead letters again: the records that an endpoint refused. Default: all.

    \b
    For when what was wrong with them, or with the endpoint, has been put right. What is refused again
    is a dead letter again. relay/dead-letters/reasons.jsonl keeps the reasons, and a note of this.
    A relay that runs sends them at once; without one the next relay does.
    Exit codes: 0 there are none, or they are sent again; 1 they cannot be moved; 2 wrong options.
    """  # noqa: D301  # click's \b
    from gastown_tracing.relay.files import Files
    from gastown_tracing.relay.lock import holder
    from gastown_tracing.relay.resending import SIGNALS, resend

    where = reading.open_journal(journal)
    if not where.owned():
        raise Failure(f"the journal {where.root} belongs to another user, and so do its dead letters")
    files = Files(where)
    try:
        counts = resend(files, SIGNALS if what == "all" else (what,))
        present = holder(files.lock)
    except OSError as error:
        raise Failure(f"{error.filename or files.dead_letters}: {error.strerror}") from error
    found = [f"{text.counted(count, 'record')} of {signal}" for signal, count in counts.items() if count]
    if not found:
        reading.say(f"there are no dead letters in {files.dead_letters}\n")
        return
    when = "now" if present is not None else "when a relay runs: `gt-trace relay start`"
    reading.say(f"{' and '.join(found)}: sent again {when}\n")
