"""`gt-trace exec`: run a command with the child context in its environment, and record one span of it.

Nothing here loads the OpenTelemetry SDK, `os`, `re` or `json`: beside the interpreter's own start this is
what every traced command pays. Until the command runs nothing is written; what only the recording needs is
loaded after that. Whatever fails on our side, the command runs.
"""

import errno
import posix
import sys
import time

from gastown_tracing.shims import child
from gastown_tracing.shims.plan import (
    USAGE_ERROR,
    UsageError,
    debug,
    decode,
    describe,
    encode,
    make,
    readable,
    say,
)
from propagation.run import new_span_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from gastown_tracing.events.schema import Value
    from gastown_tracing.shims.lines.seen import Seen
    from gastown_tracing.shims.plan import Plan
    from gastown_tracing.shims.tee import Reading

PROGRAM = "gt-trace exec"
USAGE = "usage: gt-trace exec [--event EVENT] [--name NAME] [--attr KEY=VALUE]… -- COMMAND [ARGUMENT]…"
HELP = f"""\
{USAGE}

Run COMMAND with the trace's context in its environment, and record it as one span and
one log record. It behaves as it would without us, and we end as it ends: with its exit
code, or dead of the same signal.
127: command not found; 126: it cannot be executed; 2: these options cannot be understood.

  --event EVENT     what the command is, of the data model's events (default: exec)
  --name NAME       the span's name (default: the event's; for exec the command's)
  --attr KEY=VALUE  an attribute of the event, or one of your own; may be repeated"""

#: The events that are any command of a program; they are known without the registry.
COMMANDS = ("exec", "bd.call", "git.operation", "gt.command")


class Request:
    """What to run (`argv`, as bytes) and as what: the event, the span's name, given attributes.

    `environ` is the environment that our caller handed us for it. Where a shim asks, `program` is the one it
    stands for, `file` the real one, and `seen` what the command line is (None: nobody wants to see it).
    """

    __slots__ = ("argv", "attributes", "environ", "event", "file", "name", "program", "seen")

    def __init__(self, argv: list[bytes], event: str, name: str, attributes: "dict[str, Value]") -> None:
        self.argv = argv
        self.event = event
        self.name = name
        self.attributes = attributes
        self.environ = child.environment()
        self.program = ""
        self.file = b""
        self.seen: Seen | None = None


def parse(arguments: "Sequence[str]") -> Request:
    """Return the request that a command line makes. Raises UsageError."""
    event, name, pairs = "exec", "", []
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-h", "--help"):
            raise UsageError("")
        if option == "--":
            break
        option, has_value, value = option.partition("=")
        if option not in ("--event", "--name", "--attr"):
            raise UsageError(f"unknown option {_quoted(option)}; {USAGE}")
        if not has_value:
            if not rest or rest[0] == "--":
                raise UsageError(f"{option} needs a value; {USAGE}")
            value = rest.pop(0)
        value = readable(value)
        if option == "--event":
            event = value
        elif option == "--name":
            name = value
        else:
            pairs.append(value)
    attributes = _checked(event, pairs) if pairs or event not in COMMANDS else {}
    if not rest:
        raise UsageError(f"no command given; {USAGE}")
    return Request([encode(argument) for argument in rest], event, name, attributes)


def from_shim(arguments: "Sequence[str]") -> Request:
    """Return the request of a shim: `--shim PROGRAM --file FILE -- NAME ARGUMENT…`."""
    from gastown_tracing.shims.lines.classify import classify  # `gt-trace exec` is told what its command is

    _, program, _, file, _, *words = arguments
    seen = classify(program, [readable(word) for word in words[1:]])
    request = Request([encode(word) for word in words], "exec", "", {})
    request.program, request.file, request.seen = program, encode(file), seen
    if seen is not None:
        request.event, request.attributes = seen.event, seen.attributes
    return request


def _quoted(text: str) -> str:
    from gastown_tracing.events.values import quoted  # for a mistake

    return quoted(text)


