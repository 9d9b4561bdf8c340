"""Counts, failures and exact percentiles per operation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gastown_tracing.view import text, titles
from gastown_tracing.view.table import Column, table
from gastown_tracing.view.theme import Paint, Style

if TYPE_CHECKING:
    from gastown_tracing.journal.parse import ReadSpan


@dataclass(frozen=True, slots=True)
class Operation:
    """What all spans of one operation add up to. Durations are nanoseconds.

    `cut_off` counts those of which nobody saw the end: they are left out of the durations, which are None
    where nothing else is there.
    """

    operation: str
    count: int
    errors: int
    cut_off: int
    p50_ns: int | None
    p95_ns: int | None
    p99_ns: int | None
    total_ns: int | None

    def data(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)


def percentile(ordered: Sequence[int], percent: int) -> int:
    """Return the nearest-rank percentile of sorted values: the least that `percent` % do not exceed."""
    return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)]


def operations(spans: Iterable[ReadSpan]) -> list[Operation]:
    """Return the operations of ended spans (bd.call: one a subcommand), the one that took most time first."""
    lengths: dict[str, list[int]] = {}
    failed: dict[str, int] = {}
    cut_off: dict[str, int] = {}
    for span in spans:
        name = titles.operation(span.name, span.attributes)
        known = lengths.setdefault(name, [])
        failed[name] = failed.get(name, 0) + titles.failed(span)
        if titles.end_known(span):
            known.append(max(span.end_ns - span.start_ns, 0))
        else:
            cut_off[name] = cut_off.get(name, 0) + 1
    found = [
        _operation(name, sorted(known), failed[name], cut_off.get(name, 0)) for name, known in lengths.items()
    ]
    return sorted(found, key=lambda one: (-(one.total_ns or 0), one.operation))


def _operation(name: str, ordered: list[int], errors: int, cut_off: int) -> Operation:
    count = len(ordered) + cut_off
    if not ordered:
        return Operation(name, count, errors, cut_off, None, None, None, None)
    p50, p95, p99 = (percentile(ordered, percent) for percent in (50, 95, 99))
    return Operation(name, count, errors, cut_off, p50, p95, p99, sum(ordered))


_COLUMNS = (
    Column("OPERATION", 0, 60),
    Column("COUNT", 0, 10, right=True),
    Column("ERRORS", 0, 10, right=True),
    Column("P50", 1, 10, right=True),
    Column("P95", 0, 10, right=True),
    Column("P99", 2, 10, right=True),
    Column("TOTAL", 0, 10, right=True),
)


def render(found: Sequence[Operation], style: Style) -> str:
    """Return the operations as a table, and what its durations leave out, in `style.width` cells a line."""
    rows = [
        [
            (one.operation, "bold"),
            (str(one.count), ""),
            (str(one.errors), "error" if one.errors else "dim"),
            *((_length(length), "") for length in (one.p50_ns, one.p95_ns, one.p99_ns, one.total_ns)),
        ]
        for one in found
    ]
    return table(_COLUMNS, rows, style) + "".join(_note(found, style))


def _length(length: int | None) -> str:
    return "?" if length is None else text.duration(length)


def _note(found: Sequence[Operation], style: Style) -> Iterator[str]:
    """Yield the lines that say how many durations are left out."""
    cut_off = sum(one.cut_off for one in found)
    if not cut_off:
        return
    yield "\n"
    words = f"{text.counted(cut_off, 'span')} whose end nobody saw: counted, but in no duration above."
    paint = Paint(style.colour)
    for line in text.paragraph(words, style.width, "..." if style.ascii else "…"):
        yield paint(line, "dim") + "\n"
