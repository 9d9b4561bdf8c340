"""The run and its ids: run.id ↔ UUID text, the root span's id, new random ids.

A run is one spawn of one agent session. Its run.id is the trace ID of everything that happens in it: 32
lowercase hex digits, the 128 bits of a UUID v4. Ids made here never begin with the digit 0, because some
stores drop leading zeros.
"""

import posix

from propagation.traceparent import PropagationError, is_id


def new_span_id() -> str:
    """Return a random span id: 16 lowercase hex digits, the first of them not 0."""
    return _random_hex(8)


def new_trace_id() -> str:
    """Return a random trace ID outside any run: 32 lowercase hex digits, the first of them not 0."""
    return _random_hex(16)


def new_run_id() -> str:
    """Return a new run's id: the digits of a UUID v4 (RFC 9562, section 5.4), the first of them not 0."""
    text = _random_hex(16)
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:12]}4{text[13:16]}{variant}{text[17:]}"


def _random_hex(size: int) -> str:
    text = "0"
    while text[0] == "0":
        text = posix.urandom(size).hex()
    return text


def parse_run_id(text: str | None) -> str | None:
    """Return the run.id that a UUID's text names, or None when it names none.

    Accepted are 32 hex digits or the dashed form, in any case, in braces or after `urn:uuid:`; all zero is
    refused.
    """
    digits = (text or "").strip().lower().removeprefix("urn:uuid:")
    if digits[:1] == "{" and digits[-1:] == "}":
        digits = digits[1:-1]
    if len(digits) == 36 and digits[8] == digits[13] == digits[18] == digits[23] == "-":
        digits = f"{digits[:8]}{digits[9:13]}{digits[14:18]}{digits[19:23]}{digits[24:]}"
    return digits if is_id(digits, 32) else None


def to_uuid(run_id: str) -> str:
    """Return a run.id's dashed UUID form, as `gt` writes GT_RUN; anything else is a `PropagationError`."""
    if not is_id(run_id, 32):
        raise PropagationError(f"not a run id: {run_id!r}")
    return f"{run_id[:8]}-{run_id[8:12]}-{run_id[12:16]}-{run_id[16:20]}-{run_id[20:]}"


def root_span_id(run_id: str) -> str:
    """Return the id of the run's root span: the last 16 digits with the top bit set.

    So whoever knows the run knows its root. A UUID v4 has that bit set already. Raises `PropagationError` for
    what is not a run.id.
    """
    if not is_id(run_id, 32):
        raise PropagationError(f"not a run id: {run_id!r}")
    return f"{int(run_id[16], 16) | 8:x}{run_id[17:]}"
