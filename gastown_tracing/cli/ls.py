"""`gt-trace ls`: sessions, newest first."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import click

from gastown_tracing.cli import reading

if TYPE_CHECKING:
    from gastown_tracing.cli.reading import Looks
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.journal.reader import Run
    from gastown_tracing.view.choice import Choice
    from gastown_tracing.view.listing import Row
    from gastown_tracing.view.theme import Style

#: Sessions, and commands outside any, that are listed without --all.
SHOWN = 30
#: Of how many others it is said how many they are.
COUNTED = 1_000


@click.command()
@reading.choice_options
@click.option("--all", "every", is_flag=True, help=f"All of it, not only the newest {SHOWN}.")
@click.option("--loose", is_flag=True, help="Commands outside any session too.")
@reading.json_option
@reading.look_options
@reading.journal_option
def command(
    *,
    chosen: Choice,
    every: bool,
    loose: bool,
    as_json: bool,
    looks: Looks,
    journal: str | None,
) -> None:
    """List sessions, newest first.

    --agent, --rig, --bead and --since choose; commands outside any session have none of the first three.
    `≥ 15 ms` is how long a session lasted at least, of which nobody saw the end; `?` what nothing tells.
    --json prints one array. Nothing is written: a session that died is shown as dead, and
    `gt-trace session list` closes it. --all lists runs of which an agent's hook alone knows, too.

    Exit codes: 0 listed, 1 no journal or it cannot be read, 2 wrong options; 141 the pipe was closed.
    """
    from gastown_tracing.view import listing

    place = reading.open_journal(journal)
    runs = chosen.runs(place) if every else filter(_is_known, chosen.runs(place))
    shown = list(runs if every else itertools.islice(runs, SHOWN))
    look = reading.looker()
    rows = [listing.row(run, look) for run in shown]
    found = listing.loose(chosen.loose(place)) if loose else []
    commands = found if every else found[:SHOWN]
    if as_json:
        described = [{**row.data(), **listing.agent(run)} for row, run in zip(rows, shown, strict=True)]
        reading.say_list([*described, *({**row.data(), **listing.NO_AGENT} for row in commands)])
        return
    reading.say(_tables(rows, commands, looks.style(elsewhere=1_000)))
    if not rows and not commands:
        hint = "" if loose else "; --loose lists commands outside any session"
        click.echo(f"gt-trace: {_nothing(place, chosen)}{hint}", err=True)
    if next(runs, None) is not None:
        click.echo(f"{_older(place, chosen, len(shown))}: --all lists them", err=True)
    if len(found) > len(commands):
        older = len(found) - len(commands)
        click.echo(f"{older} older outside any session: --all lists them", err=True)


def _is_known(run: Run) -> bool:
    """Say whether anybody saw the session begin, or anything that it did.

    Else an agent began before there were shims, and all that is known are its hooks' notes.
    """
    from gastown_tracing.journal.layout import list_directory
    from gastown_tracing.journal.runs import counted

    return bool(run.info or counted(run)[0] or any(list_directory(f"{at}/open") for at in run.directories))


def _older(journal: Journal, chosen: Choice, shown: int) -> str:
    """Return in words how many sessions are not listed, as far as that costs nothing."""
    from gastown_tracing.journal.reader import trace_ids

    if chosen.words():
        return "older ones match too"
    older = len(trace_ids(journal, COUNTED + shown)) - shown
    return f"over {COUNTED} older" if older > COUNTED else f"{older} older"


def _nothing(journal: Journal, chosen: Choice) -> str:
    """Return in words why no session is listed."""
    from gastown_tracing.journal.reader import trace_ids
    from gastown_tracing.view import text

    recorded = len(trace_ids(journal)) if chosen.words() else 0
    if recorded:
        return f"none of {text.counted(recorded, 'session')} matches {chosen.words()}"
    return "no session has been recorded yet"


def _tables(rows: list[Row], commands: list[Row], style: Style) -> str:
    """Return the sessions and, under them, the commands outside any."""
    from gastown_tracing.view import listing

    parts = []
    if rows:
        parts.append(listing.sessions(rows, style))
    if commands:
        parts.append(listing.commands(commands, style))
    return "\n".join(parts)
