"""What a real town takes to work one bead, from sling to done, without shims and with them.

`python -m tests.peers.real_town_cost [ROUNDS]` prints the seconds of each step, a line of JSON a town; the
last town counts its processes.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.peers.real_town import PROGRAMS, RIG, Done, RealTown, install_shims, real_town


def sling_to_done(town: RealTown) -> dict[str, float]:
    """Work one bead of a town; return the seconds of its steps, and `total`: all but the agent's thinking."""
    bead = town.ok("bd", "create", "A task", "-t", "task", "-p", "1", "--json", at=RIG).json()["id"]
    seconds: dict[str, float] = {}

    def timed(what: str, run: Callable[[], Done]) -> None:
        began = time.monotonic()
        done = run()
        seconds[what] = time.monotonic() - began
        assert done.code == 0, (what, done)

    timed("sling", lambda: town.run("gt", "sling", bead, RIG))
    (actor,) = {place.name for place in town.agents.glob("*-polecats-*")}
    for what, command in (
        ("prime", "gt prime"),
        ("show", f"bd show {bead}"),
        ("work", "echo x >x && git add x && git commit -q -m x"),
        ("done", "gt done"),
    ):
        timed(what, lambda command=command: town.agent(actor, command))  # type: ignore[misc]
    return {**seconds, "total": sum(seconds.values())}


def measured(*, shims: bool, counted: tuple[str, ...] = ()) -> dict[str, Any]:
    """Work one bead in a town that is there for that alone; return the seconds that each step took.

    `counted` programs are counted too: `processes`. That costs each of them a shell's start.
    """
    with tempfile.TemporaryDirectory() as base, real_town(Path(base), counted=counted) as town:
        if shims:
            install_shims(town)
        before = len(town.calls())
        seconds = sling_to_done(town)
        ran = Counter(call.program for call in town.calls()[before:])
        return {"shims": shims, "seconds": seconds, **({"processes": dict(ran)} if counted else {})}


def main(words: list[str]) -> None:
    """Print what one bead took, without shims and with them, in as many rounds as are asked for."""
    for _ in range(int(words[0]) if words else 1):
        for shims in (False, True):
            print(json.dumps(measured(shims=shims)), flush=True)
    print(json.dumps(measured(shims=True, counted=PROGRAMS)))


if __name__ == "__main__":
    main(sys.argv[1:])
