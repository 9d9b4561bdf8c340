"""The events of Gas Town as helpers: names, attributes, kinds and gates as the data model has them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing import Call, bd_call, done, mail, nudge, prime, run_bd, sling, traced
from gastown_tracing.testing import CapturedSpans, capture
from tests.api.programs import RUN_ID, RUN_UUID

EVENTS: list[tuple[Callable[[], Call], str, str, dict[str, object]]] = [
    (lambda: sling(bead="de-1", target="demo"), "sling", "internal", {"bead": "de-1", "target": "demo"}),
    (lambda: nudge(target="mayor"), "nudge", "internal", {"target": "mayor"}),
    (
        lambda: done(exit_type="COMPLETED", rig="demo", bead_id="de-1", time_to_complete_ms=5),
        "done",
        "internal",
        {"exit_type": "COMPLETED", "rig": "demo", "bead_id": "de-1", "time_to_complete_ms": 5.0},
    ),
    (
        lambda: prime(
            role="polecat", hook_mode=True, work_rig="demo", work_bead="de-1", work_mol="de-wisp-1"
        ),
        "prime",
        "internal",
        {
            "role": "polecat",
            "hook_mode": True,
            "work_rig": "demo",
            "work_bead": "de-1",
            "work_mol": "de-wisp-1",
        },
    ),
    (lambda: mail("list"), "mail", "internal", {"operation": "list", "messaging.operation.name": "list"}),
    (
        lambda: mail(
            "send",
            msg_id="hq-1",
            msg_from="mayor",
            msg_to=["demo/rust", "demo/witness"],
            msg_subject="Hi",
            msg_thread_id="t-1",
            msg_priority="high",
            msg_type="task",
            msg_body="secret",
        ),
        "mail",
        "producer",
        {
            "operation": "send",
            "msg.id": "hq-1",
            "msg.from": "mayor",
            "msg.to": "demo/rust, demo/witness",
            "msg.subject": "Hi",
            "msg.thread_id": "t-1",
            "msg.priority": "high",
            "msg.type": "task",
            "messaging.operation.name": "send",
            "messaging.destination.name": "demo/rust, demo/witness",
            "messaging.message.id": "hq-1",
            "messaging.message.conversation_id": "t-1",
        },
    ),
    (
        lambda: mail("read", msg_id="hq-1"),
        "mail",
        "consumer",
        {
            "operation": "read",
            "msg.id": "hq-1",
            "messaging.operation.name": "read",
            "messaging.message.id": "hq-1",
        },
    ),
]


@pytest.mark.parametrize(("make", "name", "kind", "attributes"), EVENTS)
def test_events(
    captured_spans: CapturedSpans,
    make: Callable[[], Call],
    name: str,
    kind: str,
    attributes: dict[str, object],
) -> None:
    """Each event is a span of its name and kind, with exactly the attributes of the data model's table."""
    with make():
        pass
    span = captured_spans.one(name)
    assert (span["kind"], span["status"]) == (kind, "unset")
    wanted = {"status": "ok", "error": "", **attributes}
    if name == "mail":
        wanted["messaging.system"] = "gastown"
    assert span["attributes"] == wanted
    types = {key: type(value) for key, value in span["attributes"].items() if key in attributes}
    assert types == {key: type(value) for key, value in attributes.items()}


def test_results_are_set_at_the_end(captured_spans: CapturedSpans) -> None:
    """What is learned inside stands on the span, in its type, with OpenTelemetry's name beside it."""
    with mail("send", msg_to="mayor") as call:
        call.set(msg_id="hq-7", msg_thread_id="t")
    attributes = captured_spans.one("mail")["attributes"]
    assert attributes["messaging.message.id"] == attributes["msg.id"] == "hq-7"
    assert attributes["messaging.message.conversation_id"] == "t"


def test_a_call_that_is_used_again_begins_anew(captured_spans: CapturedSpans) -> None:
    """What one use has set stands on its own span alone."""
    call = mail("send")
    for results in ({"msg_id": "one"}, {}):
        with call:
            call.set(**results)
    assert [span["attributes"].get("msg.id") for span in captured_spans] == ["one", None]


