"""`gt-trace event`, `mail`, `sling`, `nudge`, `done`: command lines, and what they leave in the journal."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from shell_kit import ROOT, RUN, SESSION, Done, Shell

from gastown_tracing.events.registry import EVENTS
from gastown_tracing.journal.index import bead_span

CALLER, ELSEWHERE = "00f067aa0ba902b7", "4bf92f3577b34da6a3ce929d0e0e4736"
INTERNAL, CLIENT, PRODUCER, CONSUMER = 1, 3, 4, 5

#: A command line; its event; its span's kind, 0 for none; what stands on the records.
RIGHT: list[tuple[str, str, int, dict[str, object]]] = [
    ("event sling bead=de-1 target=demo", "sling", INTERNAL, {"bead": "de-1", "target": "demo"}),
    ("sling de-1", "sling", INTERNAL, {"bead": "de-1", "target": None}),
    ("sling de-1 demo/polecats/rust", "sling", INTERNAL, {"target": "demo/polecats/rust"}),
    ("sling target=demo de-1", "sling", INTERNAL, {"bead": "de-1", "target": "demo"}),
    ("sling -- a=b -c", "sling", INTERNAL, {"bead": "a=b", "target": "-c"}),
    ("sling de-1 target=a=b", "sling", INTERNAL, {"target": "a=b"}),
    ("sling de-1 target=", "sling", INTERNAL, {"target": None}),
    ("mail send to=mayor/ subject=Done", "mail", PRODUCER, {"msg.to": "mayor/", "msg.subject": "Done"}),
    ("mail read id=hq-1 thread_id=t", "mail", CONSUMER, {"msg.id": "hq-1", "msg.thread_id": "t"}),
    ("mail list msg.type=task msg_priority=2", "mail", INTERNAL, {"msg.type": "task", "msg.priority": "2"}),
    ("event mail operation=send msg.from=x", "mail", PRODUCER, {"operation": "send", "msg.from": "x"}),
    ("nudge demo/witness", "nudge", INTERNAL, {"target": "demo/witness", "status": "ok", "error": ""}),
    ("nudge x --error=", "nudge", INTERNAL, {"status": "ok"}),
    ("nudge x --error broke", "nudge", INTERNAL, {"status": "error", "error": "broke"}),
    ("nudge x --attr colour=red --attr=n=1", "nudge", INTERNAL, {"colour": "red", "n": "1"}),
    ("nudge --attr target=x", "nudge", INTERNAL, {"target": "x"}),
    ("done", "done", INTERNAL, {"exit_type": "COMPLETED", "rig": "other", "bead_id": "de-1tr"}),
    ("done ESCALATED work_type=bug", "done", INTERNAL, {"exit_type": "ESCALATED", "work_type": "bug"}),
    ("done bead=de-5", "done", INTERNAL, {"bead_id": "de-5", "bead": None}),
    ("done rig=r time_to_complete_ms=1.5", "done", INTERNAL, {"rig": "r", "time_to_complete_ms": 1.5}),
    ("event done exit_type=DEFERRED bead_id=b", "done", INTERNAL, {"exit_type": "DEFERRED", "bead_id": "b"}),
    ("event bd.call args=list", "bd.call", CLIENT, {"subcommand": "list", "args": "list"}),
    ("event bd.call exit_code=0", "bd.call", CLIENT, {"exit_code": 0, "status": "ok"}),
    ("event bd.call exit_code=3", "bd.call", CLIENT, {"exit_code": 3, "error": "exit code 3"}),
    ("event bd.call exit_code=-15", "bd.call", CLIENT, {"exit_code": 143, "error": "killed by SIGTERM"}),
    ("event exec name=make duration_ms=2", "exec", INTERNAL, {"name": "make", "duration_ms": 2.0}),
    ("event git.operation operation=push", "git.operation", CLIENT, {"operation": "push"}),
    ("event mol.squash mol_id=m digest_created=yes", "mol.squash", INTERNAL, {"digest_created": True}),
    ("event mol.squash mol_id=m done_steps=07", "mol.squash", INTERNAL, {"done_steps": 7}),
    ("event bead.create bead_id=de-9", "bead.create", 0, {"bead_id": "de-9", "status": None}),
    ("event agent.instantiate", "agent.instantiate", 0, {"run.uuid": SESSION["GT_RUN"]}),
    ("event retry.alert agent_name=x error_rate=0.5", "retry.alert", 0, {"error_rate": 0.5}),
    ("event agent.state_change agent_id=a new_state=s --error e", "agent.state_change", 0, {"error": "e"}),
]

#: A command, what is wrong behind it, and what is said about that.
WRONG = [
    ("event sling", "", "bead is missing; give bead=VALUE"),
    ("event sling", "de-1", "'de-1' is no KEY=VALUE"),
    ("sling", "", "bead is missing; give bead=VALUE"),
    ("sling", "a b c", "'c' is no KEY=VALUE"),
    ("sling", "a bead=b", "bead is given twice"),
    ("sling", "a --attr bead=b", "bead is given twice"),
    ("sling", "a --attr x=1 --attr x=2", "'x' is given twice"),
    ("sling", "a taget=b", "sling has no attribute 'taget'; it has: bead, target"),
    ("sling", "bead=", "bead is empty"),
    ("sling", "a --force", "unknown option '--force'; words that begin with - go behind --"),
    ("sling", "a --error", "--error needs a value"),
    ("sling", "a --attr x", "--attr wants KEY=VALUE, not 'x'"),
    ("sling", "a --attr run.id=x", "run.id is no attribute to give: a record says it by itself"),
    ("sling", "a error=x", "error is no attribute to give; --error TEXT says that it failed"),
    ("sling", "a --list", "only `gt-trace event` has --list"),
    ("done", "FINISHED", "exit_type is one of COMPLETED, ESCALATED, DEFERRED, not 'FINISHED'"),
    ("done", "time_to_complete_ms=soon", "time_to_complete_ms is a number, not 'soon'"),
    ("done", "bead=a bead_id=b", "bead_id is given twice"),
    ("sling", f"a {'k' * 200}=b", f"sling has no attribute '{'k' * 80}'…; it has: bead, target"),
    ("sling", f"a --{'k' * 200}", f"unknown option '--{'k' * 78}'…; words that begin with - go behind --"),
    ("sling", f"a b {'k' * 200}", f"'{'k' * 80}'… is no KEY=VALUE"),
    ("prime", "hook_mode=2", "hook_mode is true or false, not '2'"),
    ("prime", "rig=a work_rig=b", "work_rig is given twice"),
    ("event bd.call", "exit_code=1.5", "exit_code is a whole number, not '1.5'"),
    ("event bd.call", "duration_ms=-1", "duration_ms is less than 0: '-1'"),
    ("event bd.call", "duration_ms=1e305", "duration_ms is more than all the time since 1970: '1e305'"),
    ("event bd.call", "exit_code=-65", "exit_code is less than -64: '-65'"),
    ("event bead.create", "bead_id=b --error x", "it cannot fail: leave --error out"),
]
#: The same of the event's name.
UNNAMED = [
    ("slng", "unknown event 'slng' (did you mean sling?)"),
    ("z" * 200, f"unknown event '{'z' * 80}'…"),
    ("zzzzzz", "unknown event 'zzzzzz'"),
    ("bead=x", "the event's name is missing"),
]


@pytest.mark.parametrize(("line", "event", "kind", "expected"), RIGHT, ids=[row[0] for row in RIGHT])
def test_what_is_said_is_recorded(
    line: str, event: str, kind: int, expected: dict[str, object], shell: Shell
) -> None:
    """One log record and, where the event is one, one span, below the run's root; nothing is printed."""
    shell(*line.split())
    spans, (log,) = shell.written()
    assert {name: log.attributes.get(name) for name in expected} == expected
    assert (log.event_name, log.body, log.trace_id) == (event, event, RUN)
    assert log.attributes["run.id"] == RUN
    assert len(str(log.attributes["log.record.uid"])) == 32
    failed = log.attributes.get("status") == "error"
    assert (log.severity_number, log.severity_text) == ((17, "ERROR") if failed else (9, "INFO"))
    assert len(spans) == (1 if kind else 0)
    assert log.span_id == (spans[0].span_id if spans else ROOT)
    for span in spans:
        assert (span.kind, span.parent_id, span.trace_id) == (kind, ROOT, RUN)
        assert (span.status_code, span.status_message) == (2 if failed else 0, log.attributes["error"])
        assert {name: span.attributes.get(name) for name in expected} == expected
        assert span.end_ns == log.time_ns


