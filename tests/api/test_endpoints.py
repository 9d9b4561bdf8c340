"""How the exporters of init() are set up: OTEL_EXPORTER_OTLP_* and its forms for one signal."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.api.programs import direct, python
from tests.api.sink import SIGNALS, VARIABLES, Sink, hanging, sink

ONE = """
    import time
    import gastown_tracing as gt
    provider = gt.init()
    with gt.sling(): pass
    start = time.monotonic()
    sent = provider.shutdown(10)
"""

#: What fails is given up soon.
SOON = {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.7"}


def headers(server: Sink, name: str) -> dict[str, str | None]:
    """Return a header's value by signal, as it came first."""
    return {signal: server.seen_of(signal)[0].get(name) for signal in SIGNALS}


def test_headers_reach_the_right_signal() -> None:
    """Those of one signal replace the general ones for it, and are percent-decoded."""
    with sink() as server:
        given = {
            "OTEL_EXPORTER_OTLP_HEADERS": "X-Key=general,VL-Stream-Fields=a%2Cb",
            "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "X-Key=logs",
        }
        python(ONE, direct(server, **given))
        assert headers(server, "x-key") == {"traces": "general", "logs": "logs", "metrics": "general"}
        assert headers(server, "vl-stream-fields") == {"traces": "a,b", "logs": None, "metrics": "a,b"}


def test_headers_of_the_process_stay_where_init_is_given_another_environment() -> None:
    """`init(env=…)` is all there is: no key for another endpoint goes along."""
    source = """
        import os
        import gastown_tracing as gt
        given = {**os.environ, "OTEL_EXPORTER_OTLP_HEADERS": "x-ours=1"}
        os.environ["OTEL_EXPORTER_OTLP_HEADERS"] = "x-secret=2"
        os.environ["OTEL_EXPORTER_OTLP_METRICS_HEADERS"] = "x-secret=3"
        os.environ["OTEL_EXPORTER_OTLP_COMPRESSION"] = "gzip"
        os.environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "0.000001"
        provider = gt.init(env=given)
        with gt.sling(): pass
        assert provider.shutdown(10) and provider.errors == [], provider.errors
    """
    with sink() as server:
        python(source, direct(server))
        assert headers(server, "x-ours") == dict.fromkeys(SIGNALS, "1")
        assert headers(server, "x-secret") == dict.fromkeys(SIGNALS)
        assert headers(server, "content-encoding") == dict.fromkeys(SIGNALS)
        assert headers(server, "content-type") == dict.fromkeys(SIGNALS, "application/x-protobuf")


def test_compression_reaches_the_right_signal() -> None:
    """Off by default; gzip and deflate by signal, and what nobody knows is said and left out."""
    with sink() as server:
        given = {
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION": "Deflate",
            "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION": "brotli",
        }
        said = python(f"{ONE}\n    print(sent, provider.errors)", direct(server, **given)).stdout
        assert headers(server, "content-encoding") == {"traces": "gzip", "logs": "deflate", "metrics": None}
        assert (len(server.spans()), len(server.logs()), len(server.metrics())) == (1, 1, 1)
    assert said == "True [\"no usable compression of OTLP: 'brotli'\"]\n"


@pytest.mark.parametrize("slow", SIGNALS)
def test_timeouts_reach_the_right_signal(slow: str) -> None:
    """A request with a short timeout is given up; it is in seconds, as OpenTelemetry for Python has it."""
    source = f"""{ONE}
    assert not sent and time.monotonic() - start < 5
    print(*provider.errors, sep="\\n")
    """
    with sink() as server, hanging(slow) as url:
        given = {f"OTEL_EXPORTER_OTLP_{slow.upper()}_TIMEOUT": "0.3", VARIABLES[slow]: url}
        said = python(source, direct(server, **given)).stdout
        assert f"not sent to {VARIABLES[slow]}" in said
        assert {signal for signal in SIGNALS if server.received[signal]} == SIGNALS.keys() - {slow}


