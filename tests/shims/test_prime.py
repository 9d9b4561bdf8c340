"""`gt-trace prime` sets the work context: for the run's records, and for the panes of its session in tmux."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from shell_kit import RUN, SESSION, Done, Shell

from gastown_tracing.journal.layout import Journal, PaneRegistry
from gastown_tracing.journal.reader import read_run
from propagation.work import WorkContext
from tests.conftest import clean_environ
from tests.processes import wait_until

HOOKED = {
    "id": "de-7",
    "status": "hooked",
    "description": "dispatched_by: mayor\n Attached_Molecule : de-wisp-3 \nargs: none",
}
ENVELOPE = {"schema_version": 1, "data": [HOOKED]}
NO_WORK = {"GT_WORK_BEAD": "", "GT_WORK_RIG": ""}


def noted(journal: Journal, run_id: str = RUN) -> list[tuple[str, str, str, str]]:
    """Return what a run's work.jsonl says, oldest first."""
    data = read_run(journal, run_id)
    assert {source for _, _, source in data.work} <= {"prime"}
    return [work.astuple() for _, work, _ in data.work]


@pytest.fixture
def bd(tmp_path: Path, shell: Shell) -> Callable[[str], Path]:
    """Return a function that puts a `bd` on PATH, by its script; it returns where bd notes its words."""
    directory, asked = tmp_path / "bin", tmp_path / "asked"
    directory.mkdir()
    shell.env["PATH"] = f"{directory}:{shell.env['PATH']}"

    def make(script: str) -> Path:
        (directory / "bd").write_text(f'#!/bin/sh\necho "$@" >> {asked}\n{script}\n')
        (directory / "bd").chmod(0o755)
        return asked

    return make


def says(answer: object) -> str:
    """Return the script of a bd that gives this answer."""
    return f"cat <<'END'\n{answer if isinstance(answer, str) else json.dumps(answer)}\nEND"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("rig=demo bead=de-2 mol=m build=7", ("demo", "de-2", "m", "7")),
        ("work_rig=demo work_bead=de-2 work_build=7", ("demo", "de-2", "", "7")),
        ("bead=de-2 hook_mode=true role=crew", ("demo", "de-2", "", "")),
        ("bead=", ("", "", "", "")),
        ("", ("other", "de-1tr", "", "")),
    ],
)
def test_what_is_given_is_the_work_from_now_on(
    words: str, expected: tuple[str, str, str, str], shell: Shell, bd: Callable[[str], Path]
) -> None:
    """The prime's own record has it, and the next record; GT_WORK_* counts where nothing is given."""
    asked = bd(says([HOOKED]))
    shell("prime", *words.split())
    shell("nudge", "x")
    assert noted(shell.journal) == [expected]
    assert not asked.exists()
    spans, logs = shell.written()
    work = WorkContext(*expected)
    for record in (*spans, *logs):
        found = {name: value for name, value in record.attributes.items() if name.startswith("work_")}
        assert found == (work.attributes() if work else {})
    prime = logs[0].attributes
    assert prime.get("hook_mode") is (True if "hook_mode" in words else None)
    assert prime["role"] == ("crew" if "role" in words else "polecat")


def test_a_prime_that_failed_changes_nothing(shell: Shell) -> None:
    """It is recorded as an error, with what it was given; the work stays what it was."""
    shell("prime", "bead=de-2")
    shell("prime", "bead=de-3", "build=8", "--error", "no hook")
    shell("nudge", "x")
    assert noted(shell.journal) == [("demo", "de-2", "", "")]
    found = [(log.attributes["work_bead"], log.attributes["status"]) for log in shell.written()[1]]
    assert found == [("de-2", "ok"), ("de-3", "error"), ("de-2", "ok")]


@pytest.mark.parametrize("answer", [[HOOKED], ENVELOPE, [HOOKED, {"id": "de-8"}]])
def test_the_hooked_bead_is_the_work_where_nobody_says(
    answer: object, shell: Shell, bd: Callable[[str], Path]
) -> None:
    """bd is asked for what hangs on BD_ACTOR's hook: the first bead, its molecule, and GT_RIG."""
    asked = bd(says(answer))
    shell("prime", **NO_WORK, BD_ACTOR="demo/polecats/rust")
    assert noted(shell.journal) == [("demo", "de-7", "de-wisp-3", "")]
    wanted = "list --json --status=hooked --assignee=demo/polecats/rust --limit=0 --flat\n"
    assert asked.read_text() == wanted
    for words in (["nudge", "x"], ["done"], ["event", "bd.call"], ["mail", "send"]):
        shell(*words, **NO_WORK, BD_ACTOR="demo/polecats/rust")
    assert asked.read_text() == wanted
    assert {log.attributes["work_bead"] for log in shell.written()[1]} == {"de-7"}