@pytest.mark.parametrize(("command", "rest", "said"), WRONG)
def test_what_makes_no_sense_is_one_line_and_nothing_is_written(
    command: str, rest: str, said: str, shell: Shell
) -> None:
    """Exit code 2 and one line that says what is wrong, the same while telemetry is off."""
    for settings in (SESSION, {"OTEL_SDK_DISABLED": "true"}):
        done = shell.outside(*command.split(), *rest.split(), **settings)
        line = f"gt-trace {command}: {said}; see gt-trace {command} --help\n"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
    assert not Path(shell.journal.root).exists()


@pytest.mark.parametrize(("name", "said"), UNNAMED)
def test_an_event_that_nobody_knows_is_one_line(name: str, said: str, shell: Shell) -> None:
    """It says which one may have been meant, and where they are listed."""
    done = shell.outside("event", name, **SESSION)
    line = f"gt-trace event: {said}; see gt-trace event --list\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
    assert not Path(shell.journal.root).exists()


def test_while_telemetry_is_off_nothing_is_done(shell: Shell, tmp_path: Path) -> None:
    """No journal, no bd and no tmux; the exit code is 0."""
    trap = tmp_path / "bin"
    trap.mkdir()
    for name in ("bd", "tmux"):
        (trap / name).write_text(f"#!/bin/sh\n: > {tmp_path}/ran\n")
        (trap / name).chmod(0o755)
    env = {"OTEL_SDK_DISABLED": "true", "PATH": f"{trap}:{shell.env['PATH']}", "BD_ACTOR": "x"}
    env |= {"TMUX": "/s,1,0", "TMUX_PANE": "%0", "GT_WORK_BEAD": "", "GT_WORK_RIG": ""}
    for line in ("sling de-1", "prime", "event bead.create bead_id=b"):
        shell(*line.split(), **env)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_a_record_says_who_and_where(shell: Shell) -> None:
    """Identity, work and the resource are the session's; OpenTelemetry's names stand on the span alone."""
    shell("mail", "send", "to=mayor/", "id=hq-1", "thread_id=t-1")
    (span,), (log,) = shell.written()
    expected = {
        "instance": f"{os.uname().nodename}:town", "town_root": "/home/op/town", "agent_type": "claudecode",
        "role": "polecat", "agent_name": "rust", "session_id": "de-rust", "rig": "demo",
        "work_rig": "other", "work_bead": "de-1tr", "work_mol": "",
    }  # fmt: skip
    messaging = {
        "messaging.system": "gastown", "messaging.operation.name": "send",
        "messaging.destination.name": "mayor/", "messaging.message.id": "hq-1",
        "messaging.message.conversation_id": "t-1",
    }  # fmt: skip
    for attributes, wanted in ((span.attributes, {**expected, **messaging}), (log.attributes, expected)):
        assert {name: attributes.get(name) for name in wanted} == wanted
    assert not [name for name in log.attributes if name.startswith("messaging.")]
    for record in (span, log):
        assert record.resource["gt.session"] == "de-rust"
        assert record.resource["gt.run_id"] == RUN
        assert record.resource["service.name"] == "gastown"


