"""What the property tests of propagation draw from: any text, near misses, and values that must survive."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

#: Modest, because every run of the suite pays for it; without any measure of time, because machines are busy.
modest = settings(
    max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)

RUN_UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
RUN = "3f2504e04f8941d39a0c0305e82c3301"
ROOT = "9a0c0305e82c3301"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"

#: Lone surrogates included: that is how Python shows bytes of an environment that are no UTF-8.
any_text = st.text(st.characters(exclude_categories=()), max_size=80)
#: Text that UTF-8 can hold.
text = st.text(max_size=40)

hex_digits = st.sampled_from("0123456789abcdef")


def hex_ids(length: int) -> st.SearchStrategy[str]:
    """Return a strategy for valid ids of `length` lowercase hex digits."""
    return st.text(hex_digits, min_size=length, max_size=length).filter(lambda digits: digits.strip("0"))


trace_ids = hex_ids(32)
span_ids = hex_ids(16)
flags = st.integers(min_value=0, max_value=3)

traceparents = st.builds(
    "{}-{}-{}-{}{}".format,
    st.sampled_from(["00", "00", "01", "cc", "fe", "ff"]),
    trace_ids | st.just("0" * 32),
    span_ids | st.just("0" * 16),
    st.sampled_from(["00", "01", "02", "03", "ff", "fg"]),
    st.sampled_from(["", "", "-", "-future", ".", " ", "\t "]),
)
tracestate_keys = st.text("abz019_-*/@", min_size=1, max_size=12).filter(lambda key: key[0] not in "_-*/@")
tracestate_values = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters=",="), min_size=1, max_size=20
).filter(lambda value: not value.endswith(" "))
tracestate_entries = st.lists(
    st.tuples(tracestate_keys, tracestate_values), max_size=32, unique_by=lambda entry: entry[0]
).map(tuple)
tokens = st.text("azAZ09!#$%&'*+-.^_`|~", min_size=1, max_size=12)
properties = st.text('ab=;%20 \t"\\', max_size=10)


@st.composite
def nearly(draw: st.DrawFn, valid: st.SearchStrategy[str]) -> str:
    """Draw a text of `valid`, as it is or with one character put in, changed or taken out."""
    drawn = draw(valid)
    at = draw(st.integers(min_value=0, max_value=len(drawn)))
    kind = draw(st.sampled_from(["same", "same", "insert", "change", "cut"]))
    if kind == "same":
        return drawn
    char = "" if kind == "cut" else draw(st.sampled_from(" \t,;=-.+%0aAgz\n\x00é\udc80"))
    return drawn[:at] + char + drawn[at + (kind != "insert") :]
