"""What the relay makes of the process that it finds itself in: nobody's but its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import resource
import signal

from gastown_tracing.relay.daemon import ENVIRONMENT

#: The limits that are lifted as far as they can be.
_LIMITS = ("RLIMIT_FSIZE", "RLIMIT_CPU", "RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_NOFILE", "RLIMIT_NPROC")
#: Descriptors that are enough, where there is no limit or a huge one.
_DESCRIPTORS = 65536


def settle() -> None:
    """Leave the starter's directory, umask, environment, signals, limits, priority and processors behind."""
    os.chdir("/")
    os.umask(0o077)
    os.environ.clear()
    os.environ.update({**ENVIRONMENT, "HOME": _home()})
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError, ValueError):  # the C library's own
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)  # as Python has it: a write that fails says so
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _lift_limits()
    _lift_priority()


def use_path(path: str) -> None:
    """Look for programs where the settings say, or in the usual places."""
    os.environ["PATH"] = path or ENVIRONMENT["PATH"]


def _home() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/"


def _lift_limits() -> None:
    for name in _LIMITS:
        number = getattr(resource, name, None)
        if number is None:
            continue
        hard = resource.getrlimit(number)[1]
        wanted = hard
        if name == "RLIMIT_NOFILE" and (hard == resource.RLIM_INFINITY or hard > _DESCRIPTORS):
            wanted = _DESCRIPTORS
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(number, (wanted, hard))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _lift_priority() -> None:
    """Run as any process does, as far as that is allowed: not nice, not idle, on every processor."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, range(4096))
