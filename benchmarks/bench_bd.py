"""What a real bd call takes while the backend is away: `python -m benchmarks.bench_bd [ROUNDS]`.

`bd list` in a database of its own, through the launcher, beside a relay whose endpoints are healthy and
beside one whose endpoints never answer. There is a row where bd is on PATH.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.bench_exec import endpoints
from benchmarks.measure import Row, rounds_asked, side_by_side
from benchmarks.town_load import clean_environ, make_journal, relay
from gastown_tracing.shims import launcher

_INIT = ["init", "--non-interactive", "--quiet", "--prefix", "bench", "--skip-hooks", "--skip-agents"]


def measure(rounds: int) -> list[Row]:
    """Return the rows of this benchmark."""
    bd = shutil.which("bd")
    if bd is None:
        return []
    with tempfile.TemporaryDirectory() as scratch, endpoints() as urls:
        launch = f"{scratch}/launch"
        launcher.write(launch)
        plain = {**clean_environ(), "HOME": scratch, "BEADS_DIR": f"{scratch}/.beads"}
        git = [["git", "init", "-q", scratch], ["git", "config", "beads.role", "maintainer"]]
        for argv in (*git, [bd, *_INIT]):
            subprocess.run(argv, cwd=scratch, env=plain, check=True, stdout=subprocess.DEVNULL)
        journals = {
            name: make_journal(
                Path(scratch, name),
                {signal: f"{urls[name]}/v1/{signal}" for signal in ("traces", "logs", "metrics")},
            )
            for name in ("healthy", "hanging")
        }
        commands = {
            name: (
                [launch, "--event", "bd.call", "--", bd, "list", "--json"],
                {**plain, "GT_OTEL_JOURNAL": found.root},
            )
            for name, found in journals.items()
        }
        with relay(journals["healthy"]), relay(journals["hanging"]):
            seconds = side_by_side({"bd": ([bd, "list", "--json"], plain), **commands}, rounds)
    note = f"bd itself {seconds['bd'] * 1e3:.0f} ms, traced {seconds['healthy'] * 1e3:.0f} ms"
    ratio = seconds["hanging"] / seconds["healthy"]
    return [Row("bd list, the relay's endpoints never answer / are healthy", ratio, 1.05, note)]


if __name__ == "__main__":
    for row in measure(rounds_asked(60)):
        print(row)
