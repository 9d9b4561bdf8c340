"""The time axis: from nanoseconds to terminal cells, with idle stretches shortened."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from gastown_tracing.view import text

#: Steps between ticks, nanoseconds: 1, 2, 5 of every power of ten below ten seconds, then what clocks use.
_STEPS = [factor * 10**power for power in range(10) for factor in (1, 2, 5)] + [
    seconds * 10**9
    for seconds in (10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400)
]

#: Cells from one tick to the next, at least.
_TICK_CELLS = 8

#: A gap is shortened when it would take this many times the cells of its label.
_WORTH = 2

#: At most this share of the axis goes to shortened gaps.
_IDLE_SHARE = 0.4


class Axis:
    """A linear scale of `cells` cells over [start, end], broken where a gap is shortened.

    `idle` lists the shortened gaps as (first cell, cells, label, nanoseconds). Cells are floats in [0,
    cells].
    """

    def __init__(
        self, start: int, end: int, cells: int, gaps: Iterable[tuple[int, int]], line: str = "┄"
    ) -> None:
        self.start = start
        self.end = max(end, start + 1)
        self.cells = cells
        self.idle: list[tuple[int, int, str, int]] = []
        chosen = self._choose(self.end - start, gaps, line)
        taken = sum(len(label) for _, _, label in chosen)
        shortened = sum(until - begin for begin, until, _ in chosen)
        self._scale = (cells - taken) / max(self.end - start - shortened, 1)
        self._times = [start]
        self._places = [0.0]
        self._rates = [self._scale]
        for begin, until, label in sorted(chosen):
            self._break(begin, until, label)

    def _choose(self, total: int, gaps: Iterable[tuple[int, int]], line: str) -> list[tuple[int, int, str]]:
        """Return the gaps that are worth shortening, the longest first, as (begin, end, label)."""
        chosen: list[tuple[int, int, str]] = []
        cells, room = self.cells, int(self.cells * _IDLE_SHARE)
        for begin, until in gaps:
            label = f"{line}{text.duration(until - begin).replace(' ', '')}"
            label += f" idle{line}" if self.cells >= 40 else line
            if len(label) > room or (until - begin) * cells / total < _WORTH * len(label):
                break
            chosen.append((begin, until, label))
            cells -= len(label)
            room -= len(label)
            total = max(total - (until - begin), 1)
        return chosen

    def _break(self, begin: int, until: int, label: str) -> None:
        """Add a shortened gap to the scale; gaps come in order of time."""
        place = self.at(begin)
        first = min(round(place), self.cells - len(label))
        self.idle.append((first, len(label), label, until - begin))
        self._times += (begin, until)
        self._places += (place, place + len(label))
        self._rates += (len(label) / (until - begin), self._scale)

    def at(self, time_ns: int) -> float:
        """Return the cell of a moment."""
        index = max(bisect_right(self._times, time_ns) - 1, 0)
        place = self._places[index] + (time_ns - self._times[index]) * self._rates[index]
        return min(max(place, 0.0), float(self.cells))

    def ticks(self) -> list[tuple[int, str]]:
        """Return (cell, label) of every tick that has room, from left to right."""
        step = next((step for step in _STEPS if step * self._scale >= _TICK_CELLS), 0)
        taken = [(first - 1, first + cells) for first, cells, _, _ in self.idle]
        result: list[tuple[int, str]] = []
        free = 0
        for begin, until in self._stretches():
            offset = -(-(begin - self.start) // step) * step if step else 0
            while offset <= until - self.start:
                cell = int(self.at(self.start + offset))
                last = cell + len(text.tick(offset)) + 1
                if cell >= free and last <= self.cells and not any(a < last and cell < b for a, b in taken):
                    result.append((cell, text.tick(offset)))
                    free = last + 1
                if not step:
                    return result
                offset += step
        return result

    def _stretches(self) -> list[tuple[int, int]]:
        """Return the stretches of time between shortened gaps."""
        bounds = [*self._times, self.end]
        return list(zip(bounds[0::2], bounds[1::2], strict=False))
