"""Shims where the surroundings are against them: who else is there, odd homes, other users, what is gone."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shims_kit import PYTHON, Done, named, run, script, shims, town

from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.reader import RunData, list_runs, read_loose, read_run
from gastown_tracing.sessions.reaping import reap
from tests.processes import is_alive, wait_until

Env = dict[str, str]
REST = "/usr/bin:/bin"


def everything(journal: Journal) -> list[RunData]:
    """Return all that a journal holds; none of it is damaged."""
    found = [*(read_run(journal, run.trace_id) for run in list_runs(journal)), read_loose(journal)]
    assert not [skip for data in found for skip in data.skipped]
    return found


def commands(journal: Journal) -> list[str]:
    """Return the subcommand of each `bd.call` in a journal, in order of their names."""
    spans = [span for data in everything(journal) for span in data.spans if span.name == "bd.call"]
    return sorted(str(span.attributes["subcommand"]) for span in spans)


def in_tmux(socket: str, env: Env, path: str, *words: str, cwd: Path | None = None) -> Done:
    """Run a tmux command through what is first on this PATH."""
    done = run(["tmux", "-S", socket, *words], env, path, cwd)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done


@pytest.fixture
def sockets(tmux_socket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Return the sockets of two tmux servers."""
    other = str(tmp_path_factory.mktemp("tmux") / "other")
    yield [tmux_socket, other]
    subprocess.run(["tmux", "-S", other, "kill-server"], capture_output=True, check=False)


def test_two_towns_on_one_machine(
    gt_trace: Callable[..., Done], env: Env, sockets: list[str], tmp_path: Path
) -> None:
    """Two towns of one name with sessions, panes and actors of one name: no record is in the other's journal.

    An agent that goes to the other town stays in its own run; the operator is where the working directory is.
    """
    env = {name: value for name, value in env.items() if name != "GT_OTEL_JOURNAL"}
    env["HOME"] = str(tmp_path / "home")
    path = f"{shims(tmp_path / 'shims')}:{tmp_path}/real:{REST}"
    script(tmp_path / "real" / "bd", "exit 0")
    roots = [town(tmp_path / name / "gastown") for name in ("one", "two")]
    for root, socket, word, other in zip(roots, sockets, ("blocked", "ready"), reversed(roots), strict=True):
        assert (
            gt_trace("shims", "install", "--dir", str(tmp_path / "shims"), cwd=root, env=env).returncode == 0
        )
        assert run(["bd", word], env, path, root).returncode == 0
        mark = tmp_path / f"{word}.done"
        # The last one knows nothing of its run but the pane that it is in.
        work = (
            f"bd show; cd {shlex.quote(str(other))}; bd list; "
            f"env -u GT_RUN -u TRACEPARENT -u BAGGAGE -u GT_SESSION bd close; : >{mark}; exec sleep 1000"
        )
        words = ("new-session", "-d", "-s", "de-witness", "-c", str(root), "-e", f"GT_ROOT={root}")
        identity = ("-e", "GT_ROLE=demo/witness", "-e", "BD_ACTOR=demo/witness", "-e", "GT_RIG=demo")
        in_tmux(socket, env, path, *words, *identity, work, cwd=root)
        wait_until(mark.exists, f"the session in {root} has worked")
    journals = [Journal(str(place)) for place in (tmp_path / "home/.local/state/gastown-tracing").iterdir()]
    assert len(journals) == 2
    seen = set()
    for journal in journals:
        found = everything(journal)
        records = [record for data in found for record in [*data.spans, *data.logs]]
        (place,) = {record.attributes["town_root"] for record in records}
        word = "blocked" if place == str(roots[0]) else "ready"
        assert commands(journal) == sorted([word, "show", "list", "close"])
        (in_session,) = [data for data in found if data.run.trace_id]
        assert sum(span.name == "bd.call" for span in in_session.spans) == 3
        seen.add(place)
    assert seen == {str(root) for root in roots}


