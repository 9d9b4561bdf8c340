"""`gt-trace shims`: install, remove and status, as real commands."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from shims_kit import BASH, PYTHON, SH, named, run, script, shims, spy, town

from gastown_tracing.journal.layout import Journal, create, default_root
from gastown_tracing.shims import install, launcher
from tests.processes import wait_until

Done = subprocess.CompletedProcess[str]
PROGRAMS = ("bd", "gt", "git", "tmux")
REST = "/usr/bin:/bin"


class Home:
    """An operator's home with a town in it, and `gt-trace shims` run there."""

    def __init__(self, root: Path, gt_trace: Callable[..., Done], env: dict[str, str]) -> None:
        self.root = root / "home"
        self.town = town(self.root / "town")
        self.real = root / "real"
        for program in PROGRAMS:
            named(self.real, program)
        self.shims = self.root / ".local" / "share" / "gastown-tracing" / "shims"
        plain = {name: value for name, value in env.items() if name not in ("GT_OTEL_JOURNAL", "SHELL")}
        self.env = {**plain, "HOME": str(self.root), "PATH": f"{self.real}:{REST}"}
        self._run = gt_trace

    @property
    def path(self) -> str:
        """Return a PATH with the shims first."""
        return ":".join([*(f"{self.shims}/{name}" for name in PROGRAMS), str(self.real), REST])

    @property
    def journal(self) -> Journal:
        """Return the town's journal, which need not be there."""
        return Journal(default_root(self.env, str(self.town)))

    def __call__(self, *words: str, cwd: Path | None = None, **env: str) -> Done:
        """Run `gt-trace shims WORDS` in the town."""
        return self._run("shims", *words, env={**self.env, **env}, cwd=cwd or self.town)

    def status(self, *words: str, **env: str) -> dict[str, object]:
        """Return what `status --json` says."""
        done = self("status", "--json", *words, **{"PATH": self.path, **env})
        assert done.stderr == ""
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def states(self, **env: str) -> dict[str, str]:
        """Return how each program stands."""
        programs = self.status(**env)["programs"]
        assert isinstance(programs, list)
        return {one["program"]: one["state"] for one in programs}


@pytest.fixture
def home(tmp_path: Path, gt_trace: Callable[..., Done], env: dict[str, str]) -> Home:
    """Return a home without shims."""
    return Home(tmp_path, gt_trace, env)


def test_one_line_is_for_the_shell_and_the_rest_for_the_reader(home: Home) -> None:
    """`eval "$(gt-trace shims install)"` puts all four first on PATH, and makes the town's journal."""
    done = home("install")
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    shell = ["sh", "-c", f'{done.stdout}echo "$PATH"; git fetch; command -v bd']
    said = run(shell, home.env, home.env["PATH"]).stdout.splitlines()
    assert said == [home.path, "real/git fetch", str(home.shims / "bd" / "bd")]
    assert "gt down && gt up" in done.stderr
    assert done.stdout.strip() in done.stderr
    assert home.journal.is_on()
    assert home.journal.root in done.stderr


def test_programs_and_a_directory_can_be_named(home: Home, tmp_path: Path) -> None:
    """A directory with blanks and quotes, in the syntax of sh and of fish."""
    place = tmp_path / "a 'b\" $c"
    done = home("install", "--dir", str(place), "git", "bd")
    assert sorted(os.listdir(place)) == ["bd", "git"]
    said = run(["sh", "-c", f'{done.stdout}echo "$PATH"'], home.env, REST).stdout
    assert said == f"{place}/bd:{place}/git:{REST}\n"
    fish = home("install", "--dir", str(place), "git", SHELL="/usr/bin/fish")
    assert fish.stdout.startswith("set -gx PATH '")
    assert fish.stdout.endswith("' $PATH\n")
    advised = f"gt-trace shims install --dir {shlex.quote(str(place))})"
    assert advised in home("status", "--dir", str(place)).stdout


def test_install_is_idempotent_and_whole(home: Home) -> None:
    """A second one writes nothing; one that is damaged or old is written again."""
    home("install")
    before = {file: file.stat().st_mtime_ns for file in home.shims.rglob("*")}
    assert home("install").returncode == 0
    assert {file: file.stat().st_mtime_ns for file in home.shims.rglob("*")} == before
    (home.shims / "git" / "git").write_text(f"#!/bin/sh\n{launcher.MARK}\n")
    assert "wrote git in" in home("install").stderr
    assert home.states() == dict.fromkeys(PROGRAMS, "seen")


def test_the_shims_are_of_the_interpreter_that_installs_them(home: Home, tmp_path: Path) -> None:
    """From a virtual environment: its base interpreter, or the system's, runs; a relay is its own's."""
    home("install")
    text = (home.shims / "bd" / "bd").read_text()
    assert f"({PYTHON} -I -S -E" in text
    assert sys.executable in text
    spy(home.shims / "bd" / "bd", tmp_path / "mark")
    run(["bd", "ready"], home.env, home.path, home.town)
    assert (tmp_path / "mark").exists()


