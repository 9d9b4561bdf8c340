"""`gt-trace exec`: run a command with the child context in its environment, and record one span of it.

Nothing here loads the OpenTelemetry SDK, `os`, `re` or `json`: beside the interpreter's own start this is
what every traced command pays. Until the command runs nothing is written; what only the recording needs is
loaded after that. Whatever fails on our side, the command runs.
"""

import errno
import posix
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
    say,
)
from propagation.run import new_span_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from gastown_tracing.events.schema import Value
    from gastown_tracing.shims.lines.seen import Seen
    from gastown_tracing.shims.main import Ahead
    from gastown_tracing.shims.plan import Plan
    from gastown_tracing.shims.tee import Reading

PROGRAM = "gt-trace exec"

#: The events that are any command of a program; they are known without the registry.
COMMANDS = ("exec", "bd.call", "git.operation", "gt.command")


#: The words of bd's command lines that matter before the command runs: those of commands whose output is read
#: or that start a daemon, and their other names. A line without any of them is looked at while it runs.
TELLING = frozenset(
    (
        *("close", "config", "create", "dolt", "done", "init", "mol", "new", "protomolecule"),
        *("show", "update", "view"),
    )
)


class Request:
    """What to run (`argv`, as bytes) and as what: the event, the span's name, given attributes.

    `environ` is the environment that our caller handed us for it. Where a shim asks, `program` is the one it
    stands for, `file` the real one, and `seen` what the command line is (None: nobody wants to see it, or it
    has not been looked at: `unseen`).
    """

    __slots__ = ("argv", "attributes", "environ", "event", "file", "name", "program", "seen", "unseen")

    def __init__(self, argv: list[bytes], event: str, name: str, attributes: "dict[str, Value]") -> None:
        self.argv = argv
        self.event = event
        self.name = name
        self.attributes = attributes
        self.environ = child.environment()
        self.program = ""
        self.file = b""
        self.seen: Seen | None = None
        self.unseen = False

    def look(self) -> None:
        """See what the command line is, where that has been put off."""
        from gastown_tracing.shims.lines.classify import classify  # `gt-trace exec` is told what it runs

        self.unseen = False
        self.seen = classify(self.program, [word.decode("utf-8", "replace") for word in self.argv[1:]])
        if self.seen is not None:
            self.event, self.attributes = self.seen.event, self.seen.attributes


class Begun:
    """A command that is about to run: its span's id, when that begins, and how its output is read.

    `start_ns` is of the Unix epoch and `started` of the monotonic clock, in ns. `pid` is 0 where it could not
    be run, and `code` then the exit code that says why. `slot` is where to note what it was handed, if at
    all; `known`: it was handed what stands there.
    """

    __slots__ = ("code", "known", "pid", "reading", "slot", "span_id", "start_ns", "started")

    def __init__(self, span_id: str, reading: "Reading | None") -> None:
        self.span_id = span_id
        self.reading = reading
        self.start_ns, self.started = time.time_ns(), time.monotonic_ns()
        self.pid = self.code = 0
        self.slot, self.known = "", False

    @classmethod
    def ahead(cls, span_id: str, pid: int, start_ns: int, slot: str, reading: "Reading | None") -> "Begun":
        """Return a command that runs since `start_ns`, ns of the Unix epoch, as the process `pid`."""
        begun = cls(span_id, reading)
        begun.started -= begun.start_ns - start_ns
        begun.pid, begun.start_ns = pid, start_ns
        begun.slot, begun.known = slot, True
        return begun


def from_shim(arguments: "Sequence[str]") -> Request:
    """Return the request of a shim: `--shim PROGRAM --file FILE -- NAME ARGUMENT…`."""
    _, program, _, file, _, *words = arguments
    request = Request([encode(word) for word in words], "exec", "", {})
    request.program, request.file, request.unseen = program, encode(file), True
    if program != "bd" or not TELLING.isdisjoint(words):
        request.look()
    return request


def _parsed(arguments: "Sequence[str]") -> Request:
    from gastown_tracing.shims.options import parse  # no shim has options of this kind

    return parse(arguments)


def run_launched(
    stat: str, arguments: "Sequence[str]", mask: "set[int]", bundle: str, ahead: "Ahead | None" = None
) -> "NoReturn":
    """Do what the launcher asks; `ahead` is the command where the launcher has started it.

    `stat` is the line of /proc/self/stat that the launcher read before Python started, or `-`: its fields 32
    and 33 are the bit masks of blocked and ignored signals (proc_pid_stat(5)). `bundle` names the root below
    which a bundle of the modules is missing, else it is empty.
    """
    fields = stat.rpartition(") ")[2].split()
    if len(fields) > 30 and fields[29].isdigit() and fields[30].isdigit():
        blocked, ignored = int(fields[29]), int(fields[30])
        # bash unblocks SIGCHLD.
        mask = mask | {number for number in range(1, 32) if blocked >> (number - 1) & 1}
        run(arguments, child.Caller(mask, ignored), bundle, ahead)
    run(arguments, child.Caller(mask), bundle, ahead)


