"""A run from its making to its first records: run.json, the session's variables, session.start.

The trace ID is the run's UUID and the root span's id follows from it (the data model's "Identity"), so
whoever knows GT_RUN can record for a run; only the root itself waits for the session's end (`ending.close`).
A shim makes runs, so only what every interpreter has built in is used.
"""

import posix
import time

from gastown_tracing import identity, members
from gastown_tracing.journal import otlp
from gastown_tracing.journal.layout import (
    Journal,
    PaneRegistry,
    find_town_root,
    mkdirs,
    open_regular,
    write_atomic,
)
from gastown_tracing.sessions import documents, processes, roles
from gastown_tracing.sessions.head import git_head
from gastown_tracing.sessions.records import (
    FLAGS,
    IDENTITY,
    common_attributes,
    event_log,
    plain_log,
    write_records,
)
from propagation import baggage, run
from propagation import resource as resource_attributes
from propagation.traceparent import SpanContext, format_traceparent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT_NAME = "gt.session"

#: Bytes in which a run's session.start is looked for.
_FIRST = 1 << 20

#: The mark of one more agent process in a run that had one already.
RESTART = "agent.restart"

#: What the operator may have set and a session gets as it is.
PASSED_ON = (
    "GT_OTEL_DEBUG",
    "GT_OTEL_NATIVE",
    "GT_OTEL_RELAY",
    "GT_LOG_AGENT_OUTPUT",
    "GT_LOG_BD_OUTPUT",
    "GT_LOG_PANE_OUTPUT",
    "GT_LOG_MAIL_BODY",
    "GT_LOG_PROMPT_KEYS",
    "GT_LOG_PRIME_CONTEXT",
    "GT_LOG_AGENT_CONTENT_LIMIT",
    "GT_LOG_BD_CONTENT_LIMIT",
    "GT_LOG_PANE_CONTENT_LIMIT",
)


class RunHandle:
    """A run that was made here: `info` is its run.json, `variables` what its session is told about itself."""

    __slots__ = ("directory", "info", "journal", "root_span_id", "trace_id", "variables")

    def __init__(
        self,
        journal: Journal,
        trace_id: str,
        root_span_id: str,
        directory: str,
        info: dict[str, object],
        *,
        variables: dict[str, str],
    ) -> None:
        self.journal = journal
        self.trace_id = trace_id
        self.root_span_id = root_span_id
        self.directory = directory
        self.info = info
        self.variables = variables

    @property
    def start_ns(self) -> int:
        """Return when the session began, nanoseconds since the Unix epoch."""
        return int(str(self.info["start_time_unix_nano"]))


def create_run(
    journal: Journal,
    *,
    role: str,
    env: "Mapping[str, str]",
    work_dir: str,
    name: str = "",
    rig: str = "",
    issue: str = "",
    session: str = "",
    agent: str = "",
    run_id: str | None = None,
    start_ns: int | None = None,
    service_name: str = identity.SERVICE_NAME,
    service_version: str | None = None,
    cause: "SpanContext | None" = None,
    given: "Mapping[str, str] | None" = None,
    spawner: "Mapping[str, object] | None" = None,
    found: str = "",
    shims: "Sequence[str] | None" = None,
    written: bool = True,
) -> RunHandle:
    """Make a run: its directory and run.json, unless that is left to `write_run`.

    Raises OSError; FileExistsError where somebody was first.

    `role`, `name` and `rig` say who the agent is; `session` is its session's name, which follows from them
    when empty; `agent` is GT_AGENT. `env` is the spawner's environment. `cause` is the span that led to the
    session: a span link on session.start. `given` are further variables of the session that say who it is,
    such as BD_ACTOR. `spawner` is a process (`processes.describe`) that stays until pane.json is there;
    `tmux` in it says that it spawns in tmux, `socket` at which socket, by its path. `found` says who found a
    session that began without us; what its directory held when it began nobody knows then. `shims` are the
    programs of which the session finds a shim first on PATH, None where nobody has looked.
    """
    trace_id = run_id or run.new_run_id()
    town_root = find_town_root(env, work_dir)
    variables = session_variables(
        role=role, name=name, rig=rig, session=session, agent=agent, town_root=town_root
    )
    variables |= {**(given or {}), "GT_RUN": run.to_uuid(trace_id)}
    resource_env = {**variables, "OTEL_RESOURCE_ATTRIBUTES": _foreign_resource(env)}
    resource = identity.resource(
        resource_env,
        trace_id,
        service_name=service_name,
        service_version=service_version,
        instance_id=trace_id,
    )
    resource.pop("process.pid")  # the session is no process of its own
    info: dict[str, object] = {
        "version": 1,
        "trace_id": trace_id,
        "run_uuid": run.to_uuid(trace_id),
        "root_span_id": run.root_span_id(trace_id),
        "name": ROOT_NAME,
        "start_time_unix_nano": str(time.time_ns() if start_ns is None else start_ns),
        "start_boottime_ns": str(_boottime_ns()) if start_ns is None else "",
        "boot_id": processes.boot_id(),
        "host": processes.host(),
        **_who(variables, town_root),
        "session": variables["GT_SESSION"],
        "gt_role": variables.get("GT_ROLE", ""),
        "issue_id": issue,
        **({"found": found} if found else {}),
        "work_dir": work_dir,
        "service": {"name": resource["service.name"], "version": resource["service.version"]},
        "resource": resource,
        "cause": {"trace_id": cause.trace_id, "span_id": cause.span_id} if cause else None,
        "spawner": dict(spawner) if spawner else None,
        **({} if shims is None else {"shims": list(shims)}),
    }
    handle = RunHandle(
        journal, trace_id, run.root_span_id(trace_id), journal.run_dir(trace_id), info, variables=variables
    )
    if written:
        write_run(handle, {} if found else git_head(env, work_dir))
    return handle


