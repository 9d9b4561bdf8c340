"""A command behaves the same with us and without us: rows run both ways and compare what a caller sees."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import is_alive, python_child, wait_until

Env = dict[str, str]
OURS = {"TRACEPARENT", "TRACESTATE", "BAGGAGE", "OTEL_RESOURCE_ATTRIBUTES"}


def outcome(
    words: list[str], argv: list[bytes | str], env: Env, **options: object
) -> tuple[int, bytes, bytes]:
    done = subprocess.run(  # type: ignore[call-overload]  # options of any kind
        [*words, *argv], env=env, capture_output=True, check=False, timeout=60, **options
    )
    return done.returncode, done.stdout, done.stderr


ROWS: dict[str, list[bytes | str]] = {
    "output on both streams": ["sh", "-c", "echo out; echo err >&2"],
    "the working directory": ["sh", "-c", "pwd; pwd -P"],
    "the umask": ["sh", "-c", "umask"],
    "the nice value": ["nice"],
    "any bytes in arguments": ["printf", "%s|", b"\xff\xfe", "", "a b", "a\nb", "--", "-x", "é", "'\"$`\\"],
    "the name it is called by": ["sh", "-c", 'tr "\\0" " " </proc/$$/cmdline', "zero"],
    "open file descriptors": ["sh", "-c", "ls /proc/self/fd"],
    "limits": ["sh", "-c", "ulimit -a"],
    "a pipeline inside": ["sh", "-c", "yes | head -1"],
    "a script without a first line": ["{script}"],
    "a child that outlives it": ["sh", "-c", "(sleep 5 >/dev/null 2>&1 </dev/null) & echo started"],
    "options that look like ours": ["printf", "%s ", "--event", "--name=x", "--attr"],
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.replace(" ", "-"))
def test_a_command_behaves_the_same(row: str, any_runner: list[str], env: Env, tmp_path: Path) -> None:
    """Exit code, both outputs and everything inherited are what they are without us."""
    script = tmp_path / "script"
    script.write_text("echo run by $0 with $#\n")
    script.chmod(0o755)
    argv = [word if isinstance(word, bytes) else word.replace("{script}", str(script)) for word in ROWS[row]]
    plain = outcome(["env"], argv, env, cwd=tmp_path, umask=0o27)
    assert outcome(any_runner, argv, env, cwd=tmp_path, umask=0o27) == plain


def test_every_exit_code(any_runner: list[str], env: Env) -> None:
    """Codes 0 to 255 come back as they are."""
    assert [outcome(any_runner, ["sh", "-c", f"exit {code}"], env)[0] for code in range(256)] == list(
        range(256)
    )


@pytest.mark.parametrize(
    "name", ["TERM", "KILL", "INT", "HUP", "QUIT", "ABRT", "SEGV", "USR1", "PIPE", "ALRM", "XFSZ"]
)
def test_death_by_signal(name: str, any_runner: list[str], env: Env, tmp_path: Path) -> None:
    """The caller sees a death by the same signal."""
    number = signal.Signals[f"SIG{name}"]
    assert outcome(any_runner, ["sh", "-c", f"kill -{name} $$; sleep 5"], env, cwd=tmp_path)[0] == -number


@pytest.mark.parametrize(
    "ignored", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE]
)
def test_the_callers_ignored_and_blocked_signals(ignored: int, any_runner: list[str], env: Env) -> None:
    """What the caller ignores or blocks the command ignores or blocks, and nothing else."""
    if ignored == signal.SIGPIPE and "exec" in any_runner:
        pytest.skip(
            "Python has forgotten whether SIGPIPE was ignored before it started; the launcher asks before"
        )

    def prepare() -> None:
        signal.signal(ignored, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTSTP})

    def seen(words: list[str]) -> list[int]:
        argv: list[bytes | str] = ["grep", "^Sig[IB]", "/proc/self/status"]
        lines = outcome(words, argv, env, preexec_fn=prepare)[1].decode().splitlines()
        # posix_spawn(3) ignores signals 32 and 33, which are the C library's own and nobody can use.
        return [int(line.split()[1], 16) & ~(3 << 31) for line in lines]

    assert seen(any_runner) == seen([])


def test_the_environment(runner: list[str], env: Env) -> None:
    """The command's environment is the caller's, odd names and bytes included, and our variables."""
    odd = {
        "A.B": "1",
        "npm_config_//r:x": "2",
        "BASH_FUNC_f%%": "() { echo f; }",
        "E": "",
        "N": "a\nb",
        "L": "\udcff",
    }
    argv: list[bytes | str] = ["env", "-0"]
    plain = dict(item.partition(b"=")[::2] for item in outcome([], argv, env | odd)[1].split(b"\0"))
    ours = dict(item.partition(b"=")[::2] for item in outcome(runner, argv, env | odd)[1].split(b"\0"))
    changed = {name.decode() for name in plain.keys() | ours.keys() if plain.get(name) != ours.get(name)}
    assert changed - OURS - {"_"} <= {"SHLVL", "PWD"}
    assert "TRACEPARENT" in changed


def test_an_environment_with_next_to_nothing_in_it(runner: list[str], env: Env) -> None:
    """Without a locale Python and bash add variables of their own; the command does not get to see them."""
    bare = {name: env[name] for name in ("PATH", "GT_OTEL_JOURNAL", "GT_OTEL_RELAY")}
    for environment in (bare, bare | {"LC_CTYPE": "C.UTF-8"}, bare | {"OTEL_SDK_DISABLED": "true"}):
        plain = {item.partition(b"=")[0] for item in outcome([], ["env", "-0"], environment)[1].split(b"\0")}
        ours = {
            item.partition(b"=")[0] for item in outcome(runner, ["env", "-0"], environment)[1].split(b"\0")
        }
        assert {name.decode() for name in ours ^ plain} - OURS <= {"SHLVL", "PWD", "_", "OLDPWD"}


def test_an_entry_without_a_name(runner: list[str], env: Env, tmp_path: Path) -> None:
    """execve(2) takes `=x=1`, and Python does not: the command runs without it."""
    source = tmp_path / "odd.c"
    source.write_text(
        "#include <unistd.h>\nint main(int n, char **v) { extern char **environ; static char *e[999]; int i;"
        'for (i = 0; environ[i]; i++) e[i] = environ[i]; e[i] = "=x=1"; execve(v[1], v + 1, e); return 1; }'
    )
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to make such an environment with")
    subprocess.run(["cc", "-o", str(tmp_path / "odd"), str(source)], check=True)
    for environment in (env, {**env, "OTEL_SDK_DISABLED": "true"}):
        words = [str(tmp_path / "odd"), shutil.which(runner[0]) or runner[0], *runner[1:]]
        assert outcome(words, ["sh", "-c", "echo ran; exit 3"], environment) == (3, b"ran\n", b"")


@pytest.mark.parametrize("hostile", ["config.json", "on", "VERSION"])
def test_another_users_journal_cannot_hold_the_command(
    hostile: str, any_runner: list[str], env: Env, journal_root: Path
) -> None:
    """A pipe where a file should be, in somebody else's journal: nobody waits for its other end."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    journal_root.mkdir()
    for name in ("VERSION", "on", "config.json"):
        file = journal_root / name
        os.mkfifo(file) if name == hostile else file.write_text("")
    for path in (journal_root, *journal_root.iterdir()):
        os.chown(path, 65534, 65534)
    env["GT_OTEL_DEBUG"] = "1"
    code, out, err = outcome(any_runner, ["sh", "-c", "echo ran; exit 3"], env)
    assert (code, out) == (3, b"ran\n")
    assert b"another user" in err


