"""The waterfall: from a journal to text, to a page, to numbers. Never writes into the journal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

# Whatever imports one module of this package pays for that module alone: the others are imported on call.
if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal


def show(
    journal: Journal,
    trace_id: str,
    *,
    width: int = 80,
    colour: bool = False,
    ascii: bool = False,  # noqa: A002 - named as the option of `gt-trace view`
    logs: bool = False,
) -> str:
    """Return the waterfall of one trace as text of at most `width` cells a line, like siblings folded."""
    from gastown_tracing.view import console, load, model, shape

    trace = shape.apply(model.build(load.load(journal, trace_id), time.time_ns()))
    return console.render(trace, console.Options(width, ascii, colour, logs))


def write_html(journal: Journal, trace_id: str, path: str) -> None:
    """Write the waterfall of one trace as one self-contained page to `path`. Raises OSError."""
    from gastown_tracing.view import html, load, model, shape

    trace = shape.apply(model.build(load.load(journal, trace_id), time.time_ns()))
    page = html.render(trace)
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)
