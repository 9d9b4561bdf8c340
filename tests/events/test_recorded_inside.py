"""What is recorded inside a call of the same event goes to that call, unless it is about something else."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import gastown_tracing as gt
from gastown_tracing import context
from gastown_tracing.testing import CapturedSpans, capture
from tests.api.programs import python

OTHER = "4bf92f3577b34da6a3ce929d0e0e4736"


def logged(captured: CapturedSpans, *names: str) -> list[tuple[object, ...]]:
    """Return these attributes of each event's log record."""
    return [tuple(log["attributes"].get(name) for name in names) for log in captured.logs()]


def test_each_of_several_is_recorded(captured_spans: CapturedSpans) -> None:
    """Records that contradict the call around them are events of their own, below it."""
    with gt.nudge(target="all"):
        for who in "abc":
            gt.record_nudge(target=who)
    assert logged(captured_spans, "target") == [("a",), ("b",), ("c",), ("all",)]
    *inner, outer = captured_spans.as_dicts()
    assert {span["parent_id"] for span in inner} == {outer["span_id"]}
    (counter,) = [found for found in captured_spans.metrics() if found["name"] == "gastown.nudge.total"]
    assert counter["value"] == 4


SECRETS = ("one secret", "two secret")
INSIDE: list[tuple[Callable[[], gt.Call], dict[str, Any], bool]] = [
    (lambda: gt.mail("send", msg_to="a"), {"operation": "archive", "msg_id": "other"}, False),
    (lambda: gt.mail("send", msg_to="a"), {"operation": "send", "msg_id": "hq-1"}, True),
    (lambda: gt.mail("send", msg_to=["a", "b"]), {"operation": "send", "msg_to": "a, b"}, True),
    (lambda: gt.mail("send", msg_to="a"), {"operation": "send", "msg.to": "a"}, True),
    (lambda: gt.mail("send", msg_to="a"), {"operation": "send", "msg.to": "b"}, False),
    (lambda: gt.mail("send", msg_body=SECRETS[0]), {"operation": "send", "msg_body": SECRETS[1]}, False),
    (lambda: gt.mail("send").set(), {"operation": "send", "note": "x"}, True),
    (lambda: gt.bd_call(["list"]), {"args": ["list"], "exit_code": 0}, True),
    (lambda: gt.bd_call(["list", "-q"]), {"args": "list -q", "subcommand": "list"}, True),
    (lambda: gt.bd_call(["list"]), {"subcommand": "show"}, False),
    (lambda: gt.bd_call(["show", SECRETS[0]]), {"args": ["show", SECRETS[1]]}, False),
    (lambda: gt.event("bd.call", args=("show", SECRETS[0])), {"args": ["show", SECRETS[0]]}, True),
    (lambda: gt.event("gt.command", command="x", exit_code=1), {"command": "x", "exit_code": 1.0}, True),
    (lambda: gt.event("gt.command", command="x", exit_code=1), {"command": "x", "exit_code": 2}, False),
    (lambda: gt.done(exit_type="COMPLETED"), {"exit_type": "COMPLETED", "rig": "other"}, True),
    (gt.nudge, {"target": "a", "error": "gone"}, True),
    (lambda: gt.nudge(target="a"), {"target": None}, True),
]


@pytest.mark.parametrize(("call", "said", "same"), INSIDE)
def test_what_contradicts_is_another_event(
    call: Callable[[], gt.Call], said: dict[str, Any], same: bool
) -> None:
    """What is unknown to the call, and what equals what it knows, goes to it; also where neither is shown."""
    with capture({"GT_WORK_RIG": "demo"}) as captured, call() as outer:
        name = outer._name
        gt.record(name, **said)
    assert captured.names().count(name) == len(captured.logs()) == (1 if same else 2)


def test_what_was_set_counts(captured_spans: CapturedSpans) -> None:
    """A second answer, or a second error, is about a second event."""
    with gt.nudge(target="a") as call:
        call.set(error="first")
        gt.record_nudge(target="a", error="first")
        gt.record_nudge(target="a", error="second")
    assert logged(captured_spans, "error") == [("second",), ("first",)]


