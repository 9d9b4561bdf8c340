"""Journals written by hand as plain OTLP JSON: views are tested against the format, not our writer."""

from __future__ import annotations

import fcntl
import json
import os
from datetime import UTC
from pathlib import Path
from typing import Any

from gastown_tracing.journal.layout import Journal
from gastown_tracing.view import console, load, model, shape

RUN = "3f2504e04f8941d39a0c0305e82c3301"
ROOT = "9a0c0305e82c3301"
OTHER = "1b4e28ba2fa14cd3883fd8ad1c5e5f10"
T0 = 1_795_000_000_000_000_000
SECOND = 10**9

INFO = {
    "version": 1,
    "name": "gt.session",
    "session": "gt-gastown-toast",
    "role": "polecat",
    "rig": "gastown",
    "agent_name": "toast",
    "agent_type": "claudecode",
    "issue_id": "gt-abc",
    "host": "mill",
}


def at(seconds: float) -> int:
    """Return the moment so many seconds into the trace, in nanoseconds."""
    return T0 + round(seconds * SECOND)


def value(said: Any) -> dict[str, Any]:
    """Return an attribute's value as OTLP JSON."""
    if isinstance(said, bool):
        return {"boolValue": said}
    if isinstance(said, int):
        return {"intValue": str(said)}
    return {"doubleValue": said} if isinstance(said, float) else {"stringValue": said}


