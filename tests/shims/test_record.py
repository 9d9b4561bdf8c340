"""What a command through us leaves in the journal."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from shell_kit import ROOT, RUN
from shell_kit import SESSION as WHOLE_SESSION

import gastown_tracing
from gastown_tracing.events import commands
from gastown_tracing.events.registry import EVENTS
from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.markers import sweep
from gastown_tracing.journal.otlp import Span
from gastown_tracing.journal.reader import read_loose, read_run
from gastown_tracing.shims import exec, main  # noqa: A004 # the command's name
from gastown_tracing.shims.launcher import LOADER
from tests.processes import wait_until

Env = dict[str, str]
Spans = Callable[[], list[Span]]
#: The session without its work's rig, which is then unknown.
SESSION = {name: value for name, value in WHOLE_SESSION.items() if name != "GT_WORK_RIG"}


def run(words: list[str], env: Env) -> int:
    return subprocess.run(words, env=env, stdout=subprocess.DEVNULL, timeout=60, check=False).returncode


def test_three_commands_deep_is_a_tree_three_deep(runner: list[str], env: Env, spans: Spans) -> None:
    """Every command is the child of the one that ran it, the outermost of the run's root."""
    run([*runner, *runner, *runner, "true"], {**env, **SESSION})
    by_parent = {span.parent_id: span for span in spans()}
    assert len(by_parent) == 3
    parent = ROOT
    for _ in range(3):
        span = by_parent[parent]
        assert span.trace_id == RUN
        parent = span.span_id


def test_a_span_says_who_and_what(runner: list[str], env: Env, spans: Spans) -> None:
    """Identity, work, outcome and OpenTelemetry's names are there; what is content is not."""
    argv = ["--event", "bd.call", "--", "sh", "-c", "exit 3 # SECRET", "--json"]
    assert run([*runner[:-1], *argv], {**env, **SESSION}) == 3
    (span,) = spans()
    assert (span.name, span.kind, span.status_code, span.status_message) == ("bd.call", 3, 2, "exit code 3")
    expected = {
        "run.id": RUN, "instance": f"{os.uname().nodename}:town", "town_root": "/home/op/town",
        "agent_type": "claudecode", "role": "polecat", "agent_name": "rust", "session_id": "de-rust",
        "rig": "demo",
        "work_bead": "de-1tr", "args": "-c ‹15 bytes› --json", "exit_code": 3, "status": "error",
        "error.type": "3",
        "process.exit.code": 3, "process.executable.name": "sh",
    }  # fmt: skip
    assert {name: span.attributes.get(name) for name in expected} == expected
    assert span.attributes["duration_ms"] == pytest.approx((span.end_ns - span.start_ns) / 1e6)


def test_nothing_that_a_command_was_given_is_recorded(
    runner: list[str], env: Env, journal_root: Path
) -> None:
    """No argument, environment value or output stands in any file of the journal."""
    canary = "CANARY"
    for event in ("exec", "bd.call", "git.operation", "gt.command"):
        words = [
            *runner[:-1],
            "--event",
            event,
            "--",
            "sh",
            "-c",
            f"echo {canary}",
            canary,
            f"--x={canary}",
            f"-d{canary}",
        ]
        run(words, {**env, "OTHER": canary})
    for file in journal_root.rglob("*"):
        assert file.is_dir() or canary.lower() not in file.read_text().lower()
    assert list(journal_root.rglob("traces.jsonl"))


def test_the_log_record_belongs_to_its_span(
    runner: list[str], env: Env, journal_root: Path, spans: Spans
) -> None:
    """One log record a command: its event, its severity, the trace and span it belongs to, its own id."""
    run([*runner, "false"], {**env, **SESSION})
    (span,) = spans()
    (log,) = read_run(Journal(str(journal_root)), RUN).logs
    assert (log.event_name, log.body, log.severity_number) == ("exec", "exec", 17)
    assert (log.trace_id, log.span_id) == (RUN, span.span_id)
    assert log.attributes["error"] == "exit code 1"
    assert re.fullmatch("[0-9a-f]{32}", str(log.attributes["log.record.uid"]))


