"""A shim runs the next program of its name, whatever PATH looks like, and never another shim."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from shims_kit import BASH, PYTHON, SH, named, run, script, shims, town

from gastown_tracing.journal.otlp import Span
from gastown_tracing.shims import install

Env = dict[str, str]
REST = "/usr/bin:/bin"


@pytest.fixture(params=[BASH, SH], ids=["bash", "sh"])
def shell(request: pytest.FixtureRequest) -> str:
    """Return the shell that runs the shims."""
    return str(request.param)


@pytest.fixture(params=["off", "on"])
def here(request: pytest.FixtureRequest, env: Env, tmp_path: Path) -> Env:
    """Return an environment where nothing is recorded, and one of a town where it is."""
    if request.param == "off":
        return {**env, "OTEL_SDK_DISABLED": "true"}
    return {**env, "GT_ROOT": str(town(tmp_path / "town"))}


def of_another(directory: Path, shell: str) -> str:
    """Install shims of an installation whose interpreter is gone."""
    path = shims(directory, "git", shell=shell)
    file = directory / "git" / "git"
    file.write_text(file.read_text().replace(PYTHON, "/gone/python"))
    return path


def test_the_next_program_runs_whatever_is_before_it(here: Env, shell: str, tmp_path: Path) -> None:
    """Two folders of shims in both orders, twice, links, another installation's: all are passed over."""
    one, two = shims(tmp_path / "one", "git", shell=shell), shims(tmp_path / "two", "git", shell=shell)
    other = of_another(tmp_path / "other", shell)
    links, more = tmp_path / "links", tmp_path / "more links"
    links.mkdir()
    more.mkdir()
    (links / "git").symlink_to(tmp_path / "one" / "git" / "git")
    (more / "git").symlink_to(links / "git")
    named(tmp_path / "real")
    for path in (
        f"{one}:{two}",
        f"{two}:{one}",
        f"{one}:{one}:{two}:{one}",
        f"{one}:{other}:{two}",
        f"{other}:{one}",
        f"{links}:{more}:{one}",
        f"{more}:{one}:{links}:{other}",
    ):
        for words in (["git", "fetch", "a b"], ["git", "rev-parse"]):
            done = run(words, here, f"{path}:{tmp_path}/real:{REST}")
            said = (done.returncode, done.stdout, done.stderr)
            assert said == (0, f"real/git {' '.join(words[1:])}\n", ""), path


def test_a_shim_that_is_last_or_not_on_path(here: Env, shell: str, tmp_path: Path) -> None:
    """Called by its full path it runs the first real program; behind that one it is not called at all."""
    path, shim = shims(tmp_path / "shims", "git", shell=shell), tmp_path / "shims" / "git" / "git"
    named(tmp_path / "real")
    for words in ([shim, "fetch"], ["git", "fetch"]):
        for order in (f"{tmp_path}/real:{REST}:{path}", f"{tmp_path}/real:{REST}"):
            assert run(words, here, order).stdout == "real/git fetch\n"
    assert run([shim, "fetch"], here, f"{path}:{tmp_path}/real").stdout == "real/git fetch\n"


@pytest.mark.parametrize("how", ["exec ", "", "true; "], ids=["exec", "child", "later"])
def test_a_script_that_looks_for_the_next_of_its_name(
    how: str, here: Env, shell: str, tmp_path: Path
) -> None:
    """Whoever hands a call on, as we do, is not handed it back, wherever it stands."""
    path = shims(tmp_path / "shims", "git", shell=shell)
    script(
        tmp_path / "script" / "git",
        'rest=$PATH:; while [ "$rest" ]; do file=${rest%%:*}/git; rest=${rest#*:}; '
        f'[ ! -x "$file" ] || [ "$file" -ef "$0" ] || {{ {how}"$file" "$@"; exit; }}; done; exit 3',
    )
    real = named(tmp_path / "real")
    for words in (["git", "fetch"], ["git", "rev-parse"]):
        for order in (f"{path}:{tmp_path}/script", f"{tmp_path}/script:{path}"):
            done = run(words, here, f"{order}:{real.parent}:{REST}")
            assert (done.stdout, done.stderr) == (f"real/git {words[1]}\n", "")
    done = run(["git", "fetch"], here, f"{path}:{tmp_path}/script")
    assert done.stderr == "git: command not found\n"


