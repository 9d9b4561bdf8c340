"""A call in progress leaves one span: its own, or one interrupted where its process died. Never two."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from journal_kit import RESOURCE, ROOT, TRACE, at_once, fork, number_id, parse_traces, python, span_line

from gastown_tracing.journal import markers, otlp, reader, writer
from gastown_tracing.journal.layout import Journal

WRITER = """
import sys
from gastown_tracing.journal import otlp, writer
directory, span_id, then = sys.argv[1:]
resource = otlp.encode_resource({"service.name": "gastown", "process.pid": 7})
span = otlp.Span("4bf92f3577b34da6a3ce929d0e0e4736", span_id, "a3ce929d0e0e4736", "bd.call",
                 start_ns=1000, attributes={"subcommand": "list"})
marker = writer.Marker.open(directory, span_id, otlp.spans_line(resource, [span]))
if then == "written":
    span.end_ns = 2000
    writer.append(directory, "traces", otlp.spans_line(resource, [span]))
print("ready", flush=True)
sys.stdin.read()
marker.close()
print("closed", flush=True)
"""


@pytest.fixture
def directory(journal: Journal) -> str:
    return journal.run_dir(TRACE)


@pytest.fixture
def living_writer(directory: str) -> Iterator[subprocess.Popen[str]]:
    """Return a process in the middle of its call."""
    with _start(directory, "working") as process:
        yield process
        process.kill()


def _start(directory: str, then: str) -> subprocess.Popen[str]:
    process = python(WRITER, directory, number_id(1), then)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _killed(directory: str, then: str) -> None:
    with _start(directory, then) as process:
        process.kill()


def test_a_marker_is_one_otlp_line_without_an_end(
    living_writer: subprocess.Popen[str], directory: str
) -> None:
    line = Path(directory, "open", number_id(1)).read_bytes()
    (span,) = parse_traces(line).resource_spans[0].scope_spans[0].spans
    assert (span.name, span.end_time_unix_nano, span.start_time_unix_nano) == ("bd.call", 0, 1000)
    assert os.listdir(directory + "/open") == [number_id(1)]


def test_a_living_writers_marker_is_in_progress_and_never_swept(
    living_writer: subprocess.Popen[str], directory: str, journal: Journal
) -> None:
    assert at_once(16, lambda _: markers.sweep(directory)) == [0] * 16
    assert markers.is_live(f"{directory}/open/{number_id(1)}")
    data = reader.read_run(journal, TRACE)
    assert ([span.name for span in data.in_progress], data.spans) == (["bd.call"], [])
    output, _ = living_writer.communicate("")
    assert output == "closed\n"
    assert os.listdir(directory + "/open") == []


def test_a_writer_killed_with_9_leaves_one_interrupted_span_however_many_sweep(
    directory: str, journal: Journal
) -> None:
    _killed(directory, "working")
    path = f"{directory}/open/{number_id(1)}"
    modified = os.stat(path).st_mtime_ns
    assert not markers.is_live(path)
    (seen,) = reader.read_run(journal, TRACE).spans
    assert os.path.exists(path), "a reader writes nothing"
    assert sum(at_once(16, lambda _: markers.sweep(directory))) == 1
    data = reader.read_run(journal, TRACE)
    (span,) = data.spans
    for found in (seen, span):
        assert (found.name, found.start_ns, found.end_ns) == ("bd.call", 1000, modified)
        assert (found.status_code, found.status_message) == (otlp.ERROR, markers.INTERRUPTED)
        assert found.attributes == {"subcommand": "list", "gastown.interrupted": True}
        assert found.resource == {"service.name": "gastown", "process.pid": 7}
    assert (data.in_progress, data.skipped, os.listdir(directory + "/open")) == ([], [], [])
    assert markers.sweep(directory) == 0


def test_a_span_that_was_written_after_all_is_not_interrupted(directory: str, journal: Journal) -> None:
    _killed(directory, "written")
    assert [span.end_ns for span in reader.read_run(journal, TRACE).spans] == [2000]
    assert at_once(4, lambda _: markers.sweep(directory)) == [0] * 4
    assert [span.end_ns for span in reader.read_run(journal, TRACE).spans] == [2000]
    assert os.listdir(directory + "/open") == []


def test_a_torn_span_does_not_count_as_written(directory: str, journal: Journal) -> None:
    """Killed in the middle of its write: the id stands in the file, the span does not."""
    _killed(directory, "working")
    torn = span_line(number_id(1))[:-40]
    assert number_id(1).encode() in torn
    writer.append(directory, "traces", torn)
    assert markers.sweep(directory) == 1
    data = reader.read_run(journal, TRACE)
    assert [span.status_message for span in data.spans] == [markers.INTERRUPTED]
    assert [skip.reason for skip in data.skipped] == ["not JSON, or cut short"]


def test_an_id_in_a_link_or_a_text_does_not_count_as_written(directory: str, journal: Journal) -> None:
    _killed(directory, "working")
    span_id = number_id(1)
    other = otlp.Span(TRACE, number_id(2), span_id, "x", start_ns=1, end_ns=2)
    other.links.append((TRACE, span_id, "", {}))
    other.attributes["text"] = f'"spanId":"{span_id}"'
    writer.append(directory, "traces", otlp.spans_line(RESOURCE, [other]))
    assert markers.sweep(directory) == 1


def test_a_root_span_that_closed_its_run_is_not_interrupted(directory: str) -> None:
    at_once(1, lambda _: writer.Marker.open(directory, ROOT, span_line(ROOT, end_ns=0)) and None)
    assert writer.link_close(directory, span_line(ROOT))
    assert markers.sweep(directory) == 0
    assert os.listdir(directory + "/open") == []


def test_what_cannot_be_written_now_is_left_for_the_next_sweep(
    directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _killed(directory, "working")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "append", full)
        assert markers.sweep(directory) == 0
    assert markers.sweep(directory) == 1


def test_leftovers_of_markers_that_never_were_go_after_a_minute(directory: str) -> None:
    os.makedirs(directory + "/open")
    old, new = f"{directory}/open/.{number_id(1)}", f"{directory}/open/.{number_id(2)}"
    for path in (old, new):
        Path(path).write_bytes(b"")
    os.utime(old, (time.time() - 120, time.time() - 120))
    assert markers.sweep(directory) == 0
    assert os.listdir(directory + "/open") == [f".{number_id(2)}"]


def test_a_marker_closed_twice_or_removed_by_somebody_is_fine(directory: str) -> None:
    marker = writer.Marker.open(directory, number_id(1), span_line(number_id(1), end_ns=0))
    os.unlink(marker.path)
    marker.close()
    marker.close()


def test_sweeps_racing_with_normal_closes_never_make_a_second_span(directory: str, journal: Journal) -> None:
    calls, callers = 300, 4

    def act(number: int) -> int:
        if number >= callers:
            deadline = time.monotonic() + 20
            while not os.path.exists(journal.root + "/done") and time.monotonic() < deadline:
                markers.sweep(directory)
            return 0
        for call in range(calls):
            span_id = number_id(number * calls + call)
            marker = writer.Marker.open(directory, span_id, span_line(span_id, end_ns=0))
            writer.append(directory, "traces", span_line(span_id))
            marker.close()
        Path(f"{journal.root}/finished-{number}").touch()
        if all(os.path.exists(f"{journal.root}/finished-{other}") for other in range(callers)):
            Path(journal.root + "/done").touch()
        return calls

    assert sum(at_once(callers + 2, act)) == calls * callers
    data = reader.read_run(journal, TRACE)
    assert sorted(span.span_id for span in data.spans) == [number_id(n) for n in range(calls * callers)]
    assert {span.status_code for span in data.spans} == {otlp.UNSET}
    assert os.listdir(directory + "/open") == []


def _call_for_ever(directory: str, first: int, told: int) -> None:
    """Say each call's id, then make it; leaves only by being killed or failing."""
    try:
        for call in range(10_000):
            span_id = number_id(first + call)
            os.write(told, f"{span_id}\n".encode())
            marker = writer.Marker.open(directory, span_id, span_line(span_id, end_ns=0))
            writer.append(directory, "traces", span_line(span_id))
            marker.close()
    finally:
        os._exit(1)


def test_killed_at_any_moment_each_call_leaves_exactly_one_span(directory: str, journal: Journal) -> None:
    """Writers die by -9 at random moments between opening a marker and closing it; then two sweep at once."""
    rounds = 40
    started = []
    for number in range(rounds):
        read_end, write_end = os.pipe()
        pid = fork()
        if pid == 0:
            _call_for_ever(directory, number * 10_000, write_end)
        os.close(write_end)
        with open(read_end, encoding="ascii") as told:
            started += [told.readline().strip() for _ in range(number + 2)]
            for _ in range(number * 100):
                continue  # a moment, another one each round
            os.kill(pid, signal.SIGKILL)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
            started += told.read().split()
        at_once(2, lambda _: markers.sweep(directory))
    found = [span.span_id for span in reader.read_run(journal, TRACE).spans]
    assert len(found) == len(set(found))
    assert set(found) <= set(started)
    # The last call of each writer may have died before its marker was there; no other is missing.
    assert len(set(started) - set(found)) <= rounds
    assert len(found) > rounds
    assert [name for name in os.listdir(directory + "/open") if not name.startswith(".")] == []
