"""Run every benchmark: `python -m benchmarks [ROUNDS]`. Exits 1 when a row misses its target."""

from __future__ import annotations

import sys

from benchmarks import (
    bench_bd,
    bench_events,
    bench_exec,
    bench_helpers,
    bench_live,
    bench_relay,
    bench_relay_idle,
    bench_shims,
    bench_town,
    bench_view,
)
from benchmarks.measure import rounds_asked


def main() -> int:
    """Print every row and return the exit code."""
    rounds = rounds_asked(0)
    rows = [
        *bench_exec.measure(rounds or 200),
        *bench_shims.measure(rounds or 100),
        *bench_helpers.measure(),
        *bench_events.measure(),
        *bench_view.measure(rounds or 7),
        *bench_town.measure(rounds or 7),
        *bench_relay.measure(),
        *bench_relay_idle.measure(),
        *bench_live.measure(),
        *bench_bd.measure(rounds or 60),
    ]
    for row in rows:
        print(row)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
