"""The events that are any command of a program, apart from all others: most traced commands need no more.

What tables of events are built with is here too. `registry` has every event, these among them.
"""

from gastown_tracing.events.outcomes import LAST_SIGNAL
from gastown_tracing.events.schema import (
    CLIENT,
    COUNTER,
    DEVELOPMENT,
    FLOAT,
    HISTOGRAM,
    INTEGER,
    INTERNAL,
    WORDS,
    Attribute,
    Event,
    Metric,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Upper bounds of histograms of durations, in milliseconds: 5 ms to 5 min.
DURATIONS = (
    *(5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0),
    *(1e3, 2.5e3, 5e3, 10e3, 30e3),
    *(60e3, 300e3),
)

_SECOND, _MINUTE, _HOUR, _DAY = 1e3, 60e3, 3600e3, 86400e3
#: The same for what takes as long as work does (completion, age, latency of a dispatch): 1 s to 7 d.
AGES = (
    *(_SECOND, 5 * _SECOND, 15 * _SECOND),
    *(_MINUTE, 5 * _MINUTE, 15 * _MINUTE),
    *(_HOUR, 4 * _HOUR, _DAY, 7 * _DAY),
)
#: The same for the depth of a queue, in items.
DEPTHS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)


def counts(name: str, doc: str, labels: "Sequence[str] | Mapping[str, str]" = ()) -> Metric:
    """Return the counter of an event: one for each, with its status and these labels."""
    return Metric(name, COUNTER, doc, labels, status=True)


def measures(
    name: str,
    doc: str,
    value: str,
    labels: "Sequence[str]" = (),
    buckets: "Sequence[float]" = DURATIONS,
) -> Metric:
    """Return the histogram of an attribute of an event."""
    return Metric(name, HISTOGRAM, doc, labels, value=value, buckets=buckets)


def adds(
    name: str, doc: str, value: str, labels: "Sequence[str]" = (), *, fixed: "Mapping[str, str] | None" = None
) -> Metric:
    """Return a counter that adds up an attribute."""
    return Metric(name, COUNTER, doc, labels, value=value, fixed=fixed, status=True)


RIG = Attribute("rig", "The rig.", index=True)
DURATION = Attribute("duration_ms", "How long it took, in milliseconds.", FLOAT, elapsed=True)
EXIT_CODE = Attribute(
    "exit_code",
    "The exit code; 128 and the number of the signal that killed it.",
    INTEGER,
    minimum=-LAST_SIGNAL,  # as Python's subprocess has a signal
)
_BD_OUTPUT = "GT_LOG_BD_OUTPUT"

_COMMANDS = (
    Event(
        "bd.call",
        "One bd command.",
        (
            Attribute("subcommand", "What was asked of bd, one of its own words.", clean="bd"),
            Attribute("args", "The command line, masked unless GT_LOG_BD_OUTPUT is on.", WORDS),
            DURATION,
            EXIT_CODE,
            Attribute(
                "stdout",
                "What it printed.",
                gate=_BD_OUTPUT,
                limit=2048,
                limit_setting="GT_LOG_BD_CONTENT_LIMIT",
            ),
            Attribute(
                "stderr",
                "What it printed on stderr.",
                gate=_BD_OUTPUT,
                limit=1024,
                limit_setting="GT_LOG_BD_CONTENT_LIMIT",
            ),
        ),
        kind=CLIENT,
        metrics=(
            counts("gastown.bd.calls.total", "bd commands.", ("subcommand",)),
            measures("gastown.bd.duration_ms", "How long bd took.", "duration_ms", ("subcommand",)),
        ),
    ),
    Event(
        "git.operation",
        "One git command that touches a remote, a branch or a working directory.",
        (
            Attribute(
                "operation",
                "The subcommand of git: clone, checkout, fetch, push, worktree, …",
                required=True,
                clean="git",
            ),
            Attribute("repo", "The repository, without credentials.", clean="url"),
            Attribute("path", "The working directory, without credentials.", clean="url"),
            Attribute("branch", "The branch."),
            DURATION,
            EXIT_CODE,
        ),
        kind=CLIENT,
        metrics=(
            counts("gastown.git.operations.total", "git commands.", ("operation",)),
            measures("gastown.git.duration_ms", "How long git took.", "duration_ms", ("operation",)),
        ),
        stability=DEVELOPMENT,
    ),
    Event(
        "gt.command",
        "One gt command that has no event of its own.",
        (
            Attribute("command", "The command, two words of gt's own at most.", required=True, clean="gt"),
            EXIT_CODE,
            DURATION,
        ),
        kind=INTERNAL,
        metrics=(counts("gastown.gt.commands.total", "gt commands.", ("command",)),),
        stability=DEVELOPMENT,
    ),
    Event(
        "exec",
        "Any other command that was run through us.",
        (
            Attribute("name", "The program, without its arguments.", required=True, clean="program"),
            EXIT_CODE,
            DURATION,
        ),
        kind=INTERNAL,
        stability=DEVELOPMENT,
    ),
)

#: The events that are any command, by name.
COMMANDS = {event.name: event for event in _COMMANDS}
