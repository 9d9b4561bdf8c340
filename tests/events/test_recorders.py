"""Each event's typed function: from the registry, complete, typed, and silent while telemetry is off."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gastown_tracing as gt
from gastown_tracing.events import recorders
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.schema import FLAG, FLOAT, INTEGER, TEXT, WORDS, Attribute, Event
from gastown_tracing.settings import SETTINGS
from gastown_tracing.testing import capture
from tests.api.programs import python
from tests.conftest import ROOT, clean_environ

SAMPLES: dict[str, Any] = {TEXT: "some text", INTEGER: 3, FLOAT: 1.5, FLAG: True, WORDS: ["list", "--json"]}
RECORDED = {**SAMPLES, WORDS: "list --json"}
#: Texts that are kept as they are where others are not.
CLEAN = {"bd": "list", "git": "push", "gt": "mail send", "program": "tool"}
ALL_GATES = {
    setting.name: "true"
    for setting in SETTINGS
    if setting.name.startswith("GT_LOG") and setting.kind == "flag"
}
ANNOTATIONS = {TEXT: "str", INTEGER: "int", FLOAT: "float", FLAG: "bool", WORDS: "Sequence[str]"}


def sample(attribute: Attribute) -> Any:
    """Return a value that an attribute may have."""
    return attribute.values[0] if attribute.values else CLEAN.get(attribute.clean, SAMPLES[attribute.type])


def recorded(attribute: Attribute) -> Any:
    """Return how that value is recorded."""
    return attribute.values[0] if attribute.values else CLEAN.get(attribute.clean, RECORDED[attribute.type])


def function_of(event: Event) -> Callable[..., None]:
    """Return the public function of an event."""
    function: Callable[..., None] = getattr(gt, f"record_{event.parameter}")
    return function


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.name)
def test_a_typed_function_records_its_event(event: Event) -> None:
    """Everything that it is given is recorded, under the registry's names."""
    given = {attribute.parameter: sample(attribute) for attribute in event.attributes}
    with capture(ALL_GATES) as captured:
        function_of(event)(**given)
    (log,) = captured.logs()
    wanted = {attribute.name: recorded(attribute) for attribute in event.attributes}
    if "exit_code" in wanted:
        wanted |= {"status": "error", "error": "exit code 3"}
    found = {name: log["attributes"].get(name) for name in wanted}
    assert (log["name"], found, captured.errors) == (event.name, wanted, [])
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in wanted.items()
    }
    named = [wanted["name"] if event.name == "exec" else event.name]
    assert captured.names() == (named if event.is_span else [])


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.name)
def test_a_typed_function_needs_no_more_than_it_must(event: Event) -> None:
    """With what is required alone it records that, and how it failed where it can."""
    given = {attribute.parameter: sample(attribute) for attribute in event.attributes if attribute.required}
    with capture(ALL_GATES) as captured:
        function_of(event)(**given, **({"error": "no"} if event.outcome else {}))
    (log,) = captured.logs()
    known = {attribute.name: recorded(attribute) for attribute in event.attributes if attribute.required}
    assert {name: log["attributes"][name] for name in known} == known
    assert log["attributes"].get("error") == ("no" if event.outcome else None)
    assert captured.errors == []


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.name)
def test_a_typed_functions_signature_is_the_registrys(event: Event) -> None:
    """Keyword-only; required attributes have no default, the others are None, and an error is empty."""
    wanted = {
        attribute.parameter: (
            ("str | Sequence[str]" if attribute.several else ANNOTATIONS[attribute.type])
            + ("" if attribute.required else " | None"),
            inspect.Parameter.empty if attribute.required else None,
        )
        for attribute in event.attributes
    }
    if event.outcome:
        wanted["error"] = ("str", "")
    parameters = inspect.signature(function_of(event)).parameters.values()
    assert {found.name: (found.annotation, found.default) for found in parameters} == wanted
    assert {found.kind for found in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    assert f"Record `{event.name}`" in (function_of(event).__doc__ or "")


def test_every_function_is_public() -> None:
    """The package has one for each event, and mail's also by the name that says what is recorded."""
    functions = {name for name in vars(recorders) if name.startswith("record_")}
    assert functions == {f"record_{event.parameter}" for event in EVENTS.values()} | {"record_mail_message"}
    assert functions == {name for name in gt.__all__ if name.startswith("record_")}
    assert gt.record_mail_message is gt.record_mail


def test_while_telemetry_is_off_nothing_is_looked_at_or_loaded() -> None:
    """Not even a value: each call returns at once, and OpenTelemetry is not there."""
    source = """
        import sys
        import gastown_tracing as gt
        class Watched:
            def __getattribute__(self, name): raise SystemExit("looked at")
        for name in gt.__all__:
            if name.startswith("record_"):
                function = getattr(gt, name)
                function(**{key: Watched() for key in function.__kwdefaults__ or {}},
                         **{key: Watched() for key in function.__annotations__
                            if key not in (function.__kwdefaults__ or {}) and key != "return"})
        gt.record("nudge", target=Watched(), error=Watched())
        gt.record("no.such")
        with gt.event("git.operation", operation=Watched()) as call: call.set(exit_code=Watched())
        print(*[name for name in sys.modules if name.startswith("opentelemetry")])
    """
    assert python(source, clean_environ()).stdout == "\n"


def test_what_is_generated_is_fresh() -> None:
    """`--check` says nothing about the functions, the package's names and the reference of events."""
    command = [sys.executable, "-m", "docs.generate", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not {"recorders.py", "__init__.py", "events.md"} & {
        Path(name.strip()).name for name in done.stderr.partition(";")[0].removeprefix("stale:").split(",")
    }


def test_one_more_event_makes_every_generated_file_stale() -> None:
    """The generator needs nothing but its entry, and says which files want to be written again."""
    script = """
        import sys
        from gastown_tracing.events.registry import EVENTS
        from gastown_tracing.events.schema import Attribute, Event
        EVENTS["a.b"] = Event("a.b", "Something new.", (Attribute("x.y", "A thing.", required=True),))
        from docs import from_registry
        assert "def record_a_b(" in from_registry.recorders() and "x_y: str," in from_registry.recorders()
        assert '"record_a_b"' in from_registry.names() and "record_a_b," in from_registry.imports()
        assert "## a.b" in from_registry.reference() and "**`x.y`**" in from_registry.reference()
        from docs.generate import main
        sys.exit(main(["--check"]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    for name in ("docs/events.md", "gastown_tracing/events/recorders.py", "gastown_tracing/__init__.py"):
        assert name in done.stderr


def test_while_telemetry_is_off_nothing_is_loaded_that_only_records() -> None:
    """Each public name is used once; what knows events, masks and records is not there."""
    source = """
        import sys
        import gastown_tracing as gt
        before = set(sys.modules)
        assert gt.init() is None
        for name in gt.__all__:
            if name.startswith("record_"):
                getattr(gt, name)(**dict.fromkeys(getattr(gt, name).__annotations__.keys() - {"return"}, "x"))
        gt.record("sling", bead="x")
        calls = (gt.mail("send"), gt.sling(), gt.nudge(), gt.done(), gt.prime(), gt.bd_call([]))
        for call in (*calls, gt.event("x")):
            with call: call.set(error="x")
            assert isinstance(call, gt.Call) and call(lambda: 1)() == 1
        assert gt.traced(lambda: 2)() == 2 and gt.carry_context(len) is len
        with gt.with_run_id("x"), gt.session(role="mayor") as session: pass
        assert isinstance(session, gt.Session) and gt.end_session(gt.start_session(role="mayor")) is False
        assert not gt.is_active() and gt.current_run_id() == "" and gt.Provider and gt.child_env() is not None
        gt.set_process_env()
        print(*sorted(set(sys.modules) - before))
    """
    # `run_bd` needs subprocess, and the names of `logging` need that.
    loaded = set(python(source, clean_environ()).stdout.split())
    heavy = {"re", "typing", "enum", "inspect", "opentelemetry", "gastown_tracing.masking"}
    heavy |= {"gastown_tracing.words", "gastown_tracing.tracing.underway"}
    assert not loaded & heavy
    assert {name for name in loaded if name.startswith("gastown_tracing.events.")} == {
        "gastown_tracing.events.recorders"
    }
