"""What docs/backends.md says of a session that lives: its root has not come, its spans have."""

from __future__ import annotations

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
#: How many spans there are but the root.
SPANS = sum(one.event.is_span for one in fill.recorded(0) if one.agent is fill.TOAST)
ROOT_SPAN = root_span_id(RUN)


@needs_jaeger
def test_jaeger_shows_a_live_session(tmp_path: Path) -> None:
    """Before its root has come a session is there, with a warning a span; then they are below it."""
    now = time.time_ns()
    with configured_jaeger(tmp_path) as (url, otlp):
        post(otlp, fill.traces(now, roots=False).SerializeToString(), PROTOBUF)
        page = f"{url}/api/traces/{RUN}"
        wait_until(lambda: answers(page) and len(_spans(page)) == SPANS, "the trace is there")
        missing = f"parent span ID={ROOT_SPAN} is not in the trace"
        assert all(missing in span["warnings"][0] for span in _spans(page))
        post(otlp, fill.traces(now).SerializeToString(), PROTOBUF)
        wait_until(lambda: len(_spans(page)) == SPANS + 1, "the root is there")
        whole = _spans(page)
        assert sum(span["spanID"] == ROOT_SPAN for span in whole) == 1
        assert not any(span.get("warnings") for span in whole)


@needs_jaeger
def test_jaeger_warns_of_spans_of_no_length(tmp_path: Path) -> None:
    """As documented: an event that takes no time has a warning, and nothing else is wrong with it."""
    request = fill.traces(time.time_ns())
    for group in request.resource_spans:
        for span in group.scope_spans[0].spans:
            span.start_time_unix_nano = span.end_time_unix_nano
    with configured_jaeger(tmp_path) as (url, otlp):
        post(otlp, request.SerializeToString(), PROTOBUF)
        page = f"{url}/api/traces/{RUN}"
        wait_until(lambda: answers(page) and len(_spans(page)) == SPANS + 1, "the trace is there")
        assert all("Negative duration detected" in str(span["warnings"]) for span in _spans(page))


def _spans(page: str) -> list[dict[str, Any]]:
    return list(get_json(page)["data"][0]["spans"])


@needs_tempo
def test_tempo_shows_a_live_session(tmp_path: Path) -> None:
    """Before its root has come a session is found, and its name says that the root is not there yet."""
    now = time.time_ns()
    with configured_tempo(tmp_path) as (url, otlp):
        post(otlp, fill.traces(now, roots=False).SerializeToString(), PROTOBUF)
        wait_until(lambda: _found(url, now), "a search finds it")
        live = _found(url, now)
        assert live["rootServiceName"] == "<root span not yet received>"
        assert "rootTraceName" not in live
        post(otlp, fill.traces(now).SerializeToString(), PROTOBUF)
        wait_until(lambda: _found(url, now).get("rootTraceName") == "gt.session", "the root is there")
        assert _found(url, now)["rootServiceName"] == "gastown"


def _found(url: str, now_ns: int) -> dict[str, Any]:
    times = {"start": now_ns // fill.SECOND - 1200, "end": now_ns // fill.SECOND + 60}
    parameters = urllib.parse.urlencode({"q": f'{{ span.run.id = "{RUN}" }}', **times})
    found = get_json(f"{url}/api/search?{parameters}").get("traces") or [{}]
    return dict(found[0])
