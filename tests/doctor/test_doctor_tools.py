"""What the doctor says of tmux, bd, gt and Claude Code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gastown_tracing.journal.layout import Journal, PaneRegistry
from tests.processes import is_alive, wait_until

from .conftest import Doctor


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_versions_and_doubles_are_named(doctor: Doctor, env: dict[str, str], tmp_path: Path) -> None:
    """Of two files of a name both are named; a link to the same one is no second one."""
    first = program(tmp_path / "one" / "bd", "echo bd version 1.0.2")
    second = program(tmp_path / "two" / "bd", "echo bd version 9")
    gt = program(tmp_path / "one" / "gt", "echo gt version 1.0.1")
    (tmp_path / "two" / "gt").symlink_to(gt)
    found = doctor("--offline", PATH=f"{tmp_path}/one:{tmp_path}/two:{env['PATH']}")
    assert found["programs", "bd"]["found"] == f"bd version 1.0.2 · {first}"
    assert str(second) in found["programs", "bd twice"]["found"]
    assert str(first) in found["shims", "bd"]["found"]


def test_programs_that_hang_fail_or_are_missing_are_said(doctor: Doctor, tmp_path: Path) -> None:
    """One that has a child which holds its output, too: nobody waits for either, and both are ended."""
    child = tmp_path / "child"
    program(tmp_path / "bin" / "bd", f"/bin/sleep 1000 & echo $! >{child}; /bin/sleep 1000")
    program(tmp_path / "bin" / "gt", "echo no town >&2; exit 3")
    (tmp_path / "bin" / "claude").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "bin" / "claude").chmod(0o755)
    found = doctor("--offline", PATH=f"{tmp_path}/bin")
    assert "does not say its version" in found["programs", "bd"]["found"]
    assert found["programs", "gt"]["found"].endswith("exit code 3: no town")
    assert found.state("programs", "claude") == "problem"
    assert (found.state("programs", "tmux"), found.code) == ("problem", 1)
    wait_until(lambda: not is_alive(int(child.read_text())), "it is ended with what it has started")


def test_programs_are_asked_without_telemetry(doctor: Doctor, tmp_path: Path, journal: Journal) -> None:
    """Asking for a version exports nothing and records nothing."""
    program(
        tmp_path / "bin" / "bd", "/usr/bin/env | /bin/grep -cE '^(OTEL|GT_OTEL|BD_OTEL|TRACEPARENT|GT_RUN)'"
    )
    run = {"GT_RUN": "4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "BD_OTEL_LOGS_URL": "http://127.0.0.1:1"}
    found = doctor("--offline", PATH=f"{tmp_path}/bin", OTEL_TRACES_EXPORTER="otlp", **run)
    assert "exit code 1: 0" in found["programs", "bd"]["found"]  # grep counts none


def test_a_server_that_the_registry_knows_is_asked(
    doctor: Doctor, env: dict[str, str], tmux_socket: str, journal: Journal
) -> None:
    """Also where no run is open on it now; without any the default server is asked."""
    assert doctor("--offline")["tmux", "default server"]["found"] == "no server runs there"
    command = ["tmux", "-S", tmux_socket, "-f", "/dev/null", "new-session", "-d", "-s", "x", "sleep 1000"]
    subprocess.run(command, env=env, check=True)
    run = "4bf92f3577b34da6a3ce929d0e0e4736"
    PaneRegistry(journal).register(run, socket=tmux_socket, server_pid="1", pane="%0")
    assert doctor("--offline").state("tmux", f"server {tmux_socket}") == "ok"


@pytest.mark.parametrize("leak", [{}, {"TRACEPARENT": "00-x", "GT_RUN": "y"}])
def test_what_a_tmux_server_hands_to_every_session_is_said(
    leak: dict[str, str], doctor: Doctor, env: dict[str, str], tmux_socket: str, journal: Journal
) -> None:
    """Of the servers that open runs live on, whatever socket they have."""
    command = ["tmux", "-S", tmux_socket, "-f", "/dev/null", "new-session", "-d", "-s", "x", "sleep 1000"]
    subprocess.run(command, env={**env, **leak}, check=True)
    run = Path(journal.run_dir("4bf92f3577b34da6a3ce929d0e0e4736"))
    run.mkdir()
    (run / "pane.json").write_text(f'{{"socket": "{tmux_socket}"}}')
    found = doctor("--offline")
    row = found["tmux", f"server {tmux_socket}"]
    assert row["state"] == ("warning" if leak else "ok")
    assert all(name in row["found"] for name in leak)
    assert "default server" not in [row["check"] for row in found.rows]  # none runs: nothing lives there