def test_a_failure_is_said(captured_spans: CapturedSpans) -> None:
    """By set(error=…) or by an exception: status and error say so."""
    with sling() as call:
        call.set(error="no such rig")
    with pytest.raises(OSError, match="disk"), nudge():
        raise OSError("disk full")
    slung, nudged = captured_spans.as_dicts()
    assert (slung["status"], slung["status_message"]) == ("error", "no such rig")
    assert (slung["attributes"]["status"], slung["attributes"]["error"]) == ("error", "no such rig")
    assert (nudged["attributes"]["error"], nudged["attributes"]["error.type"]) == (
        "OSError: disk full",
        "OSError",
    )


class Hostile:
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError


def test_hostile_values_never_raise(captured_spans: CapturedSpans) -> None:
    """Whatever a value does, the block runs and the span is recorded, without the value and with a note."""
    with sling(bead=Hostile(), target="\ud800") as call:  # type: ignore[arg-type] # that is the point
        call.set(other=Hostile())
    with bd_call([]) as second:
        second.set(exit_code="three")
    attributes = captured_spans.one("sling")["attributes"]
    assert (attributes.get("bead"), attributes["target"], attributes.get("other")) == (None, "?", None)
    assert captured_spans.names() == ["sling", "bd.call"]
    assert captured_spans.errors == [
        "sling: bead left out: RuntimeError",
        "sling: other left out: RuntimeError",
        "bd.call: exit_code left out: not a number: str",
    ]


@pytest.mark.parametrize(
    ("env", "body"),
    [
        ({}, None),
        ({"GT_LOG_MAIL_BODY": "true"}, "a" + "é" * 127 + "…‹cut 146 bytes›"),
    ],
)
def test_mail_bodies_are_gated(env: dict[str, str], body: str | None) -> None:
    """A body is recorded only with GT_LOG_MAIL_BODY, 256 bytes of it, never half a character."""
    with capture(env) as spans, mail("send", msg_body="a" + "é" * 200):
        pass
    assert spans.one("mail")["attributes"].get("msg.body") == body


def test_helpers_decorate_functions_and_know_their_arguments(captured_spans: CapturedSpans) -> None:
    """Parameters named like the event's fill what the helper was not told; each call is a span of its own."""

    @sling(target="demo")
    def dispatch(bead: str, *, other: int = 0) -> str:
        return bead

    @nudge()
    async def push(target: str) -> str:
        return target

    assert (dispatch("de-1"), dispatch(bead="de-2", other=1)) == ("de-1", "de-2")
    assert asyncio.run(push("mayor")) == "mayor"
    found = [(span["attributes"].get("bead"), span["attributes"]["target"]) for span in captured_spans]
    assert found == [("de-1", "demo"), ("de-2", "demo"), (None, "mayor")]
    assert dispatch.__name__ == "dispatch"


SECRET = "top secret"  # noqa: S105 # what must not be seen, but no password

COMMANDS = [
    (["list", "--json"], "list", "list --json"),
    (["create", SECRET, "-t", "task", f"--description={SECRET}"], "create", None),
    (["create", f"-d{SECRET}", "--", "--not-a-flag", SECRET], "create", None),
    (["--actor", SECRET, "update", SECRET], "update", None),
    (["--db", "/x", "sql", f"select '{SECRET}'"], "sql", None),
    ([b"show", Path(SECRET)], "show", f"show ‹{len(SECRET)} bytes›"),
    ([], "", ""),
]


@pytest.mark.parametrize(("args", "subcommand", "shown"), COMMANDS)
def test_bd_arguments_are_masked(
    captured_spans: CapturedSpans, args: list[Any], subcommand: str, shown: str | None
) -> None:
    """Of a command line only the subcommand and the names of flags are recorded."""
    with bd_call(args, executable="/opt/bd") as call:
        call.set(exit_code=0, stdout=SECRET, stderr=SECRET)
    span = captured_spans.one("bd.call")
    attributes = span["attributes"]
    assert (span["kind"], attributes["subcommand"]) == ("client", subcommand)
    assert shown is None or attributes["args"] == shown
    assert SECRET not in repr(span)
    assert {key: value for key, value in attributes.items() if key not in {"args", "subcommand"}} == {
        "process.executable.name": "bd",
        "exit_code": 0,
        "process.exit.code": 0,
        "duration_ms": 1.0,
        "status": "ok",
        "error": "",
    }


