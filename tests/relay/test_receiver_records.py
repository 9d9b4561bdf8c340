"""Where a record goes, and what becomes of it on the way."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing.hooks import agents
from gastown_tracing.relay.receiver import native
from propagation.run import root_span_id, to_uuid

from .receiver_kit import Receiving, attributes, log, logs, pairs, receiving, span, spans

RUN = "3f2504e04f8941d39a0c0305e82c3301"
OTHER = "7da6c8c3f8e24fe09700a4ccc05b4f70"
FOREIGN, SECOND = "aaaabbbbccccdddd1111222233334444", "bbbbbbbbccccdddd1111222233334444"
SPAN, PARENT = "1111111111111111", "2222222222222222"


def one(found: Receiving, kind: str) -> dict[str, Any]:
    """Return the only record of a kind."""
    (record,) = found.records(kind)
    return record


@pytest.mark.parametrize("key", ["gt__run_id", "run__id"])
@pytest.mark.parametrize(
    "text", [RUN, to_uuid(RUN), to_uuid(RUN).upper(), f"{{{to_uuid(RUN)}}}", f"urn:uuid:{to_uuid(RUN)}"]
)
def test_a_span_moves_into_the_run_that_its_resource_names(journal_root: Path, key: str, text: str) -> None:
    """Its trace id becomes the run's, its id stays, and without a parent it hangs on the root."""
    with receiving(journal_root) as found:
        assert found.post("traces", spans(span(FOREIGN, SPAN), **{key: text})).status == 200
        seen = one(found, "traces")
    assert (seen["traceId"], seen["spanId"], seen["parentSpanId"]) == (RUN, SPAN, root_span_id(RUN))
    assert attributes(seen)["gastown.original_trace_id"] == FOREIGN
    assert f"/runs/{RUN}/" in seen["file"]


def test_the_agents_own_session_says_whose_it_is_where_the_resource_does_not(journal_root: Path) -> None:
    """gt, its exporter on, gives Claude Code a resource without a run; the session that is known has one."""
    named, other = {"session.id": "5e55-1"}, {"session.id": "5e55-2"}
    with receiving(journal_root) as found:
        agents.remember(found.journal, RUN, "5e55-1", "", "")
        prompt = span(FOREIGN, SPAN, attributes=pairs(**named))
        assert found.post("traces", spans(prompt, gt__session="de-rust")).status == 200
        assert found.post("logs", logs(log("hello", attributes=pairs(**named)))).status == 200
        seen, said = one(found, "traces"), one(found, "logs")
        found.post("traces", spans(span(SECOND, SPAN, attributes=pairs(**other))))
        assert (found.status["rerooted"], found.status["loose"]) == (1, 1)
    assert (seen["traceId"], seen["parentSpanId"]) == (RUN, root_span_id(RUN))
    assert (said["traceId"], attributes(said)["run.id"]) == (RUN, RUN)
    assert f"/runs/{RUN}/" in seen["file"]


def test_a_span_keeps_the_parent_that_it_has(journal_root: Path) -> None:
    """Moved or not, a parent that is named stays the parent."""
    with receiving(journal_root) as found:
        request = spans(span(FOREIGN, SPAN, parentSpanId=PARENT), gt__run_id=RUN)
        assert found.post("traces", request).status == 200
        assert one(found, "traces")["parentSpanId"] == PARENT


def test_a_span_of_the_runs_trace_stays_as_it_came(journal_root: Path) -> None:
    """Nothing is added and nothing taken away."""
    came = span(RUN, SPAN, attributes=pairs(anything="goes"), traceState="a=b", flags=257)
    with receiving(journal_root) as found:
        assert found.post("traces", spans(came, gt__run_id=RUN)).status == 200
        seen = one(found, "traces")
    assert {key: seen[key] for key in came} == came
    assert "parentSpanId" not in seen


def test_what_names_no_run_is_loose_as_it_came(journal_root: Path) -> None:
    """Spans and log records alike; a run that is no UUID names none."""
    came = span(FOREIGN, SPAN, links=[{"traceId": SECOND, "spanId": PARENT}])
    with receiving(journal_root) as found:
        assert found.post("traces", spans(came, gt__run_id="no uuid")).status == 200
        assert found.post("logs", logs(log("hello"))).status == 200
        seen, said = one(found, "traces"), one(found, "logs")
        assert found.status["loose"] == 2
    assert {key: seen[key] for key in came} == came
    assert "/loose/" in seen["file"]
    assert "/loose/" in said["file"]
    assert "traceId" not in said
    assert len(attributes(said)["log.record.uid"]) == 32


