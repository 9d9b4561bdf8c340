"""From a request's records to lines of the journal: placed, gated, written, each once."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from gastown_tracing.config import Config
from gastown_tracing.hooks.agents import is_session
from gastown_tracing.journal import writer
from gastown_tracing.journal.index import AGENTS, look
from gastown_tracing.journal.layout import Journal
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.receiver import native
from gastown_tracing.relay.receiver.attributes import set_text, texts
from gastown_tracing.relay.receiver.content import Gates, rules_of
from gastown_tracing.relay.receiver.counts import Counts
from gastown_tracing.relay.receiver.fitting import fitted, halves, points_of
from gastown_tracing.relay.receiver.lines import Head, encoded_resource, lines, room
from gastown_tracing.relay.receiver.recent import Digests, Recent
from gastown_tracing.relay.receiver.requests import LOGS, METRICS, TRACES, Group, Rejected, Signal
from gastown_tracing.relay.receiver.rerooting import RUN_KEYS, Moves, Place, named_run, place_log, place_span
from gastown_tracing.relay.receiver.rules import Rules
from gastown_tracing.relay.receiver.transcode import Json, Unusable
from gastown_tracing.relay.receiver.working import Works
from propagation.run import parse_run_id

UID = "log.record.uid"
#: Runs in one request at most: each may be a directory that has to be made.
_MOST_RUNS = 1024
_OFF = "tracing into this journal is switched off"


@dataclass(slots=True)
class _Entry:
    """A record that is ready: its JSON, and what tells that it came before."""

    data: bytes
    digest: bytes


class Intake:
    """Takes requests, one after the other. `key` makes the digests of this journal's records its own."""

    def __init__(self, journal: Journal, settings: Config, counts: Counts, key: bytes) -> None:
        self._journal = journal
        self._files = Files(journal)
        self._counts = counts
        self._recent = Recent()
        self._digests = Digests(key)
        self.gates = Gates(settings)

    def take(self, signal: Signal, groups: list[Group]) -> Rejected:
        """Write a request's records and return which were unusable. Raises OSError, where there is no room.

        What was written before an error is remembered: it is not written again when the request is.
        """
        rejected = Rejected()
        if not self._journal.is_on():
            for group in groups:
                for chunk in group.chunks(rejected):
                    self._counts.switched_off += len(chunk)
                    rejected.add(_OFF, sum(map(_items, chunk)))
            return rejected
        request = _Request(self._journal, groups)
        for group in groups:
            self._take(signal, group, request, rejected)
        self._counts.unusable += rejected.count
        self._counts.masked, self.gates.masked = self._counts.masked + self.gates.masked, 0
        return rejected

    def _take(self, signal: Signal, group: Group, request: _Request, rejected: Rejected) -> None:
        resource = request.resource(group, self._digests)
        rules = rules_of(group.scope, resource.texts)
        around = self._digests.of(resource.digest, orjson.dumps(group.scope))
        head = Head(
            resource.shown(self.gates, rules),
            self.gates.schema(group.resource_schema, rules),
            self.gates.scope(group.scope, rules),
            self.gates.schema(group.scope_schema, rules),
        ).encoded(signal)
        prepare = _Preparing(self, group, resource.texts, rules, request)
        make = {TRACES.name: prepare.span, LOGS.name: prepare.log, METRICS.name: prepare.metric}[signal.name]
        for chunk in group.chunks(rejected):
            self._counts.records[signal.name] += len(chunk)
            ready: dict[str, list[_Entry]] = {}
            for record in chunk:
                digest = request.digest(self._digests, around, orjson.dumps(record), signal is LOGS)
                if digest is None or digest in self._recent:
                    self._counts.repeated += 1
                    continue
                try:
                    place = make(record, digest)
                    if place is not None:
                        ready.setdefault(place, []).extend(self._entries(record, room(head), digest))
                except Unusable as error:
                    rejected.add(str(error), _items(record))
            for place, entries in ready.items():
                self._write(signal, place, head, entries)

    def _entries(self, record: Json, size: int, digest: bytes) -> list[_Entry]:
        """Return a record as lines have room for it: a metric with many points in parts. Raises Unusable.

        What stands for the record stands for its last part, so that one that was written in part is not
        taken for known.
        """
        data = orjson.dumps(record)
        parts = halves(record) if len(data) > size else []
        if not parts:
            return [] if digest in self._recent else [_Entry(_fit(record, data, size), digest)]
        first, last = parts
        return [
            *self._entries(first, size, self._digests.of(digest, b"first")),
            *self._entries(last, size, digest),
        ]

    def _write(self, signal: Signal, place: str, head: bytes, entries: list[_Entry]) -> None:
        """Write records to the directory of a run, of this hour, or of received metrics. Raises OSError."""
        now = time.time_ns()
        directory, kind = place or self._journal.loose_dir(now), signal.name
        if signal is METRICS:
            directory, _, kind = self._files.received_metrics(now).removesuffix(".jsonl").rpartition("/")
        written = 0
        for line, count in lines(head, [entry.data for entry in entries]):
            writer.append(directory, kind, line)
            for entry in entries[written : written + count]:
                self._recent.add(entry.digest)
            written += count
            self._counts.written[signal.name] += count

    @property
    def counts(self) -> Counts:
        """Return the counters."""
        return self._counts


def _fit(record: Json, data: bytes, size: int) -> bytes:
    """Return a record, which is `data`, as a line has room for it. Raises Unusable."""
    found = data if len(data) <= size else fitted(record, size)
    if found is None:
        raise Unusable("a record is longer than a line of the journal may be")
    return found


