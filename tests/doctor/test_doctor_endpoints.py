"""What the doctor says of endpoints: good ones, bad ones, and those that never answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from gastown_tracing.config import URLS
from gastown_tracing.doctor import web
from gastown_tracing.doctor.backends import Found, find
from gastown_tracing.doctor.check import Deadline
from gastown_tracing.doctor.web import Answer
from gastown_tracing.journal.layout import Journal
from tests.api.sink import hanging, refusing
from tests.relay.otlp_server import OtlpServer

from .conftest import Diagnosis, Doctor

SIGNALS = ("traces", "metrics", "logs")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OtlpServer]:
    with OtlpServer(tmp_path / "server", keep=True) as server:
        yield server


class Bench(NamedTuple):
    """A server, and a journal that a doctor looks at."""

    server: OtlpServer
    doctor: Doctor
    journal: Journal


@pytest.fixture
def bench(server: OtlpServer, doctor: Doctor, journal: Journal) -> Bench:
    return Bench(server, doctor, journal)


def sent_to(server: OtlpServer, doctor: Doctor, journal: Journal, **settings: str) -> Diagnosis:
    """Examine a journal whose relay sends everything to `server`."""
    urls = {name: server.url(signal) for name, signal in zip(URLS, SIGNALS, strict=True)}
    journal.write_config({**urls, **settings})
    return doctor()


def test_each_signal_gets_one_canary(server: OtlpServer, doctor: Doctor, journal: Journal) -> None:
    """A backend that nobody knows how to ask is sent to only, and that is said."""
    found = sent_to(server, doctor, journal)
    assert found.code == 0
    for signal in SIGNALS:
        takes = "protobuf" if signal == "metrics" else "JSON"
        assert found[signal, "answer"]["found"].startswith(f"takes {takes}, in ")
        # "warning" where a backend of this machine's own listens at its usual port.
        assert found.state(signal, "canary") in ("skipped", "warning")
        assert f"--{signal}-query" in found[signal, "canary"]["advice"]
    (span,) = server.spans()
    sent = server.requests("traces")[-1].json()["resourceSpans"][0]
    resource = {pair["key"]: pair["value"]["stringValue"] for pair in sent["resource"]["attributes"]}
    assert resource["service.name"] == "gastown-doctor"
    (canary,) = sent["scopeSpans"][0]["spans"]
    assert (canary["name"], canary["spanId"]) == ("gt-trace doctor", span)
    (record,) = server.requests("logs")[-1].json()["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert record["body"]["stringValue"] == f"gt-trace doctor {record['traceId']}"
    assert [series["name"] for series in server.metrics()["series"]] == ["gastown.doctor.canary"]


def test_offline_opens_no_connection(server: OtlpServer, doctor: Doctor, journal: Journal) -> None:
    sent_to(server, doctor, journal)
    before = server.stats()["connections"]
    assert not {row["group"] for row in doctor("--offline").rows}.intersection((*SIGNALS, "receiver"))
    assert server.stats()["connections"] == before


def test_protobuf_alone_is_found_out(tmp_path: Path, doctor: Doctor, journal: Journal) -> None:
    with OtlpServer(tmp_path / "server", accept="protobuf") as server:
        found = sent_to(server, doctor, journal)
        assert len(server.spans()) == 1
    assert all(found[signal, "answer"]["found"].startswith("takes protobuf") for signal in SIGNALS)


@pytest.mark.parametrize(
    ("mode", "status", "state", "said"),
    [
        ("status", 401, "problem", "refuses an empty request with 401"),
        ("status", 404, "problem", "refuses an empty request with 404"),
        ("status", 503, "warning", "refuses an empty request with 503"),
        ("status", 429, "warning", "refuses an empty request with 429"),
        ("html", 200, "problem", "200, but with a web page: no OTLP endpoint"),
        ("garbage", 200, "problem", "HTTP: no HTTP answer"),
        ("close", 200, "problem", "HTTP: no HTTP answer"),
        ("endless", 200, "problem", "HTTP: no HTTP answer"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(
    mode: str, status: int, state: str, said: str, bench: Bench
) -> None:
    """And what to do about it; no canary goes there."""
    bench.server.answer(mode, status=status)
    found = sent_to(bench.server, bench.doctor, bench.journal)
    for signal in SIGNALS:
        row = found[signal, "answer"]
        assert (row["state"], row["found"][: len(said)], bool(row["advice"])) == (state, said, True)
    assert found.code == (1 if state == "problem" else 0)
    assert not bench.server.spans()


def test_what_is_taken_in_part_is_a_problem(server: OtlpServer, doctor: Doctor, journal: Journal) -> None:
    server.answer(partial={"rejected": 1, "message": "no room"})
    found = sent_to(server, doctor, journal)
    for signal in SIGNALS:
        assert (found.state(signal, "canary"), found[signal, "canary"]["found"]) == (
            "problem",
            "not taken: no room",
        )


def test_headers_of_config_json_are_sent(server: OtlpServer, doctor: Doctor, journal: Journal) -> None:
    server.answer(require={"authorization": "Bearer one two"})
    assert sent_to(server, doctor, journal).state("traces", "answer") == "problem"
    found = sent_to(server, doctor, journal, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20one%20two")
    assert found.state("traces", "answer") == "ok"
    assert "one" not in found["settings", "OTEL_EXPORTER_OTLP_HEADERS"]["found"].replace("one,", "")


def test_all_that_hangs_is_given_up(server: OtlpServer, doctor: Doctor, journal: Journal) -> None:
    """Endpoints that never answer, or a byte at a time, and a receiver that never does: the rest is said."""
    server.answer("drip", "logs")
    with hanging() as traces, hanging("metrics") as metrics, hanging() as receiver:
        urls = dict(zip(URLS, (traces, metrics, server.url("logs")), strict=True))
        journal.write_config({**urls, "GT_OTEL_RECEIVER": receiver.removesuffix("/v1/traces")})
        found = doctor()
    assert found.code == 1
    for group in (*SIGNALS, "receiver"):
        assert found[group, "answer"]["found"] == "HTTP: no HTTP answer: no answer in time"
    assert found.state("journal", "writable") == "ok"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://no-such-host.invalid:4318/v1/traces", "DNS: no-such-host.invalid cannot be resolved"),
        ("http://xn--.invalid:4318/v1/traces", "DNS: "),
        ("http://127.0.0.1:1/v1/traces", "TCP: 127.0.0.1 port 1: Connection refused"),
        ("http://127.0.0.1:PORT/with a space", "HTTP: "),
        ("https://127.0.0.1:PORT/v1/traces", "TLS: no TLS"),
    ],
)
def test_how_far_a_request_came_is_said(
    url: str, said: str, server: OtlpServer, doctor: Doctor, journal: Journal
) -> None:
    port = str(urlsplit(server.url("traces")).port)
    journal.write_config({"GT_OTEL_TRACES_URL": url.replace("PORT", port), **dict.fromkeys(URLS[1:], "none")})
    found = doctor()
    assert found["traces", "answer"]["found"].startswith(said)
    assert (found.state("traces", "answer"), found.code) == ("problem", 1)
    assert found["logs", "address"]["found"] == "switched off on purpose, by `none`: no logs are sent"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:99999/v1/traces", "http://[::1/v1/traces", "http:///v1/traces"]
)
def test_what_is_no_url_is_said_once(url: str, doctor: Doctor, journal: Journal) -> None:
    """Among the settings; nobody is asked."""
    journal.write_config({"GT_OTEL_TRACES_URL": url, **dict.fromkeys(URLS[1:], "none")})
    found = doctor()
    assert found.state("settings", "GT_OTEL_TRACES_URL") == "problem"
    assert (found.state("traces", "address"), found.code) == ("skipped", 1)


def test_without_endpoints_in_config_json_those_of_the_environment_are_tried(
    doctor: Doctor, journal: Journal
) -> None:
    with refusing() as url:
        found = doctor(GT_OTEL_TRACES_URL=url, GT_OTEL_LOGS_URL="none", GT_OTEL_METRICS_URL="none")
    assert found["traces", "answer"]["found"].startswith("TCP: ")


def test_tls_to_a_port_that_speaks_http_is_told_so(
    server: OtlpServer, doctor: Doctor, journal: Journal
) -> None:
    url = server.url("traces").replace("http://", "https://")
    journal.write_config({"GT_OTEL_TRACES_URL": url, **dict.fromkeys(URLS[1:], "none")})
    said = doctor()["traces", "answer"]["advice"]
    assert said == "the endpoint speaks http: use http:// in GT_OTEL_TRACES_URL"


def test_a_receiver_that_is_none_is_a_problem(server: OtlpServer, doctor: Doctor, journal: Journal) -> None:
    """Something else listens at its address, and takes what comes at any path."""
    base = server.url("traces").removesuffix("/v1/traces")
    journal.write_config({"GT_OTEL_RECEIVER": f"{base}/token"})
    row = doctor()["receiver", "answer"]
    assert row["state"] == "problem"
    assert row["found"].startswith(f"no relay runs, and something at port {urlsplit(base).port} answers")


def test_headers_go_to_the_origin_of_their_endpoint_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to another port, though its number begins with the same digits."""
    asked: dict[str, bool] = {}

    def get(found: Found, path: str, seconds: float) -> Answer:
        asked[found.base] = bool(found._headers)
        raise web.Failed("TCP", "nobody")

    monkeypatch.setattr(Found, "get", get)
    assert not find("traces", web.Site("http://127.0.0.1:32/v1/traces"), {"api-key": "x"}, "", Deadline(1))
    assert asked.pop("http://127.0.0.1:32")
    assert asked
    assert not any(asked.values())
