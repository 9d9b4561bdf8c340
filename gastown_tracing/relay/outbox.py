"""Sending metrics: one delivery at a time, by a thread of its own, so that nobody waits for an endpoint.

A delivery that fails is not kept: the next one says the same, and more (OTLP/HTTP, "Failures"; what may be
tried again is, with backoff).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics, ScopeMetrics

from gastown_tracing.relay.addresses import shown
from gastown_tracing.relay.backoff import delay
from gastown_tracing.relay.encode_metrics import Request
from gastown_tracing.relay.http import PROTOBUF, Kind
from gastown_tracing.relay.logfile import iso

if TYPE_CHECKING:
    from gastown_tracing.relay.http import Answer
    from gastown_tracing.relay.series import Exemplar, Histogram, Series, Sum
    from gastown_tracing.relay.settings import Endpoint

#: Seconds after which a metric that was refused is tried again.
REFUSED = 3600.0

#: Metrics that are refused where nothing was ever taken, before the rest is not tried either.
_PATIENCE = 16

#: The answer of an endpoint that takes no protobuf: that is for somebody to see to, no fault of a metric.
_NO_PROTOBUF = 415
#: Seconds that an end may take after its deadline.
_AFTERWARDS = 0.2


class Client(Protocol):
    """What sends requests to one endpoint, as relay/http.py does."""

    def post(self, body: bytes, encoding: str) -> Answer:
        """Send a request; never raises for what the network does."""
        ...

    @property
    def waiting_since(self) -> str | None:
        """Return since when the request under way has had no answer, None for not worth a word."""
        ...

    def abort(self) -> None:
        """End the request that is under way."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one export says: the book's `turn` it is of, the series that begin in it, the exemplars in it."""

    turn: int
    requests: list[Request]
    begun: list[Sum | Histogram]
    exemplars: list[tuple[Series, dict[int, Exemplar]]]


@dataclass(slots=True)
class _Told:
    """What the status says."""

    sent: int = 0
    batches: int = 0
    rejected: int = 0
    retries: int = 0
    refused: int = 0
    last_success: str | None = None
    last_error: dict[str, str] | None = None
    last_dead_letter: str | None = None
    failing_since: str | None = None


@dataclass(slots=True)
class _State:
    busy: Delivery | None = None
    done: list[Delivery] = field(default_factory=list)
    retry_at: float = 0.0
    failures: int = 0
    stopping: bool = False


