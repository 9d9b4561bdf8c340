"""A prompt that was typed and never sent is no secret of the journal's: the relay records it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import tmux_kit

from tests.relay.keep_kit import House


def test_a_prompt_that_no_enter_has_ended_is_recorded_after_a_minute(
    tmp_path: Path, tmux_socket: str
) -> None:
    """What was typed into a pane through the shim waits in the journal; the relay's look records it."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    town = tmux_kit.Town(tmp_path)
    try:
        town.spawn()
        assert town.tmux("send-keys", "-t", "de-rust", "-l", "are you there").returncode == 0
        (waiting,) = Path(town.journal.panes_dir).glob("k-*")
        house = House(town.journal)
        house.keeper._look_at_sessions()
        assert town.spans("prompt.send") == []
        os.utime(waiting, (1, 1))
        house.keeper._look_at_sessions()
        (prompt,) = town.spans("prompt.send")
        assert (prompt.attributes["keys_len"], waiting.exists()) == (13, False)
    finally:
        town.end()