def test_a_trace_that_is_an_open_run_of_the_journal_needs_no_name(journal_root: Path) -> None:
    """A program that only took TRACEPARENT along is found in its run's directory, too."""
    with receiving(journal_root) as found:
        found.post("traces", spans(span(RUN, PARENT), gt__run_id=RUN))
        found.post("traces", spans(span(RUN, SPAN)))
        found.post("logs", logs(log("hello", traceId=RUN, spanId=SPAN)))
        assert len(found.records("traces", f"runs/{RUN}")) == 2
        assert len(found.records("logs", f"runs/{RUN}")) == 1


def test_links_follow_a_trace_that_is_moved_in_the_same_request(journal_root: Path) -> None:
    """A link to a span of another trace that moves leads to where that is; any other stays."""
    away = {"traceId": "c" * 32, "spanId": PARENT}
    request = spans(span(FOREIGN, SPAN, links=[{"traceId": SECOND, "spanId": PARENT}, away]), gt__run_id=RUN)
    request["resourceSpans"] += spans(span(SECOND, PARENT), gt__run_id=OTHER)["resourceSpans"]
    with receiving(journal_root) as found:
        assert found.post("traces", request).status == 200
        (seen,) = found.records("traces", f"runs/{RUN}")
    assert seen["links"] == [{"traceId": OTHER, "spanId": PARENT}, away]


def test_a_span_with_the_roots_own_id_is_not_its_own_parent(journal_root: Path) -> None:
    """Whoever makes up such an id makes no loop."""
    with receiving(journal_root) as found:
        found.post("traces", spans(span(FOREIGN, root_span_id(RUN)), gt__run_id=RUN))
        assert "parentSpanId" not in one(found, "traces")


@pytest.mark.parametrize(
    ("record", "resource", "expected"),
    [
        ({"traceId": FOREIGN, "spanId": SPAN}, {"gt__run_id": RUN}, (RUN, SPAN, RUN)),
        ({"traceId": RUN, "spanId": SPAN}, {"gt__run_id": RUN}, (RUN, SPAN, RUN)),
        ({"traceId": FOREIGN, "spanId": SPAN}, {}, (FOREIGN, SPAN, "")),
        ({}, {"gt__trace_id": RUN, "gt__span_id": SPAN, "gt__run_id": RUN}, (RUN, SPAN, RUN)),
        ({}, {"gt__trace_id": FOREIGN, "gt__span_id": SPAN}, (FOREIGN, SPAN, "")),
        ({}, {"gt__trace_id": "no", "gt__span_id": SPAN, "gt__run_id": RUN}, (RUN, root_span_id(RUN), RUN)),
        ({}, {"gt__run_id": RUN}, (RUN, root_span_id(RUN), RUN)),
        (
            {"attributes": pairs(run__id=to_uuid(OTHER))},
            {"gt__run_id": RUN},
            (OTHER, root_span_id(OTHER), OTHER),
        ),
        ({"traceId": FOREIGN}, {"gt__run_id": RUN}, (RUN, root_span_id(RUN), RUN)),
        ({"traceId": "0" * 32, "spanId": "0" * 16}, {"gt__run_id": RUN}, (RUN, root_span_id(RUN), RUN)),
        ({"traceId": FOREIGN}, {}, (FOREIGN, None, "")),
    ],
)
def test_a_log_record_gets_its_span(
    journal_root: Path, record: dict[str, Any], resource: dict[str, str], expected: tuple[str, str, str]
) -> None:
    """Its own ids, else those that a shim gave its process, else the root of the run that is named."""
    trace_id, span_id, run = expected
    with receiving(journal_root) as found:
        assert found.post("logs", logs(log("hello", **record), **resource)).status == 200
        seen = one(found, "logs")
    assert (seen.get("traceId"), seen.get("spanId")) == (trace_id, span_id)
    assert (f"/runs/{run}/" if run else "/loose/") in seen["file"]
    assert attributes(seen).get("run.id") == (run or None)


def test_what_gt_says_gets_our_names(journal_root: Path) -> None:
    """Its event, run, role, time and outcome are as in our own records, so that metrics count them alike."""
    said = {
        "timeUnixNano": "0",
        "observedTimeUnixNano": "1700000000000000000",
        "severityNumber": 17,
        "attributes": pairs(name="rust", status="error", error="no such rig: demo", run__id=to_uuid(RUN)),
    }
    resource = {"gt__run_id": to_uuid(RUN), "gt__role": "demo/witness", "gt__session": "de-witness"}
    with receiving(journal_root) as found:
        assert (
            found.post("logs", logs(log("polecat.spawn", **said), scope="gastown", **resource)).status == 200
        )
        seen = one(found, "logs")
    assert (seen["eventName"], seen["body"]) == ("polecat.spawn", {"stringValue": "polecat.spawn"})
    assert (seen["severityNumber"], seen["severityText"]) == (17, "ERROR")
    assert seen["timeUnixNano"] == "1700000000000000000"
    known = attributes(seen)
    assert len(known.pop("log.record.uid")) == 32
    assert known == {
        "run.id": RUN,
        "role": "witness",
        "rig": "demo",
        "agent_name": "witness",
        "session_id": "de-witness",
        "name": "rust",
        "status": "error",
        "error": "‹17 bytes›",
    }


