"""What may be recorded of arbitrary values: the registry's types, or nothing; and never an exception."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

import gastown_tracing as gt
from gastown_tracing.config import Config
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.schema import FLAG, FLOAT, INTEGER, TEXT, WORDS
from gastown_tracing.events.values import ORDINARY_LIMIT, recordable
from gastown_tracing.testing import capture

TYPES: dict[str, type] = {TEXT: str, INTEGER: int, FLOAT: float, FLAG: bool, WORDS: str}


class HostileError(BaseException):
    """Raises, whatever is asked of it."""

    def __str__(self) -> str:
        raise self

    __repr__ = __str__
    __hash__ = object.__hash__


class Hostile:
    """Raises, whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise HostileError

    def __str__(self) -> str:
        raise HostileError

    __repr__ = __str__


class LyingText(str):
    """Text that says something else of itself."""

    __slots__ = ()

    def isascii(self) -> bool:
        return True

    def __str__(self) -> str:
        return "\ud800"

    def __len__(self) -> int:
        return 0


class LyingNumber(int):
    """A number that says something else of itself."""

    def __int__(self) -> int:
        raise HostileError

    __float__ = __index__ = __int__  # type: ignore[assignment] # they all raise


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(1 << 70), max_value=1 << 70),
    st.floats(),
    st.text(st.characters()),  # lone surrogates, too
    st.text(min_size=ORDINARY_LIMIT, max_size=ORDINARY_LIMIT + 10),
    st.binary(),
    st.lists(st.one_of(st.text(), st.integers(), st.binary())),
    st.dictionaries(st.text(), st.integers()),
    st.builds(Hostile),
    st.builds(HostileError),
    st.builds(LyingText, st.text(st.characters())),
    st.builds(LyingNumber, st.integers()),
    st.just(10**5000),
    st.just(object()),
)
GATES = [attribute.gate for event in EVENTS.values() for attribute in event.attributes if attribute.gate]
events = st.sampled_from(list(EVENTS.values()))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, dict[str, Any]]:
    """Return an event, and values for some of its attributes and for some that it does not have."""
    event = draw(events)
    names = st.one_of(st.sampled_from(list(event.by_key)), st.text(), st.builds(LyingText, st.text()))
    return event, draw(st.dictionaries(names, anything, max_size=6))


@given(cases(), st.booleans())
def test_whatever_is_given_what_is_recorded_has_its_type(
    case: tuple[Any, dict[str, Any]], open_: bool
) -> None:
    """Exactly the registry's, in UTF-8, 64 bits and the limit; what is left out is said."""
    event, values = case
    notes: list[str] = []
    config = Config(dict.fromkeys(GATES, "true") if open_ else {})
    found = recordable(event, values, config, notes.append)
    for name, value in found.items():
        attribute = event.by_key.get(name)
        assert type(name) is str
        assert type(value) is TYPES[attribute.type] if attribute else type(value) in (str, bool, int, float)
        assert not isinstance(value, int) or -(1 << 63) <= value < 1 << 63
        assert not attribute or not attribute.values or value in attribute.values
        assert open_ or not attribute or not attribute.gate
        if isinstance(value, str):
            limit = (attribute.limit if attribute else 0) or ORDINARY_LIMIT
            assert len(value.encode()) <= limit + 40 or (
                attribute and (attribute.gate or attribute.type == WORDS)
            )
    assert all("left out" in note for note in notes)
    given_ = [value for value in values.values() if value is not None]
    assert len(found) + len(notes) <= len(given_)


@settings(deadline=None)  # the first capture loads the SDK
@given(cases(), st.one_of(st.text(st.characters()), st.none()))
def test_recording_never_raises(case: tuple[Any, dict[str, Any]], error: str | None) -> None:
    """At once and around a block: what cannot be recorded is left out; the event can be sent."""
    event, values = case
    keywords = {str.__str__(name): value for name, value in values.items() if name != "error"}
    with capture(dict.fromkeys(GATES, "true")) as captured:
        gt.record(event.name, error=error or "", **keywords)
        with gt.event(event.name, **keywords) as call:
            call.set(**keywords)
    assert len(captured.logs()) == (2 if event.is_span else 1)
    assert all(isinstance(line, str) for line in captured.errors)
    encode_logs(captured._memory._exporter.get_finished_logs()).SerializeToString()
    encode_spans(captured._finished()).SerializeToString()


@settings(deadline=None)  # see above
@given(st.text().filter(lambda name: name not in EVENTS))
def test_an_unknown_event_is_never_recorded(name: str) -> None:
    """It is a line that names it, whatever it is called."""
    with capture() as captured:
        gt.record(name)
    assert (len(captured.logs()), len(captured.errors)) == (0, 1)
