"""`gt-trace watch`: poll a probe and print what it sees."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import sys
import time
from typing import TYPE_CHECKING

import click

from gastown_tracing import config
from gastown_tracing.cli import reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from gastown_tracing.config import Telemetry
    from gastown_tracing.probes.probe import Probe
    from gastown_tracing.probes.sight import Row

_INTERVAL = re.compile(r"(\d{1,9})(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
#: Seconds between two polls, at least: each starts a few processes.
SHORTEST = 0.1


def _refinery(telemetry: Telemetry, directories: tuple[str, ...]) -> Probe:
    """Return the probe of the merge queues of the rigs that are meant."""
    from gastown_tracing.cli.paths import absolute
    from gastown_tracing.journal.index import bead_span
    from gastown_tracing.probes.bd import Bd
    from gastown_tracing.probes.refinery import Refinery
    from gastown_tracing.probes.rigs import places

    here = "" if directories else absolute("")
    town_root = telemetry.town_root
    found = places([absolute(directory) for directory in directories], town_root, here)
    if not found:
        raise reading.Failure(f"no rigs in {town_root}/mayor/rigs.json: --rig-dir DIR names one")
    return Refinery(found, Bd(os.environ), cause=lambda bead: bead_span(telemetry.journal, bead))


#: How to make each probe.
PROBES: dict[str, Callable[[Telemetry, tuple[str, ...]], Probe]] = {"refinery": _refinery}


@click.command()
@click.option(
    "--probe",
    required=True,
    type=reading.Word(),
    metavar="NAME",
    help=f"What to look at: {', '.join(PROBES)}.",
)
@click.option(
    "--rig-dir",
    "directories",
    multiple=True,
    type=reading.Word(),
    metavar="DIR",
    help="A rig's directory; again for more. Default: the town's rigs, else the working directory.",
)
@click.option(
    "--interval", default="30s", metavar="TIME", help="From poll to poll: 500ms, 30s, 5m, 1h; default: 30s."
)
@click.option("--once", is_flag=True, help="Poll once.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Poll N times.")
@reading.json_option
def command(
    *, probe: str, directories: tuple[str, ...], interval: str, once: bool, count: int | None, as_json: bool
) -> None:
    """Look at something again and again, and print a line a rig each time.

    `refinery` asks bd for each rig's merge queue: how many items wait, how old the oldest is, what was taken
    since the last poll and how long it had waited. The first poll is where it begins: what was taken
    before is not reported. With telemetry on, what is seen is recorded too.

    A rig that cannot be read is one line on stderr, with --json an object with `error`, and watching goes on.

    Exit codes: 0 all could be read at the last poll, 1 not, or no rigs; 2 wrong options;
    130 it was ended by Ctrl-C; 141 the pipe was closed.
    """
    if probe not in PROBES:
        raise reading.WrongUse(f"no probe {probe!r}; there is: {', '.join(PROBES)}")
    if once and count:
        raise reading.WrongUse("--once does not go with --count")
    seconds = _seconds(interval)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a hanging bd ends with us
    telemetry = config.load(os.environ)
    made = PROBES[probe](telemetry, directories)
    _begin(telemetry)
    try:
        unread = _watch(made, seconds, 1 if once else count, _say_json if as_json else _say_lines)
    except KeyboardInterrupt:
        sys.exit(reading.INTERRUPTED)
    sys.exit(1 if unread else 0)


def _seconds(text: str) -> float:
    match = _INTERVAL.fullmatch(text.strip())
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0.0
    if seconds < SHORTEST:
        raise reading.WrongUse(f"--interval {text!r} is no time from 100ms on: write 500ms, 30s, 5m or 1h")
    return seconds


def _begin(telemetry: Telemetry) -> None:
    """Switch telemetry on in this process, if it is on at all."""
    if not telemetry.on:
        return
    from gastown_tracing import init
    from gastown_tracing.journal.index import forget

    init("gastown")
    if telemetry.journal.owned():
        forget(telemetry.journal)


def _watch(probe: Probe, seconds: float, count: int | None, say: Callable[[list[Row]], None]) -> bool:
    """Poll `count` times, None for ever; return whether something could not be read at the last poll."""
    from gastown_tracing.probes.running import Runner
    from gastown_tracing.probes.sight import rows

    runner = Runner(probe)
    for number in itertools.count(1):
        due = time.monotonic() + seconds
        found = runner.poll()
        say(rows(found, time.time_ns()))
        if number == count:
            break
        time.sleep(max(0.0, due - time.monotonic()))
    return bool(found.unread)


def _say_json(rows: list[Row]) -> None:
    reading.say("".join(json.dumps(row.data()) + "\n" for row in rows))


def _say_lines(rows: list[Row]) -> None:
    """Print what was seen; what could not be read goes to stderr."""
    from gastown_tracing.probes.sight import lines

    for row, line in zip(rows, lines(rows), strict=True):
        if row.error:
            click.echo(f"gt-trace: {line}", err=True)
        else:
            reading.say(line + "\n")