@pytest.mark.parametrize(
    "script",
    [
        says(""),
        says("no database"),
        says("null"),
        says({"data": [HOOKED]}),
        says({"schema_version": 1, "data": None}),
        says({"schema_version": 1, "data": {"id": "de-7"}}),
        says([["de-7"], None, 7, {"id": 7}, {"id": ""}, {"id": "de\u00007"}, {}]),
        says([HOOKED]) + "\nexit 1",
        says([HOOKED]) + "\nkill -9 $$",
        "exec cat /dev/zero",
    ],
)
def test_an_odd_answer_of_bd_changes_nothing(script: str, shell: Shell, bd: Callable[[str], Path]) -> None:
    """Nothing is made up, and the work that is known stays: the prime's own record has it, too."""
    asked = bd(script)
    shell("prime", "bead=de-2")
    shell("prime", **NO_WORK, BD_ACTOR="demo/polecats/rust")
    shell("nudge", "x", **NO_WORK)
    assert asked.exists()
    assert noted(shell.journal) == [("demo", "de-2", "", "")]
    assert [log.attributes["work_bead"] for log in shell.written()[1]] == ["de-2"] * 3


def test_nothing_on_the_hook_is_no_work(shell: Shell, bd: Callable[[str], Path]) -> None:
    """bd has answered: what was worked on before is worked on no more."""
    for number, answer in enumerate(([], {"schema_version": 1, "data": []}), 1):
        bd(says(answer))
        shell("prime", "bead=de-2")
        shell("prime", **NO_WORK, BD_ACTOR="demo/polecats/rust")
        shell("nudge", "x", **NO_WORK)
        assert noted(shell.journal) == [("demo", "de-2", "", ""), ("", "", "", "")] * number
    assert ["work_bead" in log.attributes for log in shell.written()[1]] == [True, False, False] * 2


def test_bd_is_asked_as_by_the_probes(shell: Shell, bd: Callable[[str], Path]) -> None:
    """Warnings before the answer are left out, and no variable leads it to another database."""
    bd("env | grep -E '^(BEADS_|BD_DB|BD_OTEL)' && exit 1; echo ' warning: old database'\n" + says([HOOKED]))
    misleading = {"BEADS_DIR": "/other", "BEADS_DB": "/other", "BD_DB": "/other", "BD_OTEL_STDOUT": "true"}
    shell("prime", **NO_WORK, **misleading, BD_ACTOR="demo/polecats/rust")
    assert noted(shell.journal) == [("demo", "de-7", "de-wisp-3", "")]


def test_what_we_said_ourselves_is_not_what_gt_says(shell: Shell, bd: Callable[[str], Path]) -> None:
    """GT_WORK_* as a prime left it, in tmux, says nothing new: the hook decides. Another value does."""
    bd(says([{"id": "de-3"}]))
    ours = {"GT_WORK_RIG": "demo", "GT_WORK_BEAD": "de-2", "BD_ACTOR": "demo/polecats/rust"}
    shell("prime", "bead=de-2")
    shell("prime", **ours)
    shell("prime", **ours)
    shell("prime", **{**ours, "GT_WORK_RIG": "", "GT_WORK_BEAD": "de-4"})
    beads = [bead for _, bead, _, _ in noted(shell.journal)]
    assert beads == ["de-2", "de-3", "de-3", "de-4"]
    assert {rig for rig, *_ in noted(shell.journal)} == {"demo"}


