"""`gt-trace relay`: what an operator types, reads and gets as an exit code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gastown_tracing.cli import relay_report as report
from gastown_tracing.relay.logfile import without_secrets
from tests.processes import is_alive, wait_until
from tests.relay.otlp_server import OtlpServer
from tests.relay.service_kit import GT_TRACE, Town

NOWHERE = dict.fromkeys(("GT_OTEL_TRACES_URL", "GT_OTEL_LOGS_URL", "GT_OTEL_METRICS_URL"), "none")


@pytest.fixture
def town(journal_root: Path, env: dict[str, str]) -> Iterator[Town]:
    found = Town(journal_root, env)
    found.make(**NOWHERE)
    yield found
    found.end()


def test_start_returns_when_it_runs_and_a_second_one_says_so(town: Town) -> None:
    """The process is named, and no second one is made, by `run` either."""
    done = town("relay", "start")
    pid = town.pid()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"started the relay: pid {pid} ")
    assert town.status()["pid"] == pid
    for words in (["start"], ["run"]):
        again = town("relay", *words)
        assert (again.returncode, again.stdout) == (0, f"there is a relay already: pid {pid}\n")
    assert town.pid() == pid


def test_start_says_at_once_that_a_journal_cannot_be_written(town: Town) -> None:
    """Nobody waits for a relay that cannot begin."""
    if os.geteuid() or shutil.which("unshare") is None:
        pytest.skip("only root can make a file system read-only, with unshare")
    root = str(town.root)
    mount = f'mount --bind "{root}" "{root}" && mount -o remount,ro,bind "{root}" && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mount, "sh", *GT_TRACE, "relay", "start"]
    done = subprocess.run(command, env=town.env, capture_output=True, text=True, timeout=15, check=False)
    if "mount:" in done.stderr:
        pytest.skip("nothing can be mounted here")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.endswith("/relay/lock: Read-only file system\n")


def test_stop_returns_when_it_has_ended_and_a_second_one_says_so(town: Town) -> None:
    """Within the next minute no command starts another."""
    town("relay", "start")
    pid = town.pid()
    done = town("relay", "stop")
    assert (done.returncode, done.stdout) == (0, f"stopped the relay: pid {pid}\n")
    assert not is_alive(pid)
    assert town("relay", "stop").stdout == "no relay runs\n"
    town("exec", "--", "true")
    assert town.pid() == 0


def test_run_stays_in_the_foreground_and_logs_to_stderr(town: Town) -> None:
    """For a service manager: SIGTERM ends it with 0, and what it says goes to the log as well."""
    words = [*GT_TRACE, "relay", "run", "--journal", "journal"]
    options = {"env": {**town.env, "GT_OTEL_JOURNAL": "/elsewhere"}, "cwd": town.root.parent}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, **options) as process:  # type: ignore[call-overload]
        pid = town.running()
        assert pid == process.pid
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert f"begins: pid {pid}" in said
    assert "the relay has ended" in said
    assert town.log() == said


def test_status_of_none(town: Town) -> None:
    """Exit code 1, and what to do."""
    done = town("relay", "status")
    assert done.returncode == 1
    assert "no relay runs" in done.stdout
    assert "`gt-trace relay start`" in done.stdout
    facts = json.loads(town("relay", "status", "--json").stdout)
    assert (facts["running"], facts["well"], facts["pid"]) == (False, False, None)
    town("relay", "start")
    town("relay", "stop")
    assert "the last one ended 2" in town("relay", "status").stdout
    town("relay", "start")
    town.kill()
    assert "the last one was last seen 2" in town("relay", "status").stdout


def test_status_of_one_that_is_well(town: Town, tmp_path: Path) -> None:
    """A line each: the relay, the journal, the endpoints, the receiver, the sessions, the log."""
    with OtlpServer(tmp_path / "server") as server:
        town.configure(GT_OTEL_TRACES_URL=server.url("traces").replace("//", "//user:pass@"))
        town("relay", "start")
        server.wait_for("traces", 1)

        def is_well() -> bool:
            return "1 sent" in town("relay", "status").stdout and town("relay", "status").returncode == 0

        wait_until(is_well, "a status that says so")
        shown = town("relay", "status").stdout
        facts = json.loads(town("relay", "status", "--json").stdout)
    rows = {line.split()[0]: line for line in shown.splitlines()}
    assert list(rows) == ["relay", "journal", "traces", "logs", "metrics", "receiver", "sessions", "log"]
    assert f"pid {town.pid()}" in rows["relay"]
    assert "ok" in rows["traces"]
    assert server.url("traces") in rows["traces"]
    assert "pass" not in shown + json.dumps(facts) + town.log()
    assert "off" in rows["logs"]
    assert "gt-trace env --logs-url URL" in rows["logs"]
    assert "listening" in rows["receiver"]
    assert town.files.log in rows["log"]
    assert (facts["running"], facts["well"], facts["troubles"]) == (True, True, [])
    assert facts["workers"]["traces"]["sent"] == 1


def test_status_of_an_endpoint_that_fails(town: Town) -> None:
    """Exit code 3; since when, how much waits, the last error, and what to do."""
    town.configure(GT_OTEL_TRACES_URL="http://127.0.0.1:9/v1/traces")
    town("relay", "start")
    wait_until(lambda: "last error 2" in town("relay", "status").stdout, "the failure to be seen")
    assert town("relay", "status").returncode == 3
    shown = town("relay", "status").stdout
    assert "failing" in shown
    assert "pending" in shown
    assert "nothing listens there: start the backend, or set GT_OTEL_TRACES_URL in config.json" in shown
    assert json.loads(town("relay", "status", "--json").stdout)["troubles"] == ["traces: failing"]


def test_a_relay_that_hangs_is_not_well(town: Town) -> None:
    """It holds the lock, but has not said for a minute how it is."""
    town("relay", "start")
    pid = town.running()
    os.kill(pid, signal.SIGSTOP)
    try:
        said = json.loads(Path(town.files.status).read_text())
        Path(town.files.status).write_text(json.dumps({**said, "written": said["written"] - 120}))
        done = town("relay", "status")
        assert done.returncode == 3
        assert "it has not said how it is for 2m" in done.stdout
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("words", [["run"], ["start"], ["stop"], ["status"]])
def test_without_a_journal_there_is_one_line(town: Town, words: list[str], tmp_path: Path) -> None:
    """Exit code 1, and nothing is made."""
    done = town("relay", *words, "--journal", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "is no journal" in done.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("words", [["run"], ["start"], ["stop"]])
def test_another_users_journal_is_left_alone(town: Town, words: list[str]) -> None:
    """By root, too."""
    os.chown(town.root, 12345, 12345)
    done = town("relay", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert "belongs to another user" in done.stderr
    assert not Path(town.files.lock).exists()


def test_start_says_where_to_look_when_none_begins(town: Town) -> None:
    """Here relay/ is a file, and so there can be no lock."""
    shutil.rmtree(town.files.directory)
    Path(town.files.directory).write_text("")
    done = town("relay", "start")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "relay/lock: Not a directory" in done.stderr
    assert "Traceback" not in town("relay", "run").stderr


@pytest.mark.parametrize("words", [["start", "now"], ["status", "--quiet"], ["restart"]])
def test_wrong_use_is_exit_code_2(town: Town, words: list[str]) -> None:
    done = town("relay", *words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("to http://user:pass@host:1/v1?key=secret failed", "to http://host:1/v1 failed"),
        ("https://a/b#c and http://u@d/e", "https://a/b and http://d/e"),
        ("HTTPSConnectionPool(host='h'): url: /v1?token=x", "HTTPSConnectionPool(host='h'): url: /v1"),
        ("nothing here", "nothing here"),
    ],
)
def test_secrets_of_urls_are_not_said(text: str, clean: str) -> None:
    """Neither in the log nor in the status."""
    assert without_secrets(text) == clean


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("HTTP 401: no", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("HTTP 404", "the path of GT_OTEL_LOGS_URL"),
        ("[Errno 111] Connection refused", "nothing listens there"),
        ("http://host:4040/v1/traces: Connection refused", "nothing listens there"),
        ("http://host:4318/v1/traces: no answer within 10 s", "look at its own log"),
        ("http://host:4318/v1/traces: 503 Service Unavailable", "look at its own log"),
        ("http://host:4318/: 200 with a web page: nothing there takes OTLP", "check the path"),
        ("http://host:4318/: 308 Permanent Redirect: moved to https://host/", "check the path"),
        ("certificate verify failed", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
        ("Read timed out", "does not answer in time"),
        ("Name or service not known", "the host of GT_OTEL_LOGS_URL"),
    ],
)
def test_an_error_says_what_to_do_next(message: str, advice: str) -> None:
    """One line of advice for what can be put right."""
    worker = {"state": "failing", "last_error": {"time": "t", "message": message}}
    shown = list(report.lines({"workers": {"logs": worker}}, "pid 1", "log"))
    assert [line for line in shown if advice in line]


def test_what_a_backend_says_does_not_reach_the_terminal_as_it_is() -> None:
    """An error message is somebody else's text."""
    worker = {"state": "failing", "last_error": {"time": "t", "message": "\x1b[2Jgone\nx"}}
    shown = list(report.lines({"workers": {"logs": worker}}, "pid 1", "log"))
    assert not [line for line in shown if "\x1b" in line or "\n" in line]
