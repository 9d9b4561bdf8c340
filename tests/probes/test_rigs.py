"""Which rigs are looked at: those that are named, else the town's, else where one stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gastown_tracing.probes.rigs import Place, places, rig_of, town_rigs


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """Return a town with two rigs, as `gt rig add` registers them."""
    root = tmp_path / "town"
    (root / "mayor").mkdir(parents=True)
    (root / "mayor" / "town.json").write_text("{}")
    rigs = {name: {"git_url": "file:///x", "beads": {"prefix": name}} for name in ("demo", "api")}
    (root / "mayor" / "rigs.json").write_text(json.dumps({"version": 1, "rigs": rigs}))
    (root / "demo" / "mayor" / "rig").mkdir(parents=True)
    return root


def test_a_town_has_the_rigs_that_it_has_registered(town: Path) -> None:
    assert places([], str(town), "/elsewhere") == [
        Place("api", f"{town}/api"),
        Place("demo", f"{town}/demo"),
    ]


def test_directories_that_are_named_go_before_the_town(town: Path, tmp_path: Path) -> None:
    """Anywhere in a rig is that rig; the town's own beads belong to none."""
    clone = f"{town}/demo/mayor/rig"
    given = [clone, str(tmp_path), str(town), f"{town}/mayor", clone]
    assert places(given, str(town), "/elsewhere") == [
        *[Place("demo", clone), Place(tmp_path.name, str(tmp_path))],
        *[Place("", str(town)), Place("", f"{town}/mayor")],
    ]


def test_outside_a_town_the_working_directory_is_the_rig(tmp_path: Path) -> None:
    assert places([], "", str(tmp_path)) == [Place(tmp_path.name, str(tmp_path))]


def test_a_link_to_a_rig_is_that_rig(town: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(town / "demo")
    assert rig_of(str(tmp_path / "link")) == "demo"


@pytest.mark.parametrize(
    "registry",
    ["", "nonsense", "[]", '{"rigs": []}', '{"rigs": {"..": {}, "": {}, "a/b": {}, "\\u0000": {}}}'],
)
def test_a_registry_that_names_no_rig_has_none(town: Path, registry: str) -> None:
    """No name leads out of the town."""
    (town / "mayor" / "rigs.json").write_text(registry)
    assert town_rigs(str(town)) == []
    (town / "mayor" / "rigs.json").unlink()
    assert places([], str(town), "/elsewhere") == []