@pytest.mark.parametrize(
    ("argv", "code"),
    [([""], 127), (["/no/such/file"], 127), (["no-such-command"], 127), (["/"], 126), (["/etc/passwd"], 126)],
)
def test_commands_that_cannot_be_run(
    argv: list[bytes | str], code: int, any_runner: list[str], env: Env
) -> None:
    """Not found is 127, not executable 126, with one line that says so; with telemetry off as well."""
    for environment in (env, {**env, "OTEL_SDK_DISABLED": "true"}):
        returncode, out, err = outcome(any_runner, argv, environment)
        assert (returncode, out) == (code, b"")
        assert err.count(b"\n") == 1
        assert str(argv[0]).encode() in err
        assert outcome(["env"], argv, environment)[0] == code


def test_binary_data_passes_through(any_runner: list[str], env: Env) -> None:
    """A megabyte of any bytes goes in and comes out."""
    data = os.urandom(1 << 20)
    assert outcome(any_runner, ["cat"], env, input=data) == (0, data, b"")


@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_stay_closed(closing: str, any_runner: list[str], env: Env, tmp_path: Path) -> None:
    """A stream that the caller closed is closed for the command, and nothing of ours takes its place."""
    script = (
        'cd /proc/self/fd; for f in 0 1 2; do [ -e $f ] && open="$open $f"; done; echo "open:$open" >"$0"'
    )
    seen = []
    for words in ([], any_runner):
        file = tmp_path / f"seen by {len(words)}"
        closed = ["sh", "-c", f'exec "$@" {closing}', "sh", *words, "sh", "-c", script, str(file)]
        subprocess.run(closed, env=env, timeout=60, check=False)
        seen.append(file.read_text())
    assert seen[0] == seen[1]


