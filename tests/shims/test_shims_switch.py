"""A shim starts Python only for what may be recorded: in a run or a town, where telemetry may be on."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import pytest
from shims_kit import BASH, SH, named, run, shims, spy, town

from gastown_tracing import config
from gastown_tracing.journal.layout import create, default_root

Env = dict[str, str]
RUN = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
IN_A_RUN = (
    {"GT_RUN": RUN},
    {"BAGGAGE": f"gt.run_id={RUN.replace('-', '')}"},
    {"TRACEPARENT": "00-3f2504e04f8941d39a0c0305e82c3301-9a0c0305e82c3301-01"},
    {"TMUX_PANE": "%1"},
    {"GT_SESSION": "de-rust"},
)


class Place:
    """A home with a town and a place outside of it, and a shim that says whether it started Python."""

    def __init__(self, root: Path, shell: str) -> None:
        self.home, self.town = root / "home", town(root / "home" / "my town")
        self.below, self.outside = self.town / "demo" / "crew", root / "elsewhere"
        self.below.mkdir(parents=True)
        self.outside.mkdir()
        self._mark = root / "started"
        self._path = (
            f"{shims(root / 'shims', 'git', shell=shell)}:{named(root / 'real').parent}:/usr/bin:/bin"
        )
        self.shim = root / "shims" / "git" / "git"
        spy(self.shim, self._mark)
        self.env = {"HOME": str(self.home)}

    def journal(self, *, outside: bool = False, on: bool = True) -> Path:
        """Make the journal of the town, or of what is outside any."""
        made = create(default_root(self.env, "" if outside else str(self.town)))
        if not on:
            os.unlink(made.on_path)
        return Path(made.root)

    def starts(self, cwd: Path, env: Env | None = None, words: str = "fetch") -> bool:
        """Run git through the shim; say whether it started Python instead of git."""
        self._mark.unlink(missing_ok=True)
        done = run(["git", words], {**self.env, **(env or {})}, self._path, cwd)
        assert done.stderr == ""
        assert self._mark.exists() == (done.stdout == "")
        return self._mark.exists()


@pytest.fixture(params=[BASH, SH], ids=["bash", "sh"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return a home with a town, and no journal yet."""
    return Place(tmp_path, request.param)


def test_without_a_journal_nothing_starts(place: Place) -> None:
    """Neither in the town nor in a run, as long as nothing switches telemetry on."""
    assert not any(
        place.starts(cwd, env) for cwd in (place.below, place.outside) for env in ({}, IN_A_RUN[0])
    )


def test_the_towns_journal_switches_it_on(place: Place) -> None:
    """From anywhere below the town, by GT_ROOT, through links, and while the file `on` is there."""
    journal = place.journal()
    linked, deep = place.outside / "link", place.outside / "deep"
    linked.symlink_to(place.town)
    deep.symlink_to(place.below)
    ways = [place.town, place.below, linked, linked / "demo", deep]
    assert all(place.starts(cwd) for cwd in ways)
    assert all(place.starts(cwd, {"PWD": str(cwd)}) for cwd in ways)
    for root in (str(place.town), f"{place.town}//"):
        assert place.starts(place.outside, {"GT_ROOT": root})
    assert not place.starts(place.outside)
    assert not place.starts(place.below, words="rev-parse")
    assert not place.starts(place.below, {"GT_ROOT": str(place.outside)})
    (journal / "on").unlink()
    assert not any(place.starts(cwd) for cwd in [*ways, place.outside])


@pytest.mark.parametrize("run_named_by", IN_A_RUN, ids=lambda env: next(iter(env)))
def test_outside_any_town_only_a_run_is_recorded(place: Place, run_named_by: Env) -> None:
    """Rule 3: with the journal on, what is in no town and no run is nobody's business."""
    place.journal(outside=True)
    assert place.starts(place.outside, run_named_by)
    assert not place.starts(place.outside)
    assert not place.starts(place.below)


def test_the_journal_that_is_given(place: Place) -> None:
    """GT_OTEL_JOURNAL decides before the town's own; one that is not there yet is made."""
    given = place.outside / "given"
    env = {"GT_OTEL_JOURNAL": str(given)}
    assert place.starts(place.below, env)
    made = create(str(given))
    assert place.starts(place.below, env)
    assert not place.starts(place.outside, env)
    os.unlink(made.on_path)
    place.journal()
    assert not place.starts(place.below, env)
    assert place.starts(place.below, {"GT_OTEL_JOURNAL": "relative"})
    assert place.starts(place.below, {"GT_OTEL_JOURNAL": ""})


def test_disabled_is_disabled(place: Place) -> None:
    """OTEL_SDK_DISABLED=true, in any case, before everything else."""
    place.journal()
    assert not any(place.starts(place.below, {"OTEL_SDK_DISABLED": said}) for said in ("true", "TRUE"))
    assert place.starts(place.below, {"OTEL_SDK_DISABLED": "false"})


def test_an_endpoint_switches_it_on(place: Place) -> None:
    """One of GT_OTEL_*_URL is enough, in a town."""
    for name in config.URLS:
        assert place.starts(place.below, {name: "http://127.0.0.1:1"})
        assert not place.starts(place.outside, {name: "http://127.0.0.1:1"})


def test_a_home_with_all_that_a_shell_could_mistake(tmp_path: Path) -> None:
    """Blanks, quotes, signs of patterns and of variables in the paths of home, town and shims."""
    root = tmp_path / "a 'b\" $HOME `c` [d] *? \\ é;&"
    root.mkdir()
    for shell in (BASH, SH):
        odd = Place(root / shell.replace("/", ""), shell)
        odd.journal()
        assert odd.starts(odd.below)
        assert odd.starts(odd.outside, {"GT_ROOT": str(odd.town)})
        assert not odd.starts(odd.outside)


def test_a_working_directory_that_is_gone(place: Place) -> None:
    """No loop, and no town; the shell itself says that it is gone."""
    place.journal()
    gone = place.outside / "gone"
    for env in ({}, {"GT_RUN": RUN}):
        gone.mkdir()
        done = run(
            ["/bin/sh", "-c", f'rmdir "{gone}"; exec "$0" "$@"', place.shim, "fetch"],
            {**place.env, **env},
            f"{place.shim.parent}:{place.outside.parent}/real:/usr/bin:/bin",
            gone,
        )
        assert done.stdout == "real/git fetch\n"


def test_whatever_python_would_record_is_let_through(place: Place) -> None:
    """Over all combinations of journals, variables and directories."""
    given = create(str(place.outside / "given"))
    journals: list[Env] = [{}, {"GT_OTEL_JOURNAL": given.root}, {"XDG_STATE_HOME": str(place.outside)}]
    runs: list[Env] = [{}, IN_A_RUN[0], {"GT_ROOT": str(place.town)}, {"GT_ROOT": "relative"}]
    for switched in (True, False):
        create(default_root({"XDG_STATE_HOME": str(place.outside)}, str(place.town)))
        place.journal(on=switched)
        for journal, inside, cwd in product(journals, runs, (place.below, place.outside)):
            env = {**place.env, **journal, **inside}
            found = config.load(env, str(cwd))
            wanted = found.on and bool(found.town_root or env.get("GT_RUN"))
            assert place.starts(cwd, {**journal, **inside}) == wanted, (journal, inside, cwd)
