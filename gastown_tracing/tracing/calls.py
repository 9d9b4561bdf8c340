"""The events of Gas Town around a block, as a program says them.

While telemetry is off a call does nothing, and loads nothing. While it is on, `underway` has what it does.
"""

from __future__ import annotations

from gastown_tracing import context
from gastown_tracing.tracing.operation import Operation
from gastown_tracing.tracing.wrapping import wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self, TypeVar

    from gastown_tracing.tracing.otel import Runtime
    from gastown_tracing.tracing.underway import Underway
    from gastown_tracing.tracing.wrapping import Binder

    F = TypeVar("F", bound=Callable[..., Any])


class Call:
    """One event of the data model that is a span: a context manager, and a decorator.

    It can be used again when it has ended; inside itself it cannot, and that `with` does nothing. As a
    decorator it takes what it was not told from the function's parameters of the same name: `@sling()` on
    `def dispatch(bead, target)` knows both.
    """

    __slots__ = ("_fields", "_name", "_refused", "_underway")

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        self._name = name
        self._fields = fields
        self._underway: Underway | None = None

    def __enter__(self) -> Self:
        active = context.runtime
        if self._underway is None:
            if active is not None:
                self._refused = 0
                self._underway = begun = self._made(active, self._fields)
                begun.open()
                begun.resume()
        else:
            self._refused += 1
            self._underway.refuse()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._underway is None:
            return
        if self._refused:
            self._refused -= 1
            return
        ended, self._underway = self._underway, None
        ended.leave(error)

    def set(self, **attributes: Any) -> Self:
        """Add what was not known at the start: `call.set(msg_id="hq-1")`, `call.set(exit_code=0)`.

        A keyword is the attribute's name with `_` for `.`. `error="…"` says that it failed, and why.
        """
        if self._underway is not None:
            self._underway.learn(attributes)
        return self

    def __call__(self, func: F) -> F:
        """Return `func` with this event around each call."""
        binders: list[Binder] = []

        def open_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Operation:
            active = context.runtime
            if active is None:  # switched off a moment ago, by another thread
                return Operation("")
            if not binders:
                binders.append(active.underway.binder(self._name, self._fields, func))
            return self._made(active, {**self._fields, **binders[0].values(args, kwargs)})

        wrapped: F = wrap(func, open_call)
        return wrapped

    def _made(self, active: Runtime, fields: dict[str, Any]) -> Underway:
        return active.underway(self._name, fields)


class AnyCall(Call):
    """An event by its name, which need not be one."""

    __slots__ = ()

    def _made(self, active: Runtime, fields: dict[str, Any]) -> Underway:
        return active.underway.of_any(self._name, fields)


class BdCall(Call):
    """The event `bd.call`: what is asked of bd."""

    __slots__ = ()

    def _made(self, active: Runtime, fields: dict[str, Any]) -> Underway:
        return active.bd_underway(self._name, fields)
