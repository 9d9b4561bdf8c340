"""Counts, failures and exact percentiles per operation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gastown_tracing.view import text, titles
from gastown_tracing.view.table import Column, table
from gastown_tracing.view.theme import Style

if TYPE_CHECKING:
    from gastown_tracing.journal.parse import ReadSpan


@dataclass(frozen=True, slots=True)
class Operation:
    """What all spans of one operation add up to. Durations are nanoseconds."""

    operation: str
    count: int
    errors: int
    p50_ns: int
    p95_ns: int
    p99_ns: int
    total_ns: int

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
    for span in spans:
        name = titles.operation(span.name, span.attributes)
        lengths.setdefault(name, []).append(max(span.end_ns - span.start_ns, 0))
        failed[name] = failed.get(name, 0) + (span.status_code == 2)
    found = [_operation(name, sorted(values), failed[name]) for name, values in lengths.items()]
    return sorted(found, key=lambda one: (-one.total_ns, one.operation))


def _operation(name: str, ordered: list[int], errors: int) -> Operation:
    p50, p95, p99 = (percentile(ordered, percent) for percent in (50, 95, 99))
    return Operation(name, len(ordered), errors, p50, p95, p99, sum(ordered))


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
    """Return the operations as a table of at most `style.width` cells a line."""
    rows = [
        [
            (one.operation, "bold"),
            (str(one.count), ""),
            (str(one.errors), "error" if one.errors else "dim"),
            *((text.duration(length), "") for length in (one.p50_ns, one.p95_ns, one.p99_ns, one.total_ns)),
        ]
        for one in found
    ]
    return table(_COLUMNS, rows, style)
