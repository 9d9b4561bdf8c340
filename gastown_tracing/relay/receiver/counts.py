"""What the receiver has done so far, for status."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counts:
    """Counters since the start: `refused` by reason, `dropped` (recorded by a shim) and `gated` by event."""

    requests: int = 0
    records: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    rerooted: int = 0
    loose: int = 0
    repeated: int = 0
    unusable: int = 0
    switched_off: int = 0
    native_metrics: int = 0
    masked: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    gated: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, object]:
        """Return the counters as status shows them."""
        return {
            "requests": self.requests,
            "records": dict(self.records),
            "written": dict(self.written),
            "rerooted": self.rerooted,
            "loose": self.loose,
            "repeated": self.repeated,
            "unusable": self.unusable,
            "switched_off": self.switched_off,
            "native_metrics_dropped": self.native_metrics,
            "masked": self.masked,
            "dropped": dict(self.dropped),
            "gated": dict(self.gated),
            "refused": dict(self.refused),
        }
