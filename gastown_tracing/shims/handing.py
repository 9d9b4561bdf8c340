"""The environment that a command is handed: its caller's own, byte for byte, and our variables."""

import posix

from gastown_tracing.config import NO_ENDPOINT, RECEIVER
from gastown_tracing.members import OF_CHILD, for_children
from gastown_tracing.shims.plan import TEXT
from propagation.environ import child_env, without_context
from propagation.traceparent import SpanContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.config import Telemetry
    from gastown_tracing.shims.exec import Request
    from gastown_tracing.shims.plan import Plan

#: The programs that export by themselves, and merge the resource that stands in their environment.
EXPORTING = ("bd", "gt")
#: What they are told to export to, by whether gt's pair or bd's is meant; one of gt's alone starts both.
METRICS, LOGS = "/v1/metrics", "/v1/logs"
GT_URLS = {"GT_OTEL_METRICS_URL": METRICS, "GT_OTEL_LOGS_URL": LOGS}
BD_URLS = {"BD_OTEL_METRICS_URL": METRICS, "BD_OTEL_LOGS_URL": LOGS}


def handed(request: "Request", plan: "Plan", span_id: str) -> dict[bytes, bytes]:
    """Return the environment of a command whose span is `span_id`. Raises PropagationError."""
    env = plan.telemetry.config.env
    if request.seen is not None and request.seen.daemon:
        changed = without_context(env)
    else:
        changed = context(request, plan, span_id)
    if request.program in EXPORTING:
        changed.update(_towards_receiver(request.program, plan.telemetry))
    environ = dict(request.environ)
    for name, value in changed.items():
        if env.get(name) != value:
            environ[name.encode(*TEXT)] = value.encode(*TEXT)
    for name in env.keys() - changed.keys():
        del environ[name.encode(*TEXT)]
    return environ


def context(request: "Request", plan: "Plan", span_id: str) -> dict[str, str]:
    """Return the environment, as text, of a command within the span `span_id`. Raises PropagationError."""
    env, resolution = plan.telemetry.config.env, plan.resolution
    ours = for_children(env, resolution.run_id, plan.work)
    span = SpanContext(resolution.trace_id, span_id, resolution.flags, resolution.tracestate)
    resource = dict(ours)
    if request.program in EXPORTING:  # what it exports of itself says which span has recorded it
        resource |= dict(zip(OF_CHILD, (resolution.trace_id, span_id), strict=True))
    return child_env(env, span, baggage=ours, resource=resource)


def _towards_receiver(program: str, telemetry: "Telemetry") -> dict[str, str]:
    """Return what leads a program's own exporter to the receiver, where an operator has switched it on.

    Nothing where there is no relay to receive.
    """
    env, wanted = telemetry.config.env, exported(program, telemetry)
    base = telemetry.config.set(RECEIVER).rstrip("/") if wanted else ""
    if not base or not _relay_runs(telemetry.journal.root):
        return {}
    return {name: base + path for name, path in wanted.items() if env.get(name) != NO_ENDPOINT}


def exported(program: str, telemetry: "Telemetry") -> dict[str, str]:
    """Return what a program exports of itself: the path of each endpoint, by its variable."""
    env, native = telemetry.config.env, telemetry.config.flag("GT_OTEL_NATIVE")
    wanted: dict[str, str] = {}
    if program == "gt" and (native or any(_is_set(env, name) for name in GT_URLS)):
        wanted |= GT_URLS  # it takes a default for the one that is missing
    if native:
        wanted |= BD_URLS
    return wanted | {name: path for name, path in {**GT_URLS, **BD_URLS}.items() if _is_set(env, name)}


def _is_set(env: "Mapping[str, str]", name: str) -> bool:
    return env.get(name, "") not in ("", NO_ENDPOINT)


def _relay_runs(root: str) -> bool:
    """Say whether somebody holds the relay's lock; True where its file system has no locks."""
    try:
        import fcntl  # hardly any town exports by itself

        descriptor = posix.open(f"{root}/relay/lock", posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    except (ImportError, OSError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        posix.close(descriptor)
    return False
