"""rotel, a collector nobody here wrote, between a test and a sink: what it takes comes out as protobuf."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.api.sink import VARIABLES, Sink, sink
from tests.processes import wait_until

DEADLINE = 30.0


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return {**environment, "LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))}


def find_rotel() -> str | None:
    """Return the path of the collector in the PyPI package, None where there is none that runs.

    Its program needs this interpreter's shared library, which not every interpreter comes with.
    """
    spec = importlib.util.find_spec("rotel")
    if spec is None or spec.origin is None:
        return None
    path = str(Path(spec.origin).parent / "rotel-agent")
    try:
        subprocess.run([path, "--version"], env=_environment(), capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return path


needs_rotel = pytest.mark.skipif(
    find_rotel() is None,
    reason="rotel does not run here (pip install rotel; it needs Python's shared library)",
)


class Rotel:
    """A running collector. `url` takes OTLP/HTTP, `sink` holds what came out at the other end."""

    def __init__(self, url: str, sink: Sink) -> None:
        self.url = url
        self.sink = sink

    def env(self) -> dict[str, str]:
        """Return the variables that send all three signals here."""
        return {variable: f"{self.url}/v1/{signal}" for signal, variable in VARIABLES.items()}

    def post(self, signal: str, line: bytes) -> int:
        """Send one line of OTLP JSON as it is to /v1/`signal` and return the answer's status."""
        request = urllib.request.Request(  # noqa: S310 - a loopback address
            f"{self.url}/v1/{signal}", line, {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code


@contextmanager
def running_rotel(directory: Path) -> Iterator[Rotel]:
    """Run rotel with a sink behind it; both end with the block."""
    program = find_rotel()
    assert program is not None, "rotel is not installed"
    grpc, http = free_port(), free_port()
    receiver = ["--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--otlp-http-endpoint", f"127.0.0.1:{http}"]
    files = ["--pid-file", str(directory / "rotel.pid"), "--log-file", str(directory / "rotel.log")]
    with sink() as behind, open(directory / "rotel.out", "wb") as output:
        address = ["--otlp-exporter-endpoint", behind.url.removesuffix("/v1/traces")]
        exporter = ["--exporter", "otlp", "--otlp-exporter-protocol", "http", *address]
        process = subprocess.Popen(
            [program, "start", *receiver, *exporter, *files], stdout=output, stderr=output, env=_environment()
        )
        try:
            wait_until(lambda: _listens(http) or process.poll() is not None, "rotel listens")
            yield Rotel(f"http://127.0.0.1:{http}", behind)
        finally:
            process.terminate()
            process.wait(DEADLINE)


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
