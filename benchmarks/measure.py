"""Measure commands side by side, so that a ratio means something on a machine that is busy."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True)
class Row:
    """One line of a benchmark: what was measured, the ratio, what it may be at most (None: no target)."""

    what: str
    ratio: float
    target: float | None = None
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the row meets its target, if it has one."""
        return self.target is None or self.ratio <= self.target

    def __str__(self) -> str:
        verdict = "" if self.target is None else f"≤ {self.target:.2f} {'ok' if self.met else 'MISSED'}"
        return f"{self.what:<72} {self.ratio:6.2f}  {verdict:<14} {self.note}".rstrip()


def rounds_asked(default: int) -> int:
    """Return the number of rounds that the command line asks for. Exits where it is no number."""
    words = sys.argv[1:]
    if not words:
        return default
    if len(words) > 1 or not words[0].isdigit() or int(words[0]) < 1:
        raise SystemExit("usage: python -m benchmarks [ROUNDS]")
    return int(words[0])


def once(argv: Sequence[str], env: Mapping[str, str]) -> float:
    """Return the seconds that a whole process takes, from its start to its end."""
    started = perf_counter()
    pid = os.posix_spawn(
        argv[0], list(argv), env, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    )
    os.waitpid(pid, 0)
    return perf_counter() - started


def side_by_side(
    commands: Mapping[str, tuple[Sequence[str], Mapping[str, str]]], rounds: int
) -> dict[str, float]:
    """Return each command's median in seconds; every round runs each of them once, in turn."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for argv, env in commands.values():
        once(argv, env)
    for _ in range(rounds):
        for name, (argv, env) in commands.items():
            times[name].append(once(argv, env))
    return {name: statistics.median(found) for name, found in times.items()}
