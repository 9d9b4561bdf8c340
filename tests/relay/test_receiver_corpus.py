"""What Claude Code, gt and bd really sent, through the real receiver: what a user sees of it."""

from __future__ import annotations

import contextlib
import gzip
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from gastown_tracing.relay.receiver.requests import SIGNALS
from gastown_tracing.relay.receiver.transcode import from_protobuf

from .receiver_kit import (
    INTERACTIVE,
    PRINT,
    PROTOBUF,
    ROOT_SPAN,
    RUN,
    Receiving,
    Sent,
    ask,
    attributes,
    corpus,
    receiving,
)

GtTrace = Callable[..., subprocess.CompletedProcess[str]]

#: The span that `claude -p` was started in, by its TRACEPARENT; nobody recorded that one.
INBOUND = "00f067aa0ba902b7"


def chunked(body: bytes) -> Iterator[bytes]:
    """Cut a body as a client that does not know its length does."""
    for start in range(0, len(body), 1000):
        yield body[start : start + 1000]


def send(receiving: Receiving, requests: Iterable[Sent]) -> None:
    """Send requests as their programs did: chunked where they were, on one connection."""
    with contextlib.closing(receiving.connect()) as connection:
        for one in requests:
            body = chunked(one.body) if one.chunked else one.body
            answer = ask(connection, receiving.path(one.signal), body, {"Content-Type": PROTOBUF})
            assert (answer.status, answer.body) == (200, b"")