class Outbox:
    """Sends deliveries to the endpoint that is set. `connect` makes its client, `log` takes a line."""

    def __init__(self, connect: Callable[[Endpoint], Client], log: Callable[[str], None]) -> None:
        self._connect = connect
        self._log = log
        self._endpoint: Endpoint | None = None
        self._client: Client | None = None
        self._told = _Told()
        self._state = _State()
        self._refused: dict[str, float] = {}
        #: Whether this URL has taken points; before that, what it refuses is no metric's fault.
        self._proven = False
        self._doubted: list[tuple[ExportMetricsServiceRequest, Answer]] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="metrics-outbox", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, deadline: float) -> None:
        """End within `deadline` seconds, after the delivery that is under way."""
        idle = self.wait_idle(deadline)
        with self._changed:
            if not idle and self._client is not None:
                self._client.abort()
            self._state.stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_AFTERWARDS)

    def reconfigure(self, endpoint: Endpoint | None) -> None:
        """Send there from now on; None, and one that cannot be used: nowhere."""
        with self._changed:
            if endpoint == self._endpoint:
                return
            if self._client is not None and self._state.busy is None:
                self._client.close()
            if endpoint is None or self._endpoint is None or endpoint.url != self._endpoint.url:
                self._proven = False
            self._endpoint = endpoint
            usable = endpoint is not None and not endpoint.problem
            self._client = self._connect(endpoint) if endpoint is not None and usable else None
            self._told.failing_since = _now() if endpoint is not None and not usable else None
            self._state.retry_at, self._state.failures = 0.0, 0
            self._refused.clear()

    def ready(self, now: float, *, last: bool = False) -> bool:
        """Say whether a delivery would be sent now (monotonic seconds); a last one does not wait its turn."""
        with self._changed:
            state = self._state
            return self._client is not None and state.busy is None and (last or now >= state.retry_at)

    def wait_idle(self, timeout: float) -> bool:
        """Wait until nothing is under way; say whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._state.busy is None, timeout)

    def hand(self, delivery: Delivery) -> None:
        """Send this, as soon as may be."""
        with self._changed:
            self._state.busy = delivery
            self._changed.notify_all()

    def delivered(self) -> list[Delivery]:
        """Return what the endpoint has taken since the last call."""
        with self._changed:
            done, self._state.done = self._state.done, []
        return done

    def told(self) -> dict[str, int]:
        """Return what was counted: `sent`, `rejected` and `refused` points, and `retries`."""
        told = self._told
        return {
            "sent": told.sent,
            "rejected": told.rejected,
            "retries": told.retries,
            "refused": told.refused,
        }

    def status(self) -> dict[str, object]:
        """Return how it is, as JSON has it."""
        told, state, client, endpoint = self._told, self._state, self._client, self._endpoint
        problem = endpoint.problem if endpoint else ""
        error = {"time": told.failing_since, "message": problem} if problem else told.last_error
        wait = state.retry_at - time.monotonic()
        failing = "failing" if state.failures or problem else "ok"
        return {
            "endpoint": shown(endpoint.url) if endpoint else "",
            "state": failing if endpoint else "off",
            "failing_since": told.failing_since if failing == "failing" and endpoint else None,
            "protocol": "protobuf",
            "sent": told.sent,
            "batches": told.batches,
            "retries": told.retries,
            "rejected": told.rejected,
            "dead_letters": told.refused,
            "retry_in_s": round(wait, 1) if wait > 0 else None,
            "waiting_since": client.waiting_since if client is not None else None,
            "last_dead_letter": told.last_dead_letter,
            "last_error": error,
            "last_success": told.last_success,
        }

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._state.busy is not None or self._state.stopping)
                delivery, client = self._state.busy, self._client
            if delivery is None:
                if client is not None:
                    client.close()
                break
            sent = client is not None and self._deliver(client, delivery)
            with self._changed:
                if client is not None and client is not self._client:
                    client.close()  # another endpoint has been set meanwhile
                self._state.busy = None
                if sent:
                    self._state.done.append(delivery)
                self._changed.notify_all()

    def _deliver(self, client: Client, delivery: Delivery) -> bool:
        """Send all requests; say whether the endpoint has them."""
        self._doubted = []
        try:
            for request in delivery.requests:
                found = self._permitted(request)
                if found is not None and not self._send(client, found):
                    return False
            if self._doubted and not self._settled():
                return False
        except Exception as error:  # what a client may not do; the next delivery may fare better
            self._failed(repr(error), None)
            return False
        self._state.failures = 0
        self._told.failing_since = None
        self._told.last_success = _now()
        return True

    def _send(self, client: Client, request: ExportMetricsServiceRequest) -> bool:
        answer = client.post(request.SerializeToString(), PROTOBUF)
        if answer.kind is Kind.TAKEN:
            points = _points(request)
            rejected = max(0, min(answer.rejected, points))  # as the endpoint says, whatever that is
            self._told.batches += 1
            self._proven = self._proven or points > rejected
            self._told.sent += points - rejected
            self._told.rejected += rejected
            if rejected:
                self._log(f"metrics: {rejected} points rejected: {answer.message}")
            return True
        if answer.kind is Kind.RETRY or answer.status == _NO_PROTOBUF:
            self._failed(answer.message, answer.retry_after)
            return False
        halves = _halves(request)
        if halves:
            return all(self._send(client, half) for half in halves)
        if not self._proven:
            self._doubted.append((request, answer))
            return len(self._doubted) < _PATIENCE or self._settled()
        self._refuse(request, answer.message)
        return True

    def _settled(self) -> bool:
        """Say whether this is the right place: then what it refused before was the metrics' fault."""
        if not self._proven:
            answer = self._doubted[-1][1]
            never = "it has never taken anything: is it for metrics?"
            self._failed(f"{answer.message}; {never}", answer.retry_after)
            return False
        for request, answer in self._doubted:
            self._refuse(request, answer.message)
        self._doubted = []
        return True

    def _permitted(self, request: Request) -> ExportMetricsServiceRequest | None:
        """Return a request without the metrics that were refused not long ago; None where nothing is left."""
        now = time.monotonic()
        self._refused = {name: until for name, until in self._refused.items() if until > now}
        if not self._refused:
            return request.message
        left = [single for single in _singles(request.message) if _name(single) not in self._refused]
        return ExportMetricsServiceRequest(resource_metrics=left) if left else None

    def _refuse(self, request: ExportMetricsServiceRequest, message: str) -> None:
        name = _name(request.resource_metrics[0])
        self._refused[name] = time.monotonic() + REFUSED
        self._told.refused += _points(request)
        self._told.last_dead_letter = _now()
        self._told.last_error = {"time": _now(), "message": message}
        self._log(f"metrics: {name} is refused, and tried again in an hour: {message}")

    def _failed(self, message: str, retry_after: float | None) -> None:
        state = self._state
        if not state.failures:
            self._told.failing_since = _now()
            self._log(f"metrics: {message}")
        state.failures += 1
        jitter = random.random()  # noqa: S311 # jitter is no secret
        state.retry_at = time.monotonic() + delay(state.failures, jitter, retry_after)
        self._told.retries += 1
        self._told.last_error = {"time": _now(), "message": message}


def _singles(request: ExportMetricsServiceRequest) -> list[ResourceMetrics]:
    """Return each metric of a request apart, with its resource and scope."""
    found = []
    for group in request.resource_metrics:
        for part in group.scope_metrics:
            for metric in part.metrics:
                scope = ScopeMetrics(scope=part.scope, metrics=[metric])
                found.append(ResourceMetrics(resource=group.resource, scope_metrics=[scope]))
    return found


def _halves(request: ExportMetricsServiceRequest) -> list[ExportMetricsServiceRequest]:
    """Return a request's metrics in two requests; nothing where it has only one."""
    singles = _singles(request)
    middle = len(singles) // 2
    parts = (singles[:middle], singles[middle:]) if middle else ()
    return [ExportMetricsServiceRequest(resource_metrics=part) for part in parts]


def _name(single: ResourceMetrics) -> str:
    return str(single.scope_metrics[0].metrics[0].name)


def _points(request: ExportMetricsServiceRequest) -> int:
    return sum(
        len(getattr(metric, str(metric.WhichOneof("data"))).data_points)
        for group in request.resource_metrics
        for part in group.scope_metrics
        for metric in part.metrics
    )


def _now() -> str:
    return iso(time.time())
