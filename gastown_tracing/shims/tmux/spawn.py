"""Sessions and agents that gt starts in tmux: new-session and respawn-pane.

A run is made by what makes that of `gt-trace session start`.
"""

import posix

from gastown_tracing import config
from gastown_tracing.events.shell import split
from gastown_tracing.journal import index
from gastown_tracing.journal.layout import PaneRegistry, create, find_town_root
from gastown_tracing.sessions import head, processes, receiver, roles, run
from gastown_tracing.sessions.answers import ARGUMENT_LIMIT
from gastown_tracing.sessions.documents import pane_of
from gastown_tracing.sessions.ending import close, is_closed, not_started
from gastown_tracing.shims.asking import Asked
from gastown_tracing.shims.plan import TEXT
from gastown_tracing.shims.real import real, shimmed
from gastown_tracing.shims.tmux.place import place_of
from gastown_tracing.shims.tmux.running import AGENT, PROGRAM, without_context
from gastown_tracing.shims.waking import wake
from propagation import environ as carrier
from propagation.run import parse_run_id
from propagation.traceparent import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gastown_tracing.shims.tmux.line import Command
    from gastown_tracing.shims.tmux.place import Call, Place

#: What of a session's variables says who it is.
_WHO = (*roles.IDENTITY_VARIABLES, "GT_RUN")

#: What a session gets of ours, beside who it is: that is gt's to say.
_OURS = (
    *(carrier.RUN, carrier.TRACEPARENT, carrier.BAGGAGE, carrier.RESOURCE_ATTRIBUTES),
    *(config.JOURNAL, *run.PASSED_ON),
)

#: What must not come from another session through the server's environment.
_OF_ONE_SESSION = (
    *(carrier.TRACEPARENT, carrier.TRACESTATE, carrier.BAGGAGE, carrier.RUN, "GT_SESSION", config.RECEIVER),
    *("GT_WORK_RIG", "GT_WORK_BEAD", "GT_WORK_MOL", "GT_WORK_BUILD"),
)


def variables_of(command: "Command") -> dict[str, str]:
    """Return the variables that a command gives a session: by -e, and by `env` before the agent's command."""
    pairs = [pair.partition("=") for pair in command.flags.get("e", ())]
    found = {name: value for name, equals, value in pairs if equals}
    return {**found, **_before_command(command.words)}


def _before_command(words: "Sequence[str]") -> dict[str, str]:
    """Return what `export NAME=VALUE … && exec env NAME=VALUE … PROGRAM` says of who the agent is.

    That is how gt writes it, the first part for a polecat alone.
    """
    # The words behind the variables are a whole prompt: they are not taken apart.
    parts = split(words[0]) if len(words) == 1 else [(word, 0) for word in words]
    found = {}
    for part, end in parts:
        if end < 0:  # a quote that is never closed: the shell's to complain
            return {}
        name, equals, value = part.partition("=")
        if equals and name.isidentifier():
            found[name] = value
        elif part not in ("exec", "env", "export", "&&"):
            break
    return {name: value for name, value in found.items() if name in _WHO}


def spawn(call: "Call", command: "Command", argv: "Sequence[bytes]") -> "Spawn | Respawn | None":
    """Return the job of a new-session or respawn-pane, None for a session that is no agent's."""
    if command.name == "respawn-pane":
        return Respawn(call, command, argv)
    given = variables_of(command)
    return Spawn(call, command, given, argv) if any(given.get(name) for name in AGENT) else None


