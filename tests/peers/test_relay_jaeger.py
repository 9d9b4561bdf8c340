"""What a user of Jaeger sees of a town that our relay ships, by Jaeger's own query API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from propagation.run import root_span_id
from tests.processes import wait_until

from .jaeger import Jaeger, needs_jaeger, running_jaeger
from .town import Town, check_tree, started

pytestmark = [pytest.mark.peer, needs_jaeger]


@pytest.fixture
def jaeger(tmp_path: Path) -> Iterator[Jaeger]:
    with running_jaeger(tmp_path) as jaeger:
        yield jaeger


def test_a_town_is_shown_whole(jaeger: Jaeger, journal_root: Path, env: dict[str, str]) -> None:
    """Each session is one trace with its tree, its root once, and links to what caused it in the other."""
    town = Town(journal_root, env, traces=jaeger.traces_url)
    with town.relay():
        runs = town.work()
        for run in runs.values():
            wait_until(
                lambda run=run: len(jaeger.otlp(run.trace_id)) >= len(run.spans), "Jaeger has all spans"
            )
    for run in runs.values():
        check_tree(run, jaeger.otlp(run.trace_id), shortest_ns=1)
    assert jaeger.services() == ["gastown"]
    mayor, polecat = runs["mayor"], runs["polecat"]
    (cause,) = jaeger.otlp(polecat.trace_id)[polecat.named("session.start").span_id]["links"]
    assert cause["traceId"] == mayor.trace_id
    assert cause["spanId"] in jaeger.otlp(mayor.trace_id)


def test_a_live_session_is_shown_without_its_root(
    jaeger: Jaeger, journal_root: Path, env: dict[str, str], tmux_socket: str
) -> None:
    """Until it ends its spans hang on a parent that is not there; then the root comes, once."""
    town = Town(journal_root, env, traces=jaeger.traces_url)
    with town.relay():
        run = started(town, tmux_socket)
        town.gt_trace("event", "sling", "bead=de-1tr", "target=demo", GT_RUN=run)
        wait_until(lambda: len(jaeger.otlp(run)) == 2, "Jaeger shows what has ended")
        root = root_span_id(run)
        live = jaeger.otlp(run)
        assert {span["name"]: span["parentSpanId"] for span in live.values()} == {
            "session.start": root,
            "sling": root,
        }
        # The user interface draws such spans side by side, each as a root, and tags the trace "Incomplete".
        shown = {span["operationName"]: span["references"] for span in jaeger.shown(run)}
        assert {name: [each["spanID"] for each in found] for name, found in shown.items()} == {
            "session.start": [root],
            "sling": [root],
        }
        town.gt_trace("session", "stop", run)
        wait_until(lambda: root in jaeger.otlp(run), "Jaeger shows the root")
        wait_until(lambda: len(jaeger.otlp(run)) == 4, "Jaeger shows session.stop")
    check_tree(town.run(run), jaeger.otlp(run), shortest_ns=1)
