"""What a command was handed, noted for the shim, which starts the next one like it ahead of us (`ahead`).

The note is a file in the run's directory, outside a run in loose/, `handed.PROGRAM.SLOT`: the key,
TRACEPARENT's flags, BAGGAGE, and what stands before and behind the two ids in OTEL_RESOURCE_ATTRIBUTES; a
zero byte ends each. The shim compares the key with its own environment byte by byte, and believes no note
that is older than the run's work.jsonl or the journal's config.json, or that is another user's.
"""

import posix

from gastown_tracing.journal.layout import open_regular, path_exists, write_atomic
from gastown_tracing.members import OF_PROMPT, SESSION_VARIABLES
from gastown_tracing.shims.handing import BD_URLS, GT_URLS, context, exported
from gastown_tracing.shims.plan import TEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.shims.exec import Begun, Request
    from gastown_tracing.shims.plan import Plan

#: How many notes there are of a program at most; commands with different environments share them.
SLOTS = 16

#: What decides, beside TRACEPARENT and OTEL_RESOURCE_ATTRIBUTES, what a command is handed, and where its
#: journal is. Outside a run the town does, too.
VARIABLES = (
    *("GT_RUN", "TRACESTATE", "BAGGAGE", "GT_POLECAT", "GT_CREW", "GT_WORK_BUILD"),
    *[variable for _, variable in SESSION_VARIABLES],
    *("GT_OTEL_NATIVE", *GT_URLS, *BD_URLS, "GT_LOG_BD_OUTPUT"),
    *("GT_OTEL_JOURNAL", "GT_ROOT", "XDG_STATE_HOME", "HOME"),
)
#: What decides by being set; its value is nobody's business.
SWITCH = "GT_OTEL_RECEIVER"

#: The variables that a note has; where another one changes for the command there is no note.
_NOTED = {"TRACEPARENT", "BAGGAGE", "OTEL_RESOURCE_ATTRIBUTES"}
#: Characters of a trace ID and a span id, with the name of the second between them.
_IDS = 32 + len(",gt.span_id=") + 16
#: By how many nanoseconds a note is older than its command: what changes meanwhile is newer than the note,
#: also where a file system's clock ticks slowly.
_MARGIN = 50_000_000


def key(env: "Mapping[str, str]", town_root: str) -> str:
    """Return the key of an environment in this town, as the shim makes it of a valid one.

    The ids of spans are left out, outside a run those of traces as well.
    """
    parent, run_id = env.get("TRACEPARENT", ""), env.get("GT_RUN", "").replace("-", "")
    place = parent[52:] + (parent[3:35] if run_id else f"@{town_root}")
    head, ids, rest = f",{env.get('OTEL_RESOURCE_ATTRIBUTES', '')}".partition(",gt.trace_id=")
    resource = f"{head}{ids}{rest[_IDS:]}" if ids else head
    switch = "set" if env.get(SWITCH) else ""
    return "\n".join([place + resource, *[env.get(name, "") for name in VARIABLES], switch])


def note(request: "Request", plan: "Plan", begun: "Begun") -> None:
    """Note what the command was handed, where the next one like it gets the same; else drop what is noted.

    Where it is `known` the note stays as it is, if it is right. Raises OSError.
    """
    if not begun.slot.isdecimal():
        return
    run_id = plan.resolution.run_id
    journal = plan.telemetry.journal
    place = journal.run_dir(run_id) if run_id else f"{journal.root}/loose"
    path = f"{place}/handed.{request.program}.{begun.slot}"
    fields = _fields(request, plan, begun)
    data = b"".join([field.encode(*TEXT) + b"\0" for field in fields])
    if begun.known and data == _read(path):
        return
    if data:
        write_atomic(path, data, time_ns=begun.start_ns - _MARGIN)
    elif path_exists(path):
        posix.unlink(path)


def _fields(request: "Request", plan: "Plan", begun: "Begun") -> tuple[str, ...]:
    """Return what a note says, nothing where there can be none. Raises PropagationError."""
    telemetry, resolution = plan.telemetry, plan.resolution
    env = telemetry.config.env
    if resolution.source not in ("GT_RUN", "TRACEPARENT", "new"):
        return ()
    if exported(request.program, telemetry) or telemetry.config.flag("GT_LOG_BD_OUTPUT"):
        return ()
    if any("\n" in env.get(name, "") for name in VARIABLES):  # which separates them in the key
        return ()
    handed = context(request, plan, begun.span_id)
    changed = {name for name in env.keys() | handed.keys() if env.get(name) != handed.get(name)}
    ids = f"gt.trace_id={resolution.trace_id},gt.span_id={begun.span_id}"
    before, found, after = handed.get("OTEL_RESOURCE_ATTRIBUTES", "").partition(ids)
    baggage = handed.get("BAGGAGE", "")
    if not (found and changed <= _NOTED) or ("BAGGAGE" in changed and not baggage):
        return ()
    if OF_PROMPT in before + after:  # content
        return ()
    return key(env, telemetry.town_root), handed["TRACEPARENT"][53:], baggage, before, after


def _read(path: str) -> bytes:
    try:
        descriptor = open_regular(path, posix.O_RDONLY)
    except OSError:
        return b""
    data = posix.read(descriptor, 1 << 20)
    posix.close(descriptor)
    return data
