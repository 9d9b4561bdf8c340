"""Paths that a user gives, from where he stands."""

from __future__ import annotations

import os

from gastown_tracing.cli.reading import WrongUse


def absolute(path: str) -> str:
    """Return a full path. Fails, as a wrong use, where a relative one begins in a directory that is gone."""
    try:
        return os.path.abspath(path)
    except OSError as error:
        what = "" if path in ("", ".") else f"{path}: "
        hint = "cd to another one, or give a full path (--work-dir, --journal)"
        raise WrongUse(f"{what}the working directory is gone; {hint}") from error