def _checked(event: str, pairs: list[str]) -> "dict[str, Value]":
    """Return the attributes of the event, and others, from each KEY=VALUE. Raises UsageError."""
    try:
        from gastown_tracing.events.registry import EVENTS  # nobody else pays for it before the command runs
        from gastown_tracing.events.values import EventError, parse_attr, quoted
    except Exception:  # in the middle of an upgrade, say: the command runs
        return {}
    found = EVENTS.get(event)
    if found is None or not found.is_span:
        wrong = f"unknown event {quoted(event)}" if found is None else f"{event} is no event of a command"
        names = ", ".join([known.name for known in EVENTS.values() if known.is_span])
        raise UsageError(f"{wrong}; one of: {names}")
    attributes: dict[str, Value] = {}
    for pair in pairs:
        try:
            name, value = parse_attr(found, pair)
        except EventError as error:
            raise UsageError(str(error)) from None
        if name in attributes:
            raise UsageError(f"{name if name in found.by_key else quoted(name)} is given twice")
        attributes[name] = value
    return attributes


def run_launched(stat: str, arguments: "Sequence[str]", mask: "set[int]", bundle: str) -> "NoReturn":
    """Do what the launcher asks.

    `stat` is the line of /proc/self/stat that the launcher read before Python started, or `-`: its fields 32
    and 33 are the bit masks of blocked and ignored signals (proc_pid_stat(5)). `bundle` names the root below
    which a bundle of the modules is missing, else it is empty.
    """
    fields = stat.rpartition(") ")[2].split()
    if len(fields) > 30 and fields[29].isdigit() and fields[30].isdigit():
        blocked, ignored = int(fields[29]), int(fields[30])
        # bash unblocks SIGCHLD.
        mask = mask | {number for number in range(1, 32) if blocked >> (number - 1) & 1}
        run(arguments, child.Caller(mask, ignored), bundle)
    run(arguments, child.Caller(mask), bundle)


def run(arguments: "Sequence[str]", caller: child.Caller, bundle: str = "") -> "NoReturn":
    """Run the command that the options name, record it, and end as it ended.

    `bundle` asks for the bundle below that root to be made afterwards.
    """
    try:
        request = from_shim(arguments) if arguments[:1] == ["--shim"] else parse(arguments)
    except UsageError as error:
        if not str(error):
            posix.write(1, f"{HELP}\n".encode())
            posix._exit(0)  # asked for
        say(f"{PROGRAM}: {error}")
        posix._exit(USAGE_ERROR)
    if request.program == "tmux":
        _tmux(request, caller)
    plan = None
    try:
        if not request.program or request.seen is not None:
            plan = make(decode(request.environ), PROGRAM)
        if request.program and plan is not None and not (plan.resolution.run_id or plan.telemetry.town_root):
            plan = None  # outside a run a shim records only what belongs to a town
    except Exception as error:  # the command must run whatever is wrong with us
        debug(PROGRAM, f"not recorded: {describe(error)}")
    if plan is None:
        _replace(request, caller)
    else:
        _trace(request, caller, plan, bundle)


def _tmux(request: Request, caller: child.Caller) -> None:
    """Let the tmux shim's own half run the command; return where that cannot be loaded."""
    try:
        from gastown_tracing.shims.tmux.running import run as run_tmux  # no other program needs it
    except Exception as error:  # in the middle of an upgrade, say: tmux runs
        debug(PROGRAM, f"not recorded: {describe(error)}")
        return
    run_tmux(request, caller)


def _replace(request: Request, caller: child.Caller) -> "NoReturn":
    try:
        child.replace(request.argv, request.environ, caller, request.file)
    except OSError as error:
        posix._exit(cannot_run(request, error))  # as a shell would


