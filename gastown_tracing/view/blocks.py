"""Several linked traces in a terminal: a pure function from a picture to lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from gastown_tracing.view import header, text
from gastown_tracing.view.console import Options, Row, Screen
from gastown_tracing.view.parts import Block
from gastown_tracing.view.together import Picture


def render(picture: Picture, options: Options) -> str:
    """Return the picture as lines, none wider than `options.width` (at least 20 cells)."""
    return "".join(f"{line}\n" for line in _Blocks(picture, options).lines())


class _Blocks(Screen):
    """One drawing of one picture: blocks below each other, on the columns and the axis of one screen."""

    def __init__(self, picture: Picture, options: Options) -> None:
        self.picture = picture
        self._groups: list[list[Row]] = []
        super().__init__(picture.all, options)

    def lines(self) -> Iterator[str]:
        """Yield every line, header and footer included."""
        for parts in self._header():
            yield from header.joined(self, parts)
        yield ""
        if self.axis.cells > 0:
            yield self.scale()
        for place, (block, rows) in enumerate(zip(self.picture.blocks, self._groups, strict=True)):
            if place:
                yield ""
            yield from header.joined(self, list(_head(block)))
            for row in rows:
                yield from self.lines_of(row)
        if notes := list(header.footer(self)):
            yield ""
            yield from notes

    def all_rows(self) -> list[Row]:
        """Return the rows of all blocks."""
        self._groups = [list(self.rows_of(block.trace)) for block in self.picture.blocks]
        return [row for rows in self._groups for row in rows]

    def _header(self) -> Iterator[list[tuple[str, str]]]:
        """Yield the lines above the axis: what was asked, start and counts, the longest wait."""
        blocks = self.picture.blocks
        count = text.counted(len(blocks), "linked trace") if len(blocks) != 1 else "no linked trace"
        yield [*([(f"bead {self.picture.bead}", "bead")] if self.picture.bead else []), (count, "bold")]
        yield list(header.counts(self))
        if (wait := self.picture.longest) is not None:
            took = text.duration(wait.link.until_ns - wait.link.since_ns)
            yield [
                (f"longest wait {took}", "bold"),
                (
                    f"{wait.link.mark} {wait.cause} {self.glyphs.effect} {wait.link.title} in {wait.block}",
                    "link",
                ),
            ]
        if (pending := self.picture.pending) is not None:
            yield [
                (f"waiting {text.duration(pending.age_ns)}", "bold"),
                (f"{pending.title} in {pending.block}: {pending.words}", "bead"),
            ]


def _head(block: Block) -> Iterator[tuple[str, str]]:
    """Yield what the line above a block says: its label, session, run, state, and how much is not shown."""
    trace = block.trace
    who = list(header.who(trace))
    yield f"{block.label} {who[0][0]}", who[0][1]
    yield from (part for part in who[1:] if not part[0].startswith("host "))
    yield f"{'run' if trace.run else 'trace'} {trace.trace_id[:8]}", "dim"
    yield from header.state(trace)
    yield header.lasted(trace), "dim"
    if block.errors:
        yield text.counted(block.errors, "error"), "error"
    if said := left(block):
        yield said, "dim"


def left(block: Block) -> str:
    """Return in words how much of a trace has no part in the story; empty where all of it does."""
    spans, failed = block.left
    errors = f", {text.counted(failed, 'error')} among them" if failed else ""
    return f"{text.counted(spans, 'span')} not shown{errors}" if spans else ""
