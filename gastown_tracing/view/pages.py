"""Several linked traces as one self-contained page: a pure function from a picture to HTML."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from typing import Any

from gastown_tracing.view import header, html, text
from gastown_tracing.view.blocks import left
from gastown_tracing.view.links import waited
from gastown_tracing.view.marks import name
from gastown_tracing.view.parts import Block
from gastown_tracing.view.together import Picture


def render(picture: Picture, zone: tzinfo | None = None) -> str:
    """Return the page for a picture; `zone` is that of the start time in its header (None: local)."""
    return html.fill(_Page(picture, zone).data())


class _Page(html.Page):
    """The data of one page: each block is a row, its spans are below it, and links know each other's row."""

    def __init__(self, picture: Picture, zone: tzinfo | None) -> None:
        super().__init__(picture.all, zone)
        self.picture = picture

    def data(self) -> dict[str, Any]:
        """Return everything the page's script needs."""
        data = super().data()
        rows = [row for block in self.picture.blocks for row in self._block(block)]
        _join(rows)
        return data | {"rows": rows, "nothing": "", "resources": self.resources}

    def name(self, rows: list[dict[str, Any]]) -> str:  # noqa: ARG002 - as the page of one trace has it
        """Return what the page is called: the bead, else what was asked for, and how many traces it has."""
        blocks = self.picture.blocks
        asked = f"bead {self.picture.bead}" if self.picture.bead else _called(blocks[0]) if blocks else ""
        return " · ".join(filter(None, (asked, text.counted(len(blocks), "linked trace"))))

    def facts(self) -> Iterator[tuple[str, str, str]]:
        """Yield (name, value, style) of what stands in the header."""
        yield from (fact for fact in super().facts() if fact[0] != "Trace")
        if (wait := self.picture.longest) is not None:
            said = f"{waited(wait.link)} · {wait.link.mark} {wait.cause} ⇢ {wait.link.title} in {wait.block}"
            yield "Longest wait", said, "bead"
        if (pending := self.picture.pending) is not None:
            said = f"{pending.title} in {pending.block}: {pending.words}"
            yield "Waiting", f"{text.duration(pending.age_ns)} · {said}", "bead"

    def _block(self, block: Block) -> Iterator[dict[str, Any]]:
        """Yield the row of a block and those below it."""
        trace = block.trace
        said = [part for part, _ in (*header.who(trace), *header.state(trace))][1:]
        start = max(trace.axis_start_ns, self.trace.axis_start_ns)
        end = max(min(trace.axis_end_ns, self.trace.axis_end_ns), start)
        yield {
            "depth": 0,
            "title": f"{block.label} {_called(block)}",
            "detail": " · ".join(filter(None, [*said, left(block)])),
            "family": "session",
            "state": "live" if trace.state == "live" else "ok",
            "start": self.at(start),
            "span": (end - start) / 1e3,
            "busy": (trace.end_ns - trace.start_ns) / 1e3 if trace.start_ns else 0,
            "block": block.label,
            "trace": trace.trace_id,
            "minimum": trace.minimum,
        }
        for row in self.rows(trace, 1):
            yield row | {"trace": trace.trace_id}


def _called(block: Block) -> str:
    return name(block.trace) or next(iter(header.who(block.trace)))[0]


def _join(rows: list[dict[str, Any]]) -> None:
    """Say of each link on which row its other end is, in place: the span itself, else what hides it."""
    exact: dict[tuple[str, bool, str, str], int] = {}
    hiding: dict[tuple[str, bool, str], int] = {}
    marked = [
        (place, row, link)
        for place, row in enumerate(rows)
        for link in row.get("links", ())
        if "mark" in link
    ]
    for place, row, link in marked:
        exact.setdefault((link["mark"], link["effect"], row["trace"], row.get("id", "")), place)
        hiding.setdefault((link["mark"], link["effect"], row["trace"]), place)
    for _, _, link in marked:
        end = (link["mark"], not link["effect"], link["trace"])
        to = exact.get((*end, link["span"]), hiding.get(end))
        if to is not None:
            link["to"] = to
