"""What a user of Tempo sees of a town that our relay ships, by Tempo's own query API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from propagation.run import root_span_id
from tests.processes import wait_until

from .tempo import Tempo, needs_tempo, running_tempo
from .town import Town, check_tree, started

pytestmark = [pytest.mark.peer, needs_tempo]

#: What Tempo's search says of a trace whose root it has not.
NO_ROOT = "<root span not yet received>"


@pytest.fixture
def tempo(tmp_path: Path) -> Iterator[Tempo]:
    with running_tempo(tmp_path) as tempo:
        yield tempo


def test_a_town_is_shown_whole(tempo: Tempo, journal_root: Path, env: dict[str, str]) -> None:
    """Each session is one trace with its tree and its root, and is found by its bead and by its links."""
    town = Town(journal_root, env, traces=tempo.traces_url)
    with town.relay():
        runs = town.work()
        for run in runs.values():
            wait_until(
                lambda run=run: len(tempo.trace(run.trace_id)) >= len(run.spans), "Tempo has all spans"
            )
    for run in runs.values():
        check_tree(run, tempo.trace(run.trace_id))
    mayor, polecat = runs["mayor"], runs["polecat"]
    by_bead = f'{{ span.work_bead = "{polecat.bead}" }}'
    wait_until(lambda: polecat.trace_id in found(tempo, by_bead), "Tempo finds the work on a bead")
    caused = f'{{ link:traceID = "{mayor.trace_id}" }}'
    wait_until(lambda: polecat.trace_id in found(tempo, caused), "Tempo finds what a session caused")


def found(tempo: Tempo, query: str) -> dict[str, str]:
    """Return the traces that a query finds, whole ids, with what each is called in the list."""
    return {
        trace["traceID"].zfill(32): trace.get("rootTraceName", trace["rootServiceName"])
        for trace in tempo.search(query)
    }


def test_a_live_session_is_shown_without_its_root(
    tempo: Tempo, journal_root: Path, env: dict[str, str], tmux_socket: str
) -> None:
    """Until it ends the list has no name for it, and its spans hang on a parent that is not there."""
    town = Town(journal_root, env, traces=tempo.traces_url)
    with town.relay():
        run = started(town, tmux_socket)
        town.gt_trace("event", "sling", "bead=de-1tr", "target=demo", GT_RUN=run)
        wait_until(lambda: len(tempo.trace(run)) == 2, "Tempo shows what has ended")
        root = root_span_id(run)
        assert {span["name"]: span["parentSpanId"] for span in tempo.trace(run).values()} == {
            "session.start": root,
            "sling": root,
        }
        ours = f'{{ span.run.id = "{run}" }}'
        wait_until(lambda: run in found(tempo, ours), "Tempo lists it")
        assert found(tempo, ours)[run] == NO_ROOT
        town.gt_trace("session", "stop", run)
        wait_until(lambda: len(tempo.trace(run)) == 4, "Tempo shows the root and session.stop")
        wait_until(lambda: found(tempo, ours)[run] != NO_ROOT, "the list has the root's name")
    assert found(tempo, ours)[run].startswith("gt.session")
    check_tree(town.run(run), tempo.trace(run))
