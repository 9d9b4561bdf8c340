"""What the commands that read a journal share: its options, how they print, how they fail."""

from __future__ import annotations

import functools
import json
import math
import os
import select
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import click

from gastown_tracing import config

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.journal.reader import Run
    from gastown_tracing.sessions.liveness import Inspector
    from gastown_tracing.view.choice import Choice
    from gastown_tracing.view.load import Look
    from gastown_tracing.view.theme import Style

_Command = TypeVar("_Command", bound=Callable[..., Any])

#: What a shell sees of a program that died of SIGPIPE, and of one that Ctrl-C ended.
PIPE_CLOSED, INTERRUPTED = 141, 130

#: Cells of a line that goes to no terminal, where nothing says otherwise.
DEFAULT_WIDTH = 80


class Failure(click.ClickException):
    """An error of one line, with what to do next; exit code 1."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))

    def show(self, file: Any = None) -> None:
        """Print the line."""
        click.echo(f"gt-trace: {self.message}", file=file or sys.stderr)


class WrongUse(Failure):
    """Options that make no sense, alone or together; exit code 2."""

    exit_code = 2


class Word(click.types.StringParamType):
    """An option's value that is no option itself: one is missing where the next option stands in its place.

    A single dash is a value. An empty text is one only where `empty` says so.
    """

    name = "text"

    def __init__(self, *, empty: bool = False) -> None:
        self.empty = empty

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value; fail as a wrong use where it is none."""
        said = str(value)
        if said.startswith("-") and said != "-":
            self.fail(f"a value is missing before {said}", param, ctx)
        if not said and not self.empty:
            self.fail("the value is empty", param, ctx)
        return said


journal_option = click.option(
    "--journal",
    type=Word(),
    metavar="DIR",
    help="The journal; default: GT_OTEL_JOURNAL, else the town's own.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON; a list is an array, an object a line."
)


def _chosen(name: str, metavar: str, meaning: str) -> Callable[[_Command], _Command]:
    return click.option(name, default="", type=Word(empty=True), metavar=metavar, help=meaning)


_CHOICE = (
    _chosen("--agent", "NAME", "Of this agent, role or kind of agent."),
    _chosen("--rig", "NAME", "Of this rig."),
    _chosen("--bead", "ID", "Started for this bead, or primed on it."),
    _chosen("--since", "WHEN", "Active since 90s, 30m, 2h, 7d ago or an ISO time."),
)
_LOOKS = (
    click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        help="auto: on a terminal, unless NO_COLOR is set; FORCE_COLOR forces it.",
    ),
    click.option("--ascii", "plain", is_flag=True, help="ASCII only, as in a locale without UTF-8."),
    click.option(
        "--width", type=click.IntRange(min=20), metavar="N", help="Cells a line; default: the terminal's."
    ),
)


def choice_options(command: _Command) -> _Command:
    """Add --agent, --rig, --bead and --since; the command gets a Choice, `chosen`, in their place."""

    @functools.wraps(command)
    def with_choice(*, agent: str, rig: str, bead: str, since: str, **others: Any) -> Any:
        return command(chosen=_choice(agent, rig, bead, since), **others)

    return _with(cast("_Command", with_choice), _CHOICE)


def look_options(command: _Command) -> _Command:
    """Add --color, --ascii and --width; the command gets `looks` in their place."""

    @functools.wraps(command)
    def with_looks(*, color: str, plain: bool, width: int | None, **others: Any) -> Any:
        return command(looks=Looks(color, plain, width), **others)

    return _with(cast("_Command", with_looks), _LOOKS)


def _with(command: _Command, options: tuple[Callable[[_Command], _Command], ...]) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command


