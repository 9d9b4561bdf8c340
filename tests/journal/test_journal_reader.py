"""What a reader makes of runs, open and closed, of broken files, and of what a user calls a run."""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from journal_kit import RESOURCE, ROOT, TRACE, number_id, span_line

from gastown_tracing.journal import otlp, reader, writer
from gastown_tracing.journal.layout import Journal, quote_json
from gastown_tracing.journal.parse import parse_logs, parse_spans
from propagation.work import WorkContext, format_line

OTHER = "5bf92f3577b34da6a3ce929d0e0e4736"
TRACES = "/traces.jsonl"


def write_json(path: str, **fields: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pairs = ",".join(f"{quote_json(name)}:{quote_json(value)}" for name, value in fields.items())
    Path(path).write_text(f"{{{pairs}}}\n")


def open_run(journal: Journal, trace_id: str, start: int, **info: str) -> str:
    directory = journal.run_dir(trace_id)
    write_json(directory + "/run.json", trace_id=trace_id, start_time_unix_nano=str(start), **info)
    return directory


def ids(data: reader.RunData) -> list[str]:
    return [span.span_id for span in data.spans]


def reasons(data: reader.RunData) -> list[tuple[int, str]]:
    return [(skip.line, skip.reason) for skip in data.skipped]


def test_10_000_spans_are_read_in_a_moment(journal: Journal) -> None:
    """In less than twice what parsing the JSON alone costs here: the resource is decoded once."""
    resource = otlp.encode_resource({f"resource.{n}": f"its value is {n}" for n in range(24)})
    directory = journal.run_dir(TRACE)
    os.makedirs(directory)
    attributes = {f"attribute.{n}": f"its value is {n}" for n in range(20)}
    with open(directory + TRACES, "wb") as file:
        for number in range(10_000):
            span = otlp.Span(TRACE, number_id(number), ROOT, "bd.call", start_ns=1, end_ns=2)
            span.attributes = {**attributes, "number": number}
            file.write(otlp.spans_line(resource, [span]))
    seconds, yardsticks = [], []
    for _ in range(2):
        start = time.process_time()
        data = reader.read_run(journal, TRACE)
        seconds.append(time.process_time() - start)
        start = time.process_time()
        lines = Path(directory + TRACES).read_text().split("\n")
        kept = [json.loads(line) for line in lines if line]
        yardsticks.append(time.process_time() - start)
        assert len(kept) == 10_000
        del kept
    assert len(data.spans) == 10_000
    assert data.spans[-1].attributes["number"] == 9_999
    assert data.spans[-1].resource["resource.3"] == "its value is 3"
    assert min(seconds) < 2 * min(yardsticks)


def test_a_malformed_line_is_cut_at_the_next_record_and_counted(journal: Journal) -> None:
    directory = journal.run_dir(TRACE)
    good = [span_line(number_id(n)) for n in range(6)]
    torn = span_line(number_id(99))[:-30]
    content = good[0] + torn + good[1] + b"garbage\n" + good[2] + good[3][:-1] + good[4] + b"\n" + good[5]
    os.makedirs(directory)
    Path(directory + TRACES).write_bytes(content)
    data = reader.read_run(journal, TRACE)
    assert ids(data) == [number_id(n) for n in range(6)]
    assert reasons(data) == [(2, "not JSON, or cut short"), (3, "not JSON, or cut short")]
    assert data.skipped[0].file == directory + TRACES


def test_log_lines_are_cut_at_the_next_record_too(journal: Journal) -> None:
    lines = [otlp.logs_line(RESOURCE, [otlp.Log(n, event_name=f"e{n}")]) for n in range(3)]
    os.makedirs(journal.run_dir(TRACE))
    Path(journal.run_dir(TRACE), "logs.jsonl").write_bytes(lines[0] + lines[1][:-20] + lines[2] + b"{")
    data = reader.read_run(journal, TRACE)
    assert [log.event_name for log in data.logs] == ["e0", "e2"]
    assert reasons(data) == [(2, "not JSON, or cut short"), (3, "the last line has no end")]


def test_an_unterminated_last_line_is_ignored_and_counted_until_it_ends(journal: Journal) -> None:
    directory = journal.run_dir(TRACE)
    writer.append(directory, "traces", span_line(number_id(1)))
    with open(directory + TRACES, "ab") as file:
        file.write(span_line(number_id(2))[:-1])
    data = reader.read_run(journal, TRACE)
    assert (ids(data), reasons(data)) == ([number_id(1)], [(2, "the last line has no end")])
    writer.append(directory, "traces", span_line(number_id(3)))
    data = reader.read_run(journal, TRACE)
    assert (ids(data), reasons(data)) == ([number_id(n) for n in (1, 2, 3)], [])


SPAN = {"traceId": TRACE, "spanId": "b7ad6b7169203331", "name": "n", "startTimeUnixNano": "1"}
TEXTS = st.text(st.characters(exclude_categories=()), max_size=6)
#: JSON numbers as files may spell them: beyond any float, beyond what Python reads as an integer, no number.
NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats().map(json.dumps),
    st.sampled_from(["1e999", "-1e999", "-0", "0.5", "1" + "0" * 400, "9" * 5_000, str(2**64), str(2**63)]),
)
JSON = st.recursive(
    NUMBERS | TEXTS.map(json.dumps) | st.sampled_from(["null", "true", "[]", "{}", '"Infinity"', '"-1"']),
    lambda inner: st.lists(inner, max_size=2).map(lambda items: f"[{','.join(items)}]"),
    max_leaves=3,
)
KINDS = ["stringValue", "boolValue", "intValue", "doubleValue", "bytesValue", "other"]
ANY_VALUES = st.recursive(
    st.builds('{{"{}":{}}}'.format, st.sampled_from([*KINDS, "arrayValue", "kvlistValue"]), JSON),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda all_: f'{{"arrayValue":{{"values":[{",".join(all_)}]}}}}'),
        st.builds('{{"kvlistValue":{{"values":[{{"key":{},"value":{}}}]}}}}'.format, JSON, inner),
    ),
    max_leaves=4,
)
ATTRIBUTES = st.builds(
    '[{{"key":{},"value":{}}},{{"key":"log.record.uid","value":{}}}]'.format, JSON, ANY_VALUES, ANY_VALUES
)
SPAN_FIELDS = [
    *("startTimeUnixNano", "endTimeUnixNano", "kind", "flags", "name", "traceId", "spanId", "parentSpanId"),
    *("traceState", "droppedAttributesCount", "droppedEventsCount", "droppedLinksCount"),
    *("status", "links", "events", "attributes"),
]
LOG_FIELDS = [
    *("timeUnixNano", "observedTimeUnixNano", "severityNumber", "severityText", "eventName", "body"),
    *("flags", "traceId", "spanId", "attributes"),
]


