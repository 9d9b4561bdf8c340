"""`gt-trace exec`: run a command with the child context in its environment, and record one span of it.

Nothing here loads the OpenTelemetry SDK, `os`, `re` or `json`: beside the interpreter's own start this is
what every
traced command pays. Until the command runs nothing is written; what only the recording needs is loaded after
that.
Whatever fails on our side, the command runs.
"""

import errno
import posix
import sys
import time

from gastown_tracing.config import load
from gastown_tracing.shims import child
from propagation.run import new_span_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from gastown_tracing.config import Telemetry
    from propagation.rules import Resolution
    from propagation.work import WorkContext

USAGE = "usage: gt-trace exec [--event EVENT] [--name NAME] [--attr KEY=VALUE]… -- COMMAND [ARGUMENT]…"
HELP = f"""\
{USAGE}

Run COMMAND with the trace's context in its environment, and record it as one span and
one log record. It behaves as it would without us, and we end as it ends: with its exit
code, or dead of the same signal.
127: command not found; 126: it cannot be executed; 2: these options cannot be understood.

  --event EVENT     what the command is, of the data model's events (default: exec)
  --name NAME       the span's name (default: the event's; for exec the command's)
  --attr KEY=VALUE  an attribute of the event; may be repeated"""
USAGE_ERROR = 2

#: How environments become text and bytes again, unchanged whatever they hold.
TEXT = ("utf-8", "surrogateescape")

#: The events of the data model that are a span of a command, with the span's kind (OTLP's numbers).
INTERNAL, CLIENT, PRODUCER, CONSUMER = 1, 3, 4, 5
EVENTS = {
    "exec": INTERNAL,
    "bd.call": CLIENT,
    "git.operation": CLIENT,
    "gt.command": INTERNAL,
    "mail": INTERNAL,
    "sling": INTERNAL,
    "nudge": INTERNAL,
    "done": INTERNAL,
    "prime": INTERNAL,
    "prompt.send": INTERNAL,
    "polecat.spawn": INTERNAL,
    "polecat.remove": INTERNAL,
    "formula.instantiate": INTERNAL,
    "convoy.create": INTERNAL,
    "mol.cook": INTERNAL,
    "mol.wisp": INTERNAL,
    "mol.squash": INTERNAL,
    "mol.burn": INTERNAL,
    "witness.patrol": INTERNAL,
}


class UsageError(Exception):
    """The options cannot be understood; the message is the line to show, none for `--help`."""


class Request:
    """What to run (`argv`, as bytes) and as what: the event, the span's name, given attributes.

    `environ` is the environment that our caller handed us for it.
    """

    __slots__ = ("argv", "attributes", "environ", "event", "name")

    def __init__(self, argv: list[bytes], event: str, name: str, attributes: dict[str, str]) -> None:
        self.argv = argv
        self.event = event
        self.name = name
        self.attributes = attributes
        self.environ = child.environment()


def parse(arguments: "Sequence[str]") -> Request:
    """Return the request that a command line makes. Raises UsageError."""
    event, name, attributes = "exec", "", {}
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-h", "--help"):
            raise UsageError("")
        if option == "--":
            break
        option, has_value, value = option.partition("=")
        if option not in ("--event", "--name", "--attr"):
            raise UsageError(f"unknown option {option}; {USAGE}")
        if not has_value:
            if not rest or rest[0] == "--":
                raise UsageError(f"{option} needs a value; {USAGE}")
            value = rest.pop(0)
        if option == "--event":
            event = value
        elif option == "--name":
            name = value
        else:
            key, equals, text = value.partition("=")
            if not key or not equals:
                raise UsageError(f"--attr wants KEY=VALUE, not {value!r}; {USAGE}")
            attributes[key] = text
    if event not in EVENTS:
        raise UsageError(f"unknown event {event!r}; one of: {', '.join(EVENTS)}")
    if not rest:
        raise UsageError(f"no command given; {USAGE}")
    return Request([encode(argument) for argument in rest], event, name, attributes)


def encode(text: str) -> bytes:
    """Return the bytes that the operating system gave us as `text`."""
    return text.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def decode(environ: dict[bytes, bytes]) -> dict[str, str]:
    """Return an environment as text; bytes that are no UTF-8 survive as lone surrogates."""
    return {name.decode(*TEXT): value.decode(*TEXT) for name, value in environ.items()}


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
        request = parse(arguments)
    except UsageError as error:
        if not str(error):
            posix.write(1, f"{HELP}\n".encode())
            posix._exit(0)  # asked for
        _say(f"gt-trace exec: {error}")
        posix._exit(USAGE_ERROR)
    try:
        plan = _plan(decode(request.environ))
    except Exception as error:  # the command must run whatever is wrong with us
        _debug(f"not recorded: {describe(error)}")
        plan = None
    if plan is None:
        _replace(request, caller)
    else:
        _trace(request, caller, plan, bundle)


class Plan:
    """Where the record of a command goes: the settings, the place in a trace, the work context in force.

    `work` is None where nobody has said what is being worked on.
    """

    __slots__ = ("resolution", "telemetry", "work")

    def __init__(self, telemetry: "Telemetry", resolution: "Resolution", work: "WorkContext | None") -> None:
        self.telemetry = telemetry
        self.resolution = resolution
        self.work = work


