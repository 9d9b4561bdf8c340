"""The real gt and otel-cli, where they are installed, export to the receiver."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from propagation.run import new_run_id, root_span_id, to_uuid
from tests.conftest import clean_environ

from .receiver_kit import Receiving, attributes, receiving

SPAN = "1234567890abcdef"


def run(found: Receiving, home: Path, *words: str, **variables: str) -> None:
    """Run a program that sends its logs, metrics and traces to the receiver. It may fail."""
    urls = {f"GT_OTEL_{signal.upper()}_URL": f"{found.url}/v1/{signal}" for signal in ("logs", "metrics")}
    env = {**clean_environ(), "PATH": os.environ["PATH"], "HOME": str(home), **urls, **variables}
    subprocess.run(words, cwd=home, env=env, capture_output=True, timeout=60, check=False)


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("gt") is None, reason="gt is not on PATH")
def test_gt_says_of_which_shim_it_is_the_child(journal_root: Path, tmp_path: Path) -> None:
    """What it records of itself is dropped where a shim did, and else hangs on the run's root."""
    run_id = new_run_id()
    of_run = f"gt.run_id={to_uuid(run_id)},gt.rig=demo"
    of_shim = f"{of_run},gt.trace_id={run_id},gt.span_id={SPAN}"
    with receiving(journal_root) as found:
        run(found, tmp_path, "gt", "nudge", "nobody", "a secret", OTEL_RESOURCE_ATTRIBUTES=of_shim)
        assert found.status["dropped"] == {"nudge": 1}
        assert found.records("logs") == []
        run(found, tmp_path, "gt", "nudge", "nobody", "a secret", OTEL_RESOURCE_ATTRIBUTES=of_run)
        (seen,) = found.records("logs", f"runs/{run_id}")
        assert found.records("metrics") == []
        assert found.status["native_metrics_dropped"] >= 2
        assert "a secret" not in found.text()
    assert (seen["traceId"], seen["spanId"]) == (run_id, root_span_id(run_id))
    said = attributes(seen)
    assert (seen["eventName"], said["target"], said["status"], said["run.id"]) == (
        *("nudge", "nobody", "error"),
        run_id,
    )


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("otel-cli") is None, reason="otel-cli is not on PATH")
def test_otel_cli_is_moved_into_the_run(journal_root: Path, tmp_path: Path) -> None:
    """A program that knows nothing of us but its environment."""
    run_id = new_run_id()
    with receiving(journal_root) as found:
        options = (
            "--endpoint",
            f"{found.url}/v1/traces",
            "--protocol",
            "http/protobuf",
            "--fail",
            "--verbose",
        )
        words = ("otel-cli", "exec", "--service", "s", "--name", "n", *options, "--", "true")
        run(found, tmp_path, *words, OTEL_RESOURCE_ATTRIBUTES=f"gt.run_id={run_id}")
        (seen,) = found.records("traces")
    assert (seen["traceId"], seen["parentSpanId"], seen["name"]) == (run_id, root_span_id(run_id), "n")