class Spawn:
    """A new-session, or a respawn-pane, that makes an agent's session a run."""

    def __init__(
        self,
        call: "Call",
        command: "Command",
        given: "Mapping[str, str]",
        argv: "Sequence[bytes]",
        *,
        session: str = "",
    ) -> None:
        self._call, self._command, self._given, self._named = call, command, dict(given), session
        self._size = sum(len(word) + 1 for word in argv)
        self._env = call.plan.telemetry.config.env
        self._handle: run.RunHandle | None = None
        self._old: Place | None = None
        self._git: Asked | None = None

    @property
    def session(self) -> str:
        """Return the name that tmux gives the session, "" where that is tmux' to say."""
        if self._command.name != "new-session":
            return self._named
        name = self._command.value("s")
        return "" if "#" in name else name.replace(":", "_").replace(".", "_")

    @property
    def _is_told(self) -> bool:
        """Return whether the end of tmux means that the session is there now, and was not before."""
        flags = self._command.flags
        return bool(self.session) and (
            self._command.name != "new-session" or ("d" in flags and "A" not in flags and "t" not in flags)
        )

    def before(self) -> "Sequence[str]":
        """Draft the session's run; return the words that hand it on."""
        entry = index.look(self._call.journal, index.HOOKS, self._given.get("BD_ACTOR", "")) or {}
        self._handle = self.draft(entry)
        self._old = place_of(self._call.journal, self._handle.trace_id)
        return self.words(self._handle)

    def words(self, handle: run.RunHandle) -> "Sequence[str]":
        """Return `-e NAME=VALUE` for all that the session gets of ours, nothing where that is too long."""
        present = self._present()
        told = run.session_env(handle, {**self._env, **self._foreign(present)})
        variables = {name: told[name] for name in _OURS if name in told and name not in self._given}
        telemetry = self._call.plan.telemetry
        variables |= receiver.variables(receiver.address(telemetry), {**present, **self._given})
        stale = [name for name in _OF_ONE_SESSION if present.get(name)]
        variables |= {name: "" for name in stale if name not in variables and name not in self._given}
        for chosen in (variables, run.own_context_only(variables)):
            words = _options(chosen)
            if self._size + sum(len(word.encode(*TEXT)) + 1 for word in words) <= ARGUMENT_LIMIT:
                return words
        self._call.note("too long for tmux: the session gets no context")
        return ()

    def load(self) -> None:
        """Ask git where the session works, while tmux starts it."""
        if self._handle is not None and self._is_told and self._old is None:
            words = head.question(str(self._handle.info["work_dir"]))
            git = real("git", posix.environ.get(b"PATH"))  # no shim: what we ask ourselves is not seen
            try:
                self._git = Asked([git, *words], head.SECONDS, without=head.ELSEWHERE)
            except OSError:
                return  # without git nothing is known of it

    def _told_by_git(self) -> dict[str, str]:
        code, said = self._git.answer() if self._git is not None else (1, b"")
        return {} if code else head.read(said.decode("utf-8", "replace"))

    def after(self, error: str) -> None:
        """Make the run of a session that is there now; of one that is not, the run that failed."""
        handle, call = self._handle, self._call
        if handle is None or not self._is_told:
            return  # the relay finds it
        create(call.journal.root, config.for_journal(self._env))
        if self._old is not None:  # a run that goes on in another session
            handle = run.handle_of(call.journal, self._old.info)
        if error:
            if self._old is None:
                run.write_run(handle, self._told_by_git())
                not_started(handle, f"tmux: {error}")
            return
        is_new = self._command.name == "new-session"
        found = call.tmux.pane(f"={self.session}:" if is_new else self._command.value("t"))
        if self._old is None:
            self._record(handle, found)
        else:
            respawned(call, handle, found, self._given)
        if found is not None:
            pipe(call, handle.trace_id, found)
        wake(call.plan.telemetry, PROGRAM, at_once=True)

    def _record(self, handle: run.RunHandle, found: "Mapping[str, str] | None") -> None:
        """Write the records of a session that has begun; its end too, where tmux has it no more."""
        instantiated = bool(self._command.words)
        run.write_run(handle, self._told_by_git())
        if found is not None:
            run.write_pane(handle, pane_json(found, int(instantiated)))
        run.record_start(handle, instantiated=instantiated)
        self._call.made = True
        if found is None:
            close(handle.journal, handle.trace_id, reason="exited", evidence="it ended as soon as it began")

    def _present(self) -> dict[str, str]:
        """Return the environment that the session has anyway: the server's, else what a new one gets."""
        known = self._call.tmux.environment()
        if known is None:
            whole = {name.encode(*TEXT): value.encode(*TEXT) for name, value in self._call.tmux.env.items()}
            return {name.decode(*TEXT): value.decode(*TEXT) for name, value in without_context(whole).items()}
        return known

    def _foreign(self, present: "Mapping[str, str]") -> dict[str, str]:
        """Return the resource attributes that the session's own start from."""
        name = carrier.RESOURCE_ATTRIBUTES
        text = self._given.get(name) or self._env.get(name) or present.get(name)
        return {name: text} if text else {}

    def draft(self, entry: "Mapping[str, str]", run_id: str = "") -> run.RunHandle:
        """Return the session's run, which is nowhere written yet; `run_id` where it is known already."""
        given, call = self._given, self._call
        role = given.get("GT_ROLE") or next(
            (role for role, name in roles.NAME_VARIABLES.items() if given.get(name)), ""
        )
        named = next((given[name] for name in roles.NAME_VARIABLES.values() if given.get(name)), "")
        work_dir = self._command.value("c") or posix.getcwd()
        env = {**self._env, **({"GT_ROOT": given["GT_ROOT"]} if given.get("GT_ROOT") else {})}
        return run.create_run(
            call.journal,
            role=role,
            name=named,
            rig=given.get("GT_RIG", ""),
            agent=given.get("GT_AGENT", ""),
            session=self.session or given.get("GT_SESSION", ""),
            issue=entry.get("bead", ""),
            work_dir=work_dir,
            env={**env, "GT_ROOT": find_town_root(env, work_dir)},
            run_id=run_id or parse_run_id(given.get("GT_RUN")),
            cause=call.cause or _span(index.span_of(entry)),
            given={
                name: value for name, value in given.items() if name in roles.IDENTITY_VARIABLES and value
            },
            spawner={**processes.describe(posix.getpid()), "tmux": True, "socket": call.tmux.socket},
            shims=shimmed(posix.environ.get(b"PATH")),
            written=False,
        )


