"""The clock: what records are timed by."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gastown_tracing.doctor.check import ok, problem, warning

if TYPE_CHECKING:
    from gastown_tracing.doctor.check import Checks

#: Seconds for which the two clocks are compared, and how many ms may lie between them after that.
_WATCHED, _APART = 0.5, 50

#: Nobody runs this before: 2024-01-01.
_EARLIEST = 1_704_067_200


def clock() -> Checks:
    """Yield what time it is, and whether it runs evenly."""
    before = _between()
    now = time.time()
    if now < _EARLIEST:
        yield problem(
            "time", f"it is {_iso(now)}: the clock was never set", "set the clock (timedatectl, ntpd)"
        )
    else:
        yield ok("time", f"{_iso(now)}{_booted(now)}")
    time.sleep(_WATCHED)
    apart = (_between() - before) / 1e6
    if abs(apart) > _APART:
        said = f"it was set while we looked: {apart:+.0f} ms in {_WATCHED:g} s"
        yield warning("step", said, "let the time service slew it: spans of that moment are displaced")
    else:
        yield ok("step", "it runs as evenly as the monotonic clock")


def _between() -> int:
    """Return the nanoseconds between the two clocks: of a few readings the one that was interrupted least."""
    return min(time.time_ns() - time.monotonic_ns() for _ in range(5))


def _booted(now: float) -> str:
    if not hasattr(time, "CLOCK_BOOTTIME"):  # Linux has it
        return ""
    return f"; booted {_iso(now - time.clock_gettime(time.CLOCK_BOOTTIME))}"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
