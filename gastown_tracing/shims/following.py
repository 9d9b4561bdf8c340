"""What is done about a command once it runs: its record, its end, and our own."""

import sys
import time

from gastown_tracing.shims import waiting
from gastown_tracing.shims.exec import PROGRAM
from gastown_tracing.shims.plan import debug, describe
from gastown_tracing.shims.waking import wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from gastown_tracing.shims.exec import Begun, Request
    from gastown_tracing.shims.plan import Plan
    from gastown_tracing.shims.record import Record
    from gastown_tracing.shims.tee import Reading


def follow(request: "Request", plan: "Plan", begun: "Begun", bundle: str) -> "NoReturn":
    """Record a command, hand signals on to it, and end as it ends. A failure to record is not the command's.

    `bundle` asks for the bundle below that root to be made afterwards.
    """
    _let_go(plan, begun.reading)
    record, status = _opened(request, plan, begun)
    if status is None:
        status = waiting.wait(begun.pid)
    if record is not None:
        _close(record, request, plan, begun, status)
    if begun.reading is not None:
        begun.reading.close()
    bundle = bundle or getattr(sys.meta_path[0], "stale", "")
    if bundle:
        _write_bundle(bundle)
    waiting.exit_as(status)


def leave(begun: "Begun") -> "NoReturn":
    """Record nothing of a command that runs already, and end as it ends."""
    _let_go(None, begun.reading)
    status = waiting.wait(begun.pid)
    if begun.reading is not None:
        for number in (1, 2):
            begun.reading.said(number)  # which has been handed on then
        begun.reading.close()
    waiting.exit_as(status)


def _let_go(plan: "Plan | None", reading: "Reading | None") -> None:
    try:
        if reading is not None:
            reading.started()
        held = reading.held if reading is not None else ()
        waiting.let_go(plan is not None and plan.telemetry.config.flag("GT_OTEL_DEBUG"), held)
    except OSError as error:  # no descriptor to spare: the record can still be written at the end
        debug(PROGRAM, f"descriptors kept: {describe(error)}", plan.telemetry if plan is not None else None)


def _opened(request: "Request", plan: "Plan", begun: "Begun") -> "tuple[Record | None, int | None]":
    """Return the record of a command, None where there can be none, and its wait status if it has ended."""
    record, status = None, None if begun.pid else begun.code << 8
    try:
        from gastown_tracing.shims.record import Record  # one that cannot be loaded is a failure to record

        if request.unseen:
            request.look()
        record = Record(request, plan, begun.span_id, begun.start_ns, begun.pid)
        if status is None:
            status = waiting.ended(begun.pid)
        if status is None and waiting.runs_on(begun.pid, request.argv[0]):
            record.open()
            wake(plan.telemetry, PROGRAM)  # what runs on may run for hours
        if begun.known:
            _note(request, plan, begun)
    except Exception as error:
        debug(PROGRAM, f"not recorded: {describe(error)}", plan.telemetry)
    return record, status


def _close(record: "Record", request: "Request", plan: "Plan", begun: "Begun", status: int) -> None:
    try:
        record.close(begun.start_ns + time.monotonic_ns() - begun.started, status, begun.reading)
        _meet(request, plan)
        wake(plan.telemetry, PROGRAM)
        if begun.slot and not begun.known:
            _note(request, plan, begun)
    except Exception as error:
        debug(PROGRAM, f"not recorded: {describe(error)}", plan.telemetry)


def _note(request: "Request", plan: "Plan", begun: "Begun") -> None:
    try:
        from gastown_tracing.shims.handover import note  # for bd alone

        note(request, plan, begun)
    except Exception as error:  # the next command like it waits for us
        debug(PROGRAM, f"what it was handed is not noted: {describe(error)}", plan.telemetry)


def _meet(request: "Request", plan: "Plan") -> None:
    """Note the session of Claude Code's that runs this command, where no hook of it has done so."""
    if plan.resolution.run_id and "CLAUDE_CODE_SESSION_ID" in plan.telemetry.config.env:
        try:
            from gastown_tracing.hooks.agents import met  # outside of agents nobody needs it

            met(
                plan.telemetry.journal,
                plan.resolution.run_id,
                plan.telemetry.config.env,
                request.program or request.event,
            )
        except Exception as error:  # the next command tries again
            debug(PROGRAM, f"the agent's session is not noted: {describe(error)}", plan.telemetry)


def _write_bundle(root: str) -> None:
    try:
        from gastown_tracing.shims.bundle import write  # once after an installation

        write(root)
    except Exception as error:  # somebody else's directory, a full disk: a cache we can do without
        debug(PROGRAM, f"no bundle: {describe(error)}")
