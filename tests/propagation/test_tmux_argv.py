"""tmux command lines, tried on a real tmux."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from propagation import tmux
from propagation.traceparent import PropagationError

#: Prints as JSON: its arguments, one variable, and whether it is the pane's own process; then stays.
PROGRAM = """
import json, os, sys, time
said = json.dumps([sys.argv[2:], os.environ.get("ODD"), os.getpid()])
open(sys.argv[1] + ".part", "w").write(said)
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(60)
"""


def run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)


def wait_for(path: Path) -> list[object]:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was never written"
        time.sleep(0.02)
    said: list[object] = json.loads(path.read_text())
    return said


def test_a_session_runs_its_command_as_the_panes_own_process(tmux_socket: str, tmp_path: Path) -> None:
    """Every argument and variable arrives as it is, a last `;` included, and no shell stands between."""
    said = tmp_path / "said"
    arguments = ["a b", "$HOME;", "';", "", "é\n", "#{pane_id}"]
    command = [sys.executable, "-c", PROGRAM, str(said), *arguments]
    env = {"ODD": "x=y; 'z' $HOME;"}
    started = run(tmux.new_session(tmux_socket, "de-rust", str(tmp_path), env, command))
    assert (started.returncode, started.stderr) == (0, "")
    got_arguments, got_variable, pid = wait_for(said)
    assert (got_arguments, got_variable) == (arguments, env["ODD"])
    panes = run(tmux.list_panes(tmux_socket, "#{session_name} #{pane_pid}", "de-rust"))
    assert panes.stdout == f"de-rust {pid}\n"
    assert run(tmux.list_panes(tmux_socket, "#{pane_pid}")).stdout == f"{pid}\n"


@pytest.mark.parametrize(
    "name", ["wd#S", "##S", "a##[b", "#[S#", "#{pid}", "#(touch x)", "#,#}", "%Y", "a b", "q'\"", "a b;"]
)
def test_session_and_directory_are_named_as_they_are(tmux_socket: str, tmp_path: Path, name: str) -> None:
    """What tmux would expand as a format in a session's name or directory stays as it was given."""
    place = tmp_path / name
    place.mkdir()
    said = tmp_path / "said"
    command = [sys.executable, "-c", PROGRAM.replace("sys.argv[2:]", "os.getcwd()"), str(said)]
    assert run(tmux.new_session(tmux_socket, name, str(place), {}, command)).returncode == 0
    assert wait_for(said)[0] == str(place)
    assert run(tmux.list_panes(tmux_socket, "#{session_name}", name)).stdout == f"{name}\n"


def test_a_command_of_one_word_is_not_handed_to_a_shell(tmux_socket: str, tmp_path: Path) -> None:
    program = tmp_path / "one word;"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.argv.append({str(tmp_path / 'said')!r})\n{PROGRAM}"
    )
    program.chmod(0o755)
    assert run(tmux.new_session(tmux_socket, "one", "/", {}, [str(program)])).returncode == 0
    pid = wait_for(tmp_path / "said")[2]
    assert run(tmux.list_panes(tmux_socket, "#{pane_pid}", "one")).stdout == f"{pid}\n"


def test_sessions_are_found_and_ended_by_their_exact_name(tmux_socket: str) -> None:
    for name in ("de-rust", "de-rust-2"):
        assert run(tmux.new_session(tmux_socket, name, "/", {}, ["sleep", "60"])).returncode == 0
    assert run(tmux.has_session(tmux_socket, "de-rus")).returncode != 0
    assert run(tmux.kill_session(tmux_socket, "de-rus")).returncode != 0
    assert run(tmux.kill_session(tmux_socket, "de-rust")).returncode == 0
    assert run(tmux.has_session(tmux_socket, "de-rust")).returncode != 0
    assert run(tmux.has_session(tmux_socket, "de-rust-2")).returncode == 0


def test_variables_of_a_session_are_set_and_hidden(tmux_socket: str) -> None:
    """By the session's name or a pane of it, all of them by one command."""
    for name in ("first", "s"):
        assert run(tmux.new_session(tmux_socket, name, "/", {}, ["sleep", "60"])).returncode == 0
    pane = run(tmux.list_panes(tmux_socket, "#{pane_id}", "s")).stdout.strip()
    for target, bead in (("s", "de-1;"), (pane, "de 2;")):
        command = tmux.set_environment(tmux_socket, target, {"GT_WORK_BEAD": bead, "PATH": None, "A": ";"})
        assert run(command).returncode == 0
        shown = run(["tmux", "-S", tmux_socket, "show-environment", "-t", "=s"]).stdout.splitlines()
        assert {f"GT_WORK_BEAD={bead}", "-PATH", "A=;"} <= set(shown)
    others = run(["tmux", "-S", tmux_socket, "show-environment", "-t", "=first"]).stdout
    assert "GT_WORK_BEAD" not in others
    with pytest.raises(PropagationError):
        tmux.set_environment(tmux_socket, "s", {})


def test_a_server_is_named_by_path_by_name_or_not_at_all() -> None:
    assert tmux.has_session("/run/x", "s")[:3] == ["tmux", "-S", "/run/x"]
    assert tmux.has_session("town-1", "s")[:3] == ["tmux", "-L", "town-1"]
    assert tmux.has_session("", "s") == ["tmux", "has-session", "-t", "=s"]


@pytest.mark.parametrize(
    ("env", "command"),
    [({}, []), ({"": "x"}, ["true"]), ({"A=B": "x"}, ["true"]), ({"A": "\0"}, ["true"]), ({}, ["a\0b"])],
)
def test_what_no_process_can_get_is_the_documented_error(env: dict[str, str], command: list[str]) -> None:
    with pytest.raises(PropagationError):
        tmux.new_session("", "s", "/", env, command)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/tmp/tmux-0/default,12345,0", ("/tmp/tmux-0/default", "12345", "0")),
        ("/tmp/a,b/s,12,$3", ("/tmp/a,b/s", "12", "$3")),
        ("/tmp/s,12", None),
        ("/tmp/s,x,0", None),
        (",12,0", None),
        ("", None),
        (None, None),
    ],
)
def test_the_variable_tmux_is_taken_apart(text: str | None, expected: tuple[str, str, str] | None) -> None:
    assert tmux.parse_tmux_variable(text) == expected


def test_a_real_panes_tmux_variable_names_its_server(tmux_socket: str, tmp_path: Path) -> None:
    said = tmp_path / "said"
    script = 'printf "[\\"%s\\"]" "$TMUX" > "$0.part" && mv "$0.part" "$0" && exec sleep 60'
    assert run(tmux.new_session(tmux_socket, "s", "/", {}, ["sh", "-c", script, str(said)])).returncode == 0
    server = tmux.parse_tmux_variable(str(wait_for(said)[0]))
    assert server is not None
    assert os.path.samefile(server[0], tmux_socket)
    assert run(tmux.list_panes(tmux_socket, "#{pid}", "s")).stdout == f"{server[1]}\n"
