"""Making the bundle: the modules of the fast path in files that are read at one go (`main`)."""

import marshal
import posix
from errno import EACCES

from gastown_tracing.shims.main import CONTENT, GROUPS, PROGRAM, header, path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType

    from gastown_tracing.shims.main import Modules


def write(root: str) -> None:
    """Make the bundle of the modules below `root`. Raises OSError, at once where it may not be written."""
    place = path(root).rpartition("/")[0]
    if not posix.access(place, posix.W_OK):
        raise OSError(EACCES, "not writable", place)
    for part, names in GROUPS.items():
        if part != "start":
            _save(path(root, part), marshal.dumps(_modules(root, names)))
    program = _compiled(root, PROGRAM)
    found = posix.stat(f"{root}/{PROGRAM}")
    nothing = compile("", PROGRAM, "exec")  # its code is the bundle itself; here it is looked at for changes
    start = (*_modules(root, GROUPS["start"]), ("", PROGRAM, found.st_mtime_ns, found.st_size, nothing))
    filled = tuple(start if constant == CONTENT else constant for constant in program.co_consts)
    _save(path(root), marshal.dumps(program.replace(co_consts=filled)))


def _modules(root: str, names: "Iterable[str]") -> "Modules":
    return tuple([_module(root, name) for name in names])


def _module(root: str, name: str) -> "tuple[str, str, int, int, CodeType]":
    base = name.replace(".", "/")
    file = f"{base}/__init__.py" if _is_directory(f"{root}/{base}") else f"{base}.py"
    found = posix.stat(f"{root}/{file}")
    return name, file, found.st_mtime_ns, found.st_size, _compiled(root, file)


def _compiled(root: str, file: str) -> "CodeType":
    from gastown_tracing.shims.bare import (
        compiled,
    )  # slow to load, and nobody waits for it but who makes a bundle

    with open(f"{root}/{file}", encoding="utf-8") as stream:
        return compiled(stream.read(), f"{root}/{file}")


def _save(file: str, code: bytes) -> None:
    """Put code into a file of the bundle, at once and whole. Raises OSError."""
    temporary = f"{file}.{posix.getpid()}"
    try:
        with open(temporary, "wb") as stream:
            stream.write(header(len(code)) + code)
            stream.flush()
            posix.fsync(stream.fileno())  # a machine that goes down leaves the old one or the whole new one
        posix.rename(temporary, file)
    except OSError:
        if _exists(temporary):
            posix.unlink(temporary)
        raise


def _exists(name: str) -> bool:
    try:
        posix.stat(name)
    except OSError:
        return False
    return True


def _is_directory(name: str) -> bool:
    try:
        return posix.stat(name).st_mode & 0o170000 == 0o040000
    except FileNotFoundError:
        return False
