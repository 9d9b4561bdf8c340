"""Appending from many processes, to a full disk, to what was deleted, forbidden or is somebody else's."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from journal_kit import (
    NOBODY,
    RESOURCE,
    ROOT,
    TRACE,
    at_once,
    needs_root,
    number_id,
    parse_traces,
    span_line,
)

from gastown_tracing.journal import layout, markers, otlp, reader, writer
from gastown_tracing.journal.layout import Journal

PROCESSES, RECORDS = 8, 10_000


def test_8_processes_write_10_000_records_each_and_every_one_is_there_once(journal: Journal) -> None:
    directory = journal.run_dir(TRACE)

    def write(process: int) -> None:
        for number in range(RECORDS):
            line = span_line(number_id(process * RECORDS + number), "x" * (number % 97))
            writer.append(directory, "traces", line)

    at_once(PROCESSES, write)
    data = reader.read_run(journal, TRACE)
    assert data.skipped == []
    assert len(data.spans) == PROCESSES * RECORDS
    assert {span.span_id for span in data.spans} == {number_id(n) for n in range(PROCESSES * RECORDS)}
    with open(directory + "/traces.jsonl", "rb") as file:
        for line in file.readlines()[::500]:
            assert parse_traces(line).resource_spans


def test_log_records_of_many_processes_are_all_there(journal: Journal) -> None:
    def write(process: int) -> None:
        for number in range(500):
            log = otlp.Log(number, event_name="bd.call", attributes={"process": process, "number": number})
            writer.append(journal.run_dir(TRACE), "logs", otlp.logs_line(RESOURCE, [log]))

    at_once(4, write)
    found = [
        (log.attributes["process"], log.attributes["number"]) for log in reader.read_run(journal, TRACE).logs
    ]
    assert sorted(found) == [(process, number) for process in range(4) for number in range(500)]


@pytest.mark.parametrize("umask", [0, 0o777])
def test_what_a_writer_makes_is_0700_and_0600(journal: Journal, umask: int) -> None:
    def write(_: int) -> None:
        os.umask(umask)
        directory = journal.run_dir(TRACE)
        writer.append(directory, "traces", span_line(number_id(1)))
        writer.append(journal.loose_dir(0), "logs", otlp.logs_line(RESOURCE, [otlp.Log(1)]))
        writer.link_close(directory, span_line(ROOT))
        writer.Marker.open(directory, number_id(2), span_line(number_id(2), end_ns=0))

    at_once(1, write)
    modes = {
        name: stat.S_IMODE(os.stat(Path(directory, name)).st_mode)
        for directory, directories, files in os.walk(journal.root)
        for name in (*directories, *files)
    }
    files = {"traces.jsonl", "logs.jsonl", "close.json", number_id(2)}
    assert {modes.pop(name) for name in files} == {0o600}
    assert {modes[name] for name in ("runs", TRACE, "open", "1970-01-01T00")} == {0o700}


def test_an_existing_file_costs_four_system_calls(journal: Journal, tmp_path: Path) -> None:
    """Open, look what it is, write, close: nothing is searched for first."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    code = """