def _records(known: dict[str, str], names: list[str]) -> st.SearchStrategy[str]:
    """Return records of these fields as JSON, of which some are right and some anything at all."""
    anything = {name: st.just("") | JSON | ANY_VALUES for name in names}
    anything["attributes"] = ATTRIBUTES | JSON
    for name in ("events", "links"):
        within = st.builds(
            '[{{"traceId":"a","spanId":"b","timeUnixNano":{},"name":{},"attributes":{}}}]'.format,
            JSON,
            JSON,
            ATTRIBUTES,
        )
        anything[name] = within | JSON
    anything["status"] = st.builds('{{"code":{},"message":{}}}'.format, JSON, JSON) | JSON
    plain = {name: json.dumps(value) for name, value in known.items()}
    choices = {name: st.just(plain.get(name, "")) | anything[name] for name in names}
    return st.fixed_dictionaries(choices).map(
        lambda fields: "{" + ",".join(f'"{name}":{value}' for name, value in fields.items() if value) + "}"
    )


@settings(max_examples=300, deadline=None)
@given(
    span=_records(SPAN, SPAN_FIELDS),
    log=_records({}, LOG_FIELDS),
    resource=ATTRIBUTES,
    scope=JSON,
    start=JSON,
)
@example(span="{}", log='{"attributes":[{"key":"log.record.uid","value":{"arrayValue":{}}}]}', resource="[]",
         scope="1", start="1e999")  # fmt: skip
