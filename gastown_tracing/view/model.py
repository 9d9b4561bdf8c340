"""From spans and log records to the tree that every renderer draws. Pure: no clock, no file, no terminal.

`build` never fails on what it is given: parents that have not arrived, several roots, circles of parents, one
id twice and ends before starts are all put somewhere and explained.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gastown_tracing.view import text, titles

if TYPE_CHECKING:
    from gastown_tracing.journal.parse import ReadLog, ReadSpan

#: A gap shorter than this is never called idle.
IDLE_NS = 2_000_000_000

#: Spans of these families are processes at work, whatever their children do; sessions and turns may wait.
AT_WORK = ("bd", "git", "gt")

#: What a command outside any session is said to run in.
OUTSIDE = "outside any session"

NO_PARENT = "has not arrived"
CIRCLE = "is its own descendant"


@dataclass(slots=True)
class Link:
    """A cause or an effect in another trace.

    `effect` is True where the other span was caused by this one. `title` and `run` say what is known of the
    other end; both may be empty, and `lost` says why there is no more. Where both ends stand in one picture,
    `mark` stands at both, `block` is the label of the other's trace, `count` says how many like ones this one
    stands for, and from `since_ns` to `until_ns` what the cause had made waited for the effect. `name` and
    `start_ns` are those of an effect's span.
    """

    trace_id: str
    span_id: str
    effect: bool = False
    title: str = ""
    run: str = ""
    lost: str = ""
    mark: str = ""
    block: str = ""
    count: int = 1
    name: str = ""
    start_ns: int = 0
    since_ns: int = 0
    until_ns: int = 0


@dataclass(slots=True)
class Source:
    """What is known of one trace: the input of `build`.

    `info` is run.json ({} outside a run); `root_id` the run's root span id ("" outside a run); `state` one of
    `live`, `ended`, `unknown`, `dead`; `names` says what is known about spans that links point to, `effects`
    lists, by the span here, the spans elsewhere that name it as their cause, `causes` by the span here what
    made that of which it names the id, where no link says it, `lost` says why a cause is not
    known, `waits` which spans here handed something over that nothing has taken, and `notes` says in words
    where neither was looked for. Times are nanoseconds since the epoch; `start_ns` is 0 where nothing tells
    it, `end_ns` of an open run is its last sign of life.
    """

    trace_id: str
    spans: list[ReadSpan] = field(default_factory=list)
    logs: list[ReadLog] = field(default_factory=list)
    in_progress: list[ReadSpan] = field(default_factory=list)
    info: Mapping[str, object] = field(default_factory=dict)
    root_id: str = ""
    start_ns: int = 0
    end_ns: int = 0
    state: str = "ended"
    skipped: list[str] = field(default_factory=list)
    names: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    effects: Mapping[str, list[Link]] = field(default_factory=dict)
    causes: Mapping[str, list[tuple[str, str]]] = field(default_factory=dict)
    lost: Mapping[tuple[str, str], str] = field(default_factory=dict)
    waits: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Node:
    """One line of the waterfall: a span, or like siblings folded into one (then `members` has them).

    `state` is `ok`, `error` or `live`; `error` the failure in words; `orphan` why it hangs where it does;
    `twin` that another span has its id; `waits` that nothing has taken what it handed over. `spans` and
    `errors` count it and everything under it. `busy_ns` is its length, a fold's the sum of its members';
    where `minimum` says so, the least that it can be, for nobody saw the end. `hidden` counts spans below it
    that a filter left out; `faded` marks one shown only for what is under it.
    """

    span_id: str
    name: str
    title: str
    start_ns: int
    end_ns: int
    detail: str = ""
    family: str = "other"
    process: str = ""
    work: str = ""
    state: str = "ok"
    error: str = ""
    orphan: str = ""
    twin: bool = False
    waits: str = ""
    parent_id: str = ""
    links: list[Link] = field(default_factory=list)
    logs: list[ReadLog] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)
    members: list[Node] = field(default_factory=list)
    count: int = 1
    failed: int = 0
    spans: int = 1
    errors: int = 0
    busy_ns: int = 0
    minimum: bool = False
    hidden: int = 0
    faded: bool = False
    span: ReadSpan | None = None


@dataclass(slots=True)
class Trace:
    """One trace, ready to draw.

    `run` says that it is a session's; `start_ns` is 0 where nobody knows when it began. `minimum` says that
    nobody saw it end, `evidence` in words how that was found. `gaps` are stretches of at least two seconds in
    which nothing ran; `folded` counts spans that stand in folds; `chosen` says that a filter left something
    out.
    """

    trace_id: str
    info: Mapping[str, object]
    state: str
    reason: str
    start_ns: int
    end_ns: int
    axis_start_ns: int
    axis_end_ns: int
    roots: list[Node]
    spans: int
    errors: int
    live: int
    skipped: list[str]
    gaps: list[tuple[int, int]]
    run: bool = False
    minimum: bool = False
    evidence: str = ""
    folded: int = 0
    chosen: bool = False
    notes: list[str] = field(default_factory=list)

    def walk(self) -> Iterator[tuple[Node, int]]:
        """Yield every node with its depth, parents before children, in the order of the screen."""
        stack = [(root, 0) for root in reversed(self.roots)]
        while stack:
            node, depth = stack.pop()
            yield node, depth
            stack.extend((child, depth + 1) for child in reversed(node.children))


def build(source: Source, now_ns: int) -> Trace:
    """Return the tree of `source`; what has not ended grows until `now_ns`. Never raises on odd input."""
    nodes, root = _nodes(source, now_ns)
    roots = _grow(nodes, root)
    _attach_logs(source.logs, nodes, root or (roots[0] if roots else None))
    _count(roots)
    start = min((node.start_ns for node in nodes), default=text.within(source.start_ns))
    end = max((node.end_ns for node in nodes), default=start)
    facts = root.span.attributes if root and root.span else {}
    errors = sum(node.state == "error" for node in nodes)
    live = sum(node.state == "live" for node in nodes)
    head = root or min(roots, key=lambda node: node.start_ns, default=None)
    return Trace(
        source.trace_id,
        source.info,
        source.state,
        titles.text(facts.get("reason")),
        head.start_ns if head and (source.spans or source.in_progress or source.start_ns) else 0,
        head.end_ns if root and head else end,
        start,
        end,
        roots,
        len(nodes),
        errors,
        live,
        source.skipped,
        gaps(nodes, start, end),
        root is not None,
        root is not None and root.minimum,
        titles.text(facts.get("gastown.evidence")),
        notes=source.notes,
    )


def _nodes(source: Source, now_ns: int) -> tuple[list[Node], Node | None]:
    """Return a node for every span, ended or live, sorted by start, and the run's root."""
    ended = {span.span_id for span in source.spans}
    nodes = [_node(span, source, 0) for span in source.spans]
    nodes += [_node(span, source, now_ns) for span in source.in_progress if span.span_id not in ended]
    root = None
    if source.root_id:
        root = next((node for node in nodes if node.span_id == source.root_id), None)
        if root is None:
            root = _open_root(source, nodes, now_ns)
            nodes.append(root)
    nodes.sort(key=lambda node: (node.start_ns, node.end_ns, node.span_id))
    return nodes, root