def test_what_bd_is_asked_again_and_again_is_masked_each_time() -> None:
    """Masks are remembered: for this very command, not for a change of a list, of the gate, or of a type."""

    class Loud(str):
        """Equal to a text that was seen, and another one."""

        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return hash("show")

    words: list[Any] = ["show", SECRET]
    shown = []
    for env in ({}, {"GT_LOG_BD_OUTPUT": "true"}, {}):
        with capture(env) as spans:
            for _ in range(2):
                with bd_call(words):
                    pass
            other = bd_call(words, executable="/opt/other")
            with bd_call([*words, "x" * 5000]), bd_call([Loud("list"), SECRET]), other:
                pass
        shown.append([span["attributes"]["args"] for span in spans])
        assert spans.as_dicts()[2]["attributes"]["process.executable.name"] == "other"
    masked = f"‹{len(SECRET)} bytes›"
    hidden = [*[f"show {masked}"] * 3, f"list {masked}", f"show {masked} ‹5000 bytes›"]
    open_ = [*[f"show {SECRET}"] * 3, f"list {SECRET}", f"show {SECRET} {'x' * 5000}"]
    assert shown == [hidden, open_, hidden]


def test_bd_content_with_the_operators_leave() -> None:
    """GT_LOG_BD_OUTPUT shows arguments and output, each to its limit."""
    with capture({"GT_LOG_BD_OUTPUT": "true"}) as spans, bd_call(["create", SECRET]) as call:
        call.set(stdout="x" * 3000, stderr=b"y" * 1025)
    attributes = spans.one("bd.call")["attributes"]
    assert attributes["args"] == f"create {SECRET}"
    assert attributes["stdout"] == "x" * 2048 + "…‹cut 952 bytes›"
    assert attributes["stderr"] == "y" * 1024 + "…‹cut 1 bytes›"
    env = {"GT_LOG_BD_OUTPUT": "true", "GT_LOG_BD_CONTENT_LIMIT": "0"}
    with capture(env) as spans, bd_call([]) as call:
        call.set(stdout="x" * 3000)
    assert spans.one("bd.call")["attributes"]["stdout"] == "x" * 3000


ENDS = [
    (0, 0, "ok", "", None),
    (3, 3, "error", "exit code 3", "3"),
    (-9, 137, "error", "killed by SIGKILL", "SIGKILL"),
    (-64, 192, "error", "killed by SIGRTMAX", "SIGRTMAX"),
]


@pytest.mark.parametrize(("code", "shown", "status", "error", "error_type"), ENDS)
def test_how_bd_ended(  # noqa: PLR0917 # one row of a table
    captured_spans: CapturedSpans, code: int, shown: int, status: str, error: str, error_type: str | None
) -> None:
    """A return code as subprocess has it becomes the exit code that a shell would show, and words."""
    with bd_call(["list"]) as call:
        call.set(exit_code=code)
    attributes = captured_spans.one("bd.call")["attributes"]
    assert (attributes["exit_code"], attributes["process.exit.code"]) == (shown, shown)
    found = attributes["status"], attributes["error"], attributes.get("error.type")
    assert found == (status, error, error_type)


def test_prime_sets_the_work_of_what_follows(captured_spans: CapturedSpans) -> None:
    """Spans that begin after a prime carry its work; those of a failed prime carry on with the old one."""
    with sling():
        pass
    with prime(work_rig="demo", work_bead="de-1") as call:
        call.set(work_mol="de-wisp-1")
    with sling():
        pass
    with prime(work_bead="de-2") as call:
        call.set(error="no hook")
    with sling():
        pass
    found = [span["attributes"].get("work_bead") for span in captured_spans if span["name"] == "sling"]
    assert found == [None, "de-1", "de-1"]
    assert captured_spans.as_dicts()[-1]["attributes"]["work_mol"] == "de-wisp-1"


RUN_BD: list[tuple[str, dict[str, Any]]] = [
    ("print('out')", {}),
    ("print('out')", {"capture_output": True}),
    ("import sys; print('out'); sys.exit(3)", {"capture_output": True, "text": True}),
    ("import sys; print('out'); sys.exit(3)", {"capture_output": True, "text": True, "check": True}),
    ("import os; os.kill(os.getpid(), 9)", {"check": True}),
    ("import time; print('x', flush=True); time.sleep(60)", {"timeout": 0.3, "stdout": subprocess.PIPE}),
    (
        "import sys; sys.stdout.write(sys.stdin.read())",
        {"input": "in", "text": True, "stdout": subprocess.PIPE},
    ),
    (
        "import os; print(os.getcwd(), os.environ.get('A'))",
        {"cwd": "/", "env": {"A": "b"}, "capture_output": True},
    ),
    ("import os; print(os.environb.get(b'A'))", {"env": {b"A": b"\xff"}, "capture_output": True}),
    ("", {"cwd": "/nonexistent"}),
    ("", {"env": 7}),
    ("", {"no_such_option": 1}),
]