def write_run(handle: RunHandle, head: "Mapping[str, str]") -> None:
    """Make a run's directory and run.json, with what git says of where it works now (`head`).

    Raises OSError; FileExistsError where somebody was first.
    """
    handle.info.update(head)
    mkdirs(handle.directory)
    try:
        _put(handle.directory + "/run.json", documents.dumped(handle.info) + "\n")
    except OSError:
        _remove(handle.directory)
        raise


def _remove(directory: str) -> None:
    try:
        posix.rmdir(directory)
    except OSError:
        return  # it holds records already


def _put(path: str, text: str) -> None:
    """Put a file there, whole and at once, unless there is one: link(2) decides who was first."""
    temporary = f"{path}.{posix.getpid()}-{posix.urandom(4).hex()}"
    write_atomic(temporary, text)
    try:
        posix.link(temporary, path)
    finally:
        posix.unlink(temporary)


def handle_of(journal: Journal, info: "Mapping[str, object]") -> RunHandle:
    """Return the handle of a run that somebody else made, from its run.json."""
    trace_id = str(info["trace_id"])
    named = {"GT_SESSION": str(info.get("session", ""))}
    return RunHandle(
        journal, trace_id, str(info["root_span_id"]), journal.run_dir(trace_id), dict(info), variables=named
    )


def session_variables(
    *, role: str, name: str, rig: str, session: str, agent: str, town_root: str
) -> dict[str, str]:
    """Return the variables that tell a session who it is, without its run."""
    found, default_session = roles.named(role, name, rig)
    found |= {"GT_SESSION": session or default_session, "GT_AGENT": agent, "GT_ROOT": town_root}
    return {variable: value for variable, value in found.items() if value}


def _who(variables: "Mapping[str, str]", town_root: str) -> dict[str, str]:
    found = identity.identity(variables, town_root)
    named = [variables[name] for name in roles.NAME_VARIABLES.values() if variables.get(name)]
    if named:
        found["agent_name"] = named[0]
    return {key: found.get(key, "") for key in IDENTITY}


def _foreign_resource(env: "Mapping[str, str]") -> str:
    """Return OTEL_RESOURCE_ATTRIBUTES without what it says about the spawner's own session."""
    text = env.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return resource_attributes.merge(text, dict.fromkeys(_ours(resource_attributes.parse(text))))


def _ours(names: "Mapping[str, object]") -> list[str]:
    return [name for name in names if name.startswith("gt.")]


def _boottime_ns() -> int:
    """Return nanoseconds since the boot, sleep included; 0 where the system does not say (macOS)."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return 0 if clock is None else time.clock_gettime_ns(clock)


def now_ns(info: "Mapping[str, object]") -> int:
    """Return the time by the session's own clock: its start plus what passed since, never before its start.

    Nanoseconds since the Unix epoch. A machine's clock that was set meanwhile changes no duration.
    """
    start = int(str(info.get("start_time_unix_nano") or 0))
    since_boot = int(str(info.get("start_boottime_ns") or 0))
    if since_boot and info.get("boot_id") == processes.boot_id():
        return max(start, start + _boottime_ns() - since_boot)
    return max(start, time.time_ns())


def session_env(handle: RunHandle, env: "Mapping[str, str]") -> dict[str, str]:
    """Return the variables that the run's session gets, and no others: who it is, its context, the journal.

    `env` is the spawner's environment: unknown baggage and resource attributes of it are handed on, the gt.*
    members of the spawner's own session are not.
    """
    ours = members.session_attributes(handle.variables, handle.trace_id)
    theirs = baggage.parse(env.get("BAGGAGE", ""))
    others = {name: member for name, member in theirs.items() if not name.startswith("gt.")}
    passed = {name: env[name] for name in PASSED_ON if env.get(name)}
    return {
        **handle.variables,
        **passed,
        "GT_OTEL_JOURNAL": _absolute(handle.journal.root),
        "TRACEPARENT": format_traceparent(handle.trace_id, handle.root_span_id, FLAGS),
        "BAGGAGE": baggage.format({**others, **ours}),
        "OTEL_RESOURCE_ATTRIBUTES": resource_attributes.merge(_foreign_resource(env), ours),
    }


def own_context_only(variables: "Mapping[str, str]") -> dict[str, str]:
    """Return a session's variables with only our own members in BAGGAGE and OTEL_RESOURCE_ATTRIBUTES."""
    kept = dict(variables)
    for name in ("BAGGAGE", "OTEL_RESOURCE_ATTRIBUTES"):
        members = kept.get(name, "").split(",")
        kept[name] = ",".join([member for member in members if member.startswith("gt.")])
    return kept


