"""What a journal holds of a town that has been played, told in the words of `real_town_expected`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from gastown_tracing.journal import reader
from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.parse import ReadLog, ReadSpan
from tests.peers.played import Played
from tests.peers.real_town_expected import OP, STEPS, STOPPED, Session, Step

Id = tuple[str, str]


class Found:
    """A journal's spans and log records, by run and by step."""

    def __init__(self, journal: Journal, played: Played) -> None:
        self.played = played
        self.runs = {
            run.trace_id: reader.read_run(journal, run.trace_id) for run in reader.list_runs(journal)
        }
        loose = reader.read_loose(journal)
        everything = [*self.runs.values(), loose]
        self.skipped = [skip for data in everything for skip in data.skipped]
        self.spans: list[ReadSpan] = [
            span for data in everything for span in [*data.spans, *data.in_progress]
        ]
        self.logs: list[ReadLog] = [log for data in everything for log in data.logs]
        self.trace_of: dict[str, str] = {}
        for trace_id in self.runs:
            self.trace_of[self._actor(trace_id)] = trace_id
        self._below: dict[Id, list[ReadSpan]] = defaultdict(list)
        for span in self.spans:
            self._below[span.trace_id, span.parent_id].append(span)
        self._tops = {step.name: self._top(step) for step in STEPS}
        self._step_of: dict[Id, tuple[str, str]] = {}
        for step in STEPS:
            for span in self.tree(step.name):
                self._step_of[span.trace_id, span.span_id] = (step.name, span.name)

    def _actor(self, trace_id: str) -> str:
        actors = Counter(
            str(span.resource.get("gt.actor", "")) for span in self.runs[trace_id].spans if span.parent_id
        )
        return actors.most_common(1)[0][0] if actors else trace_id

    def _top(self, step: Step) -> ReadSpan | None:
        """Return the span that a step's command is, None where there is none, or more than one."""
        began, ended = self.played.times[step.name]
        trace_id = self.trace_of.get(step.by, "") if step.by != OP else ""
        wanted = {key: self.played.fill(value) for key, value in step.attributes.items()}
        found = [
            span
            for span in self.spans
            if began <= span.start_ns <= ended
            and span.name == step.span
            and (span.trace_id == trace_id if trace_id else span.trace_id not in self.runs)
            and (span.parent_id == self.root(trace_id) if trace_id else not span.parent_id)
            and wanted.items() <= {key: str(value) for key, value in span.attributes.items()}.items()
        ]
        return found[0] if len(found) == 1 else None

    @staticmethod
    def root(trace_id: str) -> str:
        """Return the id of a run's root span, by the rule alone."""
        return f"{int(trace_id[16:], 16) | 1 << 63:016x}"

    def tree(self, step: str) -> Iterator[ReadSpan]:
        """Yield a step's span and every one below it in its trace."""
        top = self._tops[step]
        waiting = [top] if top else []
        while waiting:
            span = waiting.pop()
            yield span
            waiting += self._below[span.trace_id, span.span_id]

    def links(self, spans: Iterable[ReadSpan]) -> set[tuple[str, str, str]]:
        """Return (name of the span, step that it links to, name there); what is no step's as it is."""
        return {
            (span.name, *self._step_of.get((link[0], link[1]), ("?", f"{link[0]}:{link[1]}")))
            for span in spans
            for link in span.links
        }

    def step(self, step: Step) -> str:
        """Return what a step is seen to be: one line."""
        top, *below = [*self.tree(step.name)] or [None]
        if top is None:
            return line(step, "", {}, Counter(), set(), Counter())
        beneath = Counter(span.name for span in below if span.name != "bd.call")
        wanted = {key: self.played.fill(value) for key, value in step.attributes.items()}
        caused = ("prompt.send", step.name, top.name)
        told = Counter(
            actor
            for actor, trace_id in self.trace_of.items()
            for span in self._below[trace_id, self.root(trace_id)]
            if span.name == "prompt.send" and self.links([span]) == {caused}
        )
        return line(step, top.name, wanted, beneath, self.links([top, *below]), told)

    def session(self, session: Session) -> str:
        """Return what a session is seen to be: one line."""
        data = self.runs.get(self.trace_of.get(session.actor, ""))
        if data is None:
            return f"{session.name}: no run"
        starts = [span for span in data.spans if span.name == "session.start"]
        named = {(str(span.attributes["session_id"]), str(span.attributes["role"])) for span in starts}
        return described(
            sorted(named),
            len(starts),
            sum(log.event_name == "agent.instantiate" for log in data.logs),
            sorted(self.links(starts)),
            sorted(self.links(span for span in data.spans if span.name == "session.stop")),
            sum(not span.parent_id for span in data.spans),
        )

    def work(self, session: Session) -> set[tuple[str, str]]:
        """Return (bead, molecule) on all that a session's processes did after its last prime."""
        primes = [step for step in STEPS if step.by == session.actor and step.span == "prime"]
        trace_id = self.trace_of.get(session.actor, "")
        if not primes or not trace_id:
            return set()
        since = self.played.times[primes[-1].name][1]
        data = self.runs[trace_id]
        starts = {(span.trace_id, span.span_id): span.start_ns for span in data.spans}
        records = [
            *(span for span in data.spans if span.parent_id and span.start_ns > since),
            *(log for log in data.logs if starts.get((log.trace_id, log.span_id), log.time_ns) > since),
        ]
        return {
            (str(record.attributes.get("work_bead", "")), str(record.attributes.get("work_mol", "")))
            for record in records
        }


def line(  # noqa: PLR0917  # the columns of a table
    step: Step,
    span: str,
    attributes: Mapping[str, str],
    beneath: Counter[str],
    links: set[tuple[str, str, str]],
    prompts: Counter[str],
) -> str:
    """Return a step's line of the table."""
    return (
        f"{step.name}: {span} {sorted(attributes.items())} beneath {sorted(beneath.items())}"
        f" links {sorted(links)} prompts {sorted(prompts.items())}"
    )


def described(*columns: object) -> str:
    """Return a session's line of the table."""
    names = ("", "starts", "agents", "links", "stops", "roots")
    return " ".join(f"{name} {value}".strip() for name, value in zip(names, columns, strict=True))


def expected_step(step: Step, played: Played) -> str:
    """Return a step's line as it is written down."""
    wanted = {key: played.fill(value) for key, value in step.attributes.items()}
    links = {step.cause} - {("", "", "")}
    return line(step, step.span, wanted, Counter(step.beneath), links, Counter(step.prompts))


def expected_session(session: Session) -> str:
    """Return a session's line as it is written down."""
    spans = {step.name: step.span for step in STEPS}
    stop = STOPPED.get(session.actor)
    stops = [("session.stop", stop, spans[stop])] if stop else []
    starts = [("session.start", *session.started_by)]
    return described([(session.name, session.role)], 1, 1, starts, stops, len(stops))
