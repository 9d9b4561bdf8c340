"""`gt-trace view`: one trace as a waterfall."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import click

from gastown_tracing.cli import reading

if TYPE_CHECKING:
    from gastown_tracing.cli.reading import Looks
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.view.console import Options
    from gastown_tracing.view.load import Look
    from gastown_tracing.view.model import Source, Trace
    from gastown_tracing.view.neighbours import Neighbours
    from gastown_tracing.view.theme import Style
    from gastown_tracing.view.together import Picture

#: Seconds after which --follow asks a session's tmux server again.
ASKED_AGAIN = 2.0


#: How many traces --follow-links draws unless it says how many.
LINKED = "12"


class _Choice(TypedDict):
    """What of a trace is shown, as `shape.apply` and `together.build` take it."""

    every: bool
    failed: bool
    slow: int | None
    levels: int | None


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the options ask for."""

    logs: bool
    every: bool
    errors: bool
    slowest: int | None
    depth: int | None

    def choice(self) -> _Choice:
        """Return it by the names that the model has."""
        return {"every": self.every, "failed": self.errors, "slow": self.slowest, "levels": self.depth}


class _Command(click.Command):
    """Knows an option with a value that may be left out: `--follow-links`, `--follow-links=N`.

    click's own would take the run that comes next for the number.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write the number that is meant where there is none."""
        end = args.index("--") if "--" in args else len(args)
        known = [f"{word}={LINKED}" if word == "--follow-links" else word for word in args[:end]]
        return super().parse_args(ctx, known + args[end:])


@click.command(cls=_Command)
@click.argument("what", default="latest", metavar="[RUN|SESSION|BEAD|latest]")
@click.option("--logs", is_flag=True, help="Log records under their spans.")
@click.option(
    "--follow-links",
    "most",
    type=click.IntRange(min=1),
    metavar="[=N]",
    help=f"With the traces that its links lead to, on one time axis: N traces at most, {LINKED} by default.",
)
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
    most: int | None,
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

    --follow-links draws what mail, slings, nudges and merge requests led to and came from, nearest
    first; of a bead all its runs, in order of time. `⇢ A1` marks a cause, `⇠ A1` each of its effects.
    Of a trace that links lead to only its part in the story is drawn; with --all every span.

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
    view = _One(place, trace_id, wish) if most is None else _Linked(place, what, wish, most)
    if as_json:
        _print_json(view.sources(), logs)
    elif html:
        _write_page(view.page(reading.looker()), html)
    elif follow:
        _follow(view, looks.style)
    else:
        reading.say(view.draw(looks.style(), reading.looker())[0])


def _find(journal: Journal, what: str) -> str:
    """Return the trace that `what` means, or fail with one line."""
    from gastown_tracing.journal.reader import LookupFailed
    from gastown_tracing.view import load

    try:
        return load.find(journal, what)
    except LookupFailed as error:
        raise reading.Failure(str(error)) from error


class _One:
    """The view of one trace."""

    def __init__(self, journal: Journal, trace_id: str, wish: _Wish) -> None:
        self._journal = journal
        self._trace_id = trace_id
        self._wish = wish
        self._around: Neighbours | None = None

    def draw(self, style: Style, look: Look) -> tuple[str, bool]:
        """Return the waterfall as text, and whether it may still change."""
        from gastown_tracing.view import console

        trace = self._load(look)
        return console.render(trace, _options(style, self._wish)), trace.state in ("live", "unknown")

    def page(self, look: Look) -> str:
        """Return the waterfall as a page."""
        from gastown_tracing.view import html

        return html.render(self._load(look))

    def sources(self) -> list[Source]:
        """Return what the journal has of it."""
        from gastown_tracing.view import load

        return [load.read(self._journal, self._trace_id)]

    def stamp(self) -> object:
        """Return something that changes whenever the picture may."""
        from gastown_tracing.view import load

        return load.stamp(self._journal, self._trace_id)

    def _load(self, look: Look) -> Trace:
        from gastown_tracing.view import load, model, neighbours, shape

        self._around = self._around or neighbours.Neighbours(self._journal, self._trace_id)
        source = load.load(self._journal, self._trace_id, look, self._around)
        return shape.apply(model.build(source, time.time_ns()), **self._wish.choice())


class _Linked:
    """The view of a trace, or a bead's, with those that links lead to."""

    def __init__(self, journal: Journal, what: str, wish: _Wish, most: int) -> None:
        from gastown_tracing.view import linked

        self._journal = journal
        self._wish = wish
        self._stories = linked.Stories(journal, what, most)

    def draw(self, style: Style, look: Look) -> tuple[str, bool]:
        """Return the picture as text, and whether it may still change."""
        from gastown_tracing.view import blocks

        picture = self._build(look)
        return blocks.render(picture, _options(style, self._wish)), picture.all.state in ("live", "unknown")

    def page(self, look: Look) -> str:
        """Return the picture as a page."""
        from gastown_tracing.view import pages

        return pages.render(self._build(look))

    def sources(self) -> list[Source]:
        """Return what the journal has of the traces."""
        return self._stories.gather().sources

    def stamp(self) -> object:
        """Return something that changes whenever the picture may."""
        return self._stories.stamp()

    def _build(self, look: Look) -> Picture:
        from gastown_tracing.view import together

        return together.build(self._stories.gather(look), time.time_ns(), **self._wish.choice())


def _options(style: Style, wish: _Wish) -> Options:
    from gastown_tracing.view import console

    return console.Options(style.width, style.ascii, style.colour, wish.logs)


def _print_json(sources: list[Source], logs: bool) -> None:
    """Print what has ended as OTLP JSON; what is in progress is not sent before it has its last content."""
    from gastown_tracing.view import export

    reading.say(export.traces([span for source in sources for span in source.spans]).decode())
    if logs:
        reading.say(export.logs([log for source in sources for log in source.logs]).decode())


def _write_page(page: str, path: str) -> None:
    """Write the page and say where it is."""
    if path == "-":
        reading.say(page)
        return
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)
    except OSError as error:
        raise reading.Failure(f"cannot write {path}: {error.strerror}; --html takes another file") from error
    reading.say(f"{os.path.abspath(path)}\n")


def _follow(view: _One | _Linked, style: Callable[[], Style]) -> None:
    """Draw the waterfall until its session ends, or all sessions in the picture."""
    from gastown_tracing.view import follow

    look = reading.looker(ASKED_AGAIN)
    canvas = (follow.Terminal if sys.stdout.isatty() else follow.Printer)(reading.say)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the terminal is left as it was found
    try:
        with canvas:
            follow.follow(lambda: view.draw(style(), look), view.stamp, canvas)
    except KeyboardInterrupt:
        sys.exit(reading.INTERRUPTED)
