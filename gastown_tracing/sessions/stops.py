"""Who is about to end a session, and why, for whoever finds it gone: a run's stop.json.

A shim writes it, so only what every interpreter has built in is used.
"""

from gastown_tracing.journal.layout import load_json, quote_json, read_text, write_atomic
from propagation.traceparent import SpanContext, is_id

TYPE_CHECKING = False

#: Seconds for which it stands.
STANDS = 60.0


class Stop:
    """That somebody is about to end a session: when, and why; who, in words and as the span.

    `time_ns` is in nanoseconds of the Unix epoch.
    """

    __slots__ = ("by", "killer", "reason", "time_ns")

    def __init__(self, time_ns: int, reason: str, by: str, killer: SpanContext | None) -> None:
        self.time_ns = time_ns
        self.reason = reason
        self.by = by
        self.killer = killer


def note_stop(directory: str, stop: Stop) -> None:
    """Say in a run's directory that its session is about to be ended. Raises OSError.

    Who finds it gone within STANDS seconds knows who and why.
    """
    said = {"time": str(stop.time_ns), "reason": stop.reason, "by": stop.by}
    if stop.killer is not None:
        said |= {"trace_id": stop.killer.trace_id, "span_id": stop.killer.span_id}
    pairs = ",".join([f"{quote_json(name)}:{quote_json(value)}" for name, value in said.items()])
    write_atomic(directory + "/stop.json", f"{{{pairs}}}\n")


def stop_meant(directory: str, end_ns: int) -> Stop | None:
    """Return what was said of a session that ended at `end_ns`, None where nobody said anything."""
    said = load_json(read_text(directory + "/stop.json") or "")
    if not isinstance(said, dict) or not str(said.get("time", "")).isdecimal():
        return None
    time_ns = int(str(said["time"]))
    if abs(end_ns - time_ns) > STANDS * 1e9:
        return None
    trace_id, span_id = str(said.get("trace_id", "")), str(said.get("span_id", ""))
    killer = SpanContext(trace_id, span_id) if is_id(trace_id, 32) and is_id(span_id, 16) else None
    return Stop(time_ns, str(said.get("reason") or "stopped"), str(said.get("by") or ""), killer)
