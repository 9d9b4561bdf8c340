"""What a town costs that is a month old: `python -m benchmarks.bench_town [ROUNDS]`.

50,000 closed runs, 1 GB of journal, 100 live sessions: what the commands take over the same with 100 closed
runs; how long the relay takes to begin; what it takes while nothing happens.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Row, rounds_asked, side_by_side
from gastown_tracing.journal import closed, writer
from gastown_tracing.journal.layout import Journal, create, mkdirs
from gastown_tracing.sessions import processes

RUNS, FEW, LIVE = 50_000, 100, 100
DAYS = 30
#: Bytes of spans in each closed run: 1 GB in all.
SIZE = 19_000
#: Seconds for which the relay is watched while nothing happens.
IDLE = 30.0
SECOND = 10**9

RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "gastown"}}]}


def build(root: str, runs: int) -> Journal:
    """Make a journal with closed runs of a month, and live sessions that stand on this process."""
    journal = create(root)
    now = time.time_ns()
    each = -(-runs // DAYS)
    for number in range(runs):  # the newest last: an index is as old as what was added to it
        day, place = divmod(runs - 1 - number, each)
        _close(journal, number, now - day * 86_400 * SECOND - (place + 60) * SECOND)
    for number in range(LIVE):
        _live(journal, f"{0xB0000000 + number:08x}" + "b" * 24, now)
    return journal


def _close(journal: Journal, number: int, end: int) -> None:
    trace_id = f"{number * 85_899 % (1 << 32):08x}{number:024x}"
    date = closed.date_of(end)
    directory = f"{journal.root}/closed/{date}/{trace_id}"
    mkdirs(directory)
    info = {"trace_id": trace_id, "session": f"gt-{number}", "rig": f"rig-{number % 7}", "role": "polecat"}
    info["start_time_unix_nano"] = str(end - 60 * SECOND)
    line = _span(trace_id, "bd.call", end, parent="a" * 16)
    _write(f"{directory}/run.json", json.dumps(info))
    _write(f"{directory}/traces.jsonl", line * (SIZE // len(line)))
    _write(f"{directory}/close.json", _span(trace_id, "gt.session", end))
    for name in ("run.json", "traces.jsonl", "close.json"):
        os.utime(f"{directory}/{name}", ns=(end, end))
    run = closed.whole(journal, trace_id, directory)
    closed.append(journal, date, closed.describe(journal, run, trace_id))
    for path in (f"{journal.root}/closed/{date}/{closed.INDEX}", f"{journal.root}/closed/{date}"):
        os.utime(path, ns=(end, end))


def _live(journal: Journal, trace_id: str, now: int) -> None:
    directory = journal.run_dir(trace_id)
    mkdirs(directory)
    info = {"trace_id": trace_id, "root_span_id": "b" * 16, "session": "live", "host": processes.host()}
    info["start_time_unix_nano"] = str(now)
    _write(f"{directory}/run.json", json.dumps(info))
    _write(f"{directory}/pane.json", json.dumps(processes.describe(os.getpid())))
    line = _span(trace_id, "bd.call", now, parent="b" * 16)
    _write(f"{directory}/traces.jsonl", line)
    _MARKERS.append(writer.Marker.open(directory, "c" * 16, line.encode()))


#: Calls that are under way as long as this process lives.
_MARKERS: list[writer.Marker] = []


def _span(trace_id: str, name: str, end: int, parent: str = "") -> str:
    span = {
        "traceId": trace_id,
        "spanId": "a" * 16,
        "parentSpanId": parent,
        "name": name,
        "startTimeUnixNano": str(end - SECOND),
        "endTimeUnixNano": str(end),
        "attributes": [{"key": "reason", "value": {"stringValue": "done"}}],
    }
    group = {"resource": RESOURCE, "scopeSpans": [{"scope": {"name": "gastown_tracing"}, "spans": [span]}]}
    return json.dumps({"resourceSpans": [group]}, separators=(",", ":")) + "\n"


def _write(path: str, text: str) -> None:
    Path(path).write_text(text)


def measure(rounds: int) -> list[Row]:
    """Return what the commands and the relay take."""
    with tempfile.TemporaryDirectory() as folder:
        old, new = build(f"{folder}/old", RUNS), build(f"{folder}/new", FEW)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("GT_", "OTEL_"))}
        return [*_commands(old, new, env, rounds), *_relay(old, env)]


def _commands(old: Journal, new: Journal, env: Mapping[str, str], rounds: int) -> Iterator[Row]:
    ways = {"ls": ["ls"], "view latest": ["view", "latest"], "session list": ["session", "list"]}
    trace = [sys.executable, "-m", "gastown_tracing.cli"]
    for way, words in ways.items():
        commands = {
            place.root: ([*trace, *words, "--journal", place.root], {**env, "GT_OTEL_RELAY": "false"})
            for place in (old, new)
        }
        times = side_by_side(commands, rounds)
        taken, base = times[old.root], times[new.root]
        what = f"gt-trace {way} beside {RUNS} closed runs / beside {FEW}"
        yield Row(what, taken / base, 1.5, f"{taken * 1e3:.0f} ms / {base * 1e3:.0f} ms")


def _relay(journal: Journal, env: Mapping[str, str]) -> Iterator[Row]:
    """Yield how long a relay takes to begin, then its share of a core and its memory while it idles."""
    began = time.perf_counter()
    with _running(journal, env) as pid:
        yield Row("the relay begins, seconds", time.perf_counter() - began, 2.0)
        _wait(lambda: _status(journal).get("keeper", {}).get("journal_bytes"), "it has measured the journal")
        before, since = _cpu(pid), time.monotonic()
        time.sleep(IDLE)
        share = (_cpu(pid) - before) / (time.monotonic() - since) * 100
        yield Row(f"the idle relay beside {LIVE} live sessions, % of a core", share, 0.5)
        yield Row("the idle relay's memory, MB", _memory(pid) / 1e6, 120)


@contextmanager
def _running(journal: Journal, env: Mapping[str, str]) -> Iterator[int]:
    words = [sys.executable, "-m", "gastown_tracing.cli", "relay", "run", "--journal", journal.root]
    with subprocess.Popen(words, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(lambda: _status(journal).get("state") == "running", "the relay runs")
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)


def _status(journal: Journal) -> dict[str, dict[str, object]]:
    try:
        found: dict[str, dict[str, object]] = json.loads(Path(journal.root, "relay/status.json").read_text())
    except (OSError, ValueError):
        return {}
    return found


def _wait(condition, what: str) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.01)


def _cpu(pid: int) -> float:
    """Return the seconds of CPU that a process and the children it waited for have taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    for row in measure(rounds_asked(7)):
        print(row)