def test_who_acts_for_another_run_is_not_said_to_be_that_run(journal_root: Path) -> None:
    """What the mayor's gt records for a run of another agent has that run, and not the mayor's role."""
    record = log("daemon.restart", attributes=pairs(agent_type="witness-demo", run__id=OTHER))
    with receiving(journal_root) as found:
        found.post("logs", logs(record, scope="gastown", gt__run_id=RUN, gt__role="mayor"))
        known = attributes(one(found, "logs"))
    assert known["run.id"] == OTHER
    assert "role" not in known


def test_an_event_of_gt_that_nobody_knows_keeps_its_name(journal_root: Path) -> None:
    """A later gt has more events: nothing of one passes but what every program may say."""
    record = log("refinery.merged", attributes=pairs(branch="secret", gt__rig="demo"), severityNumber=9)
    with receiving(journal_root) as found:
        found.post("logs", logs(record, scope="gastown", gt__run_id=RUN))
        seen = one(found, "logs")
    known = attributes(seen)
    assert seen["body"] == {"stringValue": "refinery.merged"}
    assert (known["branch"], known["gt.rig"], known["run.id"]) == ("‹6 bytes›", "demo", RUN)


def test_two_records_that_are_the_same_are_two(journal_root: Path) -> None:
    """A program may say the same twice at once; the same request again says it no third time."""
    request = logs(log("again"), log("again"), gt__run_id=RUN)
    with receiving(journal_root) as found:
        for _ in range(2):
            assert found.post("logs", request).status == 200
        uids = {attributes(record)["log.record.uid"] for record in found.records("logs")}
        assert len(found.records("logs")) == len(uids) == 2


def test_a_record_keeps_the_uid_that_it_has(journal_root: Path) -> None:
    """log.record.uid is whoever's who made the record."""
    uid = "00112233445566778899aabbccddeeff"
    for scope in ("a.program", "com.anthropic.claude_code.events", "gastown"):
        with receiving(journal_root / scope) as found:
            request = logs(log("sling", attributes=pairs(log__record__uid=uid, bead="de-1")), scope=scope)
            assert found.post("logs", request).status == 200
            assert attributes(one(found, "logs"))["log.record.uid"] == uid


def test_a_uid_tells_nothing_about_what_was_masked(journal_root: Path) -> None:
    """The same record has another uid in another journal: nobody finds a secret by trying."""
    uids = set()
    for name in ("a", "b"):
        with receiving(journal_root / name) as found:
            found.post("logs", logs(log("hunter2"), scope="com.anthropic.claude_code.events"))
            uids.add(attributes(one(found, "logs"))["log.record.uid"])
    assert len(uids) == 2


def test_unusable_records_cost_themselves_alone(journal_root: Path) -> None:
    """They are counted in the answer, with one line that says why; the others are written."""
    request = spans(
        span(FOREIGN, SPAN), span("short", SPAN), span(FOREIGN, "0" * 16), span(FOREIGN, PARENT, kind="x")
    )
    with receiving(journal_root) as found:
        answer = found.post("traces", request)
        assert answer.status == 200
        assert answer.json["partialSuccess"]["rejectedSpans"] == "3"
        assert answer.json["partialSuccess"]["errorMessage"] == "spanId is no id of 16 digits"
        assert len(found.records("traces")) == 1
        assert found.status["unusable"] == 3


def test_a_long_request_becomes_lines_that_a_journal_can_have(journal_root: Path) -> None:
    """No line is longer than 1 MiB; a record that alone is longer has its longest texts cut, marked."""
    many = [span(FOREIGN, f"{number:016x}", attributes=pairs(text="x" * 2000)) for number in range(1, 2000)]
    giant = span(FOREIGN, "f" * 16, attributes=pairs(text="é" * 550_000, short="kept"))
    with receiving(journal_root) as found:
        assert found.post("traces", spans(*many, giant)).status == 200
        (path,) = Path(journal_root).glob("loose/*/traces.jsonl")
        assert max(map(len, path.read_bytes().split(b"\n"))) < 1 << 20
        seen = found.records("traces")
    assert len(seen) == 2000
    cut = attributes(next(record for record in seen if record["spanId"] == "f" * 16))
    assert cut["short"] == "kept"
    assert cut["text"].endswith("bytes›")