@pytest.mark.parametrize("file", ["work", "traces", "logs"])
@pytest.mark.parametrize("command", [["prime"], ["exec", "--event", "prime"]])
def test_nothing_is_half_written(file: str, command: list[str], shell: Shell) -> None:
    """Where one of the files cannot be written, there is neither a record nor the work."""
    shell("nudge", "first")
    path = shell.directory / f"{file}.jsonl"
    path.unlink(missing_ok=True)
    path.mkdir()
    before = {name: name.read_bytes() for name in shell.directory.glob("*.jsonl") if name != path}
    more = ["--attr", "work_bead=de-2", "--", "true"] if command[0] == "exec" else ["bead=de-2"]
    done = shell.outside(*command, *more, **SESSION, GT_OTEL_DEBUG="1")
    assert done.returncode == 0
    assert "not recorded: " in done.stderr
    for name in shell.directory.glob("*.jsonl"):
        assert name == path or name.read_bytes() == before.get(name, b"")
    path.rmdir()
    path.symlink_to("nowhere")
    assert "not recorded: " in shell.outside(*command, *more, **SESSION, GT_OTEL_DEBUG="1").stderr
    assert not (shell.directory / "nowhere").exists()


def test_a_bd_that_is_not_there_or_never_answers(shell: Shell, bd: Callable[[str], Path]) -> None:
    """The prime goes on after 5 seconds at most; a debug note says why the work is unknown, which stays."""
    shell("prime", "bead=de-2")
    actor = {**SESSION, **NO_WORK, "BD_ACTOR": "demo/polecats/rust", "GT_OTEL_DEBUG": "1"}
    nowhere = shell.outside("prime", **{**actor, "PATH": "/nonexistent"})
    bd("exec sleep 1000")
    hanging = shell.outside("prime", **actor)
    nobody = shell.outside("prime", **{**actor, "BD_ACTOR": ""})
    for done, reason in ((nowhere, "bd: "), (hanging, "ended with 124"), (nobody, "or BD_ACTOR is set")):
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "", 1)
        assert done.stderr.startswith("gt-trace prime: what is worked on is unknown: ")
        assert reason in done.stderr
    assert noted(shell.journal) == [("demo", "de-2", "", "")]


def test_outside_any_run_it_is_recorded_and_no_more(shell: Shell) -> None:
    """There is no run whose work it could be: the record has the work, the next one has not."""
    shell.outside("prime", "bead=de-2")
    shell.outside("nudge", "x")
    assert [log.attributes.get("work_bead") for log in shell.written()[1]] == ["de-2", None]
    assert not list(Path(shell.journal.root).rglob("work.jsonl"))


def test_a_prime_that_runs_as_a_command_sets_the_work(shell: Shell) -> None:
    """`gt-trace exec --event prime` does as `gt-trace prime` when its command succeeds."""
    for bead, command in (("de-2", "true"), ("de-3", "false")):
        words = ["exec", "--event", "prime", "--attr", f"work_bead={bead}", "--attr", "hook_mode=yes"]
        shell.outside(*words, "--", command, **SESSION)
    shell("nudge", "x")
    assert noted(shell.journal) == [("demo", "de-2", "", "")]
    spans, logs = shell.written()
    assert [log.attributes["work_bead"] for log in logs] == ["de-2", "de-3", "de-2"]
    assert [log.attributes["work_rig"] for log in (logs[0], logs[2])] == ["demo", "demo"]
    assert [span.attributes.get("hook_mode") for span in spans] == [True, True, None]


def test_a_prime_that_runs_as_a_command_finds_the_work(shell: Shell, bd: Callable[[str], Path]) -> None:
    """Where nothing is given, GT_WORK_* and then the hook say it; an empty bead says that there is none."""
    bd(says([HOOKED]))
    words = ["exec", "--event", "prime"]
    for more, env in (([], {}), ([], {**NO_WORK, "BD_ACTOR": "x"}), (["--attr", "work_bead="], {})):
        shell(*words, *more, "--", "true", **env)
    works = [("other", "de-1tr", "", ""), ("demo", "de-7", "de-wisp-3", ""), ("", "", "", "")]
    assert noted(shell.journal) == works
    spans, logs = shell.written()
    for record, work in zip((*spans, *logs), works * 2, strict=True):
        found = {name: value for name, value in record.attributes.items() if name.startswith("work_")}
        assert found == (WorkContext(*work).attributes() if any(work) else {})


