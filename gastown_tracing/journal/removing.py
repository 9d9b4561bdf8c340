"""Removing what a journal holds, and nothing outside it: no symbolic link is followed."""

from __future__ import annotations

import os
import shutil
from errno import EXDEV

from gastown_tracing.journal.closed import size_of
from gastown_tracing.journal.layout import Journal


def remove(journal: Journal, directory: str) -> int:
    """Remove a directory of the journal and return how many bytes it held. Raises OSError.

    A symbolic link in its place is removed, not what it points to; below one nothing is.
    """
    parent, root = os.path.dirname(directory), os.path.realpath(journal.root)
    if os.path.realpath(parent) != os.path.join(root, os.path.relpath(parent, journal.root)):
        raise OSError(EXDEV, "it is not inside the journal: remove it by hand", directory)
    if os.path.islink(directory):
        os.unlink(directory)
        return 0
    size = size_of(directory)
    shutil.rmtree(directory)
    return size