def _absolute(path: str) -> str:
    if path[:1] == "/" and not {"", ".", ".."}.intersection(path[1:].split("/")):
        return path
    from os.path import abspath  # as a rule it is one already

    return abspath(path)


def write_pane(handle: RunHandle, pane: "Mapping[str, str]") -> None:
    """Write pane.json, which says where the session lives, and register its pane and name. Raises OSError."""
    documents.write(handle.directory + "/pane.json", dict(pane))
    PaneRegistry(handle.journal).register(
        handle.trace_id,
        socket=pane.get("socket", ""),
        server_pid=pane.get("server_pid", ""),
        pane=pane.get("pane", ""),
        session=handle.variables.get("GT_SESSION", ""),
        town_root=str(handle.info.get("town_root", "")),
    )


def record_start(
    handle: RunHandle,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    error: str = "",
    instantiated: bool = True,
    evidence: "Mapping[str, object] | None" = None,
) -> str:
    """Write the span session.start, its log record, and agent.instantiate; return the span's id.

    Raises OSError. The span reaches from the run's start to now unless told otherwise; `error` says why the
    session did not start. Without `instantiated` the agent's process is still to come
    (`record_instantiation`). `evidence` are attributes that say how anyone knows of it.
    """
    info = handle.info
    begin = handle.start_ns if start_ns is None else start_ns
    end = max(begin, now_ns(info) if end_ns is None else end_ns)
    known, status = evidence or {}, "error" if error else "ok"
    attributes = {**common_attributes(info), "status": status, "error": error, **known}
    cause = info.get("cause")
    foreign = isinstance(cause, dict) and cause["trace_id"] != handle.trace_id
    links: list[tuple[str, str, str, dict[str, object]]] = (
        [(cause["trace_id"], cause["span_id"], "", {})] if isinstance(cause, dict) and foreign else []
    )
    span = otlp.Span(
        trace_id=handle.trace_id,
        span_id=run.new_span_id(),
        parent_id=handle.root_span_id,
        name="session.start",
        start_ns=begin,
        end_ns=end,
        attributes={**attributes, "run.uuid": info["run_uuid"]},
        status_code=2 if error else 0,
        status_message=error,
        flags=FLAGS,
        links=links,
    )
    logs = [event_log("session.start", span, begin, span.attributes)]
    if instantiated and not error and (info.get("role") or info.get("agent_type")):  # else it is no agent
        described = {**_instantiated(info), **known}
        logs.append(plain_log("agent.instantiate", info, begin, described, span.span_id))
    write_records(handle.directory, info, [span], logs)
    return span.span_id


def record_instantiation(
    handle: RunHandle,
    *,
    issue: str = "",
    span_id: str = "",
    restart: int = 0,
    cause: "SpanContext | None" = None,
    at_ns: int | None = None,
    evidence: "Mapping[str, object] | None" = None,
) -> None:
    """Write agent.instantiate of a process that was started in a session that is there. Raises OSError.

    It was started now, unless `at_ns` says when; `evidence` are attributes that say how anyone knows.
    `issue` is the bead that it was started for, where that is another than the run's. `span_id` is the span
    that it belongs to, by default the root. A `restart`, the number of processes that the run had before, is
    a mark of its own in the trace: the span `agent.restart`, which links to its `cause`.
    """
    info, known = handle.info, evidence or {}
    now = now_ns(info) if at_ns is None else max(at_ns, handle.start_ns)
    spans = []
    if restart:
        foreign = cause is not None and cause.trace_id != handle.trace_id
        mark = otlp.Span(
            trace_id=handle.trace_id,
            span_id=run.new_span_id(),
            parent_id=handle.root_span_id,
            name=RESTART,
            start_ns=now,
            end_ns=now,
            attributes={**common_attributes(info), "restart": restart, **known},
            flags=FLAGS,
            links=[(cause.trace_id, cause.span_id, "", {})] if cause and foreign else [],
        )
        spans, span_id = [mark], mark.span_id
    attributes = {**_instantiated({**info, **({"issue_id": issue} if issue else {})}), **known}
    log = plain_log("agent.instantiate", info, now, attributes, span_id)
    write_records(handle.directory, info, spans, [log])


def _instantiated(info: "Mapping[str, object]") -> dict[str, object]:
    described = {key: info[key] for key in ("issue_id", "git_branch", "git_commit") if info.get(key)}
    return {**common_attributes(info), **described, "run.uuid": info["run_uuid"]}


def is_started(directory: str) -> bool:
    """Say whether the span session.start of a run has been written: it is among the first. Raises OSError."""
    try:
        with open(f"{directory}/traces.jsonl", "rb", buffering=0, opener=open_regular) as file:
            return b'"name":"session.start"' in file.read(_FIRST) or bool(file.read(1))
    except FileNotFoundError:
        return False
