"""Every event of the registry in a journal: from Python, from the shell, and the same from both."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.schema import Event
from tests.api.sink import sink
from tests.events.arrived import Arrived, from_json, from_sink
from tests.events.walk_check import Check
from tests.events.walk_kit import RUN, Walk

WALKS = (Walk("no opt-in"), Walk("all opt-ins", gated=True))
every_walk = pytest.mark.parametrize("walk", WALKS, ids=str)
every_event = pytest.mark.parametrize("event", EVENTS.values(), ids=list(EVENTS))

Walked = Callable[[Walk], Check]
#: What no two processes have in common.
PROCESS = {"service.instance.id", "process.pid"}
#: What the SDK says of itself.
SDK = {"telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version"}


def journalled(journal: Path) -> Arrived:
    """Return what the run's files in a journal hold."""
    files = [journal / "runs" / RUN / name for name in ("traces.jsonl", "logs.jsonl")]
    return from_json(*[json.loads(line) for file in files for line in file.read_bytes().splitlines()])


@pytest.fixture(scope="module")
def from_python(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """Return a function that walks in Python, with endpoints beside the journal."""
    known: dict[Walk, Check] = {}

    def take(walk: Walk) -> Check:
        if walk not in known:
            town, journal = tmp_path_factory.mktemp("town"), tmp_path_factory.mktemp("python") / "journal"
            with sink() as server:
                walk.run(town, {**server.env(), "GT_OTEL_JOURNAL": str(journal)})
            assert not server.spans()
            assert not server.logs()
            known[walk] = Check(walk, town, journalled(journal))
            known[walk].arrived.series = from_sink(server).series
        return known[walk]

    return take


@pytest.fixture(scope="module")
def from_shell(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """Return a function that walks by `gt-trace event`, a process an event, and returns what is left."""
    known: dict[Walk, Check] = {}

    def take(walk: Walk) -> Check:
        if walk not in known:
            town, journal = tmp_path_factory.mktemp("town"), tmp_path_factory.mktemp("shell") / "journal"
            env = {**walk.env(town), "HOME": str(town), "GT_OTEL_JOURNAL": str(journal)}
            for telling in walk.tellings():
                command = [sys.executable, "-m", "gastown_tracing.cli", "event", *telling.words()]
                done = subprocess.run(
                    command, env=env, capture_output=True, text=True, timeout=60, check=False
                )
                assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), telling.words()
            known[walk] = Check(walk, town, journalled(journal))
        return known[walk]

    return take


@every_event
@every_walk
def test_an_event_of_a_program_is_written(from_python: Walked, walk: Walk, event: Event) -> None:
    """Log record and span are those that a receiver gets where there is no journal."""
    from_python(walk).check_logs(event)
    from_python(walk).check_spans(event)


@every_walk
def test_a_program_exports_no_metrics_of_what_it_has_written(from_python: Walked, walk: Walk) -> None:
    """No record takes two ways: whoever ships the journal derives the metrics of its events."""
    from_python(walk).check_whole()
    from_python(walk).check_no_event_metrics()


@every_event
@every_walk
def test_an_event_of_the_shell_is_written(from_shell: Walked, walk: Walk, event: Event) -> None:
    """`gt-trace event` writes the same log record and span as a program."""
    from_shell(walk).check_logs(event)
    from_shell(walk).check_spans(event)


def test_the_shell_writes_what_python_writes(from_python: Walked, from_shell: Walked) -> None:
    """Nothing else is there, and resources differ in what tells one process from another only."""
    typed, told = from_shell(WALKS[0]), from_python(WALKS[0])
    typed.check_whole(one_process=False)
    (resource, *_) = [source.resource for source in told.arrived.sources()]
    wanted = {name: value for name, value in resource.items() if name not in PROCESS | SDK}
    for source in typed.arrived.sources():
        assert source.resource.keys() >= PROCESS
        assert {name: value for name, value in source.resource.items() if name not in PROCESS} == wanted
