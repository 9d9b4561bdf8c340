"""Context in environment variables, as OpenTelemetry's env-carriers specification has it, and our rule 8."""

from __future__ import annotations

import contextlib
import os
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from propagation_strategies import (
    RUN,
    RUN_UUID,
    SPAN,
    TRACE,
    any_text,
    flags,
    modest,
    nearly,
    span_ids,
    text,
    tokens,
    trace_ids,
    traceparents,
    tracestate_entries,
)

from propagation import environ, resource
from propagation.baggage import Member
from propagation.traceparent import PropagationError, SpanContext

PARENT = f"00-{TRACE}-{SPAN}-01"
NAMES = ["TRACEPARENT", "TRACESTATE", "BAGGAGE", "GT_RUN", "OTEL_RESOURCE_ATTRIBUTES", "PATH", "traceparent"]

envs = st.dictionaries(st.sampled_from(NAMES) | any_text, nearly(traceparents) | any_text, max_size=8)
spans = st.builds(SpanContext, trace_ids, span_ids, flags, tracestate_entries)


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("traceparent", environ.TRACEPARENT),
        ("tracestate", environ.TRACESTATE),
        ("baggage", environ.BAGGAGE),
        ("TrAcEpArEnT", "TRACEPARENT"),
        ("x-b3-traceid", "X_B3_TRACEID"),
        ("trace.parent", "TRACE_PARENT"),
        ("3field", "_3FIELD"),
        ("ß-\u0131", "___"),
        ("", "_"),
    ],
)
def test_names_are_normalised(name: str, variable: str) -> None:
    assert environ.normalise(name) == variable


def test_an_environment_is_read_whole() -> None:
    env = {"TRACEPARENT": PARENT, "TRACESTATE": " a=1 ,b=2", "BAGGAGE": "k=%20;p", "GT_RUN": RUN_UUID}
    carrier = environ.read(env)
    assert carrier.span_context == SpanContext(TRACE, SPAN, 1, (("a", "1"), ("b", "2")))
    assert carrier.tracestate_text == "a=1,b=2"
    assert carrier.baggage == {"k": Member(" ", "p")}
    assert (carrier.run_id, carrier.gt_run_text) == (RUN, RUN_UUID)
    assert carrier.notes == []


def test_an_empty_environment_carries_nothing() -> None:
    carrier = environ.read({})
    assert (carrier.span_context, carrier.baggage, carrier.run_id, carrier.notes) == (None, {}, None, [])


def test_only_normalised_names_are_read() -> None:
    carrier = environ.read({"traceparent": PARENT, "Baggage": "a=1", "TRACE_PARENT": PARENT})
    assert (carrier.span_context, carrier.baggage) == (None, {})


def test_what_is_broken_is_left_out_with_a_note_that_does_not_repeat_it() -> None:
    broken = {name: f"secret,{name}" for name in ("TRACEPARENT", "TRACESTATE", "BAGGAGE", "GT_RUN")}
    carrier = environ.read(broken)
    assert (carrier.span_context, carrier.tracestate_text) == (None, "")
    assert (carrier.baggage, carrier.run_id) == ({}, None)
    assert [note.split()[0] for note in carrier.notes] == ["TRACEPARENT", "TRACESTATE", "BAGGAGE", "GT_RUN"]
    assert "secret" not in "".join(carrier.notes)
    assert environ.read({"TRACEPARENT": PARENT, "TRACESTATE": "a"}).notes == [
        "TRACESTATE ignored: empty or not valid"
    ]


def test_a_tracestate_without_a_valid_traceparent_is_discarded() -> None:
    assert environ.read({"TRACESTATE": "a=1"}).tracestate_text == ""


@modest
@given(envs)
def test_reading_never_raises_for_any_environment(env: dict[str, str]) -> None:
    environ.read(env)


def test_a_child_gets_the_context_and_everything_else_as_it_was() -> None:
    env = {
        "PATH": "/bin",
        "odd name%": "\udcff",
        "GT_RUN": RUN_UUID.upper(),
        "TRACEPARENT": PARENT,
        "TRACESTATE": "old=1",
        "BAGGAGE": "user=x;p=1,gt.role=old",
        "OTEL_RESOURCE_ATTRIBUTES": "team=a",
        "TRACE_PARENT": "theirs",
    }
    child = environ.child_env(
        env,
        SpanContext(RUN, "a" * 16, 3, (("new", "1"),)),
        baggage={"gt.role": "crew"},
        resource={"gt.rig": "demo"},
        extra={"GT_WORK_BEAD": "de-1", "TRACE_PARENT": None, "NEVER_SET": None},
    )
    assert child == {
        "PATH": "/bin",
        "odd name%": "\udcff",
        "GT_RUN": RUN_UUID.upper(),
        "TRACEPARENT": f"00-{RUN}-{'a' * 16}-03",
        "TRACESTATE": "new=1",
        "BAGGAGE": "user=x;p=1,gt.role=crew",
        "OTEL_RESOURCE_ATTRIBUTES": "team=a,gt.rig=demo",
        "GT_WORK_BEAD": "de-1",
    }