def test_a_home_with_blanks_and_quotes_in_its_name(
    gt_trace: Callable[..., Done], env: Env, tmux_socket: str, tmp_path: Path
) -> None:
    """Shims, journal and town below it, installed as the README says: commands and sessions are recorded."""
    home = tmp_path / 'it\'s "my" $HOME `é\\ *'
    root = town(home / "a town")
    mark = home / "the mark"
    script(home / "bin dir" / "bd", 'echo "bd $*"')
    env = {name: value for name, value in env.items() if name != "GT_OTEL_JOURNAL"}
    env |= {
        "HOME": str(home),
        "PATH": f"{home}/bin dir:{env['PATH']}",
        "SHELL": "/bin/bash",
        "S": tmux_socket,
    }
    gt = shlex.join(str(word) for word in gt_trace("--version", env=env).args[:-1])
    session = '"bd ready; : >../the\\ mark; sleep 1000"'
    steps = (
        'cd ~/"a town"',
        f'eval "$({gt} shims install)"',
        "type -p bd",
        'bd list "a  b"',
        f'tmux -S "$S" new-session -d -s x -e GT_ROLE=mayor -e GT_ROOT="$PWD" {session}',
    )
    done = subprocess.run(
        ["bash", "-c", " && ".join(steps)],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done
    assert done.stdout == f"{home}/.local/share/gastown-tracing/shims/bd/bd\nbd list a  b\n"
    wait_until(mark.exists, "the session has worked")
    (journal,) = [Journal(str(place)) for place in (home / ".local/state/gastown-tracing").iterdir()]
    assert commands(journal) == ["list", "ready"]
    (session,) = [data for data in everything(journal) if data.run.trace_id]
    assert [span.attributes["town_root"] for span in session.spans if span.name == "session.start"] == [
        str(root)
    ]


@pytest.mark.parametrize("permissions", [0o700, 0o777])
def test_another_user_writes_nothing(permissions: int, env: Env) -> None:
    """Whoever does not own the journal runs the command as it is, even where everybody may write there."""
    if os.geteuid() or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user, with setpriv")
    with tempfile.TemporaryDirectory() as name:  # others cannot enter pytest's own
        base = Path(name)
        base.chmod(0o755)
        root = town(base / "town")
        script(base / "real" / "bd", 'echo "$*"; echo "$(id -u) ${TRACEPARENT-none}" >&2; exit 3')
        path = f"{shims(base / 'shims', 'bd')}:{base}/real:{REST}"
        python = next((place for place in ("/usr/bin/python3",) if os.access(place, os.X_OK)), PYTHON)
        shim = base / "shims" / "bd" / "bd"
        shim.write_text(shim.read_text().replace(PYTHON, python))  # ours may be in a home of root's
        env = {**env, "GT_OTEL_JOURNAL": str(base / "journal"), "GT_ROOT": str(root), "GT_RUN": ""}
        assert run(["bd", "list"], env, path).returncode == 3
        journal = Journal(env["GT_OTEL_JOURNAL"])
        assert commands(journal) == ["list"]
        for place in (base / "journal", *(base / "journal").rglob("*")):
            place.chmod(permissions if place.is_dir() else permissions & 0o666)
        before = {str(place): place.stat().st_mtime_ns for place in (base / "journal").rglob("*")}
        other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", "bd", "ready", "a b"]
        done = run(other, {**env, "HOME": "/nonexistent"}, path)
        assert (done.returncode, done.stdout, done.stderr) == (3, "ready a b\n", "65534 none\n")
        assert {str(place): place.stat().st_mtime_ns for place in (base / "journal").rglob("*")} == before


def test_python_is_removed(env: Env, tmux_socket: str, tmp_path: Path) -> None:
    """From the moment that the interpreter is gone the real programs run, in sessions that run on too."""
    root = town(tmp_path / "town")
    path = f"{shims(tmp_path / 'shims')}:{tmp_path}/real:{REST}"
    for program in ("bd", "gt", "git"):
        named(tmp_path / "real", program)
    python = tmp_path / "python"
    python.symlink_to(PYTHON)
    for shim in (tmp_path / "shims").glob("*/*"):
        shim.write_text(shim.read_text().replace(PYTHON, str(python)))
    env = {**env, "GT_ROOT": str(root)}
    go, mark = tmp_path / "go", tmp_path / "mark"
    wait = f"until [ -e {go} ]; do sleep 0.01; done"
    work = f"bd list; {wait}; bd ready >{mark}.new; mv {mark}.new {mark}; sleep 1000"
    in_tmux(tmux_socket, env, path, "new-session", "-d", "-s", "x", "-e", "GT_ROLE=mayor", work)
    journal = Journal(env["GT_OTEL_JOURNAL"])
    wait_until(lambda: "list" in commands(journal), "the session's first command is recorded")
    python.unlink()
    for words in (["bd", "list"], ["gt", "prime"], ["git", "fetch"]):
        done = run(words, env, path)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"real/{' '.join(words)}\n", "")
    in_tmux(tmux_socket, env, path, "new-session", "-d", "-s", "y", "sleep 1000")
    go.touch()
    wait_until(mark.exists, "the session works on")
    assert mark.read_text() == "real/bd ready\n"
    assert commands(journal) == ["list"]


def test_a_session_killed_with_9(env: Env, tmux_socket: str, tmp_path: Path) -> None:
    """The agent, its command and the shim around it die at once: what was on is recorded as interrupted.

    The run is closed, once, by whoever looks, and the real program does not live on.
    """
    root = town(tmp_path / "town")
    pid_file = tmp_path / "bd.pid"
    path = f"{shims(tmp_path / 'shims')}:{tmp_path}/real:{REST}"
    script(
        tmp_path / "real" / "bd", f"echo $$ >{pid_file}.new; mv {pid_file}.new {pid_file}; exec sleep 1000"
    )
    env = {**env, "GT_ROOT": str(root)}
    words = ("new-session", "-d", "-s", "de-rust", "-e", "GT_ROLE=demo/polecats/rust", "-e", "GT_RIG=demo")
    in_tmux(tmux_socket, env, path, *words, "bd show de-1tr; sleep 1000")
    journal = Journal(env["GT_OTEL_JOURNAL"])
    wait_until(lambda: list(Path(journal.root).glob("runs/*/open/*")), "the call in progress is marked")
    wait_until(pid_file.exists, "the real program has said who it is")
    real = int(pid_file.read_text())
    shim = int(Path(f"/proc/{real}/stat").read_text().rpartition(") ")[2].split()[1])
    agent = int(in_tmux(tmux_socket, env, path, "list-panes", "-aF", "#{pane_pid}").stdout)
    for pid in (shim, agent):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(real), "the real program is dead")
    wait_until(lambda: reap(journal, env) and list_runs(journal)[0].closed, "the run is closed")
    (data,) = [read_run(journal, run.trace_id) for run in list_runs(journal)]
    (call,) = [span for span in data.spans if span.name == "bd.call"]
    (session,) = [span for span in data.spans if not span.parent_id]
    assert (call.attributes["gastown.interrupted"], call.status_code) == (True, 2)
    assert (session.name, session.end_ns >= call.end_ns >= call.start_ns) == ("gt.session", True)
    assert sum(span.name == "session.stop" for span in data.spans) == 1
    assert data.run.info["shims"] == ["bd", "gt", "git", "tmux"]
