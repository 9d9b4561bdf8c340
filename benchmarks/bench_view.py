"""What a waterfall of 10,000 spans takes: `python -m benchmarks.bench_view [ROUNDS]`.

Whole processes, each over a bare Python program that parses the same lines with json.loads and nothing else.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Row, rounds_asked, side_by_side

SPANS = 10_000
RUN = "3f2504e04f8941d39a0c0305e82c3301"
ROOT = "9a0c0305e82c3301"
START = 1_795_000_000_000_000_000

SUBCOMMANDS = ("list", "show", "update", "ready")

PEER = "import json,sys\nfor line in open(sys.argv[1], encoding='utf-8'): json.loads(line)"


def write_journal(root: Path) -> Path:
    """Write one ended run of SPANS calls, as a shim writes them, and return its traces file."""
    run = root / "runs" / RUN
    run.mkdir(parents=True)
    (root / "VERSION").write_text("1\n")
    (run / "run.json").write_text(json.dumps({"session": "bench", "start_time_unix_nano": str(START)}))
    lines = [_line(number) for number in range(1, SPANS)]
    (run / "traces.jsonl").write_text("".join(lines))
    (run / "close.json").write_text(_line(0))
    return run / "traces.jsonl"


def _line(number: int) -> str:
    """Return one span: every tenth a gt command, the others bd calls under it; number 0 is the root."""
    command = number % 10 == 1
    parent = "" if number == 0 else ROOT if command else _id(number - (number - 1) % 10)
    start = START + number * 40_000_000
    end = START + SPANS * 40_000_000 if number == 0 else start + (350_000_000 if command else 30_000_000)
    name = "gt.session" if number == 0 else "gt.command" if command else "bd.call"
    facts: dict[str, str | int] = {
        "run.id": RUN,
        "instance": "mill:town",
        "town_root": "/home/op/town",
        "role": "polecat",
        "rig": "gastown",
        "agent_type": "claudecode",
        "agent_name": "toast",
        "session_id": "gt-gastown-toast",
        "status": "ok",
        "work_rig": "gastown",
        "work_bead": "gt-abc",
        "process.executable.name": "bd",
        "process.pid": 4000 + number,
        "command": f"mail {number % 7}",
        "subcommand": SUBCOMMANDS[number * 7 % 4],
        "args": "--json",
    }
    attributes = [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in facts.items()
    ]
    span = {
        "traceId": RUN,
        "spanId": _id(number),
        "parentSpanId": parent,
        "flags": 3,
        "name": name,
        "kind": 3,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "attributes": attributes,
        "status": {"code": 2, "message": "exit 1"} if number % 500 == 7 else {},
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "gastown"}}]}
    group = {"resource": resource, "scopeSpans": [{"scope": {"name": "gastown_tracing"}, "spans": [span]}]}
    return json.dumps({"resourceSpans": [group]}, separators=(",", ":")) + "\n"


def _id(number: int) -> str:
    return f"{0xA000000000000000 + number:016x}" if number else ROOT


def measure(rounds: int) -> list[Row]:
    """Return what each way of looking at the run takes; the target is a second."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "journal"
        traces = write_journal(root)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("GT_", "OTEL_"))}
        view = [sys.executable, "-m", "gastown_tracing.cli", "view", "--journal", str(root), "--width", "160"]
        ways = {
            "": [],
            "--all": ["--all"],
            "--json": ["--json"],
            "--html": ["--html", str(root / "page.html")],
        }
        commands = {way: ([*view, *options], env) for way, options in ways.items()}
        times = side_by_side({"peer": ([sys.executable, "-c", PEER, str(traces)], env), **commands}, rounds)
    return [_row(way, times[way], times["peer"]) for way in ways]


def _row(way: str, taken: float, peer: float) -> Row:
    what = f"gt-trace view {way}".strip() + f" of {SPANS} spans / json.loads of each line"
    return Row(
        what, taken / peer, note=f"{taken:.2f} s / {peer:.2f} s, under 1 s: {'ok' if taken < 1 else 'MISSED'}"
    )


if __name__ == "__main__":
    for row in measure(rounds_asked(7)):
        print(row)
