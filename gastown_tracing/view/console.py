"""The waterfall in a terminal: a pure function from a trace to lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import tzinfo

from gastown_tracing.view import links, text, titles
from gastown_tracing.view.axis import Axis
from gastown_tracing.view.bars import bar
from gastown_tracing.view.header import footer, header
from gastown_tracing.view.logs import log_line
from gastown_tracing.view.model import Link, Node, Trace
from gastown_tracing.view.theme import ASCII, UTF8, Glyphs, Paint

#: Narrower than this there is no time axis.
BARS_FROM = 50

_DURATION = 8

#: What stands beside the time that passed between a cause and its effect.
_WAITED = "waited"

#: How many links of one span are said; the rest are counted.
_LINKS = 20


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

#: The remarks that may stand beside a row, the most useful first, each with its style.
_BESIDE = {"live": "live", "failed": "error", "process": "dim", "bead": "bead", "hidden": "dim"}


@dataclass(slots=True)
class Row:
    """A node on its line: the guides before it and those under it, its label, what is said beside and below.

    `cells` is the width of guide and label, `room` that of what stands beside; `took` is its length in words.
    `remarks` are those that stand beside where there is room on every row.
    """

    node: Node
    guide: str
    under: str
    label: str
    cells: int
    took: str
    remarks: dict[str, str]
    below: list[_Remark]
    beside: list[_Remark] = field(default_factory=list)
    room: int = 0


def _waited(link: Link) -> bool:
    """Say whether a link's line has a time that is drawn: at the effect, where that tells something."""
    return link.until_ns > 0 and not link.effect


