"""What the relay keeps in a journal's `relay/`, and where."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gastown_tracing.journal.layout import Journal


class Files:
    """The paths of a journal's `relay/`; nothing is made here.

    `lock` is held by the relay that runs, and holds its process id. The modification time of `asked` is when
    somebody last asked for a relay. `status` is what `gt-trace relay status` shows, `log` the log file.
    `moves` are the runs that are being moved to closed/, `lost` what was given up unsent. `dead_letters` is a
    directory.
    """

    __slots__ = (
        "asked",
        "dead_letters",
        "directory",
        "lock",
        "log",
        "lost",
        "moves",
        "received",
        "resend",
        "status",
    )

    def __init__(self, journal: Journal) -> None:
        self.directory = f"{journal.root}/relay"
        self.lock = f"{self.directory}/lock"
        self.asked = f"{self.directory}/asked"
        self.log = f"{self.directory}/relay.log"
        self.status = f"{self.directory}/status.json"
        self.moves = f"{self.directory}/moves.json"
        self.lost = f"{self.directory}/lost.json"
        self.dead_letters = f"{self.directory}/dead-letters"
        #: Dead letters that are to be sent again, a directory for each file.
        self.resend = f"{self.directory}/resend"
        #: OTLP JSON lines of metrics that others exported to the receiver, one file an hour (UTC).
        self.received = f"{self.directory}/received"

    def checkpoint(self, worker: str) -> str:
        """Return the path of a worker's checkpoint: `traces`, `logs` or `metrics`."""
        return f"{self.directory}/{worker}.checkpoint"

    def received_metrics(self, time_ns: int) -> str:
        """Return the path of the metrics received in an hour; their worker removes it when it is old."""
        return f"{self.received}/{time.strftime('%Y-%m-%dT%H', time.gmtime(time_ns // 1_000_000_000))}.jsonl"
