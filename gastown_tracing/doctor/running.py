"""The parts side by side, so that ten endpoints that hang take no longer than one."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gastown_tracing.doctor.check import Check, problem

if TYPE_CHECKING:
    from gastown_tracing.doctor.check import Deadline, Part

#: Seconds that a part has to notice by itself that the deadline has passed.
GRACE = 1.0


class _Run:
    """A part in a thread of its own. Nobody waits for it in the end: it may hang in the system's resolver."""

    def __init__(self, group: str, part: Part) -> None:
        self.group = group
        self.checks: list[Check] = []
        self._part = part
        self._thread = threading.Thread(target=self._run, name=f"doctor {group}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for check in self._part():
                self.checks.append(check)
        except Exception as error:  # a check that fails says so, and the others go on
            said = f"it failed: {type(error).__name__}"  # what it says may hold what it was given
            self.checks.append(problem("check", said, "report this as a bug of gt-trace doctor"))

    def result(self, seconds: float) -> list[Check]:
        self._thread.join(seconds)
        checks = list(self.checks)
        if self._thread.is_alive():
            checks.append(problem("check", "no answer in time", "look at what comes after the line above"))
        return checks


def examine(parts: Iterable[tuple[str, Part]], deadline: Deadline) -> list[tuple[str, Check]]:
    """Run all parts at once, each with the name of its group; return their checks in the parts' order."""
    runs = [_Run(group, part) for group, part in parts]
    return [(run.group, check) for run in runs for check in run.result(deadline.left(60) + GRACE)]
