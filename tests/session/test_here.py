"""`gt-trace session start --here`: the command as without us, and its run closed when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from session_kit import Sessions, until

HERE = ("start", "--here", "--role", "witness", "--rig", "demo", "--")


def only_run(sessions: Sessions) -> str:
    (run_id,) = os.listdir(sessions.journal.root + "/runs")
    return run_id


@pytest.mark.parametrize("code", [0, 7, 255])
def test_exit_code(sessions: Sessions, code: int) -> None:
    """The exit code passes through and is on the root span; the run is closed."""
    done = sessions(*HERE, "sh", "-c", f"cat; echo $GT_ROLE >&2; exit {code}", input="through\n")
    assert (done.returncode, done.stdout, done.stderr) == (code, "through\n", "demo/witness\n")
    root = sessions.spans(only_run(sessions))["gt.session"]
    assert (root.attributes["reason"], root.attributes["exit_code"]) == ("exited", code)
    assert root.status_code == (2 if code else 0)
    assert not root.links


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_reaches_the_command(sessions: Sessions, tmp_path: Path, number: signal.Signals) -> None:
    """A signal for us is the command's; we end of the same signal, and the root span says so."""
    ready = tmp_path / "ready"
    name = number.name[3:]
    trap = f"trap 'echo got; trap - {name}; kill -{name} $$' {name}"
    script = f"{trap}; : > {ready}; while :; do sleep 0.02; done"
    command = [sys.executable, "-m", "gastown_tracing.cli", "session", *HERE, "sh", "-c", script]
    with subprocess.Popen(
        command, env=sessions.env, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        until(ready.exists, "the command")
        process.send_signal(number)
        assert process.communicate(timeout=20)[0] == b"got\n"
    assert process.returncode == -number
    root = sessions.spans(only_run(sessions))["gt.session"]
    assert root.status_message == f"killed by {number.name}"


def test_killed_wrapper_is_found_lost(sessions: Sessions, tmp_path: Path) -> None:
    """kill -9 of the foreground session takes the command along; the next list closes the run."""
    ready = tmp_path / "ready"
    command = [sys.executable, "-m", "gastown_tracing.cli", "session", *HERE]
    with subprocess.Popen(
        [*command, "sh", "-c", f"echo $$ > {ready}; exec sleep 1000"], env=sessions.env
    ) as process:
        until(lambda: ready.exists() and ready.read_text().strip(), "the command")
        assert sessions.list()[0]["state"] == "live"
        process.kill()
    until(lambda: not sessions.list(), "the list to notice")
    root = sessions.spans(only_run(sessions))["gt.session"]
    assert root.attributes["reason"] == "lost"
    assert "is gone" in str(root.attributes["gastown.evidence"])


def test_stop_ends_it(sessions: Sessions, tmp_path: Path) -> None:
    """`session stop` ends a foreground session too, and its reason stays."""
    command = [sys.executable, "-m", "gastown_tracing.cli", "session", *HERE, "sleep", "1000"]
    with subprocess.Popen(command, env=sessions.env) as process:
        until(
            lambda: (
                os.path.exists(sessions.journal.root)
                and sessions.list()
                and sessions.list()[0]["state"] == "live"
            ),
            "it",
        )
        assert sessions("stop", "gt-demo-witness", "--reason", "enough").returncode == 0
        assert process.wait(20) == -signal.SIGTERM
    assert sessions.spans(only_run(sessions))["gt.session"].attributes["reason"] == "enough"


def test_command_that_cannot_run_leaves_nothing(sessions: Sessions) -> None:
    """127 and 126 as a shell would, in one line, and no run."""
    missing = sessions(*HERE, "gt-trace-no-such-command")
    forbidden = sessions(*HERE, "/etc/passwd")
    assert (missing.returncode, forbidden.returncode) == (127, 126)
    assert len(missing.stderr.splitlines()) == len(forbidden.stderr.splitlines()) == 1
    assert not os.path.exists(sessions.journal.root)


def test_switched_off_is_the_plain_command(sessions: Sessions) -> None:
    """With OTEL_SDK_DISABLED the command runs in our place and nothing is written."""
    env = {**sessions.env, "OTEL_SDK_DISABLED": "true", "TRACEPARENT": "theirs", "GT_POLECAT": "Toast"}
    done = sessions(*HERE, "sh", "-c", "echo $GT_ROLE $GT_RUN $GT_POLECAT $TRACEPARENT; exit 3", env=env)
    assert (done.returncode, done.stdout) == (3, "demo/witness theirs\n")
    assert not os.path.exists(sessions.journal.root)