def test_a_reader_that_goes_away_ends_the_command(any_runner: list[str], env: Env) -> None:
    """`… | head -1` ends the command with SIGPIPE, silently."""
    with subprocess.Popen(
        [*any_runner, "yes"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == -signal.SIGPIPE
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    "name", ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "TSTP", "CONT", "WINCH", "ALRM"]
)
def test_a_signal_to_us_reaches_the_command_once(name: str, any_runner: list[str], env: Env) -> None:
    """A signal that somebody sends to the wrapper alone is seen by the command, once."""
    with python_child([*any_runner], "signals", env) as child:
        child.expect("ready")
        os.kill(child.pid, signal.Signals[f"SIG{name}"])
        child.expect(f"SIG{name}")
        child.send("stop")
        assert child.rest() == []
        assert child.wait() == 0


def test_a_signal_in_the_first_milliseconds(any_runner: list[str], env: Env) -> None:
    """Whenever SIGTERM comes, the caller sees a death by SIGTERM, and the command does not live on."""
    for attempt in range(30):
        marker = f"60.{os.getpid()}{attempt:03}"
        with subprocess.Popen([*any_runner, "sleep", marker], env=env, stderr=subprocess.PIPE) as process:
            until = time.monotonic() + attempt / 1500
            while time.monotonic() < until:
                pass
            process.terminate()
            assert process.wait(30) == -signal.SIGTERM
            assert process.stderr is not None
            assert process.stderr.read() == b""
        wait_until(lambda word=marker: not running(word), "the command is gone")  # type: ignore[misc]


def running(word: str) -> bool:
    """Return whether a process has this word in its command line."""
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and word.encode() in Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0"):
                return True
        except OSError:
            continue
    return False


