"""Grafana Tempo as jaeger/tempo.yaml sets it up, and what its own query API says of a trace."""

from __future__ import annotations

import base64
import contextlib
import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .programs import CONFIGURATIONS, answers, fetch, get_json, needs, running
from .rotel import free_port

needs_tempo = needs("tempo", "github.com/grafana/tempo")

#: The line of jaeger/tempo.yaml that takes Tempo's own limit away.
_NO_LIMIT = "max_bytes_per_trace: 0"

_IDS: tuple[str, ...] = ("traceId", "spanId", "parentSpanId")


class Tempo:
    """A running Tempo: `traces_url` takes OTLP/HTTP, `url` is where it is read."""

    def __init__(self) -> None:
        names = ("PORT", "GRPC_PORT", "GOSSIP_PORT", "OTLP_HTTP_PORT", "OTLP_GRPC_PORT")
        ports = {name: str(free_port()) for name in names}
        self.settings = {f"TEMPO_{name}": port for name, port in ports.items()}
        self.url = f"http://127.0.0.1:{ports['PORT']}"
        self.traces_url = f"http://127.0.0.1:{ports['OTLP_HTTP_PORT']}/v1/traces"

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
def running_tempo(directory: Path, limit: int = 0) -> Iterator[Tempo]:
    """Run Tempo, its blocks in `directory`, until the block ends; `limit` is in bytes a trace, 0 for none."""
    tempo = Tempo()
    file = directory / "tempo.yaml"
    ours = (CONFIGURATIONS / "tempo.yaml").read_text(encoding="utf-8")
    assert ours.count(_NO_LIMIT) == 1
    file.write_text(ours.replace(_NO_LIMIT, f"max_bytes_per_trace: {limit}"))
    words = ["tempo", f"-config.file={file}", "-config.expand-env=true"]
    settings = {**tempo.settings, "TEMPO_DATA": str(directory / "data")}
    with running(words, directory, lambda: answers(f"{tempo.url}/ready"), settings):
        yield tempo