def _trace(request: Request, caller: child.Caller, plan: "Plan", bundle: str) -> "NoReturn":
    span_id = new_span_id()
    reading = _reading(request, plan)
    start_ns, started = time.time_ns(), time.monotonic_ns()
    pid, code = _start(request, caller, plan, span_id, reading)
    status = None if pid else code << 8
    record = None
    try:
        if reading is not None:
            reading.started()
        child.let_go(plan.telemetry.config.flag("GT_OTEL_DEBUG"), reading.held if reading is not None else ())
    except OSError as error:  # no descriptor to spare: the record can still be written at the end
        debug(PROGRAM, f"descriptors kept: {describe(error)}", plan.telemetry)
    try:
        from gastown_tracing.shims.record import Record  # while the command runs already
        from gastown_tracing.shims.waking import wake

        record = Record(request, plan, span_id, start_ns, pid)
        if status is None:
            status = child.ended(pid)
        if status is None and child.runs_on(pid, request.argv[0]):
            record.open()
            wake(plan.telemetry, PROGRAM)  # what runs on may run for hours
    except Exception as error:  # a failure to record is not the command's
        debug(PROGRAM, f"not recorded: {describe(error)}", plan.telemetry)
    if status is None:
        status = child.wait(pid)
    if record is not None:
        try:
            record.close(start_ns + time.monotonic_ns() - started, status, reading)
        except Exception as error:  # the same
            debug(PROGRAM, f"not recorded: {describe(error)}", plan.telemetry)
        else:
            _meet(request, plan)
            wake(plan.telemetry, PROGRAM)
    if reading is not None:
        reading.close()
    bundle = bundle or getattr(sys.meta_path[0], "stale", "")
    if bundle:
        _write_bundle(bundle)
    child.exit_as(status)


def _meet(request: Request, plan: "Plan") -> None:
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


def _reading(request: Request, plan: "Plan") -> "Reading | None":
    """Return how to read what the command prints; None where nobody asks for it or it cannot be read."""
    seen = request.seen
    logged = request.program == "bd" and plan.telemetry.config.flag("GT_LOG_BD_OUTPUT")
    if seen is None or not (seen.reads or logged):
        return None
    try:
        from gastown_tracing.shims.tee import prepare  # hardly any command's output is read

        return prepare(alone=logged, errors=request.program == "bd", pipes=not seen.daemon)
    except Exception as error:  # the command runs as it is
        debug(PROGRAM, f"output not read: {describe(error)}", plan.telemetry)
        return None


def _write_bundle(root: str) -> None:
    try:
        from gastown_tracing.shims.main import write  # once after an installation

        write(root)
    except Exception as error:  # somebody else's directory, a full disk: a cache we can do without
        debug(PROGRAM, f"no bundle: {describe(error)}")


def _start(
    request: Request, caller: child.Caller, plan: "Plan", span_id: str, reading: "Reading | None"
) -> tuple[int, int]:
    """Start the command; return its process id, or 0 and the exit code that says why it could not be run."""
    instead = reading.descriptors if reading is not None else {}
    try:
        file = request.file or child.find(request.argv[0], request.environ.get(b"PATH"))
        try:
            from gastown_tracing.shims.handing import handed  # not where telemetry is off

            environ = handed(request, plan, span_id)
        except Exception as error:  # the command runs with its caller's own environment
            debug(PROGRAM, f"context not handed on: {describe(error)}", plan.telemetry)
            return child.start(file, request.argv, request.environ, caller, descriptors=instead), 0
        if child.fits(file, request.argv, environ):
            return child.start(file, request.argv, environ, caller, descriptors=instead), 0
        # Our variables could be the last straw: the same.
        debug(
            PROGRAM, "context not handed on: the arguments and the environment are too long", plan.telemetry
        )
        return (
            child.start(file, request.argv, request.environ, caller, wrap=False, descriptors=instead),
            0,
        )
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.ENOMEM):  # no room for two: the command takes ours
            _replace(request, caller)
        return 0, cannot_run(request, error)


def cannot_run(request: Request, error: OSError) -> int:
    """Say why the command cannot be run, and return the exit code that a shell would give."""
    missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
    reason = (
        "command not found" if missing and b"/" not in request.argv[0] else posix.strerror(error.errno or 0)
    )
    say(f"{PROGRAM}: {request.argv[0].decode('utf-8', 'replace')}: {reason}")
    return child.NOT_FOUND if missing else child.NOT_EXECUTABLE
