"""Every event of the registry as the Aspire dashboard shows it: an OTLP receiver nobody here wrote.

Log records and spans are read back through its telemetry API. That says of metrics only that there are some;
they are read from the dashboard's own export, which a browser asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.events.arrived import from_json
from tests.events.walk_check import Check, broken
from tests.events.walk_kit import Walk

from .aspire import CHROMIUM, Aspire, needs_aspire, running_aspire

pytestmark = [pytest.mark.peer, needs_aspire]

WALK = Walk("to the dashboard", gated=True, inside=True)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("town")


@pytest.fixture(scope="module")
def aspire(tmp_path_factory: pytest.TempPathFactory, town: Path) -> Iterator[Aspire]:
    """A dashboard that one process has sent every event to."""
    with running_aspire(tmp_path_factory.mktemp("aspire")) as dashboard:
        WALK.run(town, dashboard.env())
        yield dashboard


def test_every_log_record_and_span_is_shown(aspire: Aspire, town: Path) -> None:
    """As they had to be sent, and nothing beside them; metrics have come, too, from the same process."""
    shown = Check(WALK, town, from_json(aspire.read("spans"), aspire.read("logs")), loose=True)
    assert broken(shown.check_logs, shown.check_spans) == {}
    shown.check_whole()
    (one,) = aspire.resources()
    assert (one["name"], one["hasLogs"], one["hasTraces"], one["hasMetrics"]) == ("gastown", True, True, True)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH to press the dashboard's button with")
def test_every_metric_is_exported(aspire: Aspire, town: Path) -> None:
    """With the labels, values, buckets and exemplars that it had to have; log records and spans beside it."""
    exported = Check(WALK, town, from_json(*aspire.export(str(CHROMIUM))), loose=True)
    assert broken(exported.check_logs, exported.check_spans, exported.check_metrics) == {}
    exported.check_whole()