def flat(spans: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the spans of a tree."""
    for span in spans:
        yield span
        yield from flat(span.get("children", ()))


def test_claude_is_one_trace_under_its_run(journal_root: Path, gt_trace: GtTrace) -> None:
    """All spans of three traces and more are in the run's one, and each tool has its execution below it."""
    with receiving(journal_root) as found:
        send(found, corpus("claude"))
        seen = found.records("traces")
    assert len(seen) == 24
    assert {span["traceId"] for span in seen} == {RUN}
    assert all(f"/runs/{RUN}/" in span["file"] for span in seen)
    ids = {span["spanId"] for span in seen}
    orphans = Counter(span.get("parentSpanId", "") for span in seen if span.get("parentSpanId") not in ids)
    assert set(orphans) == {ROOT_SPAN, INBOUND}
    assert orphans[INBOUND] == 1

    view = json.loads(gt_trace("view", RUN, "--json").stdout)
    text = json.dumps(view)
    assert text.count('"claude_code.tool.execution"') == 4
    by_id = {span["spanId"]: span for span in seen}
    for span in seen:
        if span["name"] in ("claude_code.tool.execution", "claude_code.tool.blocked_on_user"):
            assert by_id[span["parentSpanId"]]["name"] == "claude_code.tool"


def test_what_was_moved_says_where_it_comes_from(journal_root: Path) -> None:
    """Spans of an interactive session keep their trace's id as an attribute; `-p` was in the run's."""
    for mode, expected in ((INTERACTIVE, True), (PRINT, False)):
        with receiving(journal_root / mode) as found:
            send(found, [one for one in corpus("claude") if one.mode == mode])
            seen = found.records("traces")
        assert seen
        assert {"gastown.original_trace_id" in attributes(span) for span in seen} == {expected}


def test_claudes_log_records_have_a_span_of_the_run(journal_root: Path) -> None:
    """Those with ids keep their span's, those without hang on the root; none is loose."""
    with receiving(journal_root) as found:
        send(found, corpus("claude"))
        spans, logs = found.records("traces"), found.records("logs")
        assert found.status["loose"] == 0
    assert len(logs) == 32
    assert {log["traceId"] for log in logs} == {RUN}
    ids = {span["spanId"] for span in spans} | {ROOT_SPAN}
    assert {log["spanId"] for log in logs} <= ids
    assert Counter(log["spanId"] == ROOT_SPAN for log in logs)[True] == 13
    assert {attributes(log)["run.id"] for log in logs} == {RUN}
    assert len({attributes(log)["log.record.uid"] for log in logs}) == len(logs)


def test_claudes_metrics_wait_for_the_metrics_worker(journal_root: Path) -> None:
    """Each is in a line of relay/received/, under the resource that names role and run."""
    with receiving(journal_root) as found:
        send(found, corpus("claude"))
        metrics = found.records("metrics")
    points = Counter[str]()
    for metric in metrics:
        points[metric["name"]] += len(metric["sum"]["dataPoints"])
        assert attributes(metric["resource"])["gt.role"] == "x"
    assert points == {
        "claude_code.active_time.total": 4,
        "claude_code.cost.usage": 5,
        "claude_code.session.count": 2,
        "claude_code.token.usage": 20,
    }


def test_a_town_without_shims_keeps_what_gt_says(journal_root: Path) -> None:
    """Nothing is dropped where no shim stood before gt; gt's own metrics are, whatever else."""
    with receiving(journal_root) as found:
        send(found, corpus("town"))
        status, logs, metrics = found.status, found.records("logs"), found.records("metrics")
    assert status["dropped"] == {}
    assert status["records"] == {"logs": 380, "traces": 66, "metrics": 198}
    names = Counter(log["eventName"] for log in logs if log["scope"]["name"] == "gastown")
    assert names == {
        "bd.call": 118,
        "mail": 90,
        "prime": 6,
        "agent.state_change": 4,
        "agent.instantiate": 3,
        "session.stop": 2,
        "sling": 1,
        "done": 1,
        "polecat.spawn": 1,
        "convoy.create": 1,
        "formula.instantiate": 1,
        "mol.cook": 1,
        "mol.wisp": 1,
    }
    assert status["native_metrics_dropped"] == 18
    kept = Counter(metric["name"].partition(".")[0] for metric in metrics)
    assert set(kept) == {"bd", "claude_code"}
    assert kept["bd"] == 132


def test_gts_records_of_a_run_are_in_it(journal_root: Path) -> None:
    """What gt recorded for a run, named with dashes, hangs on that run's root; the rest is loose."""
    with receiving(journal_root) as found:
        send(found, corpus("town"))
        logs = [log for log in found.records("logs") if log["scope"]["name"] == "gastown"]
    inside = [log for log in logs if "/runs/" in log["file"]]
    assert {log["traceId"] for log in inside} == {
        "7da6c8c3f8e24fe09700a4ccc05b4f70",
        "d8aab4fea70b42b8b9991a78823d37bc",
        "67456a669ea744ee872763d039ecd759",
    }
    for log in logs:
        run = attributes(log).get("run.id")
        assert (run is not None) == ("/runs/" in log["file"])
        assert log.get("traceId") == run
    started = [attributes(log) for log in inside if log["eventName"] == "agent.instantiate"]
    assert {said["role"] for said in started} == {"witness", "refinery", "polecat"}
    assert {(said["agent_type"], said["rig"]) for said in started} == {("claudecode", "demo")}
    primes = {attributes(log)["role"] for log in inside if log["eventName"] == "prime"}
    assert primes == {"witness", "refinery", "polecat"}


def test_a_repeated_delivery_is_recorded_once(journal_root: Path) -> None:
    """A client that timed out sends everything again: the journal has each record once."""
    with receiving(journal_root) as found:
        send(found, corpus())
        before = found.text()
        send(found, corpus())
        assert found.text() == before
        assert found.status["repeated"] == 90 + 412 + 209 - 18


def test_a_town_with_shims_keeps_what_they_do_not_record(journal_root: Path) -> None:
    """What its shim recorded of gt is dropped and counted where gt says it too; the rest is that span's."""
    trace, span = "7da6c8c3f8e24fe09700a4ccc05b4f70", "1234567890abcdef"
    with receiving(journal_root) as found:
        for one in corpus("town"):
            request = ExportLogsServiceRequest()
            if one.signal != "logs":
                continue
            request.ParseFromString(one.body)
            for group in request.resource_logs:
                for key, value in (("gt.trace_id", trace), ("gt.span_id", span), ("gt.run_id", trace)):
                    group.resource.attributes.add(key=key).value.string_value = value
            assert found.post("logs", request.SerializeToString()).status == 200
        status = found.status
        logs = [log for log in found.records("logs") if log["scope"]["name"] == "gastown"]
    assert status["dropped"] == {
        "bd.call": 118,
        "mail": 90,
        "prime": 6,
        "agent.instantiate": 3,
        "session.stop": 2,
        "sling": 1,
        "done": 1,
        "agent.state_change": 4,
        "polecat.spawn": 1,
        "convoy.create": 1,
        "mol.cook": 1,
        "mol.wisp": 1,
    }
    assert Counter(log["eventName"] for log in logs) == {"formula.instantiate": 1}
    assert {(log["traceId"], log["spanId"]) for log in logs} == {(trace, span)}


def test_gt_past_its_shim_in_a_run_where_bd_is_seen(journal_root: Path) -> None:
    """gt called by its path says nothing of a span; what it runs by way of PATH the shims of the run record.

    Its own prime is the hook's, where a hook of ours saw the agent's session begin.
    """
    run = "7da6c8c3f8e24fe09700a4ccc05b4f70"
    with receiving(journal_root) as found:
        directory = Path(found.journal.run_dir(run))
        directory.mkdir(parents=True)
        (directory / "run.json").write_text('{"shims": ["bd", "git"]}')
        (directory / "agents.jsonl").write_text('{"session_id": "s", "primed": "true"}\n')
        for one in corpus("town"):
            if one.signal != "logs":
                continue
            assert found.post("logs", one.body).status == 200
        dropped = found.status["dropped"]
        logs = [log for log in found.records("logs") if log["scope"]["name"] == "gastown"]
    kept = Counter(log["eventName"] for log in logs)
    assert dropped == {
        "bd.call": 41,
        "mail": 17 + 1,
        "prime": 1,
        "agent.state_change": 1,
    }
    assert (kept["bd.call"], kept["mail"], kept["prime"]) == (118 - 41, 90 - 18, 6 - 1)
    assert (kept["sling"], kept["agent.instantiate"], kept["done"]) == (1, 3, 1)


def test_json_and_gzip_make_the_same_records(journal_root: Path) -> None:
    """The same requests with gzip, and in JSON, make what plain protobuf does."""
    requests = corpus("claude")
    with receiving(journal_root / "plain") as found:
        send(found, requests)
        expected = contents(found)
    with receiving(journal_root / "gzip") as found:
        for one in requests:
            answer = found.post(one.signal, gzip.compress(one.body), {"Content-Encoding": "gzip"})
            assert answer.status == 200
        assert contents(found) == expected
    with receiving(journal_root / "json") as found:
        for one in requests:
            message = SIGNALS[one.signal].message()
            message.ParseFromString(one.body)
            answer = found.post(one.signal, from_protobuf(message))
            assert (answer.status, answer.json) == (200, {})
        assert contents(found) == expected


def contents(found: Receiving) -> list[dict[str, Any]]:
    """Return all records without what differs from journal to journal: the file's path, and the uid's key."""
    records = [record for kind in ("traces", "logs", "metrics") for record in found.records(kind)]
    for record in records:
        record["file"] = ""
        record["attributes"] = sorted(
            key
            for key in attributes(record).items()
            if key[0] != "log.record.uid" and not isinstance(key[1], dict)
        )
    return records
