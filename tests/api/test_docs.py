"""The guide's programs run, and print what the guide says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.api.programs import python
from tests.conftest import ROOT

GUIDE = (ROOT / "docs" / "python.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```\n(?:```\n(.*?)```)?", GUIDE, re.DOTALL)


@pytest.mark.parametrize(("source", "output"), PROGRAMS)
def test_the_guides_programs_run(source: str, output: str, env: dict[str, str], journal_root: Path) -> None:
    """Each block is a program of its own; the block after it is its output."""
    assert python(source, env).stdout == output
    assert "init" not in source or journal_root.exists()


def test_the_guide_names_everything() -> None:
    """Every public function is explained, those of one event with their event."""
    import gastown_tracing  # read, not used

    functions = [name for name in gastown_tracing.__all__ if name[0].islower()]
    events = (ROOT / "docs" / "events.md").read_text()
    missing = [name for name in functions if name not in (events if name.startswith("record_") else GUIDE)]
    assert missing == []
