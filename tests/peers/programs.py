"""Programs nobody here wrote, on loopback ports and in directories of a test's own, ended by their id."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.processes import wait_until

JSON, PROTOBUF = "application/json", "application/x-protobuf"

#: Seconds that a program may take to start, to answer and to end.
DEADLINE = 60.0

#: The configurations that the project ships; ports and directories come from the environment.
CONFIGURATIONS = ROOT / "jaeger"

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def needs(program: str, how: str) -> pytest.MarkDecorator:
    """Skip a test where `program` is not on PATH; `how` says where it comes from."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not on PATH ({how})")


@contextlib.contextmanager
def running(
    words: list[str], directory: Path, ready: Callable[[], bool], settings: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run a program until the block ends; give its process id once it is `ready`.

    What it prints is in `directory`, in a file named after it; `settings` are for its environment.
    """
    output = directory / f"{Path(words[0]).name}.out"
    env = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    env |= settings or {}
    with open(output, "wb") as file:
        process = subprocess.Popen(words, stdout=file, stderr=file, env=env, cwd=directory)
    try:
        wait_until(lambda: ready() or process.poll() is not None, f"{words[0]} answers", DEADLINE)
        assert process.poll() is None, output.read_text(errors="replace")[-4000:]
        yield process.pid
    finally:
        process.kill()  # nothing of theirs is kept, and in good order some take a minute to end
        process.wait()


def answers(url: str) -> bool:
    """Return whether `url` is answered with 200 by now."""
    try:
        return fetch(url)[0] == 200
    except OSError:
        return False


def fetch(url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Return the status and body that `url` answers: to a GET, or to a POST of `data`. Raises OSError."""
    request = urllib.request.Request(url, data, dict(headers or {}))  # noqa: S310 # loopback
    try:
        with _DIRECT.open(request, timeout=DEADLINE) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def post(url: str, data: bytes, content_type: str = JSON) -> int:
    """Return the status that a POST of `data` is answered with."""
    return fetch(url, data, {"Content-Type": content_type})[0]


def get_json(url: str) -> Any:
    """Return what `url` answers as JSON; fail on another status than 200."""
    status, body = fetch(url)
    assert status == 200, (url, status, body[:500])
    return json.loads(body)
