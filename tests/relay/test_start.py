"""Who starts a relay, when, and that it takes nothing from whoever does."""

from __future__ import annotations

import json
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gastown_tracing.relay import daemon
from gastown_tracing.shims import launcher, waking
from tests.conftest import NO_RELAY
from tests.processes import is_alive, wait_until
from tests.relay.service_kit import GT_TRACE, Town, fields

PYTHON = "import gastown_tracing as gt; gt.init(); {}"


@pytest.fixture
def town(journal_root: Path, env: dict[str, str]) -> Iterator[Town]:
    found = Town(journal_root, env)
    yield found
    found.end()


@pytest.fixture(params=["exec", "launcher", "event", "python", "session here"])
def starter(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Return a command of each kind that starts a relay."""
    if request.param == "launcher":
        launcher.write(str(tmp_path / "launch"))
        return [str(tmp_path / "launch"), "--", "true"]
    return {
        "exec": [*GT_TRACE, "exec", "--", "true"],
        "event": [*GT_TRACE, "event", "sling", "bead=de-1", "target=demo/polecats/rust"],
        "python": [sys.executable, "-c", PYTHON.format("pass")],
        "session here": [*GT_TRACE, "session", "start", "--role", "mayor", "--here", "--", "true"],
    }[request.param]


def test_the_first_command_that_records_starts_one(town: Town, starter: list[str]) -> None:
    """A shim, an event, a Python program and a session each do, and it is nobody's child but init's."""
    done = town.run(starter)
    assert (done.returncode, done.stderr) == (0, "")
    pid = town.running()
    assert fields(pid)["PPid"] == "1"
    assert done.stdout == ""


def test_a_session_in_tmux_starts_one_and_kill_server_leaves_it_alive(town: Town, tmux_socket: str) -> None:
    """The relay is in no session of tmux's: it outlives the server."""
    done = town("session", "start", "--role", "mayor", "--socket", tmux_socket, "--", "sleep", "600")
    assert done.returncode == 0
    pid = town.running()
    subprocess.run(["tmux", "-S", tmux_socket, "kill-server"], check=True, capture_output=True)
    wait_until(lambda: not Path(tmux_socket).exists() or _no_server(tmux_socket), "tmux to be gone")
    assert is_alive(pid)
    assert town.pid() == pid


def _no_server(socket: str) -> bool:
    return subprocess.run(["tmux", "-S", socket, "ls"], check=False, capture_output=True).returncode != 0


def test_one_started_inside_tmux_outlives_the_server(town: Town, tmux_socket: str, tmp_path: Path) -> None:
    """The command that starts it runs in a pane, as an agent's does."""
    script = f"{' '.join(GT_TRACE)} exec -- true; touch {tmp_path}/done; sleep 600"
    new = ["tmux", "-S", tmux_socket, "-f", "/dev/null", "new-session", "-d", script]
    assert town.run(new).returncode == 0
    wait_until((tmp_path / "done").exists, "the command in the pane")
    pid = town.running()
    town.run(["tmux", "-S", tmux_socket, "kill-server"])
    wait_until(lambda: _no_server(tmux_socket), "tmux to be gone")
    assert is_alive(pid)


def test_a_closed_terminal_leaves_it_alive(town: Town, tmp_path: Path) -> None:
    """A shell on a real terminal starts it, the terminal goes away, everything in it gets SIGHUP."""
    child, terminal = pty.fork()
    if child == 0:
        script = f"{' '.join(GT_TRACE)} exec -- true; touch {tmp_path}/done; sleep 600"
        os.execve("/bin/sh", ["sh", "-c", script], town.env)
    wait_until((tmp_path / "done").exists, "the command on the terminal")
    pid = town.running()
    os.close(terminal)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGHUP
    assert is_alive(pid)
    assert fields(pid)["Name"].startswith("python")
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[4] == "0"  # tty_nr: none


def test_the_end_of_its_starters_process_group_leaves_it_alive(town: Town) -> None:
    """As a CI's runner or a shell's `kill %1` ends all that a job left behind."""
    script = f"{' '.join(GT_TRACE)} exec -- true; kill -9 0"
    done = town.run(["/bin/sh", "-c", script], start_new_session=True)
    assert done.returncode == -signal.SIGKILL
    pid = town.running()
    assert os.getpgid(pid) not in (os.getpgrp(), 0)


def test_a_capturing_caller_returns_at_once(town: Town, starter: list[str]) -> None:
    """Its pipes end with its command, though the relay lives on: standard ones, and an inherited one."""
    reader, writer = os.pipe()
    done = town.run(starter, pass_fds=(writer,))  # returns when both pipes have ended
    os.close(writer)
    assert done.returncode == 0
    pid = town.running()
    assert select.select([reader], [], [], 0)[0]
    assert os.read(reader, 1) == b""
    os.close(reader)
    assert is_alive(pid)


def test_it_takes_nothing_from_its_starter(town: Town, tmp_path: Path) -> None:
    """Directory, environment, descriptors, umask, signals, priority, processors and limits are its own."""
    held = open(tmp_path / "held", "w")  # noqa: SIM115 # its descriptor is what counts
    os.set_inheritable(held.fileno(), True)

    def confine() -> None:
        os.umask(0)
        os.nice(7)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGQUIT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    done = town.run(
        [*GT_TRACE, "event", "done", "exit_type=COMPLETED"],
        env={**town.env, "SECRET": "s3cret", "OTEL_EXPORTER_OTLP_HEADERS": "a=b", "PYTHONPATH": "/nowhere"},
        preexec_fn=confine,
        cwd=tmp_path,
        close_fds=False,
    )
    held.close()
    assert done.returncode == 0
    pid = town.running()
    said = fields(pid)
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert {entry.partition(b"=")[0] for entry in environment} - {b""} == {b"PATH", b"LANG"}
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    files = {os.readlink(f"/proc/{pid}/fd/{name}") for name in ("0", "1", "2")}
    assert files == {"/dev/null"}
    everything = [_link(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    assert str(tmp_path / "held") not in everything
    assert not [link for link in everything if link.startswith("pipe:")]
    assert said["Umask"] == "0077"
    assert int(said["SigBlk"], 16) == 0
    ignored = {number for number in range(1, 32) if int(said["SigIgn"], 16) >> (number - 1) & 1}
    assert ignored <= {signal.SIGPIPE, signal.SIGXFSZ}
    assert os.getpriority(os.PRIO_PROCESS, pid) == 0
    assert os.sched_getaffinity(pid) == os.sched_getaffinity(0)
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert (
        next(line for line in limits.splitlines() if line.startswith("Max file size")).split()[3]
        == "unlimited"
    )
    assert os.getsid(pid) not in (os.getsid(0), pid)  # its session's leader has ended: it can get no terminal
    made = list(Path(town.files.directory).iterdir())
    assert made
    assert not [path for path in made if path.stat().st_mode & 0o077]


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:  # closed since
        return ""


@pytest.mark.parametrize("limit", [resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE])
def test_a_command_under_a_hard_limit_leaves_it_to_others(town: Town, limit: int) -> None:
    """What a relay could not live with it would inherit for good; the next command without it starts one."""
    tight = {resource.RLIMIT_FSIZE: 1 << 20, resource.RLIMIT_CPU: 60, resource.RLIMIT_NOFILE: 32}[limit]
    done = town("exec", "--", "true", preexec_fn=lambda: resource.setrlimit(limit, (tight, tight)))
    assert done.returncode == 0
    assert list(town.root.glob("loose/*/traces.jsonl"))
    town.none_starts()
    town("exec", "--", "true")
    assert town.running()


@pytest.mark.parametrize("off", [NO_RELAY, {"GT_OTEL_RELAY": "FALSE"}, {"OTEL_SDK_DISABLED": "true"}])
def test_none_starts_where_it_is_not_wanted(town: Town, starter: list[str], off: dict[str, str]) -> None:
    """By the variable, or with telemetry off."""
    assert town.run(starter, env={**town.env, **off}).returncode == 0
    town.none_starts()


def test_none_starts_where_the_journal_says_so(town: Town, starter: list[str]) -> None:
    """GT_OTEL_RELAY in config.json holds for everybody, and so does the switch `on`."""
    town.make(GT_OTEL_RELAY="false")
    town.run(starter)
    town.none_starts()
    town.configure(GT_OTEL_RELAY="true")
    (town.root / "on").unlink()
    town.run(starter)
    town.none_starts()


def test_a_killed_one_is_started_again_by_the_next_command_after_a_minute(town: Town) -> None:
    """Not sooner, so that a relay that cannot live costs a command nothing."""
    town("exec", "--", "true")
    first = town.running()
    town.kill()
    town("exec", "--", "true")
    assert town.pid() == 0
    town.outdate()
    town("exec", "--", "true")
    assert town.running() != first


def test_a_note_from_the_future_does_not_count(town: Town) -> None:
    """It was written while the clock was wrong."""
    town.make()
    Path(town.files.asked).touch()
    os.utime(town.files.asked, (4e9, 4e9))
    town("exec", "--", "true")
    assert town.running()


def test_while_one_runs_a_command_pays_one_stat(town: Town) -> None:
    """The relay itself keeps the note young; whoever finds it old all the same looks at the lock."""
    town("exec", "--", "true")
    pid = town.running()
    town.outdate()
    town("exec", "--", "true")
    assert town.asked()
    assert town.pid() == pid
    wait_until(lambda: town.pid() == pid, "the same relay")
    town.outdate()
    wait_until(town.asked, "the relay to note that it is there")
    age = time.time() - os.stat(town.files.asked).st_mtime
    assert daemon.NOTED <= age < waking.STANDS, "not as young as that of who asks: it may be killed"


def test_a_session_starts_one_at_once(town: Town) -> None:
    """It is rare, so it looks at the lock whatever the note says; the note gets no younger by that."""
    here = ["session", "start", "--role", "mayor", "--here", "--", "true"]
    town(*here)
    first = town.running()
    town.kill()
    town("exec", "--", "true")
    assert town.pid() == 0
    town(*here)
    second = town.running()
    assert second != first
    town.outdate()
    town(*here)
    assert town.pid() == second
    assert time.time() - os.stat(town.files.asked).st_mtime >= daemon.NOTED


def test_many_at_once_start_one(town: Town) -> None:
    """However many commands and starts there are: one holds the lock, the others end."""
    town.make()
    words = [*GT_TRACE, "exec", "--", "true"]
    many = [subprocess.Popen(words, env=town.env) for _ in range(4)]
    direct = [subprocess.Popen(daemon.command(str(town.root)), env=town.env) for _ in range(4)]
    try:
        assert {process.wait(30) for process in many} == {0}
        pid = town.running()
        wait_until(lambda: sum(process.poll() is None for process in direct) <= 1, "the others to end")
        others = [process for process in direct if process.pid != pid]
        assert {process.wait(30) for process in others} == {0}
        assert town.pid() == pid
    finally:
        for process in direct:
            process.kill()
            process.wait()


def test_who_only_looks_at_the_lock_keeps_nobody_from_taking_it(town: Town) -> None:
    """A command that looks at the very moment when a relay begins."""
    town.make()
    Path(town.files.lock).touch()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            daemon.runs(town.files.lock)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        daemon.start(str(town.root))
        assert town.running()
    finally:
        over.set()
        looking.join()


def test_a_python_program_keeps_no_child_and_no_thread(town: Town) -> None:
    """What starts the relay is reaped before init() returns."""
    look = "import os, threading; print(threading.active_count(), os.listdir('/proc/self/task'))\n"
    look += "print(open('/proc/self/task/%d/children' % os.getpid()).read() or 'none')"
    program = f"import gastown_tracing as gt; gt.init()\n{look}"
    done = town.run([sys.executable, "-c", program])
    assert town.running()
    assert done.stdout.splitlines()[0].startswith("1 ")
    assert done.stdout.splitlines()[1] == "none"


def test_a_long_command_has_one_while_it_runs(town: Town, tmp_path: Path) -> None:
    """A wrapper of hours does not wait for its end, nor does it keep a child that is not its command."""
    words = [*GT_TRACE, "exec", "--", "sh", "-c", f"while [ ! -e {tmp_path}/end ]; do sleep 0.05; done"]
    with subprocess.Popen(words, env=town.env) as wrapper:
        town.running()
        children = Path(f"/proc/{wrapper.pid}/task/{wrapper.pid}/children")
        wait_until(lambda: len(children.read_text().split()) == 1, "the command to be the only child")
        (tmp_path / "end").touch()
        assert wrapper.wait(30) == 0


@pytest.mark.parametrize("gone", ["interpreter", "package"])
def test_without_interpreter_or_package_nothing_happens(town: Town, tmp_path: Path, gone: str) -> None:
    """The command runs and is recorded; nobody hears of a relay that there cannot be."""
    launch = tmp_path / "launch"
    launcher.write(str(launch))
    there = f"sys.executable = {sys.executable!a}"
    other = "/nowhere/python" if gone == "interpreter" else os.path.realpath(sys.executable)
    text = launch.read_text().replace(there.replace("'", "'\"'\"'"), f'sys.executable = "{other}"')
    assert other in text
    launch.write_text(text)
    done = town.run([str(launch), "--", "sh", "-c", "exit 3"])
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
    assert town.pid() == 0
    assert list(town.root.glob("loose/*/traces.jsonl"))


def test_a_program_that_is_no_interpreter_is_not_started_again(town: Town, tmp_path: Path) -> None:
    """Python in another program, or frozen into one, names that program as its executable."""
    other = tmp_path / "server"
    other.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    other.chmod(0o755)
    for mark in (f"sys.executable = {str(other)!r}", "sys.frozen = True"):
        done = town.run([sys.executable, "-c", f"import sys; {mark}; {PYTHON.format('pass')}"])
        assert (done.returncode, done.stderr) == (0, "")
        town.none_starts()
    assert not (tmp_path / "started").exists()


def test_the_commands_own_limits_are_not_the_relays(town: Town) -> None:
    """A command that confines itself does so after us."""
    done = town("exec", "--", "sh", "-c", "ulimit -f 0; true")
    assert done.returncode == 0
    pid = town.running()
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert "Max file size             unlimited" in limits


def test_a_damaged_or_foreign_lock_file_is_no_relay(town: Town) -> None:
    """What stands in it counts only while somebody holds it."""
    town.make()
    for text in ("", "no JSON", '{"pid": "1"}', '{"pid": "999999999"}', f'{{"pid": "{os.getpid()}"}}'):
        Path(town.files.lock).write_text(text)
        assert town.pid() == 0
    town("exec", "--", "true")
    assert town.running()


def test_where_there_can_be_no_locks_the_process_in_the_file_decides(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file system without flock(2) can be made here, so the call says what such a one does."""
    import errno
    import fcntl

    from gastown_tracing.relay.lock import Lock, holder

    town.make()

    def refuse(_descriptor: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    ours = Lock(town.files.lock)
    assert ours.take() is None
    assert holder(town.files.lock) is None  # ourselves
    text = Path(town.files.lock).read_text().replace(str(os.getpid()), str(os.getppid()))
    Path(town.files.lock).write_text(text.replace(_started(os.getpid()), _started(os.getppid())))
    found = holder(town.files.lock)
    assert found is not None
    assert found.pid == os.getppid()
    assert Lock(town.files.lock).take(0.1) == found
    Path(town.files.lock).write_text(text.replace(str(os.getppid()), "999999999"))
    assert Lock(town.files.lock).take(0.1) is None


def _started(pid: int) -> str:
    from gastown_tracing.sessions import processes

    return processes.start_time(pid)


def test_the_very_first_session_gets_the_receivers_address(town: Town) -> None:
    """It is drawn before there is a relay, which then listens there."""
    words = ["session", "start", "--role", "mayor", "--here", "--", "printenv", "GT_OTEL_RECEIVER"]
    said = town(*words).stdout.strip()
    assert said == json.loads((town.root / "config.json").read_text())["GT_OTEL_RECEIVER"]
    town.running()
    wait_until(lambda: town.status().get("receiver", {}).get("state") == "listening", "the receiver")
    assert said.startswith(f"{town.status()['receiver']['endpoint']}/")
    assert town(*words).stdout.strip() == said


def test_a_demo_leaves_no_relay_behind(town: Town) -> None:
    """Its sessions record into the journal that is named, and none of them starts one."""
    done = town("demo", "--ascii", "--width", "80")
    assert done.returncode == 0, done.stderr
    town.none_starts()
