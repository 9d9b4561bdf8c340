"""The cases of the W3C trace-context suite (https://github.com/w3c/trace-context, test/), as data.

Each case has the suite's name. An exchange says which headers come in and what must come out at SPEC_LEVEL=2
and STRICT_LEVEL=2: the trace goes on or a new one begins, and which tracestate is handed on. Where the suite
leaves a choice (of a key that comes twice either may stay), the table says what we choose.
"""

from __future__ import annotations

from dataclasses import dataclass

TRACE = "6e0c63257de34c926f9efcd03927272e"
SPAN = "b9c7c989f97918e1"


@dataclass(frozen=True)
class Exchange:
    """Headers in; whether the trace is kept; tracestate out (None: none); how many children; flags out."""

    headers: tuple[tuple[str, str], ...]
    kept: bool
    tracestate: str | None = None
    children: int = 1
    flags: str | None = None


def parent(
    *, version: str = "00", trace: str = TRACE, span: str = SPAN, flags: str = "01", rest: str = ""
) -> str:
    """Return a traceparent with some of its fields replaced."""
    return f"{version}-{trace}-{span}-{flags}{rest}"


def goes_on(value: str, name: str = "traceparent") -> Exchange:
    """Return an exchange in which this traceparent is accepted."""
    return Exchange(((name, value),), kept=True)


def restarts(value: str, name: str = "traceparent") -> Exchange:
    """Return an exchange in which this traceparent is refused."""
    return Exchange(((name, value),), kept=False)


def state(out: str | None, *values: str, name: str = "tracestate") -> Exchange:
    """Return an exchange with a valid traceparent, unsampled, and these tracestate headers."""
    headers = (("traceparent", parent(flags="00")), *[(name, value) for value in values])
    return Exchange(headers, kept=True, tracestate=out)


def numbered(first: int, last: int) -> str:
    """Return tracestate members m01=01 and so on."""
    return ",".join(f"m{number:02}={number:02}" for number in range(first, last + 1))


KEY = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
VALUE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")
TOO_LONG_KEY = "k" * 257
LONG_KEYS = ("k" * 256, "k" * 241 + "@" + "v" * 14, "k" * 242 + "@v", "k@" + "v" * 15)

