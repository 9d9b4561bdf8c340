"""What the relay watches beside the records: clocks and settings, without a process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gastown_tracing.journal.layout import create
from gastown_tracing.relay.watching import Clocks, Configuration


class Read(Clocks):
    """Clocks that a test sets: time of day, time awake, time since the boot."""

    now = (1e9, 100.0, 100.0)

    def _read(self) -> tuple[float, float, float]:
        return self.now


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        ((1.0, 1.0, 1.0), []),
        ((1.5, 1.0, 1.0), []),
        ((3601.0, 1.0, 1.0), ["the system's clock was set by +3600 s"]),
        ((-3599.0, 1.0, 1.0), ["the system's clock was set by -3600 s"]),
        ((7201.0, 1.0, 7201.0), ["the machine slept for 7200 s"]),
        ((3601.0, 1.0, 7201.0), ["the machine slept for 7200 s", "the system's clock was set by -3600 s"]),
    ],
)
def test_a_step_of_the_clock_and_a_sleep_of_the_machine_are_told(
    passed: tuple[float, float, float], said: list[str]
) -> None:
    """Each once: what follows is told from there on."""
    clocks = Read()
    before = Read.now
    clocks.now = tuple(then + more for then, more in zip(before, passed, strict=True))  # type: ignore[assignment]
    assert clocks.look() == said
    assert clocks.look() == []


def test_the_real_clocks_say_nothing() -> None:
    clocks = Clocks()
    assert clocks.look() == []


def test_settings_are_read_when_the_file_is_another_one(tmp_path: Path) -> None:
    """By its inode, size and modification time; the same text is no change."""
    journal = create(str(tmp_path / "journal"), {"A": "1"})
    path = Path(journal.config_path)
    found = Configuration(journal)
    assert found.read()
    assert not found.read()
    path.write_text(path.read_text())
    assert not found.read()
    assert found.read(force=True)
    path.write_text('{"A": "2"}')
    assert found.read()
    assert found.settings is not None
    assert found.settings.get("A") == "2"


def test_settings_that_are_gone_hold(tmp_path: Path) -> None:
    """An editor removes the file and writes it again; a journal that never had one has no settings."""
    journal = create(str(tmp_path / "journal"), {"A": "1"})
    path = Path(journal.config_path)
    found = Configuration(journal)
    found.read()
    path.unlink()
    assert not found.read()
    assert "the settings of before hold" in found.problem
    assert found.settings is not None
    assert found.settings.get("A") == "1"
    path.write_text(json.dumps({"A": "3"}))
    assert found.read()
    assert (found.problem, found.settings.get("A")) == ("", "3")
    path.unlink()
    other = Configuration(journal)
    assert other.read()
    assert (other.problem, other.settings is not None) == ("", True)


def test_settings_that_cannot_be_read_at_first_are_none(tmp_path: Path) -> None:
    """And are looked at again and again, though the file stays the same."""
    journal = create(str(tmp_path / "journal"))
    Path(journal.config_path).write_text('{"A":')
    found = Configuration(journal)
    for _ in range(2):
        assert not found.read()
        assert found.settings is None
        assert "nothing is done" in found.problem
