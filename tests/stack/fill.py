"""A small town's telemetry as OTLP protobuf, built from the data model: what the stack's queries run against.

Two agents, ten minutes: the mayor, who slung the work, and the polecat Toast, who did it, and whose session
`gt-trace session start` began: without BD_ACTOR it has no gt.actor. Every event is there once that it
succeeds and, where it can, once that it fails; every metric has a point each half minute.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE, ScopeMetrics, Sum
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge as GaugeData
from opentelemetry.proto.metrics.v1.metrics_pb2 import Histogram as HistogramData
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gastown_tracing.events.commands import DURATIONS
from gastown_tracing.events.metrics import METRICS
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.schema import (
    CLIENT,
    COUNTER,
    FLAG,
    FLOAT,
    GAUGE,
    HISTOGRAM,
    INTEGER,
    INTERNAL,
    Attribute,
    Event,
    Metric,
)
from propagation.run import root_span_id, to_uuid

Value = str | bool | int | float

#: How long the town has worked, and how often its metrics were exported, in seconds.
LASTED, INTERVAL = 600, 30
SECOND = 1_000_000_000

MAYOR_RUN, TOAST_RUN = "1b4e28ba2fa141d2883f0016d3cca427", "3f2504e04f8941d39a0c0305e82c3301"
#: The mayor's span that made the polecat: Toast's session links to it.
SLING = "c0ffee0000000002"

_COMMON: dict[str, Value] = {"instance": "laptop:gt", "town_root": "/home/pa/gt", "agent_type": "claudecode"}
_WORK: dict[str, Value] = {"work_rig": "gastown", "work_bead": "sg-05iq", "work_mol": "sg-mol-7"}


@dataclass(frozen=True)
class Agent:
    """One agent: its run, its session, and what stands on its resource and its records."""

    run: str
    resource: Mapping[str, str]
    record: Mapping[str, Value]


MAYOR = Agent(
    MAYOR_RUN,
    {"gt.role": "mayor", "gt.actor": "mayor", "gt.session": "hq-mayor", "gt.run_id": MAYOR_RUN},
    {**_COMMON, "role": "mayor", "agent_name": "mayor", "session_id": "hq-mayor", "rig": ""},
)
TOAST = Agent(
    TOAST_RUN,
    {
        "gt.role": "gastown/polecats/Toast",
        "gt.rig": "gastown",
        "gt.agent": "Toast",
        "gt.session": "gt-gastown-Toast",
        "gt.run_id": TOAST_RUN,
        "gt.work_bead": "sg-05iq",
    },
    {
        **_COMMON,
        **_WORK,
        "role": "polecat",
        "agent_name": "Toast",
        "session_id": "gt-gastown-Toast",
        "rig": "gastown",
    },
)
AGENTS = (MAYOR, TOAST)

#: What an attribute or a label says where its name alone does not tell.
_SAMPLES: dict[str, Value] = {
    "subcommand": "update",
    "args": "update sg-05iq --claim --json",
    "new_state": "working",
    "operation": "send",
    "model": "claude-sonnet-4-5",
    "type": "output",
    "reason": "done",
    "exit_type": "COMPLETED",
    "event_type": "text",
    "work_type": "task",
    "endpoint": "traces",
    "path": "/home/pa/gt",
    "direction": "read",
    "probe": "refinery",
    "state": "used",
    "phase": "start",
    "generation": "2",
    "result": "dispatched",
    "formula": "mol-polecat-work",
    "formula_name": "mol-polecat-work",
    "hook_mode": True,
    "cost_usd": 0.04,
    "msg.id": "hq-msg-1",
    "msg.thread_id": "thread-1",
    "msg.from": "mayor/",
    "msg.to": "gastown/polecats/Toast",
    "to_state": "patrol",
}


def _sample(attribute: Attribute) -> Value:
    if attribute.values:
        return attribute.values[0]
    by_type: dict[str, Value] = {INTEGER: 3, FLOAT: 42.5, FLAG: True}
    return _SAMPLES.get(attribute.name, by_type.get(attribute.type, f"a {attribute.name}"))


def _any(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=value)


def _attributes(values: Mapping[str, Value]) -> Iterator[KeyValue]:
    return (KeyValue(key=name, value=_any(value)) for name, value in values.items())


def _resource(agent: Agent, service: str = "gastown") -> Iterator[KeyValue]:
    fixed: dict[str, Value] = {"service.name": service, "service.version": "0.1.0", "host.name": "laptop"}
    return _attributes({**fixed, "service.instance.id": agent.run, **agent.resource})


# --- log records and spans


@dataclass(frozen=True)
class Recorded:
    """One event as it happened: when it ended (ns), how, and the ids of its span."""

    event: Event
    agent: Agent
    end_ns: int
    failed: bool
    span_id: str

    @property
    def attributes(self) -> dict[str, Value]:
        """Return what stands on its log record and on its span."""
        outcome = (
            {"status": "error", "error": "exit code 1"} if self.failed else {"status": "ok", "error": ""}
        )
        own = {found.name: _sample(found) for found in self.event.attributes if not found.default}
        identity = {**self.agent.record, "run.id": self.agent.run}
        if any(found.name == "run.uuid" for found in self.event.attributes):
            own["run.uuid"] = to_uuid(self.agent.run)
        own = {name: value for name, value in own.items() if name not in identity or name == "agent_type"}
        if self.event.name == "agent.event":
            own["role"] = "assistant"
        return {**identity, **own, **(outcome if self.event.outcome else {})}


def recorded(now_ns: int) -> list[Recorded]:
    """Return what happened in the last ten minutes, oldest first."""
    kinds = [(event, failed) for event in EVENTS.values() for failed in (False, True)[: 1 + event.outcome]]
    step = LASTED * SECOND // len(kinds)
    return [
        Recorded(
            event, agent, now_ns - LASTED * SECOND + number * step, failed, _span_id(event, agent, number)
        )
        for number, (event, failed) in enumerate(kinds)
        for agent in AGENTS
    ]


def _span_id(event: Event, agent: Agent, number: int) -> str:
    if event.name == "sling" and agent is MAYOR and not number % 2:
        return SLING
    return f"a{AGENTS.index(agent)}{number:014x}"


def logs(now_ns: int) -> ExportLogsServiceRequest:
    """Return the log records."""
    request = ExportLogsServiceRequest()
    for agent in AGENTS:
        scope = request.resource_logs.add(resource={"attributes": _resource(agent)}).scope_logs.add()
        scope.scope.name = "gastown_tracing"
        for one in recorded(now_ns):
            if one.agent is agent:
                scope.log_records.add(
                    time_unix_nano=one.end_ns,
                    severity_number=17 if one.failed else 9,
                    severity_text="ERROR" if one.failed else "INFO",
                    body=AnyValue(string_value=one.event.name),
                    event_name=one.event.name,
                    attributes=_attributes({**one.attributes, "log.record.uid": uuid.uuid4().hex}),
                    trace_id=bytes.fromhex(agent.run),
                    span_id=bytes.fromhex(one.span_id),
                )
    return request


_KINDS = {INTERNAL: Span.SPAN_KIND_INTERNAL, CLIENT: Span.SPAN_KIND_CLIENT}


def traces(now_ns: int, roots: bool = True) -> ExportTraceServiceRequest:
    """Return the spans; without `roots`, as they are while the sessions live."""
    request = ExportTraceServiceRequest()
    for agent in AGENTS:
        scope = request.resource_spans.add(resource={"attributes": _resource(agent)}).scope_spans.add()
        scope.scope.name = "gastown_tracing"
        scope.spans.extend(_span(one) for one in recorded(now_ns) if one.agent is agent and one.event.is_span)
        if roots:
            scope.spans.append(_root(agent, now_ns))
    return request


def _span(one: Recorded) -> Span:
    span = Span(
        trace_id=bytes.fromhex(one.agent.run),
        span_id=bytes.fromhex(one.span_id),
        parent_span_id=bytes.fromhex(root_span_id(one.agent.run)),
        name=one.event.name,
        kind=_KINDS[one.event.kind],
        start_time_unix_nano=one.end_ns - 42_500_000,
        end_time_unix_nano=one.end_ns,
        attributes=_attributes(one.attributes),
        status=Status(code=Status.STATUS_CODE_ERROR) if one.failed else None,
    )
    if one.event.name == "session.start" and one.agent is TOAST:
        span.links.add(trace_id=bytes.fromhex(MAYOR_RUN), span_id=bytes.fromhex(SLING))
    return span


def _root(agent: Agent, now_ns: int) -> Span:
    return Span(
        trace_id=bytes.fromhex(agent.run),
        span_id=bytes.fromhex(root_span_id(agent.run)),
        name="gt.session",
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=now_ns - LASTED * SECOND,
        end_time_unix_nano=now_ns,
        attributes=_attributes(
            {**agent.record, "run.id": agent.run, "gen_ai.operation.name": "invoke_agent"}
        ),
    )


# --- metrics


@dataclass(frozen=True)
class Foreign:
    """A metric that bd or Claude Code exports: its kind, unit and labels, as they send it."""

    name: str
    kind: str
    unit: str = ""
    labels: tuple[str, ...] = ()


BD = (
    Foreign("bd.storage.operations", COUNTER, "", ("db.operation",)),
    Foreign("bd.storage.operation.duration", HISTOGRAM, "ms", ("db.operation",)),
    Foreign("bd.storage.errors", COUNTER, "", ("db.operation",)),
    Foreign("bd.db.retry_count", COUNTER, "{retry}"),
    Foreign("bd.db.lock_wait_ms", HISTOGRAM, "ms"),
    Foreign("bd.db.conn_acquire_ms", HISTOGRAM, "ms"),
    Foreign("bd.db.circuit_trips", COUNTER, "{trip}"),
    Foreign("bd.db.pool_open", GAUGE, "{connection}"),
    Foreign("bd.db.pool_in_use", GAUGE, "{connection}"),
    Foreign("bd.db.pool_idle", GAUGE, "{connection}"),
    Foreign("bd.db.pool_max_open", GAUGE, "{connection}"),
    Foreign("bd.issue.count", GAUGE, "", ("status",)),
    Foreign("bd.ai.input_tokens", COUNTER, "{token}", ("bd.ai.model",)),
    Foreign("bd.ai.output_tokens", COUNTER, "{token}", ("bd.ai.model",)),
    Foreign("bd.ai.request.duration", HISTOGRAM, "ms", ("bd.ai.model",)),
)
CLAUDE = (
    Foreign("claude_code.session.count", COUNTER, "", ("start_type",)),
    Foreign("claude_code.token.usage", COUNTER, "tokens", ("type", "model", "query_source")),
    Foreign("claude_code.cost.usage", COUNTER, "USD", ("model", "query_source")),
    Foreign("claude_code.active_time.total", COUNTER, "s", ("type",)),
    Foreign("claude_code.commit.count", COUNTER),
)


def _of_events() -> list[Metric]:
    """Return the metrics that events feed, those of several once each."""
    return [metric for event in EVENTS.values() for metric in event.metrics]


def metrics(now_ns: int) -> ExportMetricsServiceRequest:
    """Return ten minutes of every metric, cumulative, under the attributes that the relay sends them with."""
    services = {"gastown": (*_of_events(), *METRICS.values()), "bd": BD, "claude-code": CLAUDE}
    request = ExportMetricsServiceRequest()
    for agent in AGENTS:
        for service, found in services.items():
            resource = {"attributes": _resource_of(agent, service)}
            scope = request.resource_metrics.add(resource=resource).scope_metrics.add()
            _add_series(scope, _merged(found), agent, now_ns)
    return request


def _resource_of(agent: Agent, service: str) -> Iterator[KeyValue]:
    ours = {"gt.role", "gt.rig", "gt.actor", "gt.agent"}
    shared = Agent("relay-of-this-town", {k: v for k, v in agent.resource.items() if k in ours}, {})
    return _resource(shared, service)


@dataclass
class Series:
    """One metric: its name, kind and unit, the upper bounds of its buckets, and the labels of each series."""

    name: str
    kind: str
    unit: str
    buckets: Sequence[float]
    labels: list[dict[str, Value]]


def _merged(found: Sequence[Metric | Foreign]) -> list[Series]:
    """Return the metrics to send; one that several events feed is one."""
    merged: dict[str, Series] = {}
    for metric in found:
        ours = isinstance(metric, Metric)
        unit, buckets = ("", metric.buckets) if ours else (metric.unit, ())
        series = Series(metric.name, metric.kind, unit, buckets or DURATIONS, [])
        series = merged.setdefault(metric.name, series)
        labels = {name: _SAMPLES.get(name, f"a {name}") for name in metric.labels}
        labels.update(metric.fixed if ours else {})
        outcomes = ("ok", "error") if "status" in labels else ()
        series.labels.extend([{**labels, "status": status} for status in outcomes] or [labels])
    return list(merged.values())


_OWN_LABELS = ("role", "rig", "session", "agent_type")


def _add_series(scope: ScopeMetrics, found: list[Series], agent: Agent, now_ns: int) -> None:
    identity = {**agent.record, "session": agent.record["session_id"]}
    for one in found:
        metric = scope.metrics.add(name=one.name, unit=one.unit)
        data = {COUNTER: metric.sum, HISTOGRAM: metric.histogram, GAUGE: metric.gauge}[one.kind]
        if one.kind != GAUGE:
            data.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
        if one.kind == COUNTER:
            data.is_monotonic = True
        for labels in one.labels:
            own = {key: identity[key] for key in _OWN_LABELS if key in labels}
            _add_points(data, one, {**labels, **own}, now_ns)


def _add_points(
    data: Sum | HistogramData | GaugeData, one: Series, labels: dict[str, Value], now_ns: int
) -> None:
    start = now_ns - LASTED * SECOND
    for number in range(1, LASTED // INTERVAL + 1):
        point = data.data_points.add(
            time_unix_nano=start + number * INTERVAL * SECOND, attributes=_attributes(labels)
        )
        if one.kind != GAUGE:
            point.start_time_unix_nano = start
        if one.kind == HISTOGRAM:
            point.explicit_bounds.extend(one.buckets)
            point.bucket_counts.extend([number] * (len(one.buckets) + 1))
            point.count, point.sum = number * (len(one.buckets) + 1), number * 100.0
        elif one.kind == COUNTER:
            point.as_int = 2 * number
        else:
            point.as_double = 1.0
