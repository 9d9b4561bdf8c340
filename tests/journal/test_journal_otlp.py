"""Every line is OTLP JSON as opentelemetry-proto's own messages read it, field by field."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_kit import RESOURCE, TRACE, any_value, parse_logs, parse_traces, plain

from gastown_tracing._version import VERSION
from gastown_tracing.journal import otlp
from gastown_tracing.journal.parse import parse_logs as read_logs
from gastown_tracing.journal.parse import parse_spans as read_spans

#: How a cut is marked, and how the mark ends.
CUT_BEGINS, CUT_ENDS = "\u2026\u2039cut ", " bytes\u203a"

# Any text at all, lone surrogates included: arguments and file names are bytes of anyone's choice.
texts = st.text(st.characters(exclude_categories=()), max_size=40)
scalars = st.one_of(
    texts, st.booleans(), st.integers(), st.floats(), st.binary(max_size=20), st.none(), st.integers(-9, 9)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
attribute_maps = st.dictionaries(texts, values, max_size=6)
hex_ids = st.binary(min_size=8, max_size=8).map(bytes.hex)
times = st.integers(0, 2**63 - 1)


def clean(text: str) -> str:
    return "".join("?" if "\ud800" <= char <= "\udfff" else char for char in text)


def expected(value: Any) -> Any:
    """Return what a value is after OTLP: what it cannot hold has become text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return str(value)
    if isinstance(value, list):
        return [expected(item) for item in value]
    return expected_attributes(value) if isinstance(value, dict) else value


def expected_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    return {clean(name): expected(value) for name, value in attributes.items() if value is not None}


def typed(value: Any) -> Any:
    """Return the value with its type, so that True is not 1 and 1 is not 1.0."""
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {name: typed(item) for name, item in value.items()}
    return type(value).__name__, value


spans = st.builds(
    otlp.Span,
    st.just(TRACE),
    hex_ids,
    st.just("") | hex_ids,
    texts,
    kind=st.integers(1, 5),
    start_ns=times,
    end_ns=times,
    attributes=attribute_maps,
    status_code=st.integers(0, 2),
    status_message=texts,
    flags=st.integers(0, 2**32 - 1),
    tracestate=texts,
    events=st.lists(st.tuples(texts, times, attribute_maps), max_size=3),
    links=st.lists(st.tuples(st.just("ab" * 16), hex_ids, texts, attribute_maps), max_size=3),
)
logs = st.builds(
    otlp.Log,
    times,
    severity_number=st.integers(0, 24),
    severity_text=texts,
    event_name=texts,
    body=values,
    attributes=attribute_maps,
    trace_id=st.just("") | st.just(TRACE),
    span_id=st.just("") | hex_ids,
    flags=st.integers(0, 255),
)


@settings(deadline=None)
@given(spans, attribute_maps)
def test_a_span_is_read_field_by_field(span: otlp.Span, resource: dict[str, Any]) -> None:
    line = otlp.spans_line(otlp.encode_resource(resource), [span])
    (group,) = parse_traces(line).resource_spans
    (scope,) = group.scope_spans
    (found,) = scope.spans
    assert typed(plain(group.resource.attributes)) == typed(expected_attributes(resource))
    assert (scope.scope.name, scope.scope.version) == ("gastown_tracing", VERSION)
    assert (found.trace_id.hex(), found.span_id.hex()) == (span.trace_id, span.span_id)
    assert (found.parent_span_id.hex(), found.trace_state) == (span.parent_id, clean(span.tracestate))
    assert (found.name, found.kind, found.flags) == (clean(span.name), span.kind, span.flags)
    assert (found.start_time_unix_nano, found.end_time_unix_nano) == (span.start_ns, span.end_ns)
    assert typed(plain(found.attributes)) == typed(expected_attributes(span.attributes))
    assert (found.status.code, found.status.message) == (span.status_code, clean(span.status_message))
    assert [(event.name, event.time_unix_nano, plain(event.attributes)) for event in found.events] == [
        (clean(name), at, expected_attributes(attributes)) for name, at, attributes in span.events
    ]
    assert [
        (link.trace_id.hex(), link.span_id.hex(), link.trace_state, plain(link.attributes))
        for link in found.links
    ] == [
        (trace_id, span_id, clean(state), expected_attributes(attributes))
        for trace_id, span_id, state, attributes in span.links
    ]


@settings(deadline=None)
@given(logs)
def test_a_log_record_is_read_field_by_field(log: otlp.Log) -> None:
    before = time.time_ns()
    (group,) = parse_logs(otlp.logs_line(RESOURCE, [log])).resource_logs
    (scope,) = group.scope_logs
    (found,) = scope.log_records
    assert found.time_unix_nano == log.time_ns
    assert before <= found.observed_time_unix_nano <= time.time_ns()
    assert (found.severity_number, found.severity_text) == (log.severity_number, clean(log.severity_text))
    assert found.event_name == clean(log.event_name)
    assert typed(any_value(found.body)) == typed(None if log.body is None else expected(log.body))
    assert typed(plain(found.attributes)) == typed(expected_attributes(log.attributes))
    assert (found.trace_id.hex(), found.span_id.hex(), found.flags) == (log.trace_id, log.span_id, log.flags)


