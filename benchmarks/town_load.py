"""Load for the relay's benchmarks: many sessions at once that write what a bd call writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gastown_tracing.journal import otlp, writer
from gastown_tracing.journal.layout import Journal, create, mkdirs
from propagation.run import new_run_id, new_span_id, root_span_id

#: The console script of the environment that this runs in.
GT_TRACE = [sys.executable, "-m", "gastown_tracing.cli"]


def clean_environ() -> dict[str, str]:
    """Return the environment without anything that telemetry would read."""
    leaking = ("GT_", "OTEL_", "BD_", "CLAUDE", "TMUX", "TRACE", "BAGGAGE")
    return {name: value for name, value in os.environ.items() if not name.startswith(leaking)}


def make_journal(root: Path, urls: dict[str, str], **settings: str) -> Journal:
    """Make a journal whose relay sends each signal to its URL; a signal without one goes nowhere."""
    chosen = {
        f"GT_OTEL_{signal.upper()}_URL": urls.get(signal, "none") for signal in ("traces", "metrics", "logs")
    }
    return create(str(root), {**chosen, **settings})


@contextmanager
def relay(journal: Journal) -> Iterator[subprocess.Popen[bytes]]:
    """Run the relay of a journal in the foreground; it is killed in the end if it is still there."""
    argv = [*GT_TRACE, "relay", "run", "--journal", journal.root]
    silent = subprocess.DEVNULL
    with subprocess.Popen(argv, env=clean_environ(), stdout=silent, stderr=silent) as process:
        try:
            yield process
        finally:
            process.kill()


class Session:
    """A session without an agent: its run's directory, and one bd call after another."""

    def __init__(self, journal: Journal, number: int) -> None:
        self.trace_id = new_run_id()
        self._directory = journal.run_dir(self.trace_id)
        self._parent = root_span_id(self.trace_id)
        self._common: dict[str, object] = {
            "run.id": self.trace_id,
            "instance": "bench:town",
            "agent_type": "claudecode",
            "role": "polecat",
            "rig": "demo",
            "session_id": f"gt-demo-{number}",
            "subcommand": "list",
            "args": "list --json --limit 0",
            "exit_code": 0,
            "status": "ok",
        }
        self._resource = otlp.encode_resource(
            {
                "service.name": "gastown",
                "host.name": "bench",
                "gt.role": "demo/polecats/toast",
                "gt.rig": "demo",
                "gt.run_id": self.trace_id,
            }
        )
        mkdirs(self._directory)
        info = {"trace_id": self.trace_id, "root_span_id": self._parent, "host": "elsewhere"}
        info |= {"session": f"gt-demo-{number}", "start_time_unix_nano": str(time.time_ns())}
        Path(self._directory, "run.json").write_text(json.dumps(info))

    def call(self) -> str:
        """Write the span and the log record of one bd call that ends now; return the span's id."""
        end = time.time_ns()
        span_id = new_span_id()
        attributes = {**self._common, "duration_ms": 60.5}
        span = otlp.Span(
            self.trace_id,
            span_id,
            self._parent,
            "bd.call",
            kind=otlp.CLIENT,
            start_ns=end - 60_500_000,
            end_ns=end,
            attributes=attributes,
            flags=3,
        )
        log = otlp.Log(
            end,
            event_name="bd.call",
            body="bd.call",
            attributes={**attributes, "log.record.uid": new_run_id()},
            trace_id=self.trace_id,
            span_id=span_id,
            flags=3,
        )
        lines = [
            ("traces", otlp.spans_line(self._resource, [span])),
            ("logs", otlp.logs_line(self._resource, [log])),
        ]
        writer.append_all(self._directory, lines)
        return span_id