def test_another_traces_tracestate_is_not_handed_on() -> None:
    assert "TRACESTATE" not in environ.child_env({"TRACESTATE": "a=1"}, SpanContext(TRACE, SPAN))


def test_a_child_without_baggage_or_resource_of_ours_gets_theirs_untouched() -> None:
    env = {"BAGGAGE": " ,, broken ", "OTEL_RESOURCE_ATTRIBUTES": "=,x"}
    child = environ.child_env(env, SpanContext(TRACE, SPAN))
    assert {name: child[name] for name in env} == env


def test_the_input_may_be_read_only_and_is_never_modified() -> None:
    env = {"TRACEPARENT": PARENT, "GT_RUN": RUN_UUID, "BAGGAGE": "a=1"}
    before = dict(env)
    environ.child_env(
        MappingProxyType(env), SpanContext(RUN, SPAN), baggage={"b": "1"}, extra={"GT_RUN": None}
    )
    environ.without_context(MappingProxyType(env))
    assert env == before


def test_this_processs_own_environment_is_never_modified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", PARENT)
    before = dict(os.environ)
    environ.child_env(os.environ, SpanContext(RUN, SPAN), extra={"PATH": None})
    assert dict(os.environ) == before


@modest
@given(
    envs,
    spans,
    st.dictionaries(tokens, text, max_size=8),  # within what baggage.merge adds
    st.dictionaries(text.filter(bool), text | st.none(), max_size=8),
)
def test_what_a_parent_writes_its_child_reads(
    env: dict[str, str], span: SpanContext, baggage: dict[str, str], attributes: dict[str, str | None]
) -> None:
    before = dict(env)
    child = environ.child_env(env, span, baggage=baggage, resource=attributes)
    carrier = environ.read(child)
    assert carrier.span_context == span
    assert {key: carrier.baggage[key].value for key in baggage} == baggage
    found = resource.parse(child.get("OTEL_RESOURCE_ATTRIBUTES"))
    assert all(found.get(key) == value for key, value in attributes.items())
    changed = {"TRACEPARENT", "TRACESTATE", "BAGGAGE", "OTEL_RESOURCE_ATTRIBUTES"}
    assert {name: value for name, value in child.items() if name not in changed} == {
        name: value for name, value in before.items() if name not in changed
    }
    assert env == before


@modest
@given(
    envs,
    st.builds(
        SpanContext, any_text, any_text, st.integers(), st.lists(st.tuples(any_text, any_text)).map(tuple)
    ),
    st.dictionaries(any_text, any_text),
    st.dictionaries(any_text, any_text),
)
def test_writing_raises_nothing_but_the_documented_error(
    env: dict[str, str], span: SpanContext, baggage: dict[str, str], attributes: dict[str, str]
) -> None:
    valid = SpanContext(TRACE, SPAN)
    with contextlib.suppress(PropagationError):
        environ.child_env(env, span)
    with contextlib.suppress(PropagationError):
        environ.child_env(env, valid, baggage=baggage)
    with contextlib.suppress(PropagationError):
        environ.child_env(env, valid, resource=attributes)


def test_a_server_is_started_without_any_sessions_context() -> None:
    env = {
        "PATH": "/bin",
        "TRACEPARENT": PARENT,
        "TRACESTATE": "a=1",
        "BAGGAGE": "a=1",
        "GT_RUN": RUN_UUID,
        "GT_SESSION": "de-rust",
        "GT_WORK_RIG": "demo",
        "GT_WORK_BEAD": "de-1",
        "GT_ROOT": "/town",
        "OTEL_RESOURCE_ATTRIBUTES": "team=a%20b,gt.rig=demo,gt.run_id=x,service.name=bd",
    }
    assert environ.without_context(env) == {
        "PATH": "/bin",
        "GT_ROOT": "/town",
        "OTEL_RESOURCE_ATTRIBUTES": "team=a%20b,service.name=bd",
    }
    assert environ.without_context({"OTEL_RESOURCE_ATTRIBUTES": "gt.rig=demo"}) == {}
