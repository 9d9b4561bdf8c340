"""Which towns have a journal here: for who asks in none of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gastown_tracing.config import JOURNAL
from gastown_tracing.journal.layout import Journal, default_root, list_directory
from gastown_tracing.journal.reader import newest_first
from gastown_tracing.sessions.sockets import Places

if TYPE_CHECKING:
    from gastown_tracing.config import Telemetry

#: How many journals are named where the one that was meant is not there.
NAMED = 3


def elsewhere(telemetry: Telemetry) -> str:
    """Return the journals of towns, where we are in none and have none of our own; "" elsewhere."""
    outside = not telemetry.town_root and not telemetry.config.env.get(JOURNAL)
    return journals_beside(telemetry.journal.root) if outside and not telemetry.journal.exists() else ""


def journals_beside(root: str) -> str:
    """Return the journals beside one that is not there, the latest first, each with its town; "" for none."""
    parent = os.path.dirname(root)
    found = [Journal(f"{parent}/{name}") for name in sorted(list_directory(parent))]
    found = [journal for journal in found if journal.exists()]
    found.sort(key=lambda journal: _changed(f"{journal.root}/runs"), reverse=True)
    said = [f"{os.path.basename(journal.root)} ({_town_of(journal)})" for journal in found[:NAMED]]
    return ", ".join([*said, *([f"{len(found) - NAMED} more"] if len(found) > NAMED else [])])


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _town_of(journal: Journal) -> str:
    """Return the root of the town whose default journal this is; the journal's own where nothing tells."""
    latest = next(newest_first(journal), None)
    named = {str(latest.info.get("town_root") or "")} if latest else set()
    towns = [root for root in sorted(named | Places(journal).look()[1]) if root]
    ours = [root for root in towns if default_root(os.environ, root) == journal.root]
    return ours[0] if ours else journal.root
