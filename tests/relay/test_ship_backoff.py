"""How long a relay waits: below a bound that grows, and as long as it was asked to."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from gastown_tracing.relay.backoff import LONGEST, OBEYED, delay, parse_retry_after

randoms = st.floats(0.0, 1.0, exclude_max=True)


@given(st.integers(0, 10**6), randoms)
def test_a_wait_is_anything_up_to_a_bound_that_doubles(failures: int, random: float) -> None:
    waited = delay(failures, random)
    assert 0.0 <= waited <= LONGEST
    assert waited <= 2.0 ** min(max(failures - 1, 0), 20)
    assert delay(failures + 1, random) >= waited


@given(st.integers(0, 100), randoms, st.floats(0.0, 1e12))
def test_a_server_that_asks_for_time_gets_it_up_to_an_hour(
    failures: int, random: float, asked: float
) -> None:
    assert min(asked, OBEYED) <= delay(failures, random, asked) <= OBEYED


@given(st.integers(0, 10**9), st.integers(-(10**6), 10**6))
def test_retry_after_is_read_as_seconds_and_as_a_date(now: int, ahead: int) -> None:
    assert parse_retry_after(str(abs(ahead))) == min(abs(ahead), OBEYED)
    date = format_datetime(datetime.fromtimestamp(now + ahead, UTC), usegmt=True)
    assert parse_retry_after(date, now) == min(max(0, ahead), OBEYED)


@given(st.text() | st.none())
def test_what_is_no_retry_after_says_nothing(text: str | None) -> None:
    found = parse_retry_after(text)
    assert found is None or 0.0 <= found <= OBEYED
