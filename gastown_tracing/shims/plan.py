"""Where a record of the fast path goes, and what is said on stderr on the way.

What all of the fast path shares: nothing here is loaded for one command only.
"""

import posix
import sys
import time
from errno import EACCES

from gastown_tracing.config import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gastown_tracing.config import Telemetry
    from propagation.rules import Resolution
    from propagation.work import WorkContext

#: How environments become text and bytes again, unchanged whatever they hold.
TEXT = ("utf-8", "surrogateescape")

#: The exit code of a command line that cannot be understood.
USAGE_ERROR = 2


class UsageError(Exception):
    """The options cannot be understood; the message is the line to show, none for `--help`.

    `program` is what was misused and `see` what says more, where the caller does not know better.
    """

    def __init__(self, message: str, *, program: str = "", see: str = "") -> None:
        super().__init__(message)
        self.program = program
        self.see = see


class Plan:
    """Where a record goes: the settings, the place in a trace, the work context in force.

    `work` is None where nobody has said what is being worked on. `noted` is the run's work.jsonl, "" where
    there is none.
    """

    __slots__ = ("noted", "resolution", "telemetry", "work")

    def __init__(
        self, telemetry: "Telemetry", resolution: "Resolution", work: "WorkContext | None", noted: str
    ) -> None:
        self.telemetry = telemetry
        self.resolution = resolution
        self.work = work
        self.noted = noted


def make(env: dict[str, str], program: str, start_ns: int = 0, *, trace_id: str = "") -> Plan | None:
    """Return where to record what begins at `start_ns`, by default now; None for not at all. Reads only.

    `program` is who speaks in debug notes. `trace_id` is a new trace's, by default a random one. Raises
    OSError where the journal is somebody else's.
    """
    telemetry = load(env)
    journal = telemetry.journal
    if not telemetry.on:
        return None
    from gastown_tracing.journal.layout import PaneRegistry, path_exists, read_text  # not where it is off

    if not journal.owned() and path_exists(journal.root):  # and so is its config.json, readable or not
        raise OSError(EACCES, "belongs to another user", journal.root)
    from propagation.rules import resolve
    from propagation.run import new_trace_id
    from propagation.work import WorkContext, in_force

    resolution = resolve(env, PaneRegistry(journal), (lambda: trace_id) if trace_id else new_trace_id)
    for note in resolution.notes:
        debug(program, note, telemetry)
    if not resolution.sampled:
        return None
    noted = read_text(journal.run_dir(resolution.run_id) + "/work.jsonl") if resolution.run_id else None
    work = in_force(noted, start_ns or time.time_ns()) if noted else None
    if work is None:
        work = WorkContext.from_env(env) or None
    return Plan(telemetry, resolution, work, noted or "")


def encode(text: str) -> bytes:
    """Return the bytes that the operating system gave us as `text`."""
    return text.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def readable(text: str) -> str:
    """Return text from the operating system as it is recorded: a mark for bytes that are no UTF-8."""
    return text if text.isascii() else encode(text).decode("utf-8", "replace")


def decode(environ: dict[bytes, bytes]) -> dict[str, str]:
    """Return an environment as text; bytes that are no UTF-8 survive as lone surrogates."""
    return {name.decode(*TEXT): value.decode(*TEXT) for name, value in environ.items()}


def describe(error: Exception) -> str:
    """Return an exception as one line: its type, and what it says, a file's name included."""
    return f"{type(error).__name__}: {error}"


def debug(program: str, message: str, telemetry: "Telemetry | None" = None) -> None:
    """Say something on stderr where GT_OTEL_DEBUG asks for it."""
    wanted = (
        telemetry.config.flag("GT_OTEL_DEBUG") if telemetry else posix.environ.get(b"GT_OTEL_DEBUG") == b"1"
    )
    if wanted:
        say(f"{program}: {message}")


def say(line: str) -> None:
    """Write a line to stderr. Never raises."""
    try:
        posix.write(2, line.encode("utf-8", "backslashreplace") + b"\n")
    except OSError:
        return  # nobody listens
