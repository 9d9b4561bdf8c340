"""A call in progress leaves one span: its own, or one interrupted where its process died. Never two."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from journal_kit import (
    RESOURCE,
    ROOT,
    TRACE,
    at_once,
    fork,
    needs_root,
    number_id,
    parse_traces,
    python,
    span_line,
)

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
        assert found.attributes == {
            "subcommand": "list",
            "gastown.interrupted": True,
            "gastown.end_time.known": False,
        }
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


def lines(span: otlp.Span, *, exit_code: int | None = None) -> bytes:
    """Return what a marker of `span` holds: before its end, or as it ended."""
    outcome = {} if exit_code is None else {"exit_code": exit_code, "status": "ok", "error": ""}
    log = otlp.Log(span.start_ns, event_name="bd.call", trace_id=span.trace_id, span_id=span.span_id)
    log.attributes = {"subcommand": "list", "log.record.uid": "5" * 32, **outcome}
    scope = otlp.encode_scope("theirs", "7")
    return otlp.spans_line(RESOURCE, [span], scope) + otlp.logs_line(RESOURCE, [log], scope)


def died(directory: str, span: otlp.Span) -> None:
    """Let a process open a marker and die."""
    at_once(1, lambda _: writer.Marker.open(directory, span.span_id, lines(span)) and None)


def log_facts(data: reader.RunData) -> list[tuple[object, ...]]:
    return [
        (log.time_ns, log.severity_text, log.attributes, log.event_name, log.scope, log.scope_version)
        for log in data.logs
    ]


def test_an_interrupted_call_has_its_log_record_too(directory: str, journal: Journal) -> None:
    """Once, with the outcome in words and no exit code; readers see it before it is swept as after."""
    died(directory, otlp.Span(TRACE, number_id(1), ROOT, "bd.call", start_ns=10))
    seen = reader.read_run(journal, TRACE)
    assert sum(at_once(4, lambda _: markers.sweep(directory))) == 1
    data = reader.read_run(journal, TRACE)
    assert log_facts(seen) == log_facts(data)
    (log,), (span,) = data.logs, data.spans
    assert (log.severity_number, log.time_ns) == (otlp.SEVERITY_ERROR, span.end_ns)
    assert log.attributes == {
        "subcommand": "list",
        "log.record.uid": "5" * 32,
        "status": "error",
        "error": markers.INTERRUPTED,
        "gastown.interrupted": True,
        "gastown.end_time.known": False,
    }
    assert (span.scope, span.scope_version, log.scope_version) == ("theirs", "7", "7")


def test_an_interrupted_call_lasted_as_long_as_anything_under_it_is_known_to(
    directory: str, journal: Journal
) -> None:
    """However deep, and whether it ended, is a log record or in progress itself; others do not count."""
    for number, start in ((1, 100), (5, 100)):
        died(directory, otlp.Span(TRACE, number_id(number), ROOT, "call", start_ns=start))
        os.utime(f"{directory}/open/{number_id(number)}", ns=(300, 300))

    def add(number: int, parent: int, start: int, end: int) -> None:
        span = otlp.Span(TRACE, number_id(number), number_id(parent), "x", start_ns=start, end_ns=end)
        writer.append(directory, "traces", otlp.spans_line(RESOURCE, [span]))

    def ends() -> list[int]:
        found = {span.span_id: span.end_ns for span in reader.read_run(journal, TRACE).spans}
        return [found[number_id(number)] for number in (1, 5)]

    assert ends() == [300, 300]
    add(2, 1, 150, 400)
    add(3, 2, 160, 350)
    add(9, 8, 160, 9_000)
    add(8, 9, 160, 9_000)  # each other's parents
    assert ends() == [400, 300]
    log = otlp.Log(500, trace_id=TRACE, span_id=number_id(3))
    writer.append(directory, "logs", otlp.logs_line(RESOURCE, [log]))
    assert ends() == [500, 300]
    inner = otlp.Span(TRACE, number_id(4), number_id(3), "inner", start_ns=600)
    with contextlib.closing(writer.Marker.open(directory, number_id(4), lines(inner))):
        assert ends() == [600, 300]
        assert markers.sweep(directory) == 2
    assert ends() == [600, 300]


def test_a_call_that_ended_and_could_not_be_written_is_not_interrupted(
    directory: str, journal: Journal
) -> None:
    """What its writer left is read as it is, and written once when there is room again, byte for byte."""
    span = otlp.Span(TRACE, number_id(1), ROOT, "bd.call", start_ns=10)
    marker = writer.Marker.open(directory, span.span_id, lines(span))
    before = os.stat(marker.path)
    span.end_ns = 20
    finished = lines(span, exit_code=0)
    marker.leave(finished)
    after = os.stat(marker.path)
    assert (before.st_ino, before.st_size) == (after.st_ino, after.st_size)
    marker.close()  # does nothing any more
    marker.leave(b"")
    seen = reader.read_run(journal, TRACE)
    assert [(found.end_ns, found.status_code) for found in seen.spans] == [(20, otlp.UNSET)]
    assert [log.attributes["exit_code"] for log in seen.logs] == [0]
    assert (seen.in_progress, seen.skipped) == ([], [])
    assert sum(at_once(4, lambda _: markers.sweep(directory))) == 1
    written = [Path(directory, name).read_bytes() for name in ("traces.jsonl", "logs.jsonl")]
    assert b"".join(written) == finished
    assert os.listdir(directory + "/open") == []


@pytest.mark.parametrize("torn", [False, True])
def test_of_what_was_left_only_what_is_missing_is_written(
    directory: str, journal: Journal, torn: bool
) -> None:
    span = otlp.Span(TRACE, number_id(1), ROOT, "bd.call", start_ns=10)
    marker = writer.Marker.open(directory, span.span_id, lines(span))
    span.end_ns = 20
    finished = lines(span, exit_code=0)
    traces, logs = finished.splitlines(keepends=True)
    writer.append(directory, "traces", traces)
    writer.append(directory, "logs", logs[:-20] + b"\n" if torn else logs)
    marker.leave(finished)
    assert markers.sweep(directory) == 0
    data = reader.read_run(journal, TRACE)
    assert ([span.end_ns for span in data.spans], len(data.logs), len(data.skipped)) == ([20], 1, int(torn))
    assert Path(directory, "logs.jsonl").read_bytes().count(b"\n") == 1 + torn


def test_what_cannot_even_be_left_leaves_no_marker(directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that ended well would be taken for an interrupted one."""
    span = otlp.Span(TRACE, number_id(1), ROOT, "bd.call", start_ns=10)
    marker = writer.Marker.open(directory, span.span_id, lines(span))
    monkeypatch.setattr("posix.pwrite", lambda *_: 7)
    with pytest.raises(OSError, match="no room"):
        marker.leave(lines(span, exit_code=0))
    assert os.listdir(directory + "/open") == []


