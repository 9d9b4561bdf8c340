"""What importing the package costs and shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import gastown_tracing
from tests.api.programs import python
from tests.conftest import clean_environ


def test_every_public_name_is_there() -> None:
    """`__all__` and the lazily loaded names are the same, and all can be had."""
    listed = {name for names in gastown_tracing._HOMES.values() for name in names} | {"__version__"}
    assert set(gastown_tracing.__all__) == listed
    assert list(gastown_tracing.__all__) == sorted(gastown_tracing.__all__)
    for name in gastown_tracing.__all__:
        assert getattr(gastown_tracing, name) is not None
    assert set(gastown_tracing.__all__) <= set(dir(gastown_tracing))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Laziness changes nothing for a name that is not there."""
    assert not hasattr(gastown_tracing, "trace")


def test_no_module_of_the_package_takes_a_public_names_place() -> None:
    """Importing a submodule makes it an attribute of the package: each public name stays what it was."""
    source = """
        import importlib, pkgutil
        import gastown_tracing as gt

        def refuse(name): raise ImportError(name)

        modules = [found.name for found in pkgutil.walk_packages(gt.__path__, "gastown_tracing.", refuse)]
        for module in modules:
            if not module.endswith("__main__"):
                importlib.import_module(module)
        late = {name: getattr(gt, name) for name in gt.__all__}
        for module, names in gt._HOMES.items():
            for name in names:
                assert late[name] is getattr(importlib.import_module(f"gastown_tracing.{module}"), name), name
        assert late["__version__"] == importlib.import_module("gastown_tracing._version").VERSION
        print(len(modules))
    """
    assert int(python(source, clean_environ()).stdout) > 50


def test_importing_the_package_loads_nothing_else() -> None:
    """A bare import loads one module."""
    source = """
        import sys
        before = set(sys.modules)
        import gastown_tracing
        print(*sorted(set(sys.modules) - before))
    """
    assert python(source, clean_environ()).stdout.split() == ["gastown_tracing"]


def test_everything_works_and_nothing_is_loaded_or_written_when_off(tmp_path: Path) -> None:
    """With telemetry off every helper does its work, without the SDK and without a file."""
    source = """
        import asyncio, os, subprocess, sys
        import gastown_tracing as gt

        assert gt.init() is None
        assert not gt.is_active() and gt.current_run_id() == ""

        @gt.traced(capture=("a",))
        def plain(a, b=2): return a + b

        @gt.traced
        def generator():
            got = yield 1
            return got

        @gt.traced
        async def coroutine(): return 5

        class Watched:
            def __repr__(self): raise SystemExit("looked at")

        @gt.traced(capture=("a",))
        async def async_generator(a):
            yield 6

        async def main():
            assert [value async for value in async_generator(Watched())] == [6]
            return await coroutine()

        assert plain(1) == 3 and asyncio.run(main()) == 5
        walk = generator()
        assert next(walk) == 1
        try:
            walk.send("sent")
        except StopIteration as stop:
            assert stop.value == "sent"
        with gt.session(role="mayor") as session, gt.bd_call(["list"]) as call:
            call.set(exit_code=0)
            assert session.run_id == "" and session.child_env() == dict(os.environ)
        for helper in (gt.mail("send"), gt.sling(), gt.nudge(), gt.done(), gt.prime(work_bead="x")):
            with helper:
                pass
        with gt.with_run_id("3f2504e0-4f89-41d3-9a0c-0305e82c3301"):
            assert gt.current_run_id() == ""
        started = gt.start_session(role="mayor")
        assert gt.end_session(started) is False and gt.end_session("x") is False
        assert gt.carry_context(plain) is plain
        assert gt.child_env() == dict(os.environ) and gt.child_env({"A": "b"}) == {"A": "b"}
        gt.set_process_env()
        done = gt.run_bd(["-c", "print(7)"], executable=sys.executable, capture_output=True, text=True)
        assert done.stdout == "7\\n"
        print(*[name for name in sys.modules if name.startswith(("opentelemetry", "google", "requests"))])
    """
    env = {**clean_environ(), "HOME": str(tmp_path)}
    assert python(source, env).stdout == "\n"
    assert list(tmp_path.iterdir()) == []


