"""How long to wait before the next attempt: exponential backoff with full jitter, and what Retry-After says.

Jitter, because the relays of many towns that lost one backend would otherwise come back at the same instants.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

#: Seconds: what the first wait is below, what every wait is below, and how long a server may ask us to wait.
FIRST, LONGEST, OBEYED = 1.0, 60.0, 3600.0


def delay(failures: int, random: float, retry_after: float | None = None) -> float:
    """Return the seconds to wait after so many failures in a row.

    `random` is drawn from [0, 1). `retry_after`, in seconds, is the least where a server asked for it.
    """
    bound = min(LONGEST, FIRST * 2.0 ** min(max(failures - 1, 0), 30))
    drawn = bound * random
    if retry_after is None:
        return drawn
    return min(OBEYED, max(retry_after, drawn))


def parse_retry_after(text: str | None, now: float | None = None) -> float | None:
    """Return Retry-After (RFC 9110, section 10.2.3) in seconds from `now`, None where it says nothing.

    `now` is in seconds of the Unix epoch. What is over already is 0.
    """
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), OBEYED) if len(text) < 18 else OBEYED
    try:
        when = parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return min(max(0.0, when - (time.time() if now is None else now)), OBEYED)