CASES: dict[str, tuple[Exchange, ...]] = {
    "both_traceparent_and_tracestate_missing": (Exchange((), kept=False),),
    "traceparent_included_tracestate_missing": (goes_on(parent()),),
    "traceparent_duplicated": (),
    "traceparent_header_name": (
        restarts(parent(), name="trace-parent"),
        restarts(parent(), name="trace.parent"),
    ),
    "traceparent_header_name_valid_casing": (
        goes_on(parent(), name="TraceParent"),
        goes_on(parent(), name="TrAcEpArEnT"),
        goes_on(parent(), name="TRACEPARENT"),
    ),
    "traceparent_version_0x00": (restarts(parent(rest=".")), restarts(parent(rest="-from-the-future"))),
    "traceparent_version_0xcc": (
        goes_on(parent(version="cc")),
        goes_on(parent(version="cc", rest="-from-the-future")),
        restarts(parent(version="cc", rest=".from-the-future")),
    ),
    "traceparent_version_0xff": (restarts(parent(version="ff")),),
    "traceparent_version_illegal_characters": (
        restarts(parent(version=".0")),
        restarts(parent(version="0.")),
    ),
    "traceparent_version_too_long": (restarts(parent(version="000")), restarts(parent(version="0000"))),
    "traceparent_version_too_short": (restarts(parent(version="0")),),
    "traceparent_trace_id_all_zero": (restarts(parent(trace="0" * 32)),),
    "traceparent_trace_id_illegal_characters": (
        restarts(parent(trace="." + TRACE[1:])),
        restarts(parent(trace=TRACE[:-1] + ".")),
    ),
    "traceparent_trace_id_too_long": (restarts(parent(trace=TRACE + "3")),),
    "traceparent_trace_id_too_short": (restarts(parent(trace=TRACE[:-1])),),
    "traceparent_parent_id_all_zero": (restarts(parent(span="0" * 16)),),
    "traceparent_parent_id_illegal_characters": (
        restarts(parent(span="." + SPAN[1:])),
        restarts(parent(span=SPAN[:-1] + ".")),
    ),
    "traceparent_parent_id_too_long": (restarts(parent(span=SPAN + "3")),),
    "traceparent_parent_id_too_short": (restarts(parent(span=SPAN[:-1])),),
    "traceparent_trace_flags_illegal_characters": (
        restarts(parent(flags=".0")),
        restarts(parent(flags="0.")),
    ),
    "traceparent_trace_flags_too_long": (restarts(parent(flags="001")),),
    "traceparent_trace_flags_too_short": (restarts(parent(flags="1")),),
    "traceparent_ows_handling": (
        goes_on(f" {parent()}"),
        goes_on(f"\t{parent()}"),
        goes_on(f"{parent()} "),
        goes_on(f"{parent()}\t"),
        goes_on(f"\t {parent()} \t"),
    ),
    "tracestate_included_traceparent_missing": (
        Exchange((("tracestate", "a=1"),), kept=False),
        Exchange((("tracestate", "a=1,b=2"),), kept=False),
    ),
    "tracestate_included_traceparent_included": (state("a=1,b=2", "a=1,b=2"),),
    "tracestate_header_name": (
        state(None, "a=1", name="trace-state"),
        state(None, "a=1", name="trace.state"),
    ),
    "tracestate_header_name_valid_casing": (
        state("a=1", "a=1", name="TraceState"),
        state("a=1", "a=1", name="TrAcEsTaTe"),
        state("a=1", "a=1", name="TRACESTATE"),
    ),
    "tracestate_empty_header": (state(None, ""), state("a=1", "a=1", ""), state("a=1", "", "a=1")),
    "tracestate_multiple_headers_different_keys": (
        state("a=1,b=2,c=1,d=2,e=3", "a=1,b=2", "c=1,d=2", "e=3"),
    ),
    "tracestate_duplicated_keys": (
        state("a=1", "a=1,a=1"),
        state("a=1", "a=1,a=2"),
        state("a=1", "a=1", "a=1"),
        state("a=1", "a=1", "a=2"),
    ),
    "tracestate_all_allowed_characters": (
        state(f"{KEY}={VALUE}", f"{KEY}={VALUE}"),
        state(f"{KEY}@{KEY}={VALUE}", f"{KEY}@{KEY}={VALUE}"),
    ),
    "tracestate_ows_handling": (
        state("a=1,b=2,c=3", "a=1 \t , \t b=2, \t c=3"),
        state("a=1,b=2,c=3", "a=1\t \t,\t \tb=2,\t \tc=3"),
        state("a=1", " a=1"),
        state("a=1", "\ta=1"),
        state("a=1", "a=1 "),
        state("a=1", "a=1\t"),
        state("a=1", "\t a=1 \t"),
    ),
    "tracestate_key_illegal_characters": (state(None, "a =1"), state(None, "A=1"), state(None, "a.b=1")),
    "tracestate_key_illegal_vendor_format": (
        state("a@=1,b=2", "a@=1,b=2"),
        state(None, "@a=1,b=2"),
        state("a@@b=1,b=2", "a@@b=1,b=2"),
        state("a@b@c=1,b=2", "a@b@c=1,b=2"),
    ),
    "tracestate_member_count_limit": (
        state(numbered(1, 32), numbered(1, 10), numbered(11, 20), numbered(21, 30), numbered(31, 32)),
        state(None, numbered(1, 10), numbered(11, 20), numbered(21, 30), numbered(31, 33)),
    ),
    "tracestate_key_length_limit": (
        state(None, "a=1", f"{TOO_LONG_KEY}=1"),
        *[state(f"a=1,{key}=1", "a=1", f"{key}=1") for key in LONG_KEYS],
    ),
    "tracestate_value_illegal_characters": (state(None, "a=b=c"), state(None, "a=,b=3")),
    "multiple_requests_with_valid_traceparent": (
        Exchange((("traceparent", parent()),), kept=True, children=3),
    ),
    "multiple_requests_without_traceparent": (Exchange((), kept=False, children=3),),
    "multiple_requests_with_illegal_traceparent": (
        Exchange((("traceparent", parent(trace="0" * 32)),), kept=False, children=3),
    ),
    "propagates_random_flag": (Exchange((("traceparent", parent(flags="02")),), kept=True, flags="02"),),
}

#: What an environment cannot express, by the case's name.
NOT_IN_AN_ENVIRONMENT = {
    "traceparent_duplicated": "needs two traceparent headers; an environment has one value for TRACEPARENT",
}