@pytest.mark.parametrize("timeout", ["soon", "-1", "0", "nan", "inf"])
def test_a_timeout_that_is_none_is_said(timeout: str) -> None:
    """The default of 10 s is in force then."""
    source = f"{ONE}\n    assert sent\n    print(len(provider.errors), provider.errors[0])"
    with sink() as server:
        said = python(source, direct(server, OTEL_EXPORTER_OTLP_TIMEOUT=timeout)).stdout
    assert said == f"3 no usable timeout of OTLP in seconds: {timeout!r}\n"


def test_the_endpoint_variables_of_opentelemetry_are_not_ours() -> None:
    """They are another exporter's: GT_OTEL_*_URL say where our records go."""
    with sink() as server, sink() as other:
        theirs = {f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT": other.url_of(signal) for signal in SIGNALS}
        python(ONE, direct(server, **theirs, OTEL_EXPORTER_OTLP_ENDPOINT=other.url))
        assert other.seen == []
        assert all(server.received[signal] for signal in SIGNALS)


def certificate(directory: Path, name: str = "127.0.0.1") -> tuple[str, str]:
    """Return the files of a self-made certificate and its key."""
    found = str(directory / f"{name}.pem"), str(directory / f"{name}.key")
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    kind = "IP" if name[0].isdigit() else "DNS"
    named = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={kind}:{name}", "-days", "2"]
    try:
        subprocess.run(
            [*command, *named, "-out", found[0], "-keyout", found[1]], check=True, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed: no certificate can be made")
    return found


def test_certificates(tmp_path: Path) -> None:
    """By TLS with a certificate of one's own: nothing arrives without it, everything with it, by signal."""
    files = certificate(tmp_path)
    source = f"{ONE}\n    print(sent)"
    with sink(files) as server:
        env = {**direct(server), **SOON, "REQUESTS_CA_BUNDLE": certificate(tmp_path, "other.example")[0]}
        assert python(source, env).stdout == "False\n"
        assert server.seen == []
        for_logs = {"OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE": files[0]}
        assert python(source, {**env, **for_logs}).stdout == "False\n"
        assert [path for path, _ in server.seen] == ["/v1/logs"]
        for_all = {"OTEL_EXPORTER_OTLP_CERTIFICATE": files[0]}
        assert python(source, {**env, **for_all}).stdout == "True\n"
        assert {path for path, _ in server.seen} == {"/v1/logs", "/v1/traces", "/v1/metrics"}


def test_a_certificate_of_another_host_says_nothing_to_the_program(tmp_path: Path) -> None:
    """The HTTP client's warning stays with us, and so does a file that is no certificate."""
    files = certificate(tmp_path, "elsewhere.example")
    (tmp_path / "empty.pem").write_text("")
    source = f"{ONE}\n    print(sent, any('CERTIFICATE' in error.upper() for error in provider.errors))"
    with sink(files) as server:
        # Long enough for a second attempt, before which OpenTelemetry says what is wrong.
        given = {"OTEL_EXPORTER_OTLP_CERTIFICATE": files[0], "OTEL_EXPORTER_OTLP_TIMEOUT": "1.5"}
        assert python(source, direct(server, **given)).stdout == "False True\n"
        given |= SOON
        for broken in ("missing.pem", "empty.pem"):
            given["OTEL_EXPORTER_OTLP_CERTIFICATE"] = str(tmp_path / broken)
            assert python(source, direct(server, **given)).stdout.startswith("False")
        assert server.seen == []


def test_client_certificates(tmp_path: Path) -> None:
    """A receiver that asks for the client's certificate gets it."""
    server_files, client_files = certificate(tmp_path), certificate(tmp_path, "client.example")
    source = f"{ONE}\n    print(sent)"
    with sink(server_files, client_files[0]) as server:
        given = {"OTEL_EXPORTER_OTLP_CERTIFICATE": server_files[0], **SOON}
        assert python(source, direct(server, **given)).stdout == "False\n"
        shown = {
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": client_files[0],
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": client_files[1],
        }
        assert python(source, direct(server, **given, **shown)).stdout == "True\n"
        assert all(server.received[signal] for signal in SIGNALS)
