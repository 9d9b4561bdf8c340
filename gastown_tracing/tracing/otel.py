"""What traces while telemetry is on: the SDK, the run in force, and OpenTelemetry's Context ↔ propagation.

Only `init()` and the testing kit load this module, because it loads the SDK.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from opentelemetry import baggage as otel_baggage
from opentelemetry.context import Context, attach, create_key, detach, get_current, set_value
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)

from gastown_tracing import identity as who
from gastown_tracing import members
from gastown_tracing.journal.index import note_bead
from gastown_tracing.journal.layout import PaneRegistry, load_json, read_text
from gastown_tracing.journal.writer import append
from gastown_tracing.tracing import forking
from gastown_tracing.tracing.operation import clean
from gastown_tracing.tracing.outlet import Outlet, random_uid
from gastown_tracing.tracing.signals import SCOPE
from gastown_tracing.tracing.tracer import sdk_tracer
from gastown_tracing.tracing.underway import BdUnderway, Underway
from gastown_tracing.tracing.worklog import WorkLog
from propagation import environ, work
from propagation.rules import resolve
from propagation.run import parse_run_id, root_span_id, to_uuid
from propagation.traceparent import RANDOM, SAMPLED, PropagationError
from propagation.traceparent import SpanContext as CarriedSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextvars import Token

    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    from gastown_tracing.config import Telemetry
    from gastown_tracing.tracing.signals import Signals

#: Lines that `Provider.errors` keeps.
ERRORS_KEPT = 100
#: Runs whose work is remembered beside the process's own.
RUNS_REMEMBERED = 256

_RUN = create_key("gastown_tracing.run")
#: With an event's name behind it: the innermost call of that event.
_CALL = create_key("gastown_tracing.call.")
#: The API's key of the current span.
(_SPAN,) = set_span_in_context(INVALID_SPAN, Context())


class Run:
    """The run that spans begin in, or the place outside any: what they carry and where they hang.

    `run_id` is "" outside a run. `identity` says who acts. `parent` is what a span without a current one
    hangs on, None for nothing, and `links` is what a span right below it is linked to. `flags` and
    `tracestate` go on to children, None for the span's own. `variables` returns what changes in a child's
    environment because the session is not the process's own; None removes one. `directory` is the run's in
    the journal, "" for none, `works` what it works on. `issue` is the bead that the run was started for, at
    `start_ns`, as far as the journal does not say so.
    """

    __slots__ = (
        "_common",
        "_shown",
        "_started",
        "directory",
        "flags",
        "identity",
        "links",
        "outermost",
        "parent",
        "run_id",
        "silent",
        "trace_id",
        "tracestate",
        "variables",
        "works",
    )

    def __init__(
        self,
        run_id: str,
        identity: Mapping[str, str],
        *,
        trace_id: str = "",
        parent: Span | None = None,
        links: Sequence[Link] = (),
        flags: int | None = None,
        tracestate: tuple[tuple[str, str], ...] = (),
        variables: Callable[[Mapping[str, str]], Mapping[str, str | None]] | None = None,
        directory: str = "",
        works: WorkLog | None = None,
        issue: str = "",
        start_ns: int = 0,
    ) -> None:
        self.run_id = run_id
        self.trace_id = trace_id or run_id
        self.parent = parent
        self.outermost = set_span_in_context(parent, Context()) if parent else Context()
        self.links = tuple(links)
        self.flags = flags
        self.tracestate = tracestate
        self.variables = variables
        self.directory = directory
        self.identity = {name: clean(value) for name, value in identity.items()}
        #: Whether whoever called this process asked, outside any run, for nothing to be recorded.
        self.silent = not (run_id or parent is None or parent.get_span_context().trace_flags.sampled)
        self.works = works or WorkLog(directory)
        self._shown = work.WorkContext()
        self._common = self._carrying(self._shown)
        self._started = issue, start_ns

    def common(self) -> dict[str, str]:
        """Return what every record carries: run.id, the identity, the work in force. Not to be modified."""
        now = self.works.now()
        if now is not self._shown:
            self._common, self._shown = self._carrying(now), now
        return self._common

    def common_at(self, time_ns: int) -> dict[str, str]:
        """Return the same for a record that began at `time_ns`."""
        return self._carrying(self.works.at(time_ns))

    def began(self, bead: str) -> int | None:
        """Return when the run began to work on a bead, in nanoseconds of the Unix epoch; None for unknown.

        That is when it was primed with the bead, else when the run began, if it was started for that bead.
        """
        began = self.works.began(bead)
        if began is None and bead:
            issue, start_ns = self._started if self._started[0] else self._read_start()
            began = start_ns if issue == bead and start_ns else None
        return began

    def _carrying(self, now: work.WorkContext) -> dict[str, str]:
        named = {"run.id": self.run_id} if self.run_id else {}
        return {**named, **self.identity, **(now.attributes() if now else {})}

    def _read_start(self) -> tuple[str, int]:
        info = load_json((self.directory and read_text(f"{self.directory}/run.json")) or "")
        if not isinstance(info, dict):
            return "", 0
        start = str(info.get("start_time_unix_nano", ""))
        return str(info.get("issue_id") or ""), int(start) if start.isdecimal() else 0


class ProcessEnv:
    """What `set_process_env()` changed in `os.environ`, and what was there before."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[str, str | None]] = {}

    def update(self, wanted: Mapping[str, str]) -> None:
        """Set the variables that differ from the environment's."""
        for name, value in wanted.items():
            now = os.environ.get(name)
            if now != value:
                first = self._before.get(name, ("", now))[1]
                self._before[name] = (value, first)
                os.environ[name] = value

    def undo(self) -> None:
        """Put back what was there; a variable that somebody else has set since is theirs and stays."""
        for name, (ours, before) in self._before.items():
            if os.environ.get(name) == ours:
                if before is None:
                    del os.environ[name]
                else:
                    os.environ[name] = before
        self._before.clear()


