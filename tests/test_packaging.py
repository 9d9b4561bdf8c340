"""The package as users get it: a wheel, installed where the checkout is not, with all that it needs."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, clean_environ
from tests.relay.service_kit import Town


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built by the environment's own build backend: no network."""
    directory = tmp_path_factory.mktemp("dist")
    words = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(directory),
        str(ROOT),
    ]
    subprocess.run(words, check=True, capture_output=True, env=clean_environ())
    return next(directory.glob("*.whl"))


def test_the_wheel_holds_both_packages_and_nothing_else(wheel: Path) -> None:
    """Both packages with their types and assets, the licence, the entry points; no tests, no caches."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"gastown_tracing", "propagation"}
    assert {"gastown_tracing/py.typed", "propagation/py.typed"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if "__pycache__" in name]


def test_the_demo_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """Installed in an environment of its own, outside the checkout, `gt-trace demo` shows its waterfall."""
    home = tmp_path / "environment"
    venv.create(home, with_pip=False, symlinks=True)
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(home / "bin/python"),
        "install",
        "--no-index",
        "--no-deps",
    ]
    subprocess.run([*install, "-q", str(wheel)], check=True, capture_output=True, env=clean_environ())
    # The dependencies come from the test's own environment; a .pth does not bring the checkout along.
    site = next(home.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    env = clean_environ() | {"GT_OTEL_JOURNAL": str(tmp_path / "journal"), "HOME": str(tmp_path)}
    where = "import gastown_tracing, propagation; print(gastown_tracing.__file__, propagation.__file__)"
    found = subprocess.run(
        [home / "bin/python", "-c", where], env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert all(path.startswith(str(home)) for path in found.stdout.split())
    shown = subprocess.run(
        [home / "bin/gt-trace", "demo", "--json"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    facts = json.loads(shown.stdout)
    assert Path(facts["html"]).exists()
    _relay_starts_and_ends(home, {**env, "GT_OTEL_RELAY": "true"}, tmp_path)


def _relay_starts_and_ends(home: Path, env: dict[str, str], cwd: Path) -> None:
    """A command starts the installed relay, by the shell launcher as by the console script."""
    launch = [home / "bin/python", "-m", "gastown_tracing.shims.launcher", cwd / "launch"]
    subprocess.run(launch, env=env, cwd=cwd, check=True)
    for words in ([home / "bin/gt-trace", "exec"], [cwd / "launch"]):
        subprocess.run([*words, "--", "true"], env=env, cwd=cwd, check=True)
        found = Town(Path(env["GT_OTEL_JOURNAL"]), env)
        try:
            pid = found.running()
            assert Path(f"/proc/{pid}/cmdline").read_bytes().startswith(f"{home}/bin/python".encode())
        finally:
            found.end()
        found.outdate()
