"""A run of 100,000 spans, shipped while it lives, reads back whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing.journal import otlp, writer
from gastown_tracing.relay import status
from gastown_tracing.relay.files import Files
from propagation.run import root_span_id
from tests.processes import wait_until

from .jaeger import needs_jaeger, running_jaeger
from .tempo import needs_tempo, running_tempo
from .town import Town, started

pytestmark = [pytest.mark.peer, pytest.mark.scale]

SPANS, PARENTS = 100_000, 100
FIRST = 1 << 60


def span_id(number: int) -> str:
    return f"{FIRST + number:016x}"


def record(town: Town, run: str, seen: threading.Event) -> None:
    """Write the spans as a mayor's processes do, a line each; the second half once the first has been `seen`.

    A hundred calls hang on the root, and a thousand below each of them.
    """
    attributes = {"run.id": run, "subcommand": "list", "args": "list --all --json", "exit_code": 0}
    resource = otlp.encode_resource({"service.name": "gastown", "gt.role": "mayor", "host.name": "here"})
    for number in range(SPANS):
        if number == SPANS // 2:
            seen.wait(60)
        now = time.time_ns()
        span = otlp.Span(run, span_id(number), parent_id(run, number), "bd.call", start_ns=now - 10**6)
        span.end_ns, span.attributes = now, dict(attributes)
        writer.append(town.journal.run_dir(run), "traces", otlp.spans_line(resource, [span]))


def parent_id(run: str, number: int) -> str:
    return root_span_id(run) if number < PARENTS else span_id(number % PARENTS)


def sent(town: Town) -> int:
    """Return how many spans the relay has sent."""
    workers = status.read(Files(town.journal)).get("workers", {})
    return int(workers["traces"]["sent"]) if workers else 0


def ship(town: Town, socket: str, trace: Callable[[str], dict[str, dict[str, Any]]]) -> None:
    """Record a session while the relay ships it, and check what a backend's `trace` shows of it."""
    seen = threading.Event()
    with town.relay():
        run = started(town, socket)
        writing = threading.Thread(target=record, args=(town, run, seen))
        writing.start()
        wait_until(lambda: len(trace(run)) > 1, "the first spans are there while the session lives")
        seen.set()
        writing.join()
        town.gt_trace("session", "stop", run)
        wait_until(lambda: sent(town) >= SPANS + 3, "all is sent", 60)
        # A backend needs seconds to give so much.
        shown: dict[str, dict[str, Any]] = {}
        wait_until(lambda: len(shown.update(trace(run)) or shown) >= SPANS + 3, "all is there", 60)
    ours = {span: found["parentSpanId"] for span, found in shown.items() if found["name"] == "bd.call"}
    assert ours == {span_id(number): parent_id(run, number) for number in range(SPANS)}
    root = root_span_id(run)
    assert [span for span, found in shown.items() if not found.get("parentSpanId")] == [root]


@needs_jaeger
def test_jaeger_shows_a_hundred_thousand_spans(
    journal_root: Path, env: dict[str, str], tmp_path: Path, tmux_socket: str
) -> None:
    with running_jaeger(tmp_path) as jaeger:
        ship(Town(journal_root, env, traces=jaeger.traces_url), tmux_socket, jaeger.otlp)


@needs_tempo
def test_tempo_shows_a_hundred_thousand_spans(
    journal_root: Path, env: dict[str, str], tmp_path: Path, tmux_socket: str
) -> None:
    """With the limit of jaeger/tempo.yaml, which is none."""
    with running_tempo(tmp_path) as tempo:
        ship(Town(journal_root, env, traces=tempo.traces_url), tmux_socket, tempo.trace)
