"""A hook is of the fast path: what one loads, in an interpreter without site."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.hooks.hook_kit import INPUTS, Hooks

#: What each of them costs more than the hook itself.
SLOW = {"os", "re", "json", "typing", "dataclasses", "enum", "subprocess", "pathlib", "functools", "click"}


@pytest.mark.parametrize("event", INPUTS)
def test_a_hook_loads_nothing_slow(hooks: Hooks, event: str) -> None:
    """No hook loads what takes longer to load than it takes to run."""
    program = (
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"from gastown_tracing.hooks import claude\nclaude._run({event!r})\n"
        "print(' '.join(sys.modules))"
    )
    words = [sys.executable, "-I", "-S", "-E", "-c", program]
    told = json.dumps(INPUTS[event])
    done = subprocess.run(words, input=told, env=hooks.env, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "gastown_tracing.hooks.agents" in loaded
    assert not loaded & SLOW
    assert not {name for name in loaded if name.startswith("opentelemetry")}
    assert hooks.files()
