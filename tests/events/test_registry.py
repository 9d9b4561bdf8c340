"""The registry against the data model's rules, and against a second writing of its tables."""

from __future__ import annotations

import pytest

from gastown_tracing.events.commands import AGES, DURATIONS
from gastown_tracing.events.metrics import METRICS
from gastown_tracing.events.registry import COMMON, EVENTS, OUTCOME
from gastown_tracing.events.schema import (
    CLIENT,
    COUNTER,
    FLAG,
    FLOAT,
    GAUGE,
    HISTOGRAM,
    INTEGER,
    INTERNAL,
    STATUS,
    TEXT,
    WORDS,
    Attribute,
    Event,
    Metric,
)
from gastown_tracing.settings import SETTINGS

# The data model's table of events: whether it is a span, attributes, counter and its labels. Written a second
# time on purpose, so that a slip in the registry is seen.
TABLE: list[tuple[str, bool, str, str, str]] = [
    (
        "agent.instantiate", False,
        "instance town_root agent_type role agent_name session_id rig issue_id git_branch git_commit",
        "gastown.agent.instantiations.total", "agent_type role rig",
    ),
    ("session.start", True, "session_id role", "gastown.session.starts.total", "role"),
    ("session.stop", True, "session_id role reason duration_ms", "gastown.session.stops.total", ""),
    ("prime", True, "role hook_mode work_rig work_bead work_mol", "gastown.prime.total", "role hook_mode"),
    ("prime.context", False, "role hook_mode formula", "", ""),
    ("prompt.send", True, "session keys_len debounce_ms keys", "gastown.prompt.sends.total", ""),
    ("pane.read", False, "session lines_requested content_len", "gastown.pane.reads.total", ""),
    ("pane.output", False, "session content", "gastown.pane.output.total", ""),
    (
        "agent.event", False, "session native_session_id agent_type event_type role content",
        "gastown.agent.events.total", "event_type role",
    ),
    (
        "agent.usage", False,
        (
            "session native_session_id model message_id input_tokens output_tokens cache_read_tokens "
            "cache_creation_tokens cost_usd"
        ),
        "gastown.agent.events.total", "event_type",
    ),
    (
        "agent.state_change", False, "agent_id new_state hook_bead has_hook_bead",
        "gastown.agent.state_changes.total", "new_state",
    ),
    (
        "bd.call", True, "subcommand args duration_ms exit_code stdout stderr",
        "gastown.bd.calls.total", "subcommand",
    ),
    (
        "mail", True,
        "operation msg.id msg.from msg.to msg.subject msg.thread_id msg.priority msg.type msg.body",
        "gastown.mail.operations.total", "operation",
    ),
    ("sling", True, "bead target", "gastown.sling.dispatches.total", ""),
    ("nudge", True, "target", "gastown.nudge.total", ""),
    ("done", True, "exit_type rig bead_id time_to_complete_ms", "gastown.done.total", "exit_type"),
    ("polecat.spawn", True, "name rig", "gastown.polecat.spawns.total", "rig"),
    ("polecat.remove", True, "name rig", "gastown.polecat.removes.total", "rig"),
    ("daemon.restart", False, "agent_type", "gastown.daemon.agent_restarts.total", "agent_type"),
    (
        "formula.instantiate", True, "formula_name bead_id",
        "gastown.formula.instantiations.total", "formula",
    ),
    ("convoy.create", True, "bead_id", "gastown.convoy.creates.total", ""),
    ("mol.cook", True, "formula_name", "gastown.mol.cooks.total", "formula"),
    ("mol.wisp", True, "formula_name wisp_root_id bead_id", "gastown.mol.wisps.total", "formula"),
    ("mol.squash", True, "mol_id done_steps total_steps digest_created", "gastown.mol.squashes.total", ""),
    ("mol.burn", True, "mol_id children_closed", "gastown.mol.burns.total", ""),
    ("bead.create", False, "bead_id parent_id mol_source", "gastown.bead.creates.total", "mol_source"),
    ("refinery.dispatch", True, "bead_id queue_depth wait_ms", "gastown.refinery.dispatches.total", "rig"),
    (
        "scheduler.dispatch_cycle", False,
        "dispatched failed skipped skip_reason retried quarantined queue_depth capacity_free capacity_used",
        "scheduler.dispatch_cycle", "result",
    ),
    (
        "witness.patrol", True, "rig duration_ms stale_count restart_count",
        "gastown.witness.patrols.total", "rig",
    ),
    ("deacon.transition", False, "from_state to_state cycle", "gastown.deacon.transitions.total", "to_state"),
    ("crew.session", False, "crew rig phase", "gastown.crew.sessions.total", "phase"),
    (
        "git.operation", True, "operation repo path branch duration_ms exit_code",
        "gastown.git.operations.total", "operation",
    ),
    ("session.stalled", False, "session_id idle_ms work_bead", "gastown.session.stalls.total", "role rig"),
    ("gt.command", True, "command exit_code duration_ms", "gastown.gt.commands.total", "command"),
    ("exec", True, "name exit_code duration_ms", "", ""),
    (
        "retry.alert", False, "agent_name runs calls error_rate threshold",
        "gastown.retry.alerts.total", "role",
    ),
]  # fmt: skip