def test_nobody_records_twice_with_a_span_between(captured_spans: CapturedSpans) -> None:
    """A function or another call around the record changes nothing."""

    @gt.traced
    def inner() -> None:
        with gt.sling(bead="de-1"):
            gt.record_bd_call(args=["list"], exit_code=3)

    with gt.bd_call(["list"]):
        inner()
    assert logged(captured_spans, "exit_code") == [(None,), (3,)]


def test_another_run_has_events_of_its_own(captured_spans: CapturedSpans) -> None:
    """Inside with_run_id and session nothing goes to a call outside."""
    with gt.nudge():
        with gt.with_run_id(OTHER):
            gt.record_nudge(target="a")
        with gt.session(role="mayor"):
            gt.record_nudge(target="b")
        gt.record_nudge(target="c")
    found = [log["attributes"].get("target") for log in captured_spans.logs() if log["name"] == "nudge"]
    assert found == ["a", "b", "c"]


def test_tasks_and_threads_record_their_own(captured_spans: CapturedSpans) -> None:
    """Only who began the call speaks of it, in whichever task or thread that is."""

    async def push(target: str) -> None:
        gt.record_nudge(target=target)

    async def main() -> None:
        with gt.nudge():
            await asyncio.gather(*[push(target) for target in "ab"])
            await push("mine")

    asyncio.run(main())
    with gt.nudge():
        thread = threading.Thread(target=gt.carry_context(lambda: gt.record_nudge(target="thread")))
        thread.start()
        thread.join()
        gt.record_nudge(target="mine, too")
    found = [target for (target,) in logged(captured_spans, "target")]
    assert found == ["a", "b", "mine", "thread", "mine, too"]


def test_a_call_that_has_ended_takes_nothing(captured_spans: CapturedSpans) -> None:
    """A task's context outlives the call in which the task was begun."""

    async def late(ended: asyncio.Event) -> None:
        await ended.wait()
        gt.record_nudge(target="late")

    async def main() -> None:
        ended = asyncio.Event()
        with gt.nudge(target="late"):
            task = asyncio.create_task(late(ended))
            await asyncio.sleep(0)
        ended.set()
        await task

    asyncio.run(main())
    assert logged(captured_spans, "target") == [("late",), ("late",)]


def test_a_forked_child_records_its_own_and_not_its_parents() -> None:
    """The call is the parent's to record; what the child says is an event of the child."""
    source = """
        import os
        from gastown_tracing import nudge, record_nudge
        from gastown_tracing.testing import capture
        with capture() as captured:
            with nudge():
                child = os.fork()
                record_nudge(target="child" if child == 0 else "parent")
                if child:
                    assert os.waitpid(child, 0)[1] == 0
            print([log["attributes"].get("target") for log in captured.logs()], flush=True)
            if child == 0:
                os._exit(0)
    """
    assert python(source, {}).stdout.splitlines() == ["['child']", "['parent']"]


def test_calls_that_are_never_ended_are_forgotten(captured_spans: CapturedSpans) -> None:
    """Nothing of ours keeps a call, nor the span of one that has ended."""
    assert context.runtime is not None
    marks = []
    for end in (False, True):
        call = gt.sling(bead="x")
        call.__enter__()
        assert call._underway is not None
        marks.append(weakref.ref(call._underway._span))
        if end:
            call.__exit__(None, None, None)
        else:
            context.runtime.detach(call._underway._token)
    del call
    gc.collect()
    assert marks[0]() is None
    assert captured_spans.names() == ["sling"]


def test_a_call_inside_itself_is_refused(captured_spans: CapturedSpans) -> None:
    """The inner `with` does nothing, the outer one ends as it should, and the call can be used again."""
    call = gt.sling(bead="a")
    with call:
        with call, call:
            call.set(target="x")
        gt.record_sling(bead="a", error="no such rig")
    with call:
        pass
    assert logged(captured_spans, "target", "error") == [("x", "no such rig"), (None, "")]
    assert captured_spans.errors == ["sling: a call that is under way cannot be entered again"] * 2
