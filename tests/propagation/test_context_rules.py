"""The rules of context: every row of the decision table of `rules.resolve`."""

from __future__ import annotations

import itertools
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from propagation_strategies import ROOT, RUN, RUN_UUID, SPAN, TRACE, any_text, modest, nearly, traceparents

from propagation import rules
from propagation.traceparent import SpanContext

OTHER_RUN = "0" + "8" * 31
NEW = "f" * 32
FOREIGN = f"00-{TRACE}-{SPAN}-01"
INSIDE = f"00-{RUN}-{SPAN}-01"
PANE = {"TMUX": "/tmp/tmux-0/town,77,3", "TMUX_PANE": "%4"}
SESSION = {"GT_SESSION": "de-rust", "GT_ROOT": "/town"}

#: How an environment can say that it belongs to RUN, and what `source` is then.
BELONGS = {
    "GT_RUN": {"GT_RUN": RUN_UUID},
    "BAGGAGE": {"BAGGAGE": f"gt.run_id={RUN}"},
    "registry": PANE,
}


class Registry:
    """Knows pane %4 of server 77 and the session de-rust of /town; remembers what it was asked."""

    def __init__(self, pane_run: str | None = RUN, session_run: str | None = OTHER_RUN) -> None:
        self.panes = {("/tmp/tmux-0/town", "77", "%4"): pane_run}
        self.sessions = {("de-rust", "/town"): session_run}
        self.asked = 0

    def run_for_pane(self, socket: str, server_pid: str, pane: str) -> str | None:
        self.asked += 1
        return self.panes.get((socket, server_pid, pane))

    def run_for_session(self, name: str, town_root: str) -> str | None:
        self.asked += 1
        return self.sessions.get((name, town_root))


def resolve(env: dict[str, str], registry: rules.Registry | None = None) -> rules.Resolution:
    return rules.resolve(env, registry, lambda: NEW)


ANY_RECEIVER = [{}, {"GT_OTEL_RECEIVER": "http://127.0.0.1:4318/x"}]
in_a_run = pytest.mark.parametrize("source", list(BELONGS))
any_receiver = pytest.mark.parametrize("receiver", ANY_RECEIVER, ids=["without receiver", "with receiver"])


@in_a_run
@any_receiver
@pytest.mark.parametrize(
    "parent", [{}, {"TRACEPARENT": "broken", "TRACESTATE": "a=1"}], ids=["none", "invalid"]
)
def test_row_1_in_a_run_without_traceparent_the_parent_is_the_root(
    source: str, receiver: dict[str, str], parent: dict[str, str]
) -> None:
    found = resolve({**BELONGS[source], **receiver, **parent}, Registry())
    assert (found.source, found.trace_id, found.run_id, found.parent_id) == (source, RUN, RUN, ROOT)
    assert (found.links, found.sampled, found.flags, found.tracestate) == ((), True, 3, ())


@in_a_run
@any_receiver
def test_row_2_a_traceparent_in_the_run_is_the_parent(source: str, receiver: dict[str, str]) -> None:
    env = {**BELONGS[source], **receiver, "TRACEPARENT": INSIDE, "TRACESTATE": "a=1"}
    found = resolve(env, Registry())
    assert (found.source, found.trace_id, found.run_id, found.parent_id) == (source, RUN, RUN, SPAN)
    assert (found.links, found.sampled, found.flags) == ((), True, 1)
    assert (found.tracestate, found.tracestate_text) == ((("a", "1"),), "a=1")


@in_a_run
def test_row_3_with_a_receiver_a_foreign_traceparent_is_the_parent_in_our_trace(source: str) -> None:
    env = {**BELONGS[source], **ANY_RECEIVER[1], "TRACEPARENT": FOREIGN, "TRACESTATE": "a=1"}
    found = resolve(env, Registry())
    assert (found.source, found.trace_id, found.run_id, found.parent_id) == (source, RUN, RUN, SPAN)
    assert (found.links, found.sampled, found.tracestate_text) == ((), True, "a=1")


@in_a_run
@pytest.mark.parametrize("receiver", [{}, {"GT_OTEL_RECEIVER": ""}], ids=["unset", "empty"])
def test_row_4_without_a_receiver_a_foreign_traceparent_is_a_link_and_the_root_the_parent(
    source: str, receiver: dict[str, str]
) -> None:
    env = {**BELONGS[source], **receiver, "TRACEPARENT": FOREIGN, "TRACESTATE": "a=1"}
    found = resolve(env, Registry())
    assert (found.source, found.trace_id, found.run_id, found.parent_id) == (source, RUN, RUN, ROOT)
    assert found.links == (SpanContext(TRACE, SPAN, 1, (("a", "1"),)),)
    assert (found.sampled, found.flags, found.tracestate, found.tracestate_text) == (True, 1, (), "")


@any_receiver
def test_row_5_outside_a_run_a_valid_traceparent_decides_everything(receiver: dict[str, str]) -> None:
    found = resolve({**receiver, "TRACEPARENT": FOREIGN, "TRACESTATE": "a=1"}, Registry())
    assert (found.source, found.trace_id, found.run_id, found.parent_id) == ("TRACEPARENT", TRACE, None, SPAN)
    assert (found.links, found.sampled, found.flags, found.tracestate_text) == ((), True, 1, "a=1")


@any_receiver
@pytest.mark.parametrize(
    "parent", [{}, {"TRACEPARENT": "broken", "TRACESTATE": "a=1"}], ids=["none", "invalid"]
)
def test_row_6_outside_a_run_without_traceparent_a_new_trace_begins(
    receiver: dict[str, str], parent: dict[str, str]
) -> None:
    found = resolve({**receiver, **parent}, Registry())
    assert (found.source, found.trace_id, found.run_id, found.parent_id) == ("new", NEW, None, "")
    assert (found.links, found.sampled, found.flags, found.tracestate) == ((), True, 3, ())


