"""`gt-trace view`: one trace as a waterfall."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from gastown_tracing.cli import reading

if TYPE_CHECKING:
    from gastown_tracing.cli.reading import Looks
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.view.load import Look
    from gastown_tracing.view.model import Trace
    from gastown_tracing.view.neighbours import Neighbours
    from gastown_tracing.view.theme import Style

#: Seconds after which --follow asks a session's tmux server again.
ASKED_AGAIN = 2.0


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the options ask for."""

    logs: bool
    every: bool
    errors: bool
    slowest: int | None
    depth: int | None


@click.command()
@click.argument("what", default="latest", metavar="[RUN|SESSION|BEAD|latest]")
@click.option("--logs", is_flag=True, help="Log records under their spans.")
@click.option("--follow", is_flag=True, help="Draw again whenever something happens, until the session ends.")
@click.option("--all", "every", is_flag=True, help="Every span on a line of its own: nothing is folded.")
@click.option("--errors", is_flag=True, help="Only what failed, and the way to it.")
@click.option(
    "--slowest",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only the N spans with the most time of their own.",
)
@click.option("--depth", type=click.IntRange(min=0), metavar="N", help="Only N levels under the root.")
@click.option(
    "--html", type=reading.Word(), metavar="FILE", help="Write one self-contained page instead; - prints it."
)
@click.option("--json", "as_json", is_flag=True, help="Print OTLP JSON instead: what has ended, on one line.")
@reading.look_options
@reading.journal_option
def command(
    *,
    what: str,
    logs: bool,
    follow: bool,
    every: bool,
    errors: bool,
    slowest: int | None,
    depth: int | None,
    html: str | None,
    as_json: bool,
    looks: Looks,
    journal: str | None,
) -> None:
    """Show a session's trace as a waterfall: by run id, session, bead, or the latest.

    The first digits of a run id stand for it, at least 4 of them. Like siblings in a row are one
    line, idle time is shortened on the axis; both are said below it. `≥ 15 ms` is how long at least
    something lasted of which nobody saw the end.
    A trace outside any session is shown by its id (see `gt-trace ls --loose`).

    --json prints one TracesData object; with --logs one LogsData object follows on the next line.

    Exit codes: 0 shown, 1 no such trace or it cannot be read, 2 wrong options;
    130 --follow was ended by Ctrl-C; 141 the pipe was closed.
    """
    if as_json and (follow or html):
        raise reading.WrongUse("--json goes with neither --follow nor --html")
    if follow and html:
        raise reading.WrongUse("--follow does not go with --html: write the page again later")
    gc.disable()  # trees of spans hold no cycles: looking for some costs a third of the time of a large trace
    place = reading.open_journal(journal)
    trace_id = _find(place, what)
    wish = _Wish(logs, every, errors, slowest, depth)
    if as_json:
        _print_json(place, trace_id, logs)
    elif html:
        _write_page(place, trace_id, wish, html)
    elif follow:
        _follow(place, trace_id, wish, looks.style)
    else:
        reading.say(_picture(_load(place, trace_id, wish, reading.looker()), wish, looks.style()))


def _find(journal: Journal, what: str) -> str:
    """Return the trace that `what` means, or fail with one line."""
    from gastown_tracing.journal.reader import LookupFailed
    from gastown_tracing.view import load

    try:
        return load.find(journal, what)
    except LookupFailed as error:
        raise reading.Failure(str(error)) from error


def _load(
    journal: Journal, trace_id: str, wish: _Wish, look: Look, around: Neighbours | None = None
) -> Trace:
    """Return the trace as the options choose it."""
    from gastown_tracing.view import load, model, shape

    trace = model.build(load.load(journal, trace_id, look, around), time.time_ns())
    return shape.apply(trace, every=wish.every, failed=wish.errors, slow=wish.slowest, levels=wish.depth)


def _picture(trace: Trace, wish: _Wish, style: Style) -> str:
    """Return the waterfall as text."""
    from gastown_tracing.view import console

    return console.render(trace, console.Options(style.width, style.ascii, style.colour, wish.logs))


def _print_json(journal: Journal, trace_id: str, logs: bool) -> None:
    """Print what has ended as OTLP JSON; what is in progress is not sent before it has its last content."""
    from gastown_tracing.view import export, load

    source = load.read(journal, trace_id)
    reading.say(export.traces(source.spans).decode())
    if logs:
        reading.say(export.logs(source.logs).decode())


def _write_page(journal: Journal, trace_id: str, wish: _Wish, path: str) -> None:
    """Write the page and say where it is."""
    from gastown_tracing.view import html

    page = html.render(_load(journal, trace_id, wish, reading.looker()))
    if path == "-":
        reading.say(page)
        return
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)
    except OSError as error:
        raise reading.Failure(f"cannot write {path}: {error.strerror}; --html takes another file") from error
    reading.say(f"{os.path.abspath(path)}\n")


def _follow(journal: Journal, trace_id: str, wish: _Wish, style: Callable[[], Style]) -> None:
    """Draw the waterfall until its session ends."""
    from gastown_tracing.view import follow, load, neighbours

    around = neighbours.Neighbours(journal, trace_id)
    look = reading.looker(ASKED_AGAIN)

    def picture() -> tuple[str, bool]:
        trace = _load(journal, trace_id, wish, look, around)
        return _picture(trace, wish, style()), trace.state in ("live", "unknown")

    canvas = (follow.Terminal if sys.stdout.isatty() else follow.Printer)(reading.say)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the terminal is left as it was found
    try:
        with canvas:
            follow.follow(picture, lambda: load.stamp(journal, trace_id), canvas)
    except KeyboardInterrupt:
        sys.exit(reading.INTERRUPTED)
