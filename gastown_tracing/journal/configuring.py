"""Changing config.json: operator, `gt-trace env` and the relay all write it, none undoes what others did."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from gastown_tracing.journal.layout import Journal, load_json, read_text, write_atomic
from gastown_tracing.journal.making import lock

#: How often, and how many seconds apart, a lock is asked for that somebody holds for a moment.
_ATTEMPTS, _PAUSE = 100, 0.01


def change(journal: Journal, updates: Callable[[Mapping[str, str]], Mapping[str, str]]) -> dict[str, str]:
    """Set what `updates` returns for the settings that are there; return all of them. Raises OSError.

    The journal's directory is locked meanwhile. What is no setting stays as it is, and nothing is written
    where nothing changes. A file that is no JSON object is somebody's to repair, and is not replaced.
    """
    directory = os.open(journal.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        lock(directory, _ATTEMPTS, _PAUSE)  # who holds it longer is stopped, or broken: nobody waits for ever
        found = _read(journal)
        known = {name: value for name, value in found.items() if isinstance(value, str)}
        wanted = {**known, **updates(known)}
        if wanted != known:
            _write(journal, {**found, **wanted})
        return wanted
    finally:
        os.close(directory)


def _read(journal: Journal) -> dict[str, Any]:
    text = read_text(journal.config_path) or ""
    found = load_json(text) if text.strip() else {}
    if not isinstance(found, dict):
        raise OSError(errno.EINVAL, "not a JSON object", journal.config_path)
    return found


def _write(journal: Journal, settings: Mapping[str, Any]) -> None:
    pairs = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in settings.items())
    write_atomic(journal.config_path, f"{{\n{pairs}\n}}\n")
