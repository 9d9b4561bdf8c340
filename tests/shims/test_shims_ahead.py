"""A command like one that has been recorded is started ahead of Python, and nobody can tell."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shell_kit import ROOT, RUN, SESSION
from shim_kit import Ahead, Shims

from gastown_tracing.journal.parse import ReadSpan
from gastown_tracing.shims import ahead, handover, main, tee
from gastown_tracing.shims.exec import Request
from gastown_tracing.shims.handing import context
from gastown_tracing.shims.plan import make
from propagation.run import new_span_id
from tests.processes import DEADLINE, is_alive, wait_until

Env = dict[str, str]
SAYS_ENVIRONMENT = "env -0"
TRACE, SPAN = "1af7651916cd43dd8448eb211c80319c", "1ad6b7169203331a"
IDS = f"gt.trace_id={TRACE},gt.span_id={SPAN}"


@pytest.fixture
def bd(shims: Shims, tmp_path: Path) -> Ahead:
    """Return a bd whose commands can be started ahead."""
    return Ahead(shims, tmp_path / "ahead")


def environment(said: bytes) -> Env:
    """Return the environment that a stand-in has printed."""
    return dict(item.decode().partition("=")[::2] for item in said.split(b"\0") if item)


#: What a caller has in its environment, beside a session's variables or in their place.
CALLERS: dict[str, tuple[Mapping[str, str], Env]] = {
    "in a session": (SESSION, {}),
    "below a span of its run": (SESSION, {"TRACEPARENT": f"00-{RUN}-{SPAN}-01"}),
    "below a span that was not sampled": (SESSION, {"TRACEPARENT": f"00-{RUN}-{SPAN}-00"}),
    "below another trace": (SESSION, {"TRACEPARENT": f"00-{TRACE}-{SPAN}-03"}),
    "where agents export to a receiver": (
        SESSION,
        {"TRACEPARENT": f"00-{TRACE}-{SPAN}-01", "GT_OTEL_RECEIVER": "http://127.0.0.1:9/x"},
    ),
    "below a gt that says which span it is": (
        SESSION,
        {
            "OTEL_RESOURCE_ATTRIBUTES": f"service.name=a%20b,{IDS},team=x",
            "BAGGAGE": "theirs=1;p=2,gt.role=old",
        },
    ),
    "outside a run": ({}, {}),
    "outside a run, below a span": (
        {},
        {"TRACEPARENT": f"00-{TRACE}-{SPAN}-01", "OTEL_RESOURCE_ATTRIBUTES": IDS},
    ),
}


@pytest.mark.parametrize("caller", CALLERS)
def test_it_is_handed_the_same(caller: str, bd: Ahead) -> None:
    """Environment, parent and link of the second call are those of the first, but for the ids of its own."""
    session, more = CALLERS[caller]
    env = {**bd.shims.env, **session, "GT_ROOT": str(bd.shims.town), "STANDIN": SAYS_ENVIRONMENT, **more}
    handed, spans = [], []
    for number in range(3):
        known = {span.span_id for span in spans}
        done = bd.shims.run_as(["bd", "ready"], env)
        assert (done.returncode, done.stderr) == (0, b"")
        handed.append(environment(done.stdout))
        (span,) = [span for span in bd.shims.written()[0] if span.span_id not in known]
        spans.append(span)
        assert bd.times == number
    for found, span in zip(handed, spans, strict=True):
        flags = found["TRACEPARENT"][-2:]
        assert found["TRACEPARENT"] == f"00-{span.trace_id}-{span.span_id}-{flags}"
        assert f"gt.trace_id={span.trace_id},gt.span_id={span.span_id}" in found["OTEL_RESOURCE_ATTRIBUTES"]
    assert general(handed[0], spans[0]) == general(handed[1], spans[1]) == general(handed[2], spans[2])
    assert [(span.parent_id, span.links) for span in spans[1:]] == [(spans[0].parent_id, spans[0].links)] * 2
    if not session and not more:
        assert len({span.trace_id for span in spans}) == 3


#: What bash changes, and what is of one call of a script.
CHANGED = ("_", "SHLVL", "PWD", "OLDPWD", "GT_TRACE_HANDED")


def general(env: Env, span: ReadSpan) -> Env:
    """Return an environment with the ids of its span replaced."""
    own = {name: value for name, value in env.items() if name not in CHANGED}
    return {
        name: value.replace(span.trace_id, "TRACE").replace(span.span_id, "SPAN")
        for name, value in own.items()
    }


def test_whose_parent_and_span_change_from_call_to_call(bd: Ahead) -> None:
    """As an agent's commands have it: each under the tool call that runs it."""
    parents = [new_span_id() for _ in range(4)]
    for number, parent in enumerate(parents):
        resource = f"service.name=x,gt.trace_id={RUN},gt.span_id={parent}"
        bd.shims.run("bd", "ready", TRACEPARENT=f"00-{RUN}-{parent}-01", OTEL_RESOURCE_ATTRIBUTES=resource)
        assert bd.times == number
    assert sorted(span.parent_id for span in bd.shims.written()[0]) == sorted(parents)


