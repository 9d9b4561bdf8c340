"""What the end of a program or of work says, for every way to record it."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Mapping

    from gastown_tracing.events.schema import Event, Value
else:
    import _signal  # the C half of signal

#: The highest number that a signal has on Linux (signal(7)).
LAST_SIGNAL = 64


def by_code(code: int) -> tuple[int, str, str]:
    """Return (exit code, error, error.type) of how a program ended; both texts are empty for success.

    A negative number is the signal that killed it, as Python's subprocess has it; the exit code is then the
    one that a shell would show.
    """
    if -LAST_SIGNAL <= code < 0:
        name = signal_name(-code)
        return 128 - code, f"killed by {name}", name
    return (code, f"exit code {code}", str(code)) if code else (0, "", "")


def exit_meaning(own: "Mapping[str, Value]", found: "dict[str, Value]") -> tuple[str, str]:
    """Return what the exit code among `own` says: an error and its error.type, both "" for none or success.

    That of a signal is put into `found` as a shell would show it.
    """
    code = own.get("exit_code")
    if not isinstance(code, int) or not code:
        return "", ""
    shown, error, error_type = by_code(code)
    if shown != code:
        found["exit_code"] = shown
    return error, error_type


def signal_name(number: int) -> str:
    """Return a signal's name, such as `SIGTERM`."""
    for name in dir(_signal):
        if name.startswith("SIG") and not name.startswith("SIG_") and getattr(_signal, name) == number:
            return name
    return f"signal {number}"


def completion(
    event: "Event", own: "Mapping[str, Value]", began: "Callable[[str], int | None]", end_ns: int
) -> "dict[str, Value]":
    """Return how long the work took that is `done`, nothing where that is said or not known.

    `began` says when work on a bead began. A clock that stepped back says nothing.
    """
    bead = str(own.get("bead_id", ""))
    if event.name != "done" or "time_to_complete_ms" in own or not bead:
        return {}
    start = began(bead)
    return {"time_to_complete_ms": (end_ns - start) / 1e6} if start and start <= end_ns else {}
