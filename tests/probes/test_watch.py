"""`gt-trace watch` as its users see it: a real process, with a `bd` that says what the test wants."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gastown_tracing.journal.index import bead_span, note_bead
from gastown_tracing.journal.layout import create
from tests.api.programs import ROOT_ID, RUN_ID, RUN_UUID, loose_spans
from tests.probes.standin import StandIn, bead
from tests.processes import is_alive, wait_until

Watch = Callable[..., "subprocess.CompletedProcess[str]"]
WORDS = [sys.executable, "-m", "gastown_tracing.cli", "watch", "--probe", "refinery"]


@pytest.fixture
def rig(tmp_path: Path) -> StandIn:
    """Return a rig with an empty queue."""
    standin = StandIn(tmp_path / "demo")
    standin.answer()
    return standin


@pytest.fixture
def watch(rig: StandIn, tmp_path: Path) -> Watch:
    """Return a function that watches, without telemetry, from the rig's directory."""

    def run(*options: str, **more: str) -> subprocess.CompletedProcess[str]:
        env = {**rig.env, "HOME": str(tmp_path), **more}
        return subprocess.run(
            [*WORDS, *options],
            env=env,
            cwd=rig.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def started(rig: StandIn, tmp_path: Path, *options: str) -> subprocess.Popen[str]:
    """Start watching without end."""
    return subprocess.Popen(
        [*WORDS, "--interval", "100ms", *options],
        env={**rig.env, "HOME": str(tmp_path)},
        cwd=rig.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    yield from process.stdout


def test_a_line_a_rig_says_what_waits_and_what_was_taken(rig: StandIn, tmp_path: Path) -> None:
    """The items that were taken since the last poll stand on the line after it."""
    rig.answer(queue=[bead("de-wisp-1"), bead("de-wisp-2")])
    with started(rig, tmp_path) as process:
        lines = lines_of(process)
        assert re.fullmatch(r"\d\d:\d\d:\d\d  demo  waiting 2    oldest \S+ \S+\n", next(lines))
        rig.answer(
            queue=[bead("de-wisp-1"), bead("de-wisp-2", assignee="x", updated_at="2026-11-21T03:02:05Z")]
        )
        taken = next(line for line in lines if "dispatched" in line)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert re.search(r"  waiting 1    oldest \S+ \S+ +dispatched de-wisp-2 after 2m 05s$", taken)


def test_json_is_an_object_a_line(rig: StandIn, watch: Watch) -> None:
    rig.answer(queue=[bead("de-1"), bead("de-2", description="rig: other")])
    done = watch("--count", "2", "--interval", "100ms", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr, len(rows)) == (0, "", 4)
    assert [row["rig"] for row in rows] == ["demo", "other"] * 2
    assert {(row["queue_depth"], *row["dispatched"]) for row in rows} == {(1,)}
    assert rows[0]["item_age_ms"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", rows[0]["time"])


def test_an_empty_queue_has_no_age(watch: Watch) -> None:
    done = watch("--once")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"\S+  demo  waiting 0\n", done.stdout)


def test_what_cannot_be_read_is_one_line_with_what_to_do(rig: StandIn, watch: Watch, tmp_path: Path) -> None:
    """Exit code 1, and nothing that bd said; what can be read is there."""
    rig.break_down()
    other = StandIn(tmp_path / "other")
    other.answer()
    done = watch(
        "--once", "--rig-dir", ".", "--rig-dir", str(tmp_path), "--rig-dir", "nowhere", PATH=rig.env["PATH"]
    )
    assert (done.returncode, done.stdout) == (1, "")
    lines = [line.partition("cannot be read: ")[2] for line in done.stderr.splitlines()]
    assert lines == [
        f"bd: exit code 1; see what `bd list` says in {rig.directory}",
        f"bd: exit code 1; see what `bd list` says in {tmp_path}",
        f"its directory is missing; there is no {rig.directory}/nowhere; --rig-dir DIR names another",
    ]
    done = watch("--once", PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r"gt-trace: \S+  demo  cannot be read: bd is not on PATH; put it there\n", done.stderr
    )
    (line,) = watch("--once", "--json", PATH=str(tmp_path)).stdout.splitlines()
    said = json.loads(line)
    assert (said["rig"], said["error"], said["hint"]) == ("demo", "bd is not on PATH", "put it there")


def test_watching_goes_on_when_a_rig_cannot_be_read(rig: StandIn, tmp_path: Path) -> None:
    with started(rig, tmp_path) as process:
        lines = lines_of(process)
        next(lines)
        rig.break_down()
        assert process.stderr is not None
        assert "cannot be read" in process.stderr.readline()
        rig.recover()
        rig.answer(queue=[bead("de-1")])
        assert any("waiting 1" in line for line in lines)
        process.kill()


def test_a_closed_pipe_ends_it_quietly(rig: StandIn, tmp_path: Path) -> None:
    with started(rig, tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == ""


def test_sigterm_ends_a_bd_that_hangs_too(rig: StandIn, tmp_path: Path) -> None:
    hanging = 'sleep 600 & echo $! > "$STANDIN/new"; mv "$STANDIN/new" "$STANDIN/pid"; wait'
    (rig.directory / "bin" / "bd").write_text(f"#!/bin/sh\n{hanging}\n")
    pid = rig.directory / "pid"
    with started(rig, tmp_path) as process:
        wait_until(pid.exists, "bd's start")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    wait_until(lambda: not is_alive(int(pid.read_text())), "the end of what bd had started")


def test_the_rigs_of_the_town_are_watched(rig: StandIn, tmp_path: Path, watch: Watch) -> None:
    """As mayor/rigs.json has them; a town that has none says so."""
    (tmp_path / "mayor").mkdir()
    (tmp_path / "mayor" / "town.json").write_text("{}")
    registry = tmp_path / "mayor" / "rigs.json"
    registry.write_text('{"version": 1, "rigs": {"demo": {}, "gone": {}}}')
    done = watch("--once", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["rig"], row.get("queue_depth"), row.get("error")) for row in rows] == [
        *[("demo", 0, None), ("gone", None, "its directory is missing")],
    ]
    registry.write_text("{}")
    done = watch("--once")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"gt-trace: no rigs in {registry}: --rig-dir DIR names one\n"


def test_names_that_nobody_chose_are_harmless_on_a_terminal(rig: StandIn, watch: Watch) -> None:
    rig.answer(queue=[bead("de-1", description="rig: \x1b[31mred\x07")])
    done = watch("--once")
    assert (done.returncode, "\x1b" in done.stdout, "\x07" in done.stdout) == (0, False, False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--probe", "nonsense"], "no probe 'nonsense'; there is: refinery"),
        (["--interval", "0s"], "--interval '0s' is no time from 100ms on: write 500ms, 30s, 5m or 1h"),
        (["--interval", "soon"], "--interval 'soon' is no time from 100ms on"),
        (["--once", "--count", "2"], "--once does not go with --count"),
        (["--count", "0"], "invalid value for '--count'"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(watch: Watch, options: list[str], said: str) -> None:
    done = watch(*options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def test_with_telemetry_on_what_is_seen_is_recorded(rig: StandIn, watch: Watch, journal_root: Path) -> None:
    """The dispatch is linked to the run that enqueued the item, as a shell there has recorded it."""
    recorded = {"GT_OTEL_JOURNAL": str(journal_root), "GT_RUN": RUN_UUID}
    words = [sys.executable, "-m", "gastown_tracing.cli", "event", "bead.create", "bead_id=de-1"]
    subprocess.run(words, env={**rig.env, **recorded}, check=True, timeout=60)
    bd = rig.directory / "bin" / "bd"
    after_the_last = 'case "$*" in *--updated-after*) cp "$STANDIN/next" "$STANDIN/queue.json" ;; esac'
    bd.write_text(f"{bd.read_text()}\n{after_the_last}\n")
    rig.answer(queue=[bead("de-1", assignee="x", updated_at="2026-11-21T03:00:07Z")])
    (rig.directory / "queue.json").rename(rig.directory / "next")
    rig.answer(queue=[bead("de-1")])
    done = watch("--count", "2", "--interval", "100ms", GT_OTEL_JOURNAL=str(journal_root))
    assert (done.returncode, done.stderr) == (0, "")
    polls = [span for span in loose_spans(journal_root) if span.name == "probe.refinery"]
    (dispatch,) = [span for span in loose_spans(journal_root) if span.name == "refinery.dispatch"]
    assert (len(polls), dispatch.parent_id) == (2, polls[1].span_id)
    assert dispatch.attributes["wait_ms"] == 7000.0
    assert [(link[0], link[1]) for link in dispatch.links] == [(RUN_ID, ROOT_ID)]


def test_what_is_noted_of_old_beads_is_removed(rig: StandIn, watch: Watch, journal_root: Path) -> None:
    journal = create(str(journal_root))
    note_bead(journal, "de-1", "ab" * 16, "cd" * 8)
    month_ago = time.time() - 31 * 86_400
    os.utime(journal_root / "index" / "beads" / "de-1", (month_ago, month_ago))
    assert watch("--once", GT_OTEL_JOURNAL=str(journal_root)).returncode == 0
    assert bead_span(journal, "de-1") is None
