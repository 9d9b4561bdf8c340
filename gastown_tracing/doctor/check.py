"""A check: what is, how good that is, and what to do about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "problem", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of what is `found`, and one of `advice` ("" where there is nothing to do).

    `problem` is what loses or hides records, `warning` what may, `skipped` what could not be looked at.
    `default` is a setting that nobody has set: a report may pass over it.
    """

    name: str
    state: State
    found: str
    advice: str = ""
    default: bool = False


Checks = Iterator[Check]
Part = Callable[[], Checks]


def ok(name: str, found: str, *, default: bool = False) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name, "ok", found, default=default)


def warning(name: str, found: str, advice: str) -> Check:
    """Return a check of what may cost something."""
    return Check(name, "warning", found, advice)


def problem(name: str, found: str, advice: str) -> Check:
    """Return a check of what does not work."""
    return Check(name, "problem", found, advice)


def skipped(name: str, why: str, advice: str = "") -> Check:
    """Return a check that was not made."""
    return Check(name, "skipped", why, advice)


class Deadline:
    """A moment at which all have to be done, `seconds` from now."""

    __slots__ = ("_end",)

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self, at_most: float) -> float:
        """Return the seconds that are left, `at_most` that many, and never quite none."""
        return max(min(at_most, self._end - time.monotonic()), 0.01)

    @property
    def passed(self) -> bool:
        """Say whether it is too late."""
        return time.monotonic() >= self._end