def test_it_does_not_wait_for_python(bd: Ahead, tmp_path: Path) -> None:
    """Python begins when the command has ended; its record says when that began and how it ended."""
    bd.shims.run("bd", "ready")
    bd.slowly(tmp_path / "done")
    done = bd.shims.run("bd", "ready", says=f"echo out; touch {shlex.quote(str(tmp_path / 'done'))}; exit 5")
    assert (done.returncode, done.stdout, done.stderr) == (5, b"out\n", b"")
    first, second = sorted(bd.shims.written()[0], key=lambda span: span.start_ns)
    assert second.attributes["process.exit.code"] == 5
    assert second.parent_id == first.parent_id == ROOT
    assert first.end_ns < second.start_ns < second.end_ns
    assert {log.event_name for log in bd.shims.written()[1]} == {"bd.call"}


@pytest.mark.parametrize(
    "changed",
    [
        {"GT_ROLE": "demo/witness"},
        {"BD_ACTOR": "somebody"},
        {"BAGGAGE": "a=b"},
        {"OTEL_RESOURCE_ATTRIBUTES": "gt.span_id=00"},
        {"TRACEPARENT": "garbage"},
        {"TRACEPARENT": f"00-{RUN}-{'0' * 16}-01"},
        {"GT_LOG_BD_OUTPUT": "true"},
        {"GT_RUN": f"urn:uuid:{SESSION['GT_RUN']}"},
        {"GT_RUN": "../" * 3},
    ],
    ids=str,
)
def test_another_environment_is_for_python(changed: Env, bd: Ahead) -> None:
    """What has not been handed on before is not guessed."""
    bd.shims.run("bd", "ready")
    bd.shims.run("bd", "ready", **changed)
    assert bd.times == 0
    assert len(bd.shims.written()[0]) == 2
    bd.shims.run("bd", "ready")
    assert bd.times == 1


@pytest.mark.parametrize(
    "line", ["create y", "mol wisp z", "close x", "dolt start", "create 'show x' --json"]
)
def test_what_python_has_to_see_first_is_for_python(line: str, bd: Ahead) -> None:
    """Its output goes through us, or it gets no context."""
    bd.shims.run("bd", "ready")
    bd.shims.run("bd", *shlex.split(line))
    assert bd.times == 0


SHOW = ["bd", "show", "de-7", "--json"]


@pytest.mark.parametrize(
    ("out", "err"), [("pipe", "file"), ("file", "pipe"), ("one", "one"), ("file", "file"), ("socket", "pipe")]
)
def test_what_is_no_pair_of_pipes_is_for_python(out: str, err: str, bd: Ahead, tmp_path: Path) -> None:
    """A file is read back, and one pipe for both is not read at all."""
    bd.shims.run(*SHOW)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as cat:
        assert cat.stdin is not None
        one, (ours, theirs) = os.dup(cat.stdin.fileno()), socket.socketpair()
        with (tmp_path / "file").open("wb") as file:
            streams = {"pipe": subprocess.PIPE, "file": file, "one": one, "socket": theirs}
            env = bd.shims.session("true")
            bd.shims.run_as(SHOW, env, capture_output=False, stdout=streams[out], stderr=streams[err])
        os.close(one)
        for end in (ours, theirs):
            end.close()
    assert (bd.times, len(bd.shims.written()[0])) == (0, 2)


