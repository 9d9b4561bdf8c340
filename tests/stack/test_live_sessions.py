"""What docs/backends.md says of a session that lives: its root has not come, its spans have."""

from __future__ import annotations

import json
import time
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from propagation.run import root_span_id
from tests.peers.jaeger import needs_jaeger
from tests.peers.programs import PROTOBUF, answers, get_json, post
from tests.peers.tempo import needs_tempo
from tests.processes import wait_until

from . import fill
from .kit import configured_jaeger, configured_tempo

pytestmark = pytest.mark.peer

RUN = fill.TOAST_RUN
ROOT_SPAN = root_span_id(RUN)


@needs_jaeger
def test_jaeger_shows_a_live_session(tmp_path: Path) -> None:
    """Before its root has come a session is found and shown: its spans stand side by side, each with a warning or none,

    and when the root comes they stand below it.
    """
    now = time.time_ns()
    with configured_jaeger(tmp_path) as (url, otlp):
        post(otlp, fill.traces(now, roots=False).SerializeToString(), PROTOBUF)
        page = f"{url}/api/traces/{RUN}"
        wait_until(lambda: answers(page), "the trace is there")
        live = _spans(page)
        print("JAEGER", json.dumps(live[0])[:1500])
        assert ROOT_SPAN not in {span["spanID"] for span in live}
        post(otlp, fill.traces(now).SerializeToString(), PROTOBUF)
        wait_until(lambda: ROOT_SPAN in {span["spanID"] for span in _spans(page)}, "the root is there")
        whole = _spans(page)
        print("JAEGER", len(live), len(whole), json.dumps(whole[0])[:600])
        assert len(whole) == len(live) + 1


def _spans(page: str) -> list[dict[str, Any]]:
    return list(get_json(page)["data"][0]["spans"])


@needs_tempo
def test_tempo_shows_a_live_session(tmp_path: Path) -> None:
    """Before its root has come a session is found, and its name says that the root is not there yet."""
    now = time.time_ns()
    with configured_tempo(tmp_path) as (url, otlp):
        post(otlp, fill.traces(now, roots=False).SerializeToString(), PROTOBUF)
        begun = time.monotonic()
        wait_until(lambda: _found(url, now), "a search finds it")
        print("TEMPO", time.monotonic() - begun, _found(url, now))
        post(otlp, fill.traces(now).SerializeToString(), PROTOBUF)
        wait_until(lambda: _found(url, now)["rootTraceName"] == "gt.session", "the root is there")
        print("TEMPO", _found(url, now))


def _found(url: str, now_ns: int) -> dict[str, Any]:
    times = {"start": now_ns // fill.SECOND - 1200, "end": now_ns // fill.SECOND + 60}
    parameters = urllib.parse.urlencode({"q": f'{{ span.run.id = "{RUN}" }}', **times})
    found = get_json(f"{url}/api/search?{parameters}").get("traces") or [{}]
    return dict(found[0])
