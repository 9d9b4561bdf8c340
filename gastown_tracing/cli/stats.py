"""`gt-trace stats`: what takes the time, and what fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from gastown_tracing.cli import reading

if TYPE_CHECKING:
    from gastown_tracing.cli.reading import Looks
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.journal.parse import ReadSpan
    from gastown_tracing.view.choice import Choice


@click.command()
@click.argument("what", nargs=-1, metavar="[RUN|SESSION|BEAD|latest]...")
@reading.choice_options
@click.option("--loose", is_flag=True, help="Commands outside any session too.")
@reading.json_option
@reading.look_options
@reading.journal_option
def command(
    *,
    what: tuple[str, ...],
    chosen: Choice,
    loose: bool,
    as_json: bool,
    looks: Looks,
    journal: str | None,
) -> None:
    """Count calls, errors and durations per operation, over the runs named, else over all that are chosen.

    An operation is a span's name, for bd.call with the subcommand. P50, P95 and P99 are exact, by nearest
    rank: the least duration that so many percent of the calls do not exceed. What is in progress is not
    counted. What was cut off is, a call as an error, but its duration is nobody's: it is left out. --json
    prints one array.

    Exit codes: 0 counted, 1 no such run or journal, 2 wrong options; 141 the pipe was closed.
    """
    from gastown_tracing.view import stats

    place = reading.open_journal(journal)
    found = stats.operations(_spans(place, what, chosen, loose))
    if as_json:
        reading.say_list(one.data() for one in found)
        return
    if not found:
        matches = f"matches {chosen.words()}" if chosen.words() else "has been recorded yet"
        whose = f" of {' or '.join(what)}" if what else ""
        hint = "" if loose or what else "; --loose counts commands outside any session"
        click.echo(f"gt-trace: no call{whose} that has ended {matches}{hint}", err=True)
        return
    reading.say(stats.render(found, looks.style(elsewhere=1_000)))
    if not loose and not what and chosen.loose(place).spans:
        click.echo("gt-trace: without the commands outside any session: --loose counts them, too", err=True)


def _spans(journal: Journal, what: tuple[str, ...], chosen: Choice, loose: bool) -> Iterator[ReadSpan]:
    """Yield the ended spans that are meant."""
    from gastown_tracing.journal.reader import LookupFailed, read_run, resolve

    try:
        named = {resolve(journal, text) for text in what}
    except LookupFailed as error:
        raise reading.Failure(str(error)) from error
    for run in chosen.of(journal, named) if what else chosen.runs(journal):
        yield from read_run(journal, run.trace_id).spans
    if loose:
        yield from chosen.loose(journal).spans