def test_what_is_read_arrives_and_is_recorded(bd: Ahead, tmp_path: Path) -> None:
    """Both streams, byte for byte; the id that bd printed, and its own notion of failure."""
    out, err = tmp_path / "out", tmp_path / "err"
    for file in (out, err):
        file.write_bytes(os.urandom(300_000))
    done = [bd.shims.run(*SHOW, says=f"cat '{err}' >&2 & cat '{out}'; wait; exit 3") for _ in range(2)]
    for one in done:
        assert (one.returncode, one.stdout, one.stderr) == (3, out.read_bytes(), err.read_bytes())
    assert bd.times == 1
    bd.shims.run(*SHOW, says='echo "[{\\"id\\": \\"de-7\\"}]"')
    bd.shims.run(*SHOW, says="echo no such bead >&2")
    assert bd.times == 3
    spans = sorted(bd.shims.written()[0], key=lambda span: span.start_ns)
    assert [span.status_code for span in spans] == [2, 2, 0, 2]
    assert [span.attributes.get("error.type") for span in spans][2:] == [None, "no_output"]
    calls = sorted(bd.shims.written()[1], key=lambda log: log.time_ns)
    assert [log.attributes.get("bead_id") for log in calls] == [None, None, "de-7", None]


def test_what_is_not_json_is_not_read(bd: Ahead) -> None:
    """The command has its caller's own pipes."""
    says = "readlink /proc/self/fd/1 /proc/self/fd/2"
    reader, writer = os.pipe()
    name = os.readlink(f"/proc/self/fd/{writer}")
    for _ in range(2):
        bd.shims.run_as(["bd", "show", "x"], bd.shims.session(says), capture_output=False, stdout=writer)
        assert os.read(reader, 1000).decode().split()[0] == name
    os.close(writer)
    os.close(reader)
    assert bd.times == 1


def test_a_bash_whose_here_strings_are_files(bd: Ahead) -> None:
    """BASH_COMPAT can ask for it: then Python makes the pipes."""
    seen = 'for n in /proc/$$/fd/*; do [ -e "$n" ] && echo "$n" | sed s/$$//; done'
    first = bd.shims.run(*SHOW, says=seen, BASH_COMPAT="50")
    assert bd.shims.run(*SHOW, says=seen, BASH_COMPAT="50").stdout == first.stdout
    assert (bd.times, len(bd.shims.written()[0])) == (0, 2)


def test_what_the_run_works_on_is_news(bd: Ahead) -> None:
    """A prime, or another setting, is newer than what was handed on before."""
    bd.shims.run("bd", "ready")
    bd.shims.run("bd", "ready")
    assert bd.times == 1
    work = Path(bd.shims.journal.run_dir(RUN), "work.jsonl")
    work.write_text('{"time":"1","rig":"r","bead":"de-7","mol":"","build":"","source":"x"}\n')
    (note,) = Path(bd.shims.journal.run_dir(RUN)).glob("handed.bd.*")
    os.utime(work, ns=(note.stat().st_mtime_ns + 1,) * 2)
    found = [bd.shims.run("bd", "ready", says='echo "$BAGGAGE"').stdout.decode() for _ in range(2)]
    assert ["gt.work_bead=de-7" in said for said in found] == [True, True]
    assert bd.times == 2
    Path(bd.shims.journal.config_path).write_text('{"GT_LOG_BD_OUTPUT": "true"}\n')
    bd.shims.run("bd", "ready", says="echo said")
    assert bd.times == 2
    assert [log.attributes["stdout"] for log in bd.shims.written()[1] if "stdout" in log.attributes] == [
        "said\n"
    ]


