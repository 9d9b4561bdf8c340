"""The tmux shim: what gt asks of tmux, as it was asked, and recorded once tmux has done it.

tmux gets the words that we got; new-session alone gets variables more, and no session's context in its own
environment, which a server keeps for ever. Who waits for tmux finds the registry as tmux left it.
"""

import posix

from gastown_tracing.identity import NAMED
from gastown_tracing.shims import child, waiting
from gastown_tracing.shims.plan import TEXT, debug, decode, describe, make
from gastown_tracing.shims.tmux.line import Command, Line, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn, Protocol

    from gastown_tracing.shims.exec import Request
    from gastown_tracing.shims.tmux.place import Call, Place

    class Job(Protocol):
        """What is to be done about one command of a line. All of it may raise; tmux runs all the same."""

        def before(self) -> "Sequence[str]":
            """Look before tmux runs; return the words that the command gets before its own."""

        def load(self) -> None:
            """Load what only the recording needs, while tmux runs."""

        def after(self, error: str) -> None:
            """Record what tmux did; `error` is why it failed, "" for success."""


PROGRAM = "tmux"

#: Commands that are recorded.
WANTED = (
    *("capture-pane", "kill-server", "kill-session", "new-session", "respawn-pane", "send-keys"),
    *("set-environment", "set-hook"),
)
#: What says that a session is an agent's.
AGENT = ("GT_RUN", "GT_ROLE", *NAMED.values())
#: Commands that can start a server, which keeps the environment of whoever starts it.
STARTING = ("attach-session", "new-session", "start-server")


def run(request: "Request", caller: child.Caller) -> "NoReturn":
    """Run tmux, record what that was, and end as it ended."""
    argv, environ, jobs, call = list(request.argv), request.environ, [], None
    try:
        line = parse([word.decode(*TEXT) for word in argv[1:]])
        if line is not None:
            call = _call(request, line)
        if line is not None and call is not None:
            jobs = _jobs(line, call, argv)
            if any(command.name in STARTING for command in line.commands):
                environ = without_context(environ)
            argv = _with_words(argv, jobs)
    except Exception as error:  # tmux runs whatever is wrong with us
        debug(PROGRAM, f"not recorded: {describe(error)}")
        jobs = []
    try:
        if call is not None and not jobs:
            call.tmux.forget()
        if not jobs or call is None:
            child.replace(argv, environ, caller, request.file)
        pid = child.start(request.file, argv, environ, caller)
    except OSError as error:
        from gastown_tracing.shims.exec import cannot_run  # as for any command

        posix._exit(cannot_run(request, error))
    _each(jobs, call, lambda job: job.load())
    status = waiting.wait(pid)
    code = posix.waitstatus_to_exitcode(status)
    failure = "" if code == 0 else f"exit code {code}" if code > 0 else f"killed by signal {-code}"
    _each(jobs, call, lambda job: job.after(failure))
    waiting.exit_as(status)


def _each(jobs: "Sequence[tuple[Job, Command]]", call: "Call", do: "Callable[[Job], None]") -> None:
    for job, _ in jobs:
        try:
            do(job)
        except Exception as error:  # a failure to record is not tmux's
            call.note(f"not recorded: {describe(error)}")


def _call(request: "Request", line: Line) -> "Call | None":
    """Return what a call needs to be recorded, None where nothing of it is."""
    wanted = [command for command in line.commands if command.name in WANTED or command.name in STARTING]
    if not wanted:
        return None
    from gastown_tracing.shims.tmux.place import Call, Tmux  # not for what nobody wants to see

    env = decode(request.environ)
    plan = make(_with_town(env, wanted), PROGRAM)
    return None if plan is None else Call(plan, Tmux(request.file.decode(*TEXT), line, env))


def _with_town(env: dict[str, str], commands: "Sequence[Command]") -> dict[str, str]:
    """Return the environment with the town of the session that is to be made: gt need not be called there."""
    for command in commands:
        for pair in command.flags.get("e", ()):
            name, _, value = pair.partition("=")
            if name == "GT_ROOT" and value:
                return {**env, "GT_ROOT": value}
    return env


def _jobs(line: Line, call: "Call", argv: "Sequence[bytes]") -> "list[tuple[Job, Command]]":
    found = [(_job(call, command, line, argv), command) for command in line.commands]
    return [(job, command) for job, command in found if job is not None]