def test_a_signal_is_told_by_name(runner: list[str], env: Env, spans: Spans) -> None:
    """A death by signal is an error with the signal's name, and 128 and its number as a shell counts."""
    run([*runner, "sh", "-c", "kill -TERM $$"], env)
    (span,) = spans()
    assert (span.status_message, span.attributes["error.type"]) == ("killed by SIGTERM", "SIGTERM")
    assert span.attributes["exit_code"] == 143


def test_a_command_that_cannot_be_run_is_recorded(runner: list[str], env: Env, spans: Spans) -> None:
    """It is a span with exit code 127 and without a process id, which there was none of."""
    subprocess.run([*runner, "no-such-command"], env=env, capture_output=True, timeout=60, check=False)
    (span,) = spans()
    assert span.attributes["exit_code"] == 127
    assert "process.pid" not in span.attributes


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--event slng", "unknown event 'slng'; one of: "),
        ("--event bead.create", "bead.create is no event of a command; one of: "),
        ("--event sling --attr bead=", "bead is empty"),
        (
            "--event done --attr exit_type=GONE",
            "exit_type is one of COMPLETED, ESCALATED, DEFERRED, not 'GONE'",
        ),
        ("--event mol.squash --attr done_steps=x", "done_steps is a whole number, not 'x'"),
        ("--attr duration_ms=soon", "duration_ms is a number, not 'soon'"),
        ("--attr status=ok", "status is no attribute to give: a record says it by itself"),
        ("--attr colour", "--attr wants KEY=VALUE, not 'colour'"),
    ],
)
def test_an_attribute_of_another_type_is_one_line_and_nothing_runs(
    options: str, said: str, runner: list[str], env: Env, tmp_path: Path
) -> None:
    """The command line is wrong: exit code 2 before the command would have run."""
    words = [*runner[:-1], *options.split(), "--", "touch", str(tmp_path / "ran")]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"gt-trace exec: {said}")
    assert not list(tmp_path.iterdir())


def test_attributes_have_the_registrys_types_gates_and_limits(
    runner: list[str], env: Env, spans: Spans
) -> None:
    """Numbers and flags are no text, content needs its opt-in, an attribute of one's own is text."""
    squash = ["--event", "mol.squash", "--attr", "mol_id=m", "--attr", "done_steps=3", "--attr", "mine=3"]
    mail = ["--event", "mail", "--attr", "operation=send", "--attr", "msg_to=mayor/", "--attr"]
    for words, more in (
        ([*squash, "--attr", "digest_created=false"], {}),
        ([*mail, f"msg.body={'é' * 200}"], {}),
        ([*mail, f"msg.body={'é' * 200}"], {"GT_LOG_MAIL_BODY": "true"}),
    ):
        assert run([*runner[:-1], *words, "--", "true"], {**env, **SESSION, **more}) == 0
    first, second, third = [span.attributes for span in spans()]
    found = {name: first[name] for name in ("mol_id", "done_steps", "digest_created", "mine")}
    assert found == {"mol_id": "m", "done_steps": 3, "digest_created": False, "mine": "3"}
    assert "msg.body" not in second
    assert third["msg.body"] == "é" * 128 + "…‹cut 144 bytes›"
    assert [span.kind for span in spans()] == [1, 4, 4]
    assert third["messaging.destination.name"] == "mayor/"


def test_a_done_that_runs_as_a_command_knows_its_work(
    runner: list[str], env: Env, journal_root: Path, spans: Spans
) -> None:
    """Rig, bead and time are filled in as by `gt-trace done`, the time up to the command's end."""
    run([*runner, "true"], {**env, **SESSION})
    began = time.time_ns() - 60 * 10**9
    line = {"time": str(began), "rig": "other", "bead": "de-2", "mol": "", "build": "", "source": "prime"}
    Path(Journal(str(journal_root)).run_dir(RUN), "work.jsonl").write_text(json.dumps(line) + "\n")
    run([*runner[:-1], "--event", "done", "--attr", "exit_type=COMPLETED", "--", "true"], {**env, **SESSION})
    (span,) = [span for span in spans() if span.name == "done"]
    assert (span.attributes["rig"], span.attributes["bead_id"]) == ("other", "de-2")
    assert span.attributes["time_to_complete_ms"] == pytest.approx((span.end_ns - began) / 1e6)


