"""The real `gt-trace doctor`, and what it says as data."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gastown_tracing.journal import layout

Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor said: its checks by (group, name), and how it ended."""

    code: int
    rows: list[dict[str, str]]
    text: str

    def __getitem__(self, key: tuple[str, str]) -> dict[str, str]:
        found = [row for row in self.rows if (row["group"], row["check"]) == key]
        assert found, (key, [(row["group"], row["check"]) for row in self.rows])
        return found[-1]

    def state(self, group: str, check: str) -> str:
        """Return the state of a check."""
        return self[group, check]["state"]

    def all(self, state: str) -> list[tuple[str, str]]:
        """Return the checks that are in a state."""
        return [(row["group"], row["check"]) for row in self.rows if row["state"] == state]


Doctor = Callable[..., Diagnosis]


@pytest.fixture
def doctor(gt_trace: Callable[..., Done], env: dict[str, str]) -> Doctor:
    """Return a function that runs `gt-trace doctor --json`, `variables` set on top of the environment."""

    def run(*options: str, **variables: str) -> Diagnosis:
        done = gt_trace("doctor", "--json", *options, env={**env, **variables})
        assert done.stderr == "", done.stderr
        return Diagnosis(done.returncode, json.loads(done.stdout), done.stdout)

    return run


@pytest.fixture
def journal(journal_root: Path) -> layout.Journal:
    """Return a journal that is made and switched on."""
    return layout.create(str(journal_root))
