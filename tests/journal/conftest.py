"""A journal for each test of this directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from gastown_tracing.journal import layout


@pytest.fixture
def journal(journal_root: Path) -> layout.Journal:
    """Return a new journal, switched on."""
    return layout.create(str(journal_root))
