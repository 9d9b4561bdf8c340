"""Every event of the registry through rotel: a collector nobody here wrote hands all of it on intact.

What it hands on is decoded by OpenTelemetry's own protobuf classes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.events.arrived import from_sink
from tests.events.walk_check import Check, broken
from tests.events.walk_kit import Walk
from tests.processes import wait_until

from .rotel import needs_rotel, running_rotel

pytestmark = [pytest.mark.peer, needs_rotel]

WALK = Walk("through rotel", gated=True)


def test_every_event_passes_through(tmp_path: Path) -> None:
    """Log records, spans and metrics come out as they have to go in, and nothing beside them."""
    town = tmp_path / "town"
    with running_rotel(tmp_path) as rotel:
        WALK.run(town, rotel.env())
        wanted = len([told for told in WALK.tellings() if told.event.is_span]), len(WALK.tellings())
        sink = rotel.sink
        wait_until(
            lambda: (len(sink.spans()), len(sink.logs())) >= wanted and sink.metrics(), "rotel hands them on"
        )
    check = Check(WALK, town, from_sink(sink))
    assert broken(check.check_logs, check.check_spans, check.check_metrics) == {}
    check.check_whole()
