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

    __slots__ = ("_directory", "_env", "_journal", "_marker", "_resource", "_span", "event", "own")

    def __init__(self, request: "Request", plan: "Plan", span_id: str, start_ns: int, pid: int) -> None:
        telemetry, resolution = plan.telemetry, plan.resolution
        env = telemetry.config.env
        journal = telemetry.journal
        self.event = request.event
        self.own = event_attributes(request, telemetry.config)
        self._env = env
        self._journal = journal
        run_id = resolution.run_id
        self._directory = journal.run_dir(run_id) if run_id else journal.loose_dir(start_ns)
        self._resource = otlp.encode_resource(resource(env, run_id, instance_id=to_uuid(new_run_id())))
        self._marker: writer.Marker | None = None
        common = {"run.id": run_id} if run_id else {}
        common.update(identity(env, telemetry.town_root))
        if plan.work:
            common.update(plan.work.attributes())
        self._span = otlp.Span(
            trace_id=resolution.trace_id,
            span_id=span_id,
            parent_id=resolution.parent_id,
            name=request.name or span_name(request, self.own),
            kind=_kind(request.event, self.own),
            start_ns=start_ns,
            attributes={
                **common,
                **self.own,
                **_process(request, pid),
                **_messaging(request.event, self.own),
            },
            flags=resolution.flags,
            tracestate=resolution.tracestate_text,
            links=[(link.trace_id, link.span_id, "", {}) for link in resolution.links],
        )

    def open(self) -> None:
        """Leave the mark of a call in progress. Raises OSError."""
        self._make_journal()
        self._marker = writer.Marker.open(
            self._directory, self._span.span_id, otlp.spans_line(self._resource, [self._span])
        )

    def close(self, end_ns: int, status: int) -> None:
        """Write the span and the log record of a command that ended with this wait status. Raises OSError."""
        span = self._span
        span.end_ns = end_ns
        code, failure, error_type = outcome(status)
        result = {"exit_code": code, "duration_ms": (end_ns - span.start_ns) / 1e6}
        verdict = {"status": "error" if failure else "ok", "error": failure}
        logged = {name: value for name, value in span.attributes.items() if name not in OPENTELEMETRY}
        log = otlp.Log(
            time_ns=end_ns,
            severity_number=otlp.SEVERITY_ERROR if failure else otlp.SEVERITY_INFO,
            severity_text="ERROR" if failure else "INFO",
            event_name=self.event,
            body=self.event,
            attributes={**logged, **result, **verdict},
            trace_id=span.trace_id,
            span_id=span.span_id,
            flags=span.flags,
        )
        span.attributes.update(result)
        span.attributes["process.exit.code"] = code
        span.attributes["status"] = verdict["status"]
        if failure:
            span.status_code, span.status_message = otlp.ERROR, failure
            span.attributes["error.type"] = error_type
        self._make_journal()
        writer.append(self._directory, "traces", otlp.spans_line(self._resource, [span]))
        if self._marker is not None:
            self._marker.close()
        writer.append(self._directory, "logs", otlp.logs_line(self._resource, [log]))

    def _make_journal(self) -> None:
        if not self._journal.exists():
            create(self._journal.root, for_journal(self._env))


#: OpenTelemetry's own names for facts that the event has under the data model's names; they stand on spans
#: only.
OPENTELEMETRY = (
    "process.executable.name",
    "process.pid",
    "messaging.system",
    "messaging.operation.name",
    "messaging.destination.name",
    "messaging.message.id",
    "messaging.message.conversation_id",
)


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
    from gastown_tracing.masking import command_words, mask_arguments, subcommand  # a long list of words

    if event == "git.operation":
        return {"operation": subcommand("git", arguments)[1]}
    if event == "gt.command":
        return {"command": command_words("gt", arguments)}
    whole = config.flag("GT_LOG_BD_OUTPUT")
    shown = " ".join(arguments) if whole else mask_arguments("bd", arguments)
    return {"subcommand": subcommand("bd", arguments)[1], "args": shown}


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
