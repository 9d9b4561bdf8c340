"""Whether the journal's relay has to be started, asked once a record is written: one stat, as a rule."""

import posix
import time

from gastown_tracing.config import RELAY
from gastown_tracing.shims.plan import debug, describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gastown_tracing.config import Telemetry

#: Where it is noted, by its modification time, when a relay was asked for, or was there, below the journal.
ASKED = "/relay/asked"
#: Seconds for which that note stands.
STANDS = 60.0

#: What switches it off.
OFF = ("false", "0")


def wake(telemetry: "Telemetry", program: str, *, at_once: bool = False) -> None:
    """Start the journal's relay where nobody has asked for one in the last minute. Never raises.

    `program` is who speaks in debug notes. `at_once` starts it whenever none runs: for what is rare.
    """
    try:
        if (at_once or not _asked(telemetry.journal.root)) and is_wanted(telemetry):
            from gastown_tracing.relay.daemon import ask  # as a rule never while it runs

            ask(telemetry.journal)
    except Exception as error:  # the next command asks again
        debug(program, f"no relay was started: {describe(error)}", telemetry)


def _asked(root: str) -> bool:
    try:
        noted = posix.stat(root + ASKED).st_mtime
    except OSError:
        return False
    return abs(time.time() - noted) < STANDS  # a note from the future is one of a clock that was wrong


def is_wanted(telemetry: "Telemetry") -> bool:
    """Say whether a relay is to be started on demand."""
    return telemetry.config.get(RELAY).strip().lower() not in OFF
