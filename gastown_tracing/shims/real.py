"""Which file on PATH a program is, and which are shims: whoever asks tmux or bd means the real one."""

import posix

from gastown_tracing.shims import child

#: How the second line of every shim begins, whatever installation made it (`launcher.MARK`).
MARK = b"# gastown-tracing shim"

#: The programs that shims stand for.
PROGRAMS = ("bd", "gt", "git", "tmux")


def is_shim(file: bytes) -> bool:
    """Say whether a file is a shim; False where it cannot be read."""
    try:
        descriptor = posix.open(file, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    except OSError:
        return False
    try:
        first, _, second = posix.read(descriptor, 512).partition(b"\n")
    except OSError:
        return False
    finally:
        posix.close(descriptor)
    return first[:2] == b"#!" and second.startswith(MARK)


def shimmed(path: bytes | None) -> list[str]:
    """Return the programs whose first match on this PATH is a shim."""
    found = []
    for program in PROGRAMS:
        try:
            file = child.find(program.encode(), path)
        except OSError:
            continue
        if is_shim(file):
            found.append(program)
    return found


def real(program: str, path: bytes | None) -> str:
    """Return the first file on this PATH that is no shim, the program's name where there is none."""
    for directory in (child.DEFAULT_PATH if path is None else path).split(b":"):
        try:
            file = child.find((directory or b".") + b"/" + program.encode(), None)
        except OSError:
            continue
        if not is_shim(file):
            return file.decode("utf-8", "surrogateescape")
    return program