def test_switched_off_it_is_off(bd: Ahead) -> None:
    """The operator's switch counts at once."""
    for _ in range(2):
        bd.shims.run("bd", "ready")
    Path(bd.shims.journal.on_path).unlink()
    assert "TRACEPARENT" not in environment(bd.shims.run("bd", "ready", says=SAYS_ENVIRONMENT).stdout)
    assert (bd.times, len(bd.shims.written()[0])) == (1, 2)


def test_another_users_note_is_not_believed(bd: Ahead) -> None:
    """Who could write there would choose what our commands are told."""
    if os.geteuid() != 0:
        pytest.skip("needs root to give a file away")
    bd.shims.run("bd", "ready")
    (note,) = Path(bd.shims.journal.run_dir(RUN)).glob("handed.bd.*")
    os.chown(note, 64999, 64999)
    bd.shims.run("bd", "ready")
    assert bd.times == 0


@pytest.mark.parametrize("damage", [b"", b"\0" * 9, b"x" * 70_000])
def test_a_damaged_note_is_written_anew(damage: bytes, bd: Ahead) -> None:
    """Whatever stands there, the command runs and is recorded."""
    bd.shims.run("bd", "ready")
    (note,) = Path(bd.shims.journal.run_dir(RUN)).glob("handed.bd.*")
    whole = note.read_bytes()
    note.write_bytes(damage or whole[:-1])
    done = bd.shims.run("bd", "ready", says="echo out")
    assert (done.returncode, done.stdout, done.stderr, bd.times) == (0, b"out\n", b"", 0)
    assert note.read_bytes() == whole
    assert len(bd.shims.written()[0]) == 2


@pytest.mark.parametrize("closed", ["0", "1", "2"])
def test_closed_descriptors_are_for_python(closed: str, bd: Ahead) -> None:
    """Nothing of ours may take their numbers."""
    env = bd.shims.session("exit 3")
    bd.shims.run("bd", "ready")
    assert bd.shims.run_as(["/bin/sh", "-c", f"exec bd ready {closed}>&-"], env).returncode == 3
    assert bd.times == 0
    assert len(bd.shims.written()[0]) == 2


def test_where_the_caller_ignores_its_children(bd: Ahead) -> None:
    """With SIGCHLD ignored an exit code is nobody's, but Python does not inherit that."""
    bd.shims.run("bd", "ready")
    for times in (1, 2):
        done = bd.shims.run_as(
            ["bd", "ready"],
            bd.shims.session("exit 9"),
            preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        )
        assert (done.returncode, bd.times) == (9, times)


@pytest.mark.parametrize("limit", [12, 15, 18, 20, 24, 28, 32, 40])
@pytest.mark.parametrize("more", [{}, {"POSIXLY_CORRECT": "1"}], ids=str)
def test_where_there_are_few_descriptors(limit: int, more: Env, bd: Ahead) -> None:
    """What bash cannot do with the rest of them it does not begin."""
    bd.shims.run("bd", "ready", **more)
    env = bd.shims.session("echo out; exit 9", **more)
    words = ["/bin/sh", "-c", f"ulimit -n {limit}; exec bd ready"]
    done = bd.shims.run_as(words, env)
    assert (done.returncode, done.stdout, done.stderr) == (9, b"out\n", b"")


def test_a_crowd_of_descriptors(bd: Ahead) -> None:
    """The limit is near because the caller has so many open."""
    bd.shims.run("bd", "ready")
    many = [os.dup(0) for _ in range(60)]
    try:
        for limit in range(min(many) + 60, min(many) + 90):
            words = ["/bin/sh", "-c", f"ulimit -n {limit}; exec bd ready"]
            done = bd.shims.run_as(words, bd.shims.session("echo out; exit 9"), pass_fds=many)
            assert (done.returncode, done.stdout, done.stderr) == (9, b"out\n", b"")
    finally:
        for descriptor in many:
            os.close(descriptor)


