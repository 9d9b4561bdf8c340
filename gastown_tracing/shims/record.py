"""The record of one command: its span and its log record, written to the journal when the command has ended.

Loaded only once the command runs. While it runs, a marker holds the span so far.
"""

import posix

from gastown_tracing.config import for_journal
from gastown_tracing.identity import identity, resource
from gastown_tracing.journal import otlp, writer
from gastown_tracing.journal.layout import create
from gastown_tracing.shims.child import signal_name
from gastown_tracing.shims.exec import CONSUMER, EVENTS, PRODUCER
from propagation.run import new_run_id, to_uuid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gastown_tracing.config import Config
    from gastown_tracing.shims.exec import Plan, Request

#: Attributes that are no text, by name (the data model's "Types").
FLAGS = ("hook_mode", "has_hook_bead", "digest_created")
NUMBERS = (
    "keys_len",
    "debounce_ms",
    "done_steps",
    "total_steps",
    "children_closed",
    "stale_count",
    "restart_count",
)


class Record:
    """One command on its way into the journal."""

    __slots__ = ("_directory", "_env", "_journal", "_log", "_marker", "_resource", "_span")

    def __init__(self, request: "Request", plan: "Plan", span_id: str, start_ns: int, pid: int) -> None:
        telemetry, resolution = plan.telemetry, plan.resolution
        self._env = telemetry.config.env
        self._journal = telemetry.journal
        run_id = resolution.run_id
        self._directory = self._journal.run_dir(run_id) if run_id else self._journal.loose_dir(start_ns)
        instance_id = to_uuid(new_run_id())
        self._resource = otlp.encode_resource(resource(self._env, run_id, instance_id=instance_id))
        self._marker: writer.Marker | None = None
        own = event_attributes(request, telemetry.config)
        facts: dict[str, str | int | bool] = {"run.id": run_id} if run_id else {}
        facts.update(identity(self._env, telemetry.town_root))
        if plan.work:
            facts.update(plan.work.attributes())
        facts.update(own)
        self._span = otlp.Span(
            trace_id=resolution.trace_id,
            span_id=span_id,
            parent_id=resolution.parent_id,
            name=request.name or span_name(request, own),
            kind=_kind(request.event, own),
            start_ns=start_ns,
            attributes={**facts, **_process(request, pid), **_messaging(request.event, own)},
            flags=resolution.flags,
            tracestate=resolution.tracestate_text,
            links=[(link.trace_id, link.span_id, "", {}) for link in resolution.links],
        )
        self._log = otlp.Log(
            time_ns=start_ns,
            event_name=request.event,
            body=request.event,
            attributes=facts,
            trace_id=resolution.trace_id,
            span_id=span_id,
            flags=resolution.flags,
        )

    def open(self) -> None:
        """Leave the mark of a call in progress: its span and log record so far. Raises OSError."""
        self._make_journal()
        self._marker = writer.Marker.open(self._directory, self._span.span_id, b"".join(self._lines()))

    def close(self, end_ns: int, status: int) -> None:
        """Write the span and the log record of a command that ended with this wait status.

        Where there is no room for them they stay in the mark, if there is one, until somebody sweeps. Raises
        OSError.
        """
        self._finish(end_ns, status)
        traces, logs = self._lines()
        try:
            self._make_journal()
            writer.append(self._directory, "traces", traces)
            writer.append(self._directory, "logs", logs)
        except OSError:
            if self._marker is not None:
                self._marker.leave(traces + logs)
            raise
        if self._marker is not None:
            self._marker.close()

    def _finish(self, end_ns: int, status: int) -> None:
        span, log = self._span, self._log
        span.end_ns = log.time_ns = end_ns
        code, failure, error_type = outcome(status)
        result = {"exit_code": code, "duration_ms": (end_ns - span.start_ns) / 1e6}
        verdict = "error" if failure else "ok"
        log.attributes = {**log.attributes, **result, "status": verdict, "error": failure}
        span.attributes.update({**result, "process.exit.code": code, "status": verdict})
        if failure:
            log.severity_number, log.severity_text = otlp.SEVERITY_ERROR, "ERROR"
            span.status_code, span.status_message = otlp.ERROR, failure
            span.attributes["error.type"] = error_type

    def _lines(self) -> tuple[bytes, bytes]:
        return (
            otlp.spans_line(self._resource, [self._span]),
            otlp.logs_line(self._resource, [self._log]),
        )

    def _make_journal(self) -> None:
        if not self._journal.exists():
            create(self._journal.root, for_journal(self._env))


def outcome(status: int) -> tuple[int, str, str]:
    """Return (exit code, error, error.type) of a wait status; both texts are empty for success."""
    if posix.WIFSIGNALED(status):
        name = signal_name(posix.WTERMSIG(status))
        return 128 + posix.WTERMSIG(status), f"killed by {name}", name
    code = posix.WEXITSTATUS(status)
    return (code, f"exit code {code}", str(code)) if code else (0, "", "")


def event_attributes(request: "Request", config: "Config") -> dict[str, str | int | bool]:
    """Return the attributes that the event has before its command ends: from the command line, then as given.

    bd's arguments stand there as they are with GT_LOG_BD_OUTPUT only, else with nothing that is content.
    """
    words = [argument.decode("utf-8", "replace") for argument in request.argv]
    found: dict[str, str | int | bool] = {}
    if request.event == "exec":
        found["name"] = request.name or words[0].rpartition("/")[2]
    elif request.event in ("bd.call", "git.operation", "gt.command"):
        found.update(_from_command_line(request.event, words[1:], config))
    found.update({name: _typed(name, text) for name, text in request.attributes.items()})
    return {name: value for name, value in found.items() if value != ""}


def _from_command_line(event: str, arguments: list[str], config: "Config") -> dict[str, str]:
    from gastown_tracing.masking import command_words, masked, subcommand  # a long list of words

    if event == "git.operation":
        return {"operation": subcommand("git", arguments)[1]}
    if event == "gt.command":
        return {"command": command_words("gt", arguments)}
    name, shown = masked("bd", arguments)
    return {"subcommand": name, "args": " ".join(arguments) if config.flag("GT_LOG_BD_OUTPUT") else shown}


def _typed(name: str, text: str) -> str | int | bool:
    if name in FLAGS:
        return text.strip().lower() in ("true", "1")
    return int(text) if name in NUMBERS and text.isascii() and text.isdigit() else text


def span_name(request: "Request", own: dict[str, str | int | bool]) -> str:
    """Return the span's name: the event's, but for `exec` that of the command."""
    return str(own["name"]) if request.event == "exec" else request.event


def _kind(event: str, own: dict[str, str | int | bool]) -> int:
    if event == "mail":
        return {"send": PRODUCER, "read": CONSUMER}.get(str(own.get("operation", "")), EVENTS[event])
    return EVENTS[event]


def _process(request: "Request", pid: int) -> dict[str, str | int]:
    name = request.argv[0].rpartition(b"/")[2].decode("utf-8", "replace")
    # A command that could not be run has no process id: absent, never 0.
    return {"process.executable.name": name, **({"process.pid": pid} if pid else {})}


def _messaging(event: str, own: dict[str, str | int | bool]) -> dict[str, str]:
    """Return OpenTelemetry's messaging attributes of a mail."""
    if event != "mail":
        return {}
    names = {
        "messaging.operation.name": "operation",
        "messaging.destination.name": "msg.to",
        "messaging.message.id": "msg.id",
        "messaging.message.conversation_id": "msg.thread_id",
    }
    found = {theirs: str(own[ours]) for theirs, ours in names.items() if own.get(ours)}
    return {"messaging.system": "gastown", **found}
