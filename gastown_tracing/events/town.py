"""The events of a town's own services: refinery, scheduler, witness, deacon."""

from gastown_tracing.events.commands import AGES, DEPTHS, DURATION, RIG, adds, counts, measures
from gastown_tracing.events.schema import (
    DEVELOPMENT,
    FLOAT,
    GAUGE,
    INTEGER,
    INTERNAL,
    Attribute,
    Event,
    Metric,
)

TOWN = (
    Event(
        "refinery.dispatch",
        "The refinery took an item from its merge queue.",
        (
            Attribute("bead_id", "The merge request.", required=True),
            Attribute("queue_depth", "How many items were still waiting.", INTEGER),
            Attribute("wait_ms", "How long it had waited, in milliseconds.", FLOAT),
            RIG,
        ),
        kind=INTERNAL,
        metrics=(
            counts("gastown.refinery.dispatches.total", "Items taken.", ("rig",)),
            measures(
                "gastown.refinery.dispatch_latency_ms",
                "How long items waited in the queue.",
                "wait_ms",
                ("rig",),
                AGES,
            ),
        ),
        outcome=False,
    ),
    Event(
        "scheduler.dispatch_cycle",
        "The scheduler looked for work to hand on.",
        (
            Attribute("dispatched", "How many beads it handed on.", INTEGER),
            Attribute("failed", "How many it could not.", INTEGER),
            Attribute("skipped", "How many it left.", INTEGER),
            Attribute("skip_reason", "Why."),
            Attribute("retried", "How many it tried again.", INTEGER),
            Attribute("quarantined", "How many it gave up.", INTEGER),
            Attribute("queue_depth", "How many beads were waiting.", INTEGER),
            Attribute("capacity_free", "Free slots.", INTEGER),
            Attribute("capacity_used", "Used slots.", INTEGER),
        ),
        metrics=(
            *[
                adds(
                    "scheduler.dispatch_cycle",
                    "Beads by what a cycle made of them.",
                    result,
                    fixed={"result": result},
                )
                for result in ("dispatched", "failed", "skipped")
            ],
            measures("scheduler.queue_depth", "Beads waiting at each cycle.", "queue_depth", (), DEPTHS),
            *[
                Metric(
                    "scheduler.capacity_usage",
                    GAUGE,
                    "Slots for polecats.",
                    value=f"capacity_{state}",
                    fixed={"state": state},
                )
                for state in ("free", "used")
            ],
        ),
        outcome=False,
        stability=DEVELOPMENT,
    ),
    Event(
        "witness.patrol",
        "The witness looked after its polecats.",
        (
            RIG,
            DURATION,
            Attribute("stale_count", "How many had stalled.", INTEGER),
            Attribute("restart_count", "How many it started again.", INTEGER),
        ),
        kind=INTERNAL,
        metrics=(counts("gastown.witness.patrols.total", "Patrols.", ("rig",)),),
        stability=DEVELOPMENT,
    ),
    Event(
        "deacon.transition",
        "The deacon came to a new state.",
        (
            Attribute("from_state", "The state before."),
            Attribute("to_state", "The state now.", required=True),
            Attribute("cycle", "The number of its cycle.", INTEGER),
        ),
        metrics=(counts("gastown.deacon.transitions.total", "Transitions.", ("to_state",)),),
        outcome=False,
        stability=DEVELOPMENT,
    ),
)