def run(
    arguments: "Sequence[str]", caller: child.Caller, bundle: str = "", ahead: "Ahead | None" = None
) -> "NoReturn":
    """Run the command that the options name, record it, and end as it ended.

    `bundle` asks for the bundle below that root to be made afterwards. `ahead` is the command where it runs
    already; whatever is raised then, it is still to be waited for.
    """
    slot, reading = "", None
    if arguments[:1] == ["--slot"]:
        slot, arguments = arguments[1], arguments[2:]
    if ahead is not None and ahead[5]:
        from gastown_tracing.shims.tee import adopt  # hardly any command's output is read

        reading = adopt(*ahead[5])
    try:
        request = from_shim(arguments) if arguments[:1] == ["--shim"] else _parsed(arguments)
    except UsageError as error:
        if not str(error):
            posix.write(1, f"{error.see}\n".encode())
            posix._exit(0)  # asked for
        say(f"{PROGRAM}: {error}")
        posix._exit(USAGE_ERROR)
    if request.program == "tmux":
        _tmux(request, caller)
    plan = None
    try:
        if not request.program or request.seen is not None or request.unseen:
            plan = make(decode(request.environ), PROGRAM, trace_id=ahead[0] if ahead else "")
        if request.program and plan is not None and not (plan.resolution.run_id or plan.telemetry.town_root):
            plan = None  # outside a run a shim records only what belongs to a town
    except Exception as error:  # the command must run whatever is wrong with us
        debug(PROGRAM, f"not recorded: {describe(error)}")
    if ahead is not None:
        _follow(request, caller, plan, Begun.ahead(*ahead[1:5], reading), bundle)
    elif plan is None:
        _replace(request, caller)
    else:
        _trace(request, caller, plan, bundle, slot)


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


def _trace(request: Request, caller: child.Caller, plan: "Plan", bundle: str, slot: str) -> "NoReturn":
    begun = Begun(new_span_id(), _reading(request, plan))
    begun.slot = slot
    _start(request, caller, plan, begun)
    _follow(request, caller, plan, begun, bundle)


def _follow(
    request: Request, caller: child.Caller, plan: "Plan | None", begun: Begun, bundle: str
) -> "NoReturn":
    try:
        from gastown_tracing.shims.following import follow, leave  # while the command runs already

        if plan is None:
            leave(begun)
        follow(request, plan, begun, bundle)
    except Exception as error:  # in the middle of an upgrade, say
        debug(PROGRAM, f"not recorded: {describe(error)}", plan.telemetry if plan is not None else None)
        caller.restore()
        status = posix.waitpid(begun.pid, 0)[1] if begun.pid else begun.code << 8
        posix._exit(posix.waitstatus_to_exitcode(status) & 0xFF)


def _reading(request: Request, plan: "Plan") -> "Reading | None":
    """Return how to read what the command prints; None where nobody asks for it or it cannot be read."""
    seen = request.seen
    logged = request.program == "bd" and plan.telemetry.config.flag("GT_LOG_BD_OUTPUT")
    if not (logged or (seen is not None and seen.reads)):
        return None
    try:
        from gastown_tracing.shims.tee import prepare  # hardly any command's output is read

        return prepare(alone=logged, errors=request.program == "bd", pipes=seen is None or not seen.daemon)
    except Exception as error:  # the command runs as it is
        debug(PROGRAM, f"output not read: {describe(error)}", plan.telemetry)
        return None


def _start(request: Request, caller: child.Caller, plan: "Plan", begun: Begun) -> None:
    """Start the command, or say why it cannot be run; `begun` is told which."""
    instead = begun.reading.descriptors if begun.reading is not None else {}
    try:
        file = request.file or child.find(request.argv[0], request.environ.get(b"PATH"))
        try:
            from gastown_tracing.shims.handing import handed  # not where telemetry is off

            environ = handed(request, plan, begun.span_id)
        except Exception as error:  # the command runs with its caller's own environment
            debug(PROGRAM, f"context not handed on: {describe(error)}", plan.telemetry)
            environ = request.environ
        wrap = child.fits(file, request.argv, environ)
        if not wrap:  # our variables could be the last straw: the same
            why = "the arguments and the environment are too long"
            debug(PROGRAM, f"context not handed on: {why}", plan.telemetry)
            environ = request.environ
        caller.let_in()
        begun.pid = child.start(file, request.argv, environ, caller, wrap=wrap, descriptors=instead)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.ENOMEM):  # no room for two: the command takes ours
            _replace(request, caller)
        begun.code = cannot_run(request, error)


def cannot_run(request: Request, error: OSError) -> int:
    """Say why the command cannot be run, and return the exit code that a shell would give."""
    missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
    reason = (
        "command not found" if missing and b"/" not in request.argv[0] else posix.strerror(error.errno or 0)
    )
    say(f"{PROGRAM}: {request.argv[0].decode('utf-8', 'replace')}: {reason}")
    return child.NOT_FOUND if missing else child.NOT_EXECUTABLE
