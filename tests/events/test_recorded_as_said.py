"""What a program says that makes no sense for an event is left out, and that is said."""

from __future__ import annotations

import gastown_tracing as gt
from gastown_tracing.testing import CapturedSpans, capture


def test_an_event_that_cannot_fail_does_not(captured_spans: CapturedSpans) -> None:
    """Its record is INFO, its counter says ok, and a line says that the error was left out."""
    gt.record("crew.session", crew="max", phase="start", error="x")
    (log,) = captured_spans.logs()
    (counter,) = captured_spans.metrics()
    assert (log["severity"], "error" in log["attributes"]) == ("INFO", False)
    assert counter["labels"]["status"] == "ok"
    assert captured_spans.errors == ["crew.session: error left out: it cannot fail"]


def test_empty_text_is_unknown() -> None:
    """As in the shell: it stands on no record, and what stands in for it does."""
    with capture({"GT_ROLE": "mayor", "GT_WORK_RIG": "demo"}) as captured:
        gt.record_mail(operation="send", msg_to="", msg_subject="")
        with gt.done(exit_type="COMPLETED", rig="", bead_id=""):
            pass
    mail, done = [log["attributes"] for log in captured.logs()]
    assert not {"msg.to", "msg.subject"} & mail.keys()
    assert (mail["rig"], done["rig"], "bead_id" in done) == ("", "demo", False)


def test_several_are_one_text(captured_spans: CapturedSpans) -> None:
    """Whom a mail is for is a text or a list."""
    gt.record_mail(operation="send", msg_to=["a", "b"])
    assert captured_spans.logs()[0]["attributes"]["msg.to"] == "a, b"