def pairs(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return attributes as OTLP JSON."""
    return [{"key": name, "value": value(said)} for name, said in values.items()]


class Book:
    """A journal, and one run in it unless `run` is empty: spans get the ids s1, s2 … in hex."""

    _first = 0

    def __init__(
        self, root: Path, run: str = RUN, info: dict[str, Any] | None = None, start: float = 0
    ) -> None:
        self.journal = Journal(str(root))
        self.run = run
        self.directory = root / "runs" / run if run else root / "loose" / "2026-11-18T11"
        self.directory.mkdir(parents=True, exist_ok=not run)
        (root / "VERSION").write_text("1\n")
        (root / "on").touch()
        self.locks: list[int] = []
        self.began = start
        self._number = 0
        if run:
            facts = {**INFO, **(info or {}), "trace_id": run, "start_time_unix_nano": str(at(start))}
            (self.directory / "run.json").write_text(json.dumps(facts))

    def number_from(self, text: str) -> None:
        """Let this book's spans have ids of their own: beside others in one journal none comes twice."""
        self._first = int(text[:4], 16) << 32

    def span(
        self,
        name: str,
        start: float,
        end: float,
        parent: str | None = None,
        *,
        error: str | None = None,
        link: tuple[str, str] | None = None,
        attributes: dict[str, Any] | None = None,
        **more: Any,
    ) -> str:
        """Write a span that has ended and return its id."""
        line = self.line(
            name,
            start,
            end,
            self.root if parent is None else parent,
            error=error,
            link=link,
            attributes={**(attributes or {}), **more},
        )
        self.append("traces.jsonl", line)
        return self.last

    def append(self, file: str, line: str) -> None:
        """Append a line to a file of the run."""
        with (self.directory / file).open("a") as opened:
            opened.write(line + "\n")

    @property
    def last(self) -> str:
        """Return the id of the span written last."""
        return f"{0xA000000000000000 + self._first + self._number:016x}"

    @property
    def root(self) -> str:
        """Return the id of the run's root span."""
        return f"{int(self.run[16:], 16) | 1 << 63:016x}" if self.run else ROOT

    def line(
        self,
        name: str,
        start: float,
        end: float,
        parent: str,
        *,
        error: str | None = None,
        link: tuple[str, str] | None = None,
        attributes: dict[str, Any] | None = None,
        span_id: str = "",
        trace_id: str = "",
    ) -> str:
        """Return a span's line, under the next id unless one is given."""
        attributes = attributes or {}
        self._number += 1
        executable = {
            "bd.call": "bd",
            "git.operation": "git",
            "gt.command": "gt",
            "prime": "gt",
            "done": "gt",
        }.get(name)
        if executable:
            attributes = {
                "process.executable.name": executable,
                "process.pid": 4000 + self._number,
                **attributes,
            }
        span: dict[str, Any] = {
            "traceId": trace_id or self.run or f"{self._number:032x}",
            "spanId": span_id or self.last,
            "parentSpanId": parent,
            "name": name,
            "kind": 1,
            "startTimeUnixNano": str(at(start)),
            "endTimeUnixNano": str(at(end)),
            "attributes": pairs(attributes),
        }
        if error is not None:
            span["status"] = {"code": 2, "message": error}
        if link:
            span["links"] = [{"traceId": link[0], "spanId": link[1]}]
        scope = {"name": "gastown_tracing"}
        resource = {"attributes": pairs({"service.name": "gastown", "host.name": "mill"})}
        group = {"resource": resource, "scopeSpans": [{"scope": scope, "spans": [span]}]}
        return json.dumps({"resourceSpans": [group]}, separators=(",", ":"))

    def close(self, end: float, reason: str = "done", **attributes: Any) -> None:
        """Write the run's root span: the session has ended."""
        facts = {"session_id": "gt-gastown-toast", "reason": reason, **attributes}
        line = self.line("gt.session", self.began, end, "", attributes=facts, span_id=self.root)
        (self.directory / "close.json").write_text(line + "\n")

    def marker(self, name: str, start: float, *, live: bool, died: float = 0, **attributes: Any) -> None:
        """Write the marker of a call in progress: locked by this process, or left behind by a dead one."""
        line = self.line(name, start, start, self.root, attributes=attributes)
        (self.directory / "open").mkdir(exist_ok=True)
        path = self.directory / "open" / self.last
        path.write_text(line.replace(f'"endTimeUnixNano":"{at(start)}",', "") + "\n")
        os.utime(path, ns=(at(died), at(died)))
        if live:
            self.locks.append(os.open(path, os.O_RDWR))
            fcntl.flock(self.locks[-1], fcntl.LOCK_EX)

    def log(
        self, event: str, moment: float, span: str, severity: int = 9, body: str = "", **attributes: Any
    ) -> None:
        """Write a log record."""
        record = {
            "timeUnixNano": str(at(moment)),
            "observedTimeUnixNano": str(at(moment)),
            "severityNumber": severity,
            "severityText": "ERROR" if severity >= 17 else "INFO",
            "eventName": event,
            "body": {"stringValue": body or event},
            "attributes": pairs({"run.id": self.run, "role": "polecat", "status": "ok", **attributes}),
            "traceId": self.run,
            "spanId": span,
        }
        group = {
            "resource": {"attributes": []},
            "scopeLogs": [{"scope": {"name": "x"}, "logRecords": [record]}],
        }
        self.append("logs.jsonl", json.dumps({"resourceLogs": [group]}, separators=(",", ":")))

    def trace(self, now: float = 60, **choice: Any) -> model.Trace:
        """Return the trace as the view builds it, `now` seconds after it began."""
        source = load.load(self.journal, self.run)
        return shape.apply(model.build(source, at(now)), **choice)

    def draw(
        self, width: int = 80, now: float = 60, options: dict[str, Any] | None = None, **choice: Any
    ) -> str:
        """Return the waterfall as text, in UTC."""
        return console.render(self.trace(now, **choice), console.Options(width, zone=UTC, **(options or {})))


def a_day(root: Path) -> Book:
    """Return a session with a cause, folds, failures, an orphan, mail, logs and idle time."""
    cause = Book(
        root,
        OTHER,
        {"session": "hq-mayor", "role": "mayor", "agent_name": "mayor", "rig": "", "issue_id": ""},
        -20,
    )
    sling = cause.span("sling", -2, -0.1, "b" * 16, bead="gt-abc", target="gastown")
    book = Book(root)
    book.span("session.start", 0.02, 0.1, link=(OTHER, sling), role="polecat")
    prime = book.span("prime", 0.8, 2.1, work_bead="gt-abc")
    book.span("bd.call", 0.9, 1.02, prime, subcommand="show", args="show gt-abc --json", work_bead="gt-abc")
    update = book.span(
        "bd.call", 1.1, 1.9, prime, subcommand="update", args="update gt-abc --claim", work_bead="gt-abc"
    )
    book.log("bd.call", 1.9, update, subcommand="update", exit_code=0, duration_ms=800.0)
    for number in range(84):
        start = 3 + number * 0.13
        failed = "" if number in (30, 60) else None
        book.span("bd.call", start, start + 0.08, error=failed, exit_code=0 if failed is None else 1,
                  subcommand="list", args="list --json", work_bead="gt-abc")  # fmt: skip
    tool = book.span("claude_code.tool", 14, 23, work_bead="gt-abc")
    book.span(
        "exec",
        14.1,
        22.8,
        tool,
        attributes={"name": "make", "process.executable.name": "make", "process.pid": 4300},
    )
    lost = book.span("bd.call", 22.85, 22.95, tool, error="claim lost: gt-abc is held by gastown/rust",
                     subcommand="update", args="update gt-abc --claim", exit_code=1)  # fmt: skip
    book.log("bd.call", 22.95, lost, 17, error="claim lost", status="error")
    book.span("git.operation", 23.2, 24.5, operation="push", branch="polecat/toast")
    mail = book.span(
        "mail",
        25,
        25.2,
        attributes={"operation": "send", "msg.to": "mayor/", "msg.subject": "gt-abc is ready"},
    )
    cause.span(
        "mail",
        30,
        30.2,
        "b" * 16,
        link=(RUN, mail),
        attributes={"operation": "read", "msg.from": "gastown/toast"},
    )
    book.span("bd.call", 26, 26.1, "dead" * 4, subcommand="ready", work_bead="gt-xyz")
    book.span("done", 761, 761.8, exit_type="COMPLETED", work_bead="gt-abc")
    book.close(762.1)
    return book