def test_a_failed_program_has_an_error_type(shell: Shell) -> None:
    """The exit code where there is one, else OpenTelemetry's word for unknown; words beat the code."""
    for more in (["exit_code=3"], ["--error", "no answer"], ["exit_code=3", "--error", "no answer"]):
        shell("event", "bd.call", *more)
    spans = shell.written()[0]
    found = [(span.attributes["error.type"], span.status_message) for span in spans]
    assert found == [("3", "exit code 3"), ("_OTHER", "no answer"), ("3", "no answer")]
    assert {span.attributes["process.executable.name"] for span in spans} == {"bd"}


def test_outside_any_run_and_trace(shell: Shell) -> None:
    """A span begins a trace of its own; an event that is none belongs to no trace."""
    shell.outside("nudge", "x")
    shell.outside("event", "bead.create", "bead_id=b")
    (span,), logs = shell.written()
    assert (span.parent_id, len(span.trace_id)) == ("", 32)
    assert [(log.event_name, log.trace_id, log.span_id) for log in logs] == [
        ("nudge", span.trace_id, span.span_id),
        ("bead.create", "", ""),
    ]
    assert "run.id" not in span.attributes


def test_below_the_callers_span(shell: Shell) -> None:
    """TRACEPARENT names the parent in the run's trace; one of another trace is only linked to."""
    for trace in (RUN, ELSEWHERE):
        for words in (["nudge", "x"], ["event", "bead.create", "bead_id=b"]):
            shell(*words, TRACEPARENT=f"00-{trace}-{CALLER}-01")
    spans, logs = shell.written()
    assert {record.trace_id for record in (*spans, *logs)} == {RUN}
    assert [(span.parent_id, [link[:2] for link in span.links]) for span in spans] == [
        (CALLER, []),
        (ROOT, [(ELSEWHERE, CALLER)]),
    ]
    assert [log.span_id for log in logs if log.event_name == "bead.create"] == [CALLER, ROOT]


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
def test_the_sampled_flag(flags: str, shell: Shell) -> None:
    """A caller that does not sample is obeyed outside a run; inside one all is recorded."""
    parent = {"TRACEPARENT": f"00-{RUN}-{CALLER}-{flags}"}
    for settings in (parent, {**SESSION, **parent}):
        shell.outside("nudge", "x", **settings)
        shell.outside("event", "bead.create", "bead_id=b", **settings)
    spans, logs = shell.written()
    count = 2 if int(flags, 16) & 1 else 1
    assert (len(spans), len(logs)) == (count, 2 * count)
    assert {span.flags for span in spans} == {int(flags, 16)}