class Pane:
    """A session of ours in tmux whose pane is a shell, and what it may be told."""

    def __init__(self, gt_trace: Callable[..., Done], env: dict[str, str], socket: str, root: Path) -> None:
        self.env, self.socket, self.root = env, socket, root
        words = ["--role", "polecat", "--name", "rust", "--rig", "demo", "--issue", "de-1"]
        words += ["--socket", socket, "--json", "--", "sh"]
        done = gt_trace("session", "start", *words, env={**env, "SHELL": "/bin/sh"})
        assert done.returncode == 0, done.stderr
        started = json.loads(done.stdout)
        self.run_id, self.session = started["run_id"], started["session"]
        self.journal = Journal(env["GT_OTEL_JOURNAL"])

    def tmux(self, *words: str) -> str:
        """Run tmux on the session's server."""
        argv = ["tmux", "-S", self.socket, *words]
        return subprocess.run(argv, env=clean_environ(), capture_output=True, text=True, check=True).stdout

    def type(self, line: str) -> None:
        """Type a line at the pane's shell."""
        self.tmux("send-keys", "-t", f"={self.session}:", "-l", line)
        self.tmux("send-keys", "-t", f"={self.session}:", "Enter")

    def here(self, *words: str) -> None:
        """Type `gt-trace WORDS` at the pane's shell, and wait until it has ended."""
        ended = self.root / "ended"
        self.type(f"{sys.executable} -m gastown_tracing.cli {' '.join(words)}; : > {ended}")
        wait_until(ended.exists, f"gt-trace {words[0]} has ended")
        ended.unlink()

    def elsewhere(self, *words: str, **env: str) -> Done:
        """Run `gt-trace WORDS` for the run, by a process that is in no pane."""
        argv = [sys.executable, "-m", "gastown_tracing.cli", *words]
        env = {**self.env, "GT_RUN": self.run_id, **env}
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=True)

    def beads(self, event: str) -> list[object]:
        """Return the work that the spans of an event carry, by their start."""
        spans = sorted(read_run(self.journal, self.run_id).spans, key=lambda span: span.start_ns)
        return [span.attributes.get("work_bead") for span in spans if span.name == event]

    def logged(self, event: str) -> list[object]:
        """Return the work that the log records of an event carry, as they were written."""
        logs = read_run(self.journal, self.run_id).logs
        return [log.attributes.get("work_bead") for log in logs if log.event_name == event]

    def variables(self) -> set[str]:
        """Return GT_WORK_* of the session's new panes, as tmux has them: what they do not get has a `-`."""
        shown = self.tmux("show-environment", "-t", f"={self.session}").splitlines()
        return {line for line in shown if "GT_WORK_" in line}


@pytest.fixture
def pane(gt_trace: Callable[..., Done], env: dict[str, str], tmux_socket: str, tmp_path: Path) -> Pane:
    """Return a session in tmux whose pane is a shell that runs already."""
    opened = Pane(gt_trace, env, tmux_socket, tmp_path)
    opened.here("nudge", "first")
    return opened


def test_a_pane_that_runs_already_records_the_new_work(pane: Pane) -> None:
    """The shell was there before the primes: its commands carry the work."""
    pane.here("prime", "rig=demo", "bead=de-1")
    pane.here("nudge", "second")
    pane.here("exec", "--", "true")
    pane.elsewhere("prime", "rig=demo", "bead=de-2", "mol=de-wisp-1")
    pane.here("nudge", "third")
    pane.here("exec", "--", "true")
    assert pane.beads("nudge") == pane.logged("nudge") == [None, "de-1", "de-2"]
    assert pane.beads("true") == pane.logged("exec") == ["de-1", "de-2"]


def test_new_panes_get_the_work_from_tmux(pane: Pane, tmp_path: Path) -> None:
    """Set by a process in the pane or by one outside; what is unset they do not get."""
    pane.here("prime", "rig=demo", "bead=de-1", "mol=de-wisp-1", "build=7")
    assert pane.variables() == {
        *("GT_WORK_RIG=demo", "GT_WORK_BEAD=de-1"),
        *("GT_WORK_MOL=de-wisp-1", "GT_WORK_BUILD=7"),
    }
    pane.elsewhere("prime", "rig=demo", "bead=de-2;")
    assert pane.variables() == {"GT_WORK_RIG=demo", "GT_WORK_BEAD=de-2;", "-GT_WORK_MOL", "-GT_WORK_BUILD"}
    seen = tmp_path / "seen"
    pane.tmux(
        "new-window",
        "-d",
        "-t",
        f"={pane.session}:",
        f"env | grep ^GT_WORK_ > {seen}.new; mv {seen}.new {seen}",
    )
    wait_until(seen.exists, "the new pane's environment")
    assert sorted(seen.read_text().splitlines()) == ["GT_WORK_BEAD=de-2;", "GT_WORK_RIG=demo"]
    assert noted(pane.journal, pane.run_id) == [
        ("demo", "de-1", "de-wisp-1", "7"),
        ("demo", "de-2;", "", ""),
    ]