def _plan(env: dict[str, str]) -> Plan | None:
    """Return where to record the command, None for not at all. Reads only."""
    telemetry = load(env)
    journal = telemetry.journal
    if not telemetry.on:
        return None
    if journal.exists() and not journal.owned():
        _debug(f"not recorded: {journal.root} belongs to another user")  # and so does its config.json
        return None
    from gastown_tracing.journal.layout import PaneRegistry, read_text  # not where telemetry is off
    from propagation.rules import resolve
    from propagation.work import WorkContext, in_force

    resolution = resolve(env, PaneRegistry(journal))
    for note in resolution.notes:
        _debug(note, telemetry)
    if not resolution.sampled:
        return None
    noted = read_text(journal.run_dir(resolution.run_id) + "/work.jsonl") if resolution.run_id else None
    work = in_force(noted, time.time_ns()) if noted else None
    if work is None:
        work = WorkContext.from_env(env) or None
    return Plan(telemetry, resolution, work)


def _replace(request: Request, caller: child.Caller) -> "NoReturn":
    try:
        child.replace(request.argv, request.environ, caller)
    except OSError as error:
        posix._exit(_cannot_run(request, error))  # as a shell would


def _trace(request: Request, caller: child.Caller, plan: Plan, bundle: str) -> "NoReturn":
    span_id = new_span_id()
    start_ns, started = time.time_ns(), time.monotonic_ns()
    pid, code = _start(request, caller, plan, span_id)
    status = None if pid else code << 8
    record = None
    try:
        child.let_go(plan.telemetry.config.flag("GT_OTEL_DEBUG"))
    except OSError as error:  # no descriptor to spare: the record can still be written at the end
        _debug(f"descriptors kept: {describe(error)}", plan.telemetry)
    try:
        from gastown_tracing.shims.record import Record  # while the command runs already

        record = Record(request, plan, span_id, start_ns, pid)
        if status is None:
            status = child.ended(pid)
        if status is None and child.runs_on(pid, request.argv[0]):
            record.open()
    except Exception as error:  # a failure to record is not the command's
        _debug(f"not recorded: {describe(error)}", plan.telemetry)
    if status is None:
        status = child.wait(pid)
    if record is not None:
        try:
            record.close(start_ns + time.monotonic_ns() - started, status)
        except Exception as error:  # the same
            _debug(f"not recorded: {describe(error)}", plan.telemetry)
    if bundle:
        _write_bundle(bundle)
    child.exit_as(status)


def _write_bundle(root: str) -> None:
    try:
        from gastown_tracing.shims.main import write  # once after an installation

        write(root)
    except Exception as error:  # somebody else's directory, a full disk: a cache we can do without
        _debug(f"no bundle: {describe(error)}")


def _start(request: Request, caller: child.Caller, plan: Plan, span_id: str) -> tuple[int, int]:
    """Start the command; return its process id, or 0 and the exit code that says why it could not be run."""
    try:
        file = child.find(request.argv[0], request.environ.get(b"PATH"))
        try:
            environ = _environment(request, plan, span_id)
        except Exception as error:  # the command runs with its caller's own environment
            _debug(f"context not handed on: {describe(error)}", plan.telemetry)
            return child.start(file, request.argv, request.environ, caller), 0
        if child.fits(file, request.argv, environ):
            return child.start(file, request.argv, environ, caller), 0
        # Our variables could be the last straw: the same.
        _debug("context not handed on: the arguments and the environment are too long", plan.telemetry)
        return child.start(file, request.argv, request.environ, caller, wrap=False), 0
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.ENOMEM):  # no room for two: the command takes ours
            _replace(request, caller)
        return 0, _cannot_run(request, error)


def _environment(request: Request, plan: Plan, span_id: str) -> dict[bytes, bytes]:
    """Return the command's environment: the caller's own, byte for byte, and our variables."""
    from gastown_tracing.identity import for_children  # not where telemetry is off
    from propagation.environ import child_env
    from propagation.traceparent import SpanContext

    env, resolution = plan.telemetry.config.env, plan.resolution
    ours = for_children(env, resolution.run_id, plan.work)
    span = SpanContext(resolution.trace_id, span_id, resolution.flags, resolution.tracestate)
    changed = child_env(env, span, baggage=ours, resource=ours)
    environ = dict(request.environ)
    for name, value in changed.items():
        if env.get(name) != value:
            environ[name.encode(*TEXT)] = value.encode(*TEXT)
    for name in env.keys() - changed.keys():
        del environ[name.encode(*TEXT)]
    return environ


def _cannot_run(request: Request, error: OSError) -> int:
    """Say why the command cannot be run, and return the exit code that a shell would give."""
    missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
    reason = (
        "command not found" if missing and b"/" not in request.argv[0] else posix.strerror(error.errno or 0)
    )
    _say(f"gt-trace exec: {request.argv[0].decode('utf-8', 'replace')}: {reason}")
    return child.NOT_FOUND if missing else child.NOT_EXECUTABLE


def _debug(message: str, telemetry: "Telemetry | None" = None) -> None:
    wanted = (
        telemetry.config.flag("GT_OTEL_DEBUG") if telemetry else posix.environ.get(b"GT_OTEL_DEBUG") == b"1"
    )
    if wanted:
        _say(f"gt-trace exec: {message}")


def describe(error: Exception) -> str:
    """Return an exception as one line: its type, and what it says, a file's name included."""
    return f"{type(error).__name__}: {error}"


def _say(line: str) -> None:
    try:
        posix.write(2, line.encode("utf-8", "backslashreplace") + b"\n")
    except OSError:
        return  # nobody listens
