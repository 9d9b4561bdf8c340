"""What a session gets so that its agent exports to the local receiver (the data model's "Environment").

All of it or nothing: with GT_OTEL_RECEIVER set a foreign TRACEPARENT counts as a parent that will arrive
(design: "Rules of context", 2), which is true only when the agent really sends its spans there.
A shim asks, so only what every interpreter has built in is used.
"""

from gastown_tracing.config import RECEIVER
from gastown_tracing.shims.waking import is_wanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.config import Telemetry

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"

#: Without exactly these the agent's spans do not reach the receiver.
NEEDED = {
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}

#: These may be set to something else already; then that stays.
WANTED = {
    "CLAUDE_CODE_PROPAGATE_TRACEPARENT": "1",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
}

#: Set to anything, these lead the agent's spans elsewhere (OTLP exporter specification: per-signal beats
#: general).
DIVERTING = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")


def address(telemetry: "Telemetry") -> str:
    """Return the receiver's base URL, "" where there is none.

    In a journal that no relay has seen yet it is drawn here, for the relay to take: the very first session's
    agent shall be heard, too.
    """
    found = telemetry.config.file.get(RECEIVER, "")
    if found or not is_wanted(telemetry):
        return found
    from gastown_tracing.relay.receiver import address as drawing  # once a journal

    try:
        drawn, bound = drawing.draw()
        bound.close()
        return drawing.keep(telemetry.journal, drawn)
    except OSError:  # no port, a full disk: this session does without
        return ""


def variables(address: str, present: "Mapping[str, str]") -> dict[str, str]:
    """Return the receiver's address and the agent's settings, or nothing.

    `address` is the receiver's base URL, "" while there is none. `present` is the environment that the
    session has anyway; no value in it is replaced, and one that would lead the agent's spans elsewhere means:
    nothing at all.
    """
    needed = {**NEEDED, ENDPOINT: address}
    diverted = any(present.get(name) for name in DIVERTING) or any(
        present.get(name, value) not in ("", value) for name, value in {**needed, RECEIVER: address}.items()
    )
    if not address or diverted:
        return {}
    wanted = {name: value for name, value in WANTED.items() if not present.get(name)}
    return {RECEIVER: address, **needed, **wanted}