def test_a_command_that_began_before_the_prime_carries_the_old_work(pane: Pane, tmp_path: Path) -> None:
    """However late it is written: the command goes on until the next prime is over."""
    pane.elsewhere("prime", "bead=de-1")
    began, go_on = tmp_path / "began", tmp_path / "go on"
    script = f": > {began}; until [ -e '{go_on}' ]; do sleep 0.02; done"
    pane.type(f'{sys.executable} -m gastown_tracing.cli exec --name long -- sh -c "{script}"')
    wait_until(began.exists, "the command runs")
    pane.elsewhere("prime", "bead=de-2")
    pane.elsewhere("nudge", "meanwhile")
    go_on.touch()
    wait_until(lambda: pane.beads("long"), "the command is recorded")
    assert (pane.beads("long"), pane.logged("exec")) == (["de-1"], ["de-1"])
    assert pane.logged("nudge") == [None, "de-2"]


PROGRAM = """
import pathlib, sys, time
import gastown_tracing as gt

def step(name):
    pathlib.Path(name + ".reached").touch()
    while not pathlib.Path(name).exists():
        time.sleep(0.01)

gt.init("agent")
gt.record("sling", bead="early")
with gt.nudge(target="long"):
    step("1")
    gt.record("bead.create", bead_id="inside")
gt.record("sling", bead="late")
step("2")
"""


def test_a_program_that_runs_already_records_the_new_work(pane: Pane, tmp_path: Path) -> None:
    """A Python program in the pane: what begins after the prime carries its work, what began before not."""
    (tmp_path / "program.py").write_text(PROGRAM)
    pane.elsewhere("prime", "bead=de-1")
    pane.type(f"cd {tmp_path} && {sys.executable} program.py")
    wait_until((tmp_path / "1.reached").exists, "the program is in its call")
    pane.elsewhere("prime", "bead=de-2")
    (tmp_path / "1").touch()
    wait_until((tmp_path / "2.reached").exists, "the program has recorded all")
    assert pane.beads("sling") == pane.logged("sling") == ["de-1", "de-2"]
    assert pane.beads("nudge")[1:] == pane.logged("nudge")[1:] == ["de-1"]
    assert pane.logged("bead.create") == ["de-2"]
    (tmp_path / "2").touch()


def test_done_knows_since_when_the_bead_is_worked_on(pane: Pane) -> None:
    """Since its prime; and since the session's start for the bead that the session was started for."""
    pane.here("done", "bead_id=de-1")
    pane.here("prime", "rig=other", "bead=de-2")
    primed = read_run(pane.journal, pane.run_id).work[0][0]
    pane.here("done", "ESCALATED")
    data = read_run(pane.journal, pane.run_id)
    first, second = [span for span in data.spans if span.name == "done"]
    took = [float(str(span.attributes["time_to_complete_ms"])) for span in (first, second)]
    assert took == pytest.approx([(first.end_ns - data.run.start_ns) / 1e6, (second.end_ns - primed) / 1e6])
    assert [span.attributes["rig"] for span in (first, second)] == ["demo", "other"]
    assert [span.attributes["bead_id"] for span in (first, second)] == ["de-1", "de-2"]


def test_a_tmux_that_fails_or_never_answers(pane: Pane, tmp_path: Path) -> None:
    """The prime is recorded, and goes on after 2 seconds at most; a debug note says what tmux did."""
    stub = tmp_path / "stub"
    stub.mkdir()
    for script, reason in (("exit 1", "tmux ended with 1"), ("exec sleep 1000", "tmux ended with 124")):
        (stub / "tmux").write_text(f"#!/bin/sh\n{script}\n")
        (stub / "tmux").chmod(0o755)
        path = f"{stub}:{pane.env['PATH']}"
        done = pane.elsewhere("prime", f"bead={len(script)}", PATH=path, GT_OTEL_DEBUG="1")
        assert (done.stdout, done.stderr) == ("", f"gt-trace prime: tmux does not know the work: {reason}\n")
    assert len(noted(pane.journal, pane.run_id)) == 2


