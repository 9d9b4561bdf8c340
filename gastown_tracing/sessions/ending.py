"""The end of a session: the root span, written once, whoever finds out first (design: "The root span").

close.json is the root span. It is made whole beside its place and put there by link(2): whoever is refused
with EEXIST knows that somebody else has closed the run.

A shim closes runs, so only what every interpreter has built in is used.
"""

import posix

from gastown_tracing.hooks import agents
from gastown_tracing.journal import layout, making, otlp, writer
from gastown_tracing.sessions.documents import run_info
from gastown_tracing.sessions.records import (
    FLAGS,
    common_attributes,
    event_log,
    resource_of,
    write_records,
)
from gastown_tracing.sessions.run import ROOT_NAME, RunHandle, now_ns, record_start
from gastown_tracing.sessions.stops import stop_meant
from propagation import run, work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.journal.layout import Journal
    from propagation.traceparent import SpanContext

#: Seconds to wait for somebody else who ends the same session.
PATIENCE = 15.0
_PAUSE = 0.02

#: The reasons of an end that nobody told us about.
_UNTOLD = ("exited", "lost")

#: gen_ai.provider.name by agent_type, where one agent means one provider.
PROVIDERS = {"claudecode": "anthropic", "codex": "openai", "gemini": "gcp.gemini"}


def close(
    journal: "Journal",
    trace_id: str,
    *,
    reason: str,
    end_ns: int | None = None,
    end_known: bool = True,
    exit_code: int | None = None,
    error: str = "",
    evidence: str = "",
    killer: "SpanContext | None" = None,
    stopped_by: str = "",
    stop_ns: int | None = None,
    totals: "Mapping[str, object] | None" = None,
) -> bool:
    """Close a run: write its root span and the span and log record session.stop. Raises OSError.

    Returns False when it is closed already, was never made, or the operator switched the journal off.
    `end_ns` is when the session ended (now, when None) and `stop_ns` when its stopping began, both in
    nanoseconds since the Unix epoch; without `end_known` it lived until then at least. `error` and a
    non-zero `exit_code` make it an error. `evidence` says how anyone knows. `killer` is the span that
    stopped it: a span link on session.stop when it belongs to another trace; `stopped_by` says it in words.
    `totals` are further attributes of the root span.
    """
    directory = journal.run_dir(trace_id)
    info = run_info(directory)
    if info is None or not journal.is_on() or is_closed(journal, trace_id):
        return False
    start = int(str(info["start_time_unix_nano"]))
    end = max(start, now_ns(info) if end_ns is None else end_ns)
    meant = stop_meant(directory, end) if reason in _UNTOLD else None
    if meant is not None:
        reason, stopped_by, killer, stop_ns = meant.reason, meant.by, meant.killer, meant.time_ns
    if exit_code and not error:
        error = f"exit code {exit_code}"
    outcome: dict[str, object] = {"reason": reason, "status": "error" if error else "ok", "error": error}
    if exit_code is not None:
        outcome["exit_code"] = exit_code
    if evidence:
        outcome["gastown.evidence"] = evidence
    if stopped_by:
        outcome["gastown.stopped_by"] = stopped_by
    if not end_known:
        outcome["gastown.end_time.known"] = False
    root = _root(info, start, end, {**outcome, **_conversation(journal, trace_id), **(totals or {})})
    line = otlp.spans_line(otlp.encode_resource(resource_of(info)), [root])
    if not writer.link_close(directory, line):
        return False
    outcome["duration_ms"] = (end - start) / 1e6
    _record_stop(directory, info, root, begin=min(stop_ns or end, end), outcome=outcome, killer=killer)
    return True


def not_started(handle: RunHandle, error: str) -> None:
    """Close the run of a session that could not be started, as an error."""
    try:
        record_start(handle, error=error)
        close(handle.journal, handle.trace_id, reason="not started", error=error)
    except OSError:
        return  # there is another error to tell


class alone:  # noqa: N801  # it is used as a function
    """Keep others who end the same session waiting: who ends it on purpose is first to say why.

    A file system that cannot lock keeps nobody waiting, and who holds the lock keeps nobody for ever: the run
    is closed once whatever happens here.
    """

    __slots__ = ("_descriptor", "_directory")

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._descriptor = -1

    def __enter__(self) -> None:
        try:
            self._descriptor = posix.open(self._directory, posix.O_RDONLY | posix.O_CLOEXEC)
            making.lock(self._descriptor, round(PATIENCE / _PAUSE), _PAUSE)
        except OSError:
            return

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            posix.close(self._descriptor)


def is_closed(journal: "Journal", trace_id: str) -> bool:
    """Return whether any directory of the run, open or closed, holds its root span."""
    return any(layout.path_exists(place + "/close.json") for place in journal.find_run(trace_id))


def _root(info: "Mapping[str, object]", start: int, end: int, outcome: "Mapping[str, object]") -> otlp.Span:
    agent = str(info.get("agent_type") or "")
    optional = {
        "issue_id": info.get("issue_id"),
        "git_branch": info.get("git_branch"),
        "git_commit": info.get("git_commit"),
        "gen_ai.agent.name": info.get("agent_name"),
        "gen_ai.provider.name": PROVIDERS.get(agent),
    }
    return otlp.Span(
        str(info["trace_id"]),
        str(info["root_span_id"]),
        name=str(info.get("name") or ROOT_NAME),
        start_ns=start,
        end_ns=end,
        attributes={
            **common_attributes(info),
            "run.uuid": info.get("run_uuid"),
            "session.id": info.get("session"),
            "gen_ai.operation.name": "invoke_agent",
            **{name: value for name, value in optional.items() if value},
            **outcome,
        },
        status_code=otlp.ERROR if outcome["error"] else otlp.UNSET,
        status_message=str(outcome["error"]),
        flags=FLAGS,
    )


def _conversation(journal: "Journal", trace_id: str) -> dict[str, str]:
    """Return the agent program's own session, where anybody noted it: the last one."""
    session, _ = agents.last_session(journal.find_run(trace_id))
    return {"gen_ai.conversation.id": session} if session else {}


def _record_stop(
    directory: str,
    info: "Mapping[str, object]",
    root: otlp.Span,
    *,
    begin: int,
    outcome: "Mapping[str, object]",
    killer: "SpanContext | None",
) -> None:
    lines = layout.read_text(directory + "/work.jsonl") or ""
    context = work.in_force(lines, root.end_ns)
    attributes = {**common_attributes(info), **(context.attributes() if context else {}), **outcome}
    foreign = killer is not None and killer.trace_id != root.trace_id
    span = otlp.Span(
        root.trace_id,
        run.new_span_id(),
        root.span_id,
        "session.stop",
        start_ns=max(begin, root.start_ns),
        end_ns=root.end_ns,
        attributes=attributes,
        status_code=root.status_code,
        status_message=root.status_message,
        flags=FLAGS,
        links=[(killer.trace_id, killer.span_id, "", {})] if killer and foreign else [],
    )
    write_records(directory, info, [span], [event_log("session.stop", span, root.end_ns, attributes)])
