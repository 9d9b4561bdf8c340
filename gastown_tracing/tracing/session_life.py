"""How a session is recorded: in the journal, or without one as spans of the SDK.

In the journal the root span is written once, by whoever ends the session. Without a journal only the process
that began it can end it.
"""

from __future__ import annotations

from errno import EACCES, EPERM
from typing import TYPE_CHECKING, Protocol

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags, get_current_span

from gastown_tracing import config
from gastown_tracing.events.recorder import record, record_span
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.identity import identity
from gastown_tracing.journal import layout
from gastown_tracing.sessions import ending, processes, records
from gastown_tracing.sessions import run as runs
from gastown_tracing.sessions.head import git_head
from gastown_tracing.sessions.start import OF_ONE_SESSION
from gastown_tracing.tracing.metering import process_totals
from gastown_tracing.tracing.otel import Run, Runtime, carried
from gastown_tracing.tracing.signals import SCOPE
from gastown_tracing.tracing.tracer import OneId
from propagation.run import new_run_id, parse_run_id, root_span_id, to_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue


class Life(Protocol):
    """A session that has begun: the run that spans inside it belong to, and how it ends."""

    run: Run
    name: str

    def runs_in(self, pid: int) -> None:
        """Say which process is the session."""

    def end(self, reason: str, exit_code: int | None, error: str, *, here: bool) -> bool:
        """Write the root span; False where it was written already. `here`: this process was the session."""


def begin(active: Runtime, wanted: Mapping[str, str]) -> Life:
    """Begin the session that `wanted` describes (the parameters of `session()`). Raises OSError."""
    run_id = parse_run_id(wanted["run_id"]) or new_run_id()
    kind = JournalLife if active.telemetry.journalled else DirectLife
    return kind(active, run_id, {**wanted, "work_dir": wanted["work_dir"] or config.working_directory()})


def end_run(active: Runtime, text: str, reason: str, exit_code: int | None, error: str) -> bool:
    """End a run of the journal by its id. Raises OSError, ValueError."""
    run_id = parse_run_id(text)
    if run_id is None:
        raise ValueError("not a run id")
    if not active.telemetry.journalled:
        raise ValueError("without a journal only the process that began a session can end it")
    return ending.close(_journal(active), run_id, reason=reason, exit_code=exit_code, error=error)


def _journal(active: Runtime) -> layout.Journal:
    """Return the journal, made if it is missing. Raises OSError where this process may not write to it."""
    journal = layout.create(active.telemetry.journal.root, config.for_journal(active.telemetry.config.env))
    if not journal.is_on():
        raise PermissionError(EPERM, "the operator switched it off", journal.root)
    if not journal.owned():
        raise PermissionError(EACCES, "the journal belongs to another user", journal.root)
    return journal


class JournalLife:
    """A session in the journal."""

    def __init__(self, active: Runtime, run_id: str, wanted: Mapping[str, str]) -> None:
        env = active.telemetry.config.env
        self._active, cause = active, _cause(active, run_id)
        handle = self._handle = runs.create_run(
            _journal(active),
            role=wanted["role"],
            name=wanted["name"],
            rig=wanted["rig"],
            issue=wanted["issue"],
            session=wanted["session"],
            agent=wanted["agent"],
            work_dir=wanted["work_dir"],
            run_id=run_id,
            env=env,
            service_name=str(active.provider.resource.attributes.get("service.name", "")),
            service_version=str(active.provider.resource.attributes.get("service.version", "")),
            cause=carried(cause) if cause else None,
        )
        self._monotonic = active.monotonic()
        runs.record_start(handle)
        self.name = handle.variables["GT_SESSION"]
        common = {name: str(value) for name, value in records.common_attributes(handle.info).items()}
        self.run = _session_run(run_id, common, handle, handle.directory)

    def runs_in(self, pid: int) -> None:
        """Write where the session lives. Raises OSError."""
        runs.write_pane(self._handle, processes.describe(pid))

    def end(self, reason: str, exit_code: int | None, error: str, *, here: bool) -> bool:
        """Write the root span and session.stop. Raises OSError."""
        return ending.close(
            _journal(self._active),
            self.run.run_id,
            reason=reason,
            exit_code=exit_code,
            error=error,
            totals=process_totals(self._active.monotonic() - self._monotonic) if here else {},
        )


