"""The journal: whether it can be written, by whom it can be read, and what is in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from typing import TYPE_CHECKING

from gastown_tracing.doctor import contents, shims
from gastown_tracing.doctor.check import ok, problem, skipped, warning
from gastown_tracing.journal.layout import DIRECTORIES, FORMAT_VERSION, read_text
from gastown_tracing.view.text import counted, size

if TYPE_CHECKING:
    from gastown_tracing.config import Telemetry
    from gastown_tracing.doctor.check import Check, Checks
    from gastown_tracing.journal.layout import Journal

#: Free bytes and inodes: below the first records are about to be lost, below the second it gets close.
_BYTES = (100 * 10**6, 10**9)
_INODES = (1_000, 10_000)


def journal(telemetry: Telemetry) -> Checks:
    """Yield how the journal is."""
    made = telemetry.journal
    try:
        root = os.stat(made.root)
    except FileNotFoundError:
        yield from _missing(telemetry)
        return
    except OSError as error:
        yield problem(
            "directory", f"{made.root}: {error.strerror}", "give it back to its owner, or set GT_OTEL_JOURNAL"
        )
        return
    yield ok("directory", made.root)
    if not stat.S_ISDIR(root.st_mode):
        yield problem("directory", f"{made.root} is no directory", "move it away, or set GT_OTEL_JOURNAL")
        return
    yield from _version(made)
    yield from _owner(made, root)
    yield from _room(made.root)
    if made.owned():
        yield from _writable(made.root)
    yield from contents.contents(made)


def _missing(telemetry: Telemetry) -> Checks:
    root = telemetry.journal.root
    if telemetry.on:
        yield ok("directory", f"{root}: none yet, the first record makes it")
        above = root
        while not os.path.isdir(above):
            above = os.path.dirname(above)
        if not os.access(above, os.W_OK | os.X_OK):
            advice = "make it writable, or set GT_OTEL_JOURNAL"
            yield problem("writable", f"{above} cannot be written: it cannot be made", advice)
        return
    first = shims.adoption(telemetry) or 'eval "$(gt-trace env)"'
    yield skipped("directory", f"{root}: none", f"`{first}` makes one")


def _version(made: Journal) -> Checks:
    version = read_text(made.version_path)
    if version is None:
        said = f"{made.root} is no journal: it has no file VERSION that can be read"
        yield problem("version", said, "set GT_OTEL_JOURNAL to one, or to a directory that is empty")
    elif version != FORMAT_VERSION:
        said = f"format {version.strip()[:20]!r}: this program knows {FORMAT_VERSION.strip()}"
        yield problem("version", said, "use the gastown-tracing that made it")
    else:
        yield ok("version", f"format {version.strip()}")
        absent = [name for name in DIRECTORIES if not os.path.isdir(f"{made.root}/{name}")]
        if absent:  # whoever needs one makes it again
            yield ok("directories", f"not there, made when needed: {', '.join(absent)}")
    if made.is_on():
        yield ok("on", "switched on")
    else:
        advice = f"`gt-trace env --on --journal {made.root}` switches it on again"
        yield warning("on", "switched off: nothing is recorded", advice)


def _owner(made: Journal, root: os.stat_result) -> Checks:
    if root.st_uid != os.geteuid():
        said = f"belongs to user {root.st_uid}, and you are {os.geteuid()}: nobody but its owner writes"
        yield problem("owner", said, "run as its owner, or set GT_OTEL_JOURNAL to a journal of your own")
    else:
        yield ok("owner", f"user {root.st_uid}, you")
    readable = [name for name in ("", *DIRECTORIES, "config.json") if _others(f"{made.root}/{name}")]
    if readable and readable[0] == "" and not stat.S_IMODE(root.st_mode) & 0o011:
        readable = []  # nobody gets past the journal's own directory
    if readable:
        names = ", ".join(name or made.root for name in readable)
        yield warning("modes", f"others may read: {names}", f"chmod -R go-rwx {made.root}")
    else:
        yield ok("modes", "nobody else can read it")


def _others(path: str) -> bool:
    try:
        return bool(stat.S_IMODE(os.stat(path).st_mode) & 0o077)
    except OSError:
        return False


def _room(root: str) -> Checks:
    try:
        found = os.statvfs(root)
    except OSError as error:
        yield problem("space", f"cannot be told: {error.strerror}", "look at the file system")
        return
    free = found.f_bavail * found.f_frsize
    yield _enough("space", free, _BYTES, f"{size(free)} free")
    if found.f_files:  # some file systems do not count them
        yield _enough("inodes", found.f_favail, _INODES, f"{counted(found.f_favail, 'file')} more fit")


def _enough(name: str, free: int, limits: tuple[int, int], said: str) -> Check:
    advice = "make room: what does not fit is lost; `gt-trace purge RUN` removes a run"
    if free < limits[0]:
        return problem(name, said, advice)
    return warning(name, said, advice) if free < limits[1] else ok(name, said)


def _writable(root: str) -> Checks:
    """Try in a directory of our own what recording needs of the file system."""
    try:
        place = tempfile.mkdtemp(prefix=".doctor-", dir=root)
    except OSError as error:
        yield problem("writable", f"{error.strerror}", f"make {root} writable: nothing is recorded")
        return
    try:
        yield ok("writable", _tried(f"{place}/file"))
    except OSError as error:
        advice = "put the journal on a local file system (GT_OTEL_JOURNAL): recording needs this"
        yield problem("writable", f"{error.filename2 or 'append and flock'}: {error.strerror}", advice)
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(place)


def _tried(path: str) -> str:
    """Append twice, lock, link. Raises OSError."""
    for _ in range(2):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, b"x\n")
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # what another thread starts holds it until it execs
        finally:
            os.close(descriptor)
    if os.stat(path).st_size != 4:
        raise OSError(5, "what was appended is not there", path, None, path)
    os.link(path, f"{path}.link")
    return "append, flock and link work"
