"""Hooks as Claude Code calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gastown_tracing.journal.layout import Journal
from tests.hooks.hook_kit import Hooks


@pytest.fixture
def hooks(tmp_path: Path, env: dict[str, str], journal_root: Path) -> Hooks:
    """Return the hooks of an agent, with a journal of the test's own."""
    return Hooks(tmp_path, env, Journal(str(journal_root)))