def test_a_script_is_found_again_by_what_the_program_starts(here: Env, shell: str, tmp_path: Path) -> None:
    """A hook of the real program comes to the script as the first call did."""
    path = shims(tmp_path / "shims", "git", shell=shell)
    real = tmp_path / "real" / "git"
    script(tmp_path / "script" / "git", f'echo script "$@"; exec {real} "$@"')
    script(tmp_path / "hook", "git push")
    script(real, f'echo real "$@"; [ "$1" = push ] || {tmp_path}/hook')
    done = run(["git", "fetch"], here, f"{path}:{tmp_path}/script:{REST}")
    assert done.stdout.split("\n") == ["script fetch", "real fetch", "script push", "real push", ""]


def test_relative_and_empty_entries_of_path(here: Env, shell: str, tmp_path: Path) -> None:
    """They are taken from the working directory, as every shell does."""
    path = shims(tmp_path / "shims", "git", shell=shell)
    named(tmp_path / "place")
    named(tmp_path / "place" / "below")
    for order, found in {
        f"{path}:below:{REST}": "below",
        f"{path}::{REST}": "place",
        f"{path}:": "place",
        f"{path}:../place:{REST}": "place",
        f"../shims/git:{tmp_path}/place/below": "below",
        f":{path}:below": "below",
    }.items():
        done = run([tmp_path / "shims" / "git" / "git", "fetch"], here, order, tmp_path / "place")
        assert (done.stdout, done.stderr) == (f"{found}/git fetch\n", ""), order


def test_no_real_program(here: Env, shell: str, tmp_path: Path) -> None:
    """Nothing behind the shim is 127 with one line, a file that may not be run 126: as without us."""
    path = shims(tmp_path / "shims", "git", shell=shell)
    shim = tmp_path / "shims" / "git" / "git"
    (tmp_path / "folder" / "git").mkdir(parents=True)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "git").write_text("no program")
    for order, code, reason in (
        (path, 127, "command not found"),
        (f"{path}:{tmp_path}/folder:{tmp_path}/nowhere", 127, "command not found"),
        (f"{path}:{tmp_path}/text", 126, "Permission denied"),
    ):
        for words in ([shim, "fetch"], [shim, "rev-parse"]):
            done = run(words, here, order)
            assert (done.returncode, done.stdout) == (code, "")
            assert done.stderr == f"git: {reason}\n"


def test_without_path_the_shells_own_is_used(here: Env, shell: str, tmp_path: Path) -> None:
    """PATH that is not set at all: what a shell would find."""
    shims(tmp_path / "shims", "git", shell=shell)
    words = ["/usr/bin/env", "-u", "PATH", str(tmp_path / "shims" / "git" / "git"), "--version"]
    assert run(words, here, "").stdout.startswith("git version")


