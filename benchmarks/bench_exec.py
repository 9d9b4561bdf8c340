"""What a command costs that runs through us: `python -m benchmarks.bench_exec [ROUNDS]`."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.measure import Row, rounds_asked, side_by_side
from gastown_tracing.journal.layout import create
from gastown_tracing.shims import launcher


class Healthy(BaseHTTPRequestHandler):
    """An OTLP/HTTP endpoint that takes everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name for it
        pass


@contextlib.contextmanager
def endpoints() -> Iterator[dict[str, str]]:
    """Serve a healthy endpoint and a hanging one, and name one that refuses."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hanging, refused = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    ports = {
        "healthy": server.server_port,
        "hanging": hanging.getsockname()[1],
        "refused": refused.getsockname()[1],
    }
    refused.close()
    try:
        yield {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    finally:
        server.shutdown()
        server.server_close()
        hanging.close()


def measure(rounds: int) -> list[Row]:
    """Return the rows of this benchmark."""
    with tempfile.TemporaryDirectory() as directory, endpoints() as urls:
        launch = str(Path(directory, "launch"))
        launcher.write(launch)
        env = {**os.environ, "GT_OTEL_JOURNAL": f"{directory}/journal", "GT_OTEL_RELAY": "false"}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has been compiled
        python = os.path.realpath(sys.executable)
        script = shutil.which("gt-trace", path=os.path.dirname(sys.executable)) or ""
        true = shutil.which("true") or "/bin/true"
        traced = [script, "exec", "--", true]
        event = [script, "event", "sling", "bead=de-1", "target=demo/polecats/rust"]
        commands = {
            "true": ([true], env),
            "python": ([python, "-I", "-S", "-E", "-c", "pass"], env),
            "launcher": ([launch, "--", true], env),
            "with a relay": ([launch, "--", true], _asked(env, f"{directory}/other")),
            "venv": ([sys.executable, "-c", "pass"], env),
            "exec": (traced, env),
            "event": (event, env),
            **{
                name: (traced, {**env, "GT_OTEL_TRACES_URL": f"{url}/v1/traces"})
                for name, url in urls.items()
            },
        }
        otel_cli = shutil.which("otel-cli")
        if otel_cli:
            options = ["--protocol", "http/protobuf", "--endpoint", urls["healthy"]]
            commands["otel-cli"] = ([otel_cli, "exec", *options, "--", true], env)
        seconds = side_by_side(commands, rounds)
    return rows(seconds)


def _asked(env: dict[str, str], root: str) -> dict[str, str]:
    """Return an environment with a journal whose relay has just said that it is there."""
    note = f"{create(root).root}/relay/asked"
    Path(note).touch()
    os.utime(note, (time.time() + 50, time.time() + 50))
    return {**env, "GT_OTEL_JOURNAL": root, "GT_OTEL_RELAY": "true"}


def rows(seconds: dict[str, float]) -> list[Row]:
    """Return what the medians say, as ratios."""
    added = seconds["launcher"] - seconds["true"]
    found = [
        Row(
            "exec's launcher, -- true / python -I -S -E -c pass",
            seconds["launcher"] / seconds["python"],
            1.5,
            f"{seconds['launcher'] * 1e3:.1f} ms / {seconds['python'] * 1e3:.1f} ms",
        ),
        Row(
            "gt-trace exec -- true / python -c pass of its environment",
            seconds["healthy"] / seconds["venv"],
            2.0,
        ),
        Row(
            "gt-trace event sling / gt-trace exec -- true",
            seconds["event"] / seconds["exec"],
            1.2,
            f"{seconds['event'] * 1e3:.1f} ms / {seconds['exec'] * 1e3:.1f} ms",
        ),
        Row("exec's launcher with a relay / without", seconds["with a relay"] / seconds["launcher"], 1.05),
        Row("gt-trace exec, endpoint refused / healthy", seconds["refused"] / seconds["healthy"], 1.05),
        Row("gt-trace exec, endpoint never answers / healthy", seconds["hanging"] / seconds["healthy"], 1.05),
    ]
    if "otel-cli" in seconds:
        theirs = seconds["otel-cli"] - seconds["true"]
        note = f"{added * 1e3:.1f} ms / {theirs * 1e3:.1f} ms; python alone {seconds['python'] / theirs:.2f}"
        found.insert(1, Row("what the launcher adds / what otel-cli exec adds", added / theirs, 1.6, note))
    return found


if __name__ == "__main__":
    for row in measure(rounds_asked(200)):
        print(row)