def test_the_work_is_the_one_in_force_when_it_began(shell: Shell) -> None:
    """duration_ms moves the beginning back, and with it the work: the last line that is older."""
    now, hour = time.time_ns(), 3600 * 10**9
    shell.note_work((now - hour, "de-old"), (now - hour // 60, "de-new"), (now + hour, "de-later"))
    for lasted in ("0", "600000", "36000000"):
        shell("event", "bd.call", f"duration_ms={lasted}")
    spans, logs = shell.written()
    by_length = {span.end_ns - span.start_ns: span.attributes["work_bead"] for span in spans}
    assert by_length == {0: "de-new", 600 * 10**9: "de-old", 36000 * 10**9: "de-1tr"}
    assert [log.attributes["work_bead"] for log in logs] == ["de-new", "de-old", "de-1tr"]


@pytest.mark.parametrize(
    ("work", "started_for", "minutes"),
    [
        ([(20, "de-1tr")], "", 20),
        ([(50, "de-1tr"), (40, "other"), (30, "de-1tr"), (10, "de-1tr")], "", 30),
        ([], "de-1tr", 60),
        ([(20, "de-1tr")], "de-1tr", 20),
        ([(-60, "de-1tr")], "", None),
        ([], "other", None),
        ([], "", None),
    ],
)
def test_done_says_how_long_the_work_took(
    work: list[tuple[int, str]], started_for: str, minutes: int | None, shell: Shell
) -> None:
    """Since the last prime that took the bead up, else since the start of a run for it; else absent.

    Where the clock has been set back nobody knows: it is never negative.
    """
    now, minute = time.time_ns(), 60 * 10**9
    shell.note_work(*[(now - ago * minute, bead) for ago, bead in work])
    info = f'{{"issue_id":"{started_for}","start_time_unix_nano":"{now - 60 * minute}"}}'
    (shell.directory / "run.json").write_text(info)
    shell("done")
    (span,), (log,) = shell.written()
    for record in (span, log):
        found = record.attributes.get("time_to_complete_ms")
        assert record.attributes["bead_id"] == "de-1tr"
        assert (found is None) is (minutes is None)
        assert found is None or 0 <= float(str(found)) - minutes * 60e3 < 60e3


def test_a_made_bead_can_be_found_by_its_id(shell: Shell) -> None:
    """The index says in which span the bead was made, for who links to it; outside a trace there is none."""
    shell("event", "bead.create", "bead_id=de-9")
    shell.outside("event", "bead.create", "bead_id=de-8")
    assert bead_span(shell.journal, "de-9") == (RUN, ROOT)
    assert bead_span(shell.journal, "de-8") is None


def test_help_and_the_list(shell: Shell) -> None:
    """`gt-trace event`, with --list or alone, names every event; --help of an event every attribute."""
    for words in (["event"], ["event", "--list"]):
        lines = shell.outside(*words).stdout.splitlines()
        assert [line.split(None, 1) for line in lines] == [
            [name, found.doc] for name, found in EVENTS.items()
        ]
    for name in ("sling", "mail", "done", "bd.call", "pane.output"):
        done = shell.outside("event", name, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        for attribute in EVENTS[name].attributes:
            assert f"\n  {attribute.name} " in done.stdout
            assert attribute.gate in done.stdout
    assert "usage: gt-trace event NAME" in shell.outside("event", "-h", "nonsense=1").stdout
    assert not Path(shell.journal.root).exists()


def test_a_list_that_nobody_reads_ends_quietly(shell: Shell) -> None:
    """As a program that died of SIGPIPE, and without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "gastown_tracing.cli", "event", "--list"]
    done = subprocess.run(command, env=shell.env, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_full_disk_is_one_line_and_the_script_goes_on(shell: Shell, gt_trace: Callable[..., Done]) -> None:
    """What cannot be written is said in one line on stderr; the exit code is 0."""
    shell("nudge", "x")
    traces = shell.directory / "traces.jsonl"
    whole = traces.read_bytes()
    traces.write_bytes(whole + b"x" * 65536 + b"\n")

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (32768, 32768))

    done = gt_trace("nudge", "y", env={**shell.env, **SESSION}, preexec_fn=no_room)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "gt-trace nudge: not recorded: File too large\n"
    traces.write_bytes(whole)
    assert len(shell.written()[0]) == 1


def test_what_is_no_journal_is_one_line(shell: Shell, tmp_path: Path) -> None:
    """A directory that holds something else, and a file in the journal's place, are left alone."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("")
    (tmp_path / "file").write_text("")
    for name in ("mine", "file/journal"):
        done = shell.outside("nudge", "x", GT_OTEL_JOURNAL=f"{tmp_path}/{name}")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "", 1)
        assert done.stderr.startswith(f"gt-trace nudge: not recorded: {tmp_path}/{name.partition('/')[0]}")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_users_journal_is_one_line(shell: Shell) -> None:
    """Nothing is written into a journal of somebody else's."""
    shell.outside("nudge", "x")
    root = Path(shell.journal.root)
    os.chown(root, 65534, 65534)
    before = [(path, path.stat().st_mtime_ns) for path in sorted(root.rglob("*"))]
    done = shell.outside("nudge", "x")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"gt-trace nudge: not recorded: {root}: belongs to another user\n"
    assert [(path, path.stat().st_mtime_ns) for path in sorted(root.rglob("*"))] == before


def test_without_standard_streams(shell: Shell) -> None:
    """With stdin, stdout and stderr closed it records all the same, and only what it always does."""
    command = f"exec {sys.executable} -m gastown_tracing.cli nudge x <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], env=shell.env, timeout=60, check=False).returncode == 0
    spans, logs = shell.written()
    assert (len(spans), len(logs)) == (1, 1)


def test_text_that_is_no_utf_8_is_recorded_readably(shell: Shell) -> None:
    """Bytes that are none become marks; control characters and quotes come back as they are."""
    shell("nudge", os.fsdecode(b'a\xff"b\n\x01'))
    assert shell.written()[0][0].attributes["target"] == 'a\ufffd"b\n\x01'


@pytest.mark.parametrize(
    "words",
    [
        ["event", "sling", "bead=de-1", "target=x"],
        ["mail", "send", "to=x", "--attr", "a=b"],
        ["event", "bd.call", "args=list --json", "duration_ms=2"],
        ["event", "pane.output", "session=s", "content=x"],
        ["done"],
        ["prime", "bead=de-1"],
    ],
)
def test_recording_loads_no_heavy_module(words: list[str], shell: Shell) -> None:
    """Of the standard library what is built in, and no more; json's C half reads and writes work.jsonl."""
    root, argv = str(Path(__file__).parents[2]), ["gt-trace", *words]
    program = f"import sys; sys.path.insert(0, {root!r}); sys.argv = {argv!r}"
    program += "; from gastown_tracing.cli import main; main()"
    bare = [sys.executable, "-I", "-S", "-E", "-X", "importtime", "-c"]
    shell.env["GT_LOG_PANE_OUTPUT"] = "true"
    shell(*words)  # now there is a journal
    names = []
    for code in ("pass", program):
        env = {**shell.env, **SESSION}
        text = subprocess.run([*bare, code], env=env, capture_output=True, text=True, check=True).stderr
        names.append({line.rpartition("|")[2].strip() for line in text.splitlines()})
    added = {name for name in names[1] - names[0] if not name.startswith(("gastown_tracing", "propagation"))}
    assert added <= {"_signal", "errno", "posix", "time", "_json"}
    assert len(shell.written()[1]) == 2