class Screen:
    """One drawing of one trace: its columns, its axis, its rows."""

    def __init__(self, trace: Trace, options: Options) -> None:
        self.trace = trace
        self.options = options
        self.width = max(options.width, 20)
        self.glyphs: Glyphs = ASCII if options.ascii else UTF8
        self.paint = Paint(options.colour)
        self.rows = self.all_rows()
        self.took = max((text.width(row.took) for row in self.rows), default=0)
        self.took = max(self.took, _DURATION)
        self._place()
        self.label, self.remarks, cells = self._columns()
        self.axis = Axis(trace.axis_start_ns, trace.axis_end_ns, cells, trace.gaps, self.glyphs.idle)

    def lines(self) -> Iterator[str]:
        """Yield every line, header and footer included."""
        yield from header(self)
        yield ""
        if self.axis.cells > 0:
            yield self.scale()
        for row in self.rows:
            yield from self.lines_of(row)
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
            return self.width - self.took - 1, 0, 0
        remarks = max((row.room for row in self.rows), default=0)
        wanted = max((row.cells for row in self.rows), default=0)
        waits = [(row, link) for row in self.rows for link in row.node.links[:_LINKS] if _waited(link)]
        if waits:
            remarks = max(remarks, len(_WAITED))
            wanted = max(wanted, *(len(row.under) + 2 + text.width(self._link(link)) for row, link in waits))
        label = min(max(wanted, 16), self.width * 45 // 100)
        spaces = 3 if remarks else 2
        return label, remarks, self.width - label - remarks - self.took - spaces

    def scale(self) -> str:
        """Return the line of tick labels and shortened gaps."""
        cells = [" "] * self.axis.cells
        for place, label in self.axis.ticks():
            cells[place : place + len(label) + 1] = self.glyphs.tick + self.clean(label)
        for place, _, label, _ in self.axis.idle:
            cells[place : place + len(label)] = label
        return " " * (self.label + 1) + self.paint("".join(cells).rstrip(), "dim")

    def all_rows(self) -> list[Row]:
        """Return the rows in the order of the screen."""
        return list(self.rows_of(self.trace))

    def rows_of(self, trace: Trace) -> Iterator[Row]:
        """Yield the rows of one trace."""
        glyphs = self.glyphs
        longest = max(self.width // 5, 4)
        work = titles.text(trace.info.get("issue_id"))
        stack = [(root, "", "", "") for root in reversed(trace.roots)]
        while stack:
            node, guide, under, parent_process = stack.pop()
            process = node.process or parent_process
            label = self._label(node)
            remarks = self._remarks(node, work, "" if process == parent_process else process)
            cells = len(guide) + text.width(label)
            yield Row(node, guide, under, label, cells, self._took(node), remarks, self._failure(node))
            work = node.work or work
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
        elif node.state == "error":
            marks += glyphs.error + " "
        title = self.clean(node.title)
        if node.members:
            return f"{marks}{title} {glyphs.times}{node.count}"
        detail = self.clean(node.detail)
        return f"{marks}{title} {detail}" if detail else marks + title

    def _took(self, node: Node) -> str:
        """Return how long a node took; of a fold, whose bar spans more than that, the sum."""
        took = text.took(node.busy_ns, minimum=node.minimum)
        return self.clean(f"Σ {took}" if node.members else took)

    def _remarks(self, node: Node, work: str, process: str) -> dict[str, str]:
        """Return what may be said beside a row, by the keys of `_BESIDE`."""
        other = node.work != work and node.work not in node.title
        remarks = {
            "live": "live" if node.state == "live" else "",
            "failed": f"{node.failed} failed" if node.failed else "",
            "process": self.clean(process),
            "bead": f"{self.glyphs.bead} {self.clean(node.work)}" if node.work and other else "",
            "hidden": f"+{node.hidden} below" if node.hidden else "",
        }
        return {kind: said for kind, said in remarks.items() if said}

    def _failure(self, node: Node) -> list[_Remark]:
        """Return what went wrong with a node: always below its row, where there is room for words."""
        said = []
        if node.error and not (node.members and node.error.startswith("exit ") and ":" not in node.error):
            said.append((f"{self.glyphs.error} {self.clean(node.error)}", "error"))
        if node.twin:
            said.append(("another span has its id", "error"))
        return said

    def _place(self) -> None:
        """Put each kind of remark beside its rows where there is room on all of them, else below them all."""
        most = self.width // 5 if self.width >= BARS_FROM else 0
        for kind, style in _BESIDE.items():
            rows = [row for row in self.rows if kind in row.remarks]
            left = [most - row.room - (2 if row.room else 0) for row in rows]
            if kind == "process":
                self._shorten(rows, left)
            fits = all(text.width(row.remarks[kind]) <= cells for row, cells in zip(rows, left, strict=True))
            for row in rows:
                (row.beside if fits else row.below).append((row.remarks[kind], style))
                row.room += (text.width(row.remarks[kind]) + (2 if row.room else 0)) if fits else 0

    def _shorten(self, rows: list[Row], left: list[int]) -> None:
        """Cut the names of processes that are too long, in place; their ids stay."""
        for row, cells in zip(rows, left, strict=True):
            name, bracket, number = row.remarks["process"].rpartition("[")
            if cells > _DURATION:
                row.remarks["process"] = self.cut(name, cells - len(bracket + number)) + bracket + number

    def lines_of(self, row: Row) -> Iterator[str]:
        """Yield the line of a row and what hangs under it: remarks without room, links, log records."""
        yield self._line(row)
        guide = row.under + (self.glyphs.down if row.node.children else self.glyphs.blank)
        for remark in row.below:
            yield self._below(guide, *remark)
        yield from self._links(row.node, guide)
        if self.options.logs:
            for log in row.node.logs:
                yield self._below(guide, *log_line(self, log))

    def _below(self, guide: str, remark: str, style: str) -> str:
        """Return a line under a row."""
        return self.paint(guide, "dim") + self.paint(self.cut(remark, self.width - len(guide)), style)

    def _links(self, node: Node, guide: str) -> Iterator[str]:
        """Yield the lines of a node's links, and of what nothing is linked to and should be."""
        for link in node.links[:_LINKS]:
            words = self._link(link)
            if _waited(link) and self.axis.cells > 0:
                yield self._waiting(guide, words, link)
            else:
                yield self._below(guide, words, "link")
        if len(node.links) > _LINKS:
            more = text.counted(len(node.links) - _LINKS, "link")
            yield self._below(guide, f"{self.glyphs.effect} and {more} more", "link")
        if node.waits:
            yield self._below(guide, f"{self.glyphs.effect} {self.clean(node.waits)}", "bead")

    def _waiting(self, guide: str, words: str, link: Link) -> str:
        """Return the line of a cause, with the time from its end to the effect above on the axis."""
        words = self.cut(words, self.label - len(guide))
        room = self.label - len(guide) - text.width(words) + 1
        last = min(int(self.axis.at(link.until_ns)), self.axis.cells - 1)
        first = min(int(self.axis.at(link.since_ns)), last)
        drawn = self.glyphs.wait * (last - first) + self.glyphs.head
        after = " " * (self.axis.cells - last)
        took = self.clean(links.waited(link)).rjust(self.took) + f" {_WAITED}"
        line = words + " " * (room + first) + drawn + after + took
        return self.paint(guide, "dim") + self.paint(self.cut(line, self.width - len(guide)), "link")

    def _line(self, row: Row) -> str:
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
        line += row.took.rjust(self.took)
        if row.beside:
            line += " " + "  ".join([paint(remark, style) for remark, style in row.beside])
        return line

    def _two_tone(self, label: str, node: Node, style: str) -> str:
        """Return a label with its detail (or a fold's number) toned down; a fold's mark of failure is red."""
        title = self.clean(node.title)
        if not self.paint.codes or style in ("error", "live", "dim") or not title or title not in label:
            return self.paint(label, style)
        marks, _, rest = label.partition(title)
        marks = self.paint(marks, "error" if node.state == "error" else style)
        return marks + self.paint(title, style) + self.paint(rest, "bold" if node.members else "dim")

    def _link(self, link: Link) -> str:
        """Return a link in words: `⇠ caused by sling gt-abc in run 1a2b3c4d · mayor`."""
        arrow = self.glyphs.effect if link.effect else self.glyphs.cause
        return f"{arrow} {self.clean(links.said(link))}"
