"""What an agent exports itself carries the work that its run was primed on, as what shims record does."""

from __future__ import annotations

from pathlib import Path

import pytest

from gastown_tracing.journal import writer
from gastown_tracing.journal.layout import Journal
from propagation.work import WorkContext, format_line
from tests.relay.receiver_kit import attributes, log, logs, pairs, receiving, span, spans
from tests.relay.test_receiver_records import FOREIGN, RUN, SPAN

SECOND = 1_000_000_000
FIRST, THEN = WorkContext("demo", "de-1", "de-wisp-1"), WorkContext("other", "ot-5", "", "7")


@pytest.mark.parametrize(
    ("began", "expected"), [(5, {}), (10, {}), (11, FIRST.attributes()), (25, THEN.attributes()), (35, {})]
)
def test_a_record_that_comes_in_has_the_work_of_its_beginning(
    journal_root: Path, began: int, expected: dict[str, str]
) -> None:
    """Before the first prime there is none, nor after one on nothing; how late it comes changes nothing."""
    with receiving(journal_root) as found:
        journal = Journal(str(journal_root))
        for number, work in ((10, FIRST), (20, THEN), (30, WorkContext())):
            writer.append(journal.run_dir(RUN), "work", format_line(number * SECOND, work, "prime").encode())
        times = {"startTimeUnixNano": str(began * SECOND), "endTimeUnixNano": str(90 * SECOND)}
        assert found.post("traces", spans(span(FOREIGN, SPAN, **times), gt__run_id=RUN)).status == 200
        assert (
            found.post("logs", logs(log("x", timeUnixNano=str(began * SECOND)), gt__run_id=RUN)).status == 200
        )
        for kind in ("traces", "logs"):
            (record,) = found.records(kind)
            assert {key: value for key, value in attributes(record).items() if "work" in key} == expected


def test_work_that_a_record_names_itself_stays(journal_root: Path) -> None:
    """Whoever exported it knew better; and what belongs to no run has no work."""
    with receiving(journal_root) as found:
        journal = Journal(str(journal_root))
        writer.append(journal.run_dir(RUN), "work", format_line(1, FIRST, "prime").encode())
        own = span(FOREIGN, SPAN, attributes=pairs(work_bead="de-9"))
        assert found.post("traces", spans(own, gt__run_id=RUN)).status == 200
        assert found.post("logs", logs(log("x"))).status == 200
        (kept,), (loose,) = found.records("traces"), found.records("logs")
    assert {key: value for key, value in attributes(kept).items() if "work" in key} == {"work_bead": "de-9"}
    assert not [key for key in attributes(loose) if "work" in key]
