"""The Collector with our configuration reads a journal: each record once, whatever is moved."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.api.sink import Sink, sink
from tests.conftest import clean_environ
from tests.peers.collector import needs_collector
from tests.peers.programs import answers
from tests.peers.rotel import free_port
from tests.processes import wait_until

from .kit import STACK

pytestmark = [pytest.mark.peer, needs_collector]

RUN, OTHER = "3f2504e04f8941d39a0c0305e82c3301", "1b4e28ba2fa141d2883f0016d3cca427"
#: A resource as long as ours are: it alone is more than the first 1,000 bytes of each file of a process.
_RESOURCE = '{"attributes":[{"key":"service.name","value":{"stringValue":"gastown"}},%s]}' % ",".join(  # noqa: UP031 # braces
    f'{{"key":"a{number}","value":{{"stringValue":"{"x" * 80}"}}}}' for number in range(10)
)


def _span(run: str, number: int) -> str:
    span = f'{{"traceId":"{run}","spanId":"{number:016x}","name":"bd.call","kind":1,"startTimeUnixNano":"1"}}'
    return f'{{"resourceSpans":[{{"resource":{_RESOURCE},"scopeSpans":[{{"spans":[{span}]}}]}}]}}\n'


def _record(run: str, number: int) -> str:
    record = f'{{"traceId":"{run}","spanId":"{number:016x}","body":{{"stringValue":"bd.call"}}}}'
    return f'{{"resourceLogs":[{{"resource":{_RESOURCE},"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}\n'


def _append(directory: Path, run: str, *numbers: int) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, line in (("traces.jsonl", _span), ("logs.jsonl", _record)):
        with open(directory / name, "a") as file:
            file.writelines(line(run, number) for number in numbers)


def _close(directory: Path, run: str, number: int) -> None:
    """Make close.json as ending a session does: whole, in one step."""
    whole = directory / "close.tmp"
    whole.write_text(_span(run, number))
    os.link(whole, directory / "close.json")
    whole.unlink()


@contextlib.contextmanager
def _collector(directory: Path, target: Sink, files: tuple[str, ...] = ("collector.yaml",)) -> Iterator[None]:
    """Run it with our files; it ends in good order, and so keeps how far it has read."""
    health = free_port()
    env: Mapping[str, str] = {
        **clean_environ(),
        "JOURNAL": str(directory / "journal"),
        "COLLECTOR_STATE": str(directory / "state"),
        "COLLECTOR_HEALTH_PORT": str(health),
        "TRACES_URL": target.url_of("traces"),
        "LOGS_URL": target.url_of("logs"),
    }
    words = ["otelcol-contrib", *(f"--config={STACK / name}" for name in files)]
    with open(directory / "collector.out", "ab") as output:
        process = subprocess.Popen(words, env=env, stdout=output, stderr=output)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{health}/"), "the Collector is there")
        yield
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    finally:
        process.kill()
        process.wait()


def _came(target: Sink) -> Counter[str]:
    """Return how often each span and log record has come, by its id."""
    spans = Counter(f"span {int(span.span_id.hex(), 16)}" for span in target.spans())
    return spans + Counter(f"log {int(record.span_id.hex(), 16)}" for record in target.logs())


def _once(*numbers: int, roots: tuple[int, ...] = ()) -> Counter[str]:
    records = [f"{kind} {number}" for kind in ("span", "log") for number in numbers]
    return Counter(records + [f"span {number}" for number in roots])


def test_each_record_comes_once_whatever_is_moved(tmp_path: Path) -> None:
    """What was there before, what comes, a root, a run that moves, loose commands: each comes once."""
    journal = tmp_path / "journal"
    _append(journal / "runs" / RUN, RUN, 1, 2)
    _append(journal / "loose/2026-01-01T00", OTHER, 10)
    with sink() as target, _collector(tmp_path, target):
        wait_until(lambda: _came(target) == _once(1, 2, 10), "what was there")
        _append(journal / "runs" / RUN, RUN, 3)
        _close(journal / "runs" / RUN, RUN, 4)
        wait_until(lambda: _came(target) == _once(1, 2, 3, 10, roots=(4,)), "what came, and the root")
        closed = journal / "closed/2026-01-01"
        closed.mkdir(parents=True)
        (journal / "runs" / RUN).rename(closed / RUN)
        _append(closed / RUN, RUN, 5)  # by somebody who had the file open
        _append(journal / "runs" / OTHER, OTHER, 6)
        wait_until(lambda: _came(target) >= _once(1, 2, 3, 5, 6, 10, roots=(4,)), "what came after the move")
        assert _came(target) == _once(1, 2, 3, 5, 6, 10, roots=(4,))
        assert all(not span.attributes for span in target.spans()), "nothing is added to a span"
        assert all(seen["vl-stream-fields"] for seen in target.seen_of("logs"))


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was written, and a run that moved, while the Collector was down, comes once."""
    journal = tmp_path / "journal"
    _append(journal / "runs" / RUN, RUN, 1)
    _append(journal / "runs" / OTHER, OTHER, 2)
    with sink() as target:
        with _collector(tmp_path, target):
            wait_until(lambda: _came(target) == _once(1, 2), "what was there")
        _append(journal / "runs" / RUN, RUN, 3)
        _close(journal / "runs" / RUN, RUN, 4)
        (journal / "closed/2026-01-01").mkdir(parents=True)
        (journal / "runs" / RUN).rename(journal / "closed/2026-01-01" / RUN)
        with _collector(tmp_path, target):
            wait_until(lambda: _came(target) >= _once(1, 2, 3, roots=(4,)), "what came meanwhile")
        assert _came(target) == _once(1, 2, 3, roots=(4,))


def test_an_endpoint_that_is_down_loses_nothing(tmp_path: Path) -> None:
    """What is refused with 503 waits on disk, over a restart, and comes when the endpoint is back."""
    _append(tmp_path / "journal/runs" / RUN, RUN, *range(1, 50))
    with sink() as target:
        target.status = 503
        with _collector(tmp_path, target):
            wait_until(lambda: target.seen_of("traces") and target.seen_of("logs"), "it was refused")
        target.status = 200
        with _collector(tmp_path, target):
            wait_until(lambda: _came(target) >= _once(*range(1, 50)), "all came")
        assert _came(target) == _once(*range(1, 50))