# What stands beside that table: the run's dashed id, the work's rig and type, how a session's process ended.
BESIDE = {
    "agent.instantiate": {"run.uuid"},
    "agent.usage": {"rig"},
    "done": {"work_type"},
    "prime": {"work_build"},
    "refinery.dispatch": {"rig"},
    "session.start": {"run.uuid"},
    "session.stop": {"exit_code"},
}

# What else events feed: metric, kind, event, labels.
FED = [
    ("gastown.bd.duration_ms", HISTOGRAM, "bd.call", "subcommand"),
    ("gastown.git.duration_ms", HISTOGRAM, "git.operation", "operation"),
    ("gastown.work.completion_ms", HISTOGRAM, "done", "role rig exit_type work_type"),
    ("gastown.refinery.dispatch_latency_ms", HISTOGRAM, "refinery.dispatch", "rig"),
    ("scheduler.queue_depth", HISTOGRAM, "scheduler.dispatch_cycle", ""),
    ("scheduler.capacity_usage", GAUGE, "scheduler.dispatch_cycle", "state"),
    ("gastown.agent.tokens.total", COUNTER, "agent.usage", "status type model role rig"),
    ("gastown.agent.cost.total", COUNTER, "agent.usage", "status model role rig"),
]

# The metrics of the data model's table "Gauges and histograms" that no event feeds.
UNFED = {
    "gastown.refinery.queue_depth": (GAUGE, "rig"),
    "gastown.refinery.item_age_ms": (HISTOGRAM, "rig"),
    "gastown.probe.errors.total": (COUNTER, "probe"),
    "gastown.dolt.connections": (GAUGE, ""),
    "gastown.dolt.query_duration_ms": (HISTOGRAM, ""),
    "gastown.dolt.replication_lag_ms": (GAUGE, ""),
    "gastown.dolt.healthy": (GAUGE, ""),
    "gastown.token.cost_usd": (GAUGE, "session rig role agent_type"),
    "gastown.session.health": (GAUGE, "session role rig"),
    "gastown.session.cpu_seconds": (COUNTER, "session role rig"),
    "gastown.session.memory_bytes": (GAUGE, "session role rig"),
    "gastown.session.processes": (GAUGE, "session role rig"),
    "gastown.session.network_connections": (GAUGE, "session role rig"),
    "gastown.session.disk_io_bytes": (COUNTER, "session role rig direction"),
    "gastown.town.disk_free_bytes": (GAUGE, "path"),
    "gastown.relay.lag_ms": (GAUGE, "endpoint"),
    "gastown.relay.pending": (GAUGE, "endpoint"),
    "gastown.relay.dead_letters.total": (COUNTER, "endpoint"),
    "gastown.relay.duplicates_dropped.total": (COUNTER, "endpoint"),
    "gastown.relay.sent.total": (COUNTER, "endpoint"),
    "gastown.relay.retries.total": (COUNTER, "endpoint"),
    "gastown.relay.rejected.total": (COUNTER, "endpoint"),
    "gastown.relay.skipped_lines.total": (COUNTER, "endpoint"),
    "gastown.relay.journal_bytes": (GAUGE, ""),
    "gastown.relay.lost.total": (COUNTER, ""),
    "gastown.relay.received.total": (COUNTER, "signal"),
    "gastown.relay.left_out.total": (COUNTER, "reason"),
    "gastown.session.idle_ms": (GAUGE, "session role rig"),
    "gastown.sessions.live": (GAUGE, "role rig"),
    "gastown.runtime.gc_pause_ms": (HISTOGRAM, "generation"),
}