def test_killed_with_9_the_command_dies_and_what_it_forked_does_not(any_runner: list[str], env: Env) -> None:
    """Without us kill -9 would have hit the command itself, and nothing else."""
    script = "sleep 300 >/dev/null 2>&1 </dev/null & echo $$ $!; exec sleep 300"
    with subprocess.Popen(
        [*any_runner, "sh", "-c", script], env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        command, forked = (int(word) for word in process.stdout.readline().split())
        process.kill()
        process.wait(30)
        wait_until(lambda: not is_alive(command), "the command is dead")
        assert is_alive(forked)
        os.kill(forked, signal.SIGKILL)


def test_a_caller_with_a_deadline_gets_away(any_runner: list[str], env: Env) -> None:
    """A caller that kills and then reads to the end is not held by a command that would go on."""
    with subprocess.Popen(
        [*any_runner, "sh", "-c", "echo up; exec sleep 300"], env=env, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.kill()
        started = time.monotonic()
        assert process.stdout.read() == b""
        assert time.monotonic() - started < 20


def test_arguments_too_long_for_our_variables(runner: list[str], env: Env) -> None:
    """Where our variables would be the last straw the command runs with its caller's own environment."""
    stack = 1 << 20  # arguments and environment may fill a quarter of it (execve(2))
    long = {"GT_ROLE": "r/polecats/" + "n" * 9000, "GT_RUN": "3f2504e0-4f89-41d3-9a0c-0305e82c3301"}

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_STACK, (stack, stack))

    used = sum(len(name) + len(value) + 10 for name, value in {**env, **long}.items())
    filler = stack // 4 - used - 9000
    env = {**env, **long, **{f"FILLER{i}": "x" * (filler // 8) for i in range(8)}}
    code, out, err = outcome(
        runner, ["sh", "-c", "echo ${TRACEPARENT:-none} ${#FILLER7}"], env, preexec_fn=limit
    )
    assert (code, out, err) == (0, f"none {filler // 8}\n".encode(), b"")


def test_no_size_of_arguments_is_lost(runner: list[str], env: Env, tmp_path: Path) -> None:
    """Whatever fits without us runs with us, at every size around what our own variables take."""
    script = tmp_path / ("long name " * 15)
    script.write_text("#!/usr/bin/env -S sh\necho ran\n")
    script.chmod(0o755)
    stack = 1 << 20

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_STACK, (stack, stack))

    used = sum(len(name) + len(value) + 10 for name, value in env.items())
    for room in range(0, 12000, 400):
        filler = (stack // 4 - used - room) // 8
        filled = {**env, **{f"FILLER{i}": "x" * filler for i in range(8)}}
        try:
            code, out, err = outcome(runner, [str(script)], filled, preexec_fn=limit)
        except OSError:
            continue  # there is no room for ourselves
        if b"execute" not in err or code not in (126, 127):
            assert (code, out) == (0, b"ran\n"), (room, err)


@pytest.mark.parametrize("value", ["C", "POSIX", "xx_YY.UTF-8", "C.UTF-8"])
def test_the_locale_is_the_callers(value: str, any_runner: list[str], env: Env) -> None:
    """Python overwrites LC_CTYPE where the locale is C; the command gets what it was."""
    bare = {name: text for name, text in env.items() if name != "LANG" and not name.startswith("LC_")}
    argv: list[bytes | str] = ["sh", "-c", "echo $LC_CTYPE"]
    assert outcome(any_runner, argv, {**bare, "LC_CTYPE": value})[1].decode().strip() == value


def test_a_write_of_ours_that_fails_is_nobodys_signal(any_runner: list[str], env: Env) -> None:
    """The journal's file over the limit of file sizes: the SIGXFSZ is ours, the command does not get it."""
    outcome(any_runner, ["true"], env)
    for _ in range(5):
        argv: list[bytes | str] = ["sh", "-c", "sleep 0.05; exit 3"]
        code = outcome(
            any_runner, argv, env, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
        )[0]
        assert code == 3


def test_who_waits_for_the_end_of_output_waits_for_the_command_alone(any_runner: list[str], env: Env) -> None:
    """A command that closes its streams, or a pipe of the caller's, lets go of them although it goes on."""
    reader, writer = os.pipe()
    # Not in sh: dash knows descriptors of one digit only.
    closing = f"os.write(1, b'out\\n'); [os.close(number) for number in (0, 1, 2, {writer})]"
    words = [*any_runner, sys.executable, "-c", f"import os, time; {closing}; time.sleep(300)"]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, pass_fds=(writer,)) as process:
        os.close(writer)
        assert process.stdout is not None
        assert process.stdout.read() == b"out\n"
        assert os.read(reader, 1) == b""
        assert process.poll() is None
        process.kill()
    os.close(reader)


def test_a_command_that_has_become_another_user(any_runner: list[str], env: Env, tmp_path: Path) -> None:
    """A signal that we may not hand on is the caller's affair; we go on waiting for the command."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can make a process that root's own signals do not reach")
    script = (
        "import os, sys, time; os.setresuid(65534, 65534, 65534); print('up', flush=True); sys.stdin.read()"
    )
    without_kill = ["setpriv", "--bounding-set", "-kill", "--inh-caps", "-kill"]
    words = [*without_kill, *any_runner, sys.executable, "-c", script]
    with subprocess.Popen(
        words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"up\n"
        process.terminate()
        process.stdin.close()
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_where_there_is_no_room_for_two_processes_the_command_runs(any_runner: list[str], env: Env) -> None:
    """At the limit of processes we cannot start the command beside us: it takes our place."""
    if (
        os.geteuid() != 0
        or not os.access("/usr/bin/prlimit", os.X_OK)
        or not os.access(sys.executable, os.X_OK)
    ):
        pytest.skip("needs root and prlimit to be a user at his limit")
    become = [
        "setpriv",
        "--reuid",
        "64999",
        "--clear-groups",
        "--inh-caps",
        "+dac_override",
        "--ambient-caps",
        "+dac_override",
    ]
    words = [*become, "prlimit", "--nproc=1", *any_runner]
    assert outcome(words, ["/bin/echo", "x"], {**env, "GT_OTEL_JOURNAL": "/tmp/none/of/yours"})[:2] == (
        0,
        b"x\n",
    )


def test_switched_off_nothing_of_us_is_left(any_runner: list[str], env: Env, journal_root: Path) -> None:
    """With telemetry off the wrapper becomes the command: the same process and environment."""
    off = {**env, "OTEL_SDK_DISABLED": "true"}
    with subprocess.Popen(
        [*any_runner, "sh", "-c", "echo $$"], env=off, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.read()) == process.pid
    assert outcome(any_runner, ["env", "-0"], off)[1].count(b"TRACEPARENT") == 0
    assert not journal_root.exists()


def test_the_operators_switch(any_runner: list[str], env: Env, journal_root: Path) -> None:
    """A journal without `on` is switched off, whatever the environment says."""
    outcome(any_runner, ["true"], env)
    (journal_root / "on").unlink()
    before = sorted(journal_root.rglob("*.jsonl"))
    sizes = [file.stat().st_size for file in before]
    assert outcome(any_runner, ["env"], env)[1].count(b"TRACEPARENT") == 0
    assert [file.stat().st_size for file in before] == sizes


def test_the_process_group_is_the_callers(any_runner: list[str], env: Env) -> None:
    """The command is in the wrapper's own process group and session, as a shell's job control needs it."""
    script = "import os; print(os.getpgrp(), os.getsid(0))"
    with subprocess.Popen(
        [*any_runner, sys.executable, "-c", script],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read().split() == [str(process.pid)] * 2


def test_a_failure_to_record_is_silent_unless_asked(any_runner: list[str], env: Env, tmp_path: Path) -> None:
    """A journal that cannot be made changes nothing; GT_OTEL_DEBUG says what went wrong."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    env["GT_OTEL_JOURNAL"] = str(blocked / "journal")
    assert outcome(any_runner, ["sh", "-c", "echo out; exit 3"], env) == (3, b"out\n", b"")
    code, out, err = outcome(any_runner, ["sh", "-c", "echo out; exit 3"], {**env, "GT_OTEL_DEBUG": "1"})
    assert (code, out) == (3, b"out\n")
    assert b"not recorded" in err


@pytest.mark.parametrize(("words", "line"), [
    (["--event", "nonsense", "--", "true"], "unknown event 'nonsense'"),
    (["--nonsense", "--", "true"], "unknown option '--nonsense'"),
    (["--attr", "x", "--", "true"], "--attr wants KEY=VALUE"),
    (["--event"], "--event needs a value"),
    (["--name", "--", "true"], "--name needs a value"),
    (["--"], "no command given"),
])  # fmt: skip
def test_options_that_make_no_sense(words: list[str], line: str, runner: list[str], env: Env) -> None:
    """A mistake on our command line is one line on stderr and exit code 2."""
    code, out, err = outcome([*runner[:-1], *words], [], env)
    assert (code, out) == (2, b"")
    assert line in err.decode()
    assert err.count(b"\n") == 1


def test_help(gt_trace: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """`gt-trace exec --help` explains itself."""
    done = gt_trace("exec", "--help")
    assert done.returncode == 0
    assert "--attr KEY=VALUE" in done.stdout
