"""`gt-trace env`: the shell lines that switch telemetry on, and the journal behind them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gastown_tracing import config

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_eval_switches_telemetry_on(env: dict[str, str], tmp_path: Path) -> None:
    """After `eval "$(gt-trace env)"` a traced command records, in a directory whose name needs quoting
    too.
    """
    place = tmp_path / "it's $HOME `here`"
    gt_trace = f"{sys.executable} -m gastown_tracing.cli"
    script = f'eval "$({gt_trace} env)" && cd / && {gt_trace} exec -- true && echo "$GT_OTEL_JOURNAL"'
    plain = {**env, "GT_OTEL_JOURNAL": str(place), "GT_ROOT": str(tmp_path)}
    done = subprocess.run(["sh", "-c", script], env=plain, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{place}\n", "")
    assert len(list(place.glob("loose/*/traces.jsonl"))) == 1


def test_default_is_the_towns_journal(gt_trace: Run, env: dict[str, str], tmp_path: Path) -> None:
    """Without GT_OTEL_JOURNAL the line names the journal of the town that one stands in."""
    (tmp_path / "town/mayor").mkdir(parents=True)
    (tmp_path / "town/mayor/town.json").write_text("{}")
    plain = {name: value for name, value in env.items() if name != "GT_OTEL_JOURNAL"}
    done = gt_trace("env", env={**plain, "XDG_STATE_HOME": str(tmp_path / "state")}, cwd=tmp_path / "town")
    name = next((tmp_path / "state/gastown-tracing").iterdir())
    assert name.name.startswith("town-")
    assert done.stdout == f"export GT_OTEL_JOURNAL='{name}'\n"


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("sh", "export GT_OTEL_JOURNAL='{0}a'\"'\"'b\\c'\n"),
        ("fish", "set -gx GT_OTEL_JOURNAL '{0}a\\'b\\\\c'\n"),
    ],
)
def test_quoting(gt_trace: Run, tmp_path: Path, shell: str, line: str) -> None:
    """Each shell's own quoting; fish, which has another syntax, only needs to be named."""
    done = gt_trace("env", "--journal", f"{tmp_path}/a'b\\c", "--shell", shell)
    assert done.stdout == line.format(f"{tmp_path}/")
    program = shutil.which(shell)
    if program:
        script = f'{done.stdout}printf %s "$GT_OTEL_JOURNAL"'
        said = subprocess.run([program, "-c", script], capture_output=True, text=True, check=True)
        assert said.stdout == f"{tmp_path}/a'b\\c"


def test_endpoints_go_to_the_config(gt_trace: Run, env: dict[str, str], journal_root: Path) -> None:
    """URLs and OTLP settings are kept in config.json, private, and added to what is there; none is
    exported.
    """
    first = gt_trace(
        "env", env={**env, "OTEL_EXPORTER_OTLP_HEADERS": "a=b", "GT_OTEL_LOGS_URL": "http://l/x"}
    )
    second = gt_trace("env", "--traces-url", "http://t/v1/traces", "--metrics-url", "none")
    assert first.stdout == second.stdout == f"export GT_OTEL_JOURNAL='{journal_root}'\n"
    config = journal_root / "config.json"
    assert json.loads(config.read_text()) == {
        "OTEL_EXPORTER_OTLP_HEADERS": "a=b",
        "GT_OTEL_LOGS_URL": "http://l/x",
        "GT_OTEL_TRACES_URL": "http://t/v1/traces",
        "GT_OTEL_METRICS_URL": "none",
    }
    assert config.stat().st_mode & 0o777 == 0o600


def test_switch_stays_off_until_asked(gt_trace: Run, journal_root: Path) -> None:
    """Who removed `on` is not overruled, and is told; --on puts it back."""
    gt_trace("env")
    (journal_root / "on").unlink()
    done = gt_trace("env")
    assert (done.returncode, len(done.stderr.splitlines()), "--on" in done.stderr) == (0, 1, True)
    assert not (journal_root / "on").exists()
    assert gt_trace("env", "--on").stderr == ""
    assert (journal_root / "on").exists()


def test_disabled_sdk_is_named(gt_trace: Run, env: dict[str, str]) -> None:
    """OTEL_SDK_DISABLED keeps telemetry off whatever the lines say: stderr says so, and what helps."""
    done = gt_trace("env", env={**env, "OTEL_SDK_DISABLED": "true"})
    assert "OTEL_SDK_DISABLED is true: unset it" in done.stderr


@pytest.mark.parametrize(("named", "where"), [("relative/j", "{0}/relative/j"), ("/nowhere/j", "/nowhere/j")])
def test_relative_journal_begins_in_the_working_directory(tmp_path: Path, named: str, where: str) -> None:
    """A relative GT_OTEL_JOURNAL is found from the working directory, which may be `/`."""
    assert config.load({"GT_OTEL_JOURNAL": named}, "/").journal.root == where.format("")
    assert config.load({"GT_OTEL_JOURNAL": named}, str(tmp_path)).journal.root == where.format(tmp_path)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--traces-url", "localhost:4318"), 2),
        (("--traces-url", "http://localhost:4318"), 2),
        (("--traces-url", "http://localhost:port/v1/traces"), 2),
        (("--traces-url", "http://localhost:9428/insert/opentelemetry/v1/logs"), 2),
        (("--logs-url", "http://localhost:4318/v1/traces"), 2),
        (("--traces-url", "http://h/x", "--logs-url", "http://h/x"), 2),
        (("--journal", "/proc/nowhere"), 1),
    ],
)
def test_errors_are_one_line(gt_trace: Run, options: tuple[str, ...], code: int) -> None:
    """What cannot be used is said in one line, and nothing is printed for the shell to run."""
    done = gt_trace("env", *options)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (code, "", 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_journal_of_another_user_is_refused(gt_trace: Run, journal_root: Path) -> None:
    """Nobody writes into somebody else's journal."""
    gt_trace("env")
    os.chown(journal_root, 65534, 65534)
    done = gt_trace("env", "--logs-url", "http://l/v1/logs")
    assert (done.returncode, done.stdout) == (1, "")
    assert json.loads((journal_root / "config.json").read_text()) == {}
