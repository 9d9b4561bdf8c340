"""The waterfall in a terminal: a pure function from a trace to lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo

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


@dataclass(frozen=True, slots=True)
class _Row:
    """A node on its line: the guides before it, those under it, and its remarks as (text, style)."""

    node: Node
    guide: str
    under: str
    label: str
    remarks: list[tuple[str, str]]


class Screen:
    """One drawing of one trace: its columns, its axis, its rows."""

    def __init__(self, trace: Trace, options: Options) -> None:
        self.trace = trace
        self.options = options
        self.width = max(options.width, 20)
        self.glyphs: Glyphs = ASCII if options.ascii else UTF8
        self.paint = Paint(options.colour)
        self.started = datetime.fromtimestamp(trace.start_ns / 1e9, options.zone).astimezone(options.zone)
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
        most = self.width // 5
        fitting = (self._remarks_width(row, most) for row in self.rows)
        remarks = max(fitting, default=0)
        wanted = max((text.width(row.guide) + text.width(row.label) for row in self.rows), default=0)
        label = min(max(wanted, 16), self.width * 45 // 100)
        spaces = 3 if remarks else 2
        return label, remarks, self.width - label - remarks - _DURATION - spaces

    def _remarks_width(self, row: _Row, most: int) -> int:
        """Return the cells of the remarks that fit beside a row when there are `most`."""
        used = 0
        for remark, _ in row.remarks:
            needed = text.width(remark) + (2 if used else 0)
            if used + needed <= most:
                used += needed
        return used

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
        work = titles.text(self.trace.info.get("issue_id"))
        stack = [(root, "", "", "") for root in reversed(self.trace.roots)]
        while stack:
            node, guide, under, parent_process = stack.pop()
            process = node.process or parent_process
            remarks = self._remarks(node, work, "" if process == parent_process else process)
            work = node.work or work
            yield _Row(node, guide, under, self._label(node), remarks)
            if len(under) > longest:
                under = glyphs.deep + under[len(under) - longest + 2 :]
            for index in range(len(node.children) - 1, -1, -1):
                last = index == len(node.children) - 1
                branch, down = (glyphs.last, glyphs.blank) if last else (glyphs.branch, glyphs.down)
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

    def _remarks(self, node: Node, work: str, process: str) -> list[tuple[str, str]]:
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
        beside: list[str] = []
        below: list[tuple[str, str]] = []
        free = self.remarks
        for remark, style in row.remarks:
            needed = text.width(remark) + (2 if beside else 0)
            if needed <= free:
                beside.append(self.paint(remark, style))
                free -= needed
            else:
                below.append((remark, style))
        yield self._line(row, "  ".join(beside))
        below += [(self._link(link), "link") for link in row.node.links]
        if self.options.logs:
            below += [log_line(self, log) for log in row.node.logs]
        guide = row.under + (self.glyphs.down if row.node.children else self.glyphs.blank)
        for remark, style in below:
            yield self.paint(guide, "dim") + self.paint(self.cut(remark, self.width - len(guide)), style)

    def _line(self, row: _Row, remarks: str) -> str:
        """Return the row's own line: label, bar, duration, remarks."""
        node, paint = row.node, self.paint
        label = self.cut(row.label, self.label - len(row.guide))
        style = node.state if node.state == "live" or (node.error and not node.members) else node.family
        if node.faded:
            style = "dim"
        space = " " * (self.label - len(row.guide) - text.width(label) + 1)
        line = paint(row.guide, "dim") + self._two_tone(label, node, style) + space
        if self.axis.cells > 0:
            first, cells = bar(node, self.axis, self.glyphs)
            line += " " * first + paint(cells, style) + " " * (self.axis.cells - first - len(cells) + 1)
        line += self.clean(text.duration(node.busy_ns)).rjust(_DURATION)
        return f"{line} {remarks}" if remarks else line

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
