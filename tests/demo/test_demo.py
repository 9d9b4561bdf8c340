"""`gt-trace demo`: every span in its session's trace, parents as expected, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gastown_tracing.journal import reader
from gastown_tracing.journal.layout import Journal
from propagation.run import root_span_id

#: What the demo needs beside Python; tmux is the one that it can do without.
PROGRAMS = ("sh", "bash", "env", "sed", "head", "sleep", "git", "setpriv")

Tree = list["tuple[str, Tree]"]

POLECAT: Tree = [
    ("session.start", []),
    ("prime", [("bd show", [])]),
    ("bd ready", []),
    ("bd update", []),
    ("run the tests", []),
    ("bd show", []),
    ("run the tests", []),
    ("bd list", []),
    ("bd list", []),
    ("bd list", []),
    ("bd close", []),
    ("mail send", [("bd create", [])]),
    ("done", []),
    ("session.stop", []),
]
MAYOR: Tree = [
    ("session.start", []),
    ("bd create", []),
    ("sling", [("bd update", []), ("polecat.spawn", [])]),
    ("mail read", []),
    ("polecat.remove", []),
    ("session.stop", []),
]


def label(span: reader.ReadSpan) -> str:
    own = {"bd.call": ("bd", "subcommand"), "mail": ("mail", "operation")}.get(span.name)
    return f"{own[0]} {span.attributes[own[1]]}" if own else span.name


def tree(spans: list[reader.ReadSpan], parent: str) -> Tree:
    below = sorted((span for span in spans if span.parent_id == parent), key=lambda span: span.start_ns)
    return [(label(span), tree(spans, span.span_id)) for span in below]


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a plain directory with a short name, as a temporary directory usually has."""
    directory = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    yield directory
    shutil.rmtree(directory)


def demo(
    env: dict[str, str], place: Path, *args: str, code: int = 0, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the demo from a plain directory with $TMPDIR of its own, in the 15 s that it has."""
    (place / "tmp").mkdir(exist_ok=True)
    command = [sys.executable, "-P", "-m", "gastown_tracing.cli", "demo", *args]
    full = {**env, "TMPDIR": str(place / "tmp"), **more}
    done = subprocess.run(
        command, env=full, cwd=place, capture_output=True, text=True, timeout=15, check=False
    )
    assert done.returncode == code, (done, [path.read_text() for path in place.rglob("*.log")])
    return done


def without_tmux(place: Path) -> str:
    (place / "bin").mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        if found:
            (place / "bin" / name).symlink_to(found)
    return str(place / "bin")


def check_traces(facts: dict[str, object], journal: Journal) -> None:
    """Each session is one trace with the expected tree, its root closed; links lead from effect to cause."""
    runs = {str(entry["session"]): str(entry["run_id"]) for entry in facts["sessions"]}  # type: ignore[attr-defined]
    assert sorted(os.listdir(journal.root + "/runs")) == sorted(runs.values())
    assert not os.listdir(journal.root + "/loose")
    data = {session: reader.read_run(journal, run_id) for session, run_id in runs.items()}
    for session, expected in (("gt-demo-Toast", POLECAT), ("hq-mayor", MAYOR)):
        run_id, found = runs[session], data[session]
        assert {span.trace_id for span in found.spans} == {run_id}
        assert (found.skipped, found.in_progress, found.run.closed) == ([], [], True)
        assert tree(found.spans, "") == [("gt.session", expected)]
        assert found.run.root is not None
        assert found.run.root.span_id == root_span_id(run_id)
        ids = {span.span_id for span in found.spans}
        assert {(log.trace_id, log.span_id in ids) for log in found.logs} == {(run_id, True)}

    polecat = {label(span): span for span in data["gt-demo-Toast"].spans}
    mayor = {label(span): span for span in data["hq-mayor"].spans}
    for effect, cause in (
        (polecat["session.start"], mayor["polecat.spawn"]),
        (mayor["mail read"], polecat["mail send"]),
        (polecat["session.stop"], mayor["polecat.remove"]),
    ):
        assert [link[:2] for link in effect.links] == [(cause.trace_id, cause.span_id)]
    failed = [span for found in data.values() for span in found.spans if span.status_code == 2]
    assert [(label(span), span.attributes["exit_code"]) for span in failed] == [("bd show", 1)]
    bead = polecat["prime"].attributes["work_bead"]
    primed = [span for span in data["gt-demo-Toast"].spans if label(span).startswith("bd ")]
    assert {(span.attributes["work_bead"], span.attributes["work_rig"]) for span in primed} == {
        (bead, "demo")
    }


def check_clean(place: Path) -> None:
    """Nothing is left but the journal: no town, no process that was the town's."""
    left = [path.name for path in (place / "tmp").iterdir() if not path.name.startswith("gt-trace-demo-")]
    assert left == []
    if os.path.isdir("/proc/self"):
        deadline = time.monotonic() + 5
        while mine := [line for line in processes() if str(place) in line]:
            assert time.monotonic() < deadline, mine
            time.sleep(0.02)


def processes() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                found.append((entry / "environ").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return found


def test_town_on_tmux(env: dict[str, str], place: Path) -> None:
    """On tmux: both traces whole, linked, and everything gone afterwards but journal and page."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    facts = json.loads(demo(env, place, "--json", PATH=env["PATH"]).stdout)
    assert (facts["tmux"], facts["journal"]) == (True, env["GT_OTEL_JOURNAL"])
    assert facts["seconds"] < 15
    check_traces(facts, Journal(facts["journal"]))
    check_clean(place)
    page = Path(facts["html"]).read_text(encoding="utf-8")
    assert all(entry["run_id"] in page for entry in facts["sessions"])


def test_town_without_tmux(env: dict[str, str], place: Path) -> None:
    """Without tmux it says so, runs plain processes, and the traces are the same."""
    path = without_tmux(place)
    facts = json.loads(demo(env, place, "--json", PATH=path).stdout)
    assert facts["tmux"] is False
    check_traces(facts, Journal(facts["journal"]))
    check_clean(place)


@pytest.mark.parametrize(("width", "charset"), [(80, "utf-8"), (160, "ascii")])
def test_what_it_shows(env: dict[str, str], place: Path, width: int, charset: str) -> None:
    """It prints both waterfalls within the width, names page and journal, and leaves both where it says."""
    plain = {name: value for name, value in env.items() if name != "GT_OTEL_JOURNAL"}
    options = ("--width", str(width), *(("--ascii",) if charset == "ascii" else ()))
    done = demo(plain, place, *options, PATH=without_tmux(place))
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert "plain processes: tmux is not installed" in lines[0]
    assert "a stand-in: bd is not on PATH" in lines[1]
    picture = [line for line in lines if not line.startswith(("page", "journal", "more"))]
    assert max(map(len, picture)) <= width
    text = "\n".join(lines).encode(charset).decode()
    for expected in ("gt-demo-Toast", "hq-mayor", "prime", "sling", "caused", "exit code 1"):
        assert expected in text
    named = dict(line.split(None, 1) for line in lines if line.startswith(("page", "journal", "more")))
    assert Path(named["page"].removeprefix("file://")).is_file()
    assert named["journal"] in named["more"]
    assert Journal(named["journal"]).is_on()
    check_clean(place)


def test_town_can_be_kept(env: dict[str, str], place: Path) -> None:
    """--keep leaves the town's directory, with what its agents said."""
    town = Path(json.loads(demo(env, place, "--json", "--keep", PATH=without_tmux(place)).stdout)["town"])
    assert town.parent == place / "tmp"
    assert json.loads((town / "beads.json").read_text())[0]["status"] == "closed"


def test_bd_that_does_not_work_is_replaced(env: dict[str, str], place: Path) -> None:
    """A bd on PATH that cannot keep beads is not used, and that is said."""
    path = without_tmux(place)
    bd = Path(path) / "bd"
    bd.write_text("#!/bin/sh\nexit 1\n")
    bd.chmod(0o755)
    facts = json.loads(demo(env, place, "--json", PATH=path).stdout)
    assert facts["bd"] == "a stand-in: the bd on PATH cannot keep beads here"


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED"),
        ({"GT_OTEL_JOURNAL": "/proc/nowhere"}, "--journal"),
    ],
    ids=["off", "no journal"],
)
def test_error_is_one_line(env: dict[str, str], place: Path, more: dict[str, str], text: str) -> None:
    """Where nothing can be recorded the demo does not run, and says why in one line."""
    done = demo(env, place, code=1, **more)
    assert (done.stdout, len(done.stderr.splitlines())) == ("", 1)
    assert text in done.stderr
    assert list((place / "tmp").iterdir()) == []


