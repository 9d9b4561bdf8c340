"""`traced`: functions of every kind stay what they are, and each call is a span."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import threading
import traceback
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import pytest
from opentelemetry import trace

from gastown_tracing import bd_call, carry_context, sling, traced
from gastown_tracing.testing import CapturedSpans


def current_name() -> str:
    """Return the name of the current span."""
    return str(getattr(trace.get_current_span(), "name", ""))


@traced
def add(a: int, b: int = 2) -> int:
    """Add."""
    return a + b


@traced
async def add_later(a: int, b: int = 2) -> int:
    await asyncio.sleep(0)
    return a + b


@traced
def count(end: int) -> Generator[int, int | None, str]:
    for number in range(end):
        assert current_name() == "count"
        yield number
    return "done"


@traced
async def count_later(end: int) -> AsyncGenerator[int, None]:
    for number in range(end):
        await asyncio.sleep(0)
        assert current_name() == "count_later"
        yield number


class Agent:
    @traced
    def method(self) -> str:
        return current_name()

    @traced
    @classmethod
    def above_class(cls) -> str:
        return f"{cls.__name__} {current_name()}"

    @classmethod
    @traced
    def below_class(cls) -> str:
        return f"{cls.__name__} {current_name()}"

    @traced
    @staticmethod
    def above_static(a: int) -> int:
        return a

    @staticmethod
    @traced
    def below_static(a: int) -> int:
        return a


def test_a_call_is_a_span(captured_spans: CapturedSpans) -> None:
    """The span has the function's name, its place in the code, and the times of the call."""
    assert add(1) == 3
    span = captured_spans.one("add")
    assert span["attributes"]["code.function.name"] == f"{__name__}.add"
    assert (span["kind"], span["status"], span["parent_id"]) == ("internal", "unset", "")
    assert span["end_ns"] - span["start_ns"] == 1_000_000


@pytest.mark.parametrize(
    ("func", "check"),
    [
        (add, inspect.isfunction),
        (add_later, inspect.iscoroutinefunction),
        (count, inspect.isgeneratorfunction),
        (count_later, inspect.isasyncgenfunction),
    ],
)
def test_a_function_stays_what_it_is(func: Callable[..., Any], check: Callable[[object], bool]) -> None:
    """Its kind, name, signature and documentation are those of the function itself."""
    assert check(func)
    original = inspect.unwrap(func)
    assert original is not func
    assert inspect.signature(func) == inspect.signature(original)
    assert (func.__name__, func.__doc__, func.__module__) == (original.__name__, original.__doc__, __name__)


def test_methods_above_and_below_their_decorators(captured_spans: CapturedSpans) -> None:
    """Methods, class methods and static methods can be traced, whichever decorator comes first."""
    assert Agent().method() == "Agent.method"
    assert Agent.above_class() == "Agent Agent.above_class"
    assert Agent.below_class() == "Agent Agent.below_class"
    assert (Agent.above_static(1), Agent().below_static(2)) == (1, 2)
    assert len(captured_spans) == 5


def test_options(captured_spans: CapturedSpans) -> None:
    """Name, attributes and kind are as given; spans of calls within calls are children."""

    @traced(name="outer", attributes={"answer": 42, "bad": "\udcff"}, kind="server")
    def outer() -> int:
        return add(1)

    assert outer() == 3
    span = captured_spans.one("outer")
    assert (span["kind"], span["attributes"]["answer"], span["attributes"]["bad"]) == ("server", 42, "?")
    assert captured_spans.one("add")["parent_id"] == span["span_id"]


def test_arguments_are_captured_by_name(captured_spans: CapturedSpans) -> None:
    """However an argument was passed, and its default when it was not."""

    @traced(capture=("a", "rest", "c", "d", "more"))
    def func(a: int, b: int, *rest: int, c: str = "see", d: object = None, **more: int) -> None:
        """Take every kind of parameter."""

    func(1, 2, 3, 4, d=[5], e=6)
    func(b=2, a=True)  # type: ignore[arg-type]
    first, second = (span["attributes"] for span in captured_spans)
    kept = {name: value for name, value in first.items() if name.startswith("arg.")}
    assert kept == {"arg.a": 1, "arg.rest": "(3, 4)", "arg.c": "see", "arg.d": "[5]", "arg.more": "{'e': 6}"}
    assert (second["arg.a"], second["arg.rest"], second["arg.d"]) == (True, "()", "None")