def _node(span: ReadSpan, source: Source, live_until: int) -> Node:
    """Return the node of one span; `live_until` is the time now for one in progress, else 0."""
    attributes = span.attributes
    title, detail = titles.title(span.name, attributes)
    start = text.within(span.start_ns)
    end = max(text.within(live_until or span.end_ns), start)
    error = "" if live_until else titles.failure(span)
    node = Node(span.span_id, span.name, title, start, end, detail, titles.family(span.name))
    node.process = titles.process(attributes, span.resource)
    node.work = titles.text(attributes.get("work_bead"))
    node.parent_id = span.parent_id
    node.error = error
    node.state = "live" if live_until else "error" if error else "ok"
    node.busy_ns = end - start
    node.minimum = not live_until and not titles.end_known(span)
    node.span = span
    if span.links:
        node.links = [_cause(link[0], link[1], source) for link in span.links]
    if (causes := source.causes.get(span.span_id)) is not None:
        node.links += [_cause(*key, source) for key in causes]
    if (effects := source.effects.get(span.span_id)) is not None:
        node.links += effects
    node.waits = source.waits.get(span.span_id, "")
    return node


def _cause(trace_id: str, span_id: str, source: Source) -> Link:
    """Return a link to the span that led to one of this trace."""
    title, run = source.names.get((trace_id, span_id), ("", ""))
    return Link(trace_id, span_id, False, title, run, source.lost.get((trace_id, span_id), ""))


