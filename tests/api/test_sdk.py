"""What we use of OpenTelemetry's packages although they do not promise it: a new version may lack it."""

from __future__ import annotations

import importlib

import pytest
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from tests.api.programs import direct, python
from tests.api.sink import sink


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("opentelemetry.context", "_SUPPRESS_INSTRUMENTATION_KEY"),
        ("opentelemetry._logs._internal", "ProxyLoggerProvider"),
        ("opentelemetry.metrics._internal", "_ProxyMeterProvider"),
        ("opentelemetry.metrics", "_Gauge"),
    ],
)
def test_private_names_of_modules(module: str, name: str) -> None:
    """Each name is there."""
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("provider", [TracerProvider, LoggerProvider, MeterProvider])
def test_private_names_of_providers(provider: type) -> None:
    """After a fork the SDK calls `_handle_fork`, where we renew more by `_update_resource`."""
    assert {"_handle_fork", "_update_resource"} <= {*dir(provider)}


def test_private_names_of_a_meter_provider() -> None:
    """Where its resource is, its readers' storage, and the lock on that."""
    provider = MeterProvider(shutdown_on_exit=False)
    assert provider._sdk_config.resource
    assert provider._measurement_consumer._lock
    assert {"add_metric_reader", "remove_metric_reader"} <= {*dir(provider._measurement_consumer)}


@pytest.mark.parametrize("exporter", [OTLPSpanExporter, OTLPLogExporter, OTLPMetricExporter])
def test_private_names_of_exporters(exporter: type) -> None:
    """Where the headers are."""
    assert "x-mine" in exporter("http://127.0.0.1:9", headers={"x-mine": "1"})._client._headers


def test_private_names_of_an_instrumentor() -> None:
    """Where its class keeps the only instance."""
    SystemMetricsInstrumentor()
    assert vars(SystemMetricsInstrumentor)["_instance"] is not None


def test_switching_on_again_leaves_nothing_behind() -> None:
    """Neither hooks for forks nor filters of warnings grow with the number of times."""
    source = """
        import os, sys, warnings
        register, ours = os.register_at_fork, []
        def counted(**hooks):
            caller = sys._getframe(1).f_globals["__name__"]
            ours.extend([caller] if caller.startswith("gastown_tracing") else [])
            register(**hooks)
        os.register_at_fork = counted
        import gastown_tracing as gt
        seen = []
        for _ in range(4):
            provider = gt.init()
            with gt.sling(): pass
            assert provider.shutdown() and provider.errors == []
            seen.append((len(ours), len(warnings.filters)))
        assert len({*seen[1:]}) == 1, (seen, ours)
        assert not [found for found in warnings.filters if "urllib3" in str(found[1])]
    """
    with sink() as server:
        python(source, direct(server))
