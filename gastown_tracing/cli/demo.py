"""`gt-trace demo`: a small town at work, and its waterfall."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

import click

from gastown_tracing import config
from gastown_tracing.cli import reading
from gastown_tracing.cli.paths import absolute
from gastown_tracing.journal.layout import create

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gastown_tracing.demo.town import Town
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.view.theme import Style

#: The demo's sessions in the order they are shown, with the levels shown of each (None: all).
SHOWN = {"gt-demo-Toast": None, "hq-mayor": 1}


@dataclass(frozen=True)
class _Done:
    """What came of it: trace ids by session, the page.

    `found_by` is the option that names the journal to other commands, where they need one.
    """

    journal: Journal
    found_by: str
    town: Town
    runs: dict[str, str]
    seconds: float
    kept: bool

    @property
    def page(self) -> str:
        return f"{self.journal.root}/demo/{next(iter(self.runs.values()))[:8]}.html"


@click.command()
@click.option("--keep", is_flag=True, help="Keep the town's directory: beads, mail, logs of the agents.")
@reading.look_options
@reading.journal_option
@reading.json_option
def command(*, keep: bool, looks: reading.Looks, journal: str | None, as_json: bool) -> None:
    """Run a small town on a tmux server of its own, and show what it did.

    \b
    A mayor slings a bead to a polecat, which primes, calls bd, is wrong once, writes mail and is done.
    Takes a few seconds, needs nothing but this package (and tmux, where it is there), and cleans up.
    Its journal is the one of --journal or GT_OTEL_JOURNAL, else a new one, which stays.
    Exit codes: 0 shown, 1 the town did not get to the end, 2 wrong options; 128 and the number of the
    signal that ended it, after cleaning up.
    """  # noqa: D301  # click's \b
    done = _run(journal, keep)
    _write_page(done)
    if as_json:
        reading.say(json.dumps(_facts(done), indent=1) + "\n")
        return
    reading.say("\n".join([*_opening(done), "", *_pictures(done, looks.style()), *_closing(done), ""]))


def _run(given: str | None, keep: bool) -> _Done:
    """Run the town to its end, or fail with one line."""
    from gastown_tracing.demo.town import DemoFailed, Town

    place, found_by = _journal(given)
    started = time.monotonic()
    try:
        with _signals_end_it(), Town(place.root, os.environ, keep=keep) as town:
            town.run()
            runs = _runs(place, town)
    except DemoFailed as error:
        raise reading.Failure(str(error)) from error
    except OSError as error:
        raise reading.Failure(f"the demo cannot run: {error}") from error
    return _Done(place, found_by, town, runs, time.monotonic() - started, keep)


@contextlib.contextmanager
def _signals_end_it() -> Iterator[None]:
    """Let a signal that would end us first end the town; a second one does not disturb that.

    What our caller ignores stays ignored (`nohup`).
    """

    def end(number: int, _frame: object) -> NoReturn:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _journal(given: str | None) -> tuple[Journal, str]:
    """Return the journal to use, and what names it to other commands: nothing, where the environment does."""
    named = given or os.environ.get(config.JOURNAL, "")
    root = absolute(named) if named else _new_directory()
    telemetry = config.load({**os.environ, config.JOURNAL: root})
    if not telemetry.on:
        raise reading.Failure(f"telemetry is off: {telemetry.why}")
    try:
        # A journal that the demo makes for itself alone sends nothing anywhere.
        journal = create(root, config.for_journal(os.environ) if named else {})
    except OSError as error:
        reason = f"{error.strerror}; --journal DIR takes another"
        raise reading.Failure(f"no journal at {root}: {reason}") from error
    return journal, f" --journal {shlex.quote(root)}" if given or not named else ""


def _new_directory() -> str:
    """Return the name of a directory in $TMPDIR that does not exist yet; making the journal makes it."""
    return f"{os.path.realpath(tempfile.gettempdir())}/gt-trace-demo-{os.urandom(3).hex()}"


def _runs(journal: Journal, town: Town) -> dict[str, str]:
    """Return the town's runs, trace id by session, in the order they are shown."""
    from gastown_tracing.journal.reader import list_runs

    found = {
        str(run.info.get("session")): run.trace_id
        for run in list_runs(journal)
        if run.info.get("town_root") == town.root
    }
    return {session: found[session] for session in SHOWN}


def _write_page(done: _Done) -> None:
    """Write the polecat's waterfall as a page into the journal's directory."""
    from gastown_tracing.view import write_html

    try:
        os.makedirs(os.path.dirname(done.page), mode=0o700, exist_ok=True)
        write_html(done.journal, next(iter(done.runs.values())), done.page)
    except OSError as error:
        raise reading.Failure(f"cannot write {done.page}: {error.strerror}") from error


def _pictures(done: _Done, style: Style) -> list[str]:
    from gastown_tracing.view import console, load, model, shape

    options = console.Options(style.width, style.ascii, style.colour)
    pictures = []
    for session, levels in SHOWN.items():
        trace = model.build(load.load(done.journal, done.runs[session]), time.time_ns())
        pictures.append(console.render(shape.apply(trace, levels=levels), options))
    return pictures


def _opening(done: _Done) -> list[str]:
    place = "on a tmux server of its own" if done.town.socket else "in plain processes: tmux is not installed"
    return [f"A small town {place}. It took {done.seconds:.1f} s.", f"Its beads are kept by {done.town.bd}."]


def _closing(done: _Done) -> list[str]:
    lines = [f"page     file://{quote(done.page)}", f"journal  {done.journal.root}"]
    if done.kept:
        lines.append(f"town     {done.town.root}")
    return [*lines, f"more     gt-trace view gt-demo-Toast --logs{done.found_by}"]


def _facts(done: _Done) -> dict[str, object]:
    return {
        "journal": done.journal.root,
        "html": done.page,
        "tmux": bool(done.town.socket),
        "bd": done.town.bd,
        "seconds": round(done.seconds, 3),
        "town": done.town.root if done.kept else None,
        "sessions": [{"session": session, "run_id": run_id} for session, run_id in done.runs.items()],
    }
