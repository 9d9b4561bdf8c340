"""The metrics that no event feeds: what a probe, the relay or a long-lived process measures."""

from gastown_tracing.events.commands import AGES, DURATIONS
from gastown_tracing.events.schema import COUNTER, DEVELOPMENT, GAUGE, HISTOGRAM, Metric

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_PLACE = ("session", "role", "rig")
_TO = ("endpoint",)


def _gauge(name: str, doc: str, labels: "Sequence[str]" = (), stability: str = DEVELOPMENT) -> Metric:
    return Metric(name, GAUGE, doc, labels, stability=stability)


def _counter(name: str, doc: str, labels: "Sequence[str]") -> Metric:
    return Metric(name, COUNTER, doc, labels, stability=DEVELOPMENT)


#: Each by its name.
METRICS = {
    metric.name: metric
    for metric in (
        _gauge("gastown.refinery.queue_depth", "Items that wait in the merge queue.", ("rig",), "stable"),
        Metric(
            "gastown.refinery.item_age_ms",
            HISTOGRAM,
            "The age of the oldest waiting item, at each poll.",
            ("rig",),
            buckets=AGES,
        ),
        Metric("gastown.probe.errors.total", COUNTER, "Sources that could not be read.", ("probe",)),
        Metric(
            "gastown.runtime.gc_pause_ms",
            HISTOGRAM,
            "Pauses for garbage collection.",
            ("generation",),
            buckets=(0.1, 0.5, 1.0, 2.5, *DURATIONS),
        ),
        _gauge("gastown.dolt.connections", "Connections to Dolt."),
        Metric(
            "gastown.dolt.query_duration_ms",
            HISTOGRAM,
            "How long a query took.",
            buckets=DURATIONS,
            stability=DEVELOPMENT,
        ),
        _gauge("gastown.dolt.replication_lag_ms", "How far a replica is behind."),
        _gauge("gastown.dolt.healthy", "Whether Dolt answers: 1 or 0."),
        _gauge(
            "gastown.token.cost_usd",
            "US dollars that a session has spent.",
            (*_PLACE, "agent_type"),
        ),
        _gauge("gastown.session.health", "The share of operations that succeeded, 0 to 1.", _PLACE),
        _counter("gastown.session.cpu_seconds", "Processor time of a session's process tree.", _PLACE),
        _gauge("gastown.session.memory_bytes", "Memory of a session's process tree.", _PLACE),
        _gauge("gastown.session.processes", "Processes of a session.", _PLACE),
        _gauge("gastown.session.network_connections", "Network connections of a session.", _PLACE),
        _counter(
            "gastown.session.disk_io_bytes",
            "Bytes that a session's process tree read and wrote.",
            (*_PLACE, "direction"),
        ),
        _gauge(
            "gastown.town.disk_free_bytes", "Free space of the town's and the journal's disks.", ("path",)
        ),
        _gauge("gastown.relay.lag_ms", "The age of the oldest record that an endpoint has not taken.", _TO),
        _gauge("gastown.relay.pending", "Bytes of records that wait for an endpoint.", _TO),
        _counter(
            "gastown.relay.sent.total", "Records, or points of metrics, that an endpoint has taken.", _TO
        ),
        _counter(
            "gastown.relay.retries.total",
            "Requests that an endpoint did not take, and that are repeated.",
            _TO,
        ),
        _counter(
            "gastown.relay.rejected.total", "Records of requests that an endpoint took but for these.", _TO
        ),
        _counter("gastown.relay.skipped_lines.total", "Lines of the journal that are no records.", _TO),
        _counter("gastown.relay.dead_letters.total", "Records that an endpoint refused for good.", _TO),
        _counter("gastown.relay.duplicates_dropped.total", "Records that had come before.", _TO),
        _gauge("gastown.relay.journal_bytes", "How much the journal holds."),
        _counter(
            "gastown.relay.lost.total", "Records given up unsent, because the journal was too large.", ()
        ),
        _counter("gastown.relay.received.total", "Records that others exported to the relay.", ("signal",)),
        _counter(
            "gastown.relay.left_out.total", "Points of others' metrics that are not sent on.", ("reason",)
        ),
        _gauge("gastown.session.idle_ms", "Time since a session's last record.", _PLACE),
        _gauge("gastown.sessions.live", "Sessions that live.", ("role", "rig")),
    )
}