def _items(record: Json) -> int:
    """Return as how many a record counts where it is rejected: a metric as its points."""
    return max(1, points_of(record))


class _Resource:
    """A resource, which many groups of a request may share: its texts, and what tells that it came before."""

    def __init__(self, resource: Json, digests: Digests) -> None:
        self._resource = resource
        self._shown: dict[int, bytes] = {}
        self.texts = texts(resource)
        self.digest = digests.of(orjson.dumps(resource))

    def shown(self, gates: Gates, rules: Rules) -> bytes:
        """Return it as JSON, as the rules of a program let it pass."""
        found = self._shown.get(id(rules))
        if found is None:
            found = self._shown[id(rules)] = encoded_resource(gates.resource(self._resource, rules))
        return found


class _Request:
    """What is remembered while one request is taken."""

    def __init__(self, journal: Journal, groups: list[Group]) -> None:
        self._journal = journal
        self._known: dict[str, bool] = {}
        self._watched: dict[str, native.Watched] = {}
        self._sessions: dict[str, str] = {}
        self._runs: set[str] = set()
        self._seen: dict[bytes, int] = {}
        self._last: tuple[Json, _Resource] | None = None
        self.moves = Moves(groups)
        self.works = Works(journal)

    def resource(self, group: Group, digests: Digests) -> _Resource:
        """Return the resource of a group: those of one resource follow one another."""
        if self._last is None or self._last[0] is not group.resource:
            self._last = group.resource, _Resource(group.resource, digests)
        return self._last[1]

    def digest(self, digests: Digests, around: bytes, data: bytes, several: bool) -> bytes | None:
        """Return what stands for a record; None for one that this request holds twice.

        Where there may be `several` that are the same in everything they are told by their order, which a
        repeated request has as well.
        """
        found = digests.of(around, data)
        before = self._seen[found] = self._seen.get(found, -1) + 1
        if not before:
            return found
        return digests.of(found, str(before).encode()) if several else None

    def known(self, trace_id: str) -> bool:
        """Say whether the journal has an open run of this trace."""
        found = self._known.get(trace_id)
        if found is None:
            found = self._known[trace_id] = os.path.isdir(self._journal.run_dir(trace_id))
        return found

    def run_of(self, record: Json) -> str:
        """Return the run of the agent's own session that a record names, "" for none."""
        session = texts(record).get("session.id", "")
        found = self._sessions.get(session)
        if found is None:
            entry = look(self._journal, AGENTS, session) if is_session(session) else None
            found = self._sessions[session] = parse_run_id((entry or {}).get("run_id")) or ""
        return found

    def watched(self, run_id: str) -> native.Watched:
        """Return what is recorded of a run beside what is exported."""
        found = self._watched.get(run_id)
        if found is None:
            found = self._watched[run_id] = native.Watched(self._journal, run_id)
        return found

    def directory(self, place: Place) -> str:
        """Return the directory of a place, "" for the one of this hour. Raises Unusable."""
        if not place.run_id:
            return ""
        self._runs.add(place.run_id)
        if len(self._runs) > _MOST_RUNS:
            raise Unusable(f"more than {_MOST_RUNS} runs in one request")
        return self._journal.run_dir(place.run_id)


class _Preparing:
    """Makes the records of a group ready: returns the directory of each, None for one that is dropped."""

    def __init__(
        self, intake: Intake, group: Group, resource: Mapping[str, str], rules: Rules, request: _Request
    ) -> None:
        self._gates = intake.gates
        self._counts = intake.counts
        self._group = group
        self._resource = resource
        self._rules = rules
        self._request = request
        self._run = named_run(resource)

    def span(self, span: Json, _: bytes) -> str | None:
        """Make a span ready. Raises Unusable."""
        run = self._run_of(span)
        self._gates.span(span, self._rules)
        return self._placed(span, place_span(span, run, self._request.known, self._request.moves))

    def log(self, record: Json, digest: bytes) -> str | None:
        """Make a log record ready. Raises Unusable."""
        ours, run = native.is_gt(self._group.scope), self._run_of(record)
        if ours:
            name = native.event_name(record)
            if native.recorded_by_us(record, self._resource, self._request.watched):
                self._counts.dropped[name] += 1
                return None
            if native.closed_gate(name, self._gates.settings):
                self._counts.gated[name] += 1
                return None
        if not ours or not native.normalised(record, self._resource, self._gates.settings):
            self._gates.log(record, self._rules)
        resource = {**self._resource, **({RUN_KEYS[0]: run} if run else {})}
        place = place_log(record, resource, self._request.known)
        if place.run_id and not native.names_run(record):
            set_text(record, "run.id", place.run_id)
        if UID not in texts(record):
            set_text(record, UID, digest.hex())
        return self._placed(record, place)

    def metric(self, metric: Json, _: bytes) -> str | None:
        """Make a metric ready."""
        if native.is_derived(str(metric.get("name", "")), self._group.scope):
            self._counts.native_metrics += 1
            return None
        return "" if self._gates.metric(metric, self._rules) else None

    def _run_of(self, record: Json) -> str:
        """Return the run that a record is of.

        gt gives Claude Code a resource of its own where its exporter is on, with no run in it and with a
        prompt that makes Claude Code drop the whole: then it is the session that says it.
        """
        return self._run or self._request.run_of(record)

    def _placed(self, record: Json, place: Place) -> str:
        directory = self._request.directory(place)
        if not place.run_id:
            self._counts.loose += 1
            return directory
        self._request.works.put(record, place.run_id)
        if place.moved:
            self._counts.rerooted += 1
        return directory
