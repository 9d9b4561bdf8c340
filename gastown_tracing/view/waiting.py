"""What waits: mail that nothing has read and merge requests that nothing has taken, where that is certain.

Certain it is where the journal's index names this very span as what made the message or the merge request:
whatever then reads or takes it is linked to the span. What went around us leaves no record, and is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gastown_tracing.journal import index
from gastown_tracing.view import titles

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.journal.parse import ReadSpan
    from gastown_tracing.view.model import Source

UNREAD = "not read yet, as far as is recorded"
UNTAKEN = "not taken yet, as far as is recorded"


def waiting(journal: Journal, source: Source) -> dict[str, str]:
    """Return, by span, what the trace handed over that nothing has taken.

    `source.effects` have been looked for everywhere.
    """
    here = {titles.text(span.attributes.get("msg.id")) for span in source.spans if _is_mail(span, "read")}
    return {
        span.span_id: said
        for span, bead, said in _handed_over(source)
        if bead
        and bead not in here
        and not source.effects.get(span.span_id)
        and not titles.failed(span)
        and index.bead_span(journal, bead) == (source.trace_id, span.span_id)
    }


def _handed_over(source: Source) -> Iterator[tuple[ReadSpan, str, str]]:
    """Yield the spans that hand something over, the id of that, and what is said while it waits."""
    made = {
        log.span_id: titles.text(log.attributes.get("bead_id"))
        for log in source.logs
        if log.event_name == "bead.create"
    }
    for span in source.spans:
        if _is_mail(span, "send"):
            yield span, titles.text(span.attributes.get("msg.id")), UNREAD
        elif asks_for_merge(span):
            yield span, made.get(span.span_id, ""), UNTAKEN


def _is_mail(span: ReadSpan, operation: str) -> bool:
    return span.name == "mail" and span.attributes.get("operation") == operation


def asks_for_merge(span: ReadSpan) -> bool:
    """Say whether a span made a merge request."""
    get = span.attributes.get
    return (
        span.name == "bd.call"
        and get("subcommand") == "create"
        and titles.MERGE_REQUEST in titles.text(get("args"))
    )
