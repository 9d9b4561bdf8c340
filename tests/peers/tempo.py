"""Grafana Tempo, one process with its blocks on disk, and what its own query API says of a trace."""

from __future__ import annotations

import base64
import contextlib
import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .programs import answers, fetch, get_json, needs, running
from .rotel import free_port

needs_tempo = needs("tempo", "github.com/grafana/tempo")

#: Tempo's own limit is 5,000,000 bytes a trace; 0 is none.
NO_LIMIT: dict[str, Any] = {"global": {"max_bytes_per_trace": 0}}


_IDS: tuple[str, ...] = ("traceId", "spanId", "parentSpanId")


class Tempo:
    """A running Tempo: `traces_url` takes OTLP/HTTP, `url` is where it is read."""

    def __init__(self) -> None:
        self._port, self._grpc, self._otlp = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.traces_url = f"http://127.0.0.1:{self._otlp}/v1/traces"

    def config(self, directory: Path, overrides: dict[str, Any]) -> dict[str, Any]:
        """Return its configuration; YAML takes JSON. `overrides` are limits of each tenant."""
        loopback = {"http_listen_address": "127.0.0.1", "grpc_listen_address": "127.0.0.1"}
        ports = {"http_listen_port": self._port, "grpc_listen_port": self._grpc}
        receiver = {"protocols": {"http": {"endpoint": f"127.0.0.1:{self._otlp}"}}}
        return {
            "stream_over_http_enabled": True,
            "server": {**loopback, **ports, "log_level": "warn"},
            "memberlist": {"bind_addr": ["127.0.0.1"], "bind_port": free_port()},
            "distributor": {"receivers": {"otlp": receiver}},
            # What was sent a moment ago is found, too.
            "query_frontend": {"query_end_cutoff": "0s"},
            # Its own default for each of these directories is below /var/tempo.
            "live_store": {
                "fail_on_high_lag": False,
                "wal": {"path": str(directory / "live-store")},
                "shutdown_marker_dir": str(directory / "shutdown-marker"),
            },
            "block_builder": {"wal": {"path": str(directory / "block-builder")}},
            "backend_scheduler": {"local_work_path": str(directory / "work")},
            "storage": {
                "trace": {
                    "backend": "local",
                    "wal": {"path": str(directory / "wal")},
                    "local": {"path": str(directory / "blocks")},
                }
            },
            "overrides": {"defaults": overrides},
            "usage_report": {"reporting_enabled": False},
        }

    def trace(self, trace_id: str) -> dict[str, dict[str, Any]]:
        """Return a trace's spans by id, as /api/v2/traces/{id} has them, each with its `resource`.

        Ids, which it gives in base64, are turned back into hex.
        """
        status, body = fetch(f"{self.url}/api/v2/traces/{trace_id}", headers={"Accept": "application/json"})
        if status == 404:
            return {}
        assert status == 200, (status, body[:500])
        spans: dict[str, dict[str, Any]] = {}
        for group in json.loads(body)["trace"].get("resourceSpans", ()):
            for scope in group["scopeSpans"]:
                for span in scope["spans"]:
                    plain = _hexadecimal(span)
                    spans[plain["spanId"]] = {**plain, "resource": group["resource"]}
        return spans

    def search(self, query: str) -> list[dict[str, Any]]:
        """Return the traces that a TraceQL query finds, as the list in Grafana shows them."""
        url = f"{self.url}/api/search?{urllib.parse.urlencode({'q': query, 'limit': 20})}"
        return list(get_json(url)["traces"])


def _hexadecimal(span: dict[str, Any]) -> dict[str, Any]:
    ids = {name: base64.b64decode(span[name]).hex() for name in _IDS if name in span}
    return {**span, **ids, "links": [_hexadecimal(link) for link in span.get("links", ())]}


@contextlib.contextmanager
def running_tempo(directory: Path, overrides: dict[str, Any] = NO_LIMIT) -> Iterator[Tempo]:
    """Run Tempo with these limits, its blocks in `directory`, until the block ends."""
    tempo = Tempo()
    file = directory / "tempo.yaml"
    file.write_text(json.dumps(tempo.config(directory, overrides)))
    with running(["tempo", f"-config.file={file}"], directory, lambda: answers(f"{tempo.url}/ready")):
        yield tempo