class Respawn:
    """A respawn-pane: the agent's process of a session that is there, or one more of them."""

    def __init__(self, call: "Call", command: "Command", argv: "Sequence[bytes]") -> None:
        self._call, self._command, self._argv = call, command, argv
        self._given = variables_of(command)
        self._place: Place | None = None
        self._made: Spawn | None = None

    def before(self) -> "Sequence[str]":
        """Look whose pane it is; an agent's that is in no run yet gets one, and every agent its variables.

        An earlier respawn-pane's are not the session's, and gt may have given that another GT_RUN since.
        """
        self._place, session = self._found()
        if self._place is not None and self._is_over(self._place, session):
            self._place = None
        if not any(self._given.get(name) for name in AGENT):
            self._call.tmux.forget()
            return ()
        spawn = Spawn(self._call, self._command, self._given, self._argv, session=session)
        if self._place is not None:
            return spawn.words(spawn.draft({}, str(self._place.info["trace_id"])))
        self._made = spawn
        return spawn.before()

    def load(self) -> None:
        """Do for a run of its own what a new session's does."""
        if self._made is not None:
            self._made.load()

    def after(self, error: str) -> None:
        """Record the process that was started; in a run that had one before, with a mark."""
        if self._made is not None:
            self._made.after(error)
            return
        place, call = self._place, self._call
        if place is None or place.pane:
            return
        handle = run.handle_of(call.journal, place.info)
        if error:
            run.record_start(handle, start_ns=call.start_ns, error=f"tmux: respawn-pane: {error}")
            return
        found = call.tmux.pane(self._command.value("t"))
        respawned(call, handle, found, self._given, started=bool(self._command.words))
        if found is not None:
            pipe(call, handle.trace_id, found)

    def _found(self) -> "tuple[Place | None, str]":
        """Return the run of the pane, which may have been closed when its agent died, and the session."""
        place = self._call.find(self._command.value("t"))
        if place is not None:
            return place, place.session
        found = self._call.tmux.pane(self._command.value("t"))
        if found is None:
            return None, ""
        registry = PaneRegistry(self._call.journal)
        run_id = registry.run_for_pane(found["socket"], found["server_pid"], found["pane"])
        return place_of(self._call.journal, run_id or ""), found["session"]

    def _is_over(self, place: "Place", session: str) -> bool:
        """Return whether a pane's run has ended, and nothing says that what is to come is of it.

        gt tells every session but a crew's which run it is: then that goes on, closed or not. Any other is a
        run of its own, as it is for the relay.
        """
        if not is_closed(self._call.journal, place.run_id):
            return False
        code, said = self._call.tmux.ask("show-environment", "-t", f"={session}", "GT_RUN")
        named = self._given.get("GT_RUN") or ("" if code else said.strip().partition("=")[2])
        return parse_run_id(named) != place.run_id


def respawned(
    call: "Call",
    handle: run.RunHandle,
    found: "Mapping[str, str] | None",
    given: "Mapping[str, str]",
    *,
    started: bool = True,
) -> None:
    """Say that a run's pane has another process now, and record that as its agent. Raises OSError.

    `found` is the pane, None where the process has ended already, and the pane with it. Without `started` no
    command was named: it is what the pane began with, an agent only if that was one.
    """
    before = pane_of(handle.directory)
    agents = _number(before.get("agents", "1" if before else "0"))
    is_agent = started or agents > 0
    if found is not None:
        run.write_pane(handle, pane_json(found, agents + int(is_agent)))
    if is_agent:
        actor = given.get("BD_ACTOR") or _actor(handle)
        entry = index.look(call.journal, index.HOOKS, actor) or {}
        run.record_instantiation(handle, issue=entry.get("bead", ""), restart=agents, cause=call.cause)
    wake(call.plan.telemetry, PROGRAM)


def pane_json(found: "Mapping[str, str]", agents: int) -> dict[str, str]:
    """Return pane.json of a pane that tmux described, in which so many agent processes have been started."""
    return {**processes.describe_pane(found), "agents": str(agents)}


def pipe(call: "Call", run_id: str, found: "Mapping[str, str]") -> None:
    """Let what a pane shows be recorded, where that is asked for and nothing reads it already."""
    settings = call.plan.telemetry.config
    if settings.flag("GT_LOG_PANE_OUTPUT") and found.get("piped") != "1":
        from gastown_tracing.shims.tmux.output import command as recorder  # where it is asked for

        command = recorder(call.journal, run_id, settings)
        call.tmux.ask("pipe-pane", "-o", "-t", found["pane"], command)


def _options(variables: "Mapping[str, str]") -> list[str]:
    words = []
    for name, value in variables.items():
        pair = f"{name}={value}"
        words += ["-e", f"{pair[:-1]}\\;" if pair[-1] == ";" else pair]  # else it would end tmux' command
    return words


def _actor(handle: run.RunHandle) -> str:
    resource = handle.info.get("resource")
    return str(resource.get("gt.actor", "")) if isinstance(resource, dict) else ""


def _span(ids: tuple[str, str] | None) -> SpanContext | None:
    return SpanContext(*ids) if ids else None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
