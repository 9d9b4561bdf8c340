"""A failed command prints its whole command line; what is recorded of its exception shows none of it."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable

import pytest

from gastown_tracing import LogHandler, sling, traced
from gastown_tracing.testing import capture

CANARY = "CANARY-of-the-command"


def fail() -> None:
    """Run a command that fails."""
    subprocess.run(["sh", "-c", f"exit 3 # {CANARY}"], check=True)


def failed() -> Exception:
    """Return the exception of a command that failed."""
    try:
        fail()
    except subprocess.CalledProcessError as error:
        return error
    raise AssertionError


def group() -> None:
    raise ExceptionGroup("several", [ValueError("one"), failed()])


def nested_group() -> None:
    raise ExceptionGroup("several", [ExceptionGroup("inner", [KeyError("x"), failed()])])


def group_below_a_cause() -> None:
    raise RuntimeError("outer") from ExceptionGroup("several", [failed()])


def context_beside_a_cause() -> None:
    try:
        fail()
    except subprocess.CalledProcessError:
        raise RuntimeError("outer") from ValueError("another cause")


def cause_of_a_part() -> None:
    part = ValueError("part")
    part.__cause__ = RuntimeError("between")
    part.__cause__.__context__ = failed()
    raise BaseExceptionGroup("several", [part])


WAYS = [fail, group, nested_group, group_below_a_cause, context_beside_a_cause, cause_of_a_part]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("gate", ["", "true"])
def test_no_arguments_of_a_failed_command_are_recorded(way: Callable[[], None], gate: str) -> None:
    """Not of its exception, its group's, its cause's, its context's: only GT_LOG_BD_OUTPUT lets them in."""
    logger = logging.getLogger(f"{__name__}.{way.__name__}")
    logger.propagate = False
    logger.addHandler(LogHandler())
    with capture({"GT_LOG_BD_OUTPUT": gate}) as captured:
        with pytest.raises(BaseException) as caught, sling(bead="de-1"):  # noqa: PT011 # any of them
            traced(way)()
        logger.error("failed", exc_info=caught.value)
    logs = [log for log in captured.logs() if log["name"] == ""]
    recorded = repr([captured.as_dicts(), logs])
    assert type(caught.value).__name__ in recorded
    printed = way is not context_beside_a_cause  # Python itself prints no context beside a cause
    assert (CANARY in recorded) is (bool(gate) and printed)