def open_journal(given: str | None) -> Journal:
    """Return the journal to read: the one an option names, else the one in force, or fail."""
    from gastown_tracing.cli.paths import absolute
    from gastown_tracing.journal.layout import Journal

    journal = Journal(absolute(given)) if given else config.load(os.environ).journal
    if journal.exists():
        return journal
    if given:
        raise Failure(
            f"{journal.root} is no journal: it has no file VERSION; give the directory that has one"
        )
    from gastown_tracing.doctor import towns  # for a mistake

    others = "" if os.environ.get(config.JOURNAL) else towns.journals_beside(journal.root)
    if others:
        raise Failure(f"no journal at {journal.root}; journals here: {others}: cd there, or --journal DIR")
    raise Failure(
        f'no journal at {journal.root}: `eval "$(gt-trace env)"` makes one and switches telemetry on'
    )


def _choice(agent: str, rig: str, bead: str, since: str) -> Choice:
    """Return what the choice options ask for. Fails, as a wrong use, on a time that is none."""
    from gastown_tracing.view.choice import Choice, parse_since

    try:
        return Choice(agent, rig, bead, parse_since(since) if since else None, since)
    except ValueError as error:
        raise WrongUse(str(error)) from error


def looker(lasting: float = math.inf) -> Look:
    """Return a function that says whether an open run lives; it asks a tmux server once in `lasting` s."""
    inspector: Inspector | None = None
    until = 0.0

    def look(run: Run) -> str:
        nonlocal inspector, until
        from gastown_tracing.sessions.liveness import Inspector

        if inspector is None or time.monotonic() >= until:
            inspector, until = Inspector(os.environ), time.monotonic() + lasting
        return inspector.look(run.info, run.pane).state if run.info else "unknown"

    return look


@dataclass(frozen=True, slots=True)
class Looks:
    """How the user wants it printed: --color, --ascii and --width (None: the terminal's)."""

    color: str
    plain: bool
    width: int | None

    def style(self, elsewhere: int = DEFAULT_WIDTH) -> Style:
        """Return how to print now; `elsewhere` is the width where standard output is no terminal."""
        from gastown_tracing.view.theme import Style

        columns = self.width or max(shutil.get_terminal_size((elsewhere, 24)).columns, 20)
        coloured = self.color == "always" or (self.color == "auto" and _colourful(sys.stdout.isatty()))
        return Style(columns, self.plain or not _utf8(), coloured)


def _colourful(terminal: bool) -> bool:
    """Say whether to colour: NO_COLOR, then FORCE_COLOR, then the terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def _utf8() -> bool:
    """Say whether the locale is one of UTF-8; where no locale is set at all, Python's own guess counts."""
    ctype, lang = os.environ.get("LC_CTYPE", ""), os.environ.get("LANG", "")
    if ctype == "C.UTF-8" and lang:  # the interpreter's own doing in a C locale (PEP 538)
        ctype = ""
    name = os.environ.get("LC_ALL") or ctype or lang
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return encoding == "utf8" and (not name or "utf" in name.lower())


def say(text: str) -> None:
    """Print text as it is. A reader that went away ends the program quietly, with exit code 141."""
    left = memoryview(text.encode(sys.stdout.encoding or "utf-8", "replace"))
    try:
        sys.stdout.flush()
        while left:
            left = left[_write(sys.stdout.fileno(), left) :]
    except BrokenPipeError:
        leave(PIPE_CLOSED)
    except OSError as error:
        leave(1, f"gt-trace: cannot write: {error.strerror}")


def say_list(items: Iterable[dict[str, object]]) -> None:
    """Print objects as one JSON array, each on a line of its own: for programs, and for grep."""
    say("[" + ",\n".join(json.dumps(item) for item in items) + "]\n")


def _write(descriptor: int, data: memoryview) -> int:
    """Write what one call takes, waiting for room where somebody made the descriptor non-blocking."""
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        select.select([], [descriptor], [])
        return 0


def leave(code: int, message: str = "") -> NoReturn:
    """End the program at once: what is still buffered for a closed pipe must not fail again at exit."""
    if message:
        print(message, file=sys.stderr)  # noqa: T201 - click's own echo may fail as standard output did
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    raise SystemExit(code)
