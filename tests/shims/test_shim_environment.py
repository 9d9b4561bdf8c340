"""What the shims of bd, gt and git hand to the command: context, the receiver's address, PATH."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell_kit import RUN
from shim_kit import Shims

from gastown_tracing import config, members
from gastown_tracing.journal.layout import create
from propagation import resource

RECEIVER = "http://127.0.0.1:21000/abcdefghijklmnopqrstuvwxyz-_0123"
OPERATORS = {
    "GT_OTEL_METRICS_URL": "http://metrics.example/push",
    "GT_OTEL_LOGS_URL": "http://logs.example/insert",
    "BD_OTEL_METRICS_URL": "http://metrics.example/push",
}
EXPORTERS = (*OPERATORS, "BD_OTEL_LOGS_URL")


def handed(shims: Shims, *words: str, **env: str) -> dict[str, str]:
    """Return the environment that the real program gets."""
    done = shims.run(*words, says="env -0", **env)
    return dict(item.partition("=")[::2] for item in done.stdout.decode().split("\0"))


@pytest.fixture
def relay(shims: Shims) -> Iterator[None]:
    """Let somebody hold the relay's lock, and a receiver stand in config.json."""
    create(str(shims.journal.root), {config.RECEIVER: RECEIVER})
    with open(Path(shims.journal.root) / "relay" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("program", ["bd", "gt"])
def test_what_a_program_exports_says_which_span_has_recorded_it(program: str, shims: Shims) -> None:
    """gt.trace_id and gt.span_id stand in the resource of gt and bd, beside what was there."""
    found = handed(shims, program, "list", OTEL_RESOURCE_ATTRIBUTES="team=a%20b,gt.span_id=1111111111111111")
    said = resource.parse(found["OTEL_RESOURCE_ATTRIBUTES"])
    span = shims.span()
    assert (said["gt.trace_id"], said["gt.span_id"], said["team"]) == (RUN, span.span_id, "a b")
    assert found["TRACEPARENT"].split("-")[2] == span.span_id
    assert not {"gt.trace_id", "gt.span_id"} & span.resource.keys()


def test_nobody_else_is_told(shims: Shims) -> None:
    """What git runs is no child of gt's shim, whose span it would seem to be recorded by."""
    inherited = "gt.trace_id=4bf92f3577b34da6a3ce929d0e0e4736,gt.span_id=1111111111111111,x=y"
    found = handed(shims, "git", "fetch", OTEL_RESOURCE_ATTRIBUTES=inherited)
    said = resource.parse(found["OTEL_RESOURCE_ATTRIBUTES"])
    assert said["x"] == "y"
    assert not {"gt.trace_id", "gt.span_id"} & said.keys()
    assert not set(members.OF_CHILD) & shims.span().resource.keys()
    assert found["TRACEPARENT"].split("-")[2] == shims.span().span_id


def test_what_an_operator_switched_on_goes_to_the_receiver(shims: Shims, relay: None) -> None:
    """gt and bd export to the receiver in the place of what the operator has set, git's children as set."""
    for program in ("bd", "gt"):
        found = handed(shims, program, "list", **OPERATORS)
        assert {name: found.get(name) for name in EXPORTERS} == {
            "GT_OTEL_METRICS_URL": f"{RECEIVER}/v1/metrics",
            "GT_OTEL_LOGS_URL": f"{RECEIVER}/v1/logs",
            "BD_OTEL_METRICS_URL": f"{RECEIVER}/v1/metrics",
            "BD_OTEL_LOGS_URL": None,
        }
    found = handed(shims, "git", "fetch", **OPERATORS)
    assert {name: found[name] for name in OPERATORS} == OPERATORS


def test_one_of_gts_starts_both(shims: Shims, relay: None) -> None:
    """gt takes a default for the one that is missing: both go to the receiver. `none` is nobody's address."""
    found = handed(shims, "gt", "version", GT_OTEL_LOGS_URL="http://logs.example/insert")
    assert found["GT_OTEL_METRICS_URL"] == f"{RECEIVER}/v1/metrics"
    found = handed(shims, "gt", "version", GT_OTEL_LOGS_URL="none")
    assert (found["GT_OTEL_LOGS_URL"], found.get("GT_OTEL_METRICS_URL")) == ("none", None)


def test_nothing_is_switched_on_that_was_off(shims: Shims, relay: None) -> None:
    """Without an operator's word no exporter starts; GT_OTEL_NATIVE is that word."""
    for program in ("bd", "gt"):
        assert not set(EXPORTERS) & handed(shims, program, "list").keys()
    found = handed(shims, "gt", "version", GT_OTEL_NATIVE="true")
    assert {found[name].rpartition("/v1/")[0] for name in EXPORTERS} == {RECEIVER}
    found = handed(shims, "bd", "list", GT_OTEL_NATIVE="true")
    assert {name for name in EXPORTERS if name in found} == {"BD_OTEL_METRICS_URL", "BD_OTEL_LOGS_URL"}


def test_without_a_relay_nothing_is_led_away(shims: Shims) -> None:
    """Where nobody receives, what an operator has set stays."""
    create(str(shims.journal.root), {config.RECEIVER: RECEIVER})
    found = handed(shims, "gt", "version", **OPERATORS)
    assert {name: found[name] for name in OPERATORS} == OPERATORS
    assert not set(EXPORTERS) & handed(shims, "gt", "version", GT_OTEL_NATIVE="true").keys()


def test_a_receivers_address_is_no_operators(shims: Shims, relay: None) -> None:
    """A journal that a child of gt makes in another town does not send to the first town's receiver."""
    other = shims.town.parent / "other"
    shims.run(
        "gt", "version",
        says=f"[ $1 = list ] || GT_OTEL_JOURNAL='{other}' GT_ROOT=/other bd list",
        **OPERATORS,
    )  # fmt: skip
    assert json.loads((other / "config.json").read_text()) == {}
    assert config.is_receivers(f"{RECEIVER}/v1/logs")
    assert not config.is_receivers("http://127.0.0.1:4318/v1/logs")
    assert not config.is_receivers("http://logs.example/v1/logs")


@pytest.mark.parametrize("command", ["gt up", "gt daemon start", "gt dolt start"])
def test_what_starts_a_daemon_has_no_sessions_context(command: str, shims: Shims) -> None:
    """Its environment would be every later session's; that the command ran is recorded."""
    found = handed(shims, *command.split(), OTEL_RESOURCE_ATTRIBUTES="x=y,gt.run_id=z", GT_WORK_BEAD="de-1")
    context = {"TRACEPARENT", "TRACESTATE", "BAGGAGE", "GT_RUN", "GT_SESSION", "GT_WORK_BEAD"}
    assert not context & found.keys()
    assert found["OTEL_RESOURCE_ATTRIBUTES"] == "x=y"
    assert (shims.span().trace_id, shims.span().name) == (RUN, "gt.command")


def test_bd_version_finds_itself_alone(shims: Shims) -> None:
    """It warns of a second bd on PATH: for it PATH lacks our folder, whether anything is recorded or not."""
    says = 'echo "$PATH"'
    for env in ({}, {"OTEL_SDK_DISABLED": "true"}):
        path = shims.run("bd", "version", says=says, **env).stdout.decode().strip()
        assert path == ":".join(entry for entry in shims.path.split(":") if entry != str(shims.folder / "bd"))
    assert shims.run("bd", "list", says=says).stdout.decode().strip() == shims.path
    assert shims.run("gt", "version", says=says).stdout.decode().strip() == shims.path


def test_the_name_it_is_called_by(shims: Shims) -> None:
    """The real program is started by its full path: its name means the shim."""
    if shutil.which("setpriv") is None:
        pytest.skip("without setpriv it has the caller's name")
    done = shims.run("bd", "list", says="tr '\\0' '\\n' </proc/$$/cmdline; command -v bd")
    assert done.stdout.decode().split("\n")[-2] == str(shims.folder / "bd" / "bd")