def test_town_that_fails_is_kept_and_named(env: dict[str, str], place: Path) -> None:
    """When a session cannot start the demo ends at once, with an error of one line."""
    path = without_tmux(place)
    (Path(path) / "tmux").write_text("#!/bin/sh\necho no terminals today >&2\nexit 1\n")
    (Path(path) / "tmux").chmod(0o755)
    done = demo(env, place, code=1, PATH=path)
    assert len(done.stderr.splitlines()) == 1
    assert "no terminals today" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("tmux", [True, False], ids=["tmux", "plain"])
def test_signal_ends_the_town(env: dict[str, str], place: Path, tmux: bool, number: signal.Signals) -> None:
    """A signal while the town works ends all of it: no server, no process, no directory, and we say so."""
    if tmux and shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    (place / "tmp").mkdir()
    full = {**env, "TMPDIR": str(place / "tmp"), "PATH": env["PATH"] if tmux else without_tmux(place)}
    command = [sys.executable, "-P", "-m", "gastown_tracing.cli", "demo"]
    with subprocess.Popen(command, env=full, cwd=place, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 10
        while not list(Path(env["GT_OTEL_JOURNAL"]).glob("runs/*/pane.json")):
            assert time.monotonic() < deadline, "no session has started"
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(12) == 128 + number
    check_clean(place)


def test_server_of_an_abandoned_town_ends_with_its_sessions(env: dict[str, str], place: Path) -> None:
    """Nobody can clean up after kill -9, but the tmux server does not outlive the town's sessions."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    (place / "tmp").mkdir()
    command = [sys.executable, "-P", "-m", "gastown_tracing.cli", "demo"]
    with subprocess.Popen(command, env={**env, "TMPDIR": str(place / "tmp")}, cwd=place) as process:
        deadline = time.monotonic() + 10
        while not list((place / "tmp").glob("gt-demo-*/mail")):
            assert time.monotonic() < deadline, "the town does not work"
            time.sleep(0.01)
        process.kill()
    (socket,) = (place / "tmp").glob("gt-demo-*/tmux")
    for session in ("gt-demo-Toast", "hq-mayor"):
        subprocess.run(["tmux", "-S", socket, "kill-session", "-t", session], env=env, check=False)
    question = ["tmux", "-S", str(socket), "list-sessions"]
    while not subprocess.run(question, capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline, "the server lives on"
        time.sleep(0.02)
