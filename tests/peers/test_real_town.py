"""A real town, unmodified but for the shims on its PATH, is traced as `real_town_expected` has it.

Two towns work at once: one with shims, one without, which has to come to the same end.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from gastown_tracing.journal.layout import Journal
from tests.peers.played import Played, play
from tests.peers.real_town import Call, RealTown, install_shims, needs_town, real_town
from tests.peers.real_town_expected import SESSIONS, STEPS
from tests.peers.real_town_found import Found, expected_session, expected_step

pytestmark = [pytest.mark.peer, needs_town, pytest.mark.xdist_group("real town")]


@dataclass
class Seen:
    """What came of both towns: `played` with shims, `plain` without; every process of gt and bd with them."""

    played: Played
    plain: Played
    found: Found
    calls: list[Call]
    agents: dict[str, str]
    journals: list[str]


def with_shims(town: RealTown) -> tuple[Played, Journal]:
    """Install the shims, and let everything happen behind them."""
    journal = install_shims(town)
    (town.base / "calls").unlink()
    return play(town), journal


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Let both towns work."""
    bases = [tmp_path_factory.mktemp(name) / "t" for name in ("shims", "plain")]
    with real_town(bases[0], counted=("gt", "bd")) as town, real_town(bases[1]) as other:
        with ThreadPoolExecutor() as pool:
            traced, untraced = pool.submit(with_shims, town), pool.submit(play, other)
            (played, journal), plain = traced.result(), untraced.result()
        calls = town.calls()
        agents = {one.actor: str(town.started(one.actor)["env"].get("GT_RUN", "")) for one in SESSIONS}
        found = Found(journal, played)
        journals = [str(place) for place in other.home.glob(".local/state/gastown-tracing/*")]
        yield Seen(played, plain, found, calls, agents, journals)


def test_the_steps_are_what_was_written_down(seen: Seen) -> None:
    """Each command is the span that it has to be, with what hangs below it, its links and its prompts."""
    assert [seen.found.step(step) for step in STEPS] == [expected_step(step, seen.played) for step in STEPS]


def test_the_sessions_are_what_was_written_down(seen: Seen) -> None:
    """Four runs and no other; each begins once, for a reason, with one agent, in the trace of its GT_RUN."""
    assert [seen.found.session(one) for one in SESSIONS] == [expected_session(one) for one in SESSIONS]
    assert sorted(seen.found.runs) == sorted(seen.found.trace_of.values())
    assert {run.replace("-", "") for run in seen.agents.values()} == set(seen.found.runs)


def test_the_work_is_what_was_written_down(seen: Seen) -> None:
    """After its last prime all that an agent did names what was on its hook, nothing where none was."""
    for one in SESSIONS:
        if any(step.by == one.actor and step.span == "prime" for step in STEPS):
            work = (seen.played.fill(one.work), seen.played.fill(one.mol))
            assert seen.found.work(one) == {work}, one.name


def test_every_process_is_one_record(seen: Seen) -> None:
    """Each bd that ran is one `bd.call`, each gt one span: what the program itself was handed says so.

    What a prime of ours asks bd is nobody's command: no record is made of that.
    """
    assert not seen.found.skipped
    roots = {(trace_id, seen.found.root(trace_id)) for trace_id in seen.found.runs}
    ran: dict[str, list[tuple[str, ...]]] = {"bd": [], "gt": []}
    for call in seen.calls:
        span = tuple(call.traceparent.split("-")[1:3])
        if span not in roots:
            ran[call.program].append(span)
        else:
            assert call.arguments.startswith("list --json --status=hooked --assignee="), call
    calls = [(log.trace_id, log.span_id) for log in seen.found.logs if log.event_name == "bd.call"]
    assert sorted(calls) == sorted(ran["bd"])
    spans = {(span.trace_id, span.span_id) for span in seen.found.spans}
    assert len(spans) == len(seen.found.spans)
    assert len(set(ran["gt"])) == len(ran["gt"])
    assert set(ran["gt"]) <= spans


def test_links_and_parents_are_where_they_may_be(seen: Seen) -> None:
    """Links lead out of the trace and never from a root; every parent is in the trace, and in the journal."""
    known = {(span.trace_id, span.span_id) for span in seen.found.spans}
    roots = {(trace_id, seen.found.root(trace_id)) for trace_id in seen.found.runs}
    for span in seen.found.spans:
        assert all(link[0] != span.trace_id for link in span.links), span.name
        if (span.trace_id, span.span_id) in roots:
            assert not span.links
        assert not span.parent_id or (span.trace_id, span.parent_id) in known | roots, span.name


def test_the_operator_is_in_no_run(seen: Seen) -> None:
    """What is done outside any session is a trace of its own, without a run, and without anybody's work."""
    for record in [*seen.found.spans, *seen.found.logs]:
        if record.trace_id not in seen.found.runs:
            assert not {"run.id", "work_bead", "session_id", "role"} & record.attributes.keys()


def test_a_town_without_shims_comes_to_the_same_end(seen: Seen) -> None:
    """The same exit codes, the same states of bead and merge request; without shims nothing is recorded."""
    assert {name: done.code for name, done in seen.played.done.items()} == {
        name: done.code for name, done in seen.plain.done.items()
    }
    assert seen.played.states == seen.plain.states
    assert seen.journals == []
