"""Sending in the background: a thread for each signal, with an end that has a deadline.

The SDK's own processors wait up to 30 s at their end, one after the other: 6.4 s for an endpoint that
refuses, 10 s for one that never answers (opentelemetry-python issue 4555). Here the end of all signals begins
at once, and each is waited for until the same deadline. Handing over takes no lock that the handler of a
signal could find taken, so that SIGTERM can begin the end, too.
"""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from gastown_tracing.setup import SHUTDOWN_TIMEOUT
from gastown_tracing.tracing import forking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.tracing.endpoints import Endpoint
    from gastown_tracing.tracing.exporting import Note

#: Seconds that a thread which has run out of time gets to notice it.
_GRACE = 0.05


class Sender:
    """A daemon thread that sends `what` there is every `interval` seconds, when woken, and once at its end.

    `send()` does that and says whether it succeeded. A forked child has a thread of its own.
    """

    def __init__(self, what: str, interval: float, endpoint: Endpoint, note: Note) -> None:
        self.what = what
        #: Whether the end has begun, and whether its deadline came before all was sent.
        self.ending = self.late = False
        self._interval = interval
        self._endpoint = endpoint
        self._note = note
        self._start()
        forking.tell(self)

    def send(self) -> bool:
        """Send what there is; return whether all of it was sent."""
        raise NotImplementedError

    def wake(self) -> None:
        """Make the thread send now."""
        self._wakes.put(None)

    def flush(self, timeout: float) -> bool:
        """Send now and wait for that, `timeout` seconds at most; return whether it was done."""
        if self.ending:
            return False
        done = threading.Event()
        self._wakes.put(done)
        return done.wait(timeout)

    def begin_end(self) -> None:
        """Make the thread send what is left and end. Waits for nothing."""
        self.ending = True
        self.wake()

    def end(self, deadline: float) -> bool:
        """Wait for that until `deadline` of the monotonic clock; return whether all was sent in time."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self.late = self._thread.is_alive()
        self._endpoint.close()  # ends the pauses between attempts
        if self.late:
            self._thread.join(_GRACE)
        return self._sent and not self.late

    def _start(self) -> None:
        self._sent = True
        self.late = False
        # A queue of C code, whose put() can be interrupted by another one in the same thread (a signal's
        # handler, a collection of garbage). None is a wake, an event somebody who waits.
        self._wakes: SimpleQueue[threading.Event | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"gastown-tracing {self.what}", daemon=True)
        self._thread.start()

    def after_fork(self) -> None:
        """Begin a thread of the child's own, unless the end has begun."""
        if not self.ending:
            self._start()

    def shutdown(self) -> None:
        """End within the time that the end of a program has, unless that has been done."""
        if not self.ending:
            self.begin_end()
            self.end(time.monotonic() + SHUTDOWN_TIMEOUT)

    def _run(self) -> None:
        ending = False
        while not ending:
            waiting = self._next()
            ending = self.ending  # looked at first: all that came before the end began is sent then
            sent = self._attempt()
            if self.ending and not sent:
                self._sent = False
            if waiting is not None:
                waiting.set()

    def _next(self) -> threading.Event | None:
        try:
            return self._wakes.get(timeout=self._interval)
        except Empty:
            return None

    def _attempt(self) -> bool:
        try:
            return self.send()
        except Exception as error:  # the thread must go on
            self._note(f"{self.what} not sent: {error!r}")
            return False


def positive(env: Mapping[str, str], name: str, default: int, note: Note) -> int:
    """Return the number that the variable `name` says; where it says none above 0, the default."""
    text = env.get(name, "").strip()
    if not text:
        return default
    if text.isascii() and text.isdigit() and int(text):
        return int(text)
    note(f"{name} is no number above 0: {text!r}")
    return default