def test_a_reader_touches_no_marker_that_is_being_made(
    directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock, for a moment in the reader's hand, would keep the writer from making the marker."""
    os.makedirs(directory + "/open")
    Path(directory, "open", f".{number_id(1)}").write_bytes(span_line(number_id(1), end_ns=0))
    locked: list[str] = []
    monkeypatch.setattr(markers, "_lock", lambda path, _: locked.append(path))
    assert markers.read_all(directory, []) == []
    assert locked == []


FULL_DISK = """
import os, sys
sys.path[:0] = sys.argv[2:]
from journal_kit import TRACE, number_id
from test_journal_markers import lines
from gastown_tracing.journal import layout, markers, otlp, reader, writer
place = sys.argv[1]
journal = layout.create(place + "/journal")
directory = journal.run_dir(TRACE)
span = otlp.Span(TRACE, number_id(1), "", "bd.call", start_ns=10)
marker = writer.Marker.open(directory, span.span_id, lines(span))
with open(place + "/ballast", "wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError:
        pass
span.end_ns = 20
finished = lines(span, exit_code=0)
try:
    writer.append(directory, "traces", finished.splitlines(keepends=True)[0])
except OSError as error:
    marker.leave(finished)
    print(error.strerror)
print(markers.sweep(directory), len(reader.read_run(journal, TRACE).spans))
os.unlink(place + "/ballast")
print(markers.sweep(directory), markers.sweep(directory))
data = reader.read_run(journal, TRACE)
print([(span.end_ns, span.status_code) for span in data.spans])
print([log.attributes["exit_code"] for log in data.logs])
"""


@needs_root
def test_a_full_disk_turns_no_success_into_an_interruption(tmp_path: Path) -> None:
    """A tmpfs in a mount namespace of its own: nothing of it is left, however the test ends."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    mount = f'mount -t tmpfs -o size=256k none "{tmp_path}"'
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    paths = [str(Path(otlp.__file__).parents[2]), str(Path(__file__).parent)]
    command = ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable, "-c", FULL_DISK]
    done = subprocess.run([*command, str(tmp_path), *paths], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["No space left on device", "0 1", "1 0", "[(20, 0)]", "[0]"]


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