def test_off_switches_win(tmp_path: Path) -> None:
    """OTEL_SDK_DISABLED, and a journal whose operator removed `on`, switch off whatever else is set."""
    source = "import gastown_tracing, sys; print(gastown_tracing.init(), 'opentelemetry' in sys.modules)"
    on = {**clean_environ(), "GT_OTEL_JOURNAL": str(tmp_path / "journal")}
    assert "Provider" in python(source, on).stdout
    (tmp_path / "journal" / "on").unlink()
    assert python(source, on).stdout == "None False\n"
    disabled = {**on, "GT_OTEL_JOURNAL": str(tmp_path / "other"), "OTEL_SDK_DISABLED": "true"}
    assert python(source, disabled).stdout == "None False\n"
    assert not (tmp_path / "other").exists()


def test_type_checkers_see_the_types_of_what_is_decorated(tmp_path: Path) -> None:
    """mypy --strict keeps the signatures of traced functions and knows every public name."""
    pytest.importorskip("mypy", reason="mypy comes with the extra `lint`")
    (tmp_path / "user.py").write_text(SNIPPET)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-incremental",
        "--cache-dir",
        "/dev/null",
        "user.py",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    said = [line for line in done.stdout.splitlines()[:-1] if " defined in " not in line]
    assert said == EXPECTED, done.stdout + done.stderr


SNIPPET = """
from collections.abc import AsyncIterator, Iterator
import gastown_tracing
from gastown_tracing import bd_call, event, init, record, record_bd_call, record_mail_message, sling, traced

@traced
def one(a: int, *, b: str) -> float:
    return 1.0

@traced(name="two", capture=("a",))
async def two(a: int) -> str:
    return ""

class Agent:
    @traced
    def method(self, a: int) -> Iterator[int]:
        yield a

    @staticmethod
    @traced
    def static(a: int) -> int:
        return a

@sling(bead="a")
def three(target: str) -> None: ...

reveal_type(one)
reveal_type(two)
reveal_type(Agent().method)
reveal_type(Agent.static)
reveal_type(three)
reveal_type(init())
with bd_call(["list"]) as call:
    reveal_type(call)
one("wrong", b="")
gastown_tracing.nothing
reveal_type(event("git.operation", operation="push"))
record("pane.read", session="s", lines_requested=3, error="")
record_bd_call(args=["list"], duration_ms=1.5, exit_code=0)
record_bd_call(exit_code="0")
record_mail_message()
gastown_tracing.record_sling("de-1")
"""

EXPECTED = [
    'user.py:27: note: Revealed type is "def (a: int, *, b: str) -> float"',
    'user.py:28: note: Revealed type is "def (a: int) -> typing.Coroutine[Any, Any, str]"',
    'user.py:29: note: Revealed type is "def (a: int) -> typing.Iterator[int]"',
    'user.py:30: note: Revealed type is "def (a: int) -> int"',
    'user.py:31: note: Revealed type is "def (target: str)"',
    'user.py:32: note: Revealed type is "gastown_tracing.setup.Provider | None"',
    'user.py:34: note: Revealed type is "gastown_tracing.tracing.calls.BdCall"',
    'user.py:35: error: Argument 1 to "one" has incompatible type "str"; expected "int"  [arg-type]',
    'user.py:36: error: Module has no attribute "nothing"  [attr-defined]',
    'user.py:37: note: Revealed type is "gastown_tracing.tracing.calls.Call"',
    (
        'user.py:40: error: Argument "exit_code" to "record_bd_call" has incompatible type "str"; '
        'expected "int | None"  [arg-type]'
    ),
    'user.py:41: error: Missing named argument "operation"  [call-arg]',
    'user.py:42: error: Too many positional arguments for "record_sling"  [call-arg]',
]