FLAGS = {"hook_mode", "has_hook_bead", "digest_created"}
WHOLE = {
    *(
        "keys_len",
        "lines_requested",
        "content_len",
        "exit_code",
        "done_steps",
        "total_steps",
        "children_closed",
    ),
    *("queue_depth", "dispatched", "failed", "skipped", "retried", "quarantined", "capacity_free"),
    *("capacity_used", "stale_count", "restart_count", "cycle", "runs", "calls"),
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens"),
}
RATES = {"cost_usd", "error_rate", "threshold"}

GATES = {
    ("pane.output", ""): "GT_LOG_PANE_OUTPUT",
    ("agent.event", ""): "GT_LOG_AGENT_OUTPUT",
    ("prime.context", "formula"): "GT_LOG_PRIME_CONTEXT",
    ("prompt.send", "keys"): "GT_LOG_PROMPT_KEYS",
    ("pane.output", "content"): "GT_LOG_PANE_OUTPUT",
    ("agent.event", "content"): "GT_LOG_AGENT_OUTPUT",
    ("bd.call", "stdout"): "GT_LOG_BD_OUTPUT",
    ("bd.call", "stderr"): "GT_LOG_BD_OUTPUT",
    ("mail", "msg.body"): "GT_LOG_MAIL_BODY",
}
LIMITS = {
    ("prompt.send", "keys"): (256, ""),
    ("pane.output", "content"): (8192, "GT_LOG_PANE_CONTENT_LIMIT"),
    ("agent.event", "content"): (512, "GT_LOG_AGENT_CONTENT_LIMIT"),
    ("bd.call", "stdout"): (2048, "GT_LOG_BD_CONTENT_LIMIT"),
    ("bd.call", "stderr"): (1024, "GT_LOG_BD_CONTENT_LIMIT"),
    ("mail", "msg.body"): (256, ""),
}
INDEXED = {
    *("run.id", "instance", "town_root", "session_id", "rig", "role", "agent_type", "event_type"),
    *("msg.thread_id", "msg.from", "msg.to", "work_bead"),
}

ALL = [(event, attribute) for event in EVENTS.values() for attribute in event.attributes]
METERS = [(event, metric) for event in EVENTS.values() for metric in event.metrics]


def test_the_table_names_every_event() -> None:
    """No event is missing, none is one too many."""
    assert sorted(EVENTS) == sorted(row[0] for row in TABLE)


@pytest.mark.parametrize(("name", "is_span", "attributes", "counter", "labels"), TABLE)
def test_events_are_those_of_the_data_model(
    name: str, is_span: bool, attributes: str, counter: str, labels: str
) -> None:
    """Each has the attributes, the span and the first counter that its row says."""
    event = EVENTS[name]
    assert event.is_span == is_span
    assert {*attributes.split(), *BESIDE.get(name, ())} == {found.name for found in event.attributes}
    if counter:
        metric = event.metrics[0]
        assert (metric.name, metric.kind) == (counter, COUNTER)
        assert sorted(metric.label_names()) == sorted([*labels.split(), STATUS])
    else:
        assert event.metrics == ()


@pytest.mark.parametrize(("name", "kind", "event", "labels"), FED)
def test_what_else_events_feed(name: str, kind: str, event: str, labels: str) -> None:
    """The histograms, gauges and sums beside the counters."""
    found = [metric for metric in EVENTS[event].metrics if metric.name == name]
    assert {metric.kind for metric in found} == {kind}
    for metric in found:
        assert sorted(metric.label_names()) == sorted(labels.split())


def test_events_feed_nothing_else() -> None:
    """Every metric of an event stands in one of the two tables."""
    known = {row[3] for row in TABLE} | {row[0] for row in FED}
    assert {metric.name for _, metric in METERS} == known - {""}


def test_metrics_that_no_event_feeds() -> None:
    """They are those of the data model, with exactly its labels."""
    found = {name: (metric.kind, sorted(metric.label_names())) for name, metric in METRICS.items()}
    assert found == {name: (kind, sorted(labels.split())) for name, (kind, labels) in UNFED.items()}


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.name)
def test_an_events_entry_is_sound(event: Event) -> None:
    """Names are unique, keywords are Python names, what is referred to is there, everything is described."""
    names = [found.name for found in event.attributes]
    parameters = [found.parameter for found in event.attributes]
    assert len({*names}) == len(names)
    assert len({*parameters}) == len(parameters)
    assert all(name.isidentifier() for name in parameters)
    assert not {"error", "status", "run.id", "log.record.uid"} & {*names}
    assert set(event.positional) <= {*names}
    assert event.kind in ("", INTERNAL, CLIENT)
    assert event.doc.endswith(".")
    assert all(found.doc[0].isupper() for found in event.attributes)