class DirectLife:
    """A session without a journal: its root is a span of the SDK with the ids that the run gives it."""

    def __init__(self, active: Runtime, run_id: str, wanted: Mapping[str, str]) -> None:
        env = active.telemetry.config.env
        town_root = layout.find_town_root(env, wanted["work_dir"])
        cause = _cause(active, run_id)
        variables = {
            **runs.session_variables(
                role=wanted["role"],
                name=wanted["name"],
                rig=wanted["rig"],
                session=wanted["session"],
                agent=wanted["agent"],
                town_root=town_root,
            ),
            "GT_RUN": to_uuid(run_id),
        }
        self.name = variables["GT_SESSION"]
        self._active = active
        self._start_ns, self._monotonic = active.now(), active.monotonic()
        common = {"run.id": run_id, **identity(variables, town_root)}
        self._root = self._begin_root(run_id, common, wanted["issue"])
        # With no journal only its variables are asked for.
        handle = runs.RunHandle(layout.Journal(""), run_id, root_span_id(run_id), "", {}, variables=variables)
        self.run = _session_run(
            run_id, common, handle, "", parent=self._root, issue=wanted["issue"], start_ns=self._start_ns
        )
        self._event("session.start", {"run.uuid": to_uuid(run_id)}, [Link(cause)] if cause else [])
        self._instantiated(wanted, env)

    def runs_in(self, pid: int) -> None:
        """Do nothing: nobody but this process can tell."""

    def end(self, reason: str, exit_code: int | None, error: str, *, here: bool) -> bool:
        """End the root span and record session.stop."""
        active = self._active
        elapsed = active.monotonic() - self._monotonic
        error = error or (f"exit code {exit_code}" if exit_code else "")
        ended: dict[str, AttributeValue] = {"reason": reason}
        if exit_code is not None:
            ended["exit_code"] = exit_code
        self._event("session.stop", {**ended, "duration_ms": elapsed / 1e6}, error=error)
        outcome = {**ended, "status": "error" if error else "ok", "error": error}
        self._root.set_attributes({**outcome, **(process_totals(elapsed) if here else {})})
        if error:
            active.fail(self._root, error)
        self._root.end(self._start_ns + active.monotonic() - self._monotonic)
        return True

    def _begin_root(self, run_id: str, common: Mapping[str, str], issue: str) -> Span:
        described = {
            "run.uuid": to_uuid(run_id),
            "session.id": self.name,
            "issue_id": issue,
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": common.get("agent_name", ""),
            "gen_ai.provider.name": ending.PROVIDERS.get(common.get("agent_type", ""), ""),
        }
        known = {name: value for name, value in described.items() if value}
        provider = TracerProvider(
            ALWAYS_ON,
            self._active.provider.resource,
            shutdown_on_exit=False,
            id_generator=OneId(run_id),
        )
        provider.add_span_processor(self._active.processor)
        return provider.get_tracer(*SCOPE).start_span(
            runs.ROOT_NAME, Context(), attributes={**common, **known}, start_time=self._start_ns
        )

    def _instantiated(self, wanted: Mapping[str, str], env: Mapping[str, str]) -> None:
        told = {"issue_id": wanted["issue"], **git_head(env, wanted["work_dir"])}
        known = {name: value for name, value in told.items() if value}
        token = self._active.enter(self.run)
        try:
            record("agent.instantiate", run_uuid=to_uuid(self.run.run_id), **known)
        finally:
            self._active.detach(token)

    def _event(
        self, name: str, attributes: Mapping[str, object], links: Sequence[Link] = (), error: str = ""
    ) -> None:
        active = self._active
        token = active.enter(self.run)
        try:
            given = {"session_id": self.name, "role": self.run.identity.get("role"), **attributes}
            record_span(active, EVENTS[name], given, links=links, error=error)
        finally:
            active.detach(token)


def _session_run(  # noqa: PLR0917 # what a run is made of
    run_id: str,
    common: Mapping[str, str],
    handle: runs.RunHandle,
    directory: str,
    parent: Span | None = None,
    issue: str = "",
    start_ns: int = 0,
) -> Run:
    ids = int(run_id, 16), int(root_span_id(run_id), 16)
    root = parent or NonRecordingSpan(
        SpanContext(*ids, is_remote=False, trace_flags=TraceFlags(records.FLAGS))
    )

    def variables(env: Mapping[str, str]) -> dict[str, str | None]:
        own = runs.session_env(handle, env)
        if not directory:
            del own["GT_OTEL_JOURNAL"]
        return {**dict.fromkeys(OF_ONE_SESSION), **own}

    return Run(
        run_id,
        common,
        parent=root,
        variables=variables,
        directory=directory,
        issue=issue,
        start_ns=start_ns,
    )


def _cause(active: Runtime, run_id: str) -> SpanContext | None:
    """Return the span that leads to a session, None for none; links go to other traces only."""
    span = get_current_span().get_span_context()
    parent = active.current_run().parent
    if not span.is_valid and parent is not None:
        span = parent.get_span_context()
    return span if span.is_valid and span.trace_id != int(run_id, 16) else None