def test_self_is_no_obstacle_to_capturing(captured_spans: CapturedSpans) -> None:
    """A method's parameters are found, too."""

    class Dispatcher:
        @traced(capture=("bead",))
        def dispatch(self, bead: str) -> None:
            """Do nothing."""

    Dispatcher().dispatch("de-1")
    assert next(iter(captured_spans))["attributes"]["arg.bead"] == "de-1"


def test_a_slip_in_capture_shows_at_once() -> None:
    """A parameter that is not there is refused when the function is decorated, telemetry on or off."""
    with pytest.raises(ValueError, match="add has no parameter 'x'"):
        traced(capture=("x",))(inspect.unwrap(add))


class Hostile:
    """Its representation raises what it was made with."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __repr__(self) -> str:
        raise self.error


class HostileText(str):
    """Text that lies about itself."""

    __slots__ = ()

    def encode(self, *args: str) -> bytes:  # type: ignore[override]  # noqa: ARG002 # as str's
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "recorded"),
    [
        (Hostile(ValueError()), "‹Hostile›"),
        (Hostile(SystemExit()), "‹Hostile›"),
        (Hostile(RecursionError()), "‹Hostile›"),
        pytest.param(HostileText("calm"), "'calm'", id="text that lies"),
        ("\ud800", "?"),
        ("x" * 2000, "x" * 1024 + "…‹cut 976 bytes›"),
        ("é" * 600, "é" * 512 + "…‹cut 176 bytes›"),
    ],
)
def test_hostile_arguments_never_raise(captured_spans: CapturedSpans, value: object, recorded: str) -> None:
    """Whatever an argument's own methods do, the function runs and its span is recorded."""

    @traced(capture=("value",))
    def func(value: object) -> object:
        return value

    assert func(value) is value
    assert captured_spans.one(func.__qualname__)["attributes"]["arg.value"] == recorded
    assert captured_spans.errors == []


class Failure(Exception):  # noqa: N818 # read in a table
    """An error whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("error", [ValueError("no\nway"), KeyError("x"), Failure(), KeyboardInterrupt()])
def test_exceptions_are_recorded_and_go_on_untouched(
    captured_spans: CapturedSpans, error: BaseException
) -> None:
    """The same object comes out, with one frame more in its traceback; the span says what it was."""

    @traced(name="fails")
    def fails() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        fails()
    assert caught.value is error
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert names[1:] == ["traced_function", "fails"]
    span = captured_spans.one("fails")
    assert (span["status"], span["attributes"]["error.type"].rpartition(".")[2]) == (
        "error",
        type(error).__name__,
    )
    assert span["status_message"].startswith(type(error).__name__)
    (event,) = span["events"]
    assert event["name"] == "exception"
    assert event["time_ns"] == span["end_ns"]


def test_recording_of_exceptions_can_be_declined(captured_spans: CapturedSpans) -> None:
    """record_exception=False leaves the status and no event."""

    @traced(name="fails", record_exception=False)
    def fails() -> None:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        fails()
    assert (captured_spans.one("fails")["status"], captured_spans.one("fails")["events"]) == ("error", [])


@pytest.mark.parametrize(("code", "status"), [(None, "unset"), (0, "unset"), (3, "error"), ("no", "error")])
def test_a_successful_exit_is_no_error(captured_spans: CapturedSpans, code: object, status: str) -> None:
    """sys.exit() and sys.exit(0) say that all is well."""

    @traced(name="exits")
    def exits() -> None:
        raise SystemExit(code)

    with pytest.raises(SystemExit):
        exits()
    assert captured_spans.one("exits")["status"] == status


def test_coroutines(captured_spans: CapturedSpans) -> None:
    """A coroutine's span reaches to its end, and tasks that run at the same time keep their own parents."""

    @traced(name="parent")
    async def parent(number: int) -> int:
        results = await asyncio.gather(add_later(number), asyncio.create_task(add_later(number)))
        assert current_name() == "parent"
        return sum(results)

    async def main() -> list[int]:
        return await asyncio.gather(*(parent(number) for number in range(5)))

    assert asyncio.run(main()) == [4, 6, 8, 10, 12]
    parents = {span["span_id"]: span for span in captured_spans if span["name"] == "parent"}
    children = [span for span in captured_spans if span["name"] == "add_later"]
    assert (len(parents), len(children)) == (5, 10)
    for child in children:
        assert child["trace_id"] == parents[child["parent_id"]]["trace_id"]
        assert child["end_ns"] <= parents[child["parent_id"]]["end_ns"]


