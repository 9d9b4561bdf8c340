"""`gt-trace ls`: sessions, newest first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from gastown_tracing.cli import reading

if TYPE_CHECKING:
    from gastown_tracing.view.listing import Row
    from gastown_tracing.view.theme import Style

#: Sessions that are listed without --all.
SHOWN = 30


@click.command()
@reading.choice_options
@click.option("--all", "every", is_flag=True, help=f"Every session, not only the newest {SHOWN}.")
@click.option("--loose", is_flag=True, help="Commands outside any session too.")
@reading.json_option
@reading.look_options
@reading.journal_option
def command(
    *,
    agent: str,
    rig: str,
    bead: str,
    since: str,
    every: bool,
    loose: bool,
    as_json: bool,
    color: str,
    plain: bool,
    width: int | None,
    journal: str | None,
) -> None:
    """List sessions, newest first.

    --agent, --rig, --bead and --since choose; commands outside any session have none of the first three.
    --json prints one object a line. Nothing is written: a session that died is shown as dead, and
    `gt-trace session list` closes it.

    Exit codes: 0 listed, 1 no journal or it cannot be read, 2 wrong options; 141 the pipe was closed.
    """
    from gastown_tracing.view import listing

    chosen = reading.choice(agent, rig, bead, since)
    place = reading.open_journal(journal)
    runs = chosen.runs(place)
    shown = runs if every else runs[:SHOWN]
    look = reading.looker()
    rows = [listing.row(run, look) for run in shown]
    commands = listing.loose(chosen.loose(place)) if loose else []
    if not every:
        commands = commands[:SHOWN]
    if as_json:
        reading.say("".join(json.dumps(row.data()) + "\n" for row in [*rows, *commands]))
        return
    reading.say(_tables(rows, commands, reading.style(color, plain, width, elsewhere=1_000)))
    if not rows and not commands:
        click.echo("gt-trace: no sessions here" if not runs else "", err=True)
    if len(runs) > len(shown):
        click.echo(f"{len(runs) - len(shown)} older: --all lists them", err=True)


def _tables(rows: list[Row], commands: list[Row], style: Style) -> str:
    """Return the sessions and, under them, the commands outside any."""
    from gastown_tracing.view import listing

    parts = []
    if rows:
        parts.append(listing.sessions(rows, style))
    if commands:
        parts.append(listing.commands(commands, style))
    return "\n".join(parts)
