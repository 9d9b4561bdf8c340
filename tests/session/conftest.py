"""A town's sessions on a private tmux server, started and ended by the real command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from session_kit import Done, Sessions

from gastown_tracing.journal.layout import Journal


@pytest.fixture
def sessions(
    gt_trace: Callable[..., Done], env: dict[str, str], tmux_socket: str, journal_root: Path
) -> Sessions:
    """Return the means to start, stop and list sessions in a journal of the test's own."""
    return Sessions(gt_trace, env, tmux_socket, Journal(str(journal_root)))