def test_in_a_namespace_with_the_proc_of_another(bd: Ahead) -> None:
    """Where /proc is of other processes than ours Python starts the command."""
    words = ["unshare", "--pid", "--fork"]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespace may be made here")
    bd.shims.run("bd", "ready")
    done = bd.shims.run_as([*words, "bd", "ready"], bd.shims.session("echo out; exit 9"))
    assert (done.returncode, done.stdout, done.stderr, bd.times) == (9, b"out\n", b"", 0)


@pytest.mark.parametrize("words", [["bd", "ready"], SHOW], ids=["written", "read"])
@pytest.mark.parametrize("spoken", [True, False], ids=["ahead", "by Python after all"])
def test_nothing_of_the_pipeline_is_inherited(spoken: bool, words: list[str], bd: Ahead) -> None:
    """Descriptors and options of bash are those that the caller gave."""
    seen = 'echo "$BASHOPTS"; for n in /proc/$$/fd/*; do [ -e "$n" ] && echo "$n" | sed s/$$//; done'
    env = {"BASHOPTS": "cmdhist"}
    first = bd.shims.run(*words, says=seen, **env).stdout
    if not spoken:
        said = 'echo "$BASHPID $EPOCHREALTIME"'
        bd.file.write_text(bd.file.read_text().replace(said, f"exit; {said}"))
    assert bd.shims.run(*words, says=seen, **env).stdout == first
    assert bd.times == spoken


def test_a_prompt_is_noted_nowhere(bd: Ahead) -> None:
    """gt, its own exporter on, gives an agent of its prompt: content."""
    resource = "service.name=x,gt.prompt=tell%20nobody"
    for _ in range(2):
        bd.shims.run("bd", "ready", OTEL_RESOURCE_ATTRIBUTES=resource, GT_OTEL_RECEIVER="http://x/secret")
    assert bd.times == 0
    for file in Path(bd.shims.journal.root).rglob("handed.*"):
        assert b"tell" not in file.read_bytes()


def test_the_key_to_the_receiver_is_noted_nowhere(bd: Ahead) -> None:
    """Only that there is a receiver decides what is handed on."""
    for _ in range(2):
        bd.shims.run("bd", "ready", GT_OTEL_RECEIVER="http://x/secret")
    assert bd.times == 1
    (note,) = Path(bd.shims.journal.run_dir(RUN)).glob("handed.bd.*")
    assert b"secret" not in note.read_bytes()


def test_lines_do_not_run_together(bd: Ahead) -> None:
    """A line break within a value is none between two."""
    bd.shims.run("bd", "ready", GT_ROLE="x\ny", GT_RIG="z")
    found = bd.shims.run("bd", "ready", says='echo "$BAGGAGE"', GT_ROLE="x", GT_RIG="y\nz").stdout
    assert b"gt.role=x," in found
    assert bd.times == 0


def test_a_note_that_is_wrong_lives_for_one_command(bd: Ahead) -> None:
    """Somebody took the work back, which leaves nothing that is newer: the next command knows better."""
    work = Path(bd.shims.journal.run_dir(RUN), "work.jsonl")
    bd.shims.run("bd", "ready")
    work.write_text('{"time":"1","rig":"r","bead":"de-7","mol":"","build":"","source":"x"}\n')
    os.utime(work, (1, 1))
    found = [bd.shims.run("bd", "ready", says='echo "$BAGGAGE"').stdout for _ in range(3)]
    assert [b"gt.work_bead=de-7" in said for said in found] == [False, True, True]
    assert bd.times == 3
    attributes = [span.attributes.get("work_bead") for span in bd.shims.written()[0]]
    assert attributes.count("de-7") == 3


def line(process: subprocess.Popen[bytes]) -> bytes:
    """Return the next line that a process says, which is short, within half a minute."""
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], DEADLINE)[0]
    return os.read(process.stdout.fileno(), 100)