def test_the_interpreter_is_one_that_was_built_for_speed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Our own where it is; else the system's, if there is one that can run the fast path."""
    own = os.path.realpath(sys.executable), sys.implementation.cache_tag
    system = script(tmp_path / "python3", "echo cpython-399 3 99")
    monkeypatch.setattr(launcher, "SYSTEM", str(system))
    for built_with, said, chosen in (
        ("'--enable-optimizations'", "cpython-399 3 99", own),
        ("'--enable-shared'", "cpython-399 3 99", (str(system), "cpython-399")),
        ("'--enable-shared'", "cpython-310 3 10", own),
        ("'--enable-shared'", "pypy311-pp73 3 11", own),
        ("'--enable-shared'", "what", own),
    ):
        monkeypatch.setattr(sysconfig, "get_config_var", {"CONFIG_ARGS": built_with}.get)
        script(system, f"echo {said}")
        assert launcher.interpreter.__wrapped__() == chosen
    system.unlink()
    assert launcher.interpreter.__wrapped__() == own


def test_outside_a_town_no_journal_is_made(home: Home, tmp_path: Path) -> None:
    """It says so, and the shims are there."""
    done = home("install", cwd=tmp_path)
    assert "no journal is made" in done.stderr
    assert not (home.root / ".local" / "state").exists()
    assert (home.shims / "bd" / "bd").exists()


def test_a_journal_that_is_off_stays_off(home: Home) -> None:
    """Nobody overrules the operator who removed the file `on`."""
    os.unlink(create(home.journal.root).on_path)
    done = home("install")
    assert not home.journal.is_on()
    assert "nothing will be recorded" in done.stderr