@settings(deadline=None)
@given(st.lists(spans, min_size=1, max_size=3), attribute_maps)
def test_our_reader_gives_back_what_was_written(written: list[otlp.Span], resource: dict[str, Any]) -> None:
    skipped: list[Any] = []
    line = otlp.spans_line(otlp.encode_resource(resource), written).decode()
    for found, span in zip(read_spans(line, "f", skipped), written, strict=True):
        assert found.resource == expected_attributes(resource)
        assert found.attributes == expected_attributes(span.attributes)
        assert (found.span_id, found.name, found.end_ns) == (span.span_id, clean(span.name), span.end_ns)
        assert (found.kind, found.flags, found.status_code) == (span.kind, span.flags, span.status_code)
        assert [event[1] for event in found.events] == [event[1] for event in span.events]
        assert [link[1] for link in found.links] == [link[1] for link in span.links]
    assert skipped == []


@settings(deadline=None)
@given(logs)
def test_our_reader_gives_back_log_records(log: otlp.Log) -> None:
    skipped: list[Any] = []
    (found,) = read_logs(otlp.logs_line(RESOURCE, [log]).decode(), "f", skipped)
    assert found.attributes == expected_attributes(log.attributes)
    assert found.body == (None if log.body is None else expected(log.body))
    assert (found.event_name, found.trace_id, found.span_id) == (
        clean(log.event_name),
        log.trace_id,
        log.span_id,
    )
    assert skipped == []


def test_every_log_record_can_be_told_from_every_other() -> None:
    records = [otlp.Log(1, event_name="x") for _ in range(3)]
    line = otlp.logs_line(RESOURCE, records)
    found = parse_logs(line).resource_logs[0].scope_logs[0].log_records
    uids = {plain(record.attributes)["log.record.uid"] for record in found}
    assert len(uids) == 3
    assert {len(uid) for uid in uids} == {32}
    again = otlp.logs_line(RESOURCE, [otlp.Log(1, attributes={"log.record.uid": "mine"})])
    assert (
        plain(parse_logs(again).resource_logs[0].scope_logs[0].log_records[0].attributes)["log.record.uid"]
        == "mine"
    )


class Word(str):
    """A text with ideas of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return "else"

    def __format__(self, spec: str) -> str:
        return '"}'

    def __len__(self) -> int:
        return 0

    def encode(self, *_: str) -> bytes:
        return b"encoded"


def test_a_texts_class_has_no_say_in_what_is_written() -> None:
    """Neither as a name, a key or a value, nor where it is cut."""
    span = otlp.Span(TRACE, "b7ad6b7169203331", name=Word("a"), start_ns=1, attributes={Word("k"): Word("v")})
    span.attributes["long"] = Word("x" * otlp.LINE_LIMIT)
    (found,) = parse_traces(otlp.spans_line(RESOURCE, [span])).resource_spans[0].scope_spans[0].spans
    attributes = plain(list(found.attributes))
    assert (found.name, attributes["k"]) == ("a", "v")
    assert attributes["long"].startswith("xxx")
    assert attributes["long"].endswith(CUT_ENDS)


def test_a_span_so_far_has_no_end() -> None:
    assert b"endTimeUnixNano" not in otlp.spans_line(RESOURCE, [otlp.Span(TRACE, "b" * 16, start_ns=1)])


@pytest.mark.parametrize("unit", ["x", '"', "é", "😀", "\x01", "\ud800"])
def test_what_does_not_fit_is_cut_out_of_the_longest_string_and_marked(unit: str) -> None:
    span = otlp.Span(TRACE, "b" * 16, attributes={"stdout": unit * 1_500_000, "short": "kept" * 20})
    line = otlp.spans_line(RESOURCE, [span])
    found = plain(parse_traces(line).resource_spans[0].scope_spans[0].spans[0].attributes)
    kept, mark, rest = found["stdout"].partition(CUT_BEGINS)
    assert mark
    assert set(kept) == set(clean(unit))
    cut = int(rest.removesuffix(CUT_ENDS))
    assert cut + len(kept.encode()) == len((unit * 1_500_000).encode("utf-8", "replace"))
    assert found["short"] == "kept" * 20
    assert len(line) > otlp.LINE_LIMIT * 0.98


def test_what_cannot_be_cut_is_left_out_and_counted() -> None:
    attributes = {f"name {number}" * 10: number for number in range(20_000)}
    span = otlp.Span(TRACE, "b" * 16, attributes=attributes, name="x" * 2_000_000)
    span.events.append(("event", 1, {}))
    span.dropped_attributes = 2
    found = parse_traces(otlp.spans_line(RESOURCE, [span])).resource_spans[0].scope_spans[0].spans[0]
    assert (found.dropped_attributes_count, found.dropped_events_count) == (20_002, 1)
    assert found.name.startswith("xxx")


def test_a_hostile_resource_leaves_room_for_the_record() -> None:
    resource = otlp.encode_resource({"a": "\x01" * 500_000, "service.name": "gastown"})
    line = otlp.spans_line(resource, [otlp.Span(TRACE, "b" * 16, attributes={"text": "x" * 500_000})])
    data = parse_traces(line).resource_spans[0]
    assert plain(data.resource.attributes)["service.name"] == "gastown"
    assert plain(data.scope_spans[0].spans[0].attributes)["text"] == "x" * 500_000


@settings(deadline=None)
@given(texts, st.integers(0, 60))
def test_cutting_splits_no_character_and_says_how_much(text: str, limit: int) -> None:
    data = text.encode("utf-8", "replace")
    result = otlp.cut_text(text, limit)
    if len(data) <= limit:
        assert result == text
    else:
        kept, _, rest = result.rpartition(CUT_BEGINS)
        assert data.startswith(kept.encode())
        assert limit - 3 <= len(kept.encode()) <= limit
        assert int(rest.removesuffix(CUT_ENDS)) == len(data) - len(kept.encode())
