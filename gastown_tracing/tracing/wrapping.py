"""Decorators that keep a function what it is: sync or async, generator or not, its signature and its types.

A wrapper adds one frame to a traceback. A generator's span lives from the first `next` to its end, and is the
current one only while the generator runs: its consumer never sees it between two values.
"""

from __future__ import annotations

import functools

from gastown_tracing import context
from gastown_tracing.tracing.operation import Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
    from typing import Any

    #: From the positional and keyword arguments of one call to the span of that call.
    Opener = Callable[[tuple[Any, ...], dict[str, Any]], Operation]

# `inspect` would cost each decorating program 8 ms; these are its CO_GENERATOR, CO_COROUTINE and
# CO_ASYNC_GENERATOR, which the language reference fixes.
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200


def wrap(func: Any, opener: Opener) -> Any:
    """Return `func`, a function or a static or class method, with a span around each call."""
    if isinstance(func, (staticmethod, classmethod)):
        return type(func)(wrap(func.__func__, opener))
    flags = _flags(func)
    if flags & _ASYNC_GENERATOR:
        return _async_generator(func, opener)
    if flags & _COROUTINE:
        return _coroutine(func, opener)
    if flags & _GENERATOR:
        return _generator(func, opener)
    return _function(func, opener)


def _flags(func: Any) -> int:
    while isinstance(func, functools.partial):
        func = func.func
    if not hasattr(func, "__code__"):  # no function or method: its class says what a call is
        func = type(func).__call__
    return int(getattr(getattr(func, "__code__", None), "co_flags", 0))


def _function(func: Callable[..., Any], opener: Opener) -> Callable[..., Any]:
    @functools.wraps(func)
    def traced_function(*args: Any, **kwargs: Any) -> Any:
        if context.runtime is None:
            return func(*args, **kwargs)
        with opener(args, kwargs):
            return func(*args, **kwargs)

    return traced_function


def _coroutine(func: Callable[..., Any], opener: Opener) -> Callable[..., Any]:
    @functools.wraps(func)
    async def traced_coroutine(*args: Any, **kwargs: Any) -> Any:
        if context.runtime is None:
            return await func(*args, **kwargs)
        with opener(args, kwargs):
            return await func(*args, **kwargs)

    return traced_coroutine


def _generator(func: Callable[..., Any], opener: Opener) -> Callable[..., Any]:
    @functools.wraps(func)
    def traced_generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        if context.runtime is None:
            return (yield from func(*args, **kwargs))
        operation = opener(args, kwargs)
        operation.open()
        generator = func(*args, **kwargs)
        resume, given = generator.send, None
        failure: BaseException | None = None
        try:
            while True:
                operation.resume()
                try:
                    value = resume(given)
                finally:
                    operation.suspend()
                resume, given = generator.send, None
                try:
                    given = yield value
                except GeneratorExit:
                    _run_inside(operation, generator.close)
                    raise
                except BaseException as error:  # thrown in by the consumer, and meant for the generator
                    resume, given = generator.throw, _without_own_frame(error)
        except StopIteration as stop:
            return stop.value
        except BaseException as error:
            failure = error
            raise
        finally:
            operation.close(failure)

    return traced_generator


def _async_generator(func: Callable[..., Any], opener: Opener) -> Callable[..., Any]:
    @functools.wraps(func)
    async def traced_async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        # There is no `yield from` for them: off, the same loop runs around a span that is never begun.
        operation = Operation("") if context.runtime is None else opener(args, kwargs)
        operation.open()
        generator = func(*args, **kwargs)
        resume, given = generator.asend, None
        failure: BaseException | None = None
        try:
            while True:
                operation.resume()
                try:
                    value = await resume(given)
                finally:
                    operation.suspend()
                resume, given = generator.asend, None
                try:
                    given = yield value
                except GeneratorExit:
                    operation.resume()
                    try:
                        await generator.aclose()
                    finally:
                        operation.suspend()
                    raise
                except BaseException as error:  # thrown in by the consumer, and meant for the generator
                    resume, given = generator.athrow, _without_own_frame(error)
        except StopAsyncIteration:
            return
        except BaseException as error:
            failure = error
            raise
        finally:
            operation.close(failure)

    return traced_async_generator


def _run_inside(operation: Operation, func: Callable[[], Any]) -> None:
    operation.resume()
    try:
        func()
    finally:
        operation.suspend()


def _without_own_frame(error: BaseException) -> BaseException:
    """Return the error as it was before it passed through the wrapper's `yield`."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next
    return error


class Binder:
    """Finds the values of some of a function's parameters, by name, in the arguments of a call.

    `names` is what is wanted. A name that is no parameter of `func` raises ValueError if `strict`: it is a
    slip of whoever wrote it, and shows when the module is first imported, telemetry on or off.
    """

    def __init__(self, func: Any, names: Sequence[str], *, strict: bool = True) -> None:
        import inspect  # only for decorators that capture; see above

        func = getattr(func, "__func__", func)
        parameters = inspect.signature(func).parameters if names else {}
        unknown = [name for name in names if name not in parameters]
        if unknown and strict:
            raise ValueError(
                f"{getattr(func, '__qualname__', func)} has no parameter {unknown[0]!r} to capture"
            )
        positions = {name: index for index, name in enumerate(parameters)}
        empty = inspect.Parameter.empty
        self._wanted: list[tuple[str, int, Any, Any]] = []
        for name in names:
            if name in parameters:
                found = parameters[name]
                default = None if found.default is empty else found.default
                self._wanted.append((name, positions[name], found.kind, default))
        self._star = inspect.Parameter.VAR_POSITIONAL
        self._keyword_only = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
        self._named = frozenset(parameters)

    def values(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the wanted values by parameter name: given, else the default. Never raises."""
        found: dict[str, Any] = {}
        for name, position, kind, default in self._wanted:
            if kind is self._star:
                found[name] = args[position:]
            elif kind in self._keyword_only:
                rest = {key: value for key, value in kwargs.items() if key not in self._named}
                found[name] = kwargs.get(name, default) if kind is self._keyword_only[0] else rest
            elif position < len(args):
                found[name] = args[position]
            else:
                found[name] = kwargs.get(name, default)
        return found
