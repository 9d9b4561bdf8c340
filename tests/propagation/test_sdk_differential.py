"""propagation against the OpenTelemetry SDK's own propagators: wherever both accept, both say the same.

Known differences, each asserted below where it shows:
- traceparent: the SDK accepts one newline at the end, and of a future version no more than 512 characters.
- flags: the SDK keeps all eight bits, we keep the two that Level 2 defines.
- tracestate: of a key that comes twice we keep the first, the SDK discards the whole; it has the key grammar
  of Level 1 and takes no more than 8,192 characters.
- baggage: the SDK reads `+` as a space, decodes keys, strips decoded values, leaves properties in the value,
  and raises for a lone surrogate.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage as otel_baggage
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from propagation_strategies import (
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

from propagation import baggage, resource
from propagation.traceparent import (
    format_traceparent,
    format_tracestate,
    parse_traceparent,
    parse_tracestate,
)

LEVEL_1_KEY = re.compile(r"[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}")
VALID = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture(autouse=True, scope="module")
def _quiet_sdk() -> Iterator[None]:
    """Silence the SDK's warnings: they repeat the broken text, which a test report cannot hold."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def sdk_span(traceparent: str, tracestate: str = "") -> trace.SpanContext | None:
    """Return what the SDK reads, None where it refuses."""
    carrier = {"traceparent": traceparent, "tracestate": tracestate}
    context = TraceContextTextMapPropagator().extract(carrier, Context())
    span = trace.get_current_span(context).get_span_context()
    return span if span.is_valid else None


def sdk_baggage(header: str) -> dict[str, object]:
    return dict(otel_baggage.get_all(W3CBaggagePropagator().extract({"baggage": header}, Context())))


@modest
@given(nearly(traceparents) | any_text)
def test_traceparent_is_accepted_alike_and_read_alike(header: str) -> None:
    theirs, ours = sdk_span(header), parse_traceparent(header)
    if header.endswith("\n"):
        assert ours is None or theirs is not None
        return
    assert (theirs is None) == (ours is None)
    if theirs and ours:
        assert f"{theirs.trace_id:032x}-{theirs.span_id:016x}" == f"{ours.trace_id}-{ours.span_id}"
        assert theirs.trace_flags & 3 == ours.flags


def test_traceparent_differs_in_a_last_newline_and_beyond_512_characters() -> None:
    assert sdk_span(f"{VALID}\n")
    assert parse_traceparent(f"{VALID}\n") is None
    future = f"cc{VALID[2:]}-{'x' * 500}"
    assert sdk_span(future) is None
    assert parse_traceparent(future)


@modest
@given(trace_ids, span_ids, flags)
def test_a_traceparent_of_ours_is_the_sdks_own(trace_id: str, span_id: str, flag_bits: int) -> None:
    header = format_traceparent(trace_id, span_id, flag_bits)
    span = sdk_span(header)
    assert span is not None
    carrier: dict[str, str] = {}
    context = trace.set_span_in_context(trace.NonRecordingSpan(span), Context())
    TraceContextTextMapPropagator().inject(carrier, context)
    assert carrier["traceparent"] == header


@modest
@given(nearly(tracestate_entries.map(format_tracestate)) | any_text)
def test_tracestate_is_read_alike_where_both_accept(header: str) -> None:
    span = sdk_span(VALID, header)
    assert span is not None
    theirs, ours = tuple(span.trace_state.items()), parse_tracestate(header)
    if theirs != ours:
        keys = [member.partition("=")[0].strip(" \t") for member in header.split(",") if member.strip(" \t")]
        assert theirs == ()
        assert len(header) > 8192 or len(set(keys)) < len(keys) or not all(map(LEVEL_1_KEY.fullmatch, keys))


def test_tracestate_differs_in_duplicate_keys_and_in_the_grammar_of_keys() -> None:
    for header, ours in (
        ("a=1,a=2", (("a", "1"),)),
        ("1a=1", (("1a", "1"),)),
        ("a@b@c=1", (("a@b@c", "1"),)),
    ):
        span = sdk_span(VALID, header)
        assert span is not None
        assert len(span.trace_state) == 0
        assert parse_tracestate(header) == ours


encoded_values = st.text("azAZ09!#$&'()*-./:<=>?@[]^_`{|}~", max_size=8) | text.map(baggage.quote)
plain_headers = st.lists(
    st.builds("{}={}".format, st.text("azAZ09!#$&'*-.^_`|~", min_size=1), encoded_values)
)


@modest
@given(nearly(plain_headers.map(",".join)))
def test_baggage_is_read_alike_but_for_the_known_differences(header: str) -> None:
    if set("+;\udc80") & set(header):
        return
    theirs, ours = sdk_baggage(header), baggage.parse(header)
    for key in theirs.keys() & ours.keys():
        assert theirs[key] == ours[key].value.strip()
    decoded_keys = {baggage.unquote(key).strip() for key in ours}
    assert theirs.keys() <= decoded_keys | {""}
    assert decoded_keys <= theirs.keys() | {""}


def test_baggage_differs_in_plus_keys_spaces_and_properties() -> None:
    cases = {
        "a=1+2": ({"a": "1 2"}, {"a": "1+2"}),
        "a%41=1": ({"aA": "1"}, {"a%41": "1"}),
        "a=%201": ({"a": "1"}, {"a": " 1"}),
        "a=1;p=2": ({"a": "1;p=2"}, {"a": "1"}),
    }
    for header, (theirs, ours) in cases.items():
        assert sdk_baggage(header) == theirs
        assert {key: member.value for key, member in baggage.parse(header).items()} == ours
    with pytest.raises(UnicodeEncodeError):
        sdk_baggage("a=\udc80,b=1")
    assert list(baggage.parse("a=\udc80,b=1")) == ["b"]


@modest
@given(st.dictionaries(tokens.filter(lambda key: not set("%+") & set(key)), text, max_size=8))
def test_the_sdk_reads_every_value_that_we_write(contents: dict[str, str]) -> None:
    """Pluses, equals signs and percent signs included; the SDK strips the spaces around a value."""
    read = sdk_baggage(baggage.format(contents))
    assert read == {key: value.strip() for key, value in contents.items()}


@modest
@given(
    st.dictionaries(st.text("azAZ09-._", min_size=1), text.filter(lambda value: " " not in value), max_size=8)
)
def test_we_read_every_value_that_the_sdk_writes(contents: dict[str, str]) -> None:
    """But for spaces, which it writes as `+`."""
    context = Context()
    for key, value in contents.items():
        context = otel_baggage.set_baggage(key, value, context)
    carrier: dict[str, str] = {}
    W3CBaggagePropagator().inject(carrier, context)
    ours = baggage.parse(carrier.get("baggage"))
    assert {key: member.value for key, member in ours.items()} == contents


@modest
@given(contents=st.dictionaries(st.text("azAZ09-._", min_size=1), text, max_size=8))
def test_the_sdk_reads_every_resource_attribute_that_we_write(contents: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_RESOURCE_ATTRIBUTES", resource.format(contents))
        assert dict(OTELResourceDetector().detect().attributes) == contents
