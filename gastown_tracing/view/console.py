"""The waterfall in a terminal: a pure function from a trace to lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from gastown_tracing.view import text, titles
from gastown_tracing.view.axis import Axis
from gastown_tracing.view.bars import bar
from gastown_tracing.view.header import footer, header
from gastown_tracing.view.logs import log_line
from gastown_tracing.view.model import Link, Node, Trace
from gastown_tracing.view.theme import ASCII, UTF8, Glyphs, Paint

#: Narrower than this there is no time axis.
BARS_FROM = 50

_DURATION = 8


@dataclass(frozen=True, slots=True)
class Options:
    """How to draw: cells a line, charset, colour, log records under their spans, time zone (None: local)."""

    width: int = 80
    ascii: bool = False
    colour: bool = False
    logs: bool = False
    zone: tzinfo | None = None


def render(trace: Trace, options: Options) -> str:
    """Return the waterfall of `trace` as lines, none wider than `options.width` (at least 20 cells)."""
    return "".join(f"{line}\n" for line in Screen(trace, options).lines())


#: What is said about a node, and its style.
_Remark = tuple[str, str]


@dataclass(slots=True)
class _Row:
    """A node on its line: the guides before it and those under it, its label, what is said beside and below.

    `cells` is the width of guide and label, `room` that of what stands beside.
    """

    node: Node
    guide: str
    under: str
    label: str
    cells: int
    beside: list[_Remark]
    room: int
    below: list[_Remark]


class Screen:
    """One drawing of one trace: its columns, its axis, its rows."""

    def __init__(self, trace: Trace, options: Options) -> None:
        self.trace = trace
        self.options = options
        self.width = max(options.width, 20)
        self.glyphs: Glyphs = ASCII if options.ascii else UTF8
        self.paint = Paint(options.colour)
        self.started = text.moment(trace.start_ns, options.zone)
        self.rows = list(self._rows())
        self.label, self.remarks, cells = self._columns()
        self.axis = Axis(trace.axis_start_ns, trace.axis_end_ns, cells, trace.gaps, self.glyphs.idle)

    def lines(self) -> Iterator[str]:
        """Yield every line, header and footer included."""
        yield from header(self)
        yield ""
        if self.axis.cells > 0:
            yield self._scale()
        for row in self.rows:
            yield from self._lines_of(row)
        if notes := list(footer(self)):
            yield ""
            yield from notes

    def clean(self, value: str) -> str:
        """Return text nobody here chose, made safe for this screen's charset."""
        return text.clean(value, ascii_only=self.options.ascii)

    def cut(self, value: str, cells: int) -> str:
        """Return as much of `value` as fits into `cells`."""
        return text.cut(value, cells, self.glyphs.more)

    def _columns(self) -> tuple[int, int, int]:
        """Return the cells of label, remarks and bars, from what there is to show."""
        if self.width < BARS_FROM:
            return self.width - _DURATION - 1, 0, 0
        remarks = max((row.room for row in self.rows), default=0)
        wanted = max((row.cells for row in self.rows), default=0)
        label = min(max(wanted, 16), self.width * 45 // 100)
        spaces = 3 if remarks else 2
        return label, remarks, self.width - label - remarks - _DURATION - spaces

    def _scale(self) -> str:
        """Return the line of tick labels and shortened gaps."""
        cells = [" "] * self.axis.cells
        for place, label in self.axis.ticks():
            cells[place : place + len(label) + 1] = self.glyphs.tick + self.clean(label)
        for place, _, label, _ in self.axis.idle:
            cells[place : place + len(label)] = label
        return " " * (self.label + 1) + self.paint("".join(cells).rstrip(), "dim")

    def _rows(self) -> Iterator[_Row]:
        """Yield the rows in the order of the screen."""
        glyphs = self.glyphs
        longest = max(self.width // 5, 4)
        most = self.width // 5 if self.width >= BARS_FROM else 0
        work = titles.text(self.trace.info.get("issue_id"))
        stack = [(root, "", "", "") for root in reversed(self.trace.roots)]
        while stack:
            node, guide, under, parent_process = stack.pop()
            process = node.process or parent_process
            label = self._label(node)
            row = _Row(node, guide, under, label, len(guide) + text.width(label), [], 0, [])
            _split(row, self._remarks(node, work, "" if process == parent_process else process), most)
            work = node.work or work
            yield row
            if len(under) > longest:
                under = glyphs.deep + under[len(under) - longest + 2 :]
            last = len(node.children) - 1
            for index in range(last, -1, -1):
                branch, down = (glyphs.last, glyphs.blank) if index == last else (glyphs.branch, glyphs.down)
                stack.append((node.children[index], under + branch, under + down, process))

    def _label(self, node: Node) -> str:
        """Return the label of a node, without its colours."""
        glyphs = self.glyphs
        marks = glyphs.orphan + " " if node.orphan else ""
        if node.state == "live":
            marks += glyphs.live + " "
        elif node.state == "error" and node.failed in (0, node.count):
            marks += glyphs.error + " "
        title = self.clean(node.title)
        if node.members:
            return f"{marks}{title} {glyphs.times}{node.count}"
        detail = self.clean(node.detail)
        return f"{marks}{title} {detail}" if detail else marks + title

    def _remarks(self, node: Node, work: str, process: str) -> list[_Remark]:
        """Return what is said beside a row, each with its style, the most useful first."""
        glyphs = self.glyphs
        remarks = []
        if node.state == "live":
            remarks.append(("live", "live"))
        if node.members and node.failed:
            remarks.append((f"{node.failed} failed", "error"))
        if process:
            remarks.append((self.clean(process), "dim"))
        if node.error and not (node.members and node.error.startswith("exit ") and ":" not in node.error):
            remarks.append((f"{glyphs.error} {self.clean(node.error)}", "error"))
        if node.work and node.work != work and node.work not in node.title:
            remarks.append((f"{glyphs.bead} {self.clean(node.work)}", "bead"))
        if node.twin:
            remarks.append(("another span has its id", "error"))
        if node.hidden:
            remarks.append((f"+{node.hidden} below", "dim"))
        return remarks

    def _lines_of(self, row: _Row) -> Iterator[str]:
        """Yield the line of a row and what hangs under it: remarks without room, links, log records."""
        yield self._line(row)
        below = row.below + [(self._link(link), "link") for link in row.node.links]
        if self.options.logs:
            below += [log_line(self, log) for log in row.node.logs]
        guide = row.under + (self.glyphs.down if row.node.children else self.glyphs.blank)
        for remark, style in below:
            yield self.paint(guide, "dim") + self.paint(self.cut(remark, self.width - len(guide)), style)

    def _line(self, row: _Row) -> str:
        """Return the row's own line: label, bar, duration, remarks."""
        node, paint = row.node, self.paint
        label, cells = row.label, row.cells
        if cells > self.label:
            label = self.cut(label, self.label - len(row.guide))
            cells = len(row.guide) + text.width(label)
        style = node.state if node.state == "live" or (node.error and not node.members) else node.family
        if node.faded:
            style = "dim"
        line = paint(row.guide, "dim") + self._two_tone(label, node, style) + " " * (self.label - cells + 1)
        if self.axis.cells > 0:
            first, drawn = bar(node, self.axis, self.glyphs)
            line += " " * first + paint(drawn, style) + " " * (self.axis.cells - first - len(drawn) + 1)
        line += self.clean(text.duration(node.busy_ns)).rjust(_DURATION)
        if row.beside:
            line += " " + "  ".join([paint(remark, style) for remark, style in row.beside])
        return line

    def _two_tone(self, label: str, node: Node, style: str) -> str:
        """Return a label with its detail (or a fold's number) toned down."""
        if not self.paint.codes or style in ("error", "live", "dim"):
            return self.paint(label, style)
        title = self.clean(node.title)
        if not label.startswith(title):
            return self.paint(label, style)
        return self.paint(title, style) + self.paint(label[len(title) :], "bold" if node.members else "dim")

    def _link(self, link: Link) -> str:
        """Return a link in words: `⇠ caused by sling gt-abc in run 1a2b3c4d · mayor`."""
        glyphs = self.glyphs
        what = self.clean(link.title) or f"span {self.clean(link.span_id)[:8]}"
        where = f"in run {self.clean(link.trace_id)[:8]}"
        if link.run:
            where += f"{glyphs.dot}{self.clean(link.run)}"
        return (
            f"{glyphs.effect} caused {what} {where}"
            if link.effect
            else f"{glyphs.cause} caused by {what} {where}"
        )


def _split(row: _Row, remarks: list[_Remark], most: int) -> None:
    """Put each remark beside the row while `most` cells hold it, else below, in place."""
    for remark in remarks:
        needed = text.width(remark[0]) + (2 if row.room else 0)
        if row.room + needed <= most:
            row.beside.append(remark)
            row.room += needed
        else:
            row.below.append(remark)
