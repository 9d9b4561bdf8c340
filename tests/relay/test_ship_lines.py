"""What is made of lines: each record as its reader would read it, in JSON and in protobuf, torn or whole."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gastown_tracing.journal.otlp import (
    Log,
    Span,
    encode_resource,
    encode_scope,
    logs_line,
    spans_line,
)
from gastown_tracing.journal.parse import ReadLog, ReadSpan, Skip, parse_logs, parse_spans
from gastown_tracing.relay.feed import Piece
from gastown_tracing.relay.protobuf import Encoder
from gastown_tracing.relay.splice import Splicer
from tests.relay.otlp_json import to_json
from tests.relay.relay_kit import log_line, run_id, span_id, span_line

RUN = run_id(0)
REQUESTS: dict[str, Any] = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest}

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
scalars = texts | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.binary(max_size=5)
scalars |= st.floats(allow_nan=False, allow_infinity=False)
names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
attributes = st.dictionaries(names, values, max_size=4)
times = st.integers(0, 2**63)
trace_ids = st.integers(1, 2**128 - 1).map("{:032x}".format)
span_ids = st.integers(1, 2**64 - 1).map("{:016x}".format)
uint32 = st.integers(0, 2**32 - 1)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    return Span(
        draw(trace_ids),
        draw(span_ids),
        draw(st.just("") | span_ids),
        draw(texts),
        kind=draw(st.integers(0, 5)),
        start_ns=draw(times),
        end_ns=draw(times),
        attributes=draw(attributes),
        status_code=draw(st.integers(0, 2)),
        status_message=draw(texts),
        flags=draw(uint32),
        tracestate=draw(st.just("") | texts),
        events=draw(st.lists(st.tuples(texts, times, attributes), max_size=2)),
        links=draw(st.lists(st.tuples(trace_ids, span_ids, texts, attributes), max_size=2)),
    )


@st.composite
def logs(draw: st.DrawFn) -> Log:
    ids = draw(st.booleans())
    return Log(
        draw(times),
        severity_number=draw(st.integers(0, 24)),
        severity_text=draw(texts),
        event_name=draw(texts),
        body=draw(st.none() | values),
        attributes=draw(attributes),
        trace_id=draw(trace_ids) if ids else "",
        span_id=draw(span_ids) if ids else "",
        flags=draw(uint32),
    )


def read(signal: str, text: str) -> list[list[Any]]:
    """Return all that journal/parse.py reads, in an order that does not depend on how it was grouped."""
    skipped: list[Skip] = []
    found: list[ReadSpan] | list[ReadLog]
    found = parse_spans(text, "", skipped) if signal == "traces" else parse_logs(text, "", skipped)
    assert skipped == []
    kind = ReadSpan if signal == "traces" else ReadLog
    names = [name for each in kind.__mro__ for name in getattr(each, "__slots__", ())]
    return sorted(([getattr(record, name) for name in names] for record in found), key=repr)


def piece(data: bytes) -> Piece:
    return Piece("runs/x/traces.jsonl", 0, len(data), data)


def both(signal: str, data: bytes) -> tuple[bytes, bytes, int]:
    """Return the requests in JSON and protobuf of sound lines, and how many records are in each."""
    spliced, count, damage = Splicer(signal).build([piece(data)])
    encoded, also, damage_too = Encoder(signal).build([piece(data)])
    assert (damage, damage_too) == ([], [])
    assert count == also
    return spliced, encoded, count


def check(signal: str, data: bytes, count: int) -> None:
    spliced, encoded, found = both(signal, data)
    assert found == count
    expected = read(signal, data.decode())
    assert read(signal, spliced.decode() + "\n") == expected
    as_json = orjson.dumps(to_json(REQUESTS[signal].FromString(encoded))).decode() + "\n"
    assert read(signal, as_json) == expected
    assert Encoder(signal).build([piece(data)])[0] == encoded


groups = st.tuples(attributes, texts)


@given(st.lists(st.tuples(groups, st.lists(spans(), min_size=1, max_size=3)), min_size=1, max_size=3))
def test_spans_are_the_same_in_both_encodings(found: list[Any]) -> None:
    data = b"".join(
        spans_line(encode_resource(resource), records, encode_scope(scope, "1"))
        for (resource, scope), records in found
    )
    check("traces", data, sum(len(records) for _, records in found))


@given(st.lists(st.tuples(groups, st.lists(logs(), min_size=1, max_size=3)), min_size=1, max_size=3))
def test_log_records_are_the_same_in_both_encodings(found: list[Any]) -> None:
    data = b"".join(
        logs_line(encode_resource(resource), records, encode_scope(scope, "1"))
        for (resource, scope), records in found
    )
    check("logs", data, sum(len(records) for _, records in found))


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=8))
def test_lines_of_short_processes_are_the_same_in_both_encodings(found: list[tuple[int, bool]]) -> None:
    """Their resources differ at the end alone, which is looked at in another way."""
    data = b"".join(
        span_line(run_id(process if other else 0), number, process=process)
        for number, (process, other) in enumerate(found)
    )
    check("traces", data, len(found))
    heads = {(process, process if other else 0) for process, other in found}
    assert len(orjson.loads(both("traces", data)[0])["resourceSpans"]) == len(heads)


@given(st.data())
def test_torn_lines_cost_what_a_reader_loses_and_no_more(data: st.DataObject) -> None:
    lines = [span_line(RUN, number) for number in range(4)]
    torn = b""
    for line in lines:
        cut = data.draw(st.integers(0, len(line)) | st.just(len(line)))
        torn += line[:cut] + data.draw(st.sampled_from([b"", b"\n", b"\0\0", b"\xff", b"{}"]))
    torn += b"\n"
    skipped: list[Skip] = []
    readable = [span.span_id for span in parse_spans(torn.decode("utf-8", "replace"), "", skipped)]
    for builder in (Splicer("traces"), Encoder("traces")):
        body, count, damage = builder.build([piece(torn)])
        assert count == len(readable)
        assert bool(damage) == bool(skipped)
        request = (
            orjson.loads(body)
            if isinstance(builder, Splicer)
            else to_json(ExportTraceServiceRequest.FromString(body))
        )
        sent = [
            span["spanId"]
            for group in request.get("resourceSpans", ())
            for part in group["scopeSpans"]
            for span in part["spans"]
        ]
        assert sorted(sent) == sorted(readable)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"traceId":"0', b'"traceId":"x'),
        (RUN.encode() + b'","spanId"', b"0" * 32 + b'","spanId"'),
        (span_id(0).encode(), b"0" * 16),
        (span_id(0).encode(), b"12 34 56 78 90 a"),
        (span_id(0).encode(), b"1234"),
        (b'"kind":3', b'"kind":6'),
        (b'"kind":3', b'"kind":"SPAN_KIND_CLIENT"'),
        (b'"startTimeUnixNano":"1', b'"startTimeUnixNano":"-1'),
        (b'"startTimeUnixNano":"1', b'"startTimeUnixNano":"99999999991'),
        (b'"flags":3', b'"flags":3,"status":{"code":3}'),
        (b'"flags":3', b'"flags":3,"links":[{"traceId":"00","spanId":"00"}]'),
    ],
)
def test_a_record_that_no_endpoint_takes_is_left_out_of_both(old: bytes, new: bytes) -> None:
    line = span_line(RUN, 0)
    assert old in line
    data = span_line(RUN, 1) + line.replace(old, new, 1) + span_line(RUN, 2)
    for builder in (Splicer("traces"), Encoder("traces")):
        body, count, damage = builder.build([piece(data)])
        assert (count, len(damage)) == (2, 1)
        assert damage[0].file == "runs/x/traces.jsonl"
        del body


def test_other_shapes_of_otlp_json_are_understood() -> None:
    """Blanks, several resources, schema URLs, upper-case ids, fields that nobody knows."""
    text = """{ "resourceSpans": [ {"schemaUrl": "https://x/1", "resource": {}, "unknown": 1, "scopeSpans": [
        {"scope": {"name": "a"}, "spans": [{
            "traceId": "0AF7651916CD43DD8448EB211C80319C", "spanId": "00F067AA0BA902B7",
            "more": {}, "attributes": [{"key": "k", "value": {"intValue": 7}}]}]}]},
        {"scopeSpans": [{"spans": [{
            "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "00f067aa0ba902b8"}]}]}]}"""
    data = " ".join(text.split()).encode() + b"\n"
    check("traces", data, 2)
    request = ExportTraceServiceRequest.FromString(both("traces", data)[1])
    assert request.resource_spans[0].schema_url == "https://x/1"


def test_halving_finds_one_record_among_many() -> None:
    lines = [log_line(RUN, number) for number in range(9)]
    data = b"".join(lines)
    splicer = Splicer("logs")
    part, steps = [piece(data)], 0
    chance = random.Random(3)  # noqa: S311 # the same way every time
    while (halves := splicer.lines.halves(part)) is not None:
        assert b"".join(each.data for half in halves for each in half) == b"".join(each.data for each in part)
        part = chance.choice(halves)
        steps += 1
    assert steps in (3, 4)
    (found,) = part
    assert found.data in lines
    assert data[found.start : found.end] == found.data
