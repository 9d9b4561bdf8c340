"""What of a trace is worth a line: folding of like siblings, and the filters errors, slowest and depth."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby

from gastown_tracing.view.model import Node, Trace, postorder

#: Fewer like siblings in a row than this stay as they are.
FOLD_FROM = 3

#: The longest sequence of siblings whose repetition is seen: `bd list, bd show, bd list, bd show …` is one of
#: two.
LONGEST_PATTERN = 4

#: Fewer different look-ups in a row than this stay as they are.
LOOKUPS_FROM = 4

#: What asks bd and changes nothing, as every prompt's hooks do: a round of them is one line.
LOOKUPS = frozenset({"bd version", "bd list", "bd sql", "bd kv", "bd ready"})


def fold(trace: Trace) -> None:
    """Fold like siblings in a row, at every depth, into one node each, in place.

    Siblings are alike when they have the same title, the same work item, the same orphaned state, the same
    causes and like children; look-ups of bd that succeeded and led to nothing are alike, too. What is in
    progress or has effects stays by itself. Failed ones fold too, and the fold says how many failed.
    """
    signatures: dict[object, int] = {}
    kinds: dict[int, int] = {}
    for node in postorder(trace.roots):
        if len(node.children) >= FOLD_FROM:
            node.children = _fold_row(node.children, kinds)
        kinds[id(node)] = _kind(node, kinds, signatures)
    trace.roots = _fold_row(trace.roots, kinds)


def _kind(node: Node, kinds: dict[int, int], signatures: dict[object, int]) -> int:
    """Return a number that like nodes share; what never folds gets one of its own."""
    if node.state == "live" or any(link.effect for link in node.links):
        return -1 - len(kinds)
    state = (node.parent_id if node.orphan else "", node.waits)
    causes = tuple((link.trace_id, link.span_id) for link in node.links)
    under = tuple(kinds[id(one)] for child in node.children for one in _pattern(child))
    return signatures.setdefault((node.name, node.title, node.work, state, causes, under), len(signatures))


def _pattern(node: Node) -> list[Node]:
    """Return what a node repeats: the first round of a fold's members, or the node itself."""
    first = node.members[: len(node.members) // node.count]
    if len({member.title for member in node.members}) > len({member.title for member in first}):
        return node.members
    return first or [node]


def _fold_row(row: list[Node], kinds: dict[int, int]) -> list[Node]:
    """Return siblings with their repetitions folded."""
    numbers = [kinds[id(node)] for node in row]
    if len(set(numbers)) == len(numbers):
        return _fold_lookups(row)
    result: list[Node] = []
    index = 0
    while index < len(row):
        period, times = _repetition(numbers, index)
        if times < FOLD_FROM:
            result.append(row[index])
            index += 1
        else:
            result.append(folded(row[index : index + period * times], period, times))
            index += period * times
    return _fold_lookups(result)


def _fold_lookups(row: list[Node]) -> list[Node]:
    """Return siblings with each round of look-ups as one."""
    result: list[Node] = []
    for place, group in groupby(row, _lookup):
        members = list(group)
        if not place or len(members) < LOOKUPS_FROM:
            result += members
            continue
        node = folded(members, 1, len(members))
        node.title = ", ".join(dict.fromkeys(member.title for member in members))
        result.append(node)
    return result


def _lookup(node: Node) -> tuple[str, ...]:
    """Return the work and the parent of a look-up, what others have to share with it; () for what is none."""
    plain = not (node.members or node.children or node.links or node.waits or node.orphan)
    if node.title in LOOKUPS and node.name == "bd.call" and node.state == "ok" and plain:
        return node.work, node.parent_id
    return ()


def _repetition(numbers: list[int], index: int) -> tuple[int, int]:
    """Return (length, times) of the repetition at `index` that covers most, the shortest pattern first."""
    best = (1, 1)
    for period in range(1, min(LONGEST_PATTERN, (len(numbers) - index) // FOLD_FROM) + 1):
        end = index + period
        while end < len(numbers) and numbers[end] == numbers[end - period]:
            end += 1
        times = (end - index) // period
        if times >= FOLD_FROM and period * times > best[0] * best[1]:
            best = (period, times)
    return best


def folded(members: list[Node], period: int, times: int) -> Node:
    """Return the one node that stands for `members`: a pattern of `period` siblings, `times` over."""
    first = members[0]
    title = ", ".join(member.title for member in members[:period])
    end = max(member.end_ns for member in members)
    node = Node(first.span_id, first.name, title, first.start_ns, end, family=first.family, work=first.work)
    node.members, node.count, node.orphan, node.parent_id = members, times, first.orphan, first.parent_id
    node.failed = sum(member.errors > 0 for member in members)
    node.errors = sum(member.errors for member in members)
    node.spans = sum(member.spans for member in members)
    node.busy_ns = sum(member.busy_ns for member in members)
    node.minimum = any(member.minimum for member in members)
    node.waits = next((member.waits for member in members[:period] if member.waits), "")
    node.links = [link for member in members[:period] for link in member.links]
    node.logs = [log for member in members for log in member.logs]
    if node.failed:
        node.state = "error"
        node.error = next(inner.error for inner in reversed(postorder(members)) if inner.error)
    return node


def errors(trace: Trace) -> None:
    """Keep what failed and the way to it, in place."""
    keep(trace, lambda node: node.state == "error")


def slowest(trace: Trace, number: int) -> None:
    """Keep the `number` spans with the most time of their own and the way to them, in place.

    A span's own time is that in which none of its children runs. A root with children is not counted: all of
    a session's idle time is its own.
    """
    roots = {id(root) for root in trace.roots if root.children}
    ranked = [node for node in postorder(trace.roots) if id(node) not in roots]
    chosen = heapq.nlargest(number, ranked, key=own_time)
    kept = {id(node) for node in chosen}
    keep(trace, lambda node: id(node) in kept)


def own_time(node: Node) -> int:
    """Return how long a span ran while none of its children did, in nanoseconds."""
    covered, reached = 0, node.start_ns
    for child in sorted(node.children, key=lambda child: child.start_ns):
        end = min(child.end_ns, node.end_ns)
        if end > reached:
            covered += end - max(child.start_ns, reached)
            reached = end
    return node.end_ns - node.start_ns - covered


def keep(trace: Trace, wanted: Callable[[Node], bool]) -> None:
    """Keep the nodes `wanted` names and their ancestors; those that stay only for others are faded."""
    kept: set[int] = set()
    for node in postorder(trace.roots):
        before = len(node.children)
        inside = [child for child in node.children if id(child) in kept]
        mine = wanted(node)
        if mine or inside:
            kept.add(id(node))
        if len(inside) != before:
            node.hidden = node.spans - 1 - sum(child.spans for child in inside)
        node.children = inside
        node.faded = not mine
    trace.roots = [root for root in trace.roots if id(root) in kept]


def depth(trace: Trace, limit: int) -> None:
    """Keep `limit` levels under the roots (0: the roots alone), in place; nodes say how much they hide."""
    for node, level in list(trace.walk()):
        if level == limit and node.children:
            node.hidden = node.spans - 1
            node.children = []


def apply(
    trace: Trace,
    *,
    every: bool = False,
    failed: bool = False,
    slow: int | None = None,
    levels: int | None = None,
) -> Trace:
    """Return `trace` as the options of `gt-trace view` choose it; the tree is changed in place."""
    trace = replace(trace)
    if failed:
        errors(trace)
    if slow is not None:
        slowest(trace, slow)
    if not every and slow is None:
        fold(trace)
    if levels is not None:
        depth(trace, levels)
    trace.folded = sum(len(node.members) for node, _ in trace.walk())
    trace.chosen = failed or slow is not None or levels is not None
    return trace
