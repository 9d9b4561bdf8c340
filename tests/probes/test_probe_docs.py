"""The page about probes shows what runs."""

from __future__ import annotations

import re

from tests.api.programs import python
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "probes.md").read_text()


def test_the_pages_probe_runs(env: dict[str, str]) -> None:
    """It prints what the page says, with telemetry on."""
    ((source, output),) = re.findall(r"```python\n(.*?)```\n```\n(.*?)```", PAGE, re.DOTALL)
    assert python("import gastown_tracing; gastown_tracing.init()\n" + source, env).stdout == output
