"""Events of the data model on their way into the journal, without the SDK: log records, and a span."""

from gastown_tracing.config import for_journal
from gastown_tracing.events import semconv
from gastown_tracing.events.outcomes import completion
from gastown_tracing.events.schema import CLIENT, CONSUMER, INTERNAL, NO_SPAN, PRODUCER
from gastown_tracing.events.values import filled
from gastown_tracing.identity import identity, resource
from gastown_tracing.journal import otlp, writer
from gastown_tracing.journal.layout import create, load_json, read_text
from propagation.run import new_run_id, to_uuid
from propagation.work import ATTRIBUTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.events.schema import Event, Value
    from gastown_tracing.shims.plan import Plan
    from propagation.work import WorkContext

#: The kinds of spans as OTLP has them.
KINDS = {
    INTERNAL: otlp.INTERNAL,
    CLIENT: otlp.CLIENT,
    PRODUCER: otlp.PRODUCER,
    CONSUMER: otlp.CONSUMER,
}


class Entry:
    """An event with all that stands on its records: `log`, and `span` unless the event is none.

    `own` are its attributes, as `values.recordable` returns them. `span_id` is the span's. `only` are
    attributes that the span alone has. `name` is the span's, where it is not the event's. One span can be
    several events (`add`): `records` are (event, its own attributes, its log record), the first one first.
    """

    __slots__ = (
        "_common",
        "_env",
        "_plan",
        "_resource",
        "directory",
        "event",
        "log",
        "own",
        "records",
        "span",
    )

    def __init__(
        self,
        event: "Event",
        own: "dict[str, Value]",
        plan: "Plan",
        *,
        start_ns: int,
        span_id: str,
        name: str = "",
        only: "Mapping[str, Value] | None" = None,
    ) -> None:
        telemetry, place = plan.telemetry, plan.resolution
        run_id, journal = place.run_id, telemetry.journal
        self.event, self._plan, self._env = event, plan, telemetry.config.env
        self.directory = journal.run_dir(run_id) if run_id else journal.loose_dir(start_ns)
        instance_id = to_uuid(new_run_id())
        self._resource = otlp.encode_resource(resource(self._env, run_id, instance_id=instance_id))
        common: dict[str, Value] = {"run.id": run_id} if run_id else {}
        common.update(identity(self._env, telemetry.town_root))
        if plan.work:
            common.update(plan.work.attributes())
        self._common = common
        self.own = filled(event, own, common)
        facts = {**common, **self.own}
        self.span = None
        if event.kind != NO_SPAN:
            self.span = otlp.Span(
                trace_id=place.trace_id,
                span_id=span_id,
                parent_id=place.parent_id,
                name=name or event.name,
                kind=KINDS[semconv.span_kind(event, own)],
                start_ns=start_ns,
                attributes={**facts, **semconv.span_attributes(event, own), **(only or {})},
                flags=place.flags,
                tracestate=place.tracestate_text,
                links=[(link.trace_id, link.span_id, "", {}) for link in place.links],
            )
        # An event that is no span belongs to the one it happened in, where there is one.
        inside = self.span is not None or place.parent_id
        self.log = otlp.Log(
            time_ns=start_ns,
            event_name=event.name,
            body=event.name,
            attributes=facts,
            trace_id=place.trace_id if inside else "",
            span_id=span_id if self.span is not None else place.parent_id,
            flags=place.flags if inside else 0,
        )
        self.records = [(event, self.own, self.log)]

    def add(self, event: "Event", own: "dict[str, Value]") -> None:
        """Let the span be another event as well: it gets that event's attributes, and that a log record."""
        own = filled(event, own, self._common)
        first = self.log
        log = otlp.Log(
            time_ns=first.time_ns,
            event_name=event.name,
            body=event.name,
            attributes={**self._common, **own},
            trace_id=first.trace_id,
            span_id=first.span_id,
            flags=first.flags,
        )
        self.records.append((event, own, log))
        if self.span is not None:
            for name, value in {**own, **semconv.span_attributes(event, own)}.items():
                self.span.attributes.setdefault(name, value)

    def tell(self, event: "Event", more: "Mapping[str, Value]") -> None:
        """Add what came to light about one of the events; what nobody asked for is left out."""
        for known, own, log in self.records:
            if known is event:
                own.update(more)
                log.attributes.update(more)
                if self.span is not None:
                    self.span.attributes.update({**more, **semconv.span_attributes(event, own)})

    def finish(self, end_ns: int, error: str = "", error_type: str = "", **results: "Value") -> None:
        """Say when it ended, and how: `error` is why it failed, "" for success.

        Of the results each record of several gets those that its event has. What cannot fail did not happen
        where the command failed, unless it is the span itself.
        """
        if error:
            self.records = [self.records[0], *[found for found in self.records[1:] if found[0].outcome]]
        span, several = self.span, len(self.records) > 1
        for event, own, log in self.records:
            said = {name: value for name, value in results.items() if not several or name in event.by_key}
            said.update(completion(event, own, self._began, end_ns))
            log.time_ns = end_ns
            if event.outcome:  # another one cannot fail, whatever its command did
                said.update({"status": "error" if error else "ok", "error": error})
            if event.outcome and error:
                log.severity_number, log.severity_text = otlp.SEVERITY_ERROR, "ERROR"
            log.attributes.update(said)
            if span is not None:
                span.attributes.update(said)
        if span is None:
            return
        span.end_ns = end_ns
        if error and self.event.outcome:
            span.status_code, span.status_message = otlp.ERROR, error
            if error_type:
                span.attributes["error.type"] = error_type

    def lines(self, *, underway: bool = False) -> tuple[bytes, bytes]:
        """Return the line of traces.jsonl, empty for an event that is no span, and that of logs.jsonl.

        `underway`: what may never happen, and cannot fail, has no record yet.
        """
        traces = otlp.spans_line(self._resource, [self.span]) if self.span is not None else b""
        logs = [log for event, _, log in self.records if log is self.log or event.outcome or not underway]
        return traces, otlp.logs_line(self._resource, logs)

    def works_on(self, work: "WorkContext") -> None:
        """Put this work on the records, in place of what stands there."""
        spans = [self.span.attributes] if self.span is not None else []
        for attributes in [*spans, *[log.attributes for _, _, log in self.records]]:
            for name in ATTRIBUTES:
                attributes.pop(name, None)
            attributes.update(work.attributes() if work else {})

    def write(self, traces: bytes, logs: bytes, work: bytes = b"") -> None:
        """Append these lines to the journal, `work` to the run's work.jsonl. Raises OSError."""
        self.make_journal()
        lines = [("work", work), ("traces", traces), ("logs", logs)]
        writer.append_all(self.directory, [(kind, line) for kind, line in lines if line])

    def make_journal(self) -> None:
        """Make the journal if there is none. Raises OSError."""
        journal = self._plan.telemetry.journal
        if not journal.exists():
            create(journal.root, for_journal(self._env))

    def _began(self, bead: str) -> int | None:
        """Return when work on a bead began, None where nobody knows.

        That is the prime that named the bead, else the run that was started for it.
        """
        from propagation.work import began

        start = began(self._plan.noted, bead)
        if start is None:
            info = load_json(read_text(f"{self.directory}/run.json") or "")
            if isinstance(info, dict) and info.get("issue_id") == bead:
                said = str(info.get("start_time_unix_nano", ""))
                start = int(said) if said.isascii() and said.isdigit() else None
        return start