import sys, posix
sys.path.insert(0, sys.argv[1])
from gastown_tracing.journal import writer
writer.append(sys.argv[2], "traces", b"first\\n")
posix.write(2, b"from here")
writer.append(sys.argv[2], "traces", b"second\\n")
posix.write(2, b"to here")
"""
    root = str(Path(layout.__file__).parents[2])
    log = str(tmp_path / "strace")
    command = [strace, "-o", log, sys.executable, "-ISE", "-c", code, root, journal.run_dir(TRACE)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("strace may not trace here")
    calls = Path(log).read_text().partition("from here")[2].partition("to here")[0].split("\n")[1:-1]
    assert [call.partition("(")[0] for call in calls] in (
        ["openat", "fstat", "write", "close"],
        ["openat", "newfstatat", "write", "close"],
    )


def test_a_deleted_run_directory_is_made_again(journal: Journal) -> None:
    directory = journal.run_dir(TRACE)
    for number, gone in enumerate([directory, directory, journal.root + "/runs"]):
        shutil.rmtree(gone, ignore_errors=True)
        writer.append(directory, "traces", span_line(number_id(number)))
        assert [span.span_id for span in reader.read_run(journal, TRACE).spans] == [number_id(number)]


def test_a_deleted_journal_stays_deleted(journal: Journal) -> None:
    """Made again by a writer it would be one without its switch: off for ever."""
    shutil.rmtree(journal.root)
    with pytest.raises(FileNotFoundError):
        writer.append(journal.run_dir(TRACE), "traces", span_line(number_id(1)))
    with pytest.raises(FileNotFoundError):
        writer.Marker.open(journal.run_dir(TRACE), number_id(1), b"")
    with pytest.raises(FileNotFoundError):
        writer.link_close(journal.run_dir(TRACE), b"")
    assert not os.path.exists(journal.root)
    assert reader.list_runs(journal) == []
    assert [skip.reason for skip in reader.read_run(journal, TRACE).skipped] == ["no such run"]


def test_a_line_beyond_1_mib_is_refused(journal: Journal) -> None:
    with pytest.raises(OSError, match="1 MiB"):
        writer.append(journal.run_dir(TRACE), "traces", b"x" * (otlp.LINE_LIMIT + 1))


def test_a_symbolic_link_in_place_of_a_file_is_not_followed(journal: Journal, tmp_path: Path) -> None:
    os.mkdir(journal.run_dir(TRACE))
    os.symlink(tmp_path / "elsewhere", journal.run_dir(TRACE) + "/traces.jsonl")
    with pytest.raises(OSError, match="symbolic links"):
        writer.append(journal.run_dir(TRACE), "traces", span_line(number_id(1)))
    assert not (tmp_path / "elsewhere").exists()


def test_a_pipe_in_place_of_a_file_holds_nobody(journal: Journal) -> None:
    """Neither who writes, nor who reads, nor who sweeps; a reader says what it is."""
    directory = journal.run_dir(TRACE)
    names = ("run.json", "pane.json", "close.json", "work.jsonl", "traces.jsonl", "logs.jsonl")
    os.makedirs(directory + "/open")
    pipes = [*(f"{directory}/{name}" for name in names), f"{directory}/open/{number_id(1)}"]
    pipes += [f"{directory}/open/.{number_id(2)}", journal.panes_dir + "/1.2", journal.panes_dir + "/s-x"]

    def use(_: int) -> list[str]:
        registry = layout.PaneRegistry(journal)
        assert registry.run_for_pane("", "1", "%2") is registry.run_for_session("x", "") is None
        assert layout.read_text(directory + "/work.jsonl") is None
        said = []
        for attempt in (
            lambda: writer.append(directory, "traces", span_line(number_id(1))),
            lambda: writer.append(directory, "logs", span_line(number_id(1))),
            lambda: writer.Marker.open(directory, number_id(2), span_line(number_id(2))),
        ):
            try:
                attempt()
            except OSError as error:
                said.append(type(error).__name__)
        assert markers.sweep(directory) == 0
        assert [run.trace_id for run in reader.list_runs(journal)] == [TRACE]
        return said + sorted({skip.reason for skip in reader.read_run(journal, TRACE).skipped})

    for path in pipes:
        os.mkfifo(path)
    assert at_once(1, use)[0] == ["OSError"] * 3 + ["not a regular file"]
    held = [os.open(path, os.O_RDWR) for path in pipes]  # now somebody has them open for both
    assert at_once(1, use)[0] == ["OSError"] * 3 + ["not a regular file"]
    for descriptor in held:
        os.close(descriptor)


def test_a_name_taken_by_something_else_is_an_os_error(journal: Journal) -> None:
    Path(journal.run_dir(TRACE)).write_text("a file")
    with pytest.raises(OSError, match="Not a directory"):
        writer.append(journal.run_dir(TRACE), "traces", span_line(number_id(1)))


def test_the_root_span_is_written_once_however_many_try(journal: Journal) -> None:
    directory = journal.run_dir(TRACE)
    results = at_once(16, lambda number: writer.link_close(directory, span_line(ROOT, f"closer {number}")))
    assert sorted(results) == [False] * 15 + [True]
    assert os.listdir(directory) == ["close.json"]
    run = reader.read_run(journal, TRACE).run
    assert run.root is not None
    assert run.root.name == f"closer {results.index(True)}"


@needs_root
def test_an_unprivileged_user_writes_nothing_into_anothers_journal() -> None:
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)  # noqa: S103 - so that the other user gets as far as the journal
        journal = layout.create(place + "/journal")
        writer.append(journal.run_dir(TRACE), "traces", span_line(number_id(1)))

        def try_everything(_: int) -> list[str]:
            said = []
            attempts = (
                lambda: writer.append(journal.run_dir(TRACE), "traces", span_line(number_id(2))),
                lambda: writer.append(journal.loose_dir(0), "traces", span_line(number_id(2))),
                lambda: writer.Marker.open(journal.run_dir(TRACE), number_id(2), b""),
                lambda: writer.link_close(journal.run_dir(TRACE), b""),
                lambda: journal.write_config({}),
            )
            for attempt in attempts:
                try:
                    attempt()
                except PermissionError:
                    said.append("denied")
            assert not journal.owned()
            assert markers.sweep(journal.run_dir(TRACE)) == 0
            skipped: list[reader.Skip] = []
            assert reader.list_runs(journal, skipped=skipped) == []
            assert reader.read_loose(journal).spans == []
            return [*said, *{skip.reason for skip in skipped}]

        assert at_once(1, try_everything, user=NOBODY)[0] == ["denied"] * 5 + ["Permission denied"]
        assert len(reader.read_run(journal, TRACE).spans) == 1


@needs_root
def test_a_read_only_directory_refuses_writers_and_serves_readers() -> None:
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o777)  # noqa: S103 - so that the other user can make a journal here

        def use(_: int) -> list[str]:
            journal = layout.create(place + "/journal")
            directory = journal.run_dir(TRACE)
            writer.append(directory, "traces", span_line(number_id(1)))
            os.chmod(directory + "/traces.jsonl", 0o400)
            os.chmod(directory, 0o500)
            said = []
            for kind in ("traces", "logs"):
                try:
                    writer.append(directory, kind, span_line(number_id(2)))
                except PermissionError:
                    said.append(kind)
            with pytest.raises(PermissionError):
                writer.Marker.open(directory, number_id(2), b"")
            assert markers.sweep(directory) == 0
            said.append(str(len(reader.read_run(journal, TRACE).spans)))
            os.chmod(directory + "/traces.jsonl", 0)
            return said + [skip.reason for skip in reader.read_run(journal, TRACE).skipped]

        assert at_once(1, use, user=NOBODY)[0] == ["traces", "logs", "1", "Permission denied"]


FULL_DISK = """
import json, os, sys
from gastown_tracing.journal import layout, otlp, reader, writer
place = sys.argv[1]
with open(place + "/ballast", "wb") as file:
    file.write(bytes(65536))
