"""Claude Code's settings on disk: our hooks go in and out again; a backup of what was stands beside them."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gastown_tracing.hooks import launcher, settings
from gastown_tracing.hooks.settings import EVENTS, Unusable
from gastown_tracing.journal.making import lock
from gastown_tracing.shims.launcher import write as write_launcher

#: Behind the settings' own name.
BACKUP = ".before-gt-trace"
#: How often, and how many seconds apart, a lock is asked for that another installation holds.
_ATTEMPTS, _PAUSE = 200, 0.01
#: How often it is tried to change what somebody changes meanwhile.
_TRIES = 10

_BOM = "\ufeff"


@dataclass(frozen=True)
class File:
    """A settings file as it was found: its bytes, None where there is none; its mode and owner."""

    data: bytes | None
    mode: int = 0o600
    owner: tuple[int, int] = (-1, -1)

    @property
    def text(self) -> str:
        """Return its text without a byte order mark, "" where there is none. Raises Unusable."""
        try:
            return (self.data or b"").decode().removeprefix(_BOM)
        except UnicodeDecodeError as error:
            raise Unusable(f"no UTF-8: {error.reason} at byte {error.start}") from error

    def with_text(self, text: str) -> bytes:
        """Return the bytes of another text in this file's place."""
        marked = (self.data or b"").startswith(_BOM.encode())
        return ((_BOM if marked else "") + text).encode()


@dataclass(frozen=True)
class State:
    """What is installed: our commands by event, of which launcher, and what keeps them from running."""

    commands: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        """Return `installed`, `not installed`, or `not whole` where something is wrong with what is there."""
        if not self.commands:
            return "not installed"
        return "not whole" if self.problems else "installed"


def default_settings(env: Mapping[str, str]) -> str:
    """Return the user's own settings file."""
    directory = env.get("CLAUDE_CONFIG_DIR") or os.path.expanduser("~/.claude")
    return os.path.join(os.path.abspath(directory), "settings.json")


def install(path: str, program: str) -> bool:
    """Write the launcher `program`, and put its hooks into the settings; False where they were there.

    Raises Unusable where these settings cannot be changed, and OSError.
    """

    def make(found: File) -> bytes:
        return found.with_text(settings.added(found.text, lambda event: launcher.command(program, event)))

    with _alone(path):
        before = read(path)
        known = settings.installed(before.text)  # what cannot be changed is said before anything is written
        os.makedirs(os.path.dirname(program), exist_ok=True)
        write_launcher(program, launcher.text())
        if not known:
            _keep(path, before)
        return _change(path, make)


def remove(path: str, program: str = "") -> bool:
    """Take our hooks out of the settings; False where there were none. Raises Unusable and OSError.

    Where nobody has changed the settings since, they become what they were, to the byte. The launcher
    `program` goes too, and its directory where that is empty then.
    """
    with _alone(path):
        known = settings.installed(read(path).text)
        if program:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(program)
            with contextlib.suppress(OSError):  # not there, or somebody else's files are in it
                os.rmdir(os.path.dirname(program))
        if not known:
            return False
        kept = read(path + BACKUP)

        def make(found: File) -> bytes | None:
            if _is_ours_alone(found, kept):
                return kept.data
            text = settings.removed(found.text)
            return None if kept.data is None and text.split() == ["{}"] else found.with_text(text)

        restored = _is_ours_alone(read(path), kept)
        _change(path, make)
        if restored:
            os.unlink(path + BACKUP)
        return True


def look(path: str, program: str) -> State:
    """Return what is installed. Raises Unusable and OSError."""
    text = read(path).text
    found = settings.installed(text)
    problems = [f"no hook for {event}" for event in EVENTS if found and event not in found]
    others = {command for commands in found.values() for command in commands}
    if others - {launcher.command(program, event) for event in EVENTS}:
        problems.append("some hooks are those of another installation")
    if found:
        problems += _wrong_with(program)
        if settings.disabled(text):
            problems.append('"disableAllHooks" is true: Claude Code runs no hook')
    return State(found, problems)


def _wrong_with(program: str) -> list[str]:
    try:
        with open(program, encoding="utf-8", errors="surrogateescape") as stream:
            said = stream.read()
    except OSError as error:
        return [f"{program}: {error.strerror}"]
    return [] if said == launcher.text() else [f"{program} is that of another installation"]


def read(path: str) -> File:
    """Return a settings file. Raises Unusable where it is one that we do not replace, and OSError."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return File(None)
    if stat.S_ISLNK(found.st_mode):
        raise Unusable(f"a symbolic link; --settings {os.path.realpath(path)} names the file itself")
    if not stat.S_ISREG(found.st_mode):
        raise Unusable("no regular file")
    if found.st_uid != os.geteuid() and os.geteuid():
        raise Unusable("it belongs to another user")
    with open(path, "rb") as stream:
        return File(stream.read(), stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid))


def _is_ours_alone(found: File, kept: File) -> bool:
    """Say whether settings are the kept ones with our hooks, and nothing else has changed."""
    ours = settings.installed(found.text)
    if kept.data is None or set(ours) != set(EVENTS):
        return False
    return kept.with_text(settings.added(kept.text, lambda event: ours[event][0])) == found.data


def _keep(path: str, found: File) -> None:
    """Keep settings as they are before ours come in; where there are none there is no backup either."""
    if found.data is not None:
        _write(path + BACKUP, found.data, found)
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path + BACKUP)


def _change(path: str, make: Callable[[File], bytes | None]) -> bool:
    """Replace a file by what `make` makes of it, None for no file; False where that is the same."""
    for _ in range(_TRIES):
        found = read(path)
        data = make(found)
        if data == found.data:
            return False
        if data is None:
            os.unlink(path)
            return True
        if _write(path, data, found, unless_changed=True):
            return True
    raise Unusable("somebody else changes it all the time")


def _write(path: str, data: bytes, like: File, *, unless_changed: bool = False) -> bool:
    """Put a file in place, whole, with the mode and owner of another; False where the old one has changed."""
    temporary = f"{path}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            if like.owner != (-1, -1) and like.owner != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, *like.owner)
            os.fchmod(descriptor, like.mode)
            os.fsync(descriptor)
        # Claude Code writes its settings too, and knows nothing of our lock.
        if unless_changed and read(path).data != like.data:
            os.unlink(temporary)
            return False
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return True


@contextlib.contextmanager
def _alone(path: str) -> Iterator[None]:
    """Keep other installations waiting. Raises Unusable where another one takes too long."""
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not lock(directory, _ATTEMPTS, _PAUSE):
            raise Unusable("another process is changing it")
        yield
    finally:
        os.close(directory)