def _open_root(source: Source, nodes: list[Node], now_ns: int) -> Node:
    """Return the root of a run whose root span has not been written yet, from what run.json says."""
    first = min((node.start_ns for node in nodes), default=now_ns)
    start = text.within(source.start_ns or first)
    live = source.state == "live"
    seen = max((node.end_ns for node in nodes), default=start)
    end = now_ns if live else max(text.within(source.end_ns), seen) if source.start_ns else seen
    name = titles.text(source.info.get("name")) or "gt.session"
    session = titles.text(source.info.get("session"))
    node = Node(source.root_id, name, f"{name} {session}".strip(), start, max(end, start), family="session")
    node.state = "live" if live else "ok"
    node.busy_ns = node.end_ns - start
    node.minimum = not live
    node.work = titles.text(source.info.get("issue_id"))
    node.links = list(source.effects.get(source.root_id, ()))
    return node


def _grow(nodes: list[Node], root: Node | None) -> list[Node]:
    """Hang every node under its parent, else under the root, and return the roots, the run's first."""
    by_id: dict[str, Node] = {}
    for node in nodes:
        node.twin = by_id.setdefault(node.span_id, node) is not node
    roots = [root] if root else []
    for node in nodes:
        if node is root:
            continue
        parent = by_id.get(node.parent_id) if node.parent_id else None
        if parent is not None and parent is not node:
            parent.children.append(node)
        elif node.parent_id:
            node.orphan = CIRCLE if parent is node else NO_PARENT
            (root.children if root else roots).append(node)
        else:
            roots.append(node)
    _cut_circles(nodes, root, roots)
    return roots


def _cut_circles(nodes: list[Node], root: Node | None, roots: list[Node]) -> None:
    """Hang what no root leads to under the root: circles of parents, each cut at its earliest span."""
    reached = _reach(roots)
    if len(reached) == len(nodes):
        return
    homes = {id(child): node for node in nodes for child in node.children}
    for node in nodes:
        if id(node) in reached:
            continue
        homes[id(node)].children.remove(node)
        node.orphan = CIRCLE
        (root.children if root else roots).append(node)
        reached |= _reach([node])
    if root:
        root.children.sort(key=lambda node: (node.start_ns, node.end_ns, node.span_id))


def _reach(roots: Iterable[Node]) -> set[int]:
    """Return the identities of all nodes under `roots`, themselves included; circles end the walk."""
    reached: set[int] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if id(node) not in reached:
            reached.add(id(node))
            stack.extend(node.children)
    return reached


def _attach_logs(logs: Iterable[ReadLog], nodes: list[Node], root: Node | None) -> None:
    """Put each log record under its span, or under `root` where its span is unknown, in order of time."""
    by_id = {node.span_id: node for node in reversed(nodes)}
    for log in sorted(logs, key=lambda log: log.time_ns):
        home = by_id.get(log.span_id, root)
        if home is not None:
            home.logs.append(log)


def _count(roots: list[Node]) -> None:
    """Fill in how many spans and errors each node has under it."""
    for node in postorder(roots):
        node.errors = (node.state == "error") + sum(child.errors for child in node.children)
        node.spans = 1 + sum(child.spans for child in node.children)


def postorder(roots: Iterable[Node]) -> list[Node]:
    """Return all nodes, children before their parents."""
    order: list[Node] = []
    stack = list(roots)
    while stack:
        node = stack.pop()
        order.append(node)
        stack.extend(node.children)
    order.reverse()
    return order


def gaps(nodes: list[Node], start: int, end: int) -> list[tuple[int, int]]:
    """Return the stretches in which nothing runs but long-lived ancestors, longest first.

    A long-lived ancestor has children and lasts at least a tenth of the trace: a session, an agent's turn. It
    counts at its start and end only, so that the moments themselves stay on the axis at full scale. What lies
    beyond [start, end] does not count.
    """
    long = (end - start) / 10
    busy: list[tuple[int, int]] = []
    for node in nodes:
        if node.children and node.end_ns - node.start_ns >= long and node.family not in AT_WORK:
            busy += ((node.start_ns, node.start_ns), (node.end_ns, node.end_ns))
        else:
            busy.append((node.start_ns, node.end_ns))
    gaps = []
    reached = start
    for begin, until in sorted(busy):
        begin = min(begin, end)  # noqa: PLW2901 - the part of it that counts
        if begin - reached >= IDLE_NS:
            gaps.append((reached, begin))
        reached = max(reached, until)
    return sorted(gaps, key=lambda gap: (gap[0] - gap[1], gap[0]))