@pytest.mark.parametrize("other", ["notes.txt", "git/hooks", "bd/bd", "ls/ls"])
def test_a_directory_that_holds_other_things_is_refused(other: str, home: Home, tmp_path: Path) -> None:
    """One line, and nothing in it has changed."""
    place = tmp_path / "place"
    (place / other).parent.mkdir(parents=True)
    (place / other).write_text("mine")
    done = home("install", "--dir", str(place))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert other in done.stderr or other.partition("/")[0] in done.stderr
    assert [str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()] == [other]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["install", "ls"], 2),
        (["install", "--dir", "a:b"], 2),
        (["install", "--dir", "/dev/null/x"], 1),
        (["remove", "--dir", "/proc/self/task/x:y"], 2),
        (["nonsense"], 2),
    ],
)
def test_mistakes_are_one_line(words: list[str], code: int, home: Home) -> None:
    """Wrong use is 2, what the system refuses 1."""
    done = home(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1


def test_remove_takes_what_is_ours_and_says_what_remains(home: Home) -> None:
    """A file of somebody else's stays, and the profile's line is named."""
    line = home("install").stdout
    (home.root / ".profile").write_text(f"umask 22\n{line}")
    (home.root / ".bashrc").write_text('export PATH="$HOME/.local/share/gastown-tracing/shims/git:$PATH"\n')
    (home.shims / "git" / "notes").write_text("mine")
    done = home("remove", "bd")
    assert sorted(os.listdir(home.shims)) == ["git", "gt", "tmux"]
    done = home("remove")
    assert done.returncode == 0
    assert [str(path.relative_to(home.shims)) for path in home.shims.rglob("*")] == ["git", "git/notes"]
    assert f"{home.root}/.profile:2 " in done.stderr
    assert f"{home.root}/.bashrc:1 " in done.stderr
    (home.shims / "git" / "notes").unlink()
    assert home("remove").returncode == 0
    assert not home.shims.exists()
    assert "no shims" in home("remove").stderr


def test_remove_says_what_still_records_and_switches_it_off(home: Home) -> None:
    """The shims go, tracing stays on, with what ends it on one line; --off removes `on` and nothing else."""
    home("install")
    said = home("remove").stderr.splitlines()
    (still,) = [line for line in said if "tracing is still on" in line]
    assert "gt-trace relay stop" in still
    assert home.journal.on_path in still
    assert still.endswith(f"the journal stays at {home.journal.root}")
    assert home.journal.is_on()
    assert home("remove", "--off", "bd").returncode == 2
    before = set(os.listdir(home.journal.root))
    assert f"removed {home.journal.on_path}" in home("remove", "--off").stderr
    assert before - set(os.listdir(home.journal.root)) == {"on"}
    assert "off already" in home("remove", "--off").stderr
    assert "tracing is" not in home("remove").stderr


def test_outside_a_town_nothing_is_said_to_be_off(home: Home, tmp_path: Path) -> None:
    """A town's journal is on; who asks from elsewhere is told where to go."""
    home("install")
    done = home("remove", "--off", cwd=tmp_path)
    assert done.returncode == 1
    name = os.path.basename(home.journal.root)
    assert f"this is no town, and nothing was switched off; journals here: {name}" in done.stderr
    assert home.journal.is_on()
    assert f"this is no town; journals here: {name}" in home("status", cwd=tmp_path).stdout


def test_install_names_gt_trace_where_path_has_none(home: Home) -> None:
    """Its full path is said, and nothing where PATH leads to it."""
    named(home.real, "gt-trace")
    assert "gt-trace is not on PATH" not in home("install").stderr
    (home.real / "gt-trace").unlink()
    ours = Path(sys.executable).parent / "gt-trace"
    assert f"gt-trace is not on PATH: it is {ours}\n" in home("install").stderr


def test_a_terminal_shows_the_line_once(home: Home) -> None:
    """Where nothing evals it, standard output and standard error are the same screen."""
    words = [sys.executable, "-m", "gastown_tracing.cli", "shims", "install"]
    done = run(["script", "-qec", shlex.join(words), "/dev/null"], home.env, home.env["PATH"], home.town)
    assert done.stdout.count("export PATH=") == 1
    assert "shell's profile:" in done.stdout


def test_status_says_how_each_program_stands(home: Home) -> None:
    """Seen, hidden behind the real one, not on PATH, without a shim; 0 only where all are seen."""
    assert home("status").returncode == 1
    home("install", "bd", "gt", "git")
    assert home.states() == {"bd": "seen", "gt": "seen", "git": "seen", "tmux": "none"}
    assert home("status", PATH=home.path).returncode == 0
    path = f"{home.shims}/bd:{home.real}:{home.shims}/gt:{REST}"
    assert home.states(PATH=path) == {"bd": "seen", "gt": "hidden", "git": "off PATH", "tmux": "none"}
    done = home("status", PATH=path)
    assert done.returncode == 1
    assert f"bd        seen · {home.shims}/bd/bd → {home.real}/bd" in done.stdout
    assert 'eval "$(gt-trace shims install)"' in done.stdout


@pytest.mark.parametrize("gone", ["interpreter", "package", "version", "text"])
def test_status_names_what_is_stale(gone: str, home: Home) -> None:
    """The interpreter or the package is gone, or another installation or an older version wrote the shim."""
    home("install")
    file = home.shims / "git" / "git"
    old, new, said = {
        "interpreter": (PYTHON, "/gone/python", "its Python is gone: /gone/python"),
        "package": ('"package": "', '"package": "/gone', "its package is gone"),
        "version": ('"version": "', '"version": "0.0.', "of another installation"),
        "text": ("exec -a git", "exec -a  git", "older version"),
    }[gone]
    file.write_text(file.read_text().replace(old, new))
    done = home("status", PATH=home.path)
    assert done.returncode == 1
    assert said in done.stdout
    assert "gt-trace shims install: writes them again" in done.stdout


def test_status_names_the_ways_around_in_claudes_hooks(home: Home) -> None:
    """Full paths, and folders put before the shims, in the user's settings and the town's."""
    home("install")
    script(home.root / "go" / "bin" / "gt", "")
    hook = {"type": "command", "command": f"{home.real}/gt prime --hook"}
    path = {
        "type": "command",
        "command": 'export PATH="$HOME/go/bin:$HOME/.local/bin:$PATH" && gt costs record',
    }
    fine = {"type": "command", "command": f"bd prime; {home.shims}/gt/gt hook; /usr/bin/true"}
    for file, hooks in {
        home.root / ".claude" / "settings.json": [fine, path],
        home.town / "demo" / "polecats" / ".claude" / "settings.json": [hook],
    }.items():
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"hooks": {"SessionStart": [{"matcher": "", "hooks": hooks}]}}))
    (home.town / ".claude").mkdir()
    (home.town / ".claude" / "settings.json").write_text("{broken")
    around = home.status()["around"]
    assert isinstance(around, list)
    found = {(Path(way["where"]).relative_to(home.root), way["what"]) for way in around}
    assert found == {
        (Path(".claude/settings.json"), f"its PATH has {home.root}/go/bin/gt before the shims"),
        (Path("town/demo/polecats/.claude/settings.json"), f"{home.real}/gt is called by its full path"),
    }
    said = home("status", PATH=home.path).stdout
    assert "gt-trace hook claude install" in said
    assert "take the folder" not in said  # it has gt alone, and its children find bd by PATH