@pytest.mark.parametrize(("program", "options"), RUN_BD)
def test_run_bd_is_subprocess_run(
    captured_spans: CapturedSpans, program: str, options: dict[str, Any]
) -> None:
    """It returns what subprocess.run returns and raises what that raises, field for field."""
    args = ["-c", program]
    plain = outcome(lambda: subprocess.run([sys.executable, *args], **options))  # noqa: PLW1510 # a row's own
    ours = outcome(lambda: run_bd(args, executable=sys.executable, **options))
    assert ours == plain
    failed = plain[0] != "CompletedProcess" or plain[1]["returncode"] != 0
    assert captured_spans.one("bd.call")["attributes"]["status"] == ("error" if failed else "ok")
    assert captured_spans.errors == []


def outcome(run: Callable[[], object]) -> tuple[str, dict[str, object]]:
    """Return the type and the fields of what a call returns or raises."""
    try:
        found = run()
    except Exception as error:
        return type(error).__name__, {"args": error.args, **vars(error)}
    return type(found).__name__, dict(vars(found))


def test_run_bd_hands_its_span_to_the_child(captured_spans: CapturedSpans) -> None:
    """The child's TRACEPARENT is the span bd.call; the caller's environment is left alone."""
    env = {"KEEP": "1"}
    program = "import os; print(os.environ['TRACEPARENT'], os.environ['KEEP'])"
    said = run_bd(["-c", program], executable=sys.executable, env=env, capture_output=True, text=True).stdout
    span = captured_spans.one("bd.call")
    assert said == f"00-{span['trace_id']}-{span['span_id']}-01 1\n"
    assert env == {"KEEP": "1"}
    assert "TRACEPARENT" not in os.environ


def test_run_bd_works_where_our_variables_are_too_much(captured_spans: CapturedSpans) -> None:
    """With an environment that is as large as the system allows the child runs without ours."""
    limit = 128 * 1024 - 10  # one string's limit on Linux (MAX_ARG_STRLEN)
    env = {"OTEL_RESOURCE_ATTRIBUTES": f"k={'x' * (limit - 50)}", "GT_ROLE": "mayor" * 20}
    done = run_bd(["-c", "print(1)"], executable=sys.executable, env=env, capture_output=True)
    assert done.stdout == b"1\n"
    assert captured_spans.one("bd.call")["attributes"]["status"] == "ok"


def test_a_failed_command_shows_no_arguments(captured_spans: CapturedSpans) -> None:
    """CalledProcessError prints its whole command; what is recorded of it, anywhere, does not."""

    @traced(name="outer")
    def outer() -> None:
        try:
            run_bd(["-c", "raise SystemExit(4)", SECRET], executable=sys.executable, check=True)
        except subprocess.CalledProcessError as error:
            raise RuntimeError("bd failed") from error

    with pytest.raises(RuntimeError):
        outer()
    assert SECRET not in repr(captured_spans.as_dicts())
    assert captured_spans.one("bd.call")["status_message"] == "exit code 4"
    assert captured_spans.one("outer")["status_message"] == "RuntimeError: bd failed"


def test_a_missing_bd_is_an_error(captured_spans: CapturedSpans, tmp_path: Path) -> None:
    """FileNotFoundError comes out, and is what the span says."""
    with pytest.raises(FileNotFoundError):
        run_bd(["list"], executable=str(tmp_path / "bd"))
    assert captured_spans.one("bd.call")["attributes"]["error.type"] == "FileNotFoundError"


def test_identity_stands_on_every_span() -> None:
    """run.id and who acts are on every span; an event's own value wins."""
    env = {
        "GT_RUN": RUN_UUID,
        "GT_ROLE": "demo/polecats/rust",
        "GT_RIG": "demo",
        "GT_SESSION": "gt-demo-rust",
        "GT_AGENT": "claude",
        "GT_WORK_BEAD": "de-1",
    }
    with capture(env) as spans, done(rig="other"):
        pass
    attributes = spans.one("done")["attributes"]
    wanted = {
        "run.id": RUN_ID,
        "role": "polecat",
        "agent_name": "rust",
        "agent_type": "claudecode",
        "session_id": "gt-demo-rust",
        "work_bead": "de-1",
        "rig": "other",
    }
    assert {key: attributes[key] for key in wanted} == wanted
