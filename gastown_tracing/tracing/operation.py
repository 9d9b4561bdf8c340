"""One span under way, whatever began it: the part that every helper shares.

Nothing in here raises into the host: what fails on our side becomes a line of `Provider.errors`.
"""

from __future__ import annotations

import sys

from gastown_tracing import context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextvars import Token
    from types import TracebackType
    from typing import Any, Literal, Self

    from opentelemetry.context import Context
    from opentelemetry.trace import Link
    from opentelemetry.util.types import AttributeValue

    from gastown_tracing.tracing.otel import Run, Runtime

    Kind = Literal["internal", "server", "client", "producer", "consumer"]

#: What lasted so many nanoseconds may be the root span of a long-lived process.
LONG_NS = 1_000_000_000
#: Bytes of an exception's message that are kept.
MESSAGE_LIMIT = 1024


class Operation:
    """A span around a block or a call: `open`, `resume` and `suspend` as often as needed, `close`.

    As a context manager it does all of that. `kind` is the span's; `attributes` are those it begins with.
    """

    __slots__ = (
        "_attributes",
        "_context",
        "_elapsed_ns",
        "_kind",
        "_links",
        "_monotonic",
        "_name",
        "_record_exception",
        "_runtime",
        "_span",
        "_start_ns",
        "_token",
    )

    def __init__(
        self,
        name: str,
        kind: Kind = "internal",
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        links: Sequence[Link] = (),
        record_exception: bool = True,
    ) -> None:
        self._name = name
        self._kind = kind
        self._attributes = attributes or {}
        self._links = links
        self._record_exception = record_exception
        self._runtime: Runtime | None = None

    def __enter__(self) -> Self:
        if context.runtime is not None:
            self.open()
            self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runtime is not None:
            self._runtime.detach(self._token)
            self.close(error)

    def open(self) -> None:
        """Begin the span, without making it the current one. Does nothing while telemetry is off."""
        active = context.runtime
        if active is None:
            return
        try:
            run, where, links = active.placed(active.get_current(), self._links)
            attributes = self.first_attributes(active, run)
            start = self._start_ns = active.now()
            self._monotonic = active.monotonic()
            kind = active.kinds[self._kind]
            self._span = active.tracer.start_span(self._name, where, kind, attributes, links, start)
            self._context = self.inside(active, where)
            self._runtime = active
        except Exception as error:  # the host must not notice
            active.note(f"span {self._name} not begun: {error!r}")

    def resume(self) -> None:
        """Make the span the current one, with what was current inside it when it was suspended."""
        if self._runtime is not None:
            self._token: Token[Context] = self._runtime.attach(self._context)

    def suspend(self) -> None:
        """Make current what was so before `resume`."""
        active = self._runtime
        if active is not None:
            self._context = active.get_current()
            active.detach(self._token)

    def close(self, error: BaseException | None) -> None:
        """End the span: its end is its start plus what a monotonic clock says, so no duration is negative."""
        active, self._runtime = self._runtime, None
        if active is None:
            return
        try:
            self._elapsed_ns = active.monotonic() - self._monotonic
            end = self._start_ns + self._elapsed_ns
            try:
                self.conclude(active, end, error if error is not None and is_failure(error) else None)
                if self._elapsed_ns >= LONG_NS:
                    self._describe_process()
            finally:
                self._span.end(end)
        except Exception as broken:  # the host must not notice
            active.note(f"end of span {self._name}: {broken!r}")

    def inside(self, active: Runtime, where: Context) -> Context:
        """Return the context inside the span."""
        return active.within(self._span, where)

    def first_attributes(self, active: Runtime, run: Run) -> Mapping[str, AttributeValue]:  # noqa: ARG002 # for subclasses
        """Return the attributes that the span begins with, in this run."""
        return {**run.common(), **self._attributes}

    def conclude(self, active: Runtime, end: int, error: BaseException | None) -> None:
        """Say on the span, before it ends at `end`, how it ended: with `error`, None for well."""
        if error is not None and self._span.is_recording():
            failure = self.describe_failure(active, end, error)
            self._span.set_attribute("error.type", type_name(error))
            active.fail(self._span, failure)

    def _describe_process(self) -> None:
        from gastown_tracing.tracing.metering import root_totals  # few spans last so long

        totals = root_totals(self._span, self._elapsed_ns)
        if totals:
            self._span.set_attributes(totals)

    def describe_failure(self, active: Runtime, end: int, error: BaseException) -> str:
        """Record an exception on the span; return it as one line."""
        whole = active.shows_bd_output
        if self._record_exception:
            self._span.add_event("exception", describe(error, whole), end)
        return summary(error, whole)


def is_failure(error: BaseException) -> bool:
    """Return whether the work failed: closing a generator and `sys.exit(0)` say no such thing."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return not isinstance(error, GeneratorExit)


def describe(error: BaseException, whole: bool) -> dict[str, AttributeValue]:
    """Return the attributes of the event `exception` (OpenTelemetry's semantic conventions)."""
    import traceback  # failures are rare

    try:
        if whole or not _shows_arguments(error):
            trace = "".join(traceback.format_exception(error))
        else:
            trace = "".join([*traceback.format_tb(error.__traceback__), summary(error, whole)])
    except Exception:  # an exception whose own methods raise
        trace = ""
    return {
        "exception.type": type_name(error),
        "exception.message": message(error, whole),
        "exception.stacktrace": clean(trace),
    }


def type_name(error: BaseException) -> str:
    """Return the exception's type as OpenTelemetry writes it: with its module, but for builtins."""
    module, name = type(error).__module__, type(error).__qualname__
    return name if module == "builtins" else f"{module}.{name}"


def summary(error: BaseException, whole: bool) -> str:
    """Return the exception as one line: type and message."""
    text = message(error, whole)
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return " ".join(line.split())


def message(error: BaseException, whole: bool) -> str:
    """Return the exception's message; that of a failed command without its arguments, unless `whole`."""
    if _is_of_command(error) and not whole:
        code = getattr(error, "returncode", None)
        return f"exit code {code}" if code is not None else "timed out"
    return text_of(error, str)


def _is_of_command(error: BaseException) -> bool:
    subprocess: Any = sys.modules.get("subprocess")
    return subprocess is not None and isinstance(error, subprocess.SubprocessError)


def _shows_arguments(error: BaseException) -> bool:
    """Return whether printing the exception may print a command's arguments: its own or those of another.

    Python prints an exception's cause or context and what a group consists of, and so on from there.
    """
    seen: set[int] = set()
    found: list[BaseException | None] = [error]
    while found:
        current = found.pop()
        if current is None or id(current) in seen:
            continue
        if _is_of_command(current):
            return True
        seen.add(id(current))
        found += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            found += current.exceptions
    return False


def text_of(value: object, convert: Any) -> str:
    """Return `convert(value)` cut to 1,024 bytes; where the value's own methods fail, its type's name."""
    from gastown_tracing.journal.otlp import cut_text  # loaded by whoever is on

    try:
        return cut_text(clean(convert(value)), MESSAGE_LIMIT)
    except KeyboardInterrupt:
        raise
    except BaseException:  # `__repr__` is the host's code, and may do anything
        return f"‹{type(value).__name__}›"  # quotes that no program prints


def clean(text: str) -> str:
    """Return text that UTF-8 can hold: the protobuf encoder refuses a whole batch for one lone surrogate."""
    text = str.__str__(text)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
