"""`gt-trace relay`: what an operator types, reads and gets as an exit code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing.cli.relay_report import Report
from gastown_tracing.relay.logfile import iso, without_secrets
from gastown_tracing.view.theme import Style
from tests.processes import is_alive, wait_until
from tests.relay.otlp_server import OtlpServer
from tests.relay.service_kit import GT_TRACE, Town

NOWHERE = dict.fromkeys(("GT_OTEL_TRACES_URL", "GT_OTEL_LOGS_URL", "GT_OTEL_METRICS_URL"), "none")


def shown_of(found: dict[str, Any]) -> list[str]:
    """Return the lines that a wide terminal would show of a relay with this status."""
    return list(Report(found).lines("pid 1", "log", Style(400)))


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
    shown = " ".join(town("relay", "status").stdout.split())
    assert "the last one was killed, or went down with the machine, and was last seen 2" in shown
    assert "the next command that records in " in shown
    town.outdate()
    shown = " ".join(town("relay", "status").stdout.split())
    assert "the next command that records starts one" in shown


def test_status_says_what_starts_one_where_commands_do_not(town: Town) -> None:
    """GT_OTEL_RELAY, by the environment or config.json, and a journal that is switched off."""
    off = town("relay", "status", "--width", "400", env={**town.env, "GT_OTEL_RELAY": "false"}).stdout
    assert "starting on demand is switched off (GT_OTEL_RELAY=false in the environment): only" in off
    town.configure(GT_OTEL_RELAY="0")
    assert "(GT_OTEL_RELAY=0 in config.json)" in town("relay", "status", "--width", "400").stdout
    town("relay", "start")
    assert "switched off: GT_OTEL_RELAY=0" in town("relay", "status", "--width", "400").stdout
    town("relay", "stop")
    town.configure(GT_OTEL_RELAY="")
    (town.root / "on").unlink()
    assert "the journal is switched off" in town("relay", "status", "--width", "400").stdout


def test_status_of_one_that_is_well(town: Town, tmp_path: Path) -> None:
    """A line each: the relay, the journal, the endpoints, the receiver, the sessions, the log."""
    with OtlpServer(tmp_path / "server") as server:
        town.configure(GT_OTEL_TRACES_URL=server.url("traces").replace("//", "//user:pass@"))
        town("relay", "start")
        server.wait_for("traces", 1)

        def is_well() -> bool:
            done = town("relay", "status", "--width", "400")
            return "1 spans sent in the journal's life" in done.stdout and done.returncode == 0

        wait_until(is_well, "a status that says so")
        shown = town("relay", "status", "--width", "400").stdout
        facts = json.loads(town("relay", "status", "--json").stdout)
    rows = {line.split()[0]: line for line in shown.splitlines()}
    assert list(rows) == ["relay", "journal", "traces", "logs", "metrics", "receiver", "sessions", "log"]
    assert f"pid {town.pid()}" in rows["relay"]
    assert "ok" in rows["traces"]
    assert server.url("traces") in rows["traces"]
    assert "pass" not in shown + json.dumps(facts) + town.log()
    assert rows["logs"] == "logs      off · on purpose: GT_OTEL_LOGS_URL is `none`"
    assert " of 4.3 GB (0 %), measured 2" in rows["journal"]
    assert "unsent records go at 17.2 GB" in rows["journal"]
    assert "listening" in rows["receiver"]
    assert town.files.log in rows["log"]
    assert (facts["running"], facts["well"], facts["troubles"]) == (True, True, [])
    assert facts["workers"]["traces"]["sent"] == 1


def test_status_of_an_endpoint_that_fails(town: Town) -> None:
    """Exit code 3; since when, how much waits, the last error, and what to do."""
    town.configure(GT_OTEL_TRACES_URL="http://127.0.0.1:9/v1/traces")
    town("relay", "start")
    wait_until(lambda: "last error 2" in town("relay", "status").stdout, "the failure to be seen")
    done = town("relay", "status", env={**town.env, "COLUMNS": "60"})
    assert done.returncode == 3
    assert max(map(len, done.stdout.splitlines())) <= max(60, 10 + len(town.files.log))
    shown = " ".join(done.stdout.split())
    assert "failing" in shown
    assert "problem" not in shown, "that stands above"
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


@pytest.mark.parametrize("words", [["run"], ["start"], ["status"]])
def test_without_a_journal_there_is_one_line(town: Town, words: list[str], tmp_path: Path) -> None:
    """Exit code 1, and nothing is made."""
    done = town("relay", *words, "--journal", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "is no journal" in done.stderr
    assert not (tmp_path / "none").exists()


def test_stop_without_a_journal_is_no_error(town: Town, tmp_path: Path) -> None:
    """There is nothing to end, and nothing is made."""
    none = str(tmp_path / "none")
    done = town("relay", "stop", "--journal", none)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"no relay runs: there is no journal at {none}\n"
    assert not (tmp_path / "none").exists()


def test_a_loss_is_a_problem_for_a_day_and_a_fact_after_it(town: Town) -> None:
    """Records given up at the hard cap, and dead letters: what, when, what to do; with no relay, too."""
    town("relay", "start")
    letters = Path(town.files.dead_letters)
    letters.mkdir()
    (letters / "traces.jsonl").write_text("{}\n{}\n")
    for days, code in ((0, 3), (2, 0)):
        when = iso(time.time() - days * 86_400)
        Path(town.files.lost).write_text(json.dumps({"records": 7, "bytes": 70, "last": when}))
        reasons = [{"signal": "logs", "time": "2001"}, {"signal": "traces", "time": when}]
        (letters / "reasons.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in reasons))
        done = town("relay", "status", "--width", "400")
        assert done.returncode == code
        assert f"7 records given up unsent, the last at {when}" in done.stdout
        assert f"2 dead letters of traces, the last at {when}" in done.stdout
        assert "gt-trace relay resend" in done.stdout
        facts = json.loads(town("relay", "status", "--json").stdout)
        assert facts["lost"] == {"records": 7, "bytes": 70, "last": when}
        assert facts["dead_letters"] == {"traces": {"records": 2, "last": when}}
        assert len(facts["troubles"]) == (2 if code else 0)
    town("relay", "stop")
    assert "7 records given up unsent" in town("relay", "status", "--width", "400").stdout


def test_what_config_json_gets_wrong_is_said_with_what_holds_instead(town: Town) -> None:
    """A slip in a name, a number that is none, a value that is no text; each once."""
    settings: dict[str, Any] = {"GT_OTEL_TRACE_URL": "x", "GT_OTEL_RETENTION_DAYS": "30d"}
    town.configure(**settings, GT_OTEL_RELAY="no", GT_OTEL_HARD_CAP_BYTES=7)
    town("relay", "start")
    done = town("relay", "status", "--width", "400")
    assert done.returncode == 3
    for said in (
        "GT_OTEL_TRACE_URL is read by nobody: did you mean GT_OTEL_TRACES_URL?",
        "GT_OTEL_RETENTION_DAYS is no number (30d): the default holds, 30",
        "GT_OTEL_HARD_CAP_BYTES is no text, so it is ignored",
        "GT_OTEL_RELAY is neither true nor false (no): the default holds, true",
    ):
        assert done.stdout.count(said) == 1


def test_an_endpoint_that_hangs_is_waited_for(town: Town, tmp_path: Path) -> None:
    """That is said before the request is given up."""
    with OtlpServer(tmp_path / "server") as server:
        server.answer("hang")
        town.configure(GT_OTEL_TRACES_URL=server.url("traces"), OTEL_EXPORTER_OTLP_TIMEOUT="60000")
        town("relay", "start")
        wait_until(
            lambda: "waiting for an answer since 2" in town("relay", "status").stdout, "that it is said"
        )


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
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", "use http:// in GT_OTEL_LOGS_URL"),
        ("Read timed out", "does not answer in time"),
        ("Name or service not known", "the host of GT_OTEL_LOGS_URL"),
    ],
)
def test_an_error_says_what_to_do_next(message: str, advice: str) -> None:
    """One line of advice for what can be put right."""
    worker = {"state": "failing", "last_error": {"time": "t", "message": message}}
    shown = shown_of({"workers": {"logs": worker}})
    assert [line for line in shown if advice in line]


def test_headers_that_are_none_are_named_beside_the_401() -> None:
    """That is where somebody looks, and it stands nowhere else."""
    worker = {"state": "failing", "last_error": {"time": "t", "message": "401 Unauthorized"}}
    wrong = "OTEL_EXPORTER_OTLP_HEADERS: a header is given twice or is not NAME=VALUE"
    shown = shown_of({"workers": {"logs": worker}, "problems": [wrong], "written": time.time()})
    assert shown.count(f"          {wrong}") == 1
    assert not [line for line in shown if line.startswith("problem")]


def test_words_hang_below_each_other_and_none_is_cut() -> None:
    """A line is as wide as it may be; a path that is wider stays whole."""
    problem = "what is wrong here takes a lot of words, and names /a/path/that/is/longer/than/the/line/may/be"
    found = {"problems": [problem], "written": time.time(), "state": "running"}
    shown = list(Report(found).lines("pid 1", "log", Style(40)))
    assert " ".join(" ".join(shown).split()).endswith(f"problem {problem}")
    assert [line.split() for line in shown if len(line) > 40] == [[problem.rsplit(maxsplit=1)[-1]]]


def test_what_a_backend_says_does_not_reach_the_terminal_as_it_is() -> None:
    """An error message is somebody else's text."""
    worker = {"state": "failing", "last_error": {"time": "t", "message": "\x1b[2Jgone\nx"}}
    shown = shown_of({"workers": {"logs": worker}})
    assert not [line for line in shown if "\x1b" in line or "\n" in line]