def test_whatever_stands_in_a_field_a_journal_is_read(
    span: str, log: str, resource: str, scope: str, start: str
) -> None:
    """And what was read can be written, printed as JSON and read again as the same."""
    with tempfile.TemporaryDirectory() as place:
        journal = Journal(place)
        directory = journal.run_dir(TRACE)
        head = f'[{{"resource":{{"attributes":{resource}}}'
        scoped = f'{{"scope":{{"name":{scope},"version":{scope}}}'
        os.makedirs(directory + "/open")
        traces = f'{{"resourceSpans":{head},"scopeSpans":[{scoped},"spans":[{span}]}}]}}]}}\n'
        logs = f'{{"resourceLogs":{head},"scopeLogs":[{scoped},"logRecords":[{log},{log}]}}]}}]}}\n'
        for name in ("traces.jsonl", "close.json", "open/b7ad6b7169203331"):
            Path(directory, name).write_text(traces)
        Path(directory, "logs.jsonl").write_text(logs)
        Path(directory, "run.json").write_text(f'{{"start_time_unix_nano":{start},"session":{scope}}}')
        data = reader.read_run(journal, TRACE)
        reader.list_runs(journal)
    for record in data.spans + data.in_progress:
        line = otlp.spans_line(otlp.encode_resource(record.resource), [record])
        (again,) = parse_spans(line.decode(), "f", [])
        assert otlp.spans_line(otlp.encode_resource(again.resource), [again]) == line
    for entry in data.logs:
        parse_logs(otlp.logs_line(otlp.encode_resource(entry.resource), [entry]).decode(), "f", [])
    assert all(skip.reason for skip in data.skipped)


@pytest.mark.parametrize(
    "pattern", ['{"resourceSpans":[', '{"resourceSpans":[{"a":"', "[]", "[", "1" * 5_000]
)
def test_a_hostile_line_is_one_skip_in_a_moment(pattern: str) -> None:
    """In linear time: a line of 1 MB takes no more than what 1 MB of small damaged lines take."""
    text, skipped = pattern * (1_000_000 // len(pattern)), []
    start = time.process_time()
    assert parse_spans(text + "\\ud800\n", "f", skipped) == []
    assert time.process_time() - start < 5
    assert len(skipped) == 1


def test_a_record_that_was_torn_anywhere_costs_itself_alone() -> None:
    """Also where the next one can stand in it: as a value, or as an item of a list."""
    torn, whole = span_line(number_id(1)).decode(), span_line(number_id(2)).decode()
    for length in range(1, len(torn) - 1):
        skipped: list[Any] = []
        found = parse_spans(torn[:length] + whole, "f", skipped)
        assert [span.span_id for span in found][-1:] == [number_id(2)], torn[:length]
        assert [(skip.line, skip.reason) for skip in skipped] == [(1, "not JSON, or cut short")]


def test_a_line_cannot_name_the_resource_of_another() -> None:
    line = span_line(number_id(1)).decode()
    other = '{"resourceSpans":[{"resource":0,"scopeSpans":[{"spans":[{"traceId":"a","spanId":"b"}]}]}]}\n'
    skipped: list[Any] = []
    assert len(parse_spans(line + other, "f", skipped)) == 1
    assert len(skipped) == 1


def test_a_scopes_name_and_version_are_kept() -> None:
    scope = otlp.encode_scope("theirs", "4.5")
    (span,) = parse_spans(otlp.spans_line(RESOURCE, [otlp.Span(TRACE, ROOT)], scope).decode(), "f", [])
    (log,) = parse_logs(otlp.logs_line(RESOURCE, [otlp.Log(1)], scope).decode(), "f", [])
    assert (span.scope, span.scope_version) == (log.scope, log.scope_version) == ("theirs", "4.5")


@pytest.mark.parametrize(
    "line",
    [
        '{"resourceSpans":5}',
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":5,"spanId":"x"}]}]}]}',
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"x"}]}]}]}',
        '{"resourceSpans":[{"resource":7,"scopeSpans":[]}]}',
        '{"resourceSpans":[{"resource":{"attributes":[{"key":"a"}]},"scopeSpans":[{}]}]}',
        '{"resourceLogs":[]}',
        "[]",
        "null",
        "[" * 50_000,
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"a","spanId":"b","kind":"x"}]}]}]}',
    ],
)
def test_json_that_is_not_ours_is_skipped_and_said(journal: Journal, line: str) -> None:
    directory = journal.run_dir(TRACE)
    writer.append(directory, "traces", line.encode() + b"\n")
    writer.append(directory, "traces", span_line(number_id(1)))
    data = reader.read_run(journal, TRACE)
    assert ids(data) == [number_id(1)]
    assert [skip.line for skip in data.skipped] == [1]


