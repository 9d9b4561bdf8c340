"""bd is asked safely: bounded in time and size, read in both forms; every failure is one short reason."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gastown_tracing.beads import parse
from gastown_tracing.probes.bd import Bd
from gastown_tracing.probes.probe import ProbeError
from tests.probes.standin import StandIn
from tests.processes import is_alive, wait_until

BEADS = '[{"id": "de-1", "title": "SECRET"}]'


def bd_of(directory: Path, script: str, *, timeout: float = 20.0, limit: int = 1 << 20) -> Bd:
    return Bd(StandIn(directory / "standin", script).env, timeout=timeout, limit=limit)


@pytest.mark.parametrize(
    "said",
    [
        BEADS,
        f'{{"schema_version": 1, "data": {BEADS}}}',
        f"warning: another bd is on PATH\n{BEADS}",
    ],
    ids=["bare", "envelope", "after a warning"],
)
def test_every_form_of_an_answer_is_read(tmp_path: Path, said: str) -> None:
    bd = bd_of(tmp_path, f"cat <<'END'\n{said}\nEND\necho 'auto-importing' >&2")
    assert bd.items(str(tmp_path), "list") == json.loads(BEADS)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo SECRET >&2; exit 3", "bd: exit code 3"),
        ("kill -SEGV $$", "bd: killed by SIGSEGV"),
        ("echo SECRET >&2", "bd printed an error and no answer"),
        ("true", "bd printed no JSON"),
        ("echo 'SECRET: no issues found'", "bd printed no JSON"),
        ("printf '[%.0s' $(seq 20000)", "bd printed no JSON"),
        ("printf '\\377\\376'", "bd printed no JSON"),
        ("""echo '[{"id": "de-1"}'""", "bd printed no JSON"),
        ("echo null", "bd's JSON is not a list of beads"),
        ("""echo '{"error": "SECRET"}'""", "bd's JSON is not a list of beads"),
        ("""echo '{"schema_version": 1, "data": {"id": "SECRET"}}'""", "bd's JSON is not a list of beads"),
        ("""echo '["SECRET"]'""", "bd's JSON is not a list of beads"),
        ("""echo '[{"id": 7, "title": "SECRET"}]'""", "bd's JSON is not a list of beads"),
        ("yes SECRET", "bd printed more than 1 MiB"),
    ],
)
def test_what_goes_wrong_is_a_short_reason_without_content(tmp_path: Path, script: str, reason: str) -> None:
    with pytest.raises(ProbeError) as caught:
        bd_of(tmp_path, script).items(str(tmp_path), "list")
    assert caught.value.reason == reason
    assert "SECRET" not in f"{caught.value} {caught.value.hint}"
    assert str(tmp_path) in caught.value.hint


def test_a_hanging_bd_is_killed_with_its_children(tmp_path: Path) -> None:
    bd = bd_of(tmp_path, 'sleep 600 & echo "$$ $!" > "$STANDIN/pids"; wait', timeout=0.3)
    with pytest.raises(ProbeError, match=r"bd timed out after 0\.3 s"):
        bd.items(str(tmp_path), "list")
    for pid in (tmp_path / "standin" / "pids").read_text().split():
        wait_until(lambda pid=int(pid): not is_alive(pid), "the end of what bd had started")


def test_what_bd_leaves_running_is_neither_waited_for_nor_killed(tmp_path: Path) -> None:
    """bd may start a database server, which keeps its standard output open."""
    bd = bd_of(tmp_path, f"sleep 600 & echo $! > \"$STANDIN/pid\"; echo '{BEADS}'")
    assert bd.items(str(tmp_path), "list") == json.loads(BEADS)
    pid = int((tmp_path / "standin" / "pid").read_text())
    assert is_alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_an_answer_larger_than_a_pipe_arrives_whole(tmp_path: Path) -> None:
    many = [{"id": f"de-{number}", "description": "x" * 1000} for number in range(5000)]
    (tmp_path / "many.json").write_text(json.dumps(many))
    bd = bd_of(
        tmp_path, f"cat '{tmp_path}/many.json'; yes complaint 2>/dev/null | head -c 300000 >&2", limit=8 << 20
    )
    assert bd.items(str(tmp_path), "list") == many


def test_a_missing_bd_and_a_missing_directory_are_told_apart(tmp_path: Path) -> None:
    bd = Bd({"PATH": str(tmp_path)})
    with pytest.raises(ProbeError) as caught:
        bd.items(str(tmp_path), "list")
    assert (caught.value.reason, caught.value.hint) == ("bd is not on PATH", "put it there")
    with pytest.raises(ProbeError) as caught:
        bd.items(str(tmp_path / "gone"), "list")
    assert caught.value.reason == "its directory is missing"


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        ("no script", 0o755, "bd cannot be run: Exec format error"),
        ("#!/no/such/interpreter", 0o755, "bd cannot be run: No such file or directory"),
        ("#!/bin/sh", 0o644, "bd is not on PATH"),
    ],
)
def test_a_bd_that_cannot_be_run_says_why(tmp_path: Path, content: str, mode: int, reason: str) -> None:
    standin = StandIn(tmp_path / "standin")
    bd = tmp_path / "standin" / "bin" / "bd"
    bd.write_text(content)
    bd.chmod(mode)
    with pytest.raises(ProbeError) as caught:
        Bd(standin.env).items(str(tmp_path), "list")
    assert caught.value.reason == reason


def test_bd_reads_the_database_of_its_directory(tmp_path: Path) -> None:
    """What an agent's environment says about another database, or about printing more, does not count."""
    standin = StandIn(tmp_path / "standin", "pwd; env | sort; cat")
    misleading = {"BEADS_DIR": "/other", "BEADS_DB": "/other", "BD_DB": "/other", "BD_OTEL_STDOUT": "true"}
    said = Bd({**standin.env, **misleading, "BD_ACTOR": "Toast"}).run(str(tmp_path), "list").splitlines()
    assert said[0] == str(tmp_path)
    assert "BD_ACTOR=Toast" in said
    assert not [line for line in said if line.partition("=")[0] in misleading]


@given(
    st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5).map(json.dumps)
)
def test_whatever_bd_prints_is_json_or_a_value_error(text: str) -> None:
    try:
        found = parse(text)
    except ValueError:
        return
    assert json.loads(json.dumps(found)) == found or found != found  # noqa: PLR0124 # NaN