@pytest.mark.parametrize(("bits", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_the_sampled_flag_is_obeyed_outside_a_run_and_only_passed_on_inside(bits: str, sampled: bool) -> None:
    outside = resolve({"TRACEPARENT": f"00-{TRACE}-{SPAN}-{bits}"})
    assert (outside.sampled, outside.flags) == (sampled, int(bits))
    for trace in (RUN, TRACE):
        inside = resolve({"GT_RUN": RUN, "TRACEPARENT": f"00-{trace}-{SPAN}-{bits}"})
        assert (inside.sampled, inside.flags) == (True, int(bits))


def test_the_sources_of_a_run_are_asked_in_their_order() -> None:
    env = {"GT_RUN": OTHER_RUN, "BAGGAGE": f"gt.run_id={NEW}", **PANE, **SESSION, "TRACEPARENT": FOREIGN}
    registry = Registry()
    assert (resolve(env, registry).run_id, registry.asked) == (OTHER_RUN, 0)
    del env["GT_RUN"]
    assert (resolve(env, registry).run_id, registry.asked) == (NEW, 0)
    del env["BAGGAGE"]
    assert resolve(env, registry).run_id == RUN
    del env["TMUX_PANE"]
    assert resolve(env, registry).run_id == OTHER_RUN
    del env["GT_SESSION"]
    assert resolve(env, registry).source == "TRACEPARENT"


def test_a_sessions_name_counts_only_within_its_town() -> None:
    assert resolve({"GT_SESSION": "de-rust", "GT_ROOT": "/other"}, Registry()).run_id is None
    registry = Registry()
    assert (resolve({"GT_SESSION": "de-rust"}, registry).run_id, registry.asked) == (None, 0)


def test_a_pane_of_another_server_is_another_pane() -> None:
    for tmux in ("/tmp/tmux-0/town,78,3", "/tmp/tmux-0/other,77,3", "nonsense", ""):
        assert resolve({**PANE, "TMUX": tmux}, Registry()).run_id is None


def test_an_unknown_pane_falls_back_to_the_session() -> None:
    assert resolve({**PANE, **SESSION}, Registry(pane_run=None)).run_id == OTHER_RUN
    assert resolve({**PANE, **SESSION}, Registry(pane_run="hostile")).run_id == OTHER_RUN


def test_a_run_that_is_no_uuid_counts_as_absent_with_a_note() -> None:
    env = {"GT_RUN": "../../etc", "BAGGAGE": "gt.run_id=nonsense", "TRACEPARENT": FOREIGN}
    found = resolve(env, Registry(pane_run="../../etc"))
    assert found.source == "TRACEPARENT"
    assert len(found.notes) == 2


def test_a_registry_that_fails_counts_as_one_that_does_not_know() -> None:
    registry = Registry()
    registry.run_for_pane = Mock(side_effect=OSError(5, "Input/output error"))  # type: ignore[method-assign]
    found = resolve({**PANE}, registry)
    assert (found.source, found.notes) == ("new", ["registry ignored: OSError"])


def test_baggage_goes_on_to_children() -> None:
    assert resolve({"BAGGAGE": "user=x"}).baggage["user"].value == "x"


values = nearly(traceparents) | any_text | st.sampled_from([RUN, RUN_UUID, FOREIGN, INSIDE])
names = ["GT_RUN", "BAGGAGE", "TRACEPARENT", "TRACESTATE", "TMUX", "TMUX_PANE", "GT_SESSION", "GT_ROOT"]


@modest
@given(st.dictionaries(st.sampled_from([*names, "GT_OTEL_RECEIVER"]), values))
def test_resolving_never_raises_and_always_answers_with_valid_ids(env: dict[str, str]) -> None:
    before = dict(env)
    found = rules.resolve(env, Registry())
    span = SpanContext(found.trace_id, found.parent_id or SPAN, found.flags)
    assert rules.resolve({"TRACEPARENT": f"00-{span.trace_id}-{span.span_id}-01"}).source == "TRACEPARENT"
    assert (found.run_id is None) == (found.source in {"TRACEPARENT", "new"})
    assert env == before


def test_the_table_has_one_row_for_every_combination() -> None:
    """Run or none, with no, own or foreign TRACEPARENT, with and without receiver: twelve outcomes."""
    outcomes = {}
    for run, parent, receiver in itertools.product(
        [{}, {"GT_RUN": RUN}], ["", INSIDE, FOREIGN], ANY_RECEIVER
    ):
        found = resolve({**run, "TRACEPARENT": parent, **receiver})
        outcomes[bool(run), parent, bool(receiver)] = (found.trace_id, found.parent_id, len(found.links))
    assert outcomes == {
        (True, "", False): (RUN, ROOT, 0),
        (True, "", True): (RUN, ROOT, 0),
        (True, INSIDE, False): (RUN, SPAN, 0),
        (True, INSIDE, True): (RUN, SPAN, 0),
        (True, FOREIGN, False): (RUN, ROOT, 1),
        (True, FOREIGN, True): (RUN, SPAN, 0),
        (False, "", False): (NEW, "", 0),
        (False, "", True): (NEW, "", 0),
        (False, INSIDE, False): (RUN, SPAN, 0),
        (False, INSIDE, True): (RUN, SPAN, 0),
        (False, FOREIGN, False): (TRACE, SPAN, 0),
        (False, FOREIGN, True): (TRACE, SPAN, 0),
    }