def test_half_a_surrogate_pair_spelled_in_json_does_not_reach_who_prints() -> None:
    line = span_line(number_id(1), "NAME").decode().replace("NAME", "\\ud800x\\ud83d\\ude00")
    (span,) = parse_spans(line, "f", [])
    assert span.name == "?x\U0001f600"


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_whatever_was_done_to_a_file_reading_never_raises(seed: int, logs: bool) -> None:
    chance = random.Random(seed)  # noqa: S311 - a seed that Hypothesis can shrink
    lines = [
        otlp.logs_line(RESOURCE, [otlp.Log(n, body={"a": [n]})]) if logs else span_line(number_id(n))
        for n in range(4)
    ]
    data = bytearray(b"".join(lines))
    for _ in range(chance.randrange(1, 6)):
        start = chance.randrange(len(data))
        data[start : start + chance.choice([0, 1, 9, 300])] = chance.randbytes(chance.choice([0, 1, 5]))
    skipped: list[Any] = []
    text = bytes(data).decode("utf-8", "replace")
    found: list[Any] = list(parse_logs(text, "f", skipped) if logs else parse_spans(text, "f", skipped))
    assert len(found) + len(skipped) >= 1


def test_a_delivery_that_was_repeated_is_one_record(journal: Journal) -> None:
    directory = journal.run_dir(TRACE)
    log = otlp.logs_line(RESOURCE, [otlp.Log(1, event_name="bd.call")])
    for _ in range(3):
        writer.append(directory, "traces", span_line(number_id(1)))
        writer.append(directory, "logs", log)
    writer.append(directory, "traces", span_line(number_id(1), "another content"))
    data = reader.read_run(journal, TRACE)
    assert [span.name for span in data.spans] == ["work", "another content"]
    assert len(data.logs) == 1


def test_thousands_of_spans_with_one_id_are_read_in_a_moment(journal: Journal) -> None:
    lines = [span_line(number_id(1), f"n{number % 3_000}") for number in range(6_000)]
    os.makedirs(journal.run_dir(TRACE))
    Path(journal.run_dir(TRACE), "traces.jsonl").write_bytes(b"".join(lines))
    start = time.process_time()
    data = reader.read_run(journal, TRACE)
    assert time.process_time() - start < 5
    assert [span.name for span in data.spans] == [f"n{number}" for number in range(3_000)]


def test_a_closed_run_and_what_came_late_are_one(journal: Journal) -> None:
    directory = open_run(journal, TRACE, 500, session="gt-a")
    writer.append(directory, "traces", span_line(number_id(1)))
    writer.link_close(directory, span_line(ROOT, "gt.session", start_ns=500, end_ns=9_000))
    os.mkdir(journal.root + "/closed/2026-11-20")
    os.rename(directory, f"{journal.root}/closed/2026-11-20/{TRACE}")
    writer.append(journal.run_dir(TRACE), "traces", span_line(number_id(2)))
    data = reader.read_run(journal, TRACE)
    assert sorted(ids(data)) == sorted([number_id(1), number_id(2), ROOT])
    assert len(data.run.directories) == 2
    (run,) = reader.list_runs(journal)
    assert (run.closed, run.start_ns, run.end_ns) == (True, 500, 9_000)
    assert run.info["session"] == "gt-a"
    assert run.root is not None
    assert run.root.name == "gt.session"


def test_a_run_is_listed_by_its_small_files_alone(journal: Journal) -> None:
    directory = open_run(journal, TRACE, 2_000, session="gt-a")
    write_json(directory + "/pane.json", session="gt-a", pane="%1")
    open_run(journal, OTHER, 1_000)
    Path(directory + TRACES).write_bytes(b"not even JSON\n")
    os.mkdir(journal.root + "/runs/not-a-trace-id")
    first, second = reader.list_runs(journal)
    assert (first.trace_id, first.pane, first.closed, first.end_ns) == (OTHER, None, False, None)
    assert (second.trace_id, second.start_ns, second.pane) == (
        TRACE,
        2_000,
        {"session": "gt-a", "pane": "%1"},
    )
    assert second.skipped == []


def test_a_run_that_nobody_opened_starts_with_its_first_span(journal: Journal) -> None:
    writer.append(journal.run_dir(TRACE), "traces", span_line(number_id(1), start_ns=777))
    writer.append(journal.run_dir(OTHER), "logs", otlp.logs_line(RESOURCE, [otlp.Log(1)]))
    runs = {run.trace_id: run for run in reader.list_runs(journal)}
    assert (runs[TRACE].start_ns, runs[TRACE].info) == (777, {})
    assert runs[OTHER].start_ns == runs[OTHER].last_activity_ns > 0