def test_nothing_is_received_for_a_journal_that_is_switched_off(journal_root: Path) -> None:
    """The operator removed `on`: a client is told, and does not try again."""
    with receiving(journal_root) as found:
        Path(found.journal.on_path).unlink()
        answer = found.post("traces", spans(span(FOREIGN, SPAN)))
        assert answer.status == 200
        assert answer.json["partialSuccess"]["rejectedSpans"] == "1"
        assert "switched off" in answer.json["partialSuccess"]["errorMessage"]
        assert found.text() == ""
        assert found.status["switched_off"] == 1


def test_what_cannot_be_written_is_asked_for_again(journal_root: Path) -> None:
    """503 and Retry-After; what had been written by then is not written again."""
    request = spans(span(FOREIGN, SPAN), gt__run_id=RUN)
    request["resourceSpans"] += spans(span(SECOND, PARENT), gt__run_id=OTHER)["resourceSpans"]
    with receiving(journal_root) as found:
        blocked = Path(found.journal.run_dir(OTHER))
        blocked.write_text("in the way")
        answer = found.post("traces", request)
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "cannot be written" in answer.json["message"]
        assert "cannot be written" in found.status["last_error"]["message"]
        blocked.unlink()
        assert found.post("traces", request).status == 200
        assert len(found.records("traces")) == 2


def test_many_runs_in_one_request_are_bounded(journal_root: Path) -> None:
    """Nobody makes a directory for each of a hundred thousand spans."""
    groups = [
        spans(span(FOREIGN, SPAN), gt__run_id=f"{number:032x}")["resourceSpans"][0]
        for number in range(1, 1101)
    ]
    with receiving(journal_root) as found:
        answer = found.post("traces", {"resourceSpans": groups})
        assert answer.json["partialSuccess"]["rejectedSpans"] == str(1100 - 1024)
        assert len(list(Path(journal_root).glob("runs/*"))) == 1024


def test_a_metric_that_is_longer_than_a_line_is_written_in_parts(journal_root: Path) -> None:
    """Every point once, in lines that a journal can have; also where the request comes again."""
    points = [
        {"asInt": str(number), "timeUnixNano": "5", "attributes": pairs(text="x" * 1000, number=number)}
        for number in range(2500)
    ]
    sum_ = {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": points}
    part = {"scope": {"name": "a.program"}, "metrics": [{"name": "many", "unit": "1", "sum": sum_}]}
    request = {"resourceMetrics": [{"resource": {}, "scopeMetrics": [part]}]}
    with receiving(journal_root) as found:
        for _ in range(2):
            answer = found.post("metrics", request)
            assert (answer.status, answer.json) == (200, {})
        seen = found.records("metrics")
        assert max(map(len, found.text().encode().split(b"\n"))) < 1 << 20
    assert len(seen) > 2
    assert {(record["name"], record["unit"], record["sum"]["isMonotonic"]) for record in seen} == {
        ("many", "1", True)
    }
    assert [point for record in seen for point in record["sum"]["dataPoints"]] == points


def test_points_that_are_rejected_are_counted_as_points(journal_root: Path) -> None:
    """OTLP counts data points, not metrics (rejected_data_points)."""
    points = [{"asInt": "1", "timeUnixNano": "5"}] * 3
    part = {"metrics": [{"name": "some", "gauge": {"dataPoints": points}}]}
    with receiving(journal_root) as found:
        Path(found.journal.on_path).unlink()
        answer = found.post("metrics", {"resourceMetrics": [{"scopeMetrics": [part]}]})
        assert answer.json["partialSuccess"]["rejectedDataPoints"] == "3"


def test_bytes_that_are_too_long_are_no_broken_base64(journal_root: Path) -> None:
    """What is left of them is how many there were: a backend would refuse the record for half of it."""
    value = {"bytesValue": b64encode(b"b" * 1_000_000).decode()}
    with receiving(journal_root) as found:
        record = span(FOREIGN, SPAN, attributes=[{"key": "data", "value": value}, *pairs(short="kept")])
        assert found.post("traces", spans(record)).status == 200
        assert attributes(one(found, "traces")) == {"data": "‹1000000 bytes›", "short": "kept"}


def test_a_mistake_of_ours_shows_nothing_of_what_was_sent(
    journal_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500, and a status that says where: an error's own text may quote a value."""

    def broken(_: object) -> bool:
        raise KeyError("SECRET")

    monkeypatch.setattr(native, "is_gt", broken)
    with receiving(journal_root) as found:
        answer = found.post("logs", logs(log("SECRET")))
        assert answer.status == 500
        assert b"SECRET" not in answer.body
        assert "SECRET" not in str(found.status)
        assert found.status["last_error"]["message"] == "a request was not understood: KeyError in broken"
