"""Ends of a process that come by no `atexit`: SIGTERM, and the end of a worker of multiprocessing."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from gastown_tracing.setup import SHUTDOWN_TIMEOUT
from gastown_tracing.tracing import forking

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

#: Seconds after which a SIGTERM that nobody has begun to handle is sent once more.
_PATIENCE = 0.5
#: The priority of our end among multiprocessing's finalizers: after the program's own.
_LATE = -100


class Termination:
    """Sends what waits when SIGTERM comes, and then dies of it, so that whoever waits sees the same end.

    `send(timeout)` does that. It is called in the signal's handler, by the main thread, so that the program
    does nothing more; a second SIGTERM meanwhile kills at once. Where the main thread was interrupted while
    it held an instrument's lock, the metrics are lost when the time is up.
    """

    def __init__(self, send: Callable[[float], bool]) -> None:
        self._send = send
        self._finishing = 0  # the process that is at it: a forked child is not
        self._asked = False

    def install(self) -> None:
        """Take the signal, if nobody else has a say: its action is the default one, this is the main thread.

        Process 1 of a container is left alone: its default action is not to die.
        """
        global _in_force  # noqa: PLW0603 # one process, one handler
        if (
            threading.current_thread() is threading.main_thread()
            and os.getpid() != 1
            and signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, on_sigterm)
        ):
            with contextlib.suppress(ValueError):  # this is a subinterpreter
                signal.signal(signal.SIGTERM, on_sigterm)
                _in_force = self

    def finish(self, timeout: float) -> bool:
        """Send what waits, and leave the signal alone afterwards; die of one that came meanwhile."""
        self._finishing = os.getpid()
        try:
            return self._send(timeout)
        finally:
            self._finishing = 0
            self._remove()
            if self._asked:
                os.kill(os.getpid(), signal.SIGTERM)

    def _remove(self) -> None:
        global _in_force  # noqa: PLW0603 # see install
        if _in_force is not self:
            return
        _in_force = None  # in another thread the handler stays, and does what the default action does
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) is on_sigterm
        ):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def obey(self) -> None:
        """Send what waits and die, or die after an end that is under way."""
        if self._finishing == os.getpid():
            self._asked = True
            return
        try:
            self._send(SHUTDOWN_TIMEOUT)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)


#: Whose records SIGTERM sends, None for nobody's.
_in_force: Termination | None = None
#: Whether the handler of SIGTERM has begun.
_handling = False


def on_sigterm(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 # a handler's signature
    """Handle SIGTERM for whatever `init()` has set up last; a second one kills at once."""
    global _handling  # noqa: PLW0603 # one process, one handler
    _handling = True
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if _in_force is None:
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        _in_force.obey()


_forking = threading.local()


def _hold() -> None:
    """Keep SIGTERM waiting while a child is forked.

    Python forgets what signals came to a child before it knew that it was one: a pool whose worker forgot
    that it was terminated would wait for it for ever.
    """
    if _in_force is not None:
        _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _let_go() -> None:
    mask, _forking.mask = getattr(_forking, "mask", None), None
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)


def _insist() -> None:
    """Let no worker of multiprocessing miss a SIGTERM that we handle: its pool would wait for it for ever.

    Python handles a signal between two of its own steps. One that comes when a wait in C is about to begin is
    handled after that, and a worker can wait for a lock whose holder was terminated. So a thread is told of
    each signal, and repeats one that was not handled.
    """
    if signal.getsignal(signal.SIGTERM) is not on_sigterm:
        return
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    try:
        others = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    except ValueError:  # not the main thread
        others = tell
    if others not in (-1, tell):  # the program's own, such as asyncio's
        signal.set_wakeup_fd(others)
    if others != -1:
        os.close(told)
        os.close(tell)
        return
    threading.Thread(target=_repeat, args=(told,), name="gastown-tracing SIGTERM", daemon=True).start()


def _repeat(told: int) -> None:
    while number := os.read(told, 1):
        if number[0] == signal.SIGTERM:
            time.sleep(_PATIENCE)
            if not _handling:
                os.kill(os.getpid(), signal.SIGTERM)


class WorkersEnd:
    """Calls `shutdown` at the end of a worker of multiprocessing, which leaves by `os._exit`.

    Whether it was forked after `init()` or calls that itself, and however it was started.
    """

    def __init__(self, shutdown: Callable[[], object]) -> None:
        self._shutdown = shutdown
        self._known = False
        self.after_fork()
        process = sys.modules.get("multiprocessing.process")
        if self._known and process is not None and process.parent_process() is not None:
            self._register()
        forking.tell(self)

    def after_fork(self) -> None:
        """Ask to be told when a worker begins."""
        # A worker forgets all finalizers at its beginning, and then asks for new ones. A spawned one does so
        # after it has imported the program, which may have called init() meanwhile.
        util = sys.modules.get("multiprocessing.util")
        if util is not None and not self._known:
            self._known = True
            util.register_after_fork(self, WorkersEnd._register)

    def _register(self) -> None:
        util = sys.modules["multiprocessing.util"]
        util.Finalize(None, self._shutdown, exitpriority=_LATE)
        _insist()