@pytest.mark.parametrize("gone", ["interpreter", "package", "home"])
def test_what_is_left_of_an_installation_runs_the_program(
    gone: str, here: Env, shell: str, tmp_path: Path
) -> None:
    """With the interpreter or the package gone, or the shims' home moved, the real program runs."""
    path = shims(tmp_path / "shims", "git", shell=shell)
    file = tmp_path / "shims" / "git" / "git"
    if gone == "home":
        (tmp_path / "shims").rename(tmp_path / "moved")
        path = f"{path}:{tmp_path}/moved/git"
    else:
        found = PYTHON if gone == "interpreter" else "/gastown_tracing/shims/main.py"
        file.write_text(file.read_text().replace(found, f"/gone{found}"))
    named(tmp_path / "real")
    done = run(["git", "fetch"], here, f"{path}:{tmp_path}/real:{REST}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "real/git fetch\n", "")


@pytest.mark.parametrize("program", ["bd", "git"])
def test_the_name_and_the_words_that_the_program_gets(program: str, here: Env, tmp_path: Path) -> None:
    """With bash it is called by the name that its caller used, and with the words as they were."""
    path = f"{shims(tmp_path / 'shims', program)}:{cat(tmp_path / 'real', program)}:{REST}"
    done = run([program, "/proc/self/cmdline"], here, path)
    name = program if program == "git" or "OTEL_SDK_DISABLED" in here else f"{tmp_path}/real/{program}"
    assert done.stdout == f"{name}\0/proc/self/cmdline\0"


@pytest.mark.parametrize("program", ["bd", "git"])
def test_odd_names_in_the_environment_survive_with_bash(program: str, here: Env, tmp_path: Path) -> None:
    """Variables whose names are no identifiers reach the program."""
    path = f"{shims(tmp_path / 'shims', program)}:{cat(tmp_path / 'real', program)}:{REST}"
    odd = {"npm_config_//r:x": "1", "A.B": "2", "BASH_FUNC_f%%": "() { :; }", "a-b": "é\n"}
    done = run([program, "/proc/self/environ"], {**here, **odd}, path)
    assert odd.items() <= dict(item.partition("=")[::2] for item in done.stdout.split("\0")).items()


def cat(folder: Path, program: str) -> Path:
    """Let cat(1) be the program."""
    folder.mkdir()
    shutil.copy(shutil.which("cat") or "cat", folder / program)
    return folder


def test_a_hook_of_the_program_that_calls_it_again_is_seen(
    env: Env, shell: str, tmp_path: Path, spans: Callable[[], list[Span]]
) -> None:
    """Two calls are two spans, the inner one below the outer; through two folders of shims each is one."""
    root = town(tmp_path / "town")
    path = ":".join(shims(tmp_path / name, "bd", shell=shell) for name in ("one", "two"))
    script(tmp_path / "real" / "bd", '[ "$1" = show ] || bd show de-1tr')
    done = run(["bd", "close", "de-1tr"], env, f"{path}:{tmp_path}/real:{REST}", root)
    assert (done.returncode, done.stderr) == (0, "")
    inner, outer = sorted(spans(), key=lambda span: str(span.attributes["subcommand"]), reverse=True)
    assert (outer.attributes["subcommand"], inner.attributes["subcommand"]) == ("close", "show")
    assert (inner.parent_id, inner.trace_id) == (outer.span_id, outer.trace_id)


def test_bd_version_sees_one_bd(here: Env, shell: str, tmp_path: Path) -> None:
    """It warns of a second file of its name on PATH: the folders of bd's shims are not on its own."""
    ours = shims(tmp_path / "shims", "bd", "git", shell=shell)
    more = of_another(tmp_path / "other", shell)
    links = tmp_path / "links"
    links.mkdir()
    (links / "bd").symlink_to(install.path(str(tmp_path / "shims"), "bd"))
    script(tmp_path / "real" / "bd", "echo $PATH")
    path = f"{links}:{ours}:{more}:{tmp_path}/real:{REST}:"
    rest = f"{tmp_path}/shims/git:{more}:{tmp_path}/real:{REST}:\n"
    for words in ("version", "--json version", "-C x version --json"):
        assert run(["bd", *words.split()], here, path).stdout == rest
    for words in ("show version", "create version", "ready"):
        assert run(["bd", *words.split()], here, path).stdout == f"{path}\n"


def test_a_copy_of_a_shim_is_a_shim(here: Env, shell: str, tmp_path: Path) -> None:
    """What makes it one is what it says of itself: also below another name of its folder."""
    path = shims(tmp_path / "shims", "git", shell=shell)
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "shims" / "git" / "git", tmp_path / "copy" / "git")
    named(tmp_path / "real")
    for order in (f"{path}:{tmp_path}/copy", f"{tmp_path}/copy:{path}"):
        assert run(["git", "fetch"], here, f"{order}:{tmp_path}/real:{REST}").stdout == "real/git fetch\n"
