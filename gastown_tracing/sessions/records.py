"""The records that a session's own life leaves: what they all carry, and how they are written.

A shim writes some of them, so only what every interpreter has built in is used.
"""

import posix

from gastown_tracing import identity
from gastown_tracing.journal import otlp, writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: Sampled, and random in the 56 bits that W3C Trace Context Level 2 asks for: a v4 UUID's last 7 bytes are.
FLAGS = 3

#: The identity that stands on every record of the run, as run.json holds it.
IDENTITY = ("instance", "town_root", "agent_type", "role", "agent_name", "rig")


def common_attributes(info: "Mapping[str, object]") -> dict[str, object]:
    """Return what every record of the run carries: run.id and the identity."""
    known = {key: info[key] for key in IDENTITY if info.get(key)}
    if info.get("role"):
        known["rig"] = info.get("rig", "")
    return {"run.id": info["trace_id"], **known, "session_id": info.get("session", "")}


def event_log(event: str, span: "otlp.Span", time_ns: int, attributes: "Mapping[str, object]") -> otlp.Log:
    """Return the log record of an event that is also a span."""
    failed = span.status_code == otlp.ERROR
    log = _log(event, time_ns, attributes, failed=failed)
    log.trace_id, log.span_id, log.flags = span.trace_id, span.span_id, span.flags
    return log


def plain_log(
    event: str,
    info: "Mapping[str, object]",
    time_ns: int,
    attributes: "Mapping[str, object]",
    span_id: str = "",
) -> otlp.Log:
    """Return the log record of a run's event that is no span: of the span `span_id`, by default the root."""
    log = _log(event, time_ns, attributes, failed=attributes.get("status") == "error")
    log.trace_id, log.flags = str(info["trace_id"]), FLAGS
    log.span_id = span_id or str(info["root_span_id"])
    return log


def _log(event: str, time_ns: int, attributes: "Mapping[str, object]", *, failed: bool) -> otlp.Log:
    return otlp.Log(
        time_ns=time_ns,
        severity_number=otlp.SEVERITY_ERROR if failed else otlp.SEVERITY_INFO,
        severity_text="ERROR" if failed else "INFO",
        event_name=event,
        body=event,
        attributes=attributes,
    )


def write_records(
    directory: str, info: "Mapping[str, object]", spans: "list[otlp.Span]", logs: "list[otlp.Log]"
) -> None:
    """Append records of a run, under its session's resource and our process id. Raises OSError."""
    resource = otlp.encode_resource({**resource_of(info), "process.pid": posix.getpid()})
    if spans:
        writer.append(directory, "traces", otlp.spans_line(resource, spans))
    if logs:
        writer.append(directory, "logs", otlp.logs_line(resource, logs))


def resource_of(info: "Mapping[str, object]") -> dict[str, object]:
    """Return the session's resource from its run.json."""
    resource = info.get("resource")
    return dict(resource) if isinstance(resource, dict) else {"service.name": identity.SERVICE_NAME}
