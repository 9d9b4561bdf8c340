"""`init()` and its opposite: telemetry of this process, from its beginning to its end.

With a journal each span and log record is written there at once, so that nothing is lost however the process
ends, and whoever ships the journal derives the metrics of events. Without one all three signals go by
OTLP/HTTP. Never both. What a process alone can measure (its runtime, the program's own instruments) it
exports itself, where there is an endpoint for metrics.

Where the program has set up an SDK of its own already, its providers stay the global ones and keep their
exporters, sampler and resource; we add our destination to them. Who configures first owns the configuration.
"""

from __future__ import annotations

import atexit
import os
import threading

from gastown_tracing import config, context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import TracerProvider

    from gastown_tracing.config import Telemetry
    from gastown_tracing.tracing.wiring import Wiring

#: Seconds that the end of a program waits, at most, for its last spans to be sent.
SHUTDOWN_TIMEOUT = 2.0

_lock = threading.Lock()
_provider: Provider | None = None


def init(
    service_name: str = "gastown",
    service_version: str | None = None,
    *,
    env: Mapping[str, str] | None = None,
    runtime_metrics: bool = True,
    flush_on_sigterm: bool = True,
) -> Provider | None:
    """Switch telemetry on in this process; return its provider, or None when telemetry is off.

    `env` is the environment to take settings and context from, by default the process's own. A second call
    returns the same provider until it is shut down. Never raises: `Provider.errors` says what went wrong.

    `runtime_metrics`: a process that lives longer than a second exports its processor time, memory and
    garbage collections, if there is an endpoint for metrics. `flush_on_sigterm`: SIGTERM, where its action is
    the default one and anything is sent by OTLP, first sends what waits and then kills as it would have.
    """
    global _provider  # noqa: PLW0603 # one process, one provider
    with _lock:
        if _provider is None:
            telemetry = config.load(os.environ if env is None else env)
            if telemetry.on:
                _provider = Provider(
                    telemetry, service_name, service_version, runtime_metrics, flush_on_sigterm
                )
                atexit.register(_provider.shutdown)
        return _provider


def install(provider: Provider | None) -> Provider | None:
    """Make `provider` what `init()` returns, and return what it was; for the testing kit."""
    global _provider
    with _lock:
        before, _provider = _provider, provider
        return before


class Provider:
    """Telemetry of this process, between `init()` and `shutdown()`."""

    def __init__(
        self,
        telemetry: Telemetry,
        service_name: str,
        service_version: str | None,
        runtime_metrics: bool,
        flush_on_sigterm: bool,
    ) -> None:
        self._errors: list[str] = []
        self._wiring: Wiring | None = None
        try:
            from gastown_tracing.tracing.wiring import Wiring  # the SDK is loaded only when telemetry is on

            self._wiring = Wiring(
                telemetry, service_name, service_version, self._errors, runtime_metrics=runtime_metrics
            )
            context.runtime = self._wiring.runtime
            if self._wiring.sends:
                self._wiring.end_well(self.shutdown, flush_on_sigterm)
        except Exception as error:  # the host must run whatever is wrong with us
            self._errors.append(f"telemetry could not be switched on: {error!r}")

    @property
    def errors(self) -> list[str]:
        """What went wrong, a line each, the last 100."""
        return list(self._errors)

    @property
    def tracer_provider(self) -> TracerProvider | None:
        """The SDK's provider, for instrumentations that want one; None where it could not be set up."""
        return self._wiring.provider if self._wiring else None

    def shutdown(self, timeout: float = SHUTDOWN_TIMEOUT) -> bool:
        """Send what is left within `timeout` seconds and switch telemetry off; return whether all was sent.

        The signals are sent side by side: an endpoint that is dead takes no time from another. `os.environ`
        is as it was before `set_process_env()`. It runs by itself when the program ends, with the default
        timeout. A second call does nothing. Providers that the program had set up stay as they are.
        """
        global _provider  # noqa: PLW0603 # see init
        with _lock:
            if _provider is self:
                _provider = None
        atexit.unregister(self.shutdown)
        wiring, self._wiring = self._wiring, None
        if wiring is None:
            return True
        if context.runtime is wiring.runtime:
            context.runtime = None
        try:
            return wiring.finish(timeout)
        except Exception as error:  # the host must end as it would without us
            self._errors.append(f"shutdown: {error!r}")
            return False


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 # another thread of the parent may have held it
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
