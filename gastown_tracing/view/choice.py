"""Which runs a command is about: by agent, rig, bead and time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.reader import Run, RunData, find, newest_first, read_loose
from gastown_tracing.journal.runs import primed
from gastown_tracing.view import titles

_AGO = re.compile(r"(\d{1,9})\s*(s|m|min|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}

#: What --agent is compared with, in run.json.
_AGENT = ("agent_name", "role", "gt_role", "agent_type", "session")


def parse_since(text: str, now_ns: int | None = None) -> int:
    """Return the moment `text` means, in nanoseconds of the epoch: `30m`, `2h`, `7d` ago, or an ISO time.

    An ISO time without an offset is local; what lies before the epoch is the epoch. Raises ValueError, with
    one line for the user.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    if (ago := _AGO.fullmatch(text.strip())) is not None:
        return max(now_ns - int(ago[1]) * _SECONDS[ago[2]] * 10**9, 0)
    try:
        return max(int(datetime.fromisoformat(text.strip()).astimezone().timestamp() * 1e9), 0)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"--since {text!r} is no time: write 30m, 2h, 7d or 2026-11-20T14:00") from None


@dataclass(frozen=True, slots=True)
class Choice:
    """What a user asked for; empty means any.

    `since_ns` keeps runs that were active after it; `since` is how the user said it.
    """

    agent: str = ""
    rig: str = ""
    bead: str = ""
    since_ns: int | None = None
    since: str = ""

    def runs(self, journal: Journal) -> Iterator[Run]:
        """Yield the runs of the journal that are meant, newest first; only what is asked for is read."""
        wanted = [text for text in (self.agent, self.rig, self.bead) if text]
        return filter(self._means, newest_first(journal, self.since_ns, wanted))

    def of(self, journal: Journal, trace_ids: Iterable[str]) -> list[Run]:
        """Return those of these runs that are meant, newest first."""
        found = [run for run in (find(journal, trace_id) for trace_id in trace_ids) if self._means(run)]
        found = [run for run in found if run.last_activity_ns >= (self.since_ns or 0)]
        return sorted(found, key=lambda run: (run.start_ns, run.trace_id), reverse=True)

    def loose(self, journal: Journal) -> RunData:
        """Return what was recorded outside any session as far as it is meant, each trace whole.

        It has no agent, rig or bead: nothing is meant where one of them is asked for.
        """
        if self.agent or self.rig or self.bead:
            return RunData(Run("", []))
        data = read_loose(journal, self.since_ns)
        active = {span.trace_id for span in data.spans if span.end_ns >= (self.since_ns or 0)}
        active |= {span.trace_id for span in data.in_progress}
        data.spans = [span for span in data.spans if span.trace_id in active]
        return data

    def words(self) -> str:
        """Return the choice as the options that make it; empty where it is everything."""
        given = {"--agent": self.agent, "--rig": self.rig, "--bead": self.bead, "--since": self.since}
        return " ".join(f"{option} {said}" for option, said in given.items() if said)

    def _means(self, run: Run) -> bool:
        info = run.info
        if self.agent and self.agent not in (titles.text(info.get(name)) for name in _AGENT):
            return False
        if self.rig and titles.text(info.get("rig")) != self.rig:
            return False
        return not self.bead or self.bead in beads(run)


def beads(run: Run) -> list[str]:
    """Return the beads of a run: the one it was started for, then those it was primed on, in order."""
    found = dict.fromkeys([titles.text(run.info.get("issue_id")), *primed(run)])
    return [bead for bead in found if bead]