@pytest.mark.parametrize(("flags", "recorded"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_the_sampled_flag_outside_a_run(
    flags: str, recorded: bool, runner: list[str], env: Env, spans: Spans
) -> None:
    """A caller that does not sample is obeyed, and its context is handed on as it came."""
    parent = f"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}"
    words = [*runner, "sh", "-c", "echo $TRACEPARENT"]
    done = subprocess.run(
        words, env={**env, "TRACEPARENT": parent}, capture_output=True, text=True, timeout=60, check=True
    )
    assert [span.parent_id for span in spans()] == (["00f067aa0ba902b7"] if recorded else [])
    assert done.stdout.strip().endswith(f"-{flags}")
    assert (done.stdout.strip() == parent) is not recorded


def test_killed_with_9_the_call_is_recorded_as_interrupted(
    runner: list[str], env: Env, journal_root: Path
) -> None:
    """A wrapper that is killed leaves its marker; whoever sweeps makes it one interrupted span."""
    env |= SESSION
    directory = Journal(str(journal_root)).run_dir(RUN)
    with subprocess.Popen([*runner, "sleep", "300"], env=env) as process:
        wait_until(lambda: any(Path(directory, "open").glob("[!.]*")), "the call is marked as in progress")
        in_progress = read_run(Journal(str(journal_root)), RUN).in_progress
        assert [span.name for span in in_progress] == ["sleep"]
        process.send_signal(signal.SIGKILL)
    assert [sweep(directory), sweep(directory)] == [1, 0]
    found = read_run(Journal(str(journal_root)), RUN)
    assert [(span.name, span.status_code) for span in found.spans] == [("sleep", 2)]
    assert [(log.event_name, log.attributes["status"]) for log in found.logs] == [("exec", "error")]
    assert found.in_progress == []


def test_a_call_outside_any_session_is_swept_by_the_next_list(
    runner: list[str], env: Env, journal_root: Path, gt_trace: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Killed outside a session, the mark becomes its interrupted span when somebody lists sessions."""
    with subprocess.Popen([*runner, "sleep", "300"], env=env) as process:
        wait_until(lambda: list(journal_root.glob("loose/*/open/[!.]*")), "the call is marked as in progress")
        process.kill()
    assert gt_trace("session", "list").returncode == 0
    assert not list(journal_root.glob("loose/*/open/*"))
    assert [span.name for span in read_loose(Journal(str(journal_root))).spans] == ["sleep"]


def test_a_record_without_room_is_no_interruption(runner: list[str], env: Env, journal_root: Path) -> None:
    """What cannot be written when the command ends stays in its mark; the next sweep writes it as it was."""
    env |= SESSION
    directory = Path(Journal(str(journal_root)).run_dir(RUN))
    run([*runner, "true"], env)
    (directory / "traces.jsonl").write_text("x" * 65536 + "\n")
    (directory / "logs.jsonl").unlink()

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (32768, 32768))

    done = subprocess.run(
        [*runner, "sleep", "0.2"], env=env, capture_output=True, preexec_fn=no_room, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert sweep(str(directory)) == 1
    found = read_run(Journal(str(journal_root)), RUN)
    assert [(span.name, span.attributes["exit_code"], span.status_code) for span in found.spans] == [
        ("sleep", 0, 0)
    ]
    assert [log.attributes["exit_code"] for log in found.logs] == [0]


def test_the_work_of_the_last_prime_beats_the_environment(
    runner: list[str], env: Env, journal_root: Path, spans: Spans
) -> None:
    """A running agent never sees a later GT_WORK_*; the run's work.jsonl says what it works on."""
    run([*runner, "true"], {**env, **SESSION})
    line = {"time": "1000000000", "rig": "other", "bead": "de-new", "mol": "", "build": "", "source": "prime"}
    Path(Journal(str(journal_root)).run_dir(RUN), "work.jsonl").write_text(json.dumps(line) + "\n")
    words = [*runner, "sh", "-c", "echo $BAGGAGE"]
    done = subprocess.run(
        words, env={**env, **SESSION}, capture_output=True, text=True, timeout=60, check=True
    )
    assert [span.attributes["work_bead"] for span in spans()] == ["de-1tr", "de-new"]
    assert "gt.work_bead=de-new" in done.stdout


def test_a_prime_that_says_no_work_is_no_work(
    runner: list[str], env: Env, journal_root: Path, spans: Spans
) -> None:
    """What the last prime left empty is not filled from the environment, nor handed on from before."""
    inherited = {
        "BAGGAGE": "gt.work_mol=mol-old,theirs=1",
        "OTEL_RESOURCE_ATTRIBUTES": "gt.work_mol=mol-old,a=b",
    }
    directory = Path(Journal(str(journal_root)).run_dir(RUN))
    run([*runner, "true"], env)
    for bead in ("de-new", ""):
        directory.mkdir(parents=True, exist_ok=True)
        line = {"time": "1000000000", "rig": "", "bead": bead, "mol": "", "build": "", "source": "prime"}
        (directory / "work.jsonl").write_text(json.dumps(line) + "\n")
        words = [*runner, "sh", "-c", "echo $BAGGAGE $OTEL_RESOURCE_ATTRIBUTES"]
        done = subprocess.run(
            words, env={**env, **SESSION, **inherited}, capture_output=True, text=True, timeout=60, check=True
        )
        assert "gt.work_mol" not in done.stdout
        assert ("gt.work_bead=de-new" in done.stdout) is bool(bead)
        assert "de-1tr" not in done.stdout
        assert "theirs=1" in done.stdout
        assert "a=b" in done.stdout
    assert [span.attributes.get("work_bead") for span in spans()] == ["de-new", None, None]


def test_nothing_is_written_before_the_command_runs(
    runner: list[str], env: Env, journal_root: Path, tmp_path: Path
) -> None:
    """Up to the command's exec no file of the journal is opened for writing; no socket ever is."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    log = tmp_path / "strace"
    env.setdefault("SHELL", "/bin/sh")  # bash asks the user database, by a socket, where nobody says
    calls = "trace=execve,openat,open,creat,mkdir,mkdirat,rename,link,socket,connect"
    done = subprocess.run(
        [strace, "-f", "-o", log, "-e", calls, *runner, sys.executable, "-S", "-c", "pass"],
        env=env, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    if b"PTRACE" in done.stderr or not log.exists():
        pytest.skip("strace may not trace here")
    lines = log.read_text().splitlines()
    command = max(
        i
        for i, line in enumerate(lines)
        if "execve(" in line and '"-c", "pass"]' in line and "setpriv" not in line
    )
    root = re.escape(str(journal_root))
    writes = re.compile(rf'"{root}[^"]*".*(O_WRONLY|O_RDWR|O_CREAT)|mkdir\w*\("?{root}')
    assert not [line for line in lines[:command] if writes.search(line)]
    assert [line for line in lines[command:] if writes.search(line)]
    assert not [line for line in lines if "socket(" in line or "connect(" in line]


def test_the_fast_path_loads_no_heavy_module(env: Env) -> None:
    """Of the standard library the launcher's program loads what is built in, and no more."""
    base = subprocess.run(
        [sys.executable, "-I", "-S", "-E", "-X", "importtime", "-c", "pass"],
        capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    ours = subprocess.run(
        [sys.executable, "-I", "-S", "-E", "-X", "importtime", main.__file__, "-", "--", "true"],
        env={**env, "GT_OTEL_DEBUG": "1"},  # else stderr is let go of when the command runs
        capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    # What makes the bundle comes last.
    ours = ours.partition(" gastown_tracing.shims.bundle\n")[0].rpartition("\n")[0]
    names = [{line.rpartition("|")[2].strip() for line in text.splitlines()} for text in (base, ours)]
    added = {name for name in names[1] - names[0] if not name.startswith(("gastown_tracing", "propagation"))}
    assert added <= {"_signal", "errno", "fcntl", "gc", "marshal", "posix", "time"}
    assert "gastown_tracing.events.commands" in names[1]
    assert "gastown_tracing.events.registry" not in names[1]


def test_the_events_that_need_no_registry_are_those_of_any_command() -> None:
    """Their names stand where a command line is read, without loading what they consist of."""
    assert set(exec.COMMANDS) == set(commands.COMMANDS)
    assert all(EVENTS[name] is event and event.is_span for name, event in commands.COMMANDS.items())


@pytest.fixture
def installed(tmp_path: Path, env: Env) -> tuple[list[str], Path]:
    """Return the words that run a copy of the packages by its bundle, and the bundle's file."""
    package = Path(gastown_tracing.__file__ or "").parent
    for name in ("gastown_tracing", "propagation"):
        shutil.copytree(package.parent / name, tmp_path / name, ignore=shutil.ignore_patterns("*.bundle"))
    program = tmp_path / "gastown_tracing/shims/main.py"
    bundle = Path(main.path(str(tmp_path)))
    python = [sys.executable, "-I", "-S", "-E"]
    assert run([*python, str(program), "-", "--", "true"], env) == 0
    assert bundle.exists()
    return [*python, "-c", LOADER, str(bundle), str(program), "-"], bundle


def test_the_bundle_runs_commands_and_records_them(
    installed: tuple[list[str], Path], env: Env, spans: Spans
) -> None:
    """The same modules from one file: the command's exit code comes back, its span is there."""
    assert run([*installed[0], "--", "sh", "-c", "exit 3"], env) == 3
    assert [span.attributes["exit_code"] for span in spans()] == [0, 3]


def test_a_changed_module_is_not_taken_from_the_bundle(installed: tuple[list[str], Path], env: Env) -> None:
    """The bundle is used only while it fits the sources: an upgraded package is what runs, whole."""
    words, bundle = installed
    for file in (bundle.parent.parent / name for name in ("exec.py", "main.py", "options.py")):
        text = (
            file.read_text()
            .replace("run_launched(", "run_renamed(")
            .replace("import run_launched", "import run_renamed")
        )
        file.write_text(text.replace('"usage: gt-trace exec', '"changed: gt-trace exec'))
    blocked = [*words, "--", "grep", "SigBlk", "/proc/self/status"]
    seen = subprocess.run(blocked, env=env, capture_output=True, text=True, check=True).stdout
    assert int(seen.split()[1], 16) == 0
    os.utime(bundle.parent.parent / "exec.py", (1, 1))  # and an old one again
    done = subprocess.run([*words, "--x"], env=env, capture_output=True, text=True, check=False)
    assert "changed: gt-trace exec" in done.stderr


@pytest.mark.parametrize("part", ["", "options", "following"])
@pytest.mark.parametrize("damage", ["", "short", "zeros", "other"])
def test_a_damaged_bundle_is_not_used(
    damage: str, part: str, installed: tuple[list[str], Path], env: Env
) -> None:
    """Empty, cut off, full of zeros or of another interpreter: the command runs, from the sources."""
    words, _ = installed
    bundle = Path(main.path(words[-2].removesuffix(f"/{main.PROGRAM}"), part))
    whole = bundle.read_bytes()
    broken = {"": b"", "short": whole[:2000], "zeros": bytes(len(whole)), "other": b"\0" * 4 + whole[4:]}[
        damage
    ]
    bundle.write_bytes(broken)
    done = subprocess.run(
        [*words, "--", "sh", "-c", "echo ran; exit 3"], env=env, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, b"ran\n", b"")
    assert bundle.read_bytes() != broken


def test_a_package_that_does_not_load_leaves_the_command_alone(
    installed: tuple[list[str], Path], env: Env
) -> None:
    """In the middle of an upgrade: modules that fail to import, before the command or while it runs."""
    words, bundle = installed
    for name in ("identity.py", "shims/record.py", "shims/exec.py"):
        (bundle.parent.parent.parent / name).write_text("raise ImportError('half installed')\n")
        command = ["--event", "bd.call", "--", "sh", "-c", "echo ran; exit 3"]
        done = subprocess.run([*words, *command], env=env, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (3, b"ran\n", b"")


def test_without_the_package_the_launcher_runs_the_command(
    env: Env, tmp_path: Path, launcher_file: Path
) -> None:
    """An interpreter or package that is gone leaves the command as it is."""
    broken = tmp_path / "launcher"
    broken.write_text(launcher_file.read_text().replace("/gastown_tracing/", "/gone/"))
    broken.chmod(0o755)
    assert run([str(broken), "--event"], env) == 0  # nothing to run, and no endless loop
    words = [
        str(broken),
        "--event",
        "bd.call",
        "--name=x",
        "--",
        "sh",
        "-c",
        'echo "$1"; exit 5',
        "sh",
        "a b",
    ]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (5, "a b\n", "")
