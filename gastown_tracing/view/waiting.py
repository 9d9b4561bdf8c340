"""What waits: mail that nothing has read and merge requests that nothing has taken, where that is certain.

Certain it is where the journal's index names this very span as what made the message or the merge request:
whatever then reads or takes it is linked to the span. Only a command that begins a trace of its own has no
link, so what was recorded outside any session must not name it either. What went around us left no record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gastown_tracing.journal import index
from gastown_tracing.view import titles
from gastown_tracing.view.named import handed_over, is_mail, lines_outside, too_much

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.view.model import Source

UNREAD = "not read yet, as far as is recorded"
UNTAKEN = "not taken yet, as far as is recorded"


def waiting(journal: Journal, source: Source) -> dict[str, str]:
    """Return, by span, what the trace handed over that nothing has taken.

    `source.effects` have been looked for everywhere.
    """
    here = {titles.text(span.attributes.get("msg.id")) for span in source.spans if is_mail(span, "read")}
    found = [
        handed
        for handed in handed_over(source)
        if handed.key
        and handed.key not in here
        and not source.effects.get(handed.span.span_id)
        and not titles.failed(handed.span)
        and index.span_of(index.look(journal, handed.kind, handed.key))
        == (source.trace_id, handed.span.span_id)
    ]
    if not found or too_much(journal):
        return {}
    keys = {handed.key for handed in found}
    lines = [line for _, some in lines_outside(journal, source.trace_id, keys) for line in some]
    named = {key for key in keys if any(key.encode("utf-8", "replace") in line for line in lines)}
    return {
        handed.span.span_id: UNREAD if handed.kind == index.BEADS else UNTAKEN
        for handed in found
        if handed.key not in named
    }
