"""A small real town (`gt-trace demo`) whose journal the real relay ships while it works."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gastown_tracing.journal import layout, reader
from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.parse import ReadLog, ReadSpan
from tests.processes import DEADLINE

_GT_TRACE = (sys.executable, "-m", "gastown_tracing.cli")

#: Attributes of the resource that every process of a session has.
IDENTITY = ("service.name", "service.instance.id", "host.name", "gt.role", "gt.actor", "gt.session")


@dataclass(frozen=True)
class Run:
    """All that the journal holds of one session."""

    trace_id: str
    root: ReadSpan
    spans: Mapping[str, ReadSpan]
    logs: Mapping[str, ReadLog]

    @property
    def bead(self) -> str:
        """Return the bead that was worked on."""
        return str(self.named("done").attributes["work_bead"])

    def named(self, name: str) -> ReadSpan:
        """Return the one span of this name."""
        (found,) = [span for span in self.spans.values() if span.name == name]
        return found


class Town:
    """A journal with its relay. `env` is the environment of everybody in it."""

    def __init__(self, root: Path, env: Mapping[str, str], **urls: str) -> None:
        self.journal: Journal = layout.create(str(root))
        # The town's beads are kept by its stand-in, which takes no seconds to begin.
        places = [place for place in env["PATH"].split(":") if not Path(place, "bd").exists()]
        self.env = {**env, "GT_OTEL_JOURNAL": str(root), "PATH": ":".join(places)}
        given = {f"GT_OTEL_{signal.upper()}_URL": url for signal, url in urls.items()}
        self.journal.write_config(
            {f"GT_OTEL_{name}_URL": "none" for name in ("TRACES", "LOGS", "METRICS")} | given
        )

    @contextlib.contextmanager
    def relay(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run `gt-trace relay run` until the block ends; it has to end in good order."""
        words = [*_GT_TRACE, "relay", "run", "--journal", self.journal.root]
        with subprocess.Popen(words, env=self.env, stderr=subprocess.PIPE) as relay:
            try:
                yield relay
            finally:
                relay.send_signal(signal.SIGTERM)
                try:
                    _, said = relay.communicate(timeout=DEADLINE)
                except subprocess.TimeoutExpired:
                    relay.kill()
                    raise
        assert relay.returncode == 0, said.decode(errors="replace")[-2000:]

    def gt_trace(self, *words: str, **variables: str) -> str:
        """Return what a `gt-trace` command prints; it has to succeed."""
        env = {**self.env, **variables}
        done = subprocess.run(
            [*_GT_TRACE, *words], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def work(self) -> dict[str, Run]:
        """Let a mayor sling a bead to a polecat, who does it; return their runs by role."""
        self.gt_trace("demo")
        found = [self.run(run.trace_id) for run in reader.list_runs(self.journal)]
        return {str(run.root.attributes["role"]): run for run in found}

    def run(self, trace_id: str) -> Run:
        """Return what the journal holds of a closed run."""
        data = reader.read_run(self.journal, trace_id)
        spans = {span.span_id: span for span in data.spans}
        logs = {str(log.attributes["log.record.uid"]): log for log in data.logs}
        assert (len(spans), len(logs)) == (len(data.spans), len(data.logs))
        (root,) = [span for span in data.spans if not span.parent_id]
        return Run(trace_id, root, spans, logs)


def attributes(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return attributes of OTLP JSON as plain values, numbers as text."""
    return {pair["key"]: next(iter(pair["value"].values()), None) for pair in found}


def check_tree(
    run: Run, shown: Mapping[str, Mapping[str, Any]], *, step_ns: int = 1, shortest_ns: int = 0
) -> None:
    """Check a backend's spans, by id, as OTLP JSON has them: tree, links, times, resources.

    `step_ns` is how exact its times are, `shortest_ns` what it makes of a moment.
    """
    assert sorted(shown) == sorted(run.spans)
    for span_id, ours in run.spans.items():
        theirs = shown[span_id]
        assert (theirs["traceId"], theirs["name"]) == (run.trace_id, ours.name)
        assert theirs.get("parentSpanId", "") == ours.parent_id, ours.name
        times = [int(theirs["startTimeUnixNano"]), int(theirs["endTimeUnixNano"])]
        wanted = [ours.start_ns, max(ours.end_ns, ours.start_ns + shortest_ns)]
        assert times == [time_ns // step_ns * step_ns for time_ns in wanted], (ours.name, times, wanted)
        links = [(link["traceId"], link["spanId"]) for link in theirs.get("links", ())]
        assert links == [link[:2] for link in ours.links], ours.name
        assert attributes(theirs["attributes"])["run.id"] == run.trace_id
        resource = attributes(theirs["resource"]["attributes"])
        assert {name: resource[name] for name in IDENTITY if name in ours.resource} == {
            name: ours.resource[name] for name in IDENTITY if name in ours.resource
        }
    assert [span_id for span_id, span in shown.items() if not span.get("parentSpanId")] == [run.root.span_id]


def started(town: Town, socket: str) -> str:
    """Start a mayor that does nothing; return its run."""
    words = ["session", "start", "--role", "mayor", "--socket", socket, "--json", "--", "sleep", "1000"]
    return str(json.loads(town.gt_trace(*words))["run_id"])