@pytest.mark.parametrize("runner", ["any_ahead_written", "any_ahead_read"])
def test_the_rows_of_fidelity_are_run_ahead(runner: str, request: pytest.FixtureRequest, env: Env) -> None:
    """The runners that stand there for commands started ahead do start them so."""
    file = Path(request.getfixturevalue(runner))
    mark = file.parent / "mark"
    before = mark.stat().st_size if mark.exists() else 0
    words = [file, "sh", "-c", "ls -l /proc/$$/fd; exit 3"]
    done = subprocess.run(words, env=env, capture_output=True, check=False, timeout=60)
    assert done.returncode == 3
    assert mark.stat().st_size > before


def test_signals_while_python_starts_are_the_commands(bd: Ahead, tmp_path: Path) -> None:
    """They wait for Python, which hands them on."""
    bd.shims.run("bd", "ready")
    bd.slowly(tmp_path / "go")
    env = bd.shims.session("trap 'echo got; exit 7' TERM; echo ready; while :; do sleep 0.01; done")
    with subprocess.Popen(["bd", "ready"], env=env, cwd=bd.shims.town, stdout=subprocess.PIPE) as process:
        assert line(process) == b"ready\n"
        process.send_signal(signal.SIGTERM)
        (tmp_path / "go").touch()
        assert line(process) == b"got\n"
        assert process.wait(60) == 7
    assert bd.times == 1
    assert len(bd.shims.written()[0]) == 2


def test_it_dies_with_us_while_python_starts(bd: Ahead, tmp_path: Path) -> None:
    """Killed with -9 is what the command would have been without us."""
    bd.shims.run("bd", "ready")
    bd.slowly(tmp_path / "never")
    env = bd.shims.session("echo $$; exec sleep 60")
    with subprocess.Popen(["bd", "ready"], env=env, cwd=bd.shims.town, stdout=subprocess.PIPE) as process:
        pid = int(line(process))
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
        wait_until(lambda: not is_alive(pid), "the command dies")


@pytest.fixture
def broken(bd: Ahead, tmp_path: Path) -> Ahead:
    """Return a bd whose commands were handed something once; since then the modules are broken."""
    for words in (["bd", "ready"], SHOW):
        bd.shims.run(*words)
        os.utime(bd.shims.journal.config_path, (1, 1))
    bd.forget()
    modules = tmp_path / "gastown_tracing" / "shims"
    modules.mkdir(parents=True)
    shutil.copy(main.__file__, modules / "main.py")
    text = bd.file.read_text().replace(main.__file__, str(modules / "main.py"))
    bd.file.write_text(text.replace("cpython-", "nobody-"))
    return bd


