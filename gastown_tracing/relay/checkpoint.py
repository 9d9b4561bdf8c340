"""State that outlives the relay: written whole, on disk before anybody goes on."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import orjson

from gastown_tracing.journal.layout import mkdirs, open_regular


class Damaged(Exception):  # noqa: N818 - it names a state of a file, as LookupFailed does
    """A checkpoint cannot be understood; the message says which and why."""


def load(path: str) -> dict[str, Any]:
    """Return what was saved at `path`, {} where there is nothing. Raises Damaged, OSError."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            data = file.read()
    except FileNotFoundError:
        return {}
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Damaged(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise Damaged(f"{path}: not a JSON object")
    return found


def save(path: str, data: dict[str, Any]) -> None:
    """Put `data` at `path`: after this it is there whatever happens, or what was there before.

    Written beside it, fsync'd, renamed, and the directory fsync'd. Raises OSError.
    """
    directory = os.path.dirname(path)
    temporary = f"{path}.new"
    descriptor = _create(temporary, directory)
    try:
        _write(descriptor, orjson.dumps(data))
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_directory(directory)


def _create(path: str, directory: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    try:
        return open_regular(path, flags)
    except FileNotFoundError:
        mkdirs(directory, levels=1)
        return open_regular(path, flags)


def _write(descriptor: int, data: bytes) -> None:
    try:
        os.fchmod(descriptor, 0o600)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
