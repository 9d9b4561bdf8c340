"""The backends that can be asked: how each is known, and where it shows what was sent to it.

The base of their query API is guessed: the endpoint's host at the port that each has by default.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gastown_tracing.doctor import web
from gastown_tracing.doctor.canary import METRIC, SERVICE, SPAN
from gastown_tracing.doctor.check import ok, skipped, warning

if TYPE_CHECKING:
    from gastown_tracing.doctor.canary import Canary
    from gastown_tracing.doctor.check import Check, Deadline
    from gastown_tracing.doctor.web import Answer, Site

#: Seconds for each request to a query API.
_SECONDS = 2.0

_NO_LIMIT = "overrides.defaults.global.max_bytes_per_trace: 0"


def _json(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if answer.status == 200 and isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Backend:
    """A kind of backend: its `signal`, its usual `port`, the path that tells it and how that answer does.

    `reads` are the paths, one of which shows the canary that was sent.
    """

    name: str
    signal: str
    port: int
    path: str
    known: Callable[[Answer], bool]
    reads: Callable[[Canary], tuple[str, ...]]


def _selector() -> str:
    """Return the selector of METRIC, by its name in OTLP and as Prometheus writes it.

    VictoriaMetrics remembers for seconds that nothing matches; the second label makes each look a new one.
    """
    return f'{{__name__=~"{METRIC.replace(".", "[._]")}",look!="{time.monotonic_ns()}"}}'


def _quoted(**parameters: str) -> str:
    return urllib.parse.urlencode(parameters)


def _build(answer: Answer) -> Any:
    return _json(answer).get("data") if _json(answer).get("status") == "success" else None


BACKENDS = (
    Backend(
        "Jaeger",
        "traces",
        16686,
        "/api/v3/services",
        lambda answer: isinstance(_json(answer).get("services"), list),
        lambda canary: (f"/api/v3/traces/{canary.trace_id}", f"/api/traces/{canary.trace_id}"),
    ),
    Backend(
        "Tempo",
        "traces",
        3200,
        "/api/echo",
        lambda answer: answer.status == 200 and answer.body.strip() == b"echo",
        lambda canary: (f"/api/v2/traces/{canary.trace_id}", f"/api/traces/{canary.trace_id}"),
    ),
    Backend(
        "VictoriaTraces",
        "traces",
        10428,
        "/select/jaeger/api/services",
        lambda answer: "data" in _json(answer),
        lambda canary: (f"/select/jaeger/api/traces/{canary.trace_id}",),
    ),
    Backend(
        "VictoriaLogs",
        "logs",
        9428,
        f"/select/logsql/query?{_quoted(query='_time:1s', limit='1')}",
        lambda answer: answer.status == 200 and "json" in answer.type,
        lambda canary: (
            f"/select/logsql/query?{_quoted(query=f'_time:1h trace_id:={canary.trace_id}', limit='1')}",
        ),
    ),
    Backend(
        "Loki",
        "logs",
        3100,
        "/loki/api/v1/status/buildinfo",
        lambda answer: "version" in _json(answer),
        lambda canary: (
            "/loki/api/v1/query_range?"
            + _quoted(query=f'{{service_name="{SERVICE}"}} |= "{canary.trace_id}"', since="1h", limit="1"),
        ),
    ),
    Backend(
        "VictoriaMetrics",
        "metrics",
        8428,
        "/api/v1/status/buildinfo",
        lambda answer: isinstance(_build(answer), dict) and "goVersion" not in _build(answer),
        # What a query gives lags some 30 s behind (-search.latencyOffset); an export does not.
        lambda _: (f"/api/v1/export?{_quoted(**{'match[]': _selector(), 'start': '-10m'})}",),
    ),
    Backend(
        "Prometheus",
        "metrics",
        9090,
        "/api/v1/status/buildinfo",
        lambda answer: isinstance(_build(answer), dict) and "goVersion" in _build(answer),
        lambda _: (f"/api/v1/query?{_quoted(query=_selector())}",),
    ),
)


class Found:
    """A backend that answers at `base`. `headers` go with each request."""

    def __init__(self, backend: Backend, base: str, headers: dict[str, str]) -> None:
        self.backend = backend
        self.base = base
        self._headers = headers

    def get(self, path: str, seconds: float) -> Answer:
        """Return what it answers. Raises Failed."""
        site = web.Site(self.base)
        prefix = site.path.rstrip("/")
        return web.request(
            site, seconds, headers={"Accept": "application/json", **self._headers}, path=prefix + path
        )

    def shown(self, canary: Canary, deadline: Deadline) -> Answer | None:
        """Return the answer that shows the canary, None where there is none yet. Raises Failed."""
        sign = str(canary.value) if self.backend.signal == "metrics" else SPAN
        for path in self.backend.reads(canary):
            answer = self.get(path, deadline.left(_SECONDS))
            if answer.status == 200 and sign.encode() in answer.body:
                return answer
        return None


def find(signal: str, site: Site, headers: dict[str, str], given: str, deadline: Deadline) -> list[Found]:
    """Return the backends that may be behind an endpoint: all that answer, its own origin's first.

    `given` is the base of its query API where the user says so, else it is guessed. The endpoint's headers go
    only to its own origin: at another port may stand somebody else.
    """
    backends = [backend for backend in BACKENDS if backend.signal == signal]
    places = [(backend, given or site.origin) for backend in backends]
    if not given:
        places += [(backend, site.at(backend.port)) for backend in backends]
    answering = []
    for backend, base in dict.fromkeys(places):
        with contextlib.suppress(web.Failed):
            found = Found(backend, base, headers if web.Site(base).origin == site.origin else {})
            if backend.known(found.get(backend.path, deadline.left(_SECONDS))):
                answering.append(found)
    return answering


def limits(found: Found, shown: Answer, deadline: Deadline) -> list[Check]:
    """Return what is worth knowing of a backend that shows the canary."""
    if found.backend.name == "Tempo":
        return _tempo(found, deadline)
    if found.backend.name == "VictoriaMetrics" and METRIC.encode() in shown.body:
        said = f"names keep their dots: {METRIC}"
        advice = "start it with -opentelemetry.usePrometheusNaming: queries here say gastown_bd_calls_total"
        return [warning("names", said, advice)]
    return []


def _tempo(found: Found, deadline: Deadline) -> list[Check]:
    name = "max_bytes_per_trace"
    try:
        answer = found.get("/status/config", deadline.left(_SECONDS))
    except web.Failed:
        answer = None
    if answer is None or answer.status != 200 or b"overrides:" not in answer.body:
        advice = f"its own limit is 5000000; {_NO_LIMIT} keeps long sessions whole"
        return [skipped(name, "Tempo does not show its configuration", advice)]
    limit = re.search(rb"^\s*max_bytes_per_trace:\s*(\d+)", answer.body, re.MULTILINE)
    if limit and int(limit[1]):
        said = f"{int(limit[1])} bytes a trace: Tempo refuses what goes beyond, some 4,700 spans at 5,000,000"
        return [warning(name, said, f"{_NO_LIMIT} in its configuration")]
    return [ok(name, "no limit")]