def started(bd: Ahead, says: str) -> subprocess.Popen[bytes]:
    """Start a command that is read; both its outputs are pipes."""
    env = bd.shims.session(says)
    return subprocess.Popen(SHOW, env=env, cwd=bd.shims.town, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("words", [["bd", "ready"], SHOW], ids=["written", "read"])
def test_an_interpreter_that_cannot_run_costs_nothing(words: list[str], broken: Ahead) -> None:
    """The command has been started, is heard to its end, and ends as it ends."""
    for says, code in (("echo out; exit 4", 4), ("echo out; kill -TERM $$", -signal.SIGTERM)):
        done = broken.shims.run(*words, says=says)
        assert (done.returncode, done.stdout, done.stderr) == (code, b"out\n", b"")
    for size in (1, 400_000):
        says = f"head -c {size} /dev/zero; head -c {size} /dev/zero >&2; exit 5"
        done = broken.shims.run(*words, says=says)
        assert (done.returncode, len(done.stdout), len(done.stderr)) == (5, size, size)
    assert broken.times == 4


def test_a_broken_interpreter_hears_that_a_reader_has_gone(broken: Ahead) -> None:
    """The command gets its SIGPIPE."""
    with started(broken, "exec yes") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == -signal.SIGPIPE
    assert broken.times == 1


def test_a_broken_interpreter_keeps_no_stream_open(broken: Ahead) -> None:
    """A caller may read stderr to its end first, and a child that stays may speak later."""
    says = "exec 2>&-; head -c 300000 /dev/zero; exit 2"
    with started(broken, says) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert process.stderr.read() == b""
        assert len(process.stdout.read()) == 300_000
        assert process.wait(60) == 2
    done = broken.shims.run(*SHOW, says="(sleep 0.1; echo late) & echo out; exit 6")
    assert (done.returncode, done.stdout, done.stderr) == (6, b"out\nlate\n", b"")
    assert broken.times == 2


@pytest.mark.parametrize("ends", [True, False], ids=["it has ended", "it runs"])
def test_killed_before_there_is_a_pump_what_was_said_arrives(ends: bool, bd: Ahead, tmp_path: Path) -> None:
    """As it would without us: it stands in the caller's pipe then."""
    bd.shims.run(*SHOW)
    bd.slowly(tmp_path / "never")
    pid = tmp_path / "pid"
    then = "exit" if ends else "exec sleep 60"
    says = f"echo out; echo err >&2; echo $$ >'{pid}.new'; mv '{pid}.new' '{pid}'; {then}"
    with started(bd, says) as process:
        wait_until(pid.exists, "the command has spoken")
        process.kill()
        assert process.communicate(timeout=60) == (b"out\n", b"err\n")
        wait_until(lambda: not is_alive(int(pid.read_text())), "the command dies")
    assert bd.times == 1


@pytest.mark.parametrize("room", [0, 1])
def test_where_there_is_no_room_for_a_pump(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for our word is told what is left to do, and what has a pump is read."""
    forks = iter([os.fork] * room)

    def fork() -> int:
        real = next(forks, None)
        if real is None:
            raise BlockingIOError(11, "no room")
        return real()

    monkeypatch.setattr(tee.posix, "fork", fork)
    out, err, told = os.pipe(), os.pipe(), os.pipe()
    reading = tee.adopt(out[0], err[0], told[1])
    os.close(out[1])
    assert os.read(told[0], 2) == b"%d" % room
    assert reading.said(1) == (b"" if room else None)
    assert reading.said(2) is None
    reading.close()
    with pytest.raises(BrokenPipeError):
        os.write(err[1], b"x")
    for descriptor in (err[1], told[0]):
        os.close(descriptor)


def test_python_runs_what_was_not_started(bd: Ahead, tmp_path: Path) -> None:
    """Where the shell's other half died before it could say who it is, the command runs, once."""
    text = bd.file.read_text()
    said = 'echo "$BASHPID $EPOCHREALTIME"'
    assert said in text
    bd.file.write_text(text.replace(said, f"echo >>{shlex.quote(str(tmp_path / 'died'))}; exit; {said}"))
    bd.shims.run("bd", "ready")
    done = bd.shims.run("bd", "ready", says="echo out; cat; exit 4", GT_OTEL_DEBUG="")
    assert (done.returncode, done.stdout, done.stderr, bd.times) == (4, b"out\n", b"", 0)
    assert (tmp_path / "died").read_text() == "\n"
    assert len(bd.shims.written()[0]) == 2


def test_where_there_is_no_room_for_two_processes(bd: Ahead, tmp_path: Path) -> None:
    """At the limit of processes bash would wait for room; the command takes our place."""
    if os.geteuid() != 0 or not os.access("/usr/bin/prlimit", os.X_OK):
        pytest.skip("needs root and prlimit to be a user at his limit")
    programs = tmp_path / "binary"
    programs.mkdir()
    shutil.copy("/bin/echo", programs / "bd")  # a script would need processes of its own
    become = [
        "--reuid",
        "64998",
        "--clear-groups",
        "--inh-caps",
        "+dac_override",
        "--ambient-caps",
        "+dac_override",
    ]
    env = bd.shims.session(GT_OTEL_JOURNAL=str(tmp_path / "theirs" / "journal"))
    env["PATH"] = f"{bd.shims.folder}/bd:{programs}:/usr/bin:/bin"  # a bd of the machine's is not meant
    (tmp_path / "theirs").mkdir()
    for path in (tmp_path / "theirs", tmp_path):
        os.chown(path, 64998, -1)
    for limit, times in (([], 0), ([], 1), (["prlimit", "--nproc=1:1"], 1)):
        done = bd.shims.run_as(["setpriv", *become, *limit, "bd", "ready"], env)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"ready\n", b"")
        assert bd.times == times
        os.utime(tmp_path / "theirs" / "journal" / "config.json", (1, 1))


def keys() -> Iterator[str]:
    """Yield what the shell finds: slot and key of the environment it has."""
    yield "_gt_trace_journal=/nowhere _gt_trace_town=$TOWN _gt_trace_slot="
    yield f"while :; do {ahead.key()} break; done"
    yield 'printf "%s " "$_gt_trace_slot"; printf %s "$_gt_trace_key"'


HEX = st.text("0123456789abcdef", min_size=16, max_size=16)
VALUES = st.one_of(st.just(""), st.text(st.sampled_from("ab,=;%-0é\n'\"$`\\* "), max_size=12))
PARENTS = st.one_of(
    st.just(""),
    st.builds("00-{}{}-{}-{}".format, HEX, HEX, HEX, st.sampled_from(["00", "01", "03", "ff"])),
    VALUES,
)
RESOURCES = st.one_of(
    VALUES,
    st.builds(
        "{}gt.trace_id={}{},gt.span_id={}{}".format, st.sampled_from(["", "a=b,"]), HEX, HEX, HEX, VALUES
    ),
    st.builds("a=b,gt.span_id={}".format, HEX),
)


@given(
    st.dictionaries(st.sampled_from(handover.VARIABLES[1:]), VALUES, max_size=6),
    PARENTS,
    RESOURCES,
    st.sampled_from(["", SESSION["GT_RUN"], RUN]),
)
def test_the_shell_and_python_mean_the_same_key(env: Env, parent: str, resource: str, run: str) -> None:
    """Where the shell takes an environment for one that may be known, it names it as Python does."""
    found = {
        **env, "TRACEPARENT": parent, "OTEL_RESOURCE_ATTRIBUTES": resource, "GT_RUN": run,
    }  # fmt: skip
    if not run:
        found.pop("GT_SESSION", None)
    done = subprocess.run(
        ["/bin/bash", "-p", "-c", "\n".join(keys())],
        env={**found, "TOWN": "/a town", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    slot, _, key = done.stdout.decode().partition(" ")
    assert done.stderr == b""
    if slot:
        assert key == handover.key(found, "/a town")
        assert int(slot) == len(key) % handover.SLOTS
    else:
        assert parent or "gt." in resource  # what is plain is always taken


class Asked(dict[str, str]):
    """An environment that knows what it was asked for."""

    def __init__(self, *args: Mapping[str, str]) -> None:
        super().__init__(*args)
        self.names: set[str] = set()

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # two of three
        self.names.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return super().__contains__(name)


#: What is asked for and does not matter: the shell asks itself, or it changes nothing of what is handed on.
ELSEWHERE = {"TRACEPARENT", "OTEL_RESOURCE_ATTRIBUTES", "TMUX_PANE", "OTEL_SDK_DISABLED", "GT_OTEL_DEBUG"}


@pytest.mark.parametrize("caller", CALLERS)
def test_all_that_decides_is_in_the_key(caller: str, bd: Ahead) -> None:
    """Whatever is asked for, on the way to what a command is handed, is compared."""
    session, more = CALLERS[caller]
    bd.shims.run("bd", "ready")
    env = Asked({**bd.shims.env, **session, "GT_ROOT": str(bd.shims.town), **more})
    plan = make(env, "test")
    assert plan is not None
    request = Request([b"bd", b"ready"], "bd.call", "", {})
    request.program = "bd"
    context(request, plan, SPAN)
    handover.exported("bd", plan.telemetry)
    assert env.names - ELSEWHERE <= {*handover.VARIABLES, handover.SWITCH}
    assert env.names & {"GT_RUN", "BAGGAGE", "GT_ROLE"}
