"""What commands outside any session took by its id: a message that they read, a merge request's bead.

Such a command begins a trace of its own, and nothing at its beginning links to another trace. The id that it
names leads to what made the message or the merge request, by the journal's index, and back.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from gastown_tracing.journal import index
from gastown_tracing.journal.layout import list_directory, open_regular
from gastown_tracing.journal.parse import parse_spans
from gastown_tracing.view import titles
from gastown_tracing.view.model import OUTSIDE, Link

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.journal.parse import ReadSpan
    from gastown_tracing.view.model import Source

#: Bytes that are searched outside sessions: where there is more, nothing is known of what they name.
SEARCHED = 64 << 20

#: What a merge request's bead is named to.
_TAKING = ("show", "update", "close")


class Handed(NamedTuple):
    """What a span handed over: its id, and the index's kind that links go by."""

    span: ReadSpan
    key: str
    kind: str


def handed_over(source: Source) -> Iterator[Handed]:
    """Yield what the spans of a trace handed over: messages and merge requests, each with its id or ""."""
    made = {
        log.span_id: titles.text(log.attributes.get("bead_id"))
        for log in source.logs
        if log.event_name == "bead.create"
    }
    for span in source.spans:
        if is_mail(span, "send"):
            yield Handed(span, titles.text(span.attributes.get("msg.id")), index.BEADS)
        elif _asks_for_merge(span):
            said = made.get(span.span_id) or titles.text(span.attributes.get("bead_id"))
            yield Handed(span, said, index.MERGES)


def is_mail(span: ReadSpan, operation: str) -> bool:
    """Say whether a span is this operation with a message."""
    return span.name == "mail" and span.attributes.get("operation") == operation


def _asks_for_merge(span: ReadSpan) -> bool:
    get = span.attributes.get
    made = span.name == "bd.call" and get("subcommand") == "create"
    return made and titles.MERGE_REQUEST in titles.text(get("args"))


def _takes(span: ReadSpan) -> tuple[str, str]:
    """Return (kind, id) of what a span takes, ("", "") where that is nothing."""
    if is_mail(span, "read"):
        return index.BEADS, titles.text(span.attributes.get("msg.id"))
    subcommand, _, rest = titles.text(span.attributes.get("args")).partition(" ")
    if span.name == "bd.call" and subcommand in _TAKING:
        return index.MERGES, rest.partition(" ")[0]
    return "", ""


def causes(journal: Journal, source: Source) -> dict[str, list[tuple[str, str]]]:
    """Return, by span of a trace outside any session, the (trace id, span id) that made what it took."""
    found: dict[str, list[tuple[str, str]]] = {}
    for span in () if source.root_id else (*source.spans, *source.in_progress):
        kind, key = _takes(span)
        if not kind or span.links:
            continue
        made = index.span_of(index.look(journal, kind, key))
        if made is not None and made[0] != source.trace_id:
            found[span.span_id] = [made]
    return found


def add_effects(journal: Journal, source: Source) -> None:
    """Add to `source.effects` what commands outside any session took of what the trace handed over."""
    handed = {
        (one.kind, one.key): one.span.span_id
        for one in handed_over(source)
        if one.key
        and index.span_of(index.look(journal, one.kind, one.key)) == (source.trace_id, one.span.span_id)
    }
    effects = dict(source.effects)
    for span in _spans(journal, source.trace_id, {key for _, key in handed}):
        made = handed.get(_takes(span))
        if made is None or span.links or titles.failed(span):
            continue
        title = titles.far(span.name, span.attributes)
        link = Link(span.trace_id, span.span_id, True, title, OUTSIDE, name=span.name, start_ns=span.start_ns)
        effects[made] = sorted([*effects.get(made, ()), link], key=lambda link: link.start_ns)
    source.effects = effects


def _spans(journal: Journal, trace_id: str, keys: set[str]) -> Iterator[ReadSpan]:
    """Yield the spans of other traces outside any session whose lines hold one of the ids."""
    for path, lines in lines_outside(journal, trace_id, keys) if keys else ():
        text = b"\n".join(lines).decode("utf-8", "replace") + "\n"
        yield from (span for span in parse_spans(text, path, []) if span.trace_id != trace_id)


def lines_outside(journal: Journal, trace_id: str, keys: Iterable[str]) -> Iterator[tuple[str, list[bytes]]]:
    """Yield, by file, the lines that hold one of the ids and not this trace's; none if that is too much."""
    if too_much(journal):
        return
    needles = [key.encode("utf-8", "replace") for key in keys]
    for path in _files(journal):
        try:
            with open(path, "rb", opener=open_regular) as file:
                data = file.read(SEARCHED)
        except OSError:
            continue
        within = [needle for needle in needles if needle in data]
        lines = data.split(b"\n")[:-1] if within else []
        yield (
            path,
            [
                line
                for line in lines
                if trace_id.encode() not in line and any(needle in line for needle in within)
            ],
        )


def too_much(journal: Journal) -> bool:
    """Say whether more was recorded outside any session than is searched."""
    return sum(map(_size, _files(journal))) > SEARCHED


def _files(journal: Journal) -> list[str]:
    loose = f"{journal.root}/loose"
    return [f"{loose}/{hour}/traces.jsonl" for hour in list_directory(loose)]


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