def test_our_own_hook_covers_the_prime_that_goes_around(
    home: Home, gt_trace: Callable[..., Done], tmp_path: Path
) -> None:
    """Once it is installed nothing is advised; what else gt runs by its full path is told, as is its bd."""
    home("install")
    commands = {
        "SessionStart": f"{home.real}/gt prime --hook && {home.real}/gt mail check --inject",
        "Stop": f"{home.real}/gt costs record",
    }
    settings = home.root / ".claude" / "settings.json"
    settings.parent.mkdir()
    hooks = {event: [{"hooks": [{"type": "command", "command": said}]}] for event, said in commands.items()}
    settings.write_text(json.dumps({"hooks": hooks}))
    assert "hook claude install" in home("status", PATH=home.path).stdout
    assert gt_trace("hook", "claude", "install", env=home.env).returncode == 0
    found = home.status()
    assert isinstance(found["around"], list)
    assert [(way["note"], way["todo"]) for way in found["around"]] == [
        ("our own hook records its prime", ""),
        ("what it starts is seen", ""),
    ]
    assert found["advice"] == []
    settings.write_text(settings.read_text().replace(f"{home.real}/gt costs", f"{home.real}/bd costs"))
    assert "by its name alone" in str(home.status()["advice"])


def test_status_names_what_runs_without_the_shims(home: Home, tmp_path: Path, tmux_socket: str) -> None:
    """The daemon and agents of this town, by the PATH that they were started with.

    A tmux server is none of them: in a new pane PATH is that of the client that asks for it.
    """
    home("install")
    without, agent = home.env, {"GT_ROLE": "mayor", "GT_AGENT": "cat", "GT_ROOT": str(home.town)}
    started = [
        *(daemon(env, where) for env, where in ((without, home.town), (without, tmp_path))),
        daemon({**home.env, "PATH": home.path}, home.town),
        subprocess.Popen(["/bin/cat"], env={**without, **agent}, stdin=subprocess.PIPE),
    ]
    new = ["tmux", "-S", tmux_socket, "-f", "/dev/null", "new-session", "-d", "-s", "x", "cat"]
    assert run(new, without, REST, home.town).stderr == ""
    try:
        for process in started:
            cmdline = Path(f"/proc/{process.pid}/cmdline")
            wait_until(lambda file=cmdline: b"bash" not in file.read_bytes(), "it has become the program")
        found = home.status()["started_without"]
        assert isinstance(found, list)
        assert [(one["kind"], one["name"]) for one in found] == [
            ("agent", "mayor"),
            ("gt daemon", ""),
        ]
        assert [one["pid"] for one in found] == [started[3].pid, started[0].pid]
        assert found[0]["unseen"] == list(PROGRAMS)
        assert "gt down && gt up: agents" in home("status", PATH=home.path).stdout
    finally:
        for process in started:
            process.kill()
            process.communicate()


def daemon(env: dict[str, str], where: Path) -> subprocess.Popen[bytes]:
    """Start what looks like the town's daemon: `gt daemon run`."""
    (where / "daemon").write_text("read line\n")
    words = ["/bin/bash", "-c", "exec -a gt sh daemon run"]
    return subprocess.Popen(words, env=env, cwd=where, stdin=subprocess.PIPE)


def test_status_names_the_variables_that_sh_loses(home: Home) -> None:
    """Only where there is no bash to run the shims."""
    odd = {"npm_config_//r:x": "1", "A.B": "2"}
    shims(home.shims, shell=BASH)
    assert home.status(**odd)["lost_variables"] == []
    install.remove(str(home.shims))
    shims(home.shims, shell=SH)
    assert home.status(**odd)["lost_variables"] == sorted(odd)
    assert "lost with sh" in home("status", PATH=home.path, **odd).stdout


def test_a_shell_that_warns_runs_no_shim(home: Home) -> None:
    """bash complains of an LC_ALL whose locale is missing; who called bd would take that for bd's."""
    missing = {"LC_ALL": "xx_YY.UTF-8"}
    said = run([*BASH.split(), "-c", ":"], {**home.env, **missing}, REST).stderr
    shims(home.shims, shell=BASH)
    done = home("status", PATH=home.path, **missing)
    assert ("its shell warns" in done.stdout, done.returncode) == (bool(said), int(bool(said)))
    assert home("install", **missing).returncode == 0
    assert home("status", PATH=home.path, **missing).returncode == 0
    done = run(["git", "rev-parse"], {**home.env, **missing}, home.path)
    assert (done.stdout, done.stderr) == ("real/git rev-parse\n", "")


def test_a_writer_that_is_killed_leaves_no_half_shim(home: Home, tmp_path: Path) -> None:
    """What it was writing stands beside the shim, and holds up no install."""
    home("install", "git")
    (home.shims / "git" / "git.4711").write_text("#!/bin/ba")
    assert home("install").returncode == 0
    assert home.states()["git"] == "seen"
    assert home("remove").returncode == 0
    assert not home.shims.exists()