class Notes:
    """What went wrong, a line each: the last 100 in `lines`, and with `aloud` (GT_OTEL_DEBUG) on stderr."""

    def __init__(self, lines: list[str], aloud: bool) -> None:
        self.lines = lines
        self._aloud = aloud

    def add(self, text: str) -> None:
        """Keep a line. Never raises."""
        line = " ".join(text.split())
        self.lines.append(line)
        del self.lines[:-ERRORS_KEPT]
        if self._aloud and sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):  # nobody listens
                sys.stderr.write(f"gastown-tracing: {line}\n")


class Runtime:
    """Telemetry that is on: begins spans in the right place and hands their context to children."""

    def __init__(
        self,
        telemetry: Telemetry,
        run: Run,
        notes: Notes,
        *,
        now: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.perf_counter_ns,
        new_uid: Callable[[], str] = random_uid,
    ) -> None:
        self.settings = telemetry.config
        self.telemetry = telemetry
        self.run = run
        self.now = now
        self.monotonic = monotonic
        self.process_env = ProcessEnv()
        self.note = notes.add
        self.attach = attach
        self.detach = detach
        self.get_current = get_current
        self.within = set_span_in_context
        self.shows_bd_output = self.settings.flag("GT_LOG_BD_OUTPUT")
        self.kinds = {kind.name.lower(): kind for kind in SpanKind}
        self.underway = Underway
        self.bd_underway = BdUnderway
        self.worker = worker
        #: How often this process was forked from another since telemetry is on.
        self.forks = 0
        self._new_uid = new_uid
        # The work of runs by their id, for those that are entered again and again; the oldest goes first.
        self._works: dict[str, WorkLog] = {run.run_id: run.works}
        forking.tell(self)

    def use(self, provider: TracerProvider, processor: SpanProcessor, signals: Signals) -> None:
        """Begin spans with this provider; `processor` takes what has ended, a run's root among it.

        `signals` is where log records and measurements go.
        """
        self.provider = provider
        self.processor = processor
        self.signals = signals
        self.outlet = Outlet(signals, self._new_uid)
        self.tracer = sdk_tracer(provider, *SCOPE)

    def current_run(self, context: Context | None = None) -> Run:
        """Return the run that a span begun in `context`, by default the current one, belongs to."""
        found = (get_current() if context is None else context).get(_RUN)
        return found if isinstance(found, Run) else self.run

    def within_call(self, span: Span, context: Context, call: Underway) -> Context:
        """Return `context` with a call and its span as the current ones: one copy for both."""
        return Context(context, **{_SPAN: span, _CALL + call.event.name: call})

    def open_call(self, name: str) -> Underway | None:
        """Return the innermost call of an event that was begun around here; it may have ended since."""
        found: Underway | None = get_current().get(_CALL + name)  # type: ignore[assignment] # ours alone
        return found

    def placed(self, context: Context, links: Sequence[Link]) -> tuple[Run, Context, Sequence[Link]]:
        """Return the run of what begins in `context`, the context that it begins in, and its links."""
        run: Run = context.get(_RUN, self.run)  # type: ignore[assignment] # the key is ours alone
        parent = run.parent
        if parent is None:
            return run, context, links
        if not context:  # the usual case of no current span, without a look and a copy
            return run, run.outermost, (*links, *run.links)
        current = get_current_span(context)
        if current is parent:
            return run, context, (*links, *run.links)
        if not current.get_span_context().is_valid:
            return run, set_span_in_context(parent, context), (*links, *run.links)
        return run, context, links

    def fail(self, span: Span, description: str) -> None:
        """Give a span the status ERROR."""
        span.set_status(Status(StatusCode.ERROR, description))

    def set_work(self, run: Run, found: work.WorkContext, time_ns: int) -> None:
        """Make `found` the work of a run from `time_ns` on, with a journal in all its processes."""
        line, journal = run.works.take(found, time_ns), self.telemetry.journal
        if run.directory and journal.is_on() and journal.owned():
            try:
                append(run.directory, "work", line.encode())
            except OSError as error:
                self.note(f"the work context is not written: {error}")

    def note_bead(self, bead_id: str, where: Context) -> None:
        """Let other traces know the span that is current in `where` as the one that made a bead."""
        journal, span = self.telemetry.journal, get_current_span(where).get_span_context()
        if span.is_valid and self.telemetry.journalled and journal.is_on() and journal.owned():
            try:
                note_bead(journal, bead_id, f"{span.trace_id:032x}", f"{span.span_id:016x}")
            except OSError as error:
                self.note(f"the bead {bead_id} is not in the index: {error}")

    def enter(self, run: Run) -> Token[Context]:
        """Make `run` the one in force, with its parent as the current span; `detach` ends that."""
        self._remember(run.run_id, run.works)
        context = set_value(_RUN, run)
        return attach(set_span_in_context(run.parent, context) if run.parent else context)

    def enter_run(self, text: str) -> Token[Context] | None:
        """Make the run of this id the one in force; None when the text is no run id.

        What begins right below its root is linked to the span that is current now, which caused it.
        """
        run_id = parse_run_id(text)
        if run_id is None:
            self.note(f"with_run_id: not a run id: {text!r}")
            return None
        cause = get_current_span().get_span_context()
        directory = self.directory(run_id)
        return self.enter(
            Run(
                run_id,
                self.run.identity,
                parent=remote_span(run_id, root_span_id(run_id), SAMPLED | RANDOM),
                links=[Link(cause)] if cause.is_valid and cause.trace_id != int(run_id, 16) else (),
                variables=lambda _: {**dict.fromkeys(work.WorkContext().to_env()), "GT_RUN": to_uuid(run_id)},
                directory=directory,
                works=self._works.get(run_id) or WorkLog(directory),
            )
        )

    def _remember(self, run_id: str, works: WorkLog) -> None:
        self._works.pop(run_id, None)
        self._works[run_id] = works
        if len(self._works) > RUNS_REMEMBERED:
            self._works.pop(next(iter(self._works)), None)

    def after_fork(self) -> None:
        """Leave the calls under way to the parent, to end and to record."""
        self.forks += 1

    def directory(self, run_id: str) -> str:
        """Return the run's directory in the journal, "" when there is no journal."""
        return self.telemetry.journal.run_dir(run_id) if self.telemetry.journalled else ""

    def child_env(self, env: dict[str, str]) -> dict[str, str]:
        """Return `env` with the current span's context, for a child. Raises PropagationError."""
        run = self.current_run()
        parent = self._parent_of_children(run)
        if parent is None:
            return env
        for name, value in (run.variables(env) if run.variables else {}).items():
            if value is None:
                env.pop(name, None)
            else:
                env[name] = value
        ours = members.for_children(env, run.run_id or None, run.works.now())
        theirs = {name: str(value) for name, value in otel_baggage.get_all().items()}
        try:
            return environ.child_env(env, parent, baggage={**theirs, **ours}, resource=ours)
        except PropagationError as error:
            if not theirs:
                raise
            self.note(f"the program's baggage is left out: {error}")
            return environ.child_env(env, parent, baggage=ours, resource=ours)

    def _parent_of_children(self, run: Run) -> CarriedSpan | None:
        span = get_current_span().get_span_context()
        if not span.is_valid and run.parent is not None:
            span = run.parent.get_span_context()
        if not span.is_valid:
            return None
        parent = carried(span)
        if run.flags is not None and parent.trace_id == run.trace_id:
            # Inside a run what came in goes on as it came, the sampled flag included.
            parent.flags, parent.tracestate = run.flags, run.tracestate
        return parent


