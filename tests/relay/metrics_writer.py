"""A process that appends log records of bd commands to a journal: where, from which number on, how many."""

from __future__ import annotations

import sys
import time

from gastown_tracing.journal.layout import Journal
from tests.relay.metrics_kit import append, bd_call


def main() -> None:
    root, place, first, count, pause = sys.argv[1:]
    journal = Journal(root)
    for number in range(int(first), int(first) + int(count)):
        append(journal, bd_call(f"{number:032x}", 1.5), place)
        time.sleep(float(pause))


if __name__ == "__main__":
    main()