def test_since_chooses_runs_that_were_active_later(journal: Journal) -> None:
    for number, trace_id in enumerate([TRACE, OTHER]):
        directory = open_run(journal, trace_id, 1)
        os.utime(directory + "/run.json", ns=(0, (number + 1) * 10**9))
    assert [run.trace_id for run in reader.list_runs(journal, since_ns=1_500_000_000)] == [OTHER]


def test_broken_small_files_are_said_and_the_run_is_still_read(journal: Journal) -> None:
    directory = journal.run_dir(TRACE)
    writer.append(directory, "traces", span_line(number_id(1)))
    for name in ("run.json", "pane.json", "close.json"):
        Path(directory, name).write_text("{nonsense\n")
    work = WorkContext("rig", "de-1", "", "")
    Path(directory, "work.jsonl").write_text("x\n" + format_line(5, work, "prime") + "torn")
    data = reader.read_run(journal, TRACE)
    assert (ids(data), data.run.closed, data.work) == ([number_id(1)], False, [(5, work, "prime")])
    assert {os.path.basename(skip.file) for skip in data.skipped} == {
        "run.json",
        "pane.json",
        "close.json",
        "work.jsonl",
    }
    assert len(data.skipped) == 5


def test_records_outside_any_run_are_read_by_hour(journal: Journal) -> None:
    hour = 3_600 * 10**9
    for number in range(3):
        writer.append(
            journal.loose_dir(number * hour), "traces", span_line(number_id(number), trace_id=OTHER)
        )
    os.mkdir(journal.root + "/loose/notes")
    assert ids(reader.read_loose(journal)) == [number_id(n) for n in range(3)]
    assert ids(reader.read_loose(journal, since_ns=hour + 5)) == [number_id(1), number_id(2)]


@pytest.fixture
def town(journal: Journal) -> Journal:
    """Return a journal with three runs: two of one session, the later one on a bead since its prime."""
    open_run(journal, TRACE, 100, session="gt-rust", issue_id="de-1")
    later = open_run(journal, OTHER, 200, session="gt-rust", issue_id="")
    Path(later, "work.jsonl").write_text(format_line(150, WorkContext("rig", "de-2", "", ""), "prime"))
    pane_only = open_run(journal, "4bf92f35" + "77" * 12, 50)
    write_json(pane_only + "/pane.json", session="gt-mayor")
    return journal


@pytest.mark.parametrize(
    ("text", "trace_id"),
    [
        (TRACE, TRACE),
        (TRACE.upper(), TRACE),
        ("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", TRACE),
        ("{4BF92F35-77B3-4DA6-A3CE-929D0E0E4736}", TRACE),
        ("urn:uuid:4bf92f35-77b3-4da6-a3ce-929d0e0e4736", TRACE),
        ("4bf92f3577b3", TRACE),
        ("4BF92F35-77B3", TRACE),
        ("5bf9", OTHER),
        ("latest", OTHER),
        ("gt-rust", OTHER),
        ("gt-mayor", "4bf92f35" + "77" * 12),
        ("de-1", TRACE),
        ("de-2", OTHER),
    ],
)
def test_a_run_is_found_by_what_users_call_it(town: Journal, text: str, trace_id: str) -> None:
    assert reader.resolve(town, text) == trace_id


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("4bf92f35", "'4bf92f35' begins 2 runs, "),
        ("4bf", "'4bf': the beginning of a run id takes at least 4 digits"),
        ("", "no run, session or bead ''"),
        ("nobody", "no run, session or bead 'nobody'"),
        ("f" * 32, "no run, session or bead 'ffffffff"),
        ("../../etc", "no run, session or bead '../../etc'"),
        ("a\nb\x1b[31m\0", "no run, session or bead 'a"),
    ],
)
def test_what_means_no_run_is_one_line(town: Journal, text: str, said: str) -> None:
    with pytest.raises(reader.LookupFailed) as caught:
        reader.resolve(town, text)
    message = str(caught.value)
    assert message.startswith(said)
    assert message.isprintable()


def test_an_empty_journal_says_so(journal: Journal) -> None:
    with pytest.raises(reader.LookupFailed, match="no runs in the journal"):
        reader.resolve(journal, "latest")