def _job(call: "Call", command: Command, line: Line, argv: "Sequence[bytes]") -> "Job | None":
    """Return the job of one command of a line, None for one that nobody wants to see."""
    name = command.name
    if name in ("send-keys", "capture-pane"):
        return _Prompt(call, command) if name == "send-keys" else _Look(call, command)
    if name == "set-environment":
        return _work(call, command, line)
    # gt can make a bare session first, and put the agent into its pane.
    if name == "respawn-pane" or (name == "new-session" and _names_agent(command)):
        if _names_agent(command):
            call.tmux.look_ahead()
        from gastown_tracing.shims.tmux.spawn import spawn  # sessions are rare, and load a lot

        return spawn(call, command, argv)
    if name == "set-hook":
        from gastown_tracing.shims.tmux.stop import disarms  # no hook else is seen

        return _Disarm(call, command) if disarms(command) else None
    if name in ("kill-server", "kill-session"):
        from gastown_tracing.shims.tmux.kill import kill  # the same

        return kill(call, command)
    return None


def _names_agent(command: Command) -> bool:
    """Say whether a command can name an agent, without the modules that find out which."""
    words = (*command.flags.get("e", ()), *command.words)
    return any(f"{name}=" in word for word in words for name in AGENT)


def _with_words(argv: "list[bytes]", jobs: "Sequence[tuple[Job, Command]]") -> "list[bytes]":
    """Let each job look, and put the words that it wants behind its command's name."""
    changed = list(argv)
    for job, command in reversed(jobs):
        words = [word.encode(*TEXT) for word in job.before()]
        place = command.at + 1  # the program's own name comes first
        changed[place:place] = words
    return changed


def without_context(environ: "dict[bytes, bytes]") -> "dict[bytes, bytes]":
    """Return an environment for a server that may start now: no session's context in it."""
    from gastown_tracing.config import RECEIVER
    from propagation import environ as carrier

    env = decode(environ)
    clean = carrier.without_context(env)
    clean.pop(RECEIVER, None)
    kept = {name: value for name, value in environ.items() if name.decode(*TEXT) in clean}
    for name, value in clean.items():
        if env[name] != value:
            kept[name.encode(*TEXT)] = value.encode(*TEXT)
    return kept


class _Aimed:
    """A command for a pane or session: whose it is we ask before, because tmux may not know it afterwards."""

    __slots__ = ("call", "command", "place")

    def __init__(self, call: "Call", command: Command) -> None:
        self.call, self.command = call, command
        self.place: Place | None = None

    def before(self) -> "Sequence[str]":
        self.place = self.call.find(self.command.value("t"))
        return ()

    def load(self) -> None:
        return

    def after(self, error: str) -> None:
        if self.place is None and self.call.made:
            self.before()
        if self.place is not None:
            self.record(self.place, error)

    def record(self, place: "Place", error: str) -> None:
        """Record what was done to a run's pane."""
        raise NotImplementedError


class _Prompt(_Aimed):
    """A send-keys."""

    __slots__ = ()

    def load(self) -> None:
        if self.place is not None:
            from gastown_tracing.shims.tmux.keys import SENDING, read

            if any(what == SENDING for what, _ in read(self.command)):
                import gastown_tracing.shims.tmux.prompt_span  # loaded is all that it has to be
            else:
                import gastown_tracing.shims.tmux.prompt  # noqa: F401  # the same

    def record(self, place: "Place", error: str) -> None:
        from gastown_tracing.shims.tmux.keys import read
        from gastown_tracing.shims.tmux.prompt import sent

        sent(self.call, place, read(self.command), error)


class _Look(_Aimed):
    """A capture-pane."""

    __slots__ = ()

    def load(self) -> None:
        if self.place is not None:
            import gastown_tracing.shims.tmux.looks  # noqa: F401  # the same

    def record(self, place: "Place", error: str) -> None:
        from gastown_tracing.shims.tmux.looks import looked

        looked(self.call, place, self.command, error)


class _Disarm(_Aimed):
    """A set-hook -u pane-died: its session is about to be ended."""

    __slots__ = ()

    def record(self, place: "Place", error: str) -> None:
        from gastown_tracing.sessions.stops import note_stop
        from gastown_tracing.shims.tmux.stop import stop_of

        if not error:
            note_stop(place.directory, stop_of(self.call))


class _Work(_Aimed):
    """The set-environment of a line that have one target: the first one's job."""

    __slots__ = ("_commands",)

    def __init__(self, call: "Call", commands: "Sequence[Command]") -> None:
        super().__init__(call, commands[0])
        self._commands = commands

    def load(self) -> None:
        if self.place is not None:
            import gastown_tracing.journal.writer  # noqa: F401  # the same

    def record(self, place: "Place", error: str) -> None:
        from gastown_tracing.shims.tmux.notes import merged, works_on

        if not error:
            works_on(place, merged(self._commands))


def _work(call: "Call", command: Command, line: Line) -> "Job | None":
    from gastown_tracing.shims.tmux.notes import changes  # who sets anything else is not seen at all

    alike = [
        other
        for other in line.commands
        if other.name == command.name and other.value("t") == command.value("t") and changes(other)
    ]
    return _Work(call, alike) if alike and alike[0] is command else None