def test_a_server_that_was_started_again_is_not_told(pane: Pane, tmux_socket: str) -> None:
    """It hands out the same ids: another session must not get this run's work."""
    server = int(pane.tmux("display-message", "-p", "#{pid}"))
    pane.tmux("kill-server")
    wait_until(lambda: not os.path.exists(f"/proc/{server}"), "the server has ended")
    again = ["tmux", "-S", tmux_socket, "new-session", "-d", "-s", pane.session, "sleep 1000"]
    wait_until(lambda: not subprocess.run(again, env=clean_environ(), check=False).returncode, "a new server")
    pane.elsewhere("prime", "bead=de-3")
    assert pane.variables() == set()
    assert noted(pane.journal, pane.run_id) == [("", "de-3", "", "")]


def other_session(pane: Pane) -> dict[str, str]:
    """Start another session on the same server; return what a process of its pane has of tmux."""
    pane.tmux("new-session", "-d", "-s", "theirs", "sleep 1000")
    shown = pane.tmux("list-panes", "-t", "=theirs", "-F", "#{socket_path},#{pid},0 #{pane_id}").split()
    return {"TMUX": shown[0], "TMUX_PANE": shown[1]}


def test_only_the_runs_own_session_is_told(pane: Pane) -> None:
    """Who primes from another session's pane tells the run's; outside a run no session is told."""
    theirs = other_session(pane)
    pane.elsewhere("prime", "bead=de-2", **theirs)
    assert "GT_WORK_BEAD=de-2" in pane.variables()
    pane.elsewhere("prime", "bead=de-3", GT_RUN="", **theirs)
    Path(pane.journal.run_dir(pane.run_id), "pane.json").unlink()
    pane.elsewhere("prime", "bead=de-4", **theirs)
    assert "GT_WORK_BEAD=de-2" in pane.variables()
    assert "GT_WORK_" not in pane.tmux("show-environment", "-t", "=theirs")


def test_a_run_without_a_pane_of_its_own_is_known_by_the_registry(pane: Pane) -> None:
    """The pane's session is told where the registry says that the run is in that pane of that server."""
    theirs = other_session(pane)
    socket, server_pid, _ = theirs["TMUX"].split(",")
    registry = PaneRegistry(pane.journal)
    for pid in (server_pid, "1"):
        registry.register(RUN, socket=socket, server_pid=pid, pane=theirs["TMUX_PANE"])
    pane.elsewhere("prime", "bead=de-5", **{**theirs, "GT_RUN": RUN, "TMUX": f"{socket},1,0"})
    assert "GT_WORK_" not in pane.tmux("show-environment", "-t", "=theirs")
    pane.elsewhere("prime", "bead=de-6", **theirs, GT_RUN="")
    assert "GT_WORK_BEAD=de-6" in pane.tmux("show-environment", "-t", "=theirs")
    assert [bead for _, bead, _, _ in noted(pane.journal, RUN)] == ["de-5", "de-6"]


def test_the_next_agent_of_a_session_primes_on_its_own_bead(pane: Pane, tmp_path: Path) -> None:
    """A pane that is started again has GT_WORK_* of the prime before, and yet the hook decides."""
    hook, stub = tmp_path / "hook", tmp_path / "stub"
    stub.mkdir()
    (stub / "bd").write_text(f"#!/bin/sh\ncat {hook}\n")
    (stub / "bd").chmod(0o755)
    words = f"{sys.executable} -m gastown_tracing.cli"
    agent = tmp_path / "agent"
    agent.write_text(
        f"echo $GT_WORK_BEAD > {tmp_path}/had\nexport PATH={stub}:$PATH BD_ACTOR=demo/polecats/rust\n"
        f"{words} prime\n{words} nudge x\n: > {tmp_path}/primed\nexec sleep 1000\n"
    )
    target = f"={pane.session}:"
    pane.tmux("set-option", "-t", target, "remain-on-exit", "on")
    for number, had in ((1, ""), (2, "de-n1"), (3, "de-n2")):
        hook.write_text(json.dumps([{"id": f"de-n{number}"}]))
        if number == 2:
            pane.tmux("split-window", "-d", "-t", target, f"sh {agent}")
        else:
            pane.tmux("respawn-pane", "-k", "-t", f"{target}.0", f"sh {agent}")
        wait_until((tmp_path / "primed").exists, "the agent has primed")
        (tmp_path / "primed").unlink()
        assert (tmp_path / "had").read_text().strip() == had
    assert [bead for _, bead, _, _ in noted(pane.journal, pane.run_id)] == ["de-n1", "de-n2", "de-n3"]
    assert pane.beads("nudge")[1:] == ["de-n1", "de-n2", "de-n3"]