def test_a_cancelled_coroutine_is_an_error(captured_spans: CapturedSpans) -> None:
    """A task that was cancelled did not do its work."""

    @traced(name="waits")
    async def waits() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waits(), 0.01)

    asyncio.run(main())
    assert captured_spans.one("waits")["status_message"] == "CancelledError"


def test_a_generator_is_one_span_from_first_to_last(captured_spans: CapturedSpans) -> None:
    """It begins with the first `next`, is current only inside, and ends with the last.

    Its value is returned.
    """
    numbers = count(3)
    assert len(captured_spans) == 0
    found = []
    while True:
        try:
            found.append(next(numbers))
        except StopIteration as stop:
            returned = stop.value
            break
        assert current_name() == ""
    assert (found, returned) == ([0, 1, 2], "done")
    assert captured_spans.one("count")["status"] == "unset"


def test_a_generator_closed_early_ends_well(captured_spans: CapturedSpans) -> None:
    """break, close() and the garbage collector end the span without an error, and the generator cleans up."""
    cleaned = []

    @traced(name="early")
    def early() -> Generator[int, None, None]:
        try:
            with sling(target="inside"):
                yield 1
        finally:
            cleaned.append(current_name())

    for number in early():
        assert (number, current_name()) == (1, "")
        break
    gc.collect()
    early().close()  # never started: no span, as nothing ran
    walk = early()
    next(walk)
    walk.close()
    assert cleaned == ["early", "early"]
    assert captured_spans.names() == ["sling", "early", "sling", "early"]
    assert {span["status"] for span in captured_spans} == {"unset"}
    assert current_name() == ""


def test_what_is_sent_and_thrown_reaches_the_generator(captured_spans: CapturedSpans) -> None:
    """send() and throw() work as without us, and an exception's traceback has one frame of ours."""

    @traced(name="talks")
    def talks() -> Generator[str, str, None]:
        said = yield "ready"
        try:
            yield said.upper()
        except KeyError as error:
            yield repr(error)
        raise ValueError("end")

    walk = talks()
    assert (next(walk), walk.send("word"), walk.throw(KeyError("k"))) == ("ready", "WORD", "KeyError('k')")
    with pytest.raises(ValueError, match="end") as caught:
        next(walk)
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[1:] == ["traced_generator", "talks"]
    assert captured_spans.one("talks")["status"] == "error"


def test_an_exception_thrown_through_a_generator_passes_unchanged(captured_spans: CapturedSpans) -> None:
    """What the generator does not catch comes out as the same object."""
    error = KeyError("through")
    walk = count(2)
    next(walk)
    with pytest.raises(KeyError) as caught:
        walk.throw(error)
    assert caught.value is error
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert names.count("traced_generator") == 1
    assert captured_spans.one("count")["status"] == "error"


