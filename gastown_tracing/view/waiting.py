"""What waits: mail that nothing has read and merge requests that nothing has taken, where that is certain.

Certain it is where the journal's index names this very span as what made the message or the merge request:
whatever then reads or takes it is linked to the span. Only a command that begins a trace of its own has no
link, so what was recorded outside any session must not name it either. What went around us left no record.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from gastown_tracing.journal import index
from gastown_tracing.journal.layout import list_directory, open_regular
from gastown_tracing.view import titles

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.journal.parse import ReadSpan
    from gastown_tracing.view.model import Source

UNREAD = "not read yet, as far as is recorded"
UNTAKEN = "not taken yet, as far as is recorded"

#: Bytes that are searched outside sessions: where there is more, nothing is said to wait.
SEARCHED = 64 << 20


class _Handed(NamedTuple):
    """What a span handed over: its id, the index's kind that links go by, what is said while it waits."""

    span: ReadSpan
    key: str
    kind: str
    said: str


def waiting(journal: Journal, source: Source) -> dict[str, str]:
    """Return, by span, what the trace handed over that nothing has taken.

    `source.effects` have been looked for everywhere.
    """
    here = {titles.text(span.attributes.get("msg.id")) for span in source.spans if _is_mail(span, "read")}
    found = [
        handed
        for handed in _handed_over(source)
        if handed.key
        and handed.key not in here
        and not source.effects.get(handed.span.span_id)
        and not titles.failed(handed.span)
        and index.span_of(index.look(journal, handed.kind, handed.key))
        == (source.trace_id, handed.span.span_id)
    ]
    named = _named_outside(journal, source.trace_id, {handed.key for handed in found}) if found else set()
    return {handed.span.span_id: handed.said for handed in found if handed.key not in named}


def _handed_over(source: Source) -> Iterator[_Handed]:
    """Yield what the spans of a trace handed over."""
    made = {
        log.span_id: titles.text(log.attributes.get("bead_id"))
        for log in source.logs
        if log.event_name == "bead.create"
    }
    for span in source.spans:
        if _is_mail(span, "send"):
            yield _Handed(span, titles.text(span.attributes.get("msg.id")), index.BEADS, UNREAD)
        elif _asks_for_merge(span):
            yield _Handed(span, made.get(span.span_id, ""), index.MERGES, UNTAKEN)


def _is_mail(span: ReadSpan, operation: str) -> bool:
    return span.name == "mail" and span.attributes.get("operation") == operation


def _asks_for_merge(span: ReadSpan) -> bool:
    get = span.attributes.get
    made = span.name == "bd.call" and get("subcommand") == "create"
    return made and titles.MERGE_REQUEST in titles.text(get("args"))


def _named_outside(journal: Journal, trace_id: str, keys: Iterable[str]) -> set[str]:
    """Return those of the ids that other traces outside any session name; all, where that is not known."""
    loose = f"{journal.root}/loose"
    paths = [f"{loose}/{hour}/traces.jsonl" for hour in list_directory(loose)]
    keys = set(keys)
    if sum(map(_size, paths)) > SEARCHED:
        return keys
    named: set[str] = set()
    for path in paths:
        try:
            with open(path, "rb", opener=open_regular) as file:
                data = file.read(SEARCHED)
        except OSError:
            continue
        within = {key: key.encode() for key in keys - named if key.encode() in data}
        lines = [line for line in data.split(b"\n") if trace_id.encode() not in line] if within else []
        named |= {key for key, mark in within.items() if any(mark in line for line in lines)}
    return named


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
