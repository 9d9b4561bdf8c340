"""OpenTelemetry's own SDK and exporter, as any program in a session may use them, through the receiver."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gastown_tracing.sessions.receiver import variables
from propagation.run import new_run_id, root_span_id, to_uuid
from tests.conftest import clean_environ

from .receiver_kit import attributes, receiving

PROGRAM = """
import logging
from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

spans, logs = TracerProvider(), LoggerProvider()
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter()))
meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
with spans.get_tracer("my.program").start_as_current_span("outer") as outer:
    with spans.get_tracer("my.program").start_as_current_span("inner"):
        logs.get_logger("my.program").emit(body="it runs", attributes={"n": 1})
    try:
        with spans.get_tracer("my.program").start_as_current_span("fails"):
            raise OSError("no such file")
    except OSError:
        pass
meters.get_meter("my.program").create_counter("my.things").add(3, {"kind": "x"})
for provider in (spans, logs, meters):
    assert provider.force_flush()
    provider.shutdown()
"""


@pytest.mark.parametrize("compression", ["", "gzip"])
def test_the_sdk_in_a_session(journal_root: Path, compression: str) -> None:
    """With the variables that a session gets, its spans, log records and metrics are in the session's run."""
    run = new_run_id()
    with receiving(journal_root) as found:
        env = {
            **clean_environ(),
            **variables(found.url, {}),
            "OTEL_RESOURCE_ATTRIBUTES": f"gt.run_id={to_uuid(run)},gt.rig=demo",
            "OTEL_EXPORTER_OTLP_COMPRESSION": compression or "none",
        }
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        spans = {span["name"]: span for span in found.records("traces", f"runs/{run}")}
        (log,) = found.records("logs", f"runs/{run}")
        *_, metric = found.records("metrics")  # again at its end
    assert spans.keys() == {"outer", "inner", "fails"}
    assert {span["traceId"] for span in spans.values()} == {run}
    assert spans["outer"]["parentSpanId"] == root_span_id(run)
    assert spans["inner"]["parentSpanId"] == spans["fails"]["parentSpanId"] == spans["outer"]["spanId"]
    assert attributes(spans["fails"]["events"][0])["exception.message"] == "no such file"
    assert (log["traceId"], log["spanId"]) == (run, spans["inner"]["spanId"])
    assert log["body"] == {"stringValue": "it runs"}
    assert attributes(metric["resource"])["gt.rig"] == "demo"
    assert metric["sum"]["dataPoints"][0]["asInt"] == "3"
