"""`gt-trace event`, `mail`, `sling`, `nudge`, `done`, `prime`: record an event, without the SDK.

What the user says is checked whole before anything is written. A script that records must go on: once its
words are right the exit code is 0, whatever the journal says.
"""

import posix
import time

from gastown_tracing.events.outcomes import exit_meaning
from gastown_tracing.events.semconv import OTHER, PROGRAMS, span_name
from gastown_tracing.events.values import derived, plain, recordable
from gastown_tracing.shims import child
from gastown_tracing.shims.arguments import HELP, parse
from gastown_tracing.shims.entry import Entry
from gastown_tracing.shims.plan import USAGE_ERROR, UsageError, debug, decode, describe, make, readable, say
from gastown_tracing.shims.waking import wake
from propagation.run import new_span_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from gastown_tracing.events.schema import Event, Value
    from gastown_tracing.shims.arguments import Request
    from gastown_tracing.shims.plan import Plan
else:
    import _signal  # the C half of signal

#: The exit code where nobody reads what is shown: that of a program that died of SIGPIPE.
PIPE_CLOSED = 141


def run(command: str, arguments: "Sequence[str]") -> "NoReturn":
    """Record what the arguments of `gt-trace COMMAND` say, `event` or an event's name, and exit."""
    now = time.time_ns()
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # a key ends us as it ends any command
    program = f"gt-trace {command}"
    try:
        request = parse(command, [readable(word) for word in arguments])
    except UsageError as error:
        said_of = error.program or program
        say(f"{said_of}: {error}; see {error.see or f'{said_of} --help'}")
        posix._exit(USAGE_ERROR)
    if request.event is None or request.asks:
        _show(command, request)
    try:
        _record(request.event, request, program, now)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        say(f"{program}: not recorded: {place}{error.strerror or error}")
    except Exception as error:  # whatever is wrong with us, the script that calls us goes on
        say(f"{program}: not recorded: {describe(error)}")
    posix._exit(0)


def _show(command: str, request: "Request") -> "NoReturn":
    """Print what is asked for instead of a record, and exit."""
    from gastown_tracing.shims.help import listing, text  # whoever records pays for no help

    shown = text(command, request.event) if request.asks == HELP else listing()
    rest = f"{shown}\n".encode()
    try:
        while rest:
            rest = rest[posix.write(1, rest) :]
    except BrokenPipeError:
        posix._exit(PIPE_CLOSED)
    except OSError as error:
        say(f"gt-trace {command}: cannot write: {error.strerror}")
        posix._exit(1)
    posix._exit(0)


def _record(event: "Event", request: "Request", program: str, now: int) -> None:
    """Record an event that ended `now`, and began as much earlier as it lasted. Raises OSError."""
    lasted = request.attributes.get(event.elapsed, 0.0)
    start_ns = max(0, now - int(float(lasted) * 1e6))
    plan = make(decode(child.environment()), program, start_ns)
    if plan is None:
        return
    settings, telemetry = plan.telemetry.config, plan.telemetry

    def note(text: str) -> None:
        debug(program, text, telemetry)

    if event.gate and not settings.flag(event.gate):
        note(f"not recorded: {event.gate} is not on")
        return
    own = derived(event, recordable(event, request.attributes, settings, note), request.attributes)
    if event.name == "prime" and not request.error:
        from gastown_tracing.shims import priming  # what no other event needs

        entry = _entry(event, own, plan, start_ns)
        entry.finish(now)
        priming.record(entry, priming.work_given(request.attributes, own), plan, note)
        wake(telemetry, program)
        return
    error, error_type = _failure(event, own, request.error)
    entry = _entry(event, own, plan, start_ns)
    entry.finish(now, error, error_type)
    entry.write(*entry.lines())
    if event.name == "bead.create" and entry.log.trace_id:
        _note_bead(str(own["bead_id"]), entry, plan, note)
    wake(telemetry, program)


def _note_bead(bead_id: str, entry: Entry, plan: "Plan", note: "Callable[[str], None]") -> None:
    """Say in the journal's index which span made a bead, for later events to be linked to it."""
    from gastown_tracing.journal.index import note_bead  # one event of many

    try:
        note_bead(plan.telemetry.journal, bead_id, entry.log.trace_id, entry.log.span_id)
    except OSError as error:  # the event is recorded
        note(f"not in the index: {describe(error)}")


def _entry(event: "Event", own: "dict[str, Value]", plan: "Plan", start_ns: int) -> Entry:
    known = {name: value for name, value in own.items() if value != ""}
    return Entry(event, known, plan, start_ns=start_ns, span_id=new_span_id(), name=span_name(event, known))


def _failure(event: "Event", own: "dict[str, Value]", told: str) -> tuple[str, str]:
    """Return the error and the error.type, both empty for success: what the user told, else the exit code."""
    error, error_type = exit_meaning(own, own)
    if told and not error_type and event.name in PROGRAMS:
        error_type = OTHER
    return str(plain(told or error)), error_type