def worker() -> object:
    """Return who runs this code: the task of asyncio, outside of any the thread's number."""
    loop = asyncio._get_running_loop()  # noqa: SLF001 # exported for tools; the other way raises without a loop
    return (asyncio.current_task(loop) if loop else None) or threading.get_ident()


def carried(span: SpanContext) -> CarriedSpan:
    """Return a span's context as it goes to another process."""
    state = tuple(span.trace_state.items())
    return CarriedSpan(f"{span.trace_id:032x}", f"{span.span_id:016x}", int(span.trace_flags), state)


def process_run(telemetry: Telemetry) -> tuple[Run, list[str]]:
    """Return the run that this process was started in, by the rules of context, and what they ignored."""
    env, journal = telemetry.config.env, telemetry.journal
    found = resolve(env, PaneRegistry(journal))
    flags = found.flags | SAMPLED if found.sampled else found.flags
    parent = (
        remote_span(found.trace_id, found.parent_id, flags, found.tracestate) if found.parent_id else None
    )
    directory = journal.run_dir(found.run_id) if telemetry.journalled and found.run_id else ""
    run = Run(
        found.run_id or "",
        who.identity(env, telemetry.town_root),
        trace_id=found.trace_id,
        parent=parent,
        links=[_link(linked) for linked in found.links],
        flags=found.flags if found.run_id else None,
        tracestate=found.tracestate,
        directory=directory,
        works=WorkLog(directory, work.WorkContext.from_env(env)),
    )
    return run, found.notes


def remote_span(
    trace_id: str, span_id: str, flags: int, tracestate: tuple[tuple[str, str], ...] = ()
) -> NonRecordingSpan:
    """Return the span of another process, as a parent."""
    state = TraceState(tracestate)
    return NonRecordingSpan(SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(flags), state))


def _link(carried: CarriedSpan) -> Link:
    span = remote_span(carried.trace_id, carried.span_id, carried.flags, carried.tracestate)
    return Link(span.get_span_context())