def test_spans_inside_a_generator_hang_on_it(captured_spans: CapturedSpans) -> None:
    """A span that is open across a `yield` is current inside the generator, and never in its consumer."""

    @traced(name="generator")
    def generator() -> Generator[str, None, None]:
        with sling(target="a"):
            yield current_name()
            yield current_name()
        yield current_name()

    with bd_call(["list"]):
        names = [(inside, current_name()) for inside in generator()]
    assert names == [("sling", "bd.call"), ("sling", "bd.call"), ("generator", "bd.call")]
    ids = {span["name"]: span["span_id"] for span in captured_spans}
    parents = {span["name"]: span["parent_id"] for span in captured_spans}
    assert parents == {"sling": ids["generator"], "generator": ids["bd.call"], "bd.call": ""}


def test_async_generators(captured_spans: CapturedSpans) -> None:
    """An async generator is one span, however it ends, and does not leak into its consumer."""

    @traced(name="fails")
    async def fails() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("no")

    async def main() -> None:
        assert [(n, current_name()) async for n in count_later(2)] == [(0, ""), (1, "")]
        async for _ in count_later(2):
            break
        left = count_later(2)
        assert await anext(left) == 0
        await left.aclose()
        with pytest.raises(ValueError, match="no"):
            [n async for n in fails()]
        thrown = count_later(2)
        await anext(thrown)
        with pytest.raises(KeyError):
            await thrown.athrow(KeyError("x"))
        assert current_name() == ""

    asyncio.run(main())
    statuses = [(span["name"], span["status"]) for span in captured_spans]
    assert sorted(statuses) == [("count_later", "error"), *[("count_later", "unset")] * 3, ("fails", "error")]


def test_partials_and_callable_objects(captured_spans: CapturedSpans) -> None:
    """What has no name of its own is named after its type; what its `__call__` is, the wrapper is."""

    class Doubler:
        def __call__(self, a: int) -> int:
            return 2 * a

    class LaterDoubler:
        async def __call__(self, a: int) -> int:
            await asyncio.sleep(0)
            return 2 * a if current_name() else 0

    class Counter:
        def __call__(self, end: int) -> Generator[str, None, None]:
            for _ in range(end):
                yield current_name().rpartition(".")[2]

    class LaterCounter:
        async def __call__(self, end: int) -> AsyncGenerator[str, None]:
            for _ in range(end):
                yield current_name().rpartition(".")[2]

    async def count_all() -> list[str]:
        return [name async for name in traced(LaterCounter())(2)]

    assert traced(Doubler())(4) == 8
    assert inspect.iscoroutinefunction(traced(LaterDoubler()))
    assert asyncio.run(traced(functools.partial(LaterDoubler(), 4))()) == 8
    assert list(traced(Counter())(2)) == ["Counter"] * 2
    assert asyncio.run(count_all()) == ["LaterCounter"] * 2
    later = traced(functools.partial(inspect.unwrap(add_later), 1))
    assert inspect.iscoroutinefunction(later)
    assert asyncio.run(later()) == 3  # type: ignore[arg-type]
    assert len(captured_spans) == 5


def test_threads_get_the_context_that_is_carried_to_them(captured_spans: CapturedSpans) -> None:
    """carry_context hands the current span to a thread, as often as it is called."""

    @traced(name="parent")
    def parent() -> None:
        threads = [threading.Thread(target=carry_context(add), args=(number,)) for number in range(3)]
        alone = threading.Thread(target=add, args=(1,))
        for thread in (*threads, alone):
            thread.start()
        for thread in (*threads, alone):
            thread.join()

    parent()
    span = captured_spans.one("parent")
    parents = sorted(child["parent_id"] for child in captured_spans if child["name"] == "add")
    assert parents == ["", span["span_id"], span["span_id"], span["span_id"]]


def test_recursion(captured_spans: CapturedSpans) -> None:
    """A function that calls itself is a span in a span."""

    @traced(name="factorial")
    def factorial(n: int) -> int:
        return n * factorial(n - 1) if n else 1

    assert factorial(3) == 6
    spans = captured_spans.as_dicts()
    assert [span["parent_id"] for span in spans] == [*(span["span_id"] for span in spans[1:]), ""]