journal = layout.create(place + "/journal")
trace = "4bf92f3577b34da6a3ce929d0e0e4736"
resource = otlp.encode_resource({"service.name": "gastown"})

def write(number):
    span = otlp.Span(trace, f"{number + (1 << 60):016x}", "", "x" * 1500, start_ns=1, end_ns=2)
    writer.append(journal.run_dir(trace), "traces", otlp.spans_line(resource, [span]))

written, refused = [], []
number = 0
while len(refused) < 3:
    number += 1
    try:
        write(number)
        written.append(number)
    except OSError as error:
        refused.append(error.strerror)
full = reader.read_run(journal, trace)
os.unlink(place + "/ballast")
for number in range(number + 1, number + 6):
    write(number)
    written.append(number)
data = reader.read_run(journal, trace)
found = [int(span.span_id, 16) - (1 << 60) for span in data.spans]
print(json.dumps({
    "written": written, "found": found, "refused": refused,
    "skipped_when_full": len(full.skipped), "skipped": [skip.reason for skip in data.skipped],
}))
"""


@needs_root
def test_after_a_full_disk_the_next_records_are_all_read_and_the_torn_one_is_counted(tmp_path: Path) -> None:
    """A tmpfs in a mount namespace of its own: nothing of it is left, however the test ends."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    mount = f'mount -t tmpfs -o size=256k none "{tmp_path}"'
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    root = str(Path(layout.__file__).parents[2])
    command = ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable, "-c", FULL_DISK]
    done = subprocess.run(
        [*command, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout)
    assert result["found"] == result["written"]
    assert len(result["written"]) > 50
    assert set(result["refused"]) == {"No space left on device"}
    assert result["skipped_when_full"] == 1
    assert result["skipped"] == ["not JSON, or cut short"]


def test_after_a_short_write_the_line_is_ended_at_once(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the torn record costs only itself, where there was room for one more byte."""
    real_write, lengths = os.write, [100]
    monkeypatch.setattr(
        writer.posix, "write", lambda fd, data: real_write(fd, data[: lengths.pop() if lengths else None])
    )
    directory = journal.run_dir(TRACE)
    with pytest.raises(OSError, match="only a part"):
        writer.append(directory, "traces", span_line(number_id(1)))
    assert Path(directory, "traces.jsonl").read_bytes() == span_line(number_id(1))[:100] + b"\n"
    writer.append(directory, "traces", span_line(number_id(2)))
    data = reader.read_run(journal, TRACE)
    assert [span.span_id for span in data.spans] == [number_id(2)]
    assert [(skip.line, skip.reason) for skip in data.skipped] == [(1, "not JSON, or cut short")]
