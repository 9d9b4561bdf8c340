"""Where this process is in a trace, and how that reaches its threads and child processes.

While telemetry is off everything here is a no-op and loads nothing: `runtime` is None until `init()` has
set it.
"""

from __future__ import annotations

import functools
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token
    from types import TracebackType
    from typing import ParamSpec, TypeVar

    from opentelemetry.context import Context

    from gastown_tracing.tracing.otel import Runtime

    P = ParamSpec("P")
    R = TypeVar("R")

#: What traces at the moment; None while telemetry is off, before `init()` and after `Provider.shutdown()`.
runtime: Runtime | None = None


def is_active() -> bool:
    """Return whether telemetry is on in this process: between a successful `init()` and `shutdown()`."""
    return runtime is not None


def current_run_id() -> str:
    """Return the run.id (32 lowercase hex digits) that spans begun here belong to, "" for none."""
    return runtime.current_run().run_id if runtime else ""


def child_env(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child process whose parent is the current span: a changed copy of `env`.

    `env` is the environment that the child would have had, by default this process's own. Set are
    TRACEPARENT and TRACESTATE, and our members of BAGGAGE and OTEL_RESOURCE_ATTRIBUTES beside what is
    there; inside `session()` and `with_run_id()` also the variables of that session. With telemetry off,
    and where something cannot be written, it is a plain copy. (OpenTelemetry, "Environment Variables as
    Context Propagation Carriers".)
    """
    found = dict(os.environ if env is None else env)
    active = runtime
    if active is not None:
        try:
            return active.child_env(found)
        except Exception as error:  # the child must start whatever is wrong with us
            active.note(f"no context for a child: {error!r}")
    return found


def set_process_env() -> None:
    """Put the current span into this process's own environment, so that every later child inherits it.

    For programs whose subprocesses are started by code that takes no `env`. It is the only call that modifies
    `os.environ`; `Provider.shutdown()` undoes it. Call it again when another span has become the parent.
    """
    if runtime is not None:
        runtime.process_env.update(child_env())


class with_run_id:  # noqa: N801 # a context manager is named as it is used, like contextlib's
    """A context manager: what begins inside belongs to the run `run_id` and hangs on its root span.

    For a process that works for several runs, such as a daemon. Any text form of a UUID is a run id. One that
    is none, and telemetry that is off, leave everything as it was.
    """

    __slots__ = ("_run_id", "_runtime", "_token")

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._runtime: Runtime | None = None
        self._token: Token[Context] | None = None

    def __enter__(self) -> None:
        self._runtime = runtime
        if self._runtime is not None:
            self._token = self._runtime.enter_run(self._run_id)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Telemetry may have been switched off inside, and the context would stay as it was there.
        active, token = self._runtime, self._token
        self._runtime = self._token = None
        if active is not None and token is not None:
            active.detach(token)


def carry_context(func: Callable[P, R]) -> Callable[P, R]:
    """Return `func` so that it runs in the context of this moment, in whichever thread it is called.

    A new thread and an executor's thread begin with an empty context, so their spans would hang on the
    process instead of on the span that started them: `executor.submit(carry_context(work), item)`. asyncio
    tasks need no help. With telemetry off it is `func` itself.
    """
    active = runtime
    if active is None:
        return func
    here = active.get_current()

    @functools.wraps(func)
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        token = active.attach(here)
        try:
            return func(*args, **kwargs)
        finally:
            active.detach(token)

    return carried