@pytest.mark.parametrize(("event", "metric"), METERS, ids=lambda found: found.name)
def test_a_metric_takes_what_its_event_has(event: Event, metric: Metric) -> None:
    """Every label is an attribute of the event or of every record; so is what is measured, and a number."""
    known = {found.name for found in (*COMMON, *OUTCOME, *event.attributes)}
    assert set(metric.labels.values()) <= known
    if metric.value:
        assert event.by_key[metric.value].type in (INTEGER, FLOAT)


@pytest.mark.parametrize(
    "metric", [*METRICS.values(), *[metric for _, metric in METERS]], ids=lambda metric: metric.name
)
def test_a_metrics_entry_is_sound(metric: Metric) -> None:
    """Names end as the data model has them; only histograms have buckets, in rising order."""
    assert metric.kind in (COUNTER, HISTOGRAM, GAUGE)
    sums = ("cpu_seconds", "disk_io_bytes", "dispatch_cycle")  # the counters whose names say what they add up
    assert metric.name.endswith(".total") == (metric.kind == COUNTER and not metric.name.endswith(sums))
    assert bool(metric.buckets) == (metric.kind == HISTOGRAM)
    assert list(metric.buckets) == sorted({*metric.buckets})
    assert "session" not in metric.label_names() or metric.name in UNFED
    assert STATUS not in metric.labels or metric.labels[STATUS] == STATUS


def test_one_instrument_is_described_in_one_way() -> None:
    """Several events may feed a metric: then its kind, description and buckets are the same."""
    described: dict[str, set[tuple[object, ...]]] = {}
    for metric in [*METRICS.values(), *[metric for _, metric in METERS]]:
        described.setdefault(metric.name, set()).add((metric.kind, metric.doc, metric.buckets))
    assert {name: kinds for name, kinds in described.items() if len(kinds) > 1} == {}


@pytest.mark.parametrize(("event", "attribute"), ALL, ids=lambda found: found.name)
def test_types_are_the_data_models(event: Event, attribute: Attribute) -> None:
    """`*_ms` is a float, the flags are flags, counts are whole numbers, everything else is text."""
    name = attribute.name
    wanted = (
        FLOAT
        if name.endswith("_ms") or name in RATES
        else FLAG
        if name in FLAGS
        else INTEGER
        if name in WHOLE
        else WORDS
        if name == "args"
        else TEXT
    )
    assert attribute.type == wanted


def test_gates_and_limits_are_the_data_models() -> None:
    """Content needs its opt-in and has its limit; every setting that is named exists."""
    gates = {(event.name, ""): event.gate for event in EVENTS.values() if event.gate}
    gates |= {(event.name, found.name): found.gate for event, found in ALL if found.gate}
    assert gates == GATES
    limits = {
        (event.name, found.name): (found.limit, found.limit_setting) for event, found in ALL if found.limit
    }
    assert limits == LIMITS
    named = {*gates.values(), *[setting for _, setting in limits.values() if setting]}
    assert named <= {setting.name for setting in SETTINGS}


def test_what_backends_should_index() -> None:
    """The marks are those of the data model, wherever the attribute stands."""
    everything = [*COMMON, *[found for _, found in ALL]]
    assert {found.name for found in everything if found.index} == INDEXED


def test_buckets_are_the_data_models() -> None:
    """Durations go from 5 ms to 5 minutes, what takes as long as work from 1 s to 7 days."""
    second, minute, hour, day = 1e3, 60e3, 3600e3, 86400e3
    durations = [5, 10, 25, 50, 100, 250, 500, second, 2.5 * second, 5 * second, 10 * second, 30 * second]
    ages = [second, 5 * second, 15 * second, minute, 5 * minute, 15 * minute, hour, 4 * hour, day, 7 * day]
    assert list(DURATIONS) == [*durations, minute, 5 * minute]
    assert list(AGES) == ages
    for metric in [*METRICS.values(), *[metric for _, metric in METERS]]:
        if metric.name.endswith(("bd.duration_ms", "git.duration_ms", "query_duration_ms")):
            assert metric.buckets == DURATIONS
        if metric.name.endswith(("completion_ms", "item_age_ms", "dispatch_latency_ms")):
            assert metric.buckets == AGES
